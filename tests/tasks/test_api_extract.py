"""``amr.extract`` from Python: the command line's file, a report of it, and the caller's callbacks."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from fault_world import IDS, make_world
from feature_fakes import ChoosyEncoder, FakeEncoder

from amr.cli.main import run
from amr.errors import AmrError, InputError, StoppedError, UsageError
from amr.formats.features.open import open_features
from amr.tasks.callbacks import Progress
from amr.tasks.extract import ExtractReport, extract
from amr.tasks.extract.merge import merge_features
from amr.tasks.extract.npz import export_npz, import_npz

FAKE = "feature_fakes:FakeEncoder"
SOUND_S = sum(1 + number / 2 for number in range(6))
CUT = "audio/recording2.wav"


@pytest.fixture(autouse=True)
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six recordings in ``audio/``, 13.5 s together, and two queries."""
    make_world(tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("q.jsonl").write_text('{"qid": 1, "query": "rain"}\n{"qid": 2, "query": "a bell"}\n')
    return tmp_path


def cut_one() -> None:
    Path(CUT).write_bytes(Path(CUT).read_bytes()[:5000])


def contents(path: str | Path) -> dict[str, object]:
    """All that a feature file holds, by name."""
    with h5py.File(path, "r") as file:
        found: dict[str, object] = {f"@{name}": value for name, value in file.attrs.items()}
        file.visititems(
            lambda name, item: (
                found.update({name: item[:].tolist()}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ([], {}),
        (["--queries", "q.jsonl", "--store", "float32"], {"queries": Path("q.jsonl"), "store": "float32"}),
        (["--shard", "2/3", "--hop", "0.48"], {"shard": (1, 3), "hop_s": 0.48}),
        (["--limit", "2", "--workers", "1"], {"limit": 2, "workers": 1}),
    ],
)
def test_the_same_file_as_the_command_line(options: list[str], settings: dict[str, object]) -> None:
    line = ["extract", "audio", "-o", "cli.h5", "-q", "--encoder", FAKE, "--device", "cpu", *options]
    assert run(line) == 0
    extract(["audio"], "api.h5", encoder=FAKE, device="cpu", **settings)  # type: ignore[arg-type]
    assert contents("api.h5") == contents("cli.h5")


def test_a_report_of_what_was_done() -> None:
    report = extract("audio/recording0.wav", "f.h5", encoder=FAKE)
    assert (report.written, report.passed_over, report.total, report.failed) == (1, 0, 1, ())
    report = extract(Path("audio"), "f.h5", encoder=FAKE, append=True)
    assert (report.written, report.passed_over, report.total) == (5, 1, 6)
    assert report.output == Path("f.h5")
    assert report.sound_s == pytest.approx(SOUND_S - 1)  # their lengths, not those of their frames
    assert json.loads(json.dumps(report.record()))["written"] == 5
    assert "<td>recordings written</td><td>5</td>" in report._repr_html_()


def test_a_report_shows_what_was_wrong_as_text() -> None:
    failed = (InputError("is <b>cut</b>", where="x.wav"),)
    shown = ExtractReport(Path("f.h5"), failed=failed)._repr_html_()
    assert "<td>x.wav</td><td>is &lt;b&gt;cut&lt;/b&gt;</td>" in shown


def test_the_first_broken_recording_that_is_named_raises() -> None:
    cut_one()
    with pytest.raises(InputError, match=f"{CUT}: is cut"):
        extract(sorted(Path("audio").iterdir()), "f.h5", encoder=FAKE)
    assert not Path("f.h5").exists()


def test_failures_are_given_to_the_caller() -> None:
    cut_one()
    seen: list[AmrError] = []
    report = extract("audio", "f.h5", encoder=FAKE, on_failure=seen.append)
    assert [error.where for error in seen] == [CUT]
    assert report.failed == tuple(seen)
    assert (report.written, report.tried) == (5, 6)
    with open_features("f.h5") as reader:
        assert sorted(reader.ids) == sorted(set(IDS) - {"recording2"})


def test_progress_rises_from_nothing_to_all() -> None:
    seen: list[Progress] = []
    extract("audio", "f.h5", encoder=FAKE, on_progress=seen.append)
    assert (seen[0].done, seen[0].total, seen[0].sound_s) == (0, 6, 0.0)
    assert (seen[-1].done, seen[-1].share) == (6, 1.0)
    assert all(a.sound_s <= b.sound_s and a.share <= b.share for a, b in pairwise(seen))


def test_stopping_keeps_what_is_done_for_resume() -> None:
    done: list[int] = []
    with pytest.raises(StoppedError):
        extract(
            "audio",
            "f.h5",
            encoder=FAKE,
            on_progress=lambda progress: done.append(progress.done),
            should_stop=lambda: bool(done) and done[-1] >= 2,
        )
    assert not Path("f.h5").exists()
    report = extract("audio", "f.h5", encoder=FAKE, resume=True)
    assert (report.written, report.passed_over) == (4, 2)
    extract("audio", "whole.h5", encoder=FAKE)
    assert contents("f.h5") == contents("whole.h5")


def test_an_encoder_that_is_loaded_already() -> None:
    extract("audio", "f.h5", encoder=ChoosyEncoder(window_s=2.0))
    extract("audio", "g.h5", encoder="feature_fakes:ChoosyEncoder", window_s=2.0)
    with open_features("f.h5") as given, open_features("g.h5") as made:
        assert given.identity_json == made.identity_json
        assert all(np.array_equal(given.frames(name), made.frames(name)) for name in IDS)
    with pytest.raises(UsageError, match="has its settings already"):
        extract("audio", "h.h5", encoder=FakeEncoder(), hop_s=1.0)


def test_parts_and_trees() -> None:
    settings = {"queries": "q.jsonl", "encoder": FAKE, "store": "float32"}
    extract("audio", "whole.h5", **settings)  # type: ignore[arg-type]
    for part in range(3):
        extract("audio", f"{part + 1}of3.h5", shard=(part, 3), **settings)  # type: ignore[arg-type]
    merged = merge_features(["3of3.h5", "1of3.h5", "2of3.h5"], "merged.h5")
    assert (merged.parts, merged.total, merged.lost) == (3, 6, 0)
    lost: list[AmrError] = []
    assert merge_features(["3of3.h5", "1of3.h5"], "part.h5", on_failure=lost.append).lost == 1
    assert [error.what for error in lost] == ["part 2/3 missing: 2of3.h5"]
    done = export_npz(["whole.h5"], "tree", queries="q.jsonl")
    assert (done.recordings, done.queries) == (6, 2)
    assert import_npz("tree", "again.h5", store="float32").recordings == 6
    with open_features("whole.h5") as whole, open_features("merged.h5") as joined:
        assert all(np.array_equal(whole.frames(name), joined.frames(name)) for name in IDS)


def test_torch_is_not_imported() -> None:
    code = "import sys, amr.tasks.extract, amr.cli.extract; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
