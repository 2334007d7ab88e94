"""LAION-CLAP run by the owner's package ``laion-clap`` over the same weights, fenced in.

Importing the package needs torchvision and pillow, of which it uses nothing here; loads three tokenisers by
name; changes the import path; and its loader executes pickles and prints every parameter. So: names that it
never calls stand in for the two packages, the model is built by its own parts without any download, and the
weights are put in by us. Tokens are ours too, since the package's tokeniser is silently empty when offline.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import json
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from amr.arrays import Float32Array, Int64Array
from amr.errors import MissingError

if TYPE_CHECKING:
    from amr.encoders.clap.laion_weights import LaionWeights

INSTALL = 'pip install -c constraints-clap.txt ".[clap]"'
# Module to the names that the package imports from it.
STAND_INS = {
    "PIL": ("Image",),
    "torchvision": ("datasets", "ops", "transforms"),
    "torchvision.datasets": (),
    "torchvision.ops": ("misc",),
    "torchvision.ops.misc": ("FrozenBatchNorm2d",),
    "torchvision.transforms": (
        "Normalize",
        "Compose",
        "RandomResizedCrop",
        "InterpolationMode",
        "ToTensor",
        "Resize",
        "CenterCrop",
    ),
}
CELL_STEPS = 32  # the package repeats each of its 32 steps of time as often


class NeverUsed(torch.nn.Module):
    """Stands in for a class that the package imports and never makes."""


@contextlib.contextmanager
def stand_ins() -> Iterator[None]:
    """While it lasts, the modules that are not installed can be imported and hold nothing."""
    absent = {
        name.split(".")[0] for name in STAND_INS if importlib.util.find_spec(name.split(".")[0]) is None
    }
    added = [name for name in STAND_INS if name.split(".")[0] in absent]
    for name in added:
        module = types.ModuleType(name)
        module.__spec__ = importlib.util.spec_from_loader(name, loader=None)
        for attribute in STAND_INS[name]:
            setattr(module, attribute, NeverUsed)
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in added:
            del sys.modules[name]


class NoTokeniser:
    """Stands in for the tokenisers that the package loads by name when it is imported."""

    @classmethod
    def from_pretrained(cls, *_: object, **__: object) -> NoTokeniser:
        return cls()


@contextlib.contextmanager
def no_downloads() -> Iterator[None]:
    """While it lasts, ``transformers`` gives stand-ins for tokenisers, from no file."""
    transformers = importlib.import_module("transformers")
    kept: dict[tuple[Any, str], Any] = {}

    def replace(owner: Any, name: str, value: Any) -> None:
        kept[owner, name] = getattr(owner, name)
        setattr(owner, name, value)

    for name in ("BertTokenizer", "RobertaTokenizer", "BartTokenizer"):
        replace(transformers, name, NoTokeniser)
    try:
        yield
    finally:
        for (owner, name), value in kept.items():
            setattr(owner, name, value)


def import_package() -> types.ModuleType:
    """``laion_clap``'s model room.

    Raises:
        MissingError: the extra is not installed.
    """
    before = list(sys.path)
    try:
        import transformers  # before the stand-ins: it looks for torchvision itself

        _ = transformers.BertModel, transformers.RobertaModel, transformers.BartModel
        with (
            stand_ins(),
            no_downloads(),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            return importlib.import_module("laion_clap")
    except ImportError as error:
        raise MissingError(
            f"laion-clap cannot be imported: {error}", where="AMR_CLAP_LOADER", hint=INSTALL
        ) from error
    finally:
        sys.path[:] = before


def build_model(weights: LaionWeights) -> torch.nn.Module:
    """The package's own CLAP with the published weights."""
    package = import_package()
    room: Any = importlib.import_module("clap_module.model")
    base = len(weights.tensors["audio_branch.norm.weight"]) > 768
    config_path = f"{package.__path__[0]}/clap_module/model_configs/HTSAT-{'base' if base else 'tiny'}.json"
    with open(config_path, encoding="utf-8") as file:
        config = json.load(file)
    config["text_cfg"]["model_type"] = "roberta"
    transformers = importlib.import_module("transformers")
    text_config = transformers.RobertaConfig(**roberta_shape(weights))
    original = room.RobertaModel
    room.RobertaModel = types.SimpleNamespace(from_pretrained=lambda _: original(text_config))
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            model: torch.nn.Module = room.CLAP(**config, enable_fusion=False, fusion_type="None")
    finally:
        room.RobertaModel = original
    fill(model, weights)
    return model.eval().requires_grad_(False)


def roberta_shape(weights: LaionWeights) -> dict[str, object]:
    """RoBERTa's configuration, read off the weights."""
    text = weights.below("text_branch")
    words, dim = text["embeddings.word_embeddings.weight"].shape
    return {
        "vocab_size": words,
        "hidden_size": dim,
        "num_hidden_layers": sum(f"encoder.layer.{n}.output.dense.weight" in text for n in range(100)),
        "num_attention_heads": dim // 64,
        "intermediate_size": len(text["encoder.layer.0.intermediate.dense.weight"]),
        "max_position_embeddings": len(text["embeddings.position_embeddings.weight"]),
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
        "pad_token_id": 1,
    }


def fill(model: torch.nn.Module, weights: LaionWeights) -> None:
    """Put the weights in; buffers such as ``position_ids``, which come and go, stay as built."""
    state = {name: torch.from_numpy(np.array(values, np.float32)) for name, values in weights.tensors.items()}
    problems = model.load_state_dict(state, strict=False)
    if problems.unexpected_keys:
        raise MissingError(f"laion-clap has no parameter {problems.unexpected_keys[0]}", where=weights.path)


def package_model(weights: LaionWeights, device: torch.device) -> torch.nn.Module:
    """:func:`build_model` on a device, once for audio and text of the same weights."""
    key = "_package_model"
    if not hasattr(weights, key):
        setattr(weights, key, build_model(weights).to(device))
    model: torch.nn.Module = getattr(weights, key)
    return model


def package_network(weights: LaionWeights, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """Clips ``(batch, 480000)`` to ``fine_grained_embedding``, each step once: ``(batch, 32, 768)``."""
    branch: Any = package_model(weights, device).audio_branch

    def run(clips: torch.Tensor) -> torch.Tensor:
        cells: torch.Tensor = branch({"waveform": clips}, device=device)["fine_grained_embedding"]
        return cells[:, ::CELL_STEPS]

    return run


def package_text(
    weights: LaionWeights, device: torch.device
) -> Callable[[Int64Array], tuple[Float32Array, Float32Array]]:
    """``(batch, tokens)`` to the package's RoBERTa states and pooled vectors."""
    branch: Any = package_model(weights, device).text_branch

    def run(numbers: Int64Array) -> tuple[Float32Array, Float32Array]:
        ids = torch.from_numpy(numbers).to(device)
        with torch.inference_mode():
            found = branch(input_ids=ids, attention_mask=torch.ones_like(ids))
        return found.last_hidden_state.cpu().numpy(), found.pooler_output.cpu().numpy()

    return run
