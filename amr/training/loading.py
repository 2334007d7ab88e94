"""From annotations and feature files to a :class:`Corpus`; what is missing or broken is named."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from amr.encoders.base import Encoder
from amr.encoders.stored import stored_identity
from amr.errors import InputError
from amr.formats.annotations import Annotation, is_moment
from amr.formats.features import FeatureReader
from amr.formats.notices import Notices
from amr.training.corpus import Corpus, Packed
from amr.training.draws import IntArray
from amr.training.similarity import joint_space

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
    """

    memory_bytes: int
    on_broken: OnBroken | None = None
    joint_encoder: Encoder | None = None
    similarity_channels: int = 0

    def broken(self, error: InputError) -> None:
        """Hand an error on, or end with it."""
        if self.on_broken is None:
            raise error
        self.on_broken(error)


def load_corpus(
    annotations: Sequence[Annotation], features: FeatureReader, options: LoadOptions, notices: Notices
) -> Corpus:
    """Read all that training or validation needs.

    Raises:
        InputError: recordings or queries have no features, or features that are not finite numbers; or no
            annotation is left.
    """
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
    tokens, pooled, wordings = pack_tokens(annotations, features, frames.values.dtype)
    meaning, meanings = number_meanings(annotations)
    encoder, channels = options.joint_encoder, options.similarity_channels
    joint = None
    if encoder is not None:
        joint = joint_space(encoder, frames.values.numpy(), frames.start, pooled, channels)
    recording = np.array([number[annotation.vid] for annotation in annotations], dtype=np.int64)
    return Corpus(
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
        heard=np.unique(recording * meanings + meaning),
        meanings=meanings,
        annotations=annotations,
        joint=joint,
        encoder=stored_identity(features),
        sha256=fingerprint(frames.values, tokens.values),
    )


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
        options.broken(
            InputError(
                f"{len(missing)} recordings have no features in {features.name}: {listing(missing)}",
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
    has = [features.has_text(asked(annotation), qid=annotation.qid) for annotation in annotations]
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


def asked(annotation: Annotation) -> str:
    """An annotation's query as feature files name it: published ones end in a blank here and there."""
    return annotation.query.strip()


def listing(names: Sequence[str]) -> str:
    """The first few of many names."""
    return ", ".join(map(repr, names[:SHOWN])) + (", ..." if len(names) > SHOWN else "")


def pack_frames(
    features: FeatureReader, vids: Sequence[str], options: LoadOptions
) -> tuple[Packed, set[str]]:
    """The frames of ``vids`` in one tensor, and the recordings among them that are broken."""
    start = offsets([features.num_frames(vid) for vid in vids])
    dtype = features.packed([]).frames.dtype
    values = allocate((int(start[-1]), features.dimension), dtype, options.memory_bytes)
    place = {vid: index for index, vid in enumerate(vids)}
    broken = set()
    for vid, frames in each_recording(features, vids):
        problem = frames_problem(frames)
        if problem:
            broken.add(vid)
            options.broken(InputError(f"recording {vid!r} {problem}", where=features.name))
        else:
            values[start[place[vid]] : start[place[vid] + 1]] = frames
    return Packed(torch.from_numpy(values), start), broken


def each_recording(
    features: FeatureReader, vids: Sequence[str]
) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """The frames of ``vids``: in one sequential read where most of the file is wanted, else one by one."""
    if 2 * len(vids) < len(features):
        yield from ((vid, features.frames(vid)) for vid in vids)
        return
    wanted = set(vids)
    yield from ((recording.id, recording.frames) for recording in features if recording.id in wanted)


def frames_problem(frames: npt.NDArray[np.float32]) -> str:
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
    however it ends.
    """
    if int(np.prod(shape)) * np.dtype(dtype).itemsize <= memory_bytes:
        return np.zeros(shape, dtype=dtype)
    with tempfile.TemporaryFile() as scratch:
        return np.memmap(scratch, dtype=dtype, mode="w+", shape=shape)


def pack_tokens(
    annotations: Sequence[Annotation], features: FeatureReader, dtype: torch.dtype
) -> tuple[Packed, npt.NDArray[np.float32], list[IntArray]]:
    """The tokens of every text, its pooled vector ``(texts, text_dim)``, and the texts of each annotation.

    An annotation's own query is its first.

    Further wordings stand in an annotation's ``paraphrases``; those without text features are passed over,
    since they are offered, not asked for.
    """
    number: dict[str, int] = {}
    tokens: list[npt.NDArray[np.float32]] = []
    pooled: list[npt.NDArray[np.float32]] = []
    wordings = []
    by_text = len(features.queries) > 0
    for annotation in annotations:
        mine = []
        for text in [asked(annotation), *paraphrases(annotation)]:
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
    return Packed(values, offsets([len(vectors) for vectors in tokens])), np.stack(pooled), wordings


def paraphrases(annotation: Annotation) -> list[str]:
    """Further wordings of an annotation's query."""
    found = annotation.extra.get("paraphrases", [])
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise InputError("'paraphrases' is not a list of texts", where=annotation.where)
    return found


def require_sound_tokens(tokens: npt.NDArray[np.float32], annotation: Annotation, name: str) -> None:
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


def number_meanings(annotations: Iterable[Annotation]) -> tuple[IntArray, int]:
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


def offsets(counts: Sequence[int]) -> IntArray:
    """``(n + 1,)`` where each of ``n`` parts begins."""
    return np.concatenate([[0], np.cumsum(np.asarray(counts, dtype=np.int64))]).astype(np.int64)


def fingerprint(*tensors: Tensor) -> str:
    """sha256 of the bytes of tensors on the CPU."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.numpy().view(np.uint8).data)
    return digest.hexdigest()
