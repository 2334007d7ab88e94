"""Which way of asking by example finds clips of the same label? Chosen on the open training clips.

    python tests/benchmarks/like.py DATA/audio

Every clip that has a relative of its label from another source asks for all others; those from its own source
are left out. A clip scores as its best frame does. top-1 and mAP in per cent, means over the clips that ask.

*joint mixture t*: weights softmax(t m), m the clip's mean in the joint space; similarity is the inner
product, as for sentences. *joint cosine*, *embedding cosine*: the cosine to the mean in the joint space, or
in the encoder's own frames.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
from zero_shot import frames_of

from amr.arrays import Float32Array
from amr.encoders.registry import load_encoder

Array = Float32Array
SHARPNESS = (1.0, 2.0, 3.0, 4.0, 6.0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="train")
    options = parser.parse_args()
    encoder = load_encoder("yamnet")
    folder = options.data / "open"
    with open(folder / "foreground.csv", newline="", encoding="utf-8") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["split"] == options.split and row["domain"] != "designed"
        ]
    frames = [frames_of(encoder, folder / row["file"]) for row in rows]
    joint = [encoder.joint_audio(each) for each in frames]
    labels, groups = np.array([row["label"] for row in rows]), np.array([row["group"] for row in rows])
    asking = [n for n in range(len(rows)) if np.any((labels == labels[n]) & (groups != groups[n]))]
    print(f"{len(rows)} clips, {len(set(labels))} labels, {len(asking)} ask")
    start = np.cumsum([0, *map(len, frames)])[:-1]

    def report(name: str, queries: Array, all_frames: Array) -> None:
        best = np.maximum.reduceat(all_frames @ queries.T, start, axis=0)  # (clips, queries)
        top1, mean_ap = judged(best, asking, labels, groups)
        print(f"{name:24} top-1 {top1:5.1f}  mAP {mean_ap:5.1f}", flush=True)

    means = np.stack([joint[n].mean(axis=0) for n in asking])
    for sharpness in SHARPNESS:
        weights = np.exp(sharpness * (means - means.max(axis=1, keepdims=True)))
        weights /= weights.sum(axis=1, keepdims=True)
        report(f"joint mixture {sharpness:g}", weights, np.concatenate(joint))
    report("joint cosine", unit(means), unit(np.concatenate(joint)))
    own = np.stack([frames[n].mean(axis=0) for n in asking])
    report("embedding cosine", unit(own), unit(np.concatenate(frames)))


def unit(rows: Array) -> Array:
    scaled: Array = rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9)
    return scaled


def judged(
    scores: Array, asking: list[int], labels: npt.NDArray[np.str_], groups: npt.NDArray[np.str_]
) -> tuple[float, float]:
    """top-1 and mAP of ``scores (clips, queries)``."""
    hits, precisions = [], []
    for column, n in enumerate(asking):
        others = groups != groups[n]
        order = np.argsort(-scores[others, column], kind="stable")
        right = (labels[others] == labels[n])[order]
        hits.append(right[0])
        places = np.flatnonzero(right)
        precisions.append(np.mean(np.arange(1, len(places) + 1) / (places + 1)))
    return 100 * float(np.mean(hits)), 100 * float(np.mean(precisions))


if __name__ == "__main__":
    main()
