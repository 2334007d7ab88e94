"""From annotations and feature files to a :class:`Dataset`; what is missing or broken is named."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from amr.arrays import Float32Array, Int64Array
from amr.encoders.base import Encoder
from amr.encoders.stored import stored_identity
from amr.errors import InputError, MissingError, number_of
from amr.formats.annotations import Annotation, is_moment
from amr.formats.features.base import FeatureReader
from amr.formats.notices import Notices
from amr.training.dataset import Dataset, PackedVectors, fingerprint
from amr.training.job import never, require_going_on
from amr.training.similarity import joint_features
from amr.training.with_kinds import with_kinds

SHOWN = 5
"""Ids that a message about missing features names."""
LENGTH_TOLERANCE_S = 2.0
"""Features a second shorter or longer than the annotated length are common; more is worth a word."""

OnBroken = Callable[[InputError], None]
Window = tuple[float, float]


@dataclass(frozen=True)
class LoadOptions:
    """How features are taken in.

    Args:
        memory_bytes: frames that would take more are mapped from a scratch file instead of held in memory.
        on_broken: called with what is missing or broken, which is then left out; None: that ends it.
        joint_encoder: takes frames and texts into the joint space, for networks that take similarities.
        similarity_channels: curves a frame that the network takes.
        curve_kinds: of ``CURVE_KINDS``, for networks that are given nothing but curves.
        should_stop: asked before each recording, text and block of frames.
    """

    memory_bytes: int
    on_broken: OnBroken | None = None
    joint_encoder: Encoder | None = None
    similarity_channels: int = 0
    curve_kinds: tuple[str, ...] = ()
    should_stop: Callable[[], bool] = never

    def require_going_on(self) -> None:
        """Raises ``RunStoppedError`` where the work is to stop; there is nothing to go on with yet."""
        require_going_on(self.should_stop)

    def broken(self, error: InputError) -> None:
        """Hand an error on, or end with it."""
        if self.on_broken is None:
            raise error
        self.on_broken(error)


def load_dataset(
    annotations: Sequence[Annotation], features: FeatureReader, options: LoadOptions, notices: Notices
) -> Dataset:
    """Read all that training or validation needs.

    Raises:
        InputError: recordings or queries have no features, or features that are not finite numbers; or no
            annotation is left.
    """
    annotations = [replace(each, vid=features.spelt(each.vid)) for each in annotations]
    annotations = with_features(annotations, features, options)
    annotations = with_text(annotations, features, options)
    vids = list(dict.fromkeys(annotation.vid for annotation in annotations))
    frames, broken = pack_frames(features, vids, options)
    annotations = [annotation for annotation in annotations if annotation.vid not in broken]
    if not annotations:
        raise InputError("no annotation whose recording has features is left", where=features.name)
    number = {vid: index for index, vid in enumerate(vids)}
    durations_s = np.array([features.duration_s(vid) for vid in vids], dtype=np.float64)
    annotations, windows = with_windows(annotations, lambda vid: float(durations_s[number[vid]]), notices)
    tokens, pooled, wordings = pack_tokens(annotations, features, frames.values.dtype, options)
    meaning, meanings = number_meanings(annotations)
    encoder, channels = options.joint_encoder, options.similarity_channels
    joint = None
    if encoder is not None:
        values = frames.values.numpy()
        joint = joint_features(encoder, values, frames.start, pooled, channels, options.require_going_on)
    recording = np.array([number[annotation.vid] for annotation in annotations], dtype=np.int64)
    dataset = Dataset(
        frames=frames,
        recordings=vids,
        durations_s=durations_s,
        window_s=features.window_s,
        hop_s=features.hop_s,
        tokens=tokens,
        recording=recording,
        wordings=wordings,
        windows_start=offsets([len(rows) for rows in windows]),
        windows_s=np.array([row for rows in windows for row in rows], dtype=np.float64).reshape(-1, 2),
        meaning=meaning,
        annotated=np.unique(recording * meanings + meaning),
        meanings=meanings,
        annotations=annotations,
        joint=joint,
        encoder=stored_identity(features),
        sha256=fingerprint(frames.values, tokens.values, on_block=options.require_going_on),
    )
    return with_kinds(dataset, options.curve_kinds) if options.curve_kinds else dataset


def with_features(
    annotations: Sequence[Annotation], features: FeatureReader, options: LoadOptions
) -> list[Annotation]:
    """Annotations whose recording has features.

    Raises:
        InputError: some have none; the first few are named.
    """
    missing = list(dict.fromkeys(a.vid for a in annotations if a.vid not in features))
    if missing:
        first = next(a for a in annotations if a.vid == missing[0])
        count = number_of(len(missing), "recording")
        options.broken(
            InputError(
                f"{count} without features in {features.name}: {listing(missing)}",
                where=first.where,
                hint="extract them too, or leave them out with --keep-going",
            )
        )
    absent = set(missing)
    return [annotation for annotation in annotations if annotation.vid not in absent]


def with_text(
    annotations: Sequence[Annotation], features: FeatureReader, options: LoadOptions
) -> list[Annotation]:
    """Annotations whose query has text features.

    Raises:
        InputError: some have none; the first few are named.
    """
    has = [features.has_text(query_text(annotation), qid=annotation.qid) for annotation in annotations]
    missing = list(dict.fromkeys(a.query for a, there in zip(annotations, has, strict=True) if not there))
    if missing:
        options.broken(
            InputError(
                f"{len(missing)} queries have no text features in {features.name}: {listing(missing)}",
                where=annotations[has.index(False)].where,
                hint="amr extract --queries FILE stores them; or leave them out with --keep-going",
            )
        )
    return [annotation for annotation, there in zip(annotations, has, strict=True) if there]


def query_text(annotation: Annotation) -> str:
    """An annotation's query as feature files name it: published ones end in a blank here and there."""
    return annotation.query.strip()


