"""Archives that grew: equal file names, and names in either Unicode form, on every way out and back."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from amr.errors import InputError
from amr.evaluation.scoring import score
from amr.formats.annotations import read_annotations
from amr.formats.exchange.forms import read_tracks
from amr.formats.notices import Notices
from amr.formats.predictions import read_predictions
from amr.formats.queries import Query
from amr.report.records import match_cases
from amr.retrieval.recordings import Collection, LengthSource
from amr.retrieval.search import plan
from amr.tasks.convert import MomentFiles, convert_moments, cut_clips
from amr.tasks.recordings import find_recordings

NFC, NFD = (unicodedata.normalize(form, "Vögel") for form in ("NFC", "NFD"))


def write_lines(path: str, *records: dict[str, Any]) -> str:
    Path(path).write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def answer(vid: str, qid: int | str = 1, query: str = "a dog") -> dict[str, Any]:
    return {"qid": qid, "query": query, "vid": vid, "pred_relevant_windows": [[0.1, 0.4, 0.9]]}


@pytest.fixture(autouse=True)
def _sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``x.wav`` at sites of one, two and three tenths of a second more than one."""
    monkeypatch.chdir(tmp_path)
    for number, site in enumerate("ABC", start=1):
        Path("rec", site).mkdir(parents=True)
        soundfile.write(f"rec/{site}/x.wav", np.full(8000 + 800 * number, 0.1), 8000)


@pytest.mark.parametrize(
    ("vids", "places", "found"),
    [
        (["x", "B/x"], ["rec/A", "rec/B"], ["rec/A/x.wav", "rec/B/x.wav"]),
        (["A/x"], ["rec/A"], ["rec/A/x.wav"]),
        (["x"], ["rec/B/x.wav"], ["rec/B/x.wav"]),
        (["x", "B/x", "rec/C/x"], ["rec"], ["rec/A/x.wav", "rec/B/x.wav", "rec/C/x.wav"]),
        (["y"], ["rec"], []),
        (["../A/x", "/etc/passwd"], ["rec"], []),
    ],
)
def test_ids_find_their_files(vids: list[str], places: list[str], found: list[str]) -> None:
    assert [str(path) for path in find_recordings(places, vids).paths.values()] == found


def test_an_id_that_may_be_two_files_is_not_guessed() -> None:
    with pytest.raises(InputError, match=r"the recording 'x' may be rec/A/x\.wav or rec/B/x\.wav"):
        find_recordings(["rec/A", "rec/B"], ["x"])


def test_clips_labels_and_tables_come_back() -> None:
    source = write_lines("p.jsonl", answer("A/x"), answer("B/x", 2), answer("50%", 3))
    tracks = read_tracks(source, None, Notices())
    for form, ending in (("audacity", ".txt"), ("jams", ".jams")):
        convert_moments(MomentFiles([source]), form, folder=Path(form))
        names = sorted(path.name for path in Path(form).iterdir() if not path.name.startswith("."))
        assert names == [f"50%25{ending}", f"A%2Fx{ending}", f"B%2Fx{ending}"]
        back = [read_tracks(f"{form}/{name}", None, Notices())[0].vid for name in names]
        assert back == ["50%", "A/x", "B/x"]
    for form in ("csv", "rttm"):
        convert_moments(MomentFiles([source]), form, output=Path(f"p.{form}"))
        assert [track.vid for track in read_tracks(f"p.{form}", None, Notices())] == [t.vid for t in tracks]
    source = write_lines("p.jsonl", answer("A/x"), answer("B/x", 2), answer("x", 3))
    clips = list(cut_clips(MomentFiles([source]), Path("clips"), audio=["rec"]))
    assert [clip.path.name.split("_")[0] for clip in clips] == ["A%2Fx", "B%2Fx", "x"]


def test_a_table_of_files_in_folders_names_them_apart() -> None:
    rows = "filename,onset,offset,event_label\nA/x.wav,0,1,dog\nB/x.wav,1,2,dog\nB/y.wav,0,1,dog\n"
    Path("t.csv").write_text(rows)
    assert [track.vid for track in read_tracks("t.csv", None, Notices())] == ["A/x", "B/x", "y"]


def test_predictions_and_truth_match_in_either_form() -> None:
    truth = {"query": "a dog", "duration": 2.0, "relevant_windows": [[0.1, 0.4]]}
    for mine, theirs in ((NFC, NFD), (NFD, NFC), (NFC, NFC)):
        predictions = write_lines("p.jsonl", answer(mine, f"{mine}_1"))
        annotations = write_lines("t.jsonl", {**truth, "qid": f"{theirs}_1", "vid": theirs})
        scores = score(predictions, annotations)
        assert scores.record()["brief"]["MR-full-R1@0.5"] == 100.0
        assert "another" not in str(scores.record().get("notes", ""))
        [case] = match_cases(read_predictions(predictions), read_annotations(annotations), Notices())
        assert case.truth is not None


def test_a_query_finds_its_recording_in_either_form() -> None:
    for mine, theirs in ((NFC, NFD), (NFD, NFC), ("b", "b")):
        [request] = plan([Query("dog", vid=mine)], Collection([LengthSource({theirs: 1.0, "c": 2.0}, "f")]))
        assert request.vid == theirs
