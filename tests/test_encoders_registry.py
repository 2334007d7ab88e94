"""Finding encoders by name."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from amr.encoders import registry
from amr.encoders.yamnet import YamnetEncoder
from amr.errors import MissingError, UsageError


def test_the_default_is_embedded() -> None:
    encoder = registry.load_encoder()
    assert isinstance(encoder, YamnetEncoder)
    assert registry.identity_of("yamnet", hop_s=1.0).hop_s == 1.0


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(UsageError, match="no encoder 'yamlet'") as caught:
        registry.load_encoder("yamlet")
    assert "yamnet" in caught.value.hint


def test_a_class_of_a_module() -> None:
    assert isinstance(registry.load_encoder("amr.encoders.yamnet:YamnetEncoder", hop_s=0.24), YamnetEncoder)


@pytest.mark.parametrize("name", ["no_such_package:Encoder", "amr.encoders.yamnet:NoSuchClass"])
def test_what_cannot_be_imported_is_missing(name: str) -> None:
    with pytest.raises(MissingError, match="cannot be imported"):
        registry.load_encoder(name)


@pytest.mark.parametrize("name", ["", ":", "a:", ":b"])
def test_half_a_name_is_no_name(name: str) -> None:
    with pytest.raises(UsageError):
        registry.load_encoder(name)


def test_other_packages_bring_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    brought = EntryPoint("beats", "amr.encoders.yamnet:YamnetEncoder", registry.ENTRY_POINT_GROUP)
    shadow = EntryPoint("yamnet", "somewhere.els:Encoder", registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [brought, shadow])
    assert {"beats", "yamnet"} <= set(registry.encoder_names())
    assert isinstance(registry.load_encoder("beats"), YamnetEncoder)
    assert isinstance(registry.load_encoder("yamnet"), YamnetEncoder)


def test_importing_the_registry_imports_no_torch() -> None:
    code = "import sys, amr.encoders.registry; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1], timeout=60)


class OfAnyWindow(YamnetEncoder):
    """Takes a window, as CLAP does, and remembers it."""

    def __init__(self, *, hop_s: float | None = None, window_s: float = 1.0, device: str = "cpu") -> None:
        super().__init__(hop_s=hop_s, device=device)
        self.window_s = window_s


def test_an_encoder_of_stored_features_has_their_hop_and_window(monkeypatch: pytest.MonkeyPatch) -> None:
    identity = registry.identity_of("yamnet", hop_s=0.24)
    assert registry.encoder_of(identity).identity == identity
    monkeypatch.setitem(registry.BUILT_IN, "yamnet", f"{__name__}:OfAnyWindow")
    made = registry.encoder_of(identity)
    assert isinstance(made, OfAnyWindow)
    assert made.window_s == identity.window_s
