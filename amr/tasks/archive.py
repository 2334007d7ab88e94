"""Searches of feature files by their indexes: making them, and a shortlist where that is quick."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from amr.encoders.base import Encoder
from amr.errors import InputError, UsageError
from amr.formats.features.open import ManyFeatures
from amr.formats.features.read import FeatureFile
from amr.formats.predictions import Prediction
from amr.formats.queries import Query
from amr.retrieval.archive.bounds import ScoreBound, bound_of
from amr.retrieval.archive.exact import ExactAnswer, exact_answers
from amr.retrieval.archive.index import build_index, find_index
from amr.retrieval.archive.index_file import index_folder
from amr.retrieval.archive.ranking import ArchivePart
from amr.retrieval.archive.search import FeatureArchive
from amr.retrieval.archive.spaces import JointSpace, Space
from amr.retrieval.finders import ExcerptFinder, Finder
from amr.retrieval.presence import AUTO
from amr.retrieval.prior import PriorFinder
from amr.retrieval.search import AnswerOptions, best_over_all, best_recordings
from amr.retrieval.window_finder import WindowFinder
from amr.tasks.callbacks import log
from amr.tasks.inputs import Search

if TYPE_CHECKING:
    from amr.retrieval.archive.model_space import ModelSpace
    from amr.retrieval.trained.model import MomentModel

ALL, EXACT = "all", "exact"
PERIOD_S = 60.0
UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True)
class Ranking:
    """What is kept of the answers for all recordings.

    Args:
        top: so many moments a query, best first; None: an answer for every recording.
        by_recording: ``top`` counts recordings, each with its moments.
        shortlist: how many moments, or recordings, a first look at all frames puts on a list, of which alone
            the answer is made; ``all``: no list; ``exact``: as many as can matter; None: what is quick.
    """

    top: int | None = None
    by_recording: bool = False
    shortlist: int | str | None = None

    @property
    def searches_all(self) -> bool:
        """Whether every recording is searched, whatever indexes there are."""
        return self.top is None or self.shortlist == ALL

    def best(self, found: Iterable[Prediction]) -> Iterable[Prediction]:
        """What is kept of the predictions for all recordings."""
        if self.top is None:
            return found
        return best_recordings(found, self.top) if self.by_recording else best_over_all(found, self.top)

    def checked(self, *, is_shared: bool) -> Ranking:
        """This ranking, unless it cannot be: refused before any work is done.

        Args:
            is_shared: recordings are shared out: each is searched, none is chosen beforehand.

        Raises:
            UsageError: ``shortlist`` is neither a number nor ``all``, or cannot be of shares; or nothing is
                ranked over all recordings.
        """
        if self.by_recording and self.top is None:
            raise UsageError("--group recording needs --top", hint="add --top N")
        if not is_shared:
            self.shortlist_length()
            return self
        if self.shortlist not in (None, ALL):
            hint = f"--shortlist {ALL}"
            raise UsageError(
                "--shard and several processes search every recording",
                where="--shortlist",
                hint=hint,
            )
        return replace(self, shortlist=None if self.top is None else ALL)

    @property
    def is_exact(self) -> bool:
        """Whether recordings are searched until no other can matter."""
        return self.shortlist == EXACT

    def shortlist_length(self) -> int | None:
        """How many the shortlist is to hold; None where that was left open, or is ``all`` or ``exact``.

        Raises:
            UsageError: it is none of these and no number, or nothing is ranked over all recordings.
        """
        if self.shortlist is None:
            return None
        if self.top is None:
            raise UsageError("--shortlist needs --top", hint="add --top N")
        if self.shortlist in (ALL, EXACT):
            return None
        if not str(self.shortlist).isdecimal() or int(self.shortlist) < self.top:
            raise UsageError(
                f"{self.shortlist!r} is neither {ALL!r}, {EXACT!r} nor a number from --top ({self.top}) on",
                where="--shortlist",
            )
        return int(self.shortlist)


@contextmanager
def open_archive(
    search: Search, queries: Sequence[Query], ranking: Ranking, kept: AnswerOptions
) -> Iterator[FeatureArchive | None]:
    """The archive, where a shortlist is wanted, or is possible and quick; None: search every recording.

    Raises:
        UsageError: a shortlist is wanted and cannot be made of these inputs.
    """
    is_wanted = ranking.is_exact or ranking.shortlist_length() is not None
    if ranking.searches_all:
        yield None
        return
    obstacle = obstacle_of(search, queries, kept)
    if ranking.is_exact and obstacle is None and bound_of(search.model.network) is None:
        obstacle = "nothing bounds the scores of this model"
    if obstacle is not None:
        if is_wanted:
            raise UsageError(obstacle, where="--shortlist", hint=f"leave it out, or say --shortlist {ALL}")
        yield None
        return
    with ExitStack() as stack:
        archive = archive_of(search, stack)
        stale = [part.features for part in archive.parts if part.index is None]
        log_stale(stale, is_wanted=is_wanted)
        if not stale and archive.model_space is None:
            log_unranked(archive, search.model.network)
        if ranking.is_exact and archive.model_space is None:
            archive = replace(archive, model_space=space_of(search.model.network))
        yield archive if is_wanted or not stale else None


def obstacle_of(search: Search, queries: Sequence[Query], kept: AnswerOptions) -> str | None:
    """Why no shortlist can be made; None where one can."""
    if isinstance(search.finder, PriorFinder):
        return "a prior ignores the sound, so there is no shortlist"
    if search.encoder is None or window_of(search.finder) is None:
        return "the encoder is not known, and with it no similarity"
    if search.features is None or len(search.features) < len(search.collection):
        return "recordings have to be encoded first: amr extract"
    if not all(isinstance(part, FeatureFile) for part in parts_of(search)):
        return "a tree of .npz files has to be read in full"
    if any(query.vid is not None for query in queries):
        return "a query names its recording"
    if kept.prior == AUTO and not has_first_look(search.model.network):
        return "--prior auto needs the scores of every recording"
    return "--saliency wants whole recordings" if kept.with_saliency else None


def has_first_look(network: MomentModel | None) -> bool:
    """Whether a first look at a recording says how likely something is there at all."""
    return network is not None and network.config.there_level_slope > 0 and bound_of(network) is not None


def parts_of(search: Search) -> Sequence[object]:
    """The readers of the single files."""
    return search.features.parts if isinstance(search.features, ManyFeatures) else [search.features]


def window_of(finder: Finder) -> WindowFinder | None:
    """What knows the joint space: the window itself, or the similarity beside a trained network."""
    known = finder if isinstance(finder, WindowFinder) else getattr(finder, "similarity", None)
    return known if isinstance(known, WindowFinder) else None


def archive_of(search: Search, stack: ExitStack) -> FeatureArchive:
    """The feature files of a search, opened by rows, with their indexes."""
    finder, window = search.finder, window_of(search.finder)
    assert window is not None  # obstacle_of has looked
    assert isinstance(finder, ExcerptFinder)  # as every finder with a similarity is
    space, parts = space_of(search.model.network), []
    for number, reader in enumerate(parts_of(search)):
        assert isinstance(reader, FeatureFile)  # obstacle_of has looked
        features = stack.enter_context(FeatureFile(reader.path))
        index = find_index(features, JointSpace(window.encoder))
        model_index = None if space is None else find_index(features, space)
        names = search.features.part_ids[number] if isinstance(search.features, ManyFeatures) else None
        parts.append(ArchivePart(features, index, model_index, names))
    if any(part.index is not None and part.model_index is None for part in parts):
        space = None  # to compute it from every frame is more than who made an index waits for
    return FeatureArchive(parts, window, finder, space)


def space_of(network: MomentModel | None) -> ModelSpace | None:
    """The space in which a trained network compares frames with sentences, where it has one."""
    if network is None:
        return None
    from amr.retrieval.archive.model_space import model_space_of

    return model_space_of(network)


def log_stale(stale: Sequence[FeatureFile], *, is_wanted: bool) -> None:
    """Say that an index is missing where that costs time, or that one is there and out of date."""
    outdated = [features for features in stale if index_folder(features.path).is_dir()]
    for features in outdated or (stale if is_wanted else []):
        what = "the index is out of date and not used" if outdated else "there is no index"
        log.info(f"{features.path}: {what}, every frame is read; --index makes it")


def log_unranked(archive: FeatureArchive, network: MomentModel | None) -> None:
    """Say that the shortlist goes by similarity alone where it could go by the model's space as well."""
    space = space_of(network)
    for part in archive.parts if space is not None else []:
        if space is not None and part.model_index is None:
            path = part.features.path
            outdated = index_folder(path, space.model).is_dir()
            what = "is out of date, or of other weights" if outdated else "is not there"
            log.info(
                f"{path}: the index for the model {space.model} {what}, the shortlist goes by"
                " similarity alone; --index makes it"
            )


