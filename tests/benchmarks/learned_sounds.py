"""What do examples for and against add to words? Average precision over an archive, by number of examples.

    python tests/benchmarks/learned_sounds.py DATA/audio --work FOLDER

Recordings are ranked by the best score that each has for a sound. Of the sound its words are known, and K
accepted and K rejected moments: the accepted ones drawn at random, the rejected ones from the wrong
recordings among the first thirty by words. Sets:

``natural``   the short natural clips, each a recording; asked for are the labels with 15 clips and more, by
              their first caption. Recordings with an example are left out of the ranking.
``scenes``    80 scenes of a minute with three events each, of eight ESC-50 classes that training never saw,
              and six others; the examples come from 80 further scenes, made of other clips.
``open-val``  scenes of the ten ESC-10 classes, validation split: the only set to choose settings on.

*learned* is ``amr predict --examples`` (``amr.tasks.learned``), ranked by the curve that an archive's first
look goes by; *learned, network* by the model's scores; *like* is ``--like`` with words (``--model window``),
which cannot be told what is not meant; *regression* is a logistic regression on the same frames,
standardised, as tools for agile modelling do it: on the examples alone, or with 200 frames of the archive as
weak negatives besides. Means over labels and seeds; *hard* are
the labels whose words alone have an average precision below 0.2.
"""

from __future__ import annotations

import argparse
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import scenes as scene_files
from clips import SAMPLE_RATE_HZ, phrase_query, read_rows, wave_of
from scipy.optimize import minimize
from zero_shot import average_precision

from amr.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from amr.encoders.registry import load_encoder
from amr.formats.queries import Query
from amr.moments import FrameGrid, Span
from amr.retrieval.archive.curves import recording_maxima, smoothed_apart
from amr.retrieval.archive.ranking import together
from amr.retrieval.like import direction
from amr.retrieval.recordings import Collection, RecordingFrames
from amr.retrieval.search import AnswerOptions, plan
from amr.retrieval.search import search as search_recordings
from amr.retrieval.window_finder import WindowFinder
from amr.tasks.archive import space_of, window_of
from amr.tasks.inputs import Search
from amr.tasks.learned import learn
from amr.tasks.models import load_model

COUNTS = (0, 1, 3, 5, 10)
FEWEST_CLIPS = 15
FIRST_BY_WORDS = 30
HARD = 0.2
NUM_SCENES = {"scenes": 80, "open-val": 60}
UNSEEN = (
    *("airplane", "brushing_teeth", "can_opening", "clapping", "footsteps", "keyboard_typing"),
    *("mouse_click", "snoring"),
)
OTHERS = ("church_bells", "engine", "vacuum_cleaner", "door_knock", "insects_buzz", "cough")
PEAK_FRAMES = 2
BLOCK = 8192
WEAK_NEGATIVES, WEAK_WEIGHT = 200, 0.05
PENALTY = 0.1
HALF_FOOT = 3  # frames, of the triangle that smooths the regression's curve, as it does the model's


@dataclass(frozen=True)
class Archive:
    """Recordings in memory, one behind the other.

    Args:
        frames: ``(frames, dimension)``. start: ``(recordings + 1,)`` where each begins.
        durations_s: of each. events: ``(recording, label, words, start_s, end_s)``.
    """

    name: str
    frames: Float32Array
    start: Int64Array
    durations_s: Float64Array
    events: list[tuple[int, str, str, float, float]]
    window_s: float
    hop_s: float

    @property
    def vids(self) -> Sequence[str]:
        return [f"{self.name}{number}" for number in range(len(self.start) - 1)]

    def prepare(self, vids: Sequence[str]) -> None:
        """All is there."""

    def load(self, vid: str) -> RecordingFrames:
        number = int(vid.removeprefix(self.name))
        frames = self.frames[self.start[number] : self.start[number + 1]]
        grid = FrameGrid(self.window_s, self.hop_s, len(frames))
        return RecordingFrames(vid, frames, grid, float(self.durations_s[number]))

    def duration_s(self, vid: str) -> float:
        return float(self.durations_s[int(vid.removeprefix(self.name))])

    def path(self, vid: str) -> str:  # the protocol's
        return ""