def listing(names: Sequence[str]) -> str:
    """The first few of many names."""
    return ", ".join(map(repr, names[:SHOWN])) + (", ..." if len(names) > SHOWN else "")


def pack_frames(
    features: FeatureReader, vids: Sequence[str], options: LoadOptions
) -> tuple[PackedVectors, set[str]]:
    """The frames of ``vids`` in one tensor, and the recordings among them that are broken."""
    start = offsets([features.num_frames(vid) for vid in vids])
    dtype = features.packed([]).frames.dtype
    values = allocate((int(start[-1]), features.dimension), dtype, options.memory_bytes)
    place = {vid: index for index, vid in enumerate(vids)}
    broken = set()
    for vid, frames in each_recording(features, vids):
        options.require_going_on()
        problem = frames_problem(frames)
        if problem:
            broken.add(vid)
            options.broken(InputError(f"recording {vid!r} {problem}", where=features.name))
        else:
            values[start[place[vid]] : start[place[vid] + 1]] = frames
    return PackedVectors(torch.from_numpy(values), start), broken


def each_recording(features: FeatureReader, vids: Sequence[str]) -> Iterator[tuple[str, Float32Array]]:
    """The frames of ``vids``: in one sequential read where most of the file is wanted, else one by one."""
    if 2 * len(vids) < len(features):
        yield from ((vid, features.frames(vid)) for vid in vids)
        return
    wanted = set(vids)
    yield from ((recording.id, recording.frames) for recording in features if recording.id in wanted)


def frames_problem(frames: Float32Array) -> str:
    """Why frames cannot be trained on, or nothing."""
    if len(frames) == 0:
        return "has no frames"
    finite = np.isfinite(frames).all(axis=1)
    if not finite.all():
        return f"has values that are not finite, first in frame {int(np.argmin(finite))}"
    return ""


def allocate(
    shape: tuple[int, int], dtype: npt.DTypeLike, memory_bytes: int
) -> npt.NDArray[np.floating[npt.NBitBase]]:
    """An array in memory or, where it is larger than ``memory_bytes``, mapped from a scratch file.

    The scratch file lies in the folder for temporary files ($TMPDIR) and is gone when the process ends,
    however it ends. Its room is taken at once: a mapped file that grows on a full disk is the end of the
    process.

    Raises:
        MissingError: there is no room for it.
    """
    num_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if num_bytes <= memory_bytes:
        return np.zeros(shape, dtype=dtype)
    with tempfile.TemporaryFile() as scratch:
        try:
            os.posix_fallocate(scratch.fileno(), 0, num_bytes)
        except OSError as error:
            raise MissingError(
                f"no room for {num_bytes / 1e9:.3g} GB of features ({error.strerror}); "
                f"--memory holds {memory_bytes / 1e9:.3g} GB",
                where=tempfile.gettempdir(),
                hint="make room, set TMPDIR to a folder on a larger disk, or give more --memory",
            ) from error
        return np.memmap(scratch, dtype=dtype, mode="r+", shape=shape)


