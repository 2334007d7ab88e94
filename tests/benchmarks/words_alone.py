"""Words without an example: does another weight of the model's cosine beside the similarity rank better?

    python tests/benchmarks/words_alone.py DATA/audio --work FOLDER

Each clip is a recording, ranked as ``learned_sounds.py`` ranks with no example. ``val``: the clips of the
validation split of the open data, by the captions of their labels, the set to choose on. ``natural``: the
short natural clips. Average precision in per cent, means over questions.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from clips import read_rows, wave_of
from learned_sounds import FEWEST_CLIPS, Archive, Side, archive_of, cached, natural
from zero_shot import average_precision

from amr.arrays import BoolArray, Float32Array
from amr.formats.queries import Query
from amr.models.frames.level import COSINE_LEVEL, HALF_FOOT, SIMILARITY_LEVEL
from amr.retrieval.archive.curves import smoothed_apart
from amr.retrieval.archive.ranking import COSINE_WEIGHT, SIMILARITY_WEIGHT, above_level
from amr.retrieval.like import direction
from amr.tasks.archive import space_of

FEWEST_OF_VAL, CAPTIONS_OF_VAL = 5, 3
WEIGHTS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5)
"""Of the cosine, in parts of what it has."""
CERTAIN = (0.5, 0.75, 1.0)
"""The length of what a sentence sounds like from which on the cosine counts whole."""


class Asked(NamedTuple):
    """One question to all clips: of each frame the cosine and the similarity, ``(frames,)``."""

    certainty: float
    cosine: Float32Array
    similarity: Float32Array
    similarity_alone: Float32Array
    relevant: BoolArray


def val_clips(data: Path) -> Archive:
    def items() -> Iterator[Any]:
        for clip in read_rows(data / "open", "foreground"):
            if clip.split == "val":
                yield wave_of(clip.path), [(clip.label, clip.captions[0], 0.0, clip.duration_s)]

    return archive_of(items())


def questions(side: Side, fewest: int, captions: int) -> Iterator[Asked]:
    by_label = defaultdict(list)
    for event in side.archive.events:
        by_label[event[1]].append(event)
    space = space_of(side.search.model.network)
    assert space is not None
    for _, own in sorted(by_label.items()):
        relevant = np.zeros(len(side.archive.vids), dtype=bool)
        relevant[[event[0] for event in own]] = True
        sentences = [own[0][2]] if captions == 1 else sorted({event[2] for event in own})[:captions]
        for words in sentences if len(own) >= fewest else []:
            [tokens] = side.window.sentences.tokens([Query(words)])
            meaning, [joint] = space.sound(tokens), side.window.joint_text([words])
            yield Asked(
                float(np.linalg.norm(meaning)),
                side.own @ direction(meaning),
                side.joint @ joint,
                side.best(side.like(joint)),
                relevant,
            )


def precision(side: Side, asked: list[Asked], weight_of: Any) -> float:
    """The mean average precision with weights of the cosine by certainty."""
    start, step, found = side.archive.start, side.window.options.score_scale, []
    for each in asked:
        weight = COSINE_WEIGHT * weight_of(each.certainty)
        curve = above_level(each.cosine, start, weight, COSINE_LEVEL)
        curve += above_level(each.similarity, start, SIMILARITY_WEIGHT / step, SIMILARITY_LEVEL)
        found.append(average_precision(side.best(smoothed_apart(curve, start, HALF_FOOT)), each.relevant))
    return 100 * float(np.mean(found))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with open/ and natural_short/")
    parser.add_argument("--work", type=Path, required=True, help="features are kept here")
    options = parser.parse_args()
    val = cached(options.work, "val-clips", lambda: val_clips(options.data))
    short = cached(options.work, "natural", lambda: natural(options.data))
    for name, archive, fewest, captions in (
        ("val", val, FEWEST_OF_VAL, CAPTIONS_OF_VAL),
        ("natural", short, FEWEST_CLIPS, 1),
    ):
        side = Side.of(archive)
        asked = list(questions(side, fewest, captions))
        alone = np.mean([average_precision(each.similarity_alone, each.relevant) for each in asked])
        print(f"{name}: {len(asked)} questions, similarity alone {100 * alone:.1f}")
        for weight in WEIGHTS:
            print(f"  cosine x {weight:<4g} {precision(side, asked, lambda _, w=weight: w):5.1f}")
        for certain in CERTAIN:
            found = precision(side, asked, lambda length, c=certain: min(1.0, length / c))
            print(f"  cosine x min(1, length / {certain:g}) {found:5.1f}", flush=True)


if __name__ == "__main__":
    main()
