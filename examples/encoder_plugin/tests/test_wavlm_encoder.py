"""The contract, on a tiny WavLM that is made here, so that nothing is fetched."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import WavLMConfig, WavLMModel
from wavlm_encoder import WavLmEncoder

import amr
from amr.encoders.conformance import problems


@pytest.fixture
def encoder(tmp_path: Path) -> WavLmEncoder:
    torch.manual_seed(0)
    config = WavLMConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    WavLMModel(config).save_pretrained(tmp_path)
    return WavLmEncoder(model=str(tmp_path))


def test_it_keeps_the_contract(encoder: WavLmEncoder) -> None:
    assert problems(encoder) == []


def test_without_a_model_of_its_own_curves_answers_and_it_is_said(
    encoder: WavLmEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    sound = (np.random.default_rng(0).normal(0, 0.1, 16_000 * 20), 16_000)
    with caplog.at_level(logging.INFO, logger="amr"):
        found = amr.load_model("auto", encoder=encoder).find("a dog barks", sound)
    assert any("curves answers" in line for line in caplog.messages)
    assert found == amr.load_model("curves", encoder=encoder).find("a dog barks", sound)
