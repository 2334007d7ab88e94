"""``amr extract`` as a person runs it: real files, real pipes, exit codes, one line for every mistake."""

from __future__ import annotations

import json
import os
import pty
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fault_table import fault
from feature_fakes import FakeEncoder, text_features
from waiting import HANG_S, wait_for

from amr.cli.main import run
from amr.encoders.running.stream import encode_recording
from amr.formats.features.atomic import JournaledFile
from amr.formats.features.open import open_features
from amr.formats.features.read import FeatureFile

TESTS = Path(__file__).parents[1]
FAKE = ["--encoder", "feature_fakes:FakeEncoder", "--device", "cpu", "--store", "float32"]
SECONDS = {"dog": 3.0, "a/rain_4.0_64.0": 0.3, "a/-bell": 61.5, "b/siren": 10.0}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four recordings in ``audio/``, and the tests' working folder beside it."""
    for number, (name, seconds) in enumerate(SECONDS.items()):
        path = tmp_path / "audio" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        sound = np.random.default_rng(number).uniform(-0.2, 0.2, round(seconds * 8000))
        soundfile.write(path, sound.astype(np.float32), 8000)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def extract(*arguments: str | Path) -> int:
    return run(["extract", *map(str, arguments), *FAKE])


def process(*arguments: str, stdin: bytes = b"", **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "amr", "extract", *arguments, "--device", "cpu"]
    return subprocess.run(
        command, input=stdin, capture_output=True, env=environment(), check=False, **options
    )  # type: ignore[call-overload, no-any-return]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}", "OMP_NUM_THREADS": "1"}


def expected_ids() -> list[str]:
    return ["-bell", "rain_4.0_64.0", "siren", "dog"]


def break_one(folder: Path) -> Path:
    path = folder / "audio" / "b" / "siren.wav"
    path.write_bytes(path.read_bytes()[:5000])
    return path


