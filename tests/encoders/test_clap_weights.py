"""The published files in all their forms, and what else may lie under their names."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import clap_published as published
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from amr.encoders.clap.laion import ClapEncoder
from amr.encoders.clap.laion_weights import LaionWeights
from amr.encoders.clap.published import digest_tensors, read_published
from amr.errors import InputError, MissingError


def test_both_forms_are_the_same_encoder(tmp_path: Path) -> None:
    original = ClapEncoder(weights=str(published.write_laion_pt(tmp_path / "pt")))
    hub = ClapEncoder(weights=str(published.write_hub_folder(tmp_path / "hub")))
    assert original.identity == hub.identity
    wave = published.noise(1.0, 48_000)[None]
    assert np.array_equal(original.encode_audio(wave), hub.encode_audio(wave))
    pair = zip(original.encode_text(["a dog"]), hub.encode_text(["a dog"]), strict=True)
    assert all(np.array_equal(one.tokens, other.tokens) for one, other in pair)


def test_position_ids_come_and_go(tmp_path: Path) -> None:
    """laion-clap fails on a checkpoint without them, older ones on a checkpoint with them."""
    with_them = LaionWeights(str(published.write_laion_pt(tmp_path / "with")))
    without = LaionWeights(str(published.write_laion_pt(tmp_path / "without", position_ids=False)))
    assert with_them.sha256 == without.sha256


def test_names_with_and_without_module(tmp_path: Path) -> None:
    published.write_tokeniser(tmp_path, published.roberta_vocabulary())
    state = {name: torch.from_numpy(values) for name, values in published.laion_tensors().items()}
    torch.save(state, tmp_path / "plain.pt")
    assert LaionWeights(str(tmp_path)).sha256 == digest_tensors(published.laion_tensors())


def test_the_digest_sees_every_number(tmp_path: Path) -> None:
    tensors = published.laion_tensors()
    tensors["text_projection.2.bias"] = tensors["text_projection.2.bias"] + np.float32(1e-6)
    assert digest_tensors(tensors) != digest_tensors(published.laion_tensors())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_tensors_are_read_in_any_type(tmp_path: Path, dtype: torch.dtype) -> None:
    values = torch.linspace(-3, 3, 24).view(4, 6).to(dtype)
    save_file({"x": values, "none": torch.zeros(0, 2)}, tmp_path / "a.safetensors")
    torch.save({"state_dict": {"x": values, "transposed": values.T}}, tmp_path / "a.pt")
    for name in ("a.safetensors", "a.pt"):
        found = read_published(tmp_path / name)
        np.testing.assert_array_equal(np.asarray(found["x"], np.float32), values.float().numpy())
    np.testing.assert_array_equal(np.asarray(found["transposed"], np.float32), values.T.float().numpy())


class Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed",)


def test_a_pickle_with_a_program_is_refused_unexecuted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"x": torch.zeros(1)}, "extra": Payload()}, "evil.pt")
    with pytest.raises(InputError, match="nothing was executed"):
        read_published(tmp_path / "evil.pt")
    assert not (tmp_path / "executed").exists()


def test_a_bare_pickle_is_refused_unexecuted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Payload()))
    with pytest.raises(InputError, match="neither a whole safetensors"):
        read_published(tmp_path / "evil.pt")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("form", ["pt", "hub"])
def test_every_cut_file_is_refused(tmp_path: Path, form: str) -> None:
    write = published.write_laion_pt if form == "pt" else published.write_hub_folder
    path = write(tmp_path / form)
    data = path.read_bytes()
    for share in (0.0, 0.001, 0.3, 0.9, 0.9999):
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(InputError):
            _ = LaionWeights(str(path)).sha256


def test_a_zip_that_is_something_else_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(InputError, match=r"holds no data\.pkl"):
        read_published(tmp_path / "a.pt")


def test_other_weights_are_told(tmp_path: Path) -> None:
    torch.save({"state_dict": {"x": torch.zeros(1)}}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="is not LAION-CLAP"):
        _ = LaionWeights(str(tmp_path / "other.pt")).tensors
    tensors = published.laion_tensors()
    fused = {**tensors, "audio_branch.patch_embed.mel_conv2d.weight": np.zeros((1, 1), np.float32)}
    path = published.write_laion_pt(tmp_path / "fused", tensors=fused)
    with pytest.raises(InputError, match="with fusion"):
        _ = LaionWeights(str(path)).tensors


def test_a_folder_must_hold_one_file_of_weights(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found none"):
        _ = LaionWeights(str(tmp_path)).path
    for name in ("a.pt", "b.safetensors"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"found a\.pt, b\.safetensors"):
        _ = LaionWeights(str(tmp_path)).path
    with pytest.raises(MissingError, match="no such file of weights"):
        _ = LaionWeights(str(tmp_path / "nowhere.pt")).path


def test_an_empty_tokeniser_is_refused(tmp_path: Path) -> None:
    """Offline, the hub's client makes a tokeniser of five tokens without a word."""
    published.write_laion_pt(tmp_path)
    published.write_tokeniser(tmp_path, {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4})
    with pytest.raises(InputError, match=r"is not a vocabulary of the tokens in .*merges\.txt"):
        ClapEncoder(weights=str(tmp_path)).encode_text(["a dog barks"])


def test_a_tokeniser_of_another_size_is_refused(tmp_path: Path) -> None:
    published.write_laion_pt(tmp_path)
    published.write_tokeniser(tmp_path, published.roberta_vocabulary() | {"<more>": published.WORDS})
    words = published.WORDS
    with pytest.raises(InputError, match=f"has {words + 1} tokens, the weights have {words}"):
        ClapEncoder(weights=str(tmp_path)).encode_text(["a dog barks"])


def test_a_tokeniser_of_the_right_size_but_other_tokens_is_refused(tmp_path: Path) -> None:
    """The real size is checked by a sentence whose numbers are known."""
    words = list(published.roberta_vocabulary()) + [
        f"<{number}>" for number in range(50_265 - published.WORDS)
    ]
    published.write_tokeniser(tmp_path, {word: number for number, word in enumerate(words)})
    tensors = published.laion_tensors()
    name = "text_branch.embeddings.word_embeddings.weight"
    tensors[name] = np.zeros((50_265, 2), np.float32)
    published_path = tmp_path / "a.pt"
    torch.save({n: torch.from_numpy(v) for n, v in tensors.items()}, published_path)
    with pytest.raises(InputError, match="in another way than RoBERTa does"):
        LaionWeights(str(published_path)).tokenise("dog")
