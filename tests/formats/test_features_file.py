"""The HDF5 feature file: what is written is read, and what is no such file is refused in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from fault_table import fault
from feature_fakes import DIMENSION, Floats, identity, made_frames, text_features
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.encoders.stored import require_same_encoder, stored_identity
from amr.errors import InputError
from amr.formats.features.base import FeatureReader
from amr.formats.features.open import open_features
from amr.formats.features.output import Begin, open_feature_output, partial_path
from amr.formats.features.read import FeatureFile
from amr.formats.features.write import FeatureWriter, create_feature_file
from amr.moments import FrameGrid

COUNTS = {"a": 3, "-dash": 124, "Venice_4.0_64.0": 1, "sub/folder": 300, "空の音": 7, "empty": 0}


def write_file(
    path: Path, counts: dict[str, int] = COUNTS, *, store: str = "float16", queries: tuple[str, ...] = ()
) -> Path:
    with open_feature_output(path, identity_json=identity().to_json(), store=store) as writer:
        for query in queries:
            writer.add_text(query, text_features(query))
        for recording_id, count in counts.items():
            writer.add(
                recording_id,
                made_frames(recording_id, count),
                duration_s=count * 0.48,
                source=f"x/{count}.wav",
            )
    return path


def assert_holds(reader: FeatureReader, counts: dict[str, int]) -> None:
    assert list(reader.ids) == list(counts)
    assert len(reader) == len(counts)
    for recording_id, count in counts.items():
        assert np.array_equal(reader.frames(recording_id), made_frames(recording_id, count))
        assert reader.duration_s(recording_id) == pytest.approx(count * 0.48)
        assert reader.num_frames(recording_id) == count
    for recording, recording_id in zip(reader, counts, strict=True):
        assert recording.id == recording_id
        assert np.array_equal(recording.frames, made_frames(recording_id, counts[recording_id]))


@pytest.mark.parametrize("store", ["float16", "float32"])
def test_round_trip(tmp_path: Path, store: str) -> None:
    path = write_file(tmp_path / "f.h5", store=store, queries=("a dog barks", "rain", "犬"))
    with open_features(path) as reader:
        assert_holds(reader, COUNTS)
        assert reader.frames("a").dtype == np.float32
        assert reader.grid("a") == FrameGrid(window_s=0.975, hop_s=0.48, num_frames=3)
        assert reader.source("-dash") == "x/124.wav"
        assert "a" in reader
        assert "b" not in reader
        assert stored_identity(reader) == identity()
        require_same_encoder(reader, identity())
        for query in ("a dog barks", "rain", "犬"):
            assert np.array_equal(reader.text(query).tokens, text_features(query).tokens)
            assert np.array_equal(reader.text(query).pooled, text_features(query).pooled)
        assert list(reader.queries) == ["a dog barks", "rain", "犬"]
        packed = reader.packed()
        assert packed.frames.dtype == store
        some = reader.packed(["sub/folder", "a"])
    for index, recording_id in enumerate(packed.ids):
        rows = packed.frames[packed.start[index] : packed.start[index + 1]]
        assert np.array_equal(rows, made_frames(recording_id, COUNTS[recording_id]))
    assert some.ids == ["sub/folder", "a"]
    assert np.array_equal(some.frames[some.start[1] :], made_frames("a", 3))


@settings(max_examples=25)
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=90),
        st.integers(0, 60),
        max_size=12,
    ),
    st.integers(0, 12),
)
def test_any_ids_and_lengths_in_one_run_or_two(
    tmp_path_factory: pytest.TempPathFactory, counts: dict[str, int], first: int
) -> None:
    path = tmp_path_factory.mktemp("features") / "f.h5"
    ids = list(counts)
    for begin, part in ((Begin.NEW, ids[:first]), (Begin.APPEND, ids[first:])):
        with open_feature_output(
            path, identity_json=identity().to_json(), store="float16", begin=begin
        ) as writer:
            for recording_id in part:
                writer.add(
                    recording_id,
                    made_frames(recording_id, counts[recording_id]),
                    duration_s=counts[recording_id] * 0.48,
                )
    with FeatureFile(path) as reader:
        assert_holds(reader, counts)


def test_same_calls_same_bytes(tmp_path: Path) -> None:
    one, two = write_file(tmp_path / "one.h5"), write_file(tmp_path / "two.h5")
    assert one.read_bytes() == two.read_bytes()


def test_is_plain_hdf5_as_documented(tmp_path: Path) -> None:
    with h5py.File(write_file(tmp_path / "f.h5", queries=("rain",)), "r") as file:
        assert file.attrs["amr_format"] == "features"
        assert file.attrs["schema"] == 1
        assert json.loads(file.attrs["encoder"])["dimension"] == DIMENSION
        assert json.loads(file.attrs["history"]) == []
        assert file["audio/id"].asstr()[:].tolist() == list(COUNTS)
        assert file["audio/start"][:].tolist() == np.cumsum([0, *COUNTS.values()]).tolist()
        assert file["audio/frames"].shape == (sum(COUNTS.values()), DIMENSION)
        assert file["text/query"].asstr()[:].tolist() == ["rain"]
        assert set(file["audio"]) == {"frames", "start", "id", "duration_s", "source", "xor64", "crc32"}
        assert set(file["text"]) == {"tokens", "start", "query", "pooled", "crc32"}


def add_and_stop(path: Path) -> None:
    with open_feature_output(path, identity_json=identity().to_json(), store="float16") as writer:
        writer.add("a", made_frames("a", 3), duration_s=1.44)
        assert not path.exists()
        raise KeyboardInterrupt


def test_nothing_stands_under_the_name_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "f.h5"
    with pytest.raises(KeyboardInterrupt):
        add_and_stop(path)
    assert not path.exists()
    with FeatureFile(partial_path(path)) as reader:
        assert_holds(reader, {"a": 3})


def test_a_failure_before_the_first_recording_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyError),
        open_feature_output(tmp_path / "f.h5", identity_json=identity().to_json(), store="float16"),
    ):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    path = write_file(tmp_path / "f.h5")
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        write_file(path)
    partial_path(path).write_bytes(before)
    path.unlink()
    for begin in (Begin.NEW, Begin.APPEND):
        with (
            pytest.raises(InputError, match="an interrupted run left"),
            open_feature_output(path, identity_json=identity().to_json(), store="float16", begin=begin),
        ):
            pass
    with open_feature_output(
        path, identity_json=identity().to_json(), store="float16", begin=Begin.FORCE
    ) as writer:
        writer.add("new", made_frames("new", 1), duration_s=0.5)
    with FeatureFile(path) as reader:
        assert list(reader.ids) == ["new"]


def test_another_encoder_or_store_is_refused_with_both_named(tmp_path: Path) -> None:
    path = write_file(tmp_path / "f.h5")
    other = identity(name="other")
    with pytest.raises(InputError, match=r'"name": "fake".*"name": "other"'):
        FeatureWriter(path, identity_json=other.to_json())
    with open_features(path) as reader, pytest.raises(InputError, match=r'"name": "fake".*"name": "other"'):
        require_same_encoder(reader, other)
    with (
        pytest.raises(InputError, match="stores float16, but --store asks for float32"),
        open_feature_output(path, identity_json=identity().to_json(), store="float32", begin=Begin.APPEND),
    ):
        pass


def test_a_reader_beside_a_writer_sees_whole_commits(tmp_path: Path) -> None:
    path = tmp_path / "f.h5"
    create_feature_file(path, identity_json=identity().to_json(), store="float16")
    writer = FeatureWriter(path, identity_json=identity().to_json())
    for number in range(20):
        writer.add(f"r{number}", made_frames(f"r{number}", 40), duration_s=1.0)
        with FeatureFile(path) as reader:
            assert len(reader) == writer.committed
            assert_holds_first(reader)
    writer.close()


def assert_holds_first(reader: FeatureReader) -> None:
    for recording_id in reader.ids:
        assert np.array_equal(reader.frames(recording_id), made_frames(recording_id, 40))


def add_in_two(writer: FeatureWriter, first: Floats, second: Floats) -> None:
    with writer.recording("bad") as recording:
        recording.append(first)
        recording.append(second)


def test_wrong_frames_are_refused_and_the_file_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "f.h5"
    with open_feature_output(path, identity_json=identity().to_json(), store="float16") as writer:
        good = made_frames("a", 5)
        for wrong, message in (
            (good[:, :3], "expected"),
            (good * np.float32("nan"), "undefined"),
            (good + np.float32(1e6), "do not fit into float16"),
        ):
            with pytest.raises(InputError, match=message):
                add_in_two(writer, good, wrong)
        for name in ("", "a\0b", "broken\udcff"):
            with pytest.raises(InputError, match="name"):
                writer.add(name, good, duration_s=1.0)
        writer.add("a", good, duration_s=2.4)
        with pytest.raises(InputError, match="in the file already"):
            writer.add("a", good, duration_s=2.4)
    with FeatureFile(path) as reader:
        assert_holds(reader, {"a": 5})


def test_unknown_ids_and_queries_are_named(tmp_path: Path) -> None:
    with FeatureFile(write_file(tmp_path / "f.h5", queries=("rain",))) as reader:
        with pytest.raises(InputError, match=r"f\.h5: no features of recording 'nobody'; there are 6"):
            reader.frames("nobody")
        with pytest.raises(InputError, match="no text features of the query 'snow'; 1 queries"):
            reader.text("snow")


def test_several_files_are_one(tmp_path: Path) -> None:
    parts = [
        write_file(
            tmp_path / f"{n}.h5", {f"{n}{i}": 10 * n + i for i in range(4)}, queries=(f"q {n}", "both")
        )
        for n in range(3)
    ]
    whole = {f"{n}{i}": 10 * n + i for n in range(3) for i in range(4)}
    with open_features(*parts) as reader:
        assert_holds(reader, whole)
        assert list(reader.queries) == ["q 0", "both", "q 1", "q 2"]
        assert np.array_equal(reader.text("q 2").tokens, text_features("q 2").tokens)
        packed = reader.packed()
        assert packed.ids == list(whole)
        assert np.array_equal(packed.frames, np.concatenate([made_frames(i, n) for i, n in whole.items()]))
        assert reader.packed(["21", "00"]).ids == ["21", "00"]
        with pytest.raises(InputError, match="nobody"):
            reader.num_frames("nobody")
    with pytest.raises(InputError, match=r"2\.h5: recording '20' is in .*2\.h5 as well"):
        open_features(parts[2], parts[0], parts[2])


def test_parts_of_two_encoders_are_refused(tmp_path: Path) -> None:
    one = write_file(tmp_path / "one.h5", {"a": 1})
    other = tmp_path / "other.h5"
    with open_feature_output(
        other, identity_json=identity(hop_samples=1600).to_json(), store="float16"
    ) as writer:
        writer.add("b", made_frames("b", 1), duration_s=0.1)
    with pytest.raises(
        InputError, match=r'other\.h5: made by encoder .*"hop_samples": 1600.*one\.h5 by encoder .*7680'
    ):
        open_features(one, other)


def damage(path: Path, change: Callable[[h5py.File], None]) -> Path:
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def replace(name: str, **dataset: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **dataset)

    return change


def link(name: str, target: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = target

    return change


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(7,), dtype="i8")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", shape=(7,))
    del file["audio/start"]
    file.create_virtual_dataset("audio/start", layout)


DAMAGES = {
    "no attribute": (lambda f: f.attrs.__delitem__("amr_format"), "not of features of amr"),
    "another kind": (lambda f: f.attrs.__setitem__("amr_format", 3), "not of features of amr"),
    "a later schema": (
        lambda f: f.attrs.__setitem__("schema", 2),
        "feature schema 2, this version reads schema 1",
    ),
    "no encoder": (lambda f: f.attrs.__delitem__("encoder"), "not an encoder's identity"),
    "encoder is a list": (lambda f: f.attrs.__setitem__("encoder", "[1]"), "not an encoder's identity"),
    "encoder of 0 Hz": (
        lambda f: f.attrs.__setitem__("encoder", f.attrs["encoder"].replace("16000", "0")),
        "not an encoder's identity",
    ),
    "a column is missing": (lambda f: f.__delitem__("audio/duration_s"), "/audio/duration_s is missing"),
    "a group is missing": (lambda f: f.__delitem__("audio"), "/audio is missing"),
    "external link": (
        link("audio/frames", h5py.ExternalLink("other.h5", "/x")),
        "ExternalLink, which is refused",
    ),
    "soft link": (link("audio/id", h5py.SoftLink("/audio/source")), "SoftLink, which is refused"),
    "data elsewhere": (
        replace("audio/start", shape=(7,), dtype="i8", external=[("raw.bin", 0, 56)]),
        "in other files, which is refused",
    ),
    "virtual data": (virtual, "in other files, which is refused"),
    "start falls": (lambda f: f["audio/start"].__setitem__(3, 0), "does not rise"),
    "start past the end": (lambda f: f["audio/start"].__setitem__(6, 10**9), "does not rise"),
    "a column too short": (lambda f: f["audio/id"].resize(3, axis=0), "has 3 rows, expected 6"),
    "frames of another width": (
        replace("audio/frames", shape=(435, 3), dtype="f2"),
        "3 columns, the encoder has 8",
    ),
    "frames of text": (replace("audio/frames", data=np.full((435, 8), b"x")), "3.*|S1 of 8 columns"),
    "negative seconds": (lambda f: f["audio/duration_s"].__setitem__(0, -1.0), "negative or undefined"),
    "a dataset for a group": (link("audio", np.zeros(3)), "/audio is not a group"),
    "2^60 rows of start": (
        replace("audio/start", shape=(2**60,), dtype="i8", chunks=(1024,), maxshape=(None,)),
        "claims 1152921504606846976 rows",
    ),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_what_is_no_feature_file_is_refused(tmp_path: Path, kind: str) -> None:
    change, message = DAMAGES[kind]
    path = damage(write_file(tmp_path / "f.h5"), change)
    with pytest.raises(InputError, match=message) as caught:
        FeatureFile(path)
    assert caught.value.where == str(path)


def test_a_recording_of_2_to_the_60_frames_takes_no_memory(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        replace("audio/frames", shape=(2**60, DIMENSION), dtype="f2", chunks=(1024, DIMENSION))(file)
        file["audio/start"][-1] = 2**60
        del file["audio/xor64"]  # as in a file of an earlier version

    with FeatureFile(damage(write_file(tmp_path / "f.h5"), change)) as reader:
        for read in (lambda: reader.frames("empty"), reader.packed, lambda: list(reader)):
            with pytest.raises(InputError, match=r"more than .* bytes of file hold"):
                read()


def test_a_doubled_id_is_refused(tmp_path: Path) -> None:
    path = damage(write_file(tmp_path / "f.h5"), lambda f: f["audio/id"].__setitem__(1, b"a"))
    with FeatureFile(path) as reader, pytest.raises(InputError, match="recording 'a' is in the file twice"):
        reader.frames("a")


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all" * 50, b"\x89HDF\r\n\x1a\n" + b"\x00" * 2000])
def test_other_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f.h5"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is not an HDF5 file|is a damaged HDF5 file"):
        open_features(path)


@fault(
    "input",
    "a feature file is cut, anywhere",
    code=3,
    says="",
    left="it is refused, or all that it says it has is there",
)
def test_a_file_cut_anywhere_is_refused_or_read_whole(tmp_path: Path) -> None:
    whole = write_file(tmp_path / "whole.h5").read_bytes()
    path = tmp_path / "cut.h5"
    refused = 0
    for length in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:length])
        try:
            with FeatureFile(path) as reader:
                assert_holds(reader, COUNTS)
        except InputError:
            refused += 1
    assert refused >= 38


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such feature file"):
        open_features(tmp_path / "none.h5")


def test_an_interrupted_file_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        add_and_stop(tmp_path / "f.h5")
    with pytest.raises(InputError) as caught:
        open_features(tmp_path / "f.h5")
    assert caught.value.hint.startswith("an interrupted run left")


def test_a_million_recordings_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 1_000_000
    path = tmp_path / "f.h5"
    create_feature_file(path, identity_json=identity().to_json(), store="float16")
    with h5py.File(path, "r+") as file:
        audio = file["audio"]
        for name, values in {
            "start": np.arange(count + 1),
            "duration_s": np.full(count, 0.5),
            "id": np.array([b"recording_%07d.x" % n for n in range(count)]),
            "source": np.array([b"audio/%07d.wav" % n for n in range(count)]),
            "frames": np.zeros((count, DIMENSION), np.float16),
        }.items():
            audio[name].resize(len(values), axis=0)
            audio[name][:] = values.astype(audio[name].dtype)
    reads: list[tuple[str, int]] = []
    plain = h5py.Dataset.__getitem__

    def counted(column: h5py.Dataset, rows: object) -> object:
        values = plain(column, rows)
        reads.append((str(column.name), len(values)))
        return values

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counted)
    with FeatureFile(path) as reader:
        assert reads == [("/audio/start", count + 1), ("/audio/duration_s", count)]
        reader.frames("recording_0999999.x")
        assert reads[2:] == [("/audio/id", count), ("/audio/frames", 1), ("/audio/xor64", 0)]
        for number in range(0, count, 10_000):
            assert reader.frames(f"recording_{number:07d}.x").shape == (1, DIMENSION)
        assert reads[5:] == [("/audio/frames", 1)] * 100
