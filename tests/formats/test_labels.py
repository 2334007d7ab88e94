"""Labels: accepted and rejected moments in a file of annotations, whole at any time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from amr.errors import InputError
from amr.formats.annotations import read_annotations
from amr.formats.exchange.forms import read_tracks
from amr.formats.labels import Label, LabelFile, read_labels
from amr.formats.notices import Notices
from amr.formats.scoring import read_truth
from amr.moments import Span

DOG = Label("street", "a dog barks", 2.0, 3.5)
NOT_A_DOG = Label("street", "a dog barks", 8.0, 9.0, accepted=False)


@pytest.fixture
def file(tmp_path: Path) -> LabelFile:
    return LabelFile(tmp_path / "labels.jsonl")


def lines(file: LabelFile) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.path.read_text().splitlines()]


def test_labels_are_annotations(file: LabelFile) -> None:
    file.change(add=DOG, duration_s=60.0)
    file.change(add=NOT_A_DOG)
    file.change(add=Label("wood/1", "an axe", 1.00049, 2.0))
    assert lines(file) == [
        {
            "qid": "street_1",
            "query": "a dog barks",
            "duration": 60.0,
            "vid": "street",
            "relevant_windows": [[2.0, 3.5]],
            "rejected_windows": [[8.0, 9.0]],
        },
        {
            "qid": "wood/1_1",
            "query": "an axe",
            "duration": None,
            "vid": "wood/1",
            "relevant_windows": [[1.0, 2.0]],
        },
    ]
    assert read_annotations(file.path)[0].moments == [Span(2.0, 3.5)]
    assert read_labels(file.path)[:2] == [DOG, NOT_A_DOG]


def test_a_moment_is_judged_one_way(file: LabelFile) -> None:
    file.change(add=DOG)
    file.change(add=DOG)
    assert file.labels() == [DOG]
    rejected = Label("street", "a dog barks", 2.0, 3.5, accepted=False)
    file.change(add=rejected)
    assert file.labels() == [rejected]
    file.change(remove=DOG)
    assert file.labels() == []
    assert lines(file) == []


def test_ends_are_moved_and_names_given(file: LabelFile) -> None:
    file.change(add=DOG)
    moved = Label("street", "a dog barks", 1.5, 3.0)
    file.change(remove=DOG, add=moved)
    assert file.labels() == [moved]
    named = Label("street", "Rex", 1.5, 3.0, question="a dog barks")
    file.change(remove=moved, add=named)
    assert file.labels() == [named]
    assert named.found_by == "a dog barks"
    assert lines(file)[0]["query"] == "Rex"


def test_what_others_wrote_stays(file: LabelFile) -> None:
    own = {
        "qid": 7,
        "query": "rain",
        "duration": 9,
        "vid": "r",
        "relevant_windows": [[5, 1], [0, 2]],
        "note": {"a": 1},
    }
    file.path.write_text(json.dumps(own) + "\n")
    file.change(add=DOG)
    assert lines(file)[0] == own
    changed = {**own, "relevant_windows": [[0, 2]]}
    file.path.write_text(json.dumps(changed) + "\n")
    file.change(add=NOT_A_DOG)
    assert lines(file)[0] == changed
    assert len(lines(file)) == 2


def test_rejections_alone_claim_nothing(file: LabelFile) -> None:
    """A recording of hours in which one moment was rejected is no proof that nothing is in it."""
    file.change(add=NOT_A_DOG)
    file.change(add=Label("wood", "an axe", 1.0, 2.0))
    notices = Notices()
    assert [each.vid for each in read_annotations(file.path, notices)] == ["wood"]
    assert "line of rejected moments alone, skipped" in "".join(notices.lines())
    assert read_truth(file.path).columns.vids == ["wood"]
    assert [track.vid for track in read_tracks(str(file.path), None, notices)] == ["wood"]


@pytest.mark.parametrize("rejected", ["[[1]]", "[[1, 2, 3]]", '"x"', '[["a", 2]]'])
def test_wrong_rejections_are_refused(file: LabelFile, rejected: str) -> None:
    text = f'{{"qid": 1, "query": "q", "vid": "v", "relevant_windows": [], "rejected_windows": {rejected}}}\n'
    file.path.write_text(text)
    with pytest.raises(InputError, match="rejected_windows"):
        file.change(add=DOG)
    assert file.path.read_text() == text


@pytest.mark.parametrize("end_s", [2.0, 1.0, float("nan"), float("inf")])
def test_what_is_no_moment_is_refused(file: LabelFile, end_s: float) -> None:
    with pytest.raises(InputError, match="not a moment"):
        file.change(add=Label("street", "q", 2.0, end_s))
    assert not file.path.exists()


WRITER = """
import sys
from amr.formats.labels import Label, LabelFile
file = LabelFile(sys.argv[1])
for number in range(10_000):
    file.change(add=Label(f"r{number % 7}", "q", float(number), number + 1.0), duration_s=20_000.0)
    print(number, flush=True)
"""


def test_killed_at_any_moment_no_label_is_lost(tmp_path: Path) -> None:
    """What was said to be kept is in the file, twenty times in a row, and the file is whole."""
    path, kept = tmp_path / "labels.jsonl", 0
    for kill in range(20):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            said = [int(writer.stdout.readline()) for _ in range(3 + kill % 4)]
            os.kill(writer.pid, 9)
            said += [int(line) for line in writer.stdout if line.endswith("\n")]
        kept = max(kept, said[-1])
        starts = {label.start_s for label in read_labels(path)}
        assert starts >= set(map(float, range(kept + 1)))
