"""What fuzzing found, kept: each input once made a reader fail in a way of its own, or take all memory.

``python -m tests.fuzz READER`` finds more; docs/security.md says how long it ran.
"""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fuzz.archives import packed
from fuzz.target import READERS, load

from amr.cli.info import line, table
from amr.errors import AmrError, InputError
from amr.formats.annotations import read_annotations
from amr.formats.describe import describe
from amr.formats.exchange.csv import qid_value
from amr.formats.exchange.forms import read_tracks
from amr.formats.features.journal import CHECKSUM, HEADER, MAGIC, journal_path, read_journal
from amr.formats.features.npz import read_array
from amr.formats.jsonl import write_objects
from amr.formats.notices import Notices
from amr.formats.scoring import read_truth
from amr.formats.untrusted.torch_file import read_torch_file
from amr.models.config import NetworkConfig
from amr.retrieval.archive.index_file import MANIFEST, read_manifest
from amr.simulation.published import parse_published

ANNOTATION = {"qid": 1, "query": "rain", "duration": 60, "vid": "v", "relevant_windows": [[1, 3]]}


def lines(**changes: Any) -> bytes:
    return json.dumps({**ANNOTATION, **changes}).encode()


@pytest.mark.parametrize(
    "text", [{"query": "\ud800"}, {"vid": "a\udfff"}, {"\udc00": 1}, {"extra": ["\ud912"]}]
)
def test_half_characters_are_refused_where_they_are_read(tmp_path: Path, text: dict[str, Any]) -> None:
    """They were read, and broke the writing of the answer."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(**text))
    with pytest.raises(InputError, match="half of a surrogate pair"):
        read_annotations(path)


def test_whole_characters_in_two_halves_are_text(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(query="\U0001f415 barks"))
    assert b"\\ud83d\\udc15" in path.read_bytes()
    assert read_annotations(path)[0].query == "\U0001f415 barks"


def test_half_characters_in_jams_and_csv(tmp_path: Path) -> None:
    path = tmp_path / "x.jams"
    path.write_bytes(b'{"annotations": [{"data": [{"time": 0, "duration": 1, "value": "\\ud800"}]}]}')
    with pytest.raises(InputError, match="half of a surrogate pair"):
        read_tracks(str(path), "jams", Notices())
    assert qid_value('"\\ud800"') == '"\\ud800"'


@pytest.mark.parametrize("duration", [299e6, 1e300])
def test_clip_labels_of_years_take_no_memory(tmp_path: Path, duration: float) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(duration=duration, relevant_clip_ids=[0], saliency_scores=[[1, 2, 3]]))
    with pytest.raises(InputError, match="clip labels go up to a day"):
        read_truth(path, with_labels=True)


@pytest.mark.parametrize("depth", [100, *range(480, 1000, 20), 5000])
def test_what_is_nested_so_deeply_that_it_is_just_read(tmp_path: Path, depth: int) -> None:
    """It was read, and could not be written again by calls that were a little deeper."""
    nested = "[" * depth + '"\\ud83d\\udc15"' + "]" * depth
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"extra": {nested}, ' + lines().decode()[1:])
    model = tmp_path / "m.safetensors"
    text = json.dumps({"__metadata__": {"amr_format": "model", "training": f'{{"a": {nested}}}'}}).encode()
    model.write_bytes(struct.pack("<Q", len(text)) + text)
    with suppress(InputError):
        write_objects(io.StringIO(), [one.record() for one in read_annotations(path)])
    for render in (line, table):
        with suppress(InputError):
            render(model, describe(model))


def header(**changes: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **changes}}


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"__metadata__": [1], **header()()},
        lambda: {"__metadata__": {"amr_format": "model", "preset": 7}, **header()()},
        lambda: {"a": {"dtype": "F32", "shape": [1]}},
        lambda: {"a": [1, 2]},
        header(data_offsets=[0, 4, 8]),
        header(data_offsets=[0, "4"]),
        header(data_offsets=[[0], 4]),
        header(data_offsets=[0.0, 4.0]),
        header(shape=[-1]),
        header(shape=[2**70]),
        header(shape="1"),
        header(shape=[2**62] * 300),
        header(shape=[2**62] * 300_000),
        header(dtype=["F32"]),
        header(dtype="F31"),
    ],
)
def test_headers_of_tensors_that_are_none(tmp_path: Path, make: Callable[[], dict[str, Any]]) -> None:
    path = tmp_path / "m.safetensors"
    text = json.dumps(make()).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
    with pytest.raises(InputError):
        describe(path)


def test_tensors_in_each_others_place_are_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    text = json.dumps(header(data_offsets=[0, 3])()).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
    assert describe(path).problems == ("a lies outside of the file",)


def test_half_characters_in_published_recipes() -> None:
    """They were read, and broke the writing of the scenes."""
    entries = [{"name": "a", "bg": {}, "fg": [{"caption": "\ud800"}]}]
    with pytest.raises(InputError, match="half of a surrogate pair"):
        parse_published(json.dumps(entries).encode(), "r.json")


@pytest.mark.parametrize("second", [7, {}, {"bg": {}, "fg": 3}, {"fg": {"a": 1}}])
def test_a_published_recipe_with_a_scene_that_is_none(tmp_path: Path, second: Any) -> None:
    """`amr info` took it for a bug of ours."""
    path = tmp_path / "r.json"
    path.write_text(json.dumps([{"bg": {}, "fg": [{}]}, second]))
    found = describe(path)
    assert (found.facts["foregrounds"], found.problems) == (1, ("scene 2 has no list 'fg'",))


def test_a_history_with_half_characters_is_told(tmp_path: Path) -> None:
    """A command line that named a file in another encoding: the model is sound, and its metadata are JSON."""
    path = tmp_path / "m.safetensors"
    metadata = {"amr_format": "model", "history": json.dumps(["amr train \udcff.h5"]), "preset": "\ud800"}
    text = json.dumps({"__metadata__": metadata, **header()()}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
    told = line(path, describe(path))
    assert json.loads(told.encode("utf-8"))["history"] == ["amr train \udcff.h5"]
    table(path, describe(path)).encode("utf-8")


@pytest.mark.parametrize("key", ["gate_scale", "gate_shift"])
@pytest.mark.parametrize("value", [10**320, float("nan")])
def test_networks_of_endless_switches(key: str, value: float) -> None:
    with pytest.raises(ValueError, match=key):
        NetworkConfig.from_fields({key: value})


@pytest.mark.parametrize(
    "changes", [{"probe": [[10**320]]}, {"source_bytes": float("inf")}, {"source_mtime_ns": -float("inf")}]
)
def test_a_manifest_of_endless_numbers(tmp_path: Path, changes: dict[str, Any]) -> None:
    sound = {"amr_format": "frame index", "schema": 1, "encoder": "{}", "probe": [[1.0]], "segments": []}
    sound |= {"source_bytes": 1, "source_mtime_ns": 1}
    (tmp_path / MANIFEST).write_text(json.dumps(sound))
    assert read_manifest(tmp_path) is not None
    (tmp_path / MANIFEST).write_text(json.dumps({**sound, **changes}))
    with pytest.raises(InputError, match="is not a manifest"):
        read_manifest(tmp_path)


def npz(path: Path, content: bytes, name: str = "features.npy") -> Path:
    path.write_bytes(packed([(name, content)]))
    return path


@pytest.mark.parametrize(
    "literal",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2",
        b"(" * 300,
        b"-" * 9000 + b"1",
        b"\xff\x00",
        b"{[]: 1}",
    ],
)
def test_npy_headers_that_are_no_literal(tmp_path: Path, literal: bytes) -> None:
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(literal)) + literal
    with pytest.raises(InputError, match="cannot be read"):
        read_array(npz(tmp_path / "x.npz", content), "features")


def damaged_archives(kind: str) -> bytes:
    """Archives that the zipfile module fails on in ways of its own."""
    good = packed([("features.npy", bytes(100)), ("archive/data.pkl", b"N.")], zipfile.ZIP_DEFLATED)
    entry = good.index(b"PK\x01\x02")
    changes = {
        "a version that is not known": (entry + 6, b"\x49\x00"),
        "a method that is not known": (entry + 10, b"\x63\x00"),
        "a method that is known to others": (entry + 10, b"\x0e\x00"),
        "encrypted": (entry + 8, b"\x01\x00"),
        "a place before the file": (good.rindex(b"PK\x05\x06") + 16, struct.pack("<I", entry + 1000)),
        "broken deflate": (good.index(b"features.npy") + 12, b"\xff\xff\xff"),
    }
    at, new = changes[kind]
    return good[:at] + new + good[at + len(new) :]


@pytest.mark.parametrize(
    "kind",
    [
        "a version that is not known",
        "a method that is not known",
        "a method that is known to others",
        "encrypted",
        "a place before the file",
        "broken deflate",
    ],
)
def test_damaged_archives(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(damaged_archives(kind))
    for read in (describe, read_torch_file, lambda path: read_array(path, "features")):
        with pytest.raises(InputError, match=r"x\.npz"):
            read(path)


def pickled(folder: Path, program: bytes) -> Path:
    path = folder / "m.ckpt"
    path.write_bytes(packed([("archive/data.pkl", program), ("archive/data/0", bytes(16))]))
    return path


def nested_tuples(depth: int) -> bytes:
    """A tuple of two of the same tuple of two ...: small to write, endless to hash."""
    return b"(I1\nI2\nt" + b"".join(b"q%c0h%ch%c\x86" % (n, n, n) for n in range(depth))


ENDLESS = {
    "a key of nested tuples": b"}" + nested_tuples(60) + b"I1\ns.",
    "many such keys": b"}(" + nested_tuples(60) + b"I1\nu.",
    "a dictionary of such keys": b"(" + nested_tuples(60) + b"I1\nd.",
    "a set of them": b"\x8f(" + nested_tuples(60) + b"\x90.",
    "a frozen set of them": b"(" + nested_tuples(60) + b"\x91.",
    "pairs of them": b"ccollections\nOrderedDict\n((l(" + nested_tuples(60) + b"I1\ntatR.",
    "copies of a long text": b"(Vlatin1\nq\x01V" + b"x" * 60_000 + b"\nq\x02"
    + b"c_codecs\nencode\nq\x03" + b"h\x03(h\x02h\x01tR" * 3000 + b"l.",
    "copies of a dictionary": b"(}q\x01(" + b"".join(b"I%d\nN" % n for n in range(3000)) + b"u"
    + b"cargparse\nNamespace\nq\x02" + b"h\x02(h\x01tR" * 9000 + b"l.",
    "copies of attributes": b"(}q\x01(" + b"".join(b"I%d\nN" % n for n in range(3000)) + b"u"
    + b"cargparse\nNamespace\nq\x02" + b"h\x02)R(I0\nNdbh\x02)Rh\x01b" * 9000 + b"l.",
    "whole numbers that are keys of megabytes": b"}\x8b" + struct.pack("<I", 2**20) + b"\x7f" * 2**20
    + b"q\x01Nsh\x01Nsh\x01Ns.",
    "a registered extension": b"\x82\x01.",
    "a byte array that claims 800 MB": b"\x96\x00\x00\x00\x30\x00\x00\x00\x00.",
    "a call of a list": b"(l(tR.",
}  # fmt: skip


@pytest.mark.parametrize("name", ENDLESS)
def test_pickles_that_would_compute_without_end(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="more than plain data"):
        read_torch_file(pickled(tmp_path, ENDLESS[name]))


def test_nested_tuples_alone_do_no_harm(tmp_path: Path) -> None:
    assert isinstance(read_torch_file(pickled(tmp_path, nested_tuples(60) + b".")), tuple)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_plain_pickles_of_every_protocol_read_back(tmp_path: Path, protocol: int) -> None:
    plain = {"a": [1, 2.5, None, True, "é", b"x"], 2: {"b": (1, (2,))}}
    assert read_torch_file(pickled(tmp_path, pickle.dumps(plain, protocol))) == plain


@pytest.mark.parametrize(
    "body",
    [
        HEADER.pack(MAGIC, 100, 2**60),
        HEADER.pack(MAGIC, 100, 1) + struct.pack("<QQ", 0, 2**50),
        HEADER.pack(MAGIC, 100, 1) + struct.pack("<QQ", 2**62, 8) + bytes(8),
        HEADER.pack(MAGIC, 100, 1) + bytes(3),
    ],
)
def test_a_forged_journal_is_none(tmp_path: Path, body: bytes) -> None:
    """The checksum is right, the numbers are not."""
    path = tmp_path / "f.h5"
    path.write_bytes(bytes(200))
    journal_path(path).write_bytes(body + CHECKSUM.pack(zlib.crc32(body)))
    assert read_journal(path) is None


def test_a_journal_of_a_longer_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.h5"
    path.write_bytes(bytes(200))
    body = HEADER.pack(MAGIC, 2**60, 0)
    journal_path(path).write_bytes(body + CHECKSUM.pack(zlib.crc32(body)))
    with pytest.raises(InputError, match=r"is not the journal of f\.h5"):
        read_journal(path)


@pytest.mark.parametrize("reader", READERS)
def test_every_seed_and_a_few_changes_of_it_read_or_are_refused(tmp_path: Path, reader: str) -> None:
    """The targets themselves, as the fuzzer drives them but without it."""
    target = load(reader)
    rng = random.Random(reader)

    def flip(data: bytes) -> bytes:
        at = rng.randrange(max(1, len(data)))
        return data[:at] + bytes([rng.randrange(256)]) + data[at + rng.randrange(3) :]

    seeds = target.seeds()
    mutate = target.mutate or (lambda data, _, raw: raw(data))
    changed = [mutate(rng.choice(seeds), rng, flip) for _ in range(30)]
    for number, data in enumerate([*seeds, *changed]):
        folder = tmp_path / str(number)
        folder.mkdir()
        with suppress(AmrError):
            target.read(data, folder)
