"""Checkpoints of Lighthouse and the DCASE baseline: read rightly, and without executing anything."""

from __future__ import annotations

import os
import pickle
import re
import sys
import types
import zipfile
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from amr.errors import InputError
from amr.formats.describe import describe
from amr.formats.untrusted.torch_file import MAX_PICKLE_BYTES, InertUnpickler
from amr.models.detr.network import DetrNetwork
from amr.models.inputs import pad_inputs
from amr.models.lighthouse import is_archive, read_lighthouse
from amr.models.presets import AM_DETR, MOMENT_DETR

SIZES = {"audio_dim": 12, "text_dim": 6, "hidden_dim": 32, "heads": 2, "feedforward_dim": 32}
CONFIG = replace(AM_DETR.network, window_frames=300, **SIZES)  # type: ignore[arg-type]

# Our names to theirs: the inverse of the import, written down a second time.
OUTER = [
    ("audio_projection.layers.", "{audio}."),
    ("text_projection.layers.", "input_txt_proj."),
    ("score_head.", "class_embed."),
    ("span_head.", "span_embed."),
    ("saliency_frame.", "saliency_proj1."),
    ("saliency_global.", "saliency_proj2."),
    ("text_positions.table.", "txt_position_embed.position_embeddings."),
    ("text_positions.norm.", "txt_position_embed.LayerNorm."),
    ("cross.", "transformer.t2v_encoder.layers."),
    ("encoder.", "transformer.encoder.layers."),
    ("decoder.position.", "transformer.decoder.ref_point_head."),
    ("decoder.sine_scale.", "transformer.decoder.query_scale."),
    ("decoder.width_scale.", "transformer.decoder.ref_anchor_head."),
    ("decoder.refine.", "transformer.decoder.bbox_embed."),
    ("decoder.", "transformer.decoder."),
]
INNER = {
    "feedforward.up": "linear1",
    "feedforward.down": "linear2",
    "feedforward.activation": "activation",
    "attention.input.weight": "self_attn.in_proj_weight",
    "attention.input.bias": "self_attn.in_proj_bias",
    "query_attention.query_content": "sa_qcontent_proj",
    "query_attention.query_position": "sa_qpos_proj",
    "query_attention.key_content": "sa_kcontent_proj",
    "query_attention.key_position": "sa_kpos_proj",
    "query_attention.value": "sa_v_proj",
    "query_attention.output": "self_attn.out_proj",
    "frame_attention.query_content": "ca_qcontent_proj",
    "frame_attention.query_position": "ca_qpos_proj",
    "frame_attention.query_sine": "ca_qpos_sine_proj",
    "frame_attention.key_content": "ca_kcontent_proj",
    "frame_attention.key_position": "ca_kpos_proj",
    "frame_attention.value": "ca_v_proj",
    "frame_attention.output": "cross_attn.out_proj",
    "attention.output": "self_attn.out_proj",
}
WHOLE = {
    "global_token": "global_rep_token",
    "global_position": "global_rep_pos",
    "anchors": "query_embed.weight",
}


def their_name(name: str, audio: str) -> str:
    if name in WHOLE:
        return WHOLE[name]
    for ours, theirs in INNER.items():
        if f".{ours}" in name:
            name = name.replace(f".{ours}", f".{theirs}", 1)
            break
    name = re.sub(r"(_projection\.layers\.\d+)\.norm\.", r"\1.LayerNorm.", name)
    name = re.sub(r"(_projection\.layers\.\d+)\.linear\.", r"\1.net.1.", name)
    for ours, theirs in OUTER:
        if name.startswith(ours):
            return theirs.format(audio=audio) + name.removeprefix(ours)
    raise AssertionError(name)


class EasyDict(dict[str, Any]):
    """A dictionary with attributes, as the package of that name pickles."""

    def __init__(self, **items: Any) -> None:
        super().__init__(items)
        self.__dict__.update(items)


EasyDict.__module__ = "easydict"


@pytest.fixture(autouse=True)
def _easydict_while_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("easydict")
    module.EasyDict = EasyDict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "easydict", module)


def options(kind: type = EasyDict, **more: Any) -> Any:
    return kind(
        model_name="qd_detr",
        nheads=2,
        dropout=0.1,
        input_dropout=0.5,
        max_q_l=32,
        max_a_l=300,
        clip_length=1,
        lr=np.float64(1e-4),
        a_feat_dirs=["features/clap"],
        v_feat_types=None,
        **more,
    )


