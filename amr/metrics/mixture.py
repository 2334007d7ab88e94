"""Is a ground truth one dataset? A figure over a mixture is a figure of nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from amr.metrics.matching import Qid

NUMBER = re.compile(r"[0-9]+\Z")


def qid_form(qid: Qid, vid: str) -> str:
    """How an id is made; datasets number their queries in one way each."""
    if isinstance(qid, int):
        return "integer qids"
    if qid.startswith(f"{vid}_") and NUMBER.match(qid, len(vid) + 1):
        return "qids VID_N"
    return "qids of digits" if NUMBER.match(qid) else "other qids"


def qid_forms(qids: Sequence[Qid], vids: Sequence[str]) -> list[str]:
    """:func:`qid_form` of each record.

    Hand-made ids (``other qids``) are no dataset's; where there are any, all strings count as such.
    """
    forms = [qid_form(qid, vid) for qid, vid in zip(qids, vids, strict=True)]
    if "other qids" not in forms:
        return forms
    return [form if form == "integer qids" else "other qids" for form in forms]