def pack_tokens(
    annotations: Sequence[Annotation], features: FeatureReader, dtype: torch.dtype, options: LoadOptions
) -> tuple[PackedVectors, Float32Array, list[Int64Array]]:
    """The tokens of every text, its pooled vector ``(texts, text_dim)``, and the texts of each annotation.

    An annotation's own query is its first.

    Further wordings stand in an annotation's ``paraphrases``; those without text features are skipped,
    since they are an offer.
    """
    number: dict[str, int] = {}
    tokens: list[Float32Array] = []
    pooled: list[Float32Array] = []
    wordings = []
    by_text = len(features.queries) > 0
    for annotation in annotations:
        options.require_going_on()
        mine = []
        for text in [query_text(annotation), *paraphrases(annotation)]:
            key = text if by_text else str(annotation.qid)
            if key not in number:
                if not features.has_text(text, qid=annotation.qid):
                    continue
                vectors = features.text(text, qid=annotation.qid)
                require_sound_tokens(vectors.tokens, annotation, features.name)
                number[key] = len(tokens)
                tokens.append(vectors.tokens)
                pooled.append(vectors.pooled)
            mine.append(number[key])
        wordings.append(np.array(list(dict.fromkeys(mine)), dtype=np.int64))
    values = torch.from_numpy(np.concatenate(tokens)).to(dtype)
    return PackedVectors(values, offsets([len(vectors) for vectors in tokens])), np.stack(pooled), wordings


def paraphrases(annotation: Annotation) -> list[str]:
    """Further wordings of an annotation's query."""
    found = annotation.extra.get("paraphrases", [])
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise InputError("'paraphrases' is not a list of texts", where=annotation.where)
    return found


def require_sound_tokens(tokens: Float32Array, annotation: Annotation, name: str) -> None:
    """Refuse a query of no tokens, or of values that are not finite."""
    if len(tokens) and np.isfinite(tokens).all():
        return
    what = "values that are not finite" if len(tokens) else "no tokens"
    raise InputError(f"the text features of {annotation.query!r} have {what}", where=name)


def with_windows(
    annotations: Sequence[Annotation], duration_s: Callable[[str], float], notices: Notices
) -> tuple[list[Annotation], list[list[Window]]]:
    """Annotations and their usable windows; one that has windows, but none of use, is noted and left out.

    An annotation that lists no window at all says that its query is absent, and stays.

    Raises:
        InputError: nothing is left.
    """
    kept, windows = [], []
    for annotation in annotations:
        usable = usable_windows(annotation, duration_s(annotation.vid), notices)
        if annotation.windows and not usable:
            notices.add("annotation without a window inside its recording, left out", annotation.where)
            continue
        kept.append(annotation)
        windows.append(usable)
    if not kept:
        raise InputError("no window lies inside its recording", where=annotations[0].where)
    return kept, windows


def usable_windows(annotation: Annotation, duration_s: float, notices: Notices) -> list[Window]:
    """The moments of an annotation inside its recording, cut off at its end, in file order, none twice."""
    length_s = annotation.duration_s
    if length_s is not None and abs(length_s - duration_s) > LENGTH_TOLERANCE_S:
        notices.add("annotated duration and features differ by more than 2 s", annotation.where)
    usable: dict[Window, None] = {}
    for start_s, end_s in annotation.windows:
        start_s = max(start_s, 0.0)
        if not is_moment(start_s, end_s):
            notices.add("window of no length, left out", annotation.where)
        elif start_s >= duration_s:
            notices.add("window after the end of its recording, left out", annotation.where)
        else:
            if end_s > duration_s:
                notices.add("window past the end of its recording, cut off there", annotation.where)
            usable[(start_s, min(end_s, duration_s))] = None
    return list(usable)


def number_meanings(annotations: Iterable[Annotation]) -> tuple[Int64Array, int]:
    """What each annotation asks for as a number: its ``label`` where it has one, else its query."""
    numbers: dict[tuple[str, str], int] = {}
    meaning = []
    for annotation in annotations:
        label = annotation.extra.get("label")
        key = ("label", label) if isinstance(label, str) and label else ("query", folded(annotation.query))
        meaning.append(numbers.setdefault(key, len(numbers)))
    return np.array(meaning, dtype=np.int64), len(numbers)


def folded(query: str) -> str:
    """A query without what does not change its meaning: case, spaces, a final stop."""
    return " ".join(query.casefold().split()).rstrip(".")


def offsets(counts: Sequence[int]) -> Int64Array:
    """``(n + 1,)`` where each of ``n`` parts begins."""
    return np.concatenate([[0], np.cumsum(np.asarray(counts, dtype=np.int64))]).astype(np.int64)