def write_theirs(path: Path, *, audio: str = "input_vid_proj", opt: Any = None, **more: Any) -> DetrNetwork:
    """A checkpoint in their layout, of random weights; gives the network they belong to."""
    torch.manual_seed(5)
    network = DetrNetwork(CONFIG)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    optimiser = torch.optim.AdamW(network.parameters())
    sum(p.sum() for p in network.parameters()).backward()  # type: ignore[union-attr]
    optimiser.step()
    weights = OrderedDict((their_name(n, audio), w.clone()) for n, w in network.state_dict().items())
    contents = {
        "model": weights,
        "optimizer": optimiser.state_dict(),
        "lr_scheduler": {"step_size": 400, "last_epoch": 3},
        "epoch": 3,
        "opt": options() if opt is None else opt,
    }
    torch.save(contents | more, path)
    return network.eval()


def answers(network: DetrNetwork) -> list[torch.Tensor]:
    rng = np.random.default_rng(0)
    audio = [rng.normal(size=(n, 12)).astype(np.float32) for n in (9, 4)]
    text = [rng.normal(size=(n, 6)).astype(np.float32) for n in (3, 5)]
    with torch.no_grad():
        outputs = network(pad_inputs(audio, text))
    return [outputs.spans, outputs.logits, outputs.saliency]


