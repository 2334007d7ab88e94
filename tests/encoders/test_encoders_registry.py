"""Finding encoders by name."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from waiting import HANG_S

from amr import plugins
from amr.encoders import registry
from amr.encoders.base import EncoderIdentity
from amr.encoders.checked import CheckedEncoder
from amr.encoders.yamnet.encoder import YamnetEncoder
from amr.errors import MissingError, PluginError, UsageError


def test_the_default_is_embedded() -> None:
    encoder = registry.load_encoder()
    assert isinstance(encoder, YamnetEncoder)
    assert registry.identity_of("yamnet", hop_s=1.0).hop_s == 1.0


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(UsageError, match="no encoder 'yamlet'") as caught:
        registry.load_encoder("yamlet")
    assert "yamnet" in caught.value.hint


def test_a_class_of_a_module() -> None:
    made = registry.load_encoder("amr.encoders.yamnet.encoder:YamnetEncoder", hop_s=0.24)
    assert isinstance(made, CheckedEncoder)
    assert isinstance(made.encoder, YamnetEncoder)
    assert made.identity.hop_s == 0.24


@pytest.mark.parametrize("name", ["no_such_package:Encoder", "amr.encoders.yamnet.encoder:NoSuchClass"])
def test_what_cannot_be_imported_is_missing(name: str) -> None:
    with pytest.raises(MissingError, match="cannot be imported"):
        registry.load_encoder(name)


@pytest.mark.parametrize("name", ["", ":", "a:", ":b"])
def test_half_a_name_is_no_name(name: str) -> None:
    with pytest.raises(UsageError):
        registry.load_encoder(name)


class Beats(YamnetEncoder):
    """Goes by another name."""

    @property
    def identity(self) -> EncoderIdentity:
        return replace(super().identity, name="beats")


def test_other_packages_bring_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    brought = EntryPoint("beats", f"{__name__}:Beats", registry.ENCODERS.entry_points)
    misnamed = EntryPoint("bells", f"{__name__}:Beats", registry.ENCODERS.entry_points)
    shadow = EntryPoint("yamnet", "somewhere.els:Encoder", registry.ENCODERS.entry_points)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [brought, misnamed, shadow])
    assert {"beats", "yamnet"} <= set(registry.encoder_names())
    beats = registry.load_encoder("beats")
    assert registry.encoder_of(beats.identity).identity == beats.identity
    assert isinstance(registry.load_encoder("yamnet"), YamnetEncoder)
    with pytest.raises(
        PluginError, match=r"identity\.name is 'beats', expected 'bells', the name of its entry"
    ):
        registry.load_encoder("bells")


def test_the_users_own_list_names_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    beats = registry.load_encoder(f"{__name__}:Beats").identity
    with pytest.raises(UsageError, match="no encoder 'beats'") as caught:
        registry.encoder_of(beats)
    assert "AMR_ENCODERS=beats=package.module:Class" in caught.value.hint
    monkeypatch.setenv("AMR_ENCODERS", f"beats={__name__}:Beats, other=some.where:Else")
    assert registry.encoder_of(beats).identity == beats
    monkeypatch.setenv("AMR_ENCODERS", "beats")
    with pytest.raises(UsageError, match=r"AMR_ENCODERS: 'beats' is not name=package"):
        registry.encoder_names()


def test_importing_the_registry_imports_no_torch() -> None:
    code = "import sys, amr.encoders.registry; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], timeout=HANG_S)


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
    assert isinstance(made, OfAnyWindow)  # a built-in name: not checked
    assert made.window_s == identity.window_s