@dataclass(frozen=True)
class Task:
    """A sound to find: where examples come from, and what is ranked."""

    label: str
    words: str
    source: Archive
    target: Archive

    def draw(self, by_words: Float32Array, peaks: list[Span], seed: int) -> tuple[list[Any], list[Any]]:
        """Accepted and rejected moments ``(vid, span)``, ten each.

        Args:
            by_words: ``(recordings,)`` of the source, how well words rank each; peaks: its best moment.
        """
        draw = np.random.default_rng([seed, zlib.crc32(self.label.encode())])
        own = [(self.source.vids[e[0]], Span(e[3], e[4])) for e in self.source.events if e[1] == self.label]
        accepted = [own[place] for place in draw.permutation(len(own))[: max(COUNTS)]]
        has = {e[0] for e in self.source.events if e[1] == self.label}
        wrong = [int(n) for n in np.argsort(-by_words, kind="stable") if int(n) not in has][:FIRST_BY_WORDS]
        rejected = [(self.source.vids[n], peaks[n]) for n in draw.permutation(wrong)[: max(COUNTS)]]
        return accepted, rejected

    def relevant(self) -> BoolArray:
        """``(recordings,)`` of the target: which hold the sound."""
        found = np.zeros(len(self.target.vids), dtype=bool)
        found[[e[0] for e in self.target.events if e[1] == self.label]] = True
        return found


def tasks(name: str, data: Path, work: Path) -> list[Task]:
    """The sounds of a set that are asked for."""
    if name == "natural":
        archive = cached(work, name, lambda: natural(data))
        counts = defaultdict(list)
        for event in archive.events:
            counts[event[1]].append(event)
        wanted = {label: own for label, own in counts.items() if len(own) >= FEWEST_CLIPS}
        return [Task(label, own[0][2], archive, archive) for label, own in sorted(wanted.items())]
    halves = [cached(work, f"{name}{half}", lambda half=half: scenes(data, name, half)) for half in (0, 1)]
    labels = {e[1]: e[2] for e in halves[0].events}
    asked = UNSEEN if name == "scenes" else tuple(sorted(labels))
    return [Task(label, labels[label], *halves) for label in asked]


def cached(work: Path, name: str, make: Any) -> Archive:
    """An archive from the work folder, made where it is not there."""
    path = work / f"{name}.npz"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        made: Archive = make()
        columns = [np.array(column) for column in zip(*made.events, strict=True)]
        np.savez(path, made.frames.astype(np.float16), made.start, made.durations_s, *columns)
    identity = load_encoder("yamnet").identity
    frames, start, durations_s, *columns = (np.load(path)[key] for key in np.load(path).files)
    events = [(int(a), str(b), str(c), float(d), float(e)) for a, b, c, d, e in zip(*columns, strict=True)]
    wide = frames.astype(np.float32)
    return Archive(name, wide, start, durations_s, events, identity.window_s, identity.hop_s)


def archive_of(items: Iterator[tuple[Float32Array, list[tuple[str, str, float, float]]]]) -> Archive:
    """Waves and their events, encoded."""
    encoder = load_encoder("yamnet")
    frames, events, durations_s = [], [], []
    for number, (samples, own) in enumerate(items):
        frames.append(scene_files.frames_of(encoder, samples)[0])
        durations_s.append(len(samples) / SAMPLE_RATE_HZ)
        events += [(number, *event) for event in own]
    start = np.cumsum([0, *map(len, frames)]).astype(np.int64)
    identity = encoder.identity
    return Archive(
        "", np.concatenate(frames), start, np.array(durations_s), events, identity.window_s, identity.hop_s
    )


def natural(data: Path) -> Archive:
    """Each clip a recording."""

    def items() -> Iterator[Any]:
        for clip in read_rows(data / "natural_short", "foreground"):
            yield wave_of(clip.path), [(clip.label, clip.captions[0], 0.0, clip.duration_s)]

    return archive_of(items())


