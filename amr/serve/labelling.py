"""A change of the labels, as a page or a script sends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amr.errors import InputError, UsageError
from amr.formats import fields
from amr.formats.annotations import is_moment
from amr.formats.labels import Label, LabelFile
from amr.formats.queries import Query, check_text
from amr.serve.library import Library
from amr.serve.limits import MOST_QUERY_CHARACTERS

SLACK_S = 0.5
"""A moment may end so much after its recording, as headers and decoders count differently."""


@dataclass(frozen=True)
class LabelChange:
    """What is put in, and what is taken out for it.

    Args:
        add: the label that is new; None: one is only taken out.
        remove: the label that goes.
        duration_s: the recording's length.
    """

    add: Label | None
    remove: Label | None
    duration_s: float

    def apply(self, file: LabelFile) -> None:
        """Change the file; on the disk when this returns. Raises as :meth:`LabelFile.change`."""
        file.change(add=self.add, remove=self.remove, duration_s=self.duration_s)


def parse_change(record: dict[str, Any], library: Library) -> LabelChange:
    """``{"add": LABEL, "remove": LABEL}``, one of them or both; labels as ``/labels.json`` lists them.

    Raises:
        UsageError: it is none, or names a recording that is not here.
    """
    try:
        add, remove = (parse_label(record.get(key), key, library) for key in ("add", "remove"))
    except InputError as error:
        raise UsageError(error.what, where=error.where) from error
    label = add or remove
    if label is None:
        raise UsageError("there is nothing to add and nothing to remove")
    recording = library.get(label.vid)
    assert recording is not None  # parse_label has looked
    return LabelChange(add, remove, round(recording.duration_s, 3))


def parse_label(record: object, where: str, library: Library) -> Label | None:
    """One label. Raises ``InputError``, or ``UsageError`` where it is about nothing that is here."""
    if record is None:
        return None
    if not isinstance(record, dict):
        raise UsageError("the body is not a JSON object", where=where)
    vid, query = fields.text(record, "vid", where), sentence(record, "query", where)
    question = sentence(record, "question", where) if record.get("question") else query
    start_s = fields.number(record.get("start"), "'start'", where)
    end_s = fields.number(record.get("end"), "'end'", where)
    accepted = record.get("accepted", True)
    recording = library.get(vid)
    if recording is None:
        raise UsageError("there is no recording of this id", where=where)
    if not isinstance(accepted, bool):
        raise UsageError("'accepted' is neither true nor false", where=where)
    if not is_moment(start_s, end_s) or start_s < 0 or end_s > recording.duration_s + SLACK_S:
        raise UsageError("'start' and 'end' are not a moment of this recording", where=where)
    return Label(vid, query, start_s, end_s, accepted, "" if question == query else question)


def sentence(record: dict[str, Any], key: str, where: str) -> str:
    """A question, or a name."""
    text = fields.text(record, key, where).strip()
    if len(text) > MOST_QUERY_CHARACTERS:
        raise UsageError(f"{key!r} is longer than {MOST_QUERY_CHARACTERS} characters", where=where)
    return check_text(Query(text=text, where=where)).text
