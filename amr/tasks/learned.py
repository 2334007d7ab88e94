"""Queries that examples refine: clips, accepted and rejected moments, and sounds that were kept by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from amr.arrays import Float32Array
from amr.audio.names import as_spelt, canonical
from amr.errors import InputError, UsageError
from amr.formats.labels import Label, read_labels
from amr.formats.queries import Query, check_text
from amr.formats.sounds import SavedSound, find_sound, read_sound, write_sound
from amr.moments import Span
from amr.retrieval.window_finder import WindowFinder
from amr.tasks.archive import space_of, window_of
from amr.tasks.inputs import Search

if TYPE_CHECKING:
    from amr.retrieval.archive.model_space import ModelSpace
    from amr.retrieval.like import ExampleClip

LIKE, UNLIKE = "like:", "unlike:"
MARK = "@"
TYPED = ("--query", "query")
"""Where a query is typed and not read from a list: only there the mark stands for a kept sound."""
PROBE_AXES = 16
PROBE_TOLERANCE = 0.01

Place = tuple[str, Span]
"""A moment: the recording's id, and from when to when."""


@dataclass(frozen=True)
class Examples:
    """What is looked for, beside words.

    Args:
        like: clips that sound like it.
        unlike: clips that do not.
        labels: a file of accepted and rejected moments, of recordings that are searched.
    """

    like: Sequence[str | Path] = ()
    unlike: Sequence[str | Path] = ()
    labels: str | Path | None = None

    def __bool__(self) -> bool:
        return bool(self.like or self.unlike or self.labels is not None)


def with_examples(search: Search, queries: Sequence[Query], examples: Examples) -> list[Query]:
    """The queries, each with its examples; without queries the clips are one, or the labels' queries are.

    A query that was typed and begins with ``@`` is the sound that was kept under that name.

    Raises:
        UsageError: the model takes words only, or there are clips against and none for.
        InputError: a clip or the labels are wrong, or no labels are for a query.
    """
    for query in queries:
        if query.text.startswith(MARK) and query.where in TYPED:
            recall(search, query.text, find_sound(query.text.removeprefix(MARK)))
    if not examples:
        return list(queries)
    labels = [] if examples.labels is None else read_labels(examples.labels)
    if not queries and labels and not examples.like:
        queries = [
            Query(text, where=str(examples.labels))
            for text in dict.fromkeys(each.found_by for each in labels)
        ]
    from amr.retrieval.like import add_clips, read_clip  # decoding: not before there is a clip

    window = similarity_of(search)
    like = [read_clip(as_spelt(Path(path)), window.encoder) for path in examples.like]
    has_own_space = space_of(search.model.network) is not None
    if not (has_own_space or examples.unlike or labels):
        return add_clips(queries, like, window)
    unlike = [read_clip(as_spelt(Path(path)), window.encoder) for path in examples.unlike]
    return [learned(search, query, like, unlike, labels, examples.labels) for query in queries or [Query("")]]


def learned(
    search: Search,
    query: Query,
    like: Sequence[ExampleClip],
    unlike: Sequence[ExampleClip],
    labels: Sequence[Label],
    where: str | Path | None,
) -> Query:
    """One query with its examples."""
    own = [each for each in labels if canonical(each.found_by) == canonical(query.text)]
    if labels and not own:
        known = ", ".join(repr(text) for text in list(dict.fromkeys(each.found_by for each in labels))[:3])
        raise InputError(
            f"holds no example of {query.text!r}; it has examples of {known}",
            where=where or "",
            hint="give a query of the file, word for word",
        )
    accepted, rejected = (
        [(each.vid, Span(each.start_s, each.end_s)) for each in own if each.accepted is wanted]
        for wanted in (True, False)
    )
    parts = [query.text, *(LIKE + clip.name for clip in like), *(UNLIKE + clip.name for clip in unlike)]
    if own:
        parts.append(f"+{len(accepted)} -{len(rejected)}")
    text = " ".join(filter(None, parts))
    remember(
        search,
        text,
        query.text or None,
        [clip.frames for clip in like] + frames_of(search, accepted),
        [clip.frames for clip in unlike] + frames_of(search, rejected),
    )
    return replace(query, text=text, where=query.where or "--like")


def learn(
    search: Search,
    words: str | None,
    accepted: Sequence[Place],
    rejected: Sequence[Place],
    *,
    name: str = "",
) -> Query:
    """A query that a few moments of the recordings have turned; the search's finder knows it by its text.

    Args:
        words: the sentence, or ``@NAME``; None: what is looked for has no words.
        accepted, rejected: moments that are what is looked for, and that are not.
        name: the query's text; left out: the words, and how many examples there are.

    Raises:
        UsageError: the model takes words only, or there are neither words nor accepted moments.
        InputError: a recording is not there.
    """
    text = name or " ".join(filter(None, [words, f"+{len(accepted)} -{len(rejected)}"]))
    remember(search, text, words, frames_of(search, accepted), frames_of(search, rejected))
    return check_text(Query(text, where="examples"))


