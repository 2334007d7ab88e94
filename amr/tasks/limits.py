"""What of a query is not understood, said once and written into its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from amr.formats.queries import Query
from amr.retrieval.finders import Finder
from amr.retrieval.prior import PriorFinder
from amr.retrieval.understanding import not_understood, sentence_of
from amr.tasks.callbacks import logged_notices

NOT_UNDERSTOOD = "not_understood"
"""Key of a record that says what of its query is not understood: kinds of ``amr.retrieval.understanding``."""


def is_kept(text: str) -> bool:
    """Whether a query is the name of a sound that was kept, and no sentence."""
    return text.startswith("@")


def with_limits(queries: Sequence[Query], finder: Finder, encoder: object) -> list[Query]:
    """The queries as :func:`marked` gives them; what is not understood is logged too, a line a kind."""
    found = marked(queries, finder, encoder)
    with logged_notices() as notices:
        for query in found:
            if kinds := query.extra.get(NOT_UNDERSTOOD):
                notices.add(sentence_of(kinds), repr(query.text))
    return found


def marked(queries: Sequence[Query], finder: Finder, encoder: object) -> list[Query]:
    """The queries, and with each what of it is not understood, where anything is known to be.

    A prior listens to no words, so that nothing is said of them.
    """
    if isinstance(finder, PriorFinder):
        return list(queries)
    sentences = [query.text for query in queries if not is_kept(query.text)]
    kinds = iter(not_understood(sentences, finder, encoder))
    found = []
    for query in queries:
        known = [] if is_kept(query.text) else next(kinds)
        extra = {key: value for key, value in query.extra.items() if key != NOT_UNDERSTOOD}
        found.append(replace(query, extra=extra | ({NOT_UNDERSTOOD: known} if known else {})))
    return found