def test_a_folder_becomes_a_feature_file(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert extract("audio") == 0
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "4 recordings, 1:1" in printed.err
    assert "4 in feats.h5" in printed.err
    with open_features("feats.h5") as reader:
        assert list(reader.ids) == expected_ids()
        for name, seconds in SECONDS.items():
            recording_id = Path(name).name
            assert reader.duration_s(recording_id) == pytest.approx(seconds)
            assert reader.source(recording_id) == f"audio/{name}.wav"
            frames, _, _ = encode_recording(FakeEncoder(), folder / "audio" / f"{name}.wav")
            assert np.allclose(reader.frames(recording_id), frames, atol=1e-6)
    assert sorted(path.name for path in folder.iterdir()) == ["audio", "feats.h5"]


def test_quiet_is_quiet(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert extract("audio", "-q") == 0
    assert capfd.readouterr() == ("", "")


def test_each_distinct_query_once(folder: Path) -> None:
    queries = ["a dog barks", "rain", "a dog barks", "犬が吠える"]
    lines = [json.dumps({"qid": n, "query": query, "vid": "dog"}) for n, query in enumerate(queries)]
    Path("gt.jsonl").write_text("\n".join(lines))
    assert extract("audio/dog.wav", "--queries", "gt.jsonl", "-o", "f.h5") == 0
    assert extract("--queries", "gt.jsonl", "-o", "text.h5") == 0  # text alone
    for path in ("f.h5", "text.h5"):
        with FeatureFile(path) as reader:
            assert list(reader.queries) == ["a dog barks", "rain", "犬が吠える"]
            for query in queries:
                assert np.array_equal(reader.text(query).tokens, text_features(query).tokens)
            [entry] = reader.history
            assert list(entry["sha256"]) == ["gt.jsonl"]
            assert entry["command"].startswith("amr extract ")


@pytest.mark.parametrize("end", [b"\n", b"\0", b"\r\n"])
def test_names_on_standard_input(folder: Path, end: bytes) -> None:
    names = end.join([b"audio/dog.wav", b"audio/a/-bell.wav"])
    done = process("-", "-o", "f.h5", "--encoder", "feature_fakes:FakeEncoder", stdin=names)
    assert done.returncode == 0, done.stderr
    with open_features("f.h5") as reader:
        assert list(reader.ids) == ["dog", "-bell"]


def test_shards_make_the_whole(folder: Path) -> None:
    Path("q.txt").write_text("rain\nwind\nsnow\nhail\n")
    assert extract("audio", "--queries", "q.txt", "-o", "whole.h5") == 0
    parts = []
    for part in (1, 2, 3):
        assert extract("audio", "--queries", "q.txt", "--shard", f"{part}/3", "-o", f"{part}.h5") == 0
        parts.append(f"{part}.h5")
    with open_features(*parts) as merged, open_features("whole.h5") as whole:
        assert sorted(merged.ids) == sorted(whole.ids)
        assert sorted(merged.queries) == sorted(whole.queries)
        assert len({len(open_features(part)) for part in parts}) > 1 or len(whole) % 3 == 0
        for recording in whole:
            assert np.array_equal(merged.frames(recording.id), recording.frames)


def test_limit_hop_and_window(folder: Path) -> None:
    assert extract("audio", "--limit", "2", "--hop", "0.24", "-o", "f.h5") == 0
    with open_features("f.h5") as reader:
        assert list(reader.ids) == expected_ids()[:2]
        assert reader.hop_s == pytest.approx(0.24)
    choosy = ["--encoder", "feature_fakes:ChoosyEncoder", "--device", "cpu", "--window", "2.5"]
    assert run(["extract", "audio", "-o", "w.h5", *choosy]) == 0
    with open_features("w.h5") as reader:
        assert reader.window_s == 2.5


def test_resume_adds_what_is_missing_and_nothing_else(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert extract("audio/a", "-o", "f.h5") == 0
    capfd.readouterr()
    assert extract("audio", "-o", "f.h5", "--resume") == 0
    assert "2 recordings" in capfd.readouterr().err
    assert extract("audio", "-o", "f.h5", "--append") == 0
    assert "0 recordings" in capfd.readouterr().err
    with open_features("f.h5") as reader:
        assert sorted(reader.ids) == sorted(expected_ids())


def test_keep_going_names_the_broken_and_does_the_rest(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = break_one(folder)
    whole = broken.read_bytes()
    named = sorted(str(path) for path in Path("audio").rglob("*.wav"))
    assert extract(*named, "-o", "f.h5") == 3
    printed = capfd.readouterr().err
    assert "amr extract: error: audio/b/siren.wav: is cut" in printed
    assert "--keep-going" in printed
    assert not Path("f.h5").exists()
    assert extract("audio", "-o", "f.h5", "--resume", "--keep-going") == 5
    printed = capfd.readouterr().err
    assert "audio/b/siren.wav: is cut" in printed
    assert "1 broken, the rest is done" in printed
    with open_features("f.h5") as reader:
        assert list(reader.ids) == ["-bell", "rain_4.0_64.0", "dog"]
    soundfile.write(broken, np.zeros(8000), 8000)  # mended
    assert broken.read_bytes() != whole
    assert extract("audio", "-o", "f.h5", "--resume") == 0
    with open_features("f.h5") as reader:
        assert sorted(reader.ids) == sorted(expected_ids())


MISTAKES: dict[str, tuple[list[str], int, str]] = {
    "nothing named": ([], 2, "no recordings are named"),
    "no such file": (["none.wav"], 3, "none.wav: no such file or folder"),
    "no match": (["audio/*.flac"], 3, "no audio file matches this pattern"),
    "a folder without audio": (["empty"], 3, "empty: holds no audio files"),
    "output in no folder": (["audio", "-o", "none/f.h5"], 3, "the folder of this output does not exist"),
    "output is a folder": (["audio", "-o", "empty"], 3, "empty: is a folder"),
    "output may not be written": (["audio", "-o", "/proc/f.h5"], 3, "/proc/"),
    "output is a pipe": (["audio", "-o", "-"], 2, "cannot be written to a pipe"),
    "output is something else": (["audio", "-o", "text.txt", "--append"], 3, "text.txt: is not an HDF5 file"),
    "output is there": (["audio", "-o", "text.txt"], 3, "text.txt: exists already"),
    "resume and force": (["audio", "--resume", "--force"], 2, "exclude each other"),
    "a strange shard": (["audio", "--shard", "3/2"], 2, "--shard"),
    "no such encoder": (["audio", "--encoder", "none"], 2, "no encoder 'none'"),
    "an encoder that cannot be imported": (
        ["audio", "--encoder", "none.such:Thing"],
        4,
        "cannot be imported",
    ),
    "a fixed window": (["audio", "--window", "2"], 2, "has one fixed window"),
    "no such queries": (["audio", "--queries", "none.jsonl"], 3, "none.jsonl: no such file"),
    "a query without text": (["audio", "--queries", "bad.jsonl"], 3, "bad.jsonl:1"),
    "a strange device": (["audio", "--device", "tpu"], 2, "'tpu' is not a device"),
    "undefined frames": (
        ["loud.wav", "--encoder", "feature_fakes:BrokenEncoder"],
        3,
        "loud.wav: the encoder gave undefined",
    ),
    "frames too large": (
        ["audio/dog.wav", "--encoder", "feature_fakes:HugeEncoder", "--store", "float16"],
        3,
        "do not fit into float16",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(
    folder: Path, capfd: pytest.CaptureFixture[str], mistake: str
) -> None:
    Path("empty").mkdir()
    Path("text.txt").write_text("not HDF5")
    Path("bad.jsonl").write_text('{"qid": 1}\n')
    soundfile.write("loud.wav", np.tile([0.99, -0.99], 8000), 16_000)
    before = sorted(map(str, folder.rglob("*")))
    arguments, code, message = MISTAKES[mistake]
    assert run(["extract", *FAKE, *arguments]) == code
    lines = capfd.readouterr().err.splitlines()
    assert lines[0].startswith("amr extract: error: ")
    assert message in lines[0]
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: "))
    assert sorted(map(str, folder.rglob("*"))) == before


def test_another_encoder_is_refused(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert extract("audio", "-o", "f.h5") == 0
    before = Path("f.h5").read_bytes()
    assert extract("audio", "-o", "f.h5", "--append", "--hop", "0.1") == 3
    printed = capfd.readouterr().err
    assert '"hop_samples": 7680' in printed
    assert '"hop_samples": 1600' in printed
    assert Path("f.h5").read_bytes() == before


@pytest.mark.parametrize("option", ["--append", "--resume"])
def test_a_growing_archive_holds_each_recording_once(
    folder: Path, capfd: pytest.CaptureFixture[str], option: str
) -> None:
    assert extract("audio/dog.wav", "-o", "f.h5") == 0
    Path("other").mkdir()
    soundfile.write("other/dog.wav", np.zeros(8000), 8000)
    assert extract("other", "audio/dog.wav", "-o", "f.h5", option) == 0
    assert "other/dog.wav: is called by its path" in capfd.readouterr().err
    for arguments in (["."], ["other"], [str(folder / "audio/dog.wav"), "other/../other"]):
        assert extract(*arguments, "-o", "f.h5", option) == 0
    with open_features("f.h5") as reader:
        assert [name for name in reader.ids if name.endswith("dog")] == ["dog", "other/dog"]
        assert len(set(map(reader.source, reader.ids))) == len(reader)


def test_an_archive_that_grows_from_several_folders(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for site in ("A", "B"):
        Path(site).mkdir()
        soundfile.write(f"{site}/x.wav", np.zeros(8000), 8000)
    for site in ("A", "B", "A", "B"):
        monkeypatch.chdir(folder / site)
        assert extract("x.wav", "-o", "../f.h5", "--append") == 0
    with open_features("../f.h5") as reader:
        assert [(name, reader.source(name)) for name in reader.ids] == [("x", "x.wav"), ("B/x", "../B/x.wav")]


def test_a_second_writer_is_refused(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert extract("audio", "-o", "f.h5") == 0
    with JournaledFile(Path("f.h5")):
        assert extract("audio", "-o", "f.h5", "--append") == 3
    assert "another process is writing this file" in capfd.readouterr().err


def test_a_name_that_is_no_text(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    os.link("audio/dog.wav", os.fsdecode(b"audio/caf\xe9.wav"))
    assert extract("audio", "-o", "f.h5", "--keep-going") == 5
    assert "the file's name is not UTF-8" in capfd.readouterr().err
    with open_features("f.h5") as reader:
        assert len(reader) == 4


@fault(
    "disk",
    "a file may not grow any more while `extract` writes",
    code=4,
    says="f.h5: no room to write on",
    left="what is finished; `--resume` goes on when there is room",
)
def test_a_full_disk_loses_nothing(folder: Path) -> None:
    """A limit on the size of files, as a disk that has no more room; with room again the work goes on."""
    limit = 60_000

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    arguments = [
        "audio",
        "-o",
        "f.h5",
        "--encoder",
        "feature_fakes:FakeEncoder",
        "--store",
        "float32",
        "--hop",
        "0.02",
    ]
    done = process(*arguments, preexec_fn=no_room)
    assert done.returncode == 4, done.stderr
    lines = done.stderr.decode().splitlines()
    assert lines[0].startswith("amr extract: error: f.h5: no room to write on")
    assert lines[1].startswith("hint: make room, and repeat the command with --resume")
    assert len(lines) == 2
    assert not Path("f.h5").exists()
    assert process(*arguments, "--resume").returncode == 0
    with open_features("f.h5") as reader:
        assert list(reader.ids) == expected_ids()


@fault(
    "signals",
    "Ctrl-C while `extract` works",
    code=130,
    says="interrupted; repeat the command with --resume to continue f.h5",
    left="every finished recording, in the part",
)
def test_interrupted_keeps_what_is_done(folder: Path) -> None:
    for copy in range(60):
        os.link("audio/dog.wav", f"audio/copy{copy:02d}.wav")
    arguments = ["audio", "-o", "f.h5", "--encoder", "feature_fakes:SlowestEncoder"]
    command = [sys.executable, "-m", "amr", "extract", *arguments, "--device", "cpu"]
    work = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE)
    wait_for(lambda: Path("f.h5.part").exists() and recordings_in("f.h5.part") > 0)
    work.send_signal(signal.SIGINT)
    _, stderr = work.communicate(timeout=HANG_S)
    assert work.returncode == 130
    assert b"interrupted; repeat the command with --resume to continue f.h5" in stderr
    assert b"Traceback" not in stderr
    done = recordings_in("f.h5.part")
    assert not Path("f.h5").exists()
    assert process(*arguments, "--resume").returncode == 0
    with open_features("f.h5") as reader:
        assert len(reader) == 64 > done > 0


def recordings_in(path: str) -> int:
    with FeatureFile(path) as reader:
        return len(reader)


def test_progress_is_for_terminals_and_never_in_the_product(folder: Path) -> None:
    mine, theirs = pty.openpty()
    command = [sys.executable, "-m", "amr", "extract", "audio", "-o", "f.h5", *FAKE]
    work = subprocess.Popen(
        command, env={**environment(), "TERM": "xterm"}, stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(mine, 4096):
            shown += chunk
    except OSError:
        pass  # the terminal's other end is closed: Linux says so with an error
    assert work.communicate()[0] == b""
    assert work.returncode == 0
    assert b"of 4 recordings" in shown
    assert b"x real time" in shown


def test_a_terminal_on_standard_input_is_refused(folder: Path) -> None:
    mine, theirs = pty.openpty()
    command = [sys.executable, "-m", "amr", "extract", "-", "-o", "f.h5", *FAKE]
    done = subprocess.run(
        command, stdin=theirs, capture_output=True, env=environment(), check=False, timeout=HANG_S
    )
    os.close(mine)
    os.close(theirs)
    assert done.returncode == 2
    assert b"standard input is a terminal" in done.stderr
