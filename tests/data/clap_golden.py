"""How ``clap_golden.npz`` was made: the original packages on the weights that ``tests/clap_published.py``
draws.

    pip install -c constraints-clap.txt ".[clap]" pillow && pip install --no-deps msclap==1.3.4
    python tests/data/clap_golden.py

``laion.*`` are laion-clap's own network, window filling, RoBERTa and projections; ``hub.*`` are
``transformers.ClapModel``; ``microsoft.*`` are msclap's network (its wrapper's settings), GPT-2 and
projections.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

import clap_published as published  # noqa: E402  # the tests' folder is on the path from here on

QUERIES = ["a dog barks", "dog", "Zwei Vögel, 3 cars! it's raining"]
WINDOWS_S = (1.0, 3.0, 0.7, 10.0)


def ids_of(vocabulary: dict[str, int], first: list[str], last: list[str]) -> list[list[int]]:
    """By the tokeniser of ``transformers``."""
    from tokenizers import Tokenizer
    from tokenizers.decoders import ByteLevel as Decoder
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel

    merges = [tuple(merge.split(" ")) for merge in published.MERGES]
    tokeniser = Tokenizer(BPE(vocabulary, merges))
    tokeniser.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokeniser.decoder = Decoder()
    wrap = (lambda text: text) if first else (lambda text: text + " ")
    return [
        [*(vocabulary[f] for f in first), *tokeniser.encode(wrap(q)).ids, *(vocabulary[n] for n in last)]
        for q in QUERIES
    ]


def torch_state(tensors: published.Tensors, prefix: str) -> dict[str, torch.Tensor]:
    return {n[len(prefix) :]: torch.from_numpy(v.copy()) for n, v in tensors.items() if n.startswith(prefix)}


def put(module: torch.nn.Module, tensors: published.Tensors, prefix: str) -> Any:
    problems = module.load_state_dict(torch_state(tensors, prefix), strict=False)
    assert not problems.unexpected_keys, problems
    return module.eval()


def roberta(tensors: published.Tensors) -> Any:
    from transformers import RobertaConfig, RobertaModel

    config = RobertaConfig(
        vocab_size=published.WORDS,
        hidden_size=published.TEXT_DIM,
        num_hidden_layers=published.TEXT_DEPTH,
        num_attention_heads=published.TEXT_DIM // 64,
        intermediate_size=published.TEXT_INNER,
        max_position_embeddings=published.POSITIONS,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        pad_token_id=1,
    )
    return put(RobertaModel(config), tensors, "text_branch.")


def projection(tensors: published.Tensors, name: str, dim: int) -> Any:
    joint = published.LAION_JOINT
    layers = torch.nn.Sequential(torch.nn.Linear(dim, joint), torch.nn.ReLU(), torch.nn.Linear(joint, joint))
    return put(layers, tensors, f"{name}.")


def laion() -> dict[str, torch.Tensor]:
    from amr.encoders.clap.laion_package import import_package

    import_package()
    from clap_module.htsat import HTSAT_Swin_Transformer
    from laion_clap.training.data import get_audio_features

    tensors = published.laion_tensors()
    settings = SimpleNamespace(
        mel_bins=64, window_size=1024, hop_size=480, sample_rate=48000, fmin=50, fmax=14000
    )
    net = put(
        HTSAT_Swin_Transformer(
            embed_dim=published.DIM, depths=published.DEPTHS, num_heads=published.HEADS, config=settings
        ),
        tensors,
        "audio_branch.",
    )
    found = {}
    for seconds in WINDOWS_S:
        wave = torch.from_numpy(published.noise(seconds, 48_000))
        sample = get_audio_features({}, wave, 480_000, "rand_trunc", "repeatpad", {})
        out = net({"waveform": sample["waveform"][None]}, device="cpu")
        found[f"laion.window.{seconds:g}"] = out["embedding"][0]
    found["laion.cells"] = out["fine_grained_embedding"][0, ::32]
    embedding = torch.stack([found[f"laion.window.{seconds:g}"] for seconds in WINDOWS_S])
    joint = projection(tensors, "audio_projection", published.AUDIO_DIM)(embedding)
    found["laion.joint_audio"] = torch.nn.functional.normalize(joint, dim=-1)
    text, pooled = roberta(tensors), []
    for number, ids in enumerate(ids_of(published.roberta_vocabulary(), ["<s>"], ["</s>"])):
        padded = torch.tensor([ids + [1] * (77 - len(ids))])  # as the package: padded to 77, masked
        out = text(input_ids=padded, attention_mask=(torch.arange(77) < len(ids)).long()[None])
        found[f"laion.ids.{number}"] = torch.tensor(ids)
        found[f"laion.tokens.{number}"] = out.last_hidden_state[0, : len(ids)]
        pooled.append(out.pooler_output[0])
    found["laion.pooled"] = torch.stack(pooled)
    joint = projection(tensors, "text_projection", published.TEXT_DIM)(found["laion.pooled"])
    found["laion.joint_text"] = torch.nn.functional.normalize(joint, dim=-1)
    return found


def hub() -> dict[str, torch.Tensor]:
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    text = {
        "vocab_size": published.WORDS,
        "hidden_size": published.TEXT_DIM,
        "num_hidden_layers": published.TEXT_DEPTH,
        "num_attention_heads": published.TEXT_DIM // 64,
        "intermediate_size": published.TEXT_INNER,
        "max_position_embeddings": published.POSITIONS,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
        "projection_dim": published.LAION_JOINT,
    }
    audio = {
        "patch_embeds_hidden_size": published.DIM,
        "hidden_size": published.AUDIO_DIM,
        "depths": list(published.DEPTHS),
        "num_attention_heads": list(published.HEADS),
        "projection_dim": published.LAION_JOINT,
        "enable_fusion": False,
    }
    config = ClapConfig(text_config=text, audio_config=audio, projection_dim=published.LAION_JOINT)
    model = ClapModel(config)
    problems = model.load_state_dict(
        {n: torch.from_numpy(v.copy()) for n, v in published.hub_tensors().items()}, strict=False
    )
    assert not problems.unexpected_keys, problems.unexpected_keys
    model.eval()
    # The hub's own settings file says 50 Hz; the class's default is 0.
    front = ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad", frequency_min=50)
    found = {}
    for seconds in WINDOWS_S:
        wave = published.noise(seconds, 48_000)
        features = front(wave, sampling_rate=48_000, return_tensors="pt")["input_features"]
        out = model.audio_model(input_features=features, is_longer=torch.tensor([[False]]))
        found[f"hub.window.{seconds:g}"] = out.pooler_output[0]
    return found


def microsoft() -> dict[str, torch.Tensor]:
    # The package's door imports torchaudio, which its network does not use.
    sys.modules["torchaudio"] = torchaudio = ModuleType("torchaudio")
    sys.modules["torchaudio.transforms"] = torchaudio.transforms = ModuleType("torchaudio.transforms")
    from msclap.models import config
    from msclap.models.clap import Projection
    from msclap.models.htsat import HTSAT_Swin_Transformer
    from transformers import GPT2Config, GPT2Model

    tensors = published.microsoft_tensors()
    net = put(
        HTSAT_Swin_Transformer(
            embed_dim=published.DIM, depths=published.DEPTHS, num_heads=published.HEADS, config=config
        ),
        tensors,
        "audio_encoder.base.htsat.",
    )
    wave = torch.from_numpy(published.noise(3.0, 44_100)).unflatten(0, (3, -1))
    found = {"microsoft.windows": net(wave)["latent_output"]}
    side = Projection(published.AUDIO_DIM, published.MICROSOFT_JOINT)
    joint = put(side, tensors, "audio_encoder.projection.")(found["microsoft.windows"])
    found["microsoft.joint_audio"] = torch.nn.functional.normalize(joint, dim=-1)
    shape = GPT2Config(
        vocab_size=published.WORDS,
        n_embd=published.TEXT_DIM,
        n_layer=published.TEXT_DEPTH,
        n_head=published.TEXT_DIM // 64,
        n_inner=published.TEXT_INNER,
        n_positions=published.POSITIONS,
    )
    text, pooled = put(GPT2Model(shape), tensors, "caption_encoder.base."), []
    for number, ids in enumerate(ids_of(published.gpt2_vocabulary(), [], ["<|endoftext|>"])):
        padded = torch.tensor([ids + [0] * (77 - len(ids))])
        mask = (torch.arange(77) < len(ids)).long()[None]
        states = text(input_ids=padded, attention_mask=mask)[0][0]
        found[f"microsoft.ids.{number}"] = torch.tensor(ids)
        found[f"microsoft.tokens.{number}"] = states[: len(ids)]
        pooled.append(states[int(torch.ne(padded, 0).sum()) - 1])  # where the package looks
    found["microsoft.pooled"] = torch.stack(pooled)
    side = Projection(published.TEXT_DIM, published.MICROSOFT_JOINT)
    joint = put(side, tensors, "caption_encoder.projection.")(found["microsoft.pooled"])
    found["microsoft.joint_text"] = torch.nn.functional.normalize(joint, dim=-1)
    return found


def main() -> None:
    with torch.inference_mode():
        outputs = laion() | hub() | microsoft()
    np.savez_compressed(HERE / "clap_golden.npz", **{name: value.numpy() for name, value in outputs.items()})


if __name__ == "__main__":
    main()