def test_lighthouse_layout_gives_its_network_back(tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    network = write_theirs(path)
    assert is_archive(path)
    checkpoint = read_lighthouse(path)
    assert checkpoint.config == replace(CONFIG, tef_first=True, normalise_text=True)
    assert checkpoint.encoder.name == "unknown"
    assert (checkpoint.encoder.dimension, checkpoint.encoder.text_dimension) == (12, 6)
    assert checkpoint.training["lr"] == 1e-4
    for ours, theirs in zip(answers(network), answers(checkpoint.build()), strict=True):
        assert torch.equal(ours, theirs)


def test_baseline_layout_differs_in_order_and_normalisation(tmp_path: Path) -> None:
    path = tmp_path / "best_checkpoint.pth"
    network = write_theirs(path, audio="input_aud_proj", opt=options(Namespace))
    checkpoint = read_lighthouse(path)
    assert checkpoint.config == replace(CONFIG, tef_first=False, normalise_text=False)
    same = DetrNetwork(checkpoint.config).eval()
    same.load_state_dict(network.state_dict())
    for ours, theirs in zip(answers(same), answers(checkpoint.build()), strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.allclose(answers(network)[0], answers(same)[0], atol=1e-3)


def test_the_mask_bug_comes_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    write_theirs(path)
    assert read_lighthouse(path).config.cross_mask == "exact"
    leaking = read_lighthouse(path, lighthouse_mask=True)
    assert leaking.config.cross_mask == "lighthouse"


def test_a_bare_state_dictionary_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    network = write_theirs(tmp_path / "all.ckpt")
    torch.save({their_name(n, "input_vid_proj"): w for n, w in network.state_dict().items()}, path)
    # What only the options tell is then as published.
    assert read_lighthouse(path).config == replace(CONFIG, heads=8)


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


@pytest.fixture
def trace(tmp_path: Path) -> Iterator[Path]:
    """A file that a payload would leave; it must not be there afterwards."""
    left = tmp_path / "executed"
    yield left
    assert not left.exists()


@pytest.mark.parametrize("place", ["model", "opt", "optimizer", "extra"])
@pytest.mark.parametrize("function", ["system", "exec", "open", "setattr"])
def test_a_payload_is_refused_and_never_runs(tmp_path: Path, trace: Path, place: str, function: str) -> None:
    payload = {
        "system": Payload(os.system, f"touch {trace}"),
        "exec": Payload(exec, f"open({str(trace)!r}, 'w').close()"),
        "open": Payload(open, str(trace), "w"),
        "setattr": Payload(setattr, InertUnpickler, "find_class", str(trace)),
    }[function]
    path = tmp_path / "evil.ckpt"
    write_theirs(path, **{place: {"first": payload}})
    with pytest.raises(InputError, match="more than plain data; nothing was executed") as caught:
        read_lighthouse(path)
    assert "\n" not in str(caught.value)
    assert callable(InertUnpickler.find_class)


def test_the_payload_of_these_tests_would_run(tmp_path: Path) -> None:
    left = tmp_path / "executed"
    pickle.loads(pickle.dumps(Payload(os.system, f"touch {left}")))  # noqa: S301 (our own payload)
    assert left.exists()


def repack(path: Path, change: Callable[[str, bytes], bytes | None], compression: int = 0) -> None:
    """Rewrite each member of a zip; None leaves it out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            changed = change(name, data)
            if changed is not None:
                archive.writestr(name, changed)


def with_pickle(data: bytes) -> Callable[[str, bytes], bytes]:
    return lambda name, old: data if name.endswith("data.pkl") else old


def state_on(target: bytes) -> bytes:
    """A pickle that fetches a name and sets an attribute of it."""
    return b"\x80\x02" + target + b"}U\x08__name__U\x01xsb."


PICKLES = {
    "empty": (b"", "does not read to the end"),
    "cut": (b"\x80\x02}q\x00(X\x05\x00", "does not read to the end"),
    "a claim of 2^60 bytes": (b"\x80\x04\x8e" + (1 << 60).to_bytes(8, "little") + b"x.", "does not read"),
    "stack underflow": (b"\x80\x02R.", "does not read"),
    "attributes of a builder": (state_on(b"ctorch._utils\n_rebuild_tensor_v2\n"), "more than plain data"),
    "attributes of a class": (state_on(b"ceasydict\nEasyDict\n"), "more than plain data"),
    "extension registry": (b"\x80\x02\x82\x01.", "does not read|more than plain data"),
    "old-style instance": (b"(ios\nsystem\n.", "asks for os.system"),
    "a list": (b"\x80\x02].", "no dictionary of weights"),
    "no weights": (b"\x80\x02}.", "holds no weights"),
}


@pytest.mark.parametrize("case", sorted(PICKLES))
def test_a_broken_pickle_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    data, message = PICKLES[case]
    path = tmp_path / "broken.ckpt"
    write_theirs(path)
    repack(path, with_pickle(data))
    with pytest.raises(InputError, match=message) as caught:
        read_lighthouse(path)
    assert "\n" not in str(caught.value)


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    for data in (b"", b"PK\x03\x04", b"PK\x03\x04" + b"\0" * 500, pickle.dumps({"model": 1})):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"not a whole file of torch\.save"):
            read_lighthouse(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme", "no model")
    with pytest.raises(InputError, match=r"holds no data\.pkl"):
        read_lighthouse(path)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.ckpt"
    write_theirs(path)
    data = path.read_bytes()
    for kept in range(0, len(data), len(data) // 25):
        path.write_bytes(data[:kept])
        with pytest.raises(InputError):
            read_lighthouse(path)


def test_damaged_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    write_theirs(path)
    repack(path, lambda name, data: data[: len(data) // 2] if "/data/" in name else data)
    with pytest.raises(InputError, match="reaches past its"):
        read_lighthouse(path)
    write_theirs(path)
    repack(path, lambda name, data: None if "/data/" in name else data)
    with pytest.raises(InputError, match="reaches past its 0 numbers"):
        read_lighthouse(path)
    write_theirs(path)
    repack(path, lambda _, data: data, zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="is compressed or has"):
        read_lighthouse(path)
    write_theirs(path)
    repack(path, with_pickle(b"\x80\x02" + b"N0" * (MAX_PICKLE_BYTES // 2) + b"N."))
    with pytest.raises(InputError, match="is compressed or has"):
        read_lighthouse(path)


def test_other_networks_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    write_theirs(path, opt=EasyDict(model_name="cg_detr"))
    with pytest.raises(InputError, match="'cg_detr'"):
        read_lighthouse(path)
    torch.save({"model": {"backbone.weight": torch.zeros(3)}}, path)
    with pytest.raises(InputError, match="no input_vid_proj"):
        read_lighthouse(path)
    network = write_theirs(path)
    weights = {their_name(n, "input_vid_proj"): w for n, w in network.state_dict().items()}
    torch.save({"model": weights | {"extra.weight": torch.zeros(3)}, "opt": {"nheads": 2}}, path)
    with pytest.raises(InputError, match=r"it has extra\.weight"):
        read_lighthouse(path)
    weights["query_embed.weight"] = torch.full((10, 2), float("nan"))
    torch.save({"model": weights, "opt": {"nheads": 2}}, path)
    with pytest.raises(InputError, match="anchors holds values that are not finite"):
        read_lighthouse(path)
    weights["query_embed.weight"] = torch.zeros(10, 3)
    torch.save({"model": weights, "opt": {"nheads": 2}}, path)
    with pytest.raises(InputError, match="anchors has shape"):
        read_lighthouse(path)
    torch.save({"model": weights, "opt": {"nheads": "two"}}, path)
    with pytest.raises(InputError, match="heads"):
        read_lighthouse(path)


def test_flipped_bytes_give_a_checkpoint_or_one_clear_refusal(tmp_path: Path) -> None:
    path, flipped = tmp_path / "good.ckpt", tmp_path / "flipped.ckpt"
    write_theirs(path)
    with zipfile.ZipFile(path) as archive:
        pickled = next(archive.read(name) for name in archive.namelist() if name.endswith("data.pkl"))
    rng = np.random.default_rng(0)
    refusals = []
    for _ in range(60):
        data = bytearray(pickled)
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
        flipped.write_bytes(path.read_bytes())
        repack(flipped, with_pickle(bytes(data)))
        try:
            read_lighthouse(flipped)
        except InputError as error:
            refusals.append(str(error))
    assert len(refusals) > 10
    assert not any("\n" in refusal for refusal in refusals)


MOMENT_CONFIG = replace(MOMENT_DETR.network, unused_text_positions=32, **SIZES)  # type: ignore[arg-type]
MOMENT_OUTER = [("saliency_frame.", "saliency_proj."), *OUTER]
MOMENT_INNER = {
    "query_attention.input.": "self_attn.in_proj_",
    "query_attention.output": "self_attn.out_proj",
    "memory_attention.input.": "multihead_attn.in_proj_",
    "memory_attention.output": "multihead_attn.out_proj",
}


def their_moment_name(name: str) -> str:
    for ours, theirs in MOMENT_INNER.items():
        name = name.replace(ours, theirs)
    for ours, theirs in MOMENT_OUTER:
        if name.startswith(ours):
            name = theirs.format(audio="input_vid_proj") + name.removeprefix(ours)
            break
    for ours, theirs in INNER.items():
        name = name.replace(ours, theirs)
    name = re.sub(r"(_proj\.\d+)\.norm\.", r"\1.LayerNorm.", name)
    name = re.sub(r"(_proj\.\d+)\.linear\.", r"\1.net.1.", name)
    return WHOLE.get(name, name)


def write_moment_detr(path: Path, **more: Any) -> DetrNetwork:
    torch.manual_seed(6)
    network = DetrNetwork(MOMENT_CONFIG)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    weights = OrderedDict((their_moment_name(n), w.clone()) for n, w in network.state_dict().items())
    torch.save({"model": weights, "opt": options() | {"model_name": "moment_detr"} | more}, path)
    return network.eval()


def test_a_moment_detr_gives_its_network_back(tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    network = write_moment_detr(path)
    names = set(torch.load(path, weights_only=False)["model"])
    assert {"saliency_proj.weight", "transformer.decoder.layers.1.multihead_attn.in_proj_weight"} <= names
    checkpoint = read_lighthouse(path)
    assert checkpoint.config == replace(MOMENT_CONFIG, window_frames=300)
    assert checkpoint.preset == "moment-detr"
    for ours, theirs in zip(answers(network), answers(checkpoint.build()), strict=True):
        assert torch.equal(ours, theirs)


def test_a_moment_detr_with_text_positions_in_use_is_refused(tmp_path: Path) -> None:
    write_moment_detr(tmp_path / "m.ckpt", use_txt_pos=True)
    with pytest.raises(InputError, match="uses text positions"):
        read_lighthouse(tmp_path / "m.ckpt")


THEIR_MARKS = {
    "cg_detr": "txtproj_encoder.layers.0.linear1.weight",
    "eatr": "moment_span_embed.layers.0.weight",
    "uvcom": "CIM.encoder.layers.0.linear1.weight",
    "tr_detr": "fuser.cq_attention.w4mlu",
    "taskweave": "hd_log_var",
    "qd_detr": "transformer.t2v_encoder.layers.0.linear1.weight",
    "moment_detr": "transformer.decoder.layers.0.multihead_attn.out_proj.weight",
}


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("network", THEIR_MARKS)
def test_info_names_every_network_of_theirs(tmp_path: Path, network: str, named: bool) -> None:
    path = tmp_path / "best.ckpt"
    saved = {"model": {THEIR_MARKS[network]: torch.zeros(2)}, "opt": {"model_name": network} if named else {}}
    torch.save(saved, path)
    description = describe(path)
    assert description.facts["network"] == network
    assert description.problems == ()
    can_be_read = network in ("qd_detr", "moment_detr")
    assert ("--init take it" if can_be_read else "cannot be used here") in description.notes[0]
    with pytest.raises(InputError, match=r"no |only 'qd_detr' and 'moment_detr'"):
        read_lighthouse(path)


def test_info_of_a_hostile_checkpoint_says_that_it_was_not_read(tmp_path: Path, trace: Path) -> None:
    path = tmp_path / "best.ckpt"
    torch.save({"model": {"a": torch.zeros(2)}, "opt": Payload(os.system, f"touch {trace}")}, path)
    description = describe(path)
    assert "network" not in description.facts
    assert "nothing was executed" in description.notes[0]