def frames_of(search: Search, places: Sequence[Place]) -> list[Float32Array]:
    """The frames ``(frames, dimension)`` of each moment; each recording is loaded once."""
    recordings = {}
    for vid in dict.fromkeys(vid for vid, _ in places):
        if vid not in search.collection:
            raise InputError(
                f"an example is of the recording {vid!r}, which is not searched", where="examples"
            )
        recordings[vid] = search.collection.load(vid)
    return [
        recordings[vid].frames[slice_of(recordings[vid].grid.frames_between(*span))] for vid, span in places
    ]


def slice_of(frames: range) -> slice:
    return slice(frames.start, frames.stop)


def remember(
    search: Search,
    text: str,
    words: str | None,
    accepted: Sequence[Float32Array],
    rejected: Sequence[Float32Array],
) -> None:
    """Learn, and have the search's finder know it by ``text``.

    Args:
        accepted, rejected: frames ``(frames, dimension)`` of each example.
    """
    from amr.retrieval.learned import learn_meaning
    from amr.retrieval.like import ExampleClip, together, vector_of

    window, space = similarity_of(search), own_space(search)
    if words is None and not accepted:
        raise UsageError(
            "a search needs a query or an accepted example; there is neither",
            hint='give --query "dog barking", or --like CLIP',
        )
    prior = None
    if words is not None:
        prior = window.meanings.get(words)
        if prior is None:
            [tokens] = window.sentences.tokens([Query(words)])
            prior = space.sound(tokens)
    window.meanings[text] = learn_meaning(
        prior, [space.values(each) for each in accepted], [space.values(each) for each in rejected]
    )
    example = vector_of([ExampleClip("", each) for each in accepted], window.encoder) if accepted else None
    joint = None if words is None else window.joint_text([words])[0]
    if example is None or joint is None:
        window.vectors[text] = joint if example is None else example  # type: ignore[assignment]  # one is there
    else:
        window.vectors[text] = together(joint, example, window.encoder)


def similarity_of(search: Search) -> WindowFinder:
    """What knows the joint space of a search.

    Raises:
        UsageError: nothing does: a prior, or features of an unknown encoder.
    """
    window = window_of(search.finder)
    if window is None:
        raise UsageError(
            "examples need features of a known encoder, and a model that uses the sound",
            hint="--model best, or --model window",
        )
    return window


def own_space(search: Search) -> ModelSpace:
    """The space in which the search's network compares frames with directions.

    Raises:
        UsageError: it has none.
    """
    space = space_of(search.model.network)
    if space is None:
        raise UsageError(
            f"the model {search.model.name!r} has no prototypes and cannot learn from examples",
            hint="--model best on features that it takes, or --like alone",
        )
    return space


def recall(search: Search, text: str, path: Path) -> None:
    """Have the search's finder know a sound that was kept in a file by ``text``, ``@NAME``.

    Raises:
        InputError: it is none, or of another encoder or model.
    """
    sound, window = read_sound(path), similarity_of(search)
    if sound.encoder != window.encoder.identity.to_json():
        raise InputError(
            f"was learned from features of {sound.encoder}, these are of {window.encoder.identity.to_json()}",
            where=path,
        )
    window.vectors[text] = sized(sound.joint, window.encoder.identity.joint_dimension, "joint", path)
    space = space_of(search.model.network)
    if space is not None:
        axes = space.probe(window.encoder.identity.dimension)
        probe = axes[:, :PROBE_AXES].ravel()
        if len(probe) != len(sound.probe) or not np.allclose(probe, sound.probe, atol=PROBE_TOLERANCE):
            raise InputError(
                f"was learned with another model ({sound.model})",
                where=path,
                hint="learn it again, or name it with --model",
            )
        window.meanings[text] = sized(sound.meaning, axes.shape[1], "meaning", path)


def sized(values: list[float], size: int, key: str, path: Path) -> Float32Array:
    """``(size,)`` numbers of a file."""
    if len(values) != size:
        raise InputError(f"{key!r} has {len(values)} numbers, expected {size}", where=path)
    return np.asarray(values, dtype=np.float32)


def probe_of(space: ModelSpace, dimension: int) -> list[float]:
    """Numbers by which a space is recognised: the first axes of what a few fixed frames become."""
    return [float(value) for value in space.probe(dimension)[:, :PROBE_AXES].ravel()]


def keep(search: Search, queries: Sequence[Query], target: Path, *, force: bool = False) -> None:
    """Write what was learned for the one query as a sound that ``@NAME`` recalls.

    Raises:
        UsageError: there are several queries, or the model has no prototypes.
        InputError: the file exists and ``force`` is not set.
    """
    if len(queries) != 1:
        raise UsageError(f"--save-as keeps one sound; {len(queries)} queries are given", where="--save-as")
    [query] = queries
    window, space = similarity_of(search), own_space(search)
    meaning = window.meanings.get(query.text)
    if meaning is None:
        [tokens] = window.sentences.tokens([query])
        meaning = space.sound(tokens)
    identity = window.encoder.identity
    sound = SavedSound(
        words=query.text,
        encoder=identity.to_json(),
        model=space.model,
        probe=probe_of(space, identity.dimension),
        meaning=meaning.tolist(),
        joint=window.joint_text([query.text])[0].tolist(),
    )
    write_sound(target, sound, force=force)
