"""The contract, on a tiny WavLM that is made here, so that nothing is fetched."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import WavLMConfig, WavLMModel
from wavlm_encoder import WavLmEncoder

from amr.encoders.conformance import problems


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = WavLMConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    WavLMModel(config).save_pretrained(tmp_path)
    assert problems(WavLmEncoder(model=str(tmp_path))) == []
