"""Labels that a person gives while listening: a file of annotations in which moments are rejected, too.

The moments that were accepted are ``relevant_windows``, those that were rejected ``rejected_windows``; where
a moment was found by another sentence than the one that it is called by, ``question`` is that sentence. The
file is whole at any time: each change writes it anew beside itself, syncs and renames.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from amr.errors import InputError
from amr.formats import fields
from amr.formats.annotations import REJECTED, Annotation, is_moment, iter_annotations
from amr.formats.jsonl import line_of
from amr.formats.lock import sole_writer
from amr.formats.streams import open_output, require_writable
from amr.moments import Span

QUESTION = "question"
TIME_DECIMALS = 3


@dataclass(frozen=True)
class Label:
    """One moment that a person has judged.

    Args:
        vid: the recording.
        query: what the moment is called.
        start_s, end_s: where it lies.
        accepted: whether it is that; else it was rejected.
        question: the sentence that found it, where that is another one than ``query``.
    """

    vid: str
    query: str
    start_s: float
    end_s: float
    accepted: bool = True
    question: str = ""

    @property
    def window(self) -> list[float]:
        """As it stands in the file."""
        return [round(self.start_s, TIME_DECIMALS), round(self.end_s, TIME_DECIMALS)]

    @property
    def found_by(self) -> str:
        """The sentence that found it."""
        return self.question or self.query


def rejected_windows(annotation: Annotation) -> list[Span]:
    """The moments of an annotation that were rejected.

    Raises:
        InputError: ``rejected_windows`` is no list of ``[start, end]``.
    """
    if REJECTED not in annotation.extra:
        return []
    rows = fields.number_rows(annotation.extra, REJECTED, annotation.where, (2,))
    return [Span(start_s, end_s) for start_s, end_s in rows if is_moment(start_s, end_s)]


def labels_of(annotations: Iterable[Annotation]) -> list[Label]:
    """All moments of a file that were accepted or rejected. Raises as :func:`rejected_windows` does."""
    found = []
    for each in annotations:
        question = str(each.extra.get(QUESTION) or "")
        found += [Label(each.vid, each.query, *span, True, question) for span in each.moments]
        found += [Label(each.vid, each.query, *span, False, question) for span in rejected_windows(each)]
    return found


def read_labels(source: str | Path) -> list[Label]:
    """The labels of a file. Raises ``InputError`` where there is none, or it is wrong."""
    return labels_of(iter_annotations(source))


def with_label(annotations: list[Annotation], label: Label, duration_s: float | None) -> list[Annotation]:
    """The annotations with one moment accepted, or rejected, and not the other any more."""
    annotations = without_label(annotations, label)
    place = place_of(annotations, label)
    if place is None:
        extra = {QUESTION: label.question} if label.question else {}
        blank = Annotation(
            new_qid(annotations, label.vid), label.query, label.vid, duration_s, [], extra=extra
        )
        annotations, place = [*annotations, blank], len(annotations)
    own = annotations[place]
    if label.accepted:
        changed = replace(own, windows=sorted([*own.windows, label.window]))
    else:
        rejected = sorted([*own.extra.get(REJECTED, []), label.window])
        changed = replace(own, extra={**own.extra, REJECTED: rejected})
    return [*annotations[:place], changed, *annotations[place + 1 :]]


def without_label(annotations: list[Annotation], label: Label) -> list[Annotation]:
    """The annotations without a moment, whichever way it was judged; what holds nothing now is dropped."""
    kept = []
    for each in annotations:
        windows = [window for window in each.windows if not is_same(window, label)]
        rejected = [window for window in each.extra.get(REJECTED, []) if not is_same(window, label)]
        is_changed = len(windows) < len(each.windows) or len(rejected) < len(each.extra.get(REJECTED, []))
        if not (is_changed and is_about(each, label)):
            kept.append(each)
        elif windows or rejected:
            extra = {key: value for key, value in each.extra.items() if key != REJECTED}
            kept.append(
                replace(each, windows=windows, extra={**extra, REJECTED: rejected} if rejected else extra)
            )
    return kept


def is_about(annotation: Annotation, label: Label) -> bool:
    """Whether an annotation is the one that holds such a label."""
    own = (annotation.vid, annotation.query, str(annotation.extra.get(QUESTION) or ""))
    return own == (label.vid, label.query, label.question)


def is_same(window: list[float], label: Label) -> bool:
    """Whether a window of the file is the label's, to the millisecond."""
    return [round(value, TIME_DECIMALS) for value in window] == label.window


def place_of(annotations: list[Annotation], label: Label) -> int | None:
    """Where the annotation stands that holds such a label."""
    return next((place for place, each in enumerate(annotations) if is_about(each, label)), None)


def new_qid(annotations: Iterable[Annotation], vid: str) -> str:
    """An id ``VID_N`` that no annotation has."""
    taken = {str(each.qid) for each in annotations}
    number = 1
    while f"{vid}_{number}" in taken:
        number += 1
    return f"{vid}_{number}"


class LabelFile:
    """A file of labels that is read and changed while others may do the same.

    Args:
        path: the file; it is made by the first label.

    Raises:
        InputError: it is no regular file, or has no folder to stand in.
    """

    def __init__(self, path: str | Path) -> None:
        require_writable(path, force=True)
        self.path = Path(path)
        self._known: list[Annotation] = []
        self._stamp: tuple[int, int, int] | None = None

    def annotations(self) -> list[Annotation]:
        """What the file holds now; read again where it has changed.

        Raises:
            InputError: it is wrong.
        """
        stamp = stamp_of(self.path)
        if stamp != self._stamp:
            found = [] if stamp is None else list(iter_annotations(self.path))
            labels_of(found)  # raises where a rejected moment is none, before anything is made of it
            self._known, self._stamp = found, stamp
        return list(self._known)

    def labels(self) -> list[Label]:
        """What the file holds now, a moment each."""
        return labels_of(self.annotations())

    def change(
        self, *, add: Label | None = None, remove: Label | None = None, duration_s: float | None = None
    ) -> None:
        """Take a label out and put one in; on the disk when this returns.

        Args:
            duration_s: the length of the recording, for a line that is new.

        Raises:
            InputError: the file is wrong, or another process is writing it.
            OSError: the disk is full, or the folder may not be written.
        """
        if add is not None and not is_moment(add.start_s, add.end_s):
            raise InputError(f"{add.start_s} to {add.end_s} s is not a moment", where=self.path)
        with sole_writer(self.path):
            changed = self.annotations()
            changed = without_label(changed, remove) if remove is not None else changed
            changed = with_label(changed, add, duration_s) if add is not None else changed
            text = "".join(line_of(each.record()) + "\n" for each in changed)
            with open_output(self.path, force=True) as file:
                file.write(text.encode("utf-8"))
            self._known, self._stamp = changed, stamp_of(self.path)


def stamp_of(path: Path) -> tuple[int, int, int] | None:
    """What tells a state of a file from others: inode, size and time; None where there is none."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