def shortlisted(
    archive: FeatureArchive,
    network: MomentModel | None,
    queries: Sequence[Query],
    kept: AnswerOptions,
    ranking: Ranking,
) -> Iterator[Prediction]:
    """The best of what is on the shortlist, a query after the other."""
    assert ranking.top is not None  # else there is no archive
    bound, count = bound_of(network), ranking.shortlist_length()
    if bound is not None and (ranking.is_exact or (count is None and all_fit(archive, bound))):
        most = None if ranking.is_exact else archive.most(ranking.top)
        found = exact_answers(
            archive, bound, queries, kept, top=ranking.top, recordings=ranking.by_recording, most=most
        )
        answers = []
        for answer in found:
            yield from ranking.best(answer.predictions)
            answers.append(replace(answer, predictions=answer.predictions[:0]))
        log_searched(answers, archive.num_recordings, ranking.top)
        return
    if count is None:
        count = archive.enough(ranking.top)
        what = "recordings" if ranking.by_recording else "moments"
        log.info(
            f"a shortlist of {count} {what} from {archive.num_recordings} recordings;"
            f" --shortlist {ALL} asks every one"
        )
    for listed in archive.search(queries, kept, shortlist=count, recordings=ranking.by_recording):
        yield from ranking.best(listed)


def all_fit(archive: FeatureArchive, bound: ScoreBound) -> bool:
    """Whether every recording is searched by one pass of the network; of longer ones parts are quicker."""
    return archive.model_space is not None and all(
        int(part.lengths.max(initial=0)) <= bound.window_frames for part in archive.parts
    )


