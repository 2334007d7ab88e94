"""``examples/small_network.py``: the page's smallest network trains and answers as ours do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import amr
from amr.errors import AmrError
from amr.models.architectures import find_architecture
from amr.models.build import build_network
from amr.models.inputs import NetworkInputs, pad_inputs

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setenv("AMR_MODELS", "small=small_network:SMALL")
    find_architecture.cache_clear()
    yield
    find_architecture.cache_clear()


@pytest.mark.usefixtures("registered")
def test_it_trains_and_answers(tmp_path: Path) -> None:
    queries, features, model = EXAMPLES / "queries.jsonl", tmp_path / "feats.h5", tmp_path / "m.safetensors"
    amr.extract(EXAMPLES / "audio", features, queries=queries)
    settings = {"network.queries": 3}
    amr.train(queries, model, features=features, preset="small", settings=settings, epochs=1, threads=1)
    answers = list(amr.predict(queries, features, model=model))
    assert [len(answer.record()["pred_relevant_windows"]) for answer in answers] == [3] * 4
    with pytest.raises(AmrError, match="heads is 4, but this network does not use it"):
        amr.train(
            queries, model, features=features, preset="small", settings={"network.heads": 4}, force=True
        )


@pytest.mark.usefixtures("registered")
def test_an_item_alone_is_the_item_in_a_batch() -> None:
    torch.manual_seed(0)
    network = build_network(find_architecture("small").preset.network).eval()
    rng = np.random.default_rng(0)
    sizes = network.config.audio_dim, network.config.text_dim
    audio, text = ([rng.normal(size=(n, size)) for n in (5, 9)] for size in sizes)
    batch = network(pad_inputs(audio, text))
    alone = network(
        NetworkInputs(*(torch.tensor(rows[0], dtype=torch.float32)[None] for rows in (audio, text)))
    )
    torch.testing.assert_close(batch.spans[:, :1], alone.spans)
    torch.testing.assert_close(batch.logits[:, :1], alone.logits)
    torch.testing.assert_close(batch.saliency[:1, :5], alone.saliency)