def scenes(data: Path, name: str, half: int) -> Archive:
    """Scenes of every other clip of each label."""
    foreground, background = scene_files.clips_of(data, "esc50" if name == "scenes" else name)
    own = defaultdict(list)
    for clip in sorted(foreground, key=lambda clip: str(clip.path)):
        if clip.label in (*UNSEEN, *OTHERS) if name == "scenes" else clip.from_esc:
            own[clip.label].append(clip)
    chosen = [clip for clips in own.values() for clip in clips[half::2]]

    def items() -> Iterator[Any]:
        for scene in scene_files.draw_scenes(chosen, background, NUM_SCENES[name], 11 + half):
            words = {event.clip.label: phrase_query(foreground, event.clip.label) for event in scene.events}
            yield (
                scene.samples,
                [(e.clip.label, words[e.clip.label], e.start_s, e.end_s) for e in scene.events],
            )

    return archive_of(items())


@dataclass(frozen=True)
class Side:
    """An archive as the default model and the window see it.

    Args:
        own: ``(frames, axes)`` in the model's space. joint: ``(frames, joint_dimension)``.
    """

    archive: Archive
    search: Search
    own: Float32Array
    joint: Float32Array

    @classmethod
    def of(cls, archive: Archive) -> Side:
        encoder = load_encoder("yamnet")
        model = load_model("best")
        space = space_of(model.network)
        assert space is not None
        search = Search(Collection([archive]), None, encoder, model, model.finder(encoder, None))
        blocks = [archive.frames[first : first + BLOCK] for first in range(0, len(archive.frames), BLOCK)]
        own, joint = ([work(block) for block in blocks] for work in (space.values, encoder.joint_audio))
        return cls(archive, search, np.concatenate(own), np.concatenate(joint))

    @property
    def window(self) -> WindowFinder:
        """What knows the queries."""
        found = window_of(self.search.finder)
        assert found is not None
        return found

    def learned(self, meaning: Float32Array, joint: Float32Array) -> Float32Array:
        """``(frames,)``: the curve that an archive's first look goes by, and a factor of the scores."""
        step = self.window.options.score_scale
        cosine, similarity = self.own @ direction(meaning), self.joint @ joint
        curve = together(similarity, cosine, self.archive.start, step)
        return smoothed_apart(curve, self.archive.start, HALF_FOOT)

    def like(self, joint: Float32Array) -> Float32Array:
        """``(frames,)``: the curve whose highest point is the window's score."""
        half_foot = self.window.options.smooth_s / self.archive.hop_s
        return smoothed_apart(self.joint @ joint, self.archive.start, half_foot)

    def best(self, curve: Float32Array) -> Float32Array:
        """``(recordings,)``: its highest point in each."""
        return recording_maxima(curve, self.archive.start)

    def peaks(self, curve: Float32Array) -> list[Span]:
        """The surroundings of its highest point in each recording."""
        found = []
        for vid, first, stop in zip(
            self.archive.vids, self.archive.start, self.archive.start[1:], strict=False
        ):
            peak = int(np.argmax(curve[first:stop]))
            grid = self.archive.load(vid).grid
            last = min(peak + PEAK_FRAMES, grid.num_frames - 1)
            found.append(grid.span_s(max(peak - PEAK_FRAMES, 0), last, self.archive.duration_s(vid)))
        return found

    def with_network(self, query: Query) -> Float32Array:
        """``(recordings,)``: the best score of each as ``amr predict`` gives it; 0 where nothing is found."""
        collection, finder = self.search.collection, self.search.finder
        found = search_recordings(plan([query], collection), collection, finder, AnswerOptions(1))
        return np.array([p.windows[0][2] if p.windows else 0.0 for p in found], dtype=np.float32)


def regression(
    source: Archive, target: Archive, accepted: list[Any], rejected: list[Any], *, with_weak: bool
) -> Float32Array:
    """``(recordings,)`` of the target: the highest smoothed logit of a logistic regression."""
    mean, deviation = source.frames.mean(axis=0), source.frames.std(axis=0) + 1e-3

    def frames(vid: str, span: Span) -> Float32Array:
        recording = source.load(vid)
        return recording.frames[list(recording.grid.frames_between(*span))]

    parts = [(frames(*place), 1.0, 1.0) for place in accepted]
    parts += [(frames(*place), 0.0, 1.0) for place in rejected]
    if with_weak:
        rows = np.random.default_rng(0).choice(len(source.frames), WEAK_NEGATIVES, replace=False)
        parts.append((source.frames[rows], 0.0, WEAK_WEIGHT * WEAK_NEGATIVES))
    x = np.concatenate([(part - mean) / deviation for part, _, _ in parts]).astype(np.float64)
    y = np.concatenate([np.full(len(part), value) for part, value, _ in parts])
    weight = np.concatenate([np.full(len(part), share / len(part)) for part, _, share in parts])

    def loss(parameters: Float64Array) -> tuple[float, Float64Array]:
        z = np.clip(x @ parameters[:-1] + parameters[-1], -500, 500)
        pull = weight * (1 / (1 + np.exp(-z)) - y)
        value = weight @ (np.logaddexp(0, z) - y * z) + PENALTY / 2 * parameters[:-1] @ parameters[:-1]
        return float(value), np.append(x.T @ pull + PENALTY * parameters[:-1], pull.sum())

    fitted = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B").x
    curve = ((target.frames - mean) / deviation) @ fitted[:-1].astype(np.float32)
    return recording_maxima(smoothed_apart(curve, target.start, HALF_FOOT), target.start)


