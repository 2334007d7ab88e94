"""Judge the preset ``curves`` against the sliding window, on similarity curves of several kinds.

    python examples/judge_curves.py MODEL[,MODEL...] ANNOTATIONS FEATURES [--kinds log,cosine,...] [-o JSON]

Every query of ANNOTATIONS is asked where it belongs. Of the encoder's features (``yamnet``'s) each kind makes
another similarity, so that one encoder stands for several:

log        the encoder's own, an expected log ratio (the window is tuned for it)
cosine     angles in its joint space
root       angles in the joint space of square roots of likelihood ratios
example    angles, in its features, with a moment of the same label in another recording
prototype  angles with the prototypes of the model ``best``: a joint space that was learned, as CLAP's are

The window has the settings that ``amr predict --model window`` gives each. Several models are seeds: figures
are their means, and differences to the window are paired by query, intervals over recordings.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from amr.arrays import Float32Array, Float64Array
from amr.encoders.base import Encoder, EncoderIdentity, TextFeatures
from amr.encoders.registry import load_encoder
from amr.formats.annotations import Annotation, read_annotations
from amr.formats.features.open import open_features
from amr.formats.queries import Query
from amr.functional import unit
from amr.metrics.bootstrap import confidence_intervals
from amr.moments import interval_iou
from amr.retrieval.archive.model_space import ModelSpace, model_space_of
from amr.retrieval.finders import Finder
from amr.retrieval.recordings import Collection, FeatureSource
from amr.retrieval.trained.finder import TrainedFinder
from amr.retrieval.trained.model import load_model
from amr.retrieval.window import COSINE_OPTIONS, WindowOptions
from amr.retrieval.window_finder import WindowFinder
from amr.tasks.networks import shipped_path

KINDS = ("log", "cosine", "root", "example", "prototype")
IOUS = (0.5, 0.7)
DRAWS, SEED = 2000, 0


@dataclass(frozen=True)
class KindOfCurve:
    """An encoder whose joint space is made from another's.

    Args:
        own: the other encoder.
        audio: its frames into the space.
        text: its joint text ``(queries, dim)`` into the space.
    """

    own: Encoder
    audio: Callable[[Float32Array], Float32Array]
    text: Callable[[Float32Array], Float32Array]

    @property
    def identity(self) -> EncoderIdentity:
        size = self.audio(np.zeros((1, self.own.identity.dimension), np.float32)).shape[1]
        return replace(self.own.identity, joint_dimension=size)

    def encode_audio(self, samples: Float32Array) -> Float32Array:
        return self.own.encode_audio(samples)

    def encode_text(self, queries: list[str]) -> list[TextFeatures]:
        return self.own.encode_text(queries)

    def joint_audio(self, frames: Float32Array) -> Float32Array:
        return self.audio(frames.astype(np.float32))

    def joint_text(self, pooled: Float32Array) -> Float32Array:
        return self.text(self.own.joint_text(pooled))

    def explain(self, query: str, top: int) -> list[tuple[str, float]]:
        return self.own.explain(query, top)


def kind_of(name: str, own: Encoder, prototypes: ModelSpace) -> tuple[KindOfCurve, WindowOptions]:
    """An encoder of a kind, and the window's settings for it."""

    def roots(frames: Float32Array) -> Float32Array:
        return unit(np.exp(own.joint_audio(frames) / 2))

    if name == "log":
        return KindOfCurve(own, own.joint_audio, lambda text: text), WindowOptions()
    audio = {
        "cosine": lambda frames: unit(own.joint_audio(frames)),
        "root": roots,
        "example": unit,
        "prototype": prototypes.values,
    }[name]
    return KindOfCurve(own, audio, unit), COSINE_OPTIONS


