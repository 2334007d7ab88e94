"""Converting, cutting and drawing from Python: files and records come out, nothing is printed."""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from amr.errors import InputError, UsageError
from amr.tasks.callbacks import Progress
from amr.tasks.convert import MomentFiles, convert_moments, cut_clips
from amr.tasks.plot import draw_moments, draw_scores, draw_text, write_figure, write_page


@pytest.fixture
def predictions(tmp_path: Path) -> str:
    """Two queries on ``street``; the second one has an inverted window too."""
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio" / "street.wav", np.sin(np.arange(80_000) / 3) * 0.3, 8000)
    common = {"vid": "street", "duration": 10.0}
    records = [
        {**common, "qid": 1, "query": "a dog", "pred_relevant_windows": [[1, 3, 0.4], [4, 6, 0.9]]},
        {**common, "qid": 2, "query": "rain", "pred_relevant_windows": [[7, 8, 0.8], [3, 2, 0.1]]},
    ]
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def test_moments_of_the_best_score_become_a_table(
    predictions: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    convert_moments(MomentFiles([predictions], top=1), "csv", output=tmp_path / "p.csv")
    rows = (tmp_path / "p.csv").read_text().splitlines()
    assert rows[1:] == ["street,1,a dog,4,6,0.9,1,10", "street,2,rain,7,8,0.8,1,10"]
    assert capsys.readouterr() == ("", "")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "inverted" in caplog.text


def test_top_counts_over_all_recordings_and_top_k_in_each(tmp_path: Path) -> None:
    found = [
        ("street", [[1, 2, 0.9], [4, 6, 0.8]]),
        ("yard", [[0, 1, 0.85], [5, 6, 0.1]]),
        ("attic", [[0, 9, 0.2]]),
    ]
    lines = [
        json.dumps({"qid": vid, "query": "a dog", "vid": vid, "pred_relevant_windows": windows}) + "\n"
        for vid, windows in found
    ]
    path = tmp_path / "p.jsonl"
    path.write_text("".join(lines))

    def starts(**kept: int) -> list[str]:
        convert_moments(MomentFiles([str(path)], **kept), "csv", output=tmp_path / "p.csv", force=True)  # type: ignore[arg-type]
        return [
            row.split(",")[0] + row.split(",")[3] for row in (tmp_path / "p.csv").read_text().splitlines()[1:]
        ]

    assert starts(top=2) == ["street1", "yard0"]
    assert starts(top_k=1) == ["street1", "yard0", "attic0"]
    assert starts(top=3, top_k=1) == ["street1", "yard0", "attic0"]


def test_a_table_says_where_the_recordings_are_and_reads_it_back(tmp_path: Path) -> None:
    record = {
        "qid": 1,
        "query": "a dog",
        "vid": "a",
        "pred_relevant_windows": [[1, 2, 0.5]],
        "path": "x,y/a.wav",
    }
    other = {"qid": 2, "query": "a dog", "vid": "b", "pred_relevant_windows": [[1, 2, 0.5]]}
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(each) + "\n" for each in (record, other)))
    table, again = tmp_path / "p.csv", tmp_path / "again.jsonl"
    convert_moments(MomentFiles([str(tmp_path / "p.jsonl")]), "csv", output=table)
    assert table.read_text().splitlines() == [
        "vid,qid,query,start_s,end_s,score,rank,duration_s,path",
        'a,1,a dog,1,2,0.5,1,,"x,y/a.wav"',
        "b,2,a dog,1,2,0.5,1,,",
    ]
    convert_moments(MomentFiles([str(table)]), "predictions", output=again)
    assert [json.loads(line).get("path") for line in again.read_text().splitlines()] == ["x,y/a.wav", None]


def test_a_failure_brings_no_warnings(
    predictions: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InputError, match="exists already"):
        convert_moments(MomentFiles([predictions]), "csv", output=Path(predictions))
    assert caplog.records == []


def test_clips_are_records(predictions: str, tmp_path: Path) -> None:
    files = MomentFiles([predictions], min_score=0.5)
    clips = list(cut_clips(files, tmp_path / "clips", audio=[str(tmp_path / "audio")]))
    assert [(clip.record()["qid"], clip.window.start_s) for clip in clips] == [(1, 4), (2, 7)]
    for clip in clips:
        assert soundfile.info(clip.path).duration == clip.window.end_s - clip.window.start_s


def test_a_page_counts_its_recordings(predictions: str, tmp_path: Path) -> None:
    seen: list[Progress] = []
    audio = [str(tmp_path / "audio")]
    write_page(predictions, str(tmp_path / "p.html"), audio=audio, on_progress=seen.append)
    assert [(now.done, now.total) for now in seen] == [(0, 1), (1, 1)]
    assert "a dog" in (tmp_path / "p.html").read_text()


def test_pictures_in_characters(predictions: str) -> None:
    first, second = draw_text(predictions, width=40)
    assert first[0] == "a dog  in  street, 10.0 s"
    assert [second] == list(draw_text(predictions, qid="2", width=40))


def test_figures(predictions: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
    write_figure(partial(draw_moments, predictions, qid="1"), tmp_path / "a.svg", "svg")
    assert (tmp_path / "a.svg").read_bytes().startswith(b"<?xml")
    with pytest.raises(UsageError, match="a figure shows one of them"):
        draw_moments(predictions)
    with pytest.raises(InputError, match="no such file"):
        draw_scores("iou", [predictions], str(tmp_path / "nowhere.jsonl"))
