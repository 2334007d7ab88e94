"""No name inside a file is imported, run, or taken for an option, an address or a path."""

from __future__ import annotations

import json
import os
import stat
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import Amr
from fuzz.readers.checkpoint import parts, sound
from fuzz.readers.hdf5 import IDENTITY, plain

from amr.audio.ffmpeg import CONTAINERS, command
from amr.audio.read import read_audio
from amr.errors import AmrError, InputError
from amr.formats.features.open import open_features
from amr.models.checkpoint import read_checkpoint

HOSTILE_MODULE = "import pathlib\npathlib.Path(__file__).with_name('imported').write_text('')\nEncoder = 1\n"
MODULE_NAMES = ["hostile_encoder:Encoder", "os:system", "amr.encoders.yamnet.encoder:Yamnet", ":", "a:b:c"]


@pytest.fixture
def hostile_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that can be imported, and leaves a mark when it is."""
    (tmp_path / "hostile_encoder.py").write_text(HOSTILE_MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))  # type: ignore[no-untyped-call]  # pytest's own stub
    return tmp_path / "imported"


def features_named(path: Path, name: object) -> Path:
    path.write_bytes(plain("v108"))
    with h5py.File(path, "r+") as file:
        file.attrs["encoder"] = json.dumps({**IDENTITY, "name": name})
    return path


@pytest.mark.parametrize("name", [*MODULE_NAMES, 7, None, ["yamnet"]])
def test_features_do_not_name_code(tmp_path: Path, name: object) -> None:
    with pytest.raises(InputError, match="is not the name of an encoder"):
        open_features(features_named(tmp_path / "f.h5", name))


@pytest.mark.parametrize("name", MODULE_NAMES)
def test_models_do_not_name_code(tmp_path: Path, name: str) -> None:
    header, numbers = parts(sound())
    said = header["__metadata__"]
    said["encoder"] = json.dumps({**json.loads(said["encoder"]), "name": name})
    text = json.dumps(header).encode()
    path = tmp_path / "m.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + numbers)
    with pytest.raises(InputError, match="does not say which encoder"):
        read_checkpoint(path)


def test_nothing_beside_the_data_is_imported(tmp_path: Path, amr: Amr, hostile_module: Path) -> None:
    """``python -m amr`` looks for modules in the folder it runs in, where the data may have come with one."""
    features_named(tmp_path / "f.h5", "hostile_encoder:Encoder")
    done = amr("predict", "--query", "rain", "f.h5")
    assert done.returncode == 3, done.stderr
    assert "is not the name of an encoder" in done.stderr
    assert not hostile_module.exists()
    assert "hostile_encoder" not in sys.modules


# ffmpeg

HOSTILE_FILES = [
    "-i.m4a",
    "-y.m4a",
    "concat:a|b.m4a",
    "pipe:0.m4a",
    "file:x.m4a",
    "a\nb.m4a",
    "%d.m4a",
    "$(x).m4a",
]
RECORD_ARGUMENTS = """#!{python}
import json, sys
with open({log!r}, "w") as log:
    json.dump(sys.argv[1:], log)
sys.exit("no sound")
"""


@pytest.mark.parametrize("name", HOSTILE_FILES)
def test_ffmpeg_is_given_one_file_and_no_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text(RECORD_ARGUMENTS.format(python=sys.executable, log=str(tmp_path / "log.json")))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"not libsndfile's")
    with pytest.raises(AmrError, match="no sound"):
        read_audio(Path(name), None)
    given = json.loads((tmp_path / "log.json").read_text())
    assert given == command("ffmpeg", Path(name))[1:]
    assert given[given.index("-i") + 1] == f"file:{name}"
    assert [argument for argument in given if name in argument] == [f"file:{name}"]


def test_ffmpeg_opens_no_form_that_names_other_files() -> None:
    allowed = CONTAINERS.split(",")
    assert len(set(allowed)) == len(allowed)
    assert {"mov", "matroska", "asf", "aac"} <= set(allowed)
    names_others = {
        "concat",
        "concatf",
        "hls",
        "dash",
        "image2",
        "sdp",
        "rtsp",
        "imf",
        "webm_dash_manifest",
        "lavfi",
    }
    assert not names_others & set(allowed)
    given = command("ffmpeg", Path("x"))
    assert given[given.index("-format_whitelist") + 1] == CONTAINERS
    assert given.index("-format_whitelist") < given.index("-i")
    assert given[given.index("-protocol_whitelist") + 1] == "file,pipe"


# Names of files in messages and products


def test_control_codes_in_names_do_not_reach_the_terminal(tmp_path: Path, amr: Amr) -> None:
    name = "x\x1b]0;title\x07\x1b[2J.jsonl"
    (tmp_path / name).write_text("{}\n")
    done = amr("info", name, "--format", "table")
    assert done.returncode == 3
    assert "\x1b" not in done.stderr
    assert "\x1b" not in done.stdout


def test_a_file_name_of_foreign_bytes_is_no_recording_of_labels(tmp_path: Path, amr: Amr) -> None:
    name = os.fsdecode(b"\xff.txt")
    (tmp_path / name).write_text("0\t1\train\n")
    done = amr("convert", name, "--to", "annotations")
    assert done.returncode == 3, done.stderr
    assert "is not UTF-8" in done.stderr


# HDF5


def elsewhere(file: h5py.File) -> str:
    """Another file, of the test's own."""
    path = Path(file.filename).with_name("elsewhere.bin")
    path.write_bytes(bytes(1000))
    return str(path)


def by_hand(path: Path, make: Callable[[h5py.File], None]) -> Path:
    path.write_bytes(plain("v108"))
    with h5py.File(path, "r+") as file:
        del file["audio/frames"]
        make(file)
    return path


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((5, 3), "f2")
    layout[:] = h5py.VirtualSource(elsewhere(file), "x", (5, 3), "f2")
    file.create_virtual_dataset("audio/frames", layout)


def raw_elsewhere(file: h5py.File) -> None:
    file.create_dataset("audio/frames", (5, 3), "f2", external=[(elsewhere(file), 0, 30)])


def linked(link: object) -> Callable[[h5py.File], None]:
    return lambda file: file.__setitem__("audio/frames", link)


def group_elsewhere(file: h5py.File) -> None:
    del file["audio"]
    file["audio"] = h5py.ExternalLink("elsewhere.h5", "/")


def nested_reference(file: h5py.File) -> None:
    file.create_dataset("audio/frames", data=np.array([[file.ref]], dtype=h5py.ref_dtype))


LINKS = [
    virtual,
    raw_elsewhere,
    linked(h5py.SoftLink("/text/tokens")),
    linked(h5py.SoftLink("/audio/frames")),
    linked(h5py.ExternalLink("elsewhere.h5", "/")),
    group_elsewhere,
    nested_reference,
]


@pytest.mark.parametrize("make", LINKS)
def test_hdf5_leads_nowhere_else(tmp_path: Path, make: Callable[[h5py.File], None]) -> None:
    with pytest.raises(InputError):
        open_features(by_hand(tmp_path / "f.h5", make))
