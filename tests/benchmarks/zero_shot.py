"""Does the encoder understand labels? Clips sorted among the labels of their set, without any training.

    python tests/benchmarks/zero_shot.py DATA/audio

A clip's score for a query is the mean of the similarity curve. top-1 and top-5 ask whether a clip's own label
is first, or among five, of the set's labels; mAP ranks all clips for each label. Queries are the label as a
name ("dog bark"), as a phrase ("a dog barking"), in other words ("a canine lets out barks"; the mean of the
figures of up to three wordings), and all of these averaged into one query, as is usual for classification.

``--usual`` prints the usual level of every class instead, from the open training clips: the third column of
``classes.tsv``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from clips import (
    SAMPLE_RATE_HZ,
    Clip,
    esc50_fold4,
    name_query,
    paraphrase_queries,
    phrase_query,
    read_rows,
    wave_of,
)

from amr.arrays import BoolArray, Float32Array, IntpArray
from amr.encoders.base import Encoder
from amr.encoders.registry import load_encoder
from amr.encoders.yamnet.encoder import YamnetEncoder
from amr.moments import FrameGrid

Scores = Float32Array
MAX_PARAPHRASES = 3
SETS = ("open-train", "esc10-unseen", "esc10", "esc50", "open-test")


def clips_of(data: Path, name: str) -> list[Clip]:
    """The clips of a set. ``esc10-unseen`` is what no setting was tuned on: folds 4 and 5."""
    if name == "esc50":
        return esc50_fold4(data)
    rows = read_rows(data / "open", "foreground")
    if name == "esc10":
        return [clip for clip in rows if clip.from_esc]
    if name == "esc10-unseen":
        return [clip for clip in rows if clip.from_esc and clip.split != "train"]
    return [clip for clip in rows if clip.split == name.removeprefix("open-") and not clip.designed]


def frames_of(encoder: Encoder, path: Path) -> Float32Array:
    """Frames of a file, zeros behind it where the last window needs them."""
    samples, identity = wave_of(path), encoder.identity
    grid = FrameGrid.covering(len(samples) / SAMPLE_RATE_HZ, window_s=identity.window_s, hop_s=identity.hop_s)
    padded = np.zeros(
        identity.window_samples + (grid.num_frames - 1) * identity.hop_samples, dtype=np.float32
    )
    padded[: len(samples)] = samples
    return encoder.encode_audio(padded[None])[0]


def queries_of(clips: list[Clip], labels: list[str]) -> dict[str, list[list[str]]]:
    """For each kind of wording one or more lists of a query a label."""
    others = [paraphrase_queries(clips, label) for label in labels]
    return {
        "name": [[name_query(label) for label in labels]],
        "phrase": [[phrase_query(clips, label) for label in labels]],
        "other words": [[words[k % len(words)] for words in others] for k in range(MAX_PARAPHRASES)],
    }


def joint_queries(encoder: Encoder, queries: list[str]) -> Scores:
    """``(queries, joint_dimension)``."""
    pooled = np.stack([features.pooled for features in encoder.encode_text(queries)])
    return encoder.joint_text(pooled)


def average_precision(scores: Scores, relevant: BoolArray) -> float:
    """Mean of the precision at each relevant clip, by falling score."""
    hits = relevant[np.argsort(-scores, kind="stable")]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


def figures(scores: Scores, truth: IntpArray) -> tuple[float, float, float]:
    """top-1, top-5 and mAP in percent of ``(clips, labels)`` scores."""
    own = scores[np.arange(len(truth)), truth]
    better = (scores > own[:, None]).sum(axis=1)
    precisions = [average_precision(column, truth == number) for number, column in enumerate(scores.T)]
    return (
        100 * float(np.mean(better < 1)),
        100 * float(np.mean(better < 5)),
        100 * float(np.mean(precisions)),
    )


def measure(encoder: Encoder, clips: list[Clip]) -> dict[str, tuple[float, ...]]:
    """top-1, top-5 and mAP of a set by the wording of its queries."""
    labels = sorted({clip.label for clip in clips})
    truth = np.array([labels.index(clip.label) for clip in clips])
    profiles = np.stack([encoder.joint_audio(frames_of(encoder, clip.path)).mean(axis=0) for clip in clips])
    wordings = {
        wording: [joint_queries(encoder, queries) for queries in lists]
        for wording, lists in queries_of(clips, labels).items()
    }
    everything = [text for lists in wordings.values() for text in lists]
    wordings["averaged"] = [np.mean(everything, axis=0)]
    return {
        wording: tuple(np.mean([figures(profiles @ text.T, truth) for text in texts], axis=0))
        for wording, texts in wordings.items()
    }


def usual_levels(data: Path) -> Scores:
    """``(classes,)`` mean log(p + 1e-4): training clips (a label, a vote), backgrounds, half and half."""
    encoder = YamnetEncoder()
    current = encoder.usual_levels
    by_label: dict[str, list[Scores]] = {}
    for clip in read_rows(data / "open", "foreground"):
        if clip.split == "train":
            level = encoder.joint_audio(frames_of(encoder, clip.path)).mean(axis=0) + current
            by_label.setdefault(clip.label, []).append(level)
    grounds = [
        encoder.joint_audio(frames_of(encoder, clip.path)) + current
        for clip in read_rows(data / "open", "background")
        if clip.split == "train"
    ]
    foreground = np.mean([np.mean(levels, axis=0) for levels in by_label.values()], axis=0)
    middle: Scores = (foreground + np.concatenate(grounds).mean(axis=0)) / 2
    return middle


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with open/ and evaluation_nc/")
    parser.add_argument(
        "--set", choices=SETS, action="append", dest="names", help="default: all but open-train"
    )
    parser.add_argument("--encoder", default="yamnet")
    parser.add_argument("--usual", action="store_true", help="print the classes' usual levels")
    options = parser.parse_args()
    if options.usual:
        print("\n".join(f"{number}\t{level:.2f}" for number, level in enumerate(usual_levels(options.data))))
        return
    encoder = load_encoder(options.encoder)
    started_s = time.process_time()
    print(f"{'set':14}{'clips':>6}{'labels':>7}  {'queries':12}{'top-1':>7}{'top-5':>7}{'mAP':>7}")
    for name in options.names or SETS[1:]:
        clips = clips_of(options.data, name)
        head = f"{name:14}{len(clips):6}{len({clip.label for clip in clips}):7}"
        for wording, row in measure(encoder, clips).items():
            print(f"{head}  {wording:12}" + "".join(f"{value:7.1f}" for value in row), flush=True)
    print(f"{time.process_time() - started_s:.0f} s of processor time")


if __name__ == "__main__":
    main()
