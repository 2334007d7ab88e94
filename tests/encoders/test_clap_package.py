"""The owner's package ``laion-clap`` and ours on the same weights; runs where the extra is installed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import clap_published as published
import numpy as np
import pytest

from amr.encoders.clap.laion import ClapDenseEncoder, ClapEncoder
from amr.errors import MissingError

HAVE_PACKAGE = importlib.util.find_spec("laion_clap") is not None
needs_package = pytest.mark.skipif(not HAVE_PACKAGE, reason="needs the extra clap (laion-clap)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The audio network at its published size (the package builds no other); one layer of text."""
    path = tmp_path_factory.mktemp("published")
    tensors = published.laion_tensors(published.PUBLISHED_AUDIO, published.PUBLISHED_TEXT_OF_DEPTH_1, 512)
    published.write_laion_pt(path, tensors=tensors)
    return path


@needs_package
@pytest.mark.filterwarnings("ignore")
def test_both_loaders_give_the_same_features(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wave = published.noise(2.0, 48_000)[None]
    queries = ["a dog barks", "Zwei Vögel, 3 cars! it's raining"]
    ours, dense = ClapEncoder(weights=str(folder)), ClapDenseEncoder(weights=str(folder))
    audio, cells, text = ours.encode_audio(wave), dense.encode_audio(wave), ours.encode_text(queries)
    monkeypatch.setenv("AMR_CLAP_LOADER", "laion-clap")
    theirs, their_dense = ClapEncoder(weights=str(folder)), ClapDenseEncoder(weights=str(folder))
    assert theirs.identity == ours.identity
    np.testing.assert_allclose(theirs.encode_audio(wave), audio, atol=5e-5)
    np.testing.assert_allclose(their_dense.encode_audio(wave), cells, atol=5e-4)
    for one, other in zip(theirs.encode_text(queries), text, strict=True):
        np.testing.assert_allclose(one.tokens, other.tokens, atol=1e-4)
        np.testing.assert_allclose(one.pooled, other.pooled, atol=1e-4)


@needs_package
def test_importing_it_prints_nothing_and_changes_no_path() -> None:
    code = (
        "import sys; before = list(sys.path); from amr.encoders.clap.laion_package import import_package;"
        "import_package(); assert sys.path == before; assert 'torchvision' not in sys.modules;"
        "import transformers; assert transformers.RobertaTokenizer.__name__ != 'NoTokeniser'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""


@pytest.mark.skipif(HAVE_PACKAGE, reason="the extra clap is installed here")
def test_without_the_extra_the_command_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMR_CLAP_LOADER", "laion-clap")
    with pytest.raises(MissingError, match="laion-clap cannot be imported") as caught:
        ClapEncoder(weights=str(folder)).encode_audio(published.noise(1.0, 48_000)[None])
    assert 'pip install -c constraints-clap.txt ".[clap]"' in caught.value.hint
