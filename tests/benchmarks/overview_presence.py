"""Is what an overview calls heard really there? Presence against scenes whose sounds are known.

    python tests/benchmarks/overview_presence.py DATA/audio --work FOLDER

Every scene is asked for the class of every label of its set, by the highest level that the class has in it
(smoothed as the overview does). How likely it is there at a level is counted on scenes of the ten ESC-10
classes, validation split; the second set are scenes of thirteen other ESC-50 classes. Present and absent
questions count as if as few were present as classes of a vocabulary are in a minute. Labels without a class
of their own name are left out. The scenes are those of ``learned_sounds.py``.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from learned_sounds import Archive, tasks

from amr.arrays import BoolArray, Float64Array
from amr.encoders.registry import load_encoder
from amr.retrieval.archive.curves import recording_maxima, smoothed_apart
from amr.retrieval.overview import LEVELS, PRESENCES, OverviewOptions, heard, presence_of, vocabulary
from amr.retrieval.window import WindowOptions

CLASS_OF = {
    "chainsaw": "Chainsaw",
    "clock_tick": "Tick-tock",
    "crying_baby": "Baby cry, infant cry",
    "dog_bark": "Bark",
    "fire_crackle": "Crackle",
    "helicopter": "Helicopter",
    "rain": "Rain",
    "rooster_crow": "Crowing, cock-a-doodle-doo",
    "sea_waves": "Waves, surf",
    "sneeze": "Sneeze",
    "airplane": "Fixed-wing aircraft, airplane",
    "brushing_teeth": "Toothbrush",
    "clapping": "Clapping",
    "footsteps": "Walk, footsteps",
    "keyboard_typing": "Computer keyboard",
    "mouse_click": "Clicking",
    "snoring": "Snoring",
    "church_bells": "Church bell",
    "engine": "Engine",
    "vacuum_cleaner": "Vacuum cleaner",
    "door_knock": "Knock",
    "insects_buzz": "Insect",
    "cough": "Cough",
}
BLOCK = 8192
PREVALENCE = 0.015
"""Of the 521 classes some eight are there in a minute; AudioSet's ten seconds have two or three labels."""
CUTS = (2.0, 4.0, 6.0, 7.5, 8.0, 12.0)
"""Of levels: the questions between two of them are counted together."""
EDGES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0)
LEAST = (0.1, 0.2, 0.3, 0.5)
COUNTED = 20


def levels(archive: Archive) -> tuple[Float64Array, BoolArray]:
    """Highest level of each label's class in each recording, and whether it is there."""
    encoder = load_encoder("yamnet")
    names = vocabulary(encoder)
    assert names is not None
    labels = sorted({event[1] for event in archive.events} & set(CLASS_OF))
    columns = [names.index(CLASS_OF[label]) for label in labels]
    blocks = range(0, len(archive.frames), BLOCK)
    parts = [encoder.joint_audio(archive.frames[first : first + BLOCK])[:, columns] for first in blocks]
    joint = np.concatenate(parts)
    half_foot = WindowOptions().smooth_s / archive.hop_s
    highest, there = [], []
    for column, label in enumerate(labels):
        curve = smoothed_apart(np.ascontiguousarray(joint[:, column]), archive.start, half_foot)
        highest.append(recording_maxima(curve, archive.start))
        present = np.zeros(len(archive.vids), dtype=bool)
        present[[event[0] for event in archive.events if event[1] == label]] = True
        there.append(present)
    return np.concatenate(highest).astype(np.float64), np.concatenate(there)


def weights(there: BoolArray) -> Float64Array:
    """What each question counts, so that as few are present as classes of a vocabulary are in a minute."""
    weight: Float64Array = np.where(there, PREVALENCE / there.mean(), (1 - PREVALENCE) / (~there).mean())
    return weight / len(there)


def fit(highest: Float64Array, there: BoolArray) -> list[tuple[float, float]]:
    """Level and presence of the questions between two of ``CUTS``, each kind with half a one besides."""
    knots = []
    for low, high in pairwise(CUTS):
        inside = (highest >= low) & (highest < high)
        present = PREVALENCE * ((inside & there).sum() + 0.5) / there.sum()
        absent = (1 - PREVALENCE) * ((inside & ~there).sum() + 0.5) / (~there).sum()
        knots.append((float(highest[inside].mean()), float(present / (present + absent))))
    return knots


def classes_a_minute(archive: Archive) -> list[float]:
    """How many classes of all are called heard in a recording of a minute, by the least presence."""
    encoder = load_encoder("yamnet")
    counts = np.zeros(len(LEAST))
    for vid in archive.vids[:COUNTED]:
        best = [
            moments[0].score for _, moments in heard(archive.load(vid), encoder, OverviewOptions(min(LEAST)))
        ]
        counts += [sum(score >= least for score in best) for least in LEAST]
    return [float(count) for count in counts / COUNTED]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="features are kept here")
    options = parser.parse_args()
    for name in ("open-val", "scenes"):
        [task, *_] = tasks(name, options.data, options.work)
        parts = [levels(archive) for archive in (task.source, task.target)]
        highest, there = (np.concatenate(each) for each in zip(*parts, strict=True))
        if name == "open-val":
            counted = ", ".join(f"{level:.2f}: {presence:.3f}" for level, presence in fit(highest, there))
            print(
                f"presence by level, counted: {counted}; in use: {dict(zip(LEVELS, PRESENCES, strict=True))}"
            )
        presence, weight = presence_of(highest), weights(there)
        print(f"{name}: {len(there)} questions, counted as if {100 * PREVALENCE:g} % were present")
        for low, high in pairwise(EDGES):
            inside = (presence >= low) & (presence < high)
            if inside.any():
                share = 100 * weight[inside & there].sum() / weight[inside].sum()
                mean = 100 * (weight * presence)[inside].sum() / weight[inside].sum()
                head = f"  presence {low:g} to {high:g}, mean {mean:4.1f}"
                print(f"{head}: {share:5.1f} % are there ({inside.sum()})")
        for least, count in zip(LEAST, classes_a_minute(task.source), strict=True):
            shown = presence >= least
            precision = weight[shown & there].sum() / max(weight[shown].sum(), 1e-12)
            recall = (there & shown).sum() / there.sum()
            print(
                f"  --min-score {least:g}: precision {100 * precision:.0f} %, recall {100 * recall:.0f} %, "
                f"{100 * shown[~there].mean():.2f} % of absent ones; {count:.1f} classes a minute of all"
            )


if __name__ == "__main__":
    main()