Figures = dict[str, dict[int, dict[str, list[float]]]]


def measure(asked: Sequence[Task], seeds: int, *, with_network: bool) -> Figures:
    """Average precisions by method, number of examples and label."""
    figures: Figures = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    source = Side.of(asked[0].source)
    target = source if asked[0].target is asked[0].source else Side.of(asked[0].target)
    for task, seed in product(asked, range(seeds)):
        learn(source.search, task.words, [], [], name=task.words)
        by_words = source.learned(*known(source, task.words))
        accepted, rejected = task.draw(source.best(by_words), source.peaks(by_words), seed)
        relevant = task.relevant()
        kept = np.ones(len(relevant), dtype=bool)
        if source is target:
            kept[[int(vid.removeprefix(source.archive.name)) for vid, _ in accepted + rejected]] = False
        for count in COUNTS:
            yes, no = accepted[:count], rejected[:count]
            query = learn(source.search, task.words, yes, no, name=f"{task.label} {seed} {count}")
            meaning, joint = known(source, query.text)
            found = {
                "learned": target.best(target.learned(meaning, joint)),
                "like": target.best(target.like(joint)),
            }
            if with_network:
                target.window.meanings[query.text], target.window.vectors[query.text] = meaning, joint
                found["learned, network"] = target.with_network(query)
            if count:
                for name, with_weak in (("regression", False), ("regression, weak negatives", True)):
                    found[name] = regression(source.archive, target.archive, yes, no, with_weak=with_weak)
            for method, scores in found.items():
                precision = average_precision(scores[kept], relevant[kept])
                figures[method][count][task.label].append(precision)
    return figures


def known(side: Side, text: str) -> tuple[Float32Array, Float32Array]:
    """What a query sounds like, in the model's space and in the joint one."""
    return side.window.meanings[text], side.window.vectors[text]


def table(figures: Figures) -> str:
    """Methods in rows, numbers of examples in columns: all labels, and the hard ones."""
    zero = {label: float(np.mean(values)) for label, values in figures["learned"][0].items()}
    hard = [label for label, value in zero.items() if value < HARD]
    lines = [f"{'':28}{'examples each way':>40}{'   hard: ' + ', '.join(hard)}"]
    lines.append(f"{'':28}" + "".join(f"{count:8}" for count in COUNTS) * (2 if hard else 1))
    for method, by_count in figures.items():
        cells = ""
        for labels in [list(zero), hard] if hard else [list(zero)]:
            for count in COUNTS:
                values = [np.mean(by_count[count][label]) for label in labels] if count in by_count else []
                cells += f"{100 * float(np.mean(values)):8.1f}" if values else f"{'-':>8}"
        lines.append(f"{method:28}{cells}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with open/, evaluation_nc/ and natural_short/")
    parser.add_argument("--work", type=Path, required=True, help="features are kept here")
    parser.add_argument("--set", action="append", dest="sets", choices=["natural", "scenes", "open-val"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--network", action="store_true", help="rank by the whole model, too: slow")
    options = parser.parse_args()
    for name in options.sets or ("natural", "scenes"):
        asked = tasks(name, options.data, options.work)
        print(f"{name}: {len(asked)} labels, {options.seeds} seeds, average precision in per cent")
        print(table(measure(asked, options.seeds, with_network=options.network)), flush=True)


if __name__ == "__main__":
    main()