def log_searched(answers: Sequence[ExactAnswer], total: int, top: int) -> None:
    """Say how many recordings were searched, and how far answers may be off."""
    lacking = [answer for answer in answers if answer.missed]
    searched = sum(answer.searched for answer in answers) / max(len(answers), 1)
    said = f"{searched:.0f} of {total} recordings were searched" + (" a query" if len(answers) > 1 else "")
    if not lacking:
        log.info(f"{said}, no other can be among the best")
        return
    missing = sum(answer.missing for answer in lacking) / len(answers)
    log.info(
        f"{said}; of the best {top}, {missing:.1f} are likely to be missing, with scores from"
        f" {lacking[0].least:.2f} to {lacking[0].missed:.2f} at most; --shortlist {EXACT} finds them all"
    )


def make_indexes(search: Search) -> None:
    """Make, or bring up to date, the indexes of every feature file.

    Where a network compares in a space of its own, there is an index of that beside the joint space's.

    Raises:
        UsageError: something else than feature files is named, or their encoder is not known.
        InputError: a file holds values that are not finite, or is damaged.
    """
    readers = parts_of(search) if search.features is not None else []
    if search.encoder is None or len(search.collection) != len(search.features or ()):
        raise UsageError(
            "only feature files of a known encoder can be indexed",
            where="--index",
            hint="amr extract AUDIO -o feats.h5 makes one",
        )
    for reader in readers:
        if not isinstance(reader, FeatureFile):
            raise UsageError("a tree of .npz files cannot be indexed", where="--index")
        with FeatureFile(reader.path) as features:
            for space in spaces_of(search.encoder, search.model.network):
                make_index(features, space)


def spaces_of(encoder: Encoder, network: MomentModel | None) -> list[Space]:
    """Those that are indexed."""
    space = space_of(network)
    return [JointSpace(encoder)] if space is None else [JointSpace(encoder), space]


def make_index(features: FeatureFile, space: Space) -> None:
    """One file's index in one space, with a line a minute and one at the end."""
    of_model = f" for the model {space.model}" if space.model else ""
    began = said = time.monotonic()

    def say(done: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said > PERIOD_S:
            said = time.monotonic()
            log.info(f"{features.path}: {done} of {total} segments are indexed{of_model}")

    try:
        index = build_index(features, space, say)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        current = find_index(features, space)
        if current is None:
            where = index_folder(features.path, space.model)
            raise InputError("no index can be written here", where=where) from error
        index = current  # there is nothing to write
    took_s = time.monotonic() - began
    log.info(f"{features.path}: {index.rows} frames are indexed{of_model}, in {took_s:.1f} s")
