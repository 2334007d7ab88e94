"""How ``amr predict`` searches archives: indexes, shortlists, and clips as queries."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amr.cli.messages import say
from amr.cli.predict_inputs import Session
from amr.errors import InputError, UsageError
from amr.formats.features_many import ManyFeatures
from amr.formats.features_read import FeatureFile
from amr.formats.features_rows import FeatureRows
from amr.formats.frame_index import index_folder
from amr.formats.predictions import Prediction
from amr.formats.queries import Query
from amr.retrieval.archive import SHORTLIST, SHORTLIST_TIMES, Archive, ArchivePart
from amr.retrieval.find import Finder, PriorFinder, WindowFinder
from amr.retrieval.index import build_index, find_index
from amr.retrieval.search import AnswerOptions, best_over_all, best_recordings

if TYPE_CHECKING:
    from amr.encoders.base import Encoder

ALL = "all"
PERIOD_S = 60.0


@dataclass(frozen=True)
class Wish:
    """What the command line asks of an archive search.

    Args:
        top: moments, or recordings, that are wanted; None: an answer for every recording.
        shortlist: ``--shortlist`` as it was given.
        recordings: whether ``top`` counts recordings.
        saliency: whether whole curves are wanted.
        quiet: say nothing on the side.
    """

    top: int | None
    shortlist: str | None
    recordings: bool
    saliency: bool
    quiet: bool

    def best(self, found: Iterable[Prediction]) -> Iterable[Prediction]:
        """What is kept of the predictions of all recordings."""
        if self.top is None:
            return found
        return best_recordings(found, self.top) if self.recordings else best_over_all(found, self.top)

    def check(self) -> None:
        """Refuse, before any work is done, what cannot be. Raises ``UsageError``."""
        if self.recordings and self.top is None:
            raise UsageError("is for the best over all recordings", where="--group", hint="add --top N")
        shortlist_length(self.shortlist, self.top)


def shortlist_length(shortlist: str | None, top: int | None) -> int | None:
    """How many the shortlist is to hold; None where that was left open, or is ``all``.

    Raises:
        UsageError: it is neither a number nor ``all``, or nothing is ranked over all recordings.
    """
    if shortlist is None:
        return None
    if top is None:
        raise UsageError("is for the best over all recordings", where="--shortlist", hint="add --top N")
    if shortlist == ALL:
        return None
    if not shortlist.isdecimal() or int(shortlist) < top:
        raise UsageError(
            f"{shortlist!r} is neither {ALL!r} nor a number from --top ({top}) on", where="--shortlist"
        )
    return int(shortlist)


@contextmanager
def open_archive(
    session: Session, finder: Finder, asked: Sequence[Query], wish: Wish
) -> Iterator[Archive | None]:
    """The archive, where a shortlist is asked for, or is possible and quick; None: ask every recording.

    Raises:
        UsageError: a shortlist is asked for and cannot be made of these inputs.
    """
    count = shortlist_length(wish.shortlist, wish.top)
    if wish.top is None or wish.shortlist == ALL:
        yield None
        return
    obstacle = obstacle_of(session, finder, asked, wish)
    if obstacle is not None:
        if count is not None:
            raise UsageError(obstacle, where="--shortlist", hint=f"leave it out, or say --shortlist {ALL}")
        yield None
        return
    with ExitStack() as stack:
        archive = archive_of(session, finder, stack)
        stale = [part.features for part in archive.parts if part.index is None]
        if stale and not wish.quiet:
            tell_stale(stale, asked_for=count is not None)
        yield None if stale and count is None else archive


def obstacle_of(session: Session, finder: Finder, asked: Sequence[Query], wish: Wish) -> str | None:
    """Why no shortlist can be made; None where one can."""
    if isinstance(finder, PriorFinder):
        return "a prior does not listen, there is nothing to list"
    if session.encoder is None or window_of(finder) is None:
        return "the encoder is not known, and with it no similarity"
    if session.reader is None or len(session.reader) < len(session.library):
        return "recordings have to be heard first: amr extract"
    if not all(isinstance(part, FeatureFile) for part in parts_of(session)):
        return "a tree of .npz files has to be read in full"
    if any(query.vid is not None for query in asked):
        return "a query names the recording that it is asked of"
    return "--saliency wants whole recordings" if wish.saliency else None


def parts_of(session: Session) -> Sequence[object]:
    """The readers of the single files."""
    return session.reader.parts if isinstance(session.reader, ManyFeatures) else [session.reader]


def window_of(finder: Finder) -> WindowFinder | None:
    """What knows the joint space: the window itself, or the similarity beside a trained network."""
    known = finder if isinstance(finder, WindowFinder) else getattr(finder, "similarity", None)
    return known if isinstance(known, WindowFinder) else None


def archive_of(session: Session, finder: Finder, stack: ExitStack) -> Archive:
    """The feature files of a session, opened by rows, with their indexes."""
    from amr.retrieval.excerpts import ExcerptFinder

    window = window_of(finder)
    assert window is not None  # obstacle_of has looked
    assert isinstance(finder, ExcerptFinder)  # as every finder with a similarity is
    parts = []
    for reader in parts_of(session):
        assert isinstance(reader, FeatureFile)  # obstacle_of has looked
        features = stack.enter_context(FeatureRows(reader.path))
        parts.append(ArchivePart(features, find_index(features, window.encoder)))
    return Archive(parts, window, finder)


def tell_stale(stale: Sequence[FeatureRows], *, asked_for: bool) -> None:
    """Say that an index is missing where that costs time, or that one is there and out of date."""
    outdated = [features for features in stale if index_folder(features.path).is_dir()]
    for features in outdated or (stale if asked_for else []):
        what = "the index is out of date and not used" if outdated else "there is no index"
        say(f"amr predict: {features.path}: {what}, every frame is read; --index makes it")


def shortlisted(
    archive: Archive, asked: Sequence[Query], options: AnswerOptions, wish: Wish
) -> Iterator[Prediction]:
    """The best of what is on the shortlist, a query after the other."""
    assert wish.top is not None  # else there is no archive
    given = shortlist_length(wish.shortlist, wish.top)
    count = max(SHORTLIST, SHORTLIST_TIMES * wish.top) if given is None else given
    if given is None and not wish.quiet:
        what = "recordings" if wish.recordings else "moments"
        say(
            f"amr predict: a shortlist of {count} {what} from {archive.num_recordings} recordings;"
            f" --shortlist {ALL} asks every one"
        )
    for found in archive.search(asked, options, shortlist=count, recordings=wish.recordings):
        yield from wish.best(found)


def make_indexes(session: Session, *, quiet: bool) -> None:
    """Make, or bring up to date, the index of every feature file.

    Raises:
        UsageError: something else than feature files is named, or their encoder is not known.
        InputError: a file holds values that are not finite, or is damaged.
    """
    readers = parts_of(session) if session.reader is not None else []
    if session.encoder is None or len(session.library) != len(session.reader or ()):
        raise UsageError(
            "only feature files of a known encoder can be indexed",
            where="--index",
            hint="amr extract AUDIO -o feats.h5 makes one",
        )
    for reader in readers:
        if not isinstance(reader, FeatureFile):
            raise UsageError("a tree of .npz files cannot be indexed", where="--index")
        with FeatureRows(reader.path) as features:
            index_one(features, session.encoder, quiet=quiet)


def index_one(features: FeatureRows, encoder: Encoder, *, quiet: bool) -> None:
    """One file's index, with a line a minute and one at the end."""
    began = said = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal said
        if not quiet and time.monotonic() - said > PERIOD_S:
            said = time.monotonic()
            say(f"amr predict: {features.path}: {done} of {total} segments are indexed")

    try:
        index = build_index(features, encoder, tell)
    except PermissionError as error:
        raise InputError("no index can be written here", where=index_folder(features.path)) from error
    if not quiet:
        took_s = time.monotonic() - began
        say(f"amr predict: {features.path}: {index.rows} frames are indexed, in {took_s:.1f} s")


def add_examples(paths: Sequence[str], asked: list[Query], finder: Finder) -> list[Query]:
    """The queries with the clips of ``--like``.

    Raises:
        UsageError: the model takes words only.
        InputError: a clip is empty, broken, silent, too short or too long.
    """
    from amr.audio.noise import library_chatter_hidden
    from amr.retrieval.like import ask_alike, read_clip

    if not isinstance(finder, WindowFinder):
        raise UsageError(
            "trained models take words, a clip is for the window", where="--like", hint="--model window"
        )
    with library_chatter_hidden():
        clips = [read_clip(path, finder.encoder) for path in paths]
    return ask_alike(asked, clips, finder)
