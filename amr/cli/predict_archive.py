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
from amr.retrieval.archive import Archive
from amr.retrieval.find import Finder, PriorFinder, WindowFinder
from amr.retrieval.index import build_index, find_index
from amr.retrieval.ranking import ArchivePart, OwnSpace
from amr.retrieval.search import AnswerOptions, best_over_all, best_recordings
from amr.retrieval.spaces import JointSpace, Space

if TYPE_CHECKING:
    from amr.encoders.base import Encoder
    from amr.retrieval.detr import MomentModel

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
        if not wish.quiet:
            tell_stale(stale, asked_for=count is not None)
        if not stale and archive.own is None and not wish.quiet:
            tell_unranked(archive, finder)
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
    own, parts = own_space_of(finder), []
    for reader in parts_of(session):
        assert isinstance(reader, FeatureFile)  # obstacle_of has looked
        features = stack.enter_context(FeatureRows(reader.path))
        index = find_index(features, JointSpace(window.encoder))
        parts.append(ArchivePart(features, index, None if own is None else find_index(features, own)))
    if any(part.index is not None and part.own_index is None for part in parts):
        own = None  # to compute it from every frame is more than who made an index waits for
    return Archive(parts, window, finder, own)


def own_space_of(finder: Finder) -> OwnSpace | None:
    """The space of its own in which a trained network compares frames with sentences."""
    model = getattr(finder, "model", None)
    if model is None:
        return None
    from amr.retrieval.model_space import own_space

    return own_space(model)


def tell_stale(stale: Sequence[FeatureRows], *, asked_for: bool) -> None:
    """Say that an index is missing where that costs time, or that one is there and out of date."""
    outdated = [features for features in stale if index_folder(features.path).is_dir()]
    for features in outdated or (stale if asked_for else []):
        what = "the index is out of date and not used" if outdated else "there is no index"
        say(f"amr predict: {features.path}: {what}, every frame is read; --index makes it")


def tell_unranked(archive: Archive, finder: Finder) -> None:
    """Say that the shortlist goes by similarity alone where it could go by the model's own space as well."""
    own = own_space_of(finder)
    if own is None:
        return
    for part in archive.parts:
        if part.own_index is None:
            path = part.features.path
            outdated = index_folder(path, own.model).is_dir()
            what = "is out of date, or of other weights" if outdated else "is not there"
            say(
                f"amr predict: {path}: the index for the model {own.model} {what}, the shortlist goes by"
                " similarity alone; --index makes it"
            )


def shortlisted(
    archive: Archive, asked: Sequence[Query], options: AnswerOptions, wish: Wish
) -> Iterator[Prediction]:
    """The best of what is on the shortlist, a query after the other."""
    assert wish.top is not None  # else there is no archive
    given = shortlist_length(wish.shortlist, wish.top)
    count = archive.enough(wish.top) if given is None else given
    if given is None and not wish.quiet:
        what = "recordings" if wish.recordings else "moments"
        say(
            f"amr predict: a shortlist of {count} {what} from {archive.num_recordings} recordings;"
            f" --shortlist {ALL} asks every one"
        )
    for found in archive.search(asked, options, shortlist=count, recordings=wish.recordings):
        yield from wish.best(found)


def make_indexes(session: Session, network: MomentModel | None, *, quiet: bool) -> None:
    """Make, or bring up to date, the indexes of every feature file.

    Args:
        network: where it compares in a space of its own, there is an index of that beside the joint space's.

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
    spaces = spaces_of(session.encoder, network)
    for reader in readers:
        if not isinstance(reader, FeatureFile):
            raise UsageError("a tree of .npz files cannot be indexed", where="--index")
        with FeatureRows(reader.path) as features:
            for space in spaces:
                index_one(features, space, quiet=quiet)


def spaces_of(encoder: Encoder, network: MomentModel | None) -> list[Space]:
    """Those that are indexed."""
    joint = JointSpace(encoder)
    if network is None:
        return [joint]
    from amr.retrieval.model_space import own_space

    own = own_space(network)
    return [joint] if own is None else [joint, own]


def index_one(features: FeatureRows, space: Space, *, quiet: bool) -> None:
    """One file's index in one space, with a line a minute and one at the end."""
    of_model = f" for the model {space.model}" if space.model else ""
    began = said = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal said
        if not quiet and time.monotonic() - said > PERIOD_S:
            said = time.monotonic()
            say(f"amr predict: {features.path}: {done} of {total} segments are indexed{of_model}")

    try:
        index = build_index(features, space, tell)
    except PermissionError as error:
        where = index_folder(features.path, space.model)
        raise InputError("no index can be written here", where=where) from error
    if not quiet:
        took_s = time.monotonic() - began
        say(f"amr predict: {features.path}: {index.rows} frames are indexed{of_model}, in {took_s:.1f} s")


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
