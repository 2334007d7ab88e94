"""Which rule for moments that overlap shows people most of what is there?

    python tests/benchmarks/distinct_moments.py DATA/audio --work FOLDER

Scenes of a minute hold two labels of the open validation clips, four times each, every time another clip
where there is one, at 5 to 20 dB over a real background. The default model is asked for each label; of its
moments a rule leaves some, and the first five are looked at: how many distinct true moments are among them,
each found by an IoU of at least 0.3 or 0.5, and how many overlap another one of the five by more than a
quarter of the shorter one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from clips import SAMPLE_RATE_HZ, Clip, Wave, phrase_query, wave_of
from scenes import BACKGROUND_RMS, background_of, clips_of, place, rms

import amr
from amr.moments import Moment, Span, interval_iou
from amr.retrieval.distinct import merge_overlapping, shared

LABELS, TIMES = 2, 4
LONGEST_S = 5.0
SNRS_DB = (5.0, 10.0, 20.0)
FIRST = 5
REPEATED = 0.25

Rule = Callable[[Sequence[Moment]], list[Moment]]


@dataclass(frozen=True)
class Asked:
    """One label in one scene: the model's moments, best first, and the true ones."""

    found: list[Moment]
    true: list[Span]


def scene(
    groups: dict[str, list[Clip]], background: list[Clip], seed: int
) -> tuple[Wave, dict[str, list[Span]]]:
    """Samples, and where each label is heard."""
    rng = np.random.default_rng([17, seed])
    ground = background[rng.integers(len(background))]
    able = sorted(set(groups) - {*ground.also_holds, ground.label})
    samples = background_of(ground, rng)
    chosen = [
        clip
        for label in rng.choice(able, LABELS, replace=False)
        for clip in np.resize(rng.permutation(np.array(groups[str(label)], dtype=object)), TIMES)
    ]
    chosen = [chosen[k] for k in rng.permutation(len(chosen))]
    waves = [wave_of(clip.path) for clip in chosen]
    true: dict[str, list[Span]] = {}
    starts = place([len(wave) / SAMPLE_RATE_HZ for wave in waves], rng)
    for clip, wave, start_s in zip(chosen, waves, starts, strict=True):
        gain = BACKGROUND_RMS * 10 ** (float(rng.choice(SNRS_DB)) / 20) / rms(wave)
        first = round(start_s * SAMPLE_RATE_HZ)
        samples[first : first + len(wave)] += np.float32(gain) * wave
        true.setdefault(clip.label, []).append(Span(start_s, start_s + len(wave) / SAMPLE_RATE_HZ))
    return np.clip(samples, -1.0, 1.0), true


def ask(data: Path, count: int) -> Iterator[Asked]:
    """The default model's moments for both labels of each scene."""
    foreground, background = clips_of(data, "open-val")
    groups: dict[str, list[Clip]] = {}
    for clip in foreground:
        if clip.duration_s <= LONGEST_S:
            groups.setdefault(clip.label, []).append(clip)
    model = amr.load_model()
    for number in range(count):
        samples, true = scene(groups, background, number)
        recording = model.encode((samples, SAMPLE_RATE_HZ))
        labels = sorted(true)
        answers = model.find([phrase_query(foreground, label) for label in labels], recording)
        yield from (Asked(list(found), true[label]) for label, found in zip(labels, answers, strict=True))


def asked_once(data: Path, work: Path, count: int) -> list[Asked]:
    """The same, kept in the work folder."""
    path = work / f"distinct{count}.npz"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        everything = list(ask(data, count))
        parts = [np.array(part, dtype=np.float64) for each in everything for part in (each.found, each.true)]
        np.savez(path, *parts)
    with np.load(path) as stored:
        parts = [stored[name] for name in stored.files]
    return [
        Asked([Moment(*row) for row in found], [Span(*row) for row in true])
        for found, true in zip(parts[::2], parts[1::2], strict=True)
    ]


def suppressed(limit: float, measure: Callable[[Moment, Moment], float]) -> Rule:
    """Drop what a better moment overlaps by a measure of at least ``limit``."""

    def rule(moments: Sequence[Moment]) -> list[Moment]:
        kept: list[Moment] = []
        for moment in moments:
            if all(measure(moment, better) < limit for better in kept):
                kept.append(moment)
        return kept

    return rule


def iou(one: Moment, other: Moment) -> float:
    return float(interval_iou(np.array(one[:2]), np.array(other[:2])))


def united(moments: Sequence[Moment]) -> list[Moment]:
    """What touches becomes one moment, with the best score."""
    runs: list[Moment] = []
    for moment in sorted(moments):
        if runs and moment.start_s <= runs[-1].end_s:
            last = runs.pop()
            moment = Moment(last.start_s, max(last.end_s, moment.end_s), max(last.score, moment.score))
        runs.append(moment)
    return sorted(runs, key=lambda run: -run.score)


RULES: dict[str, Rule] = {
    "as they are (IoU 0.5)": list,
    "IoU 0.3": suppressed(0.3, iou),
    "IoU 0.1": suppressed(0.1, iou),
    "0.75 of the shorter": suppressed(0.75, shared),
    "0.5 of the shorter": suppressed(0.5, shared),
    "0.25 of the shorter": suppressed(0.25, shared),
    "any overlap": suppressed(1e-9, shared),
    "united": united,
    "amr.retrieval.distinct": merge_overlapping,
}


def distinct(found: Sequence[Moment], true: Sequence[Span], least: float) -> int:
    """How many true moments some moment finds; each moment finds one at most, the best first."""
    left = list(true)
    for moment in found:
        best = max(left, key=lambda span: iou(moment, Moment(*span, 0.0)), default=None)
        if best is not None and iou(moment, Moment(*best, 0.0)) >= least:
            left.remove(best)
    return len(true) - len(left)


def repeats(found: Sequence[Moment]) -> int:
    """How many moments overlap a better one."""
    return sum(
        any(shared(moment, better) > REPEATED for better in found[:rank]) for rank, moment in enumerate(found)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="answers are kept here")
    parser.add_argument("--count", type=int, default=60, help="scenes")
    options = parser.parse_args()
    everything = asked_once(options.data, options.work, options.count)
    total = sum(len(each.true) for each in everything)
    print(f"{len(everything)} questions, {total} true moments; of the first {FIRST}:")
    print(f"{'':26}{'distinct, IoU 0.3':>20}{'IoU 0.5':>10}{'repeated':>10}{'shown':>8}")
    for name, rule in RULES.items():
        first = [rule(each.found)[:FIRST] for each in everything]
        share = [
            100
            * sum(distinct(f, each.true, least) for f, each in zip(first, everything, strict=True))
            / total
            for least in (0.3, 0.5)
        ]
        again, shown = sum(map(repeats, first)), sum(map(len, first))
        print(f"{name:26}{share[0]:18.1f} %{share[1]:8.1f} %{again:10}{shown:8}")


if __name__ == "__main__":
    main()
