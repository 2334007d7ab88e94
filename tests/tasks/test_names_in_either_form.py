"""Names and sentences in either Unicode form, composed or decomposed, are one wherever two lists meet."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import soundfile
from feature_fakes import identity, made_frames, text_features

from amr.audio.files import find_audio
from amr.audio.names import as_spelt
from amr.errors import InputError
from amr.evaluation.sed_files import read_events
from amr.formats.annotations import parse_annotation
from amr.formats.exchange.tracks import Track, Window, identified
from amr.formats.features.npz import NpzTree
from amr.formats.features.output import open_feature_output
from amr.formats.features.read import FeatureFile
from amr.formats.labels import Label
from amr.formats.notices import Notices
from amr.formats.queries import Query, read_queries
from amr.formats.sounds import find_sound
from amr.retrieval.recordings import Collection, LengthSource
from amr.retrieval.search import plan
from amr.retrieval.tune import gather_examples
from amr.retrieval.window_finder import WindowFinder
from amr.simulation.paths import inside
from amr.tasks import learned
from amr.tasks.convert import MomentFiles, convert_moments
from amr.tasks.inputs import Search
from amr.tasks.recordings import find_recordings

NAMES = ("Vögel", "café Ångström", "한국어 소리")
PAIRS = [
    pytest.param(*(unicodedata.normalize(form, name) for form in forms), id=f"{number}-{forms[0]}")
    for number, name in enumerate(NAMES)
    for forms in (("NFC", "NFD"), ("NFD", "NFC"))
]
either = pytest.mark.parametrize(("mine", "theirs"), PAIRS)


def truth(name: str) -> dict[str, Any]:
    return {"qid": name, "query": f"a {name}", "vid": name, "duration": 9, "relevant_windows": [[1, 3]]}


def answer(name: str) -> dict[str, Any]:
    return {"qid": name, "query": f"a {name}", "vid": name, "pred_relevant_windows": [[1, 3, 0.9]]}


@either
def test_sound_events(mine: str, theirs: str) -> None:
    events = read_events([answer(mine)], [truth(theirs)], partial=False)
    assert events.classes == [f"a {theirs}"]
    assert events.answers == {(theirs, f"a {theirs}"): [[1, 3, 0.9]]}
    assert events.remarks == []


@either
def test_labels_that_get_their_ids_back(mine: str, theirs: str) -> None:
    known = [Track(theirs, f"a {theirs}", [Window(1, 2)], qid=7, duration_s=9.0)]
    notices = Notices()
    [track] = identified([Track(mine, f"a {mine}", [Window(1, 2)])], known, notices)
    assert (track.qid, track.query, track.duration_s) == (7, f"a {theirs}", 9.0)
    assert notices.lines() == []


@either
@pytest.mark.parametrize("columns", ["filename\tonset\toffset\tevent_label", "file,start,end,label"])
def test_tables_of_events_meet_the_recordings(mine: str, theirs: str, columns: str, tmp_path: Path) -> None:
    """A table of DCASE or another one, converted, asks the recording of the other form."""
    separator = "\t" if "\t" in columns else ","
    (tmp_path / "t.csv").write_text(f"{columns}\n{separator.join([f'{mine}.wav', '1', '2', 'dog'])}\n")
    convert_moments(MomentFiles([str(tmp_path / "t.csv")]), "annotations", output=tmp_path / "a.jsonl")
    queries = read_queries(tmp_path / "a.jsonl")
    [request] = plan(queries, Collection([LengthSource({theirs: 9.0, "b": 2.0}, "f")]))
    assert request.vid == theirs


@either
def test_vectors_of_an_npz_tree(mine: str, theirs: str, tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    np.savez(tmp_path / f"{theirs}.npz", features=np.ones((3, 4), np.float32))
    np.savez(tmp_path / "text" / f"qid{theirs}.npz", last_hidden_state=np.ones((2, 4), np.float32))
    tree = NpzTree(tmp_path)
    assert mine in tree
    assert tree.frames(mine).shape == (3, 4)
    assert tree.has_text("x", qid=mine)
    assert tree.text("x", qid=mine).tokens.shape == (2, 4)


@either
def test_files_that_lists_and_people_name(mine: str, theirs: str, tmp_path: Path) -> None:
    folder = tmp_path / theirs
    folder.mkdir()
    soundfile.write(folder / f"{theirs}.wav", np.zeros(800), 8000)
    for named in (f"{mine}/{mine}.wav", f"{theirs}/{mine}.wav", f"{mine}/{theirs}.wav"):
        assert as_spelt(tmp_path / named) == folder / f"{theirs}.wav"
        assert inside(tmp_path, named, "t.csv:2") == folder / f"{theirs}.wav"
        [found] = find_audio([str(tmp_path / named)])
        assert found.path == folder / f"{theirs}.wav"
    assert as_spelt(tmp_path / f"{mine}.wav") == tmp_path / f"{mine}.wav"


@either
def test_a_kept_sound(mine: str, theirs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(f"{theirs}.sound").write_text("{}")
    assert find_sound(mine) == Path(f"{theirs}.sound")


@either
def test_stored_sentences(mine: str, theirs: str, tmp_path: Path) -> None:
    with open_feature_output(
        tmp_path / "f.h5", identity_json=identity().to_json(), store="float32"
    ) as writer:
        writer.add(theirs, made_frames("a", 3), duration_s=2.0)
        writer.add_text(f"a {theirs}", text_features("a"))
    with FeatureFile(tmp_path / "f.h5") as features:
        assert features.has_text(f"a {mine}")
        assert np.array_equal(features.text(f"a {mine}").tokens, text_features("a").tokens)
        assert not features.has_text(mine)


@either
def test_examples_of_a_sentence(mine: str, theirs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    monkeypatch.setattr(learned, "remember", lambda *given: taken.append(given[1]))
    monkeypatch.setattr(learned, "frames_of", lambda _, places: [vid for vid, _ in places])
    labels = [Label(theirs, f"a {theirs}", 1, 2), Label("b", "another", 1, 2)]
    learned.learned(cast(Search, None), Query(f"a {mine}"), [], [], labels, "l.jsonl")
    assert taken == [f"a {mine} +1 -0"]


@either
def test_tuning_and_clips(mine: str, theirs: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / f"{theirs}.wav", np.zeros(8000), 8000)
    assert find_recordings([str(tmp_path)], [mine]).paths == {mine: tmp_path / f"{theirs}.wav"}
    collection = Collection([LengthSource({theirs: 9.0}, "f")])
    annotation = parse_annotation(truth(mine), "a.jsonl:1")
    with pytest.raises(InputError, match="gives the length of"):  # it is found, by another form's name
        list(gather_examples([annotation], collection, cast(WindowFinder, None)))
