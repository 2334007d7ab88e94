"""``amr convert`` as a command: out to other tools and back, clips, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import Amr

from amr.audio.stretch import between, length_s, open_stretch, read_mono
from amr.errors import InputError
from amr.formats.exchange.tracks import Track, Window
from amr.tasks.clips import fit, plan_clips, stamp, write_clips
from amr.tasks.recordings import RecordingFiles, find_recordings

RATE_HZ = 8000


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Predictions on two recordings, one of them ``-a b`` in stereo; each sample says where it is."""
    (tmp_path / "audio").mkdir()
    ramp = np.arange(10 * RATE_HZ) / (10 * RATE_HZ)
    soundfile.write(tmp_path / "audio" / "street.wav", ramp, RATE_HZ, subtype="PCM_16")
    soundfile.write(tmp_path / "audio" / "-a b.flac", np.stack([ramp, -ramp], axis=1), RATE_HZ)
    records = [
        {
            "qid": 1,
            "query": "a dog / barks: “wau”",
            "vid": "street",
            "duration": 10.0,
            "pred_relevant_windows": [[2, 3, 0.9], [0.5, 1.25, 0.4]],
        },
        {"qid": "x", "query": "rain", "vid": "-a b", "pred_relevant_windows": [[8, 9.5, 0.7]]},
    ]
    (tmp_path / "preds.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return tmp_path


def test_out_to_audacity_and_back(files: Path, amr: Amr) -> None:
    assert amr("convert", "preds.jsonl", "--to", "audacity", "--dir", "labels").stderr == ""
    street = files / "labels" / "street.txt"
    assert street.read_text() == (
        "0.500000\t1.250000\ta dog / barks: “wau”\n2.000000\t3.000000\ta dog / barks: “wau”\n"
    )
    street.write_text(street.read_text().replace("2.000000", "2.250000"))
    labels = sorted(str(path) for path in (files / "labels").iterdir())
    done = amr("convert", "--to", "annotations", "--ids", "preds.jsonl", "--audio", "audio", "--", *labels)
    assert (done.returncode, done.stderr) == (0, "")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(records, key=lambda record: record["vid"]) == [
        {"qid": "x", "query": "rain", "duration": 10.0, "vid": "-a b", "relevant_windows": [[8, 9.5]]},
        {
            "qid": 1,
            "query": "a dog / barks: “wau”",
            "duration": 10.0,
            "vid": "street",
            "relevant_windows": [[0.5, 1.25], [2.25, 3]],
        },
    ]


def test_csv_from_a_pipe_with_the_best_only(files: Path, amr: Amr) -> None:
    text = (files / "preds.jsonl").read_text()
    done = amr("convert", "-", "--to", "csv", "--top", "1", stdin=text)
    assert done.stdout == (
        "vid,qid,query,start_s,end_s,score,rank,duration_s\n"
        "street,1,a dog / barks: “wau”,2,3,0.9,1,10\n"
        "'-a b,x,rain,8,9.5,0.7,1,\n"
    )
    back = amr("convert", "-", "--from", "csv", "--to", "predictions", stdin=done.stdout)
    assert json.loads(back.stdout.splitlines()[0])["pred_relevant_windows"] == [[2, 3, 0.9]]


def test_clips_are_named_in_order_and_hold_the_moment(files: Path, amr: Amr) -> None:
    done = amr("convert", "preds.jsonl", "--clips", "clips", "--audio", "audio", "--context", "0.25")
    assert (done.returncode, done.stderr) == (0, "")
    names = [Path(json.loads(line)["clip"]).name for line in done.stdout.splitlines()]
    assert sorted(names[:2]) == names[:2]
    assert names == [
        "street_00h00m00.500s-00h00m01.250s_a_dog_barks_wau.wav",
        "street_00h00m02.000s-00h00m03.000s_a_dog_barks_wau.wav",
        "-a_b_00h00m08.000s-00h00m09.500s_rain.wav",
    ]
    mono, rate_hz = soundfile.read(files / "clips" / names[1])
    assert rate_hz == RATE_HZ
    assert len(mono) == 1.5 * RATE_HZ
    assert mono[0] == pytest.approx(0.175, abs=1e-4)
    stereo, _ = soundfile.read(files / "clips" / names[2])
    assert stereo.shape == (2 * RATE_HZ, 2)
    assert stereo[0] == pytest.approx([0.775, -0.775], abs=1e-4)


def test_clips_are_not_replaced_unasked(files: Path, amr: Amr) -> None:
    assert amr("convert", "preds.jsonl", "--clips", "clips", "--audio", "audio").returncode == 0
    again = amr("convert", "preds.jsonl", "--clips", "clips", "--audio", "audio")
    assert again.returncode == 3
    assert "exists already" in again.stderr
    assert amr("convert", "preds.jsonl", "--clips", "clips", "--audio", "audio", "-f").returncode == 0


@pytest.mark.parametrize("form", ["flac", "ogg", "mp3"])
def test_clips_in_other_forms(files: Path, form: str) -> None:
    tracks = [Track("street", "q", [Window(1, 2, 0.5)])]
    sounds = find_recordings([str(files / "audio")], ["street"])
    (clip,) = write_clips(plan_clips(tracks, files, form), sounds)
    assert soundfile.info(clip.path).duration == pytest.approx(1, abs=0.1)
    assert [entry.name for entry in files.iterdir() if entry.name.startswith(".")] == []


def test_hostile_names_stay_in_the_folder(files: Path) -> None:
    tracks = [
        Track("../../etc/passwd", "../..", [Window(0, 1)]),
        Track("...", "\n\x00", [Window(0, 1), Window(0, 1)]),
        Track("A", "x", [Window(0, 1)]),
        Track("a", "x", [Window(0, 1)]),
    ]
    clips = plan_clips(tracks, files, "wav")
    assert {clip.path.parent for clip in clips} == {files}
    names = [clip.path.name for clip in clips]
    assert len({name.lower() for name in names}) == 5
    for name in names:
        assert "/" not in name
        assert not name.startswith(".")
        assert name.isprintable()
    with pytest.raises(InputError, match="not among --audio"):
        list(write_clips(clips, RecordingFiles({}, [])))


def test_a_moment_after_the_end_is_told(files: Path) -> None:
    clips = plan_clips([Track("street", "q", [Window(20, 21)])], files, "wav")
    with pytest.raises(InputError, match="lies after the end"):
        list(write_clips(clips, find_recordings([str(files / "audio")], ["street"])))
    assert not clips[0].path.exists()


def test_stretches(files: Path) -> None:
    path = files / "audio" / "street.wav"
    whole, _ = soundfile.read(path, dtype="float32")
    for start_s, end_s in [(0, 10), (1.5, 1.5), (2, 3.25), (9, 20), (-1, 0.5), (30, 40)]:
        expected = whole[max(0, round(start_s * RATE_HZ)) : max(0, round(end_s * RATE_HZ))]
        np.testing.assert_array_equal(read_mono(path, start_s, end_s)[0], expected)
        blocks = [whole[i : i + 777, None] for i in range(0, len(whole), 777)]
        parts = list(between(blocks, round(start_s * RATE_HZ), round(end_s * RATE_HZ)))
        np.testing.assert_array_equal(np.concatenate([whole[:0, None], *parts])[:, 0], expected)
    assert length_s(path) == 10
    with open_stretch(path, 0, 1) as (_, rate_hz):
        assert rate_hz == RATE_HZ


def test_stamps_sort() -> None:
    times = [0, 0.0004, 9.9996, 59.9996, 61, 3599.9, 3600, 36_000.5]
    assert [stamp(time) for time in times] == sorted(stamp(time) for time in times)
    assert stamp(59.9996) == "00h01m00.000s"
    assert fit("", 10) == "_"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("", 2, "no INPUT is named"),
        ("preds.jsonl", 2, "found none of them"),
        ("preds.jsonl --to csv --clips x", 2, "found --to and --clips"),
        ("preds.jsonl --to csv --dir x", 2, "--dir needs --to audacity"),
        ("preds.jsonl --to audacity", 2, "one recording a file, and the input has 2"),
        ("preds.jsonl --clips x", 2, "name them"),
        ("preds.jsonl --dcase form.ini", 2, "--queries: a submission needs this option"),
        ("preds.jsonl --to csv -o preds.jsonl", 3, "exists already"),
        ("nowhere.csv --to annotations", 3, "no such file"),
        ("audio/street.wav --to csv", 2, "does not tell the form of the file"),
        ("audio/street.wav --from csv --to csv", 3, "is not UTF-8 text"),
    ],
)
def test_refusals(
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
    code: int,
    words: str,
) -> None:
    from amr.cli import main

    monkeypatch.chdir(files)
    before = sorted(path.name for path in files.rglob("*"))
    assert main.run(["convert", *arguments.split()]) == code
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.out == ""
    assert sorted(path.name for path in files.rglob("*")) == before


def test_a_submission_from_the_printed_form(files: Path, amr: Amr) -> None:
    form = amr("convert", "--dcase-form").stdout
    values = {"email": "jo@example.org", "trainable_parameters": "1", "frozen_parameters": "2"}
    values |= {"recall1@0.7": "1", "recall1@0.5": "2"}
    lines = [
        line if not line.endswith(" =") else f"{line} {values.get(line.removesuffix(' ='), 'abc')}"
        for line in form.splitlines()
    ]
    (files / "form.ini").write_text("\n".join(lines))
    (files / "report.pdf").write_bytes(b"%PDF-1.7")
    arguments = (
        "convert",
        "preds.jsonl",
        "--dcase",
        "form.ini",
        "--queries",
        "preds.jsonl",
        "--report",
        "report.pdf",
    )
    done = amr(*arguments, "-o", "submission.zip")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (files / "submission.zip").read_bytes().startswith(b"PK")