class Bench:
    """Annotated recordings, and what each query is in each kind of space."""

    def __init__(
        self, annotations: Sequence[Annotation], collection: Collection, encoder: str | None = None
    ) -> None:
        self.annotations = [each for each in annotations if each.windows and each.vid in collection]
        self.collection = collection
        self.own = load_encoder(encoder) if encoder else load_encoder()
        space = model_space_of(load_model(shipped_path()))
        assert space is not None  # best has prototypes
        self.prototypes = space
        self.recording = np.unique([each.vid for each in self.annotations], return_inverse=True)[1]

    def vectors(self, kind: str, encoder: KindOfCurve) -> dict[int, Float32Array]:
        """What each annotation asks for in the space of a kind that words do not reach; by its number."""
        if kind == "prototype":
            texts = [each.query for each in self.annotations]
            return dict(
                enumerate(map(self.prototypes.meaning, (f.tokens for f in self.own.encode_text(texts))))
            )
        if kind != "example":
            return {}
        found = {}
        for number in range(len(self.annotations)):
            other = self.relative(number)
            if other is not None:
                found[number] = unit(encoder.joint_audio(self.moment(other)).mean(axis=0))
        return found

    def relative(self, number: int) -> Annotation | None:
        """The next annotation of the same label in another recording."""
        here = self.annotations[number]
        label = here.extra.get("label", here.query)
        for step in range(1, len(self.annotations)):
            other = self.annotations[(number + step) % len(self.annotations)]
            if other.extra.get("label", other.query) == label and other.vid != here.vid:
                return other
        return None

    def moment(self, annotation: Annotation) -> Float32Array:
        """The frames of its first moment."""
        recording = self.collection.load(annotation.vid)
        inside = recording.grid.frames_between(*annotation.windows[0])
        return recording.frames[inside.start : max(inside.stop, inside.start + 1)].astype(np.float32)

    def asked(
        self, kind: str, query_of: Sequence[int] | None = None
    ) -> tuple[WindowFinder, list[tuple[int, Query]]]:
        """The window that knows all queries of a kind, and the queries.

        Args:
            kind: of :data:`KINDS`.
            query_of: ``(annotations,)`` whose query each recording is asked; left out: its own.
        """
        encoder, options = kind_of(kind, self.own, self.prototypes)
        window = WindowFinder(encoder, options)
        known = self.vectors(kind, encoder)
        asked = []
        for number, each in enumerate(self.annotations):
            other = number if query_of is None else query_of[number]
            if kind == "example" and other not in known:
                continue
            text = f"{kind}:{other}" if other in known else self.annotations[other].query
            if other in known:
                window.vectors[text] = known[other]
            asked.append((number, Query(text, vid=each.vid)))
        return window, asked

    def answers(self, finder: Finder, asked: Sequence[tuple[int, Query]]) -> Iterator[tuple[int, Any]]:
        """The moments of each query, ``(moments, 3)``, best first, by its number."""
        by_recording: dict[str, list[tuple[int, Query]]] = {}
        for number, query in asked:
            by_recording.setdefault(str(query.vid), []).append((number, query))
        groups = list(by_recording.values())
        requests = (
            (self.collection.load(str(group[0][1].vid)), [query for _, query in group]) for group in groups
        )
        for group, found in zip(groups, finder.find(requests), strict=True):
            for (number, _), answer in zip(group, found, strict=True):
                yield number, np.array(answer.moments, dtype=np.float64).reshape(-1, 3)

    def hits(self, finder: Finder, asked: Sequence[tuple[int, Query]]) -> dict[int, Float64Array]:
        """Whether the best answer to each query meets a true moment by each IoU, in per cent."""
        found = {}
        for number, moments in self.answers(finder, asked):
            true = np.array(self.annotations[number].windows, dtype=np.float64)
            best = max((float(interval_iou(moments[0, :2], true).max()) if len(moments) else 0.0), 0.0)
            found[number] = np.array([100.0 * (best >= least) for least in IOUS])
        return found


def judged(bench: Bench, kind: str, models: Sequence[str]) -> dict[str, Any]:
    """Figures of the window and of the models on one kind of curves."""
    window, asked = bench.asked(kind)
    base = bench.hits(window, asked)
    numbers = sorted(base)
    seeds = []
    for model in models:
        finder = TrainedFinder(load_model(model), window.sentences, window)
        own = bench.hits(finder, asked)
        seeds.append(np.stack([own[number] for number in numbers]))
    flat = np.stack([base[number] for number in numbers])
    change = np.mean(seeds, axis=0) - flat
    _, recording = np.unique(bench.recording[numbers], return_inverse=True)
    ends = confidence_intervals(change, recording, draws=DRAWS, seed=SEED)
    means = np.array([seed.mean(axis=0) for seed in seeds])
    return {
        "queries": len(numbers),
        "window": flat.mean(axis=0).tolist(),
        "curves": means.mean(axis=0).tolist(),
        "seeds": means.tolist(),
        "difference": change.mean(axis=0).tolist(),
        "interval": ends.tolist(),
    }


def line(kind: str, found: dict[str, Any]) -> str:
    """A row of the table."""
    cells = [kind, str(found["queries"])]
    for who in ("window", "curves"):
        cells.append(" / ".join(f"{value:.1f}" for value in found[who]))
    for value, (low, high) in zip(found["difference"], found["interval"], strict=True):
        cells.append(f"{value:+.1f} ({low:.1f} to {high:.1f})")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Read the options, judge, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", help="files, commas between: seeds of one training")
    parser.add_argument("annotations", type=Path)
    parser.add_argument("features", type=Path)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--encoder", help="what made the features; default: yamnet")
    parser.add_argument("--limit", type=int, help="only so many annotations, from the first on")
    parser.add_argument("-o", "--output", type=Path, help="everything, as JSON")
    options = parser.parse_args()
    with open_features(options.features) as reader:
        annotations = read_annotations(str(options.annotations))[: options.limit]
        bench = Bench(annotations, Collection([FeatureSource(reader)]), options.encoder)
        print("| curves | queries | window | model | R1@0.5 more | R1@0.7 more |\n|---|---|---|---|---|---|")
        found = {}
        for kind in options.kinds.split(","):
            found[kind] = judged(bench, kind, options.models.split(","))
            print(line(kind, found[kind]), flush=True)
    if options.output:
        options.output.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
