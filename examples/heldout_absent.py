"""Questions that a recording does not answer, for ``heldout_annotations.py``."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

Record = dict[str, Any]

SEED = 5
MAX_PASSES = 10_000


def sounding_s(record: Record) -> float:
    """How long what is asked for is heard, seconds."""
    return round(sum(end_s - start_s for start_s, end_s in record["relevant_windows"]), 3)


def absent_slots(present: Sequence[Record], heard: Mapping[str, Set[str]]) -> list[str]:
    """Recordings of which an absent query is asked, each as often as of a present one.

    A recording that lacks too few labels for that gives what is over to those that lack the most.
    """
    labels = {record["label"] for record in present}
    duty = Counter(record["vid"] for record in present)
    lacking = {vid: len(labels - heard[vid]) for vid in duty}
    for vid in list(duty):
        while duty[vid] > lacking[vid]:
            roomiest = max(duty, key=lambda other: lacking[other] - duty[other])
            duty[vid] -= 1
            duty[roomiest] += 1
    return sorted(duty.elements())


def absent_places(
    labels: Sequence[str], slots: Sequence[str], heard: Mapping[str, Set[str]], seed: int = SEED
) -> list[int]:
    """Which query is asked of the recording of each slot, where it is absent: a permutation.

    So every sentence is asked as often where it is absent as where it is present, and every recording as
    often for what it has as for what it has not (but see :func:`absent_slots`): neither alone tells them
    apart. No recording is asked for one label twice.

    Args:
        labels: of the queries.
        slots: recordings, as many.
        heard: labels that must not be asked, by recording.
        seed: of the draw.

    Raises:
        SystemExit: no such permutation was found.
    """
    draw = random.Random(seed)
    places = list(range(len(labels)))
    draw.shuffle(places)
    asked = Counter((vid, labels[place]) for vid, place in zip(slots, places, strict=True))

    def clashes(slot: int) -> bool:
        vid, label = slots[slot], labels[places[slot]]
        return label in heard[vid] or asked[vid, label] > 1

    def swap(one: int, other: int) -> None:
        asked.subtract((slots[slot], labels[places[slot]]) for slot in (one, other))
        places[one], places[other] = places[other], places[one]
        asked.update((slots[slot], labels[places[slot]]) for slot in (one, other))

    repair(len(places), clashes, swap, draw)
    return places


def repair(
    count: int, clashes: Callable[[int], bool], swap: Callable[[int, int], None], draw: random.Random
) -> None:
    """Swap until nothing clashes; a swap stays unless more of its two clash than before."""
    for _ in range(MAX_PASSES):
        wrong = [slot for slot in range(count) if clashes(slot)]
        if not wrong:
            return
        for slot in wrong:
            other = draw.randrange(count)
            before = clashes(slot) + clashes(other)
            swap(slot, other)
            if clashes(slot) + clashes(other) > before:
                swap(slot, other)
    raise SystemExit("heldout_annotations: no way found to ask every query where it is absent")


def absent_records(present: Sequence[Record], slots: Sequence[str], places: Sequence[int]) -> list[Record]:
    """The absent counterparts: each place's sentence asked of the recording of each slot.

    ``sounding_s`` is that of the question where it is answered.
    """
    durations = {record["vid"]: record["duration"] for record in present}
    turn: Counter[str] = Counter()
    records = []
    for vid, place in zip(slots, places, strict=True):
        turn[vid] += 1
        records.append(
            {
                "qid": f"{vid}-absent_{turn[vid]}",
                "query": present[place]["query"],
                "duration": durations[vid],
                "vid": vid,
                "relevant_windows": [],
                "label": present[place]["label"],
                "sounding_s": sounding_s(present[place]),
            }
        )
    return records


def all_absent(
    present: Sequence[Record], heard: Mapping[str, Set[str]], wordings: Mapping[str, Sequence[str]]
) -> list[Record]:
    """Every recording asked for every label that it lacks, each in one of the label's sentences."""
    draw = random.Random(SEED)
    records = []
    for vid, duration in sorted({record["vid"]: record["duration"] for record in present}.items()):
        for label in sorted(wordings.keys() - heard[vid]):
            asked = {"qid": f"{vid}-absent_{label}", "query": draw.choice(wordings[label])}
            records.append(
                {**asked, "duration": duration, "vid": vid, "relevant_windows": [], "label": label}
            )
    return records
