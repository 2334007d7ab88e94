"""Labelled clips and backgrounds for the benchmarks, read where they lie; nothing of them is copied.

The data folder holds ``open/`` and ``evaluation_nc/``, each with ``foreground.csv``, ``background.csv`` and
the audio that they name.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from amr.arrays import Float32Array

SAMPLE_RATE_HZ = 16_000
Wave = Float32Array

# Captions come in templates around one phrase; what is left after these heads is the phrase.
PHRASE_HEADS = ("the sound of ", "a recording of ", "we hear ")
TEMPLATE_TAILS = (
    *("can be heard", "can be heard clearly", "close to the microphone", "in the foreground"),
    *("near the recorder", "not far away", "nearby", "for a while", "for several seconds", "a single time"),
    *("once", "twice", "two times", "several times", "repeatedly", "again and again", "continuously"),
)


@dataclass(frozen=True)
class Clip:
    """A row of ``foreground.csv`` or ``background.csv``.

    ``designed`` marks effects made up for games; ``also_holds`` names labels audible in a background.
    """

    path: Path
    label: str
    captions: tuple[str, ...]
    split: str
    from_esc: bool
    designed: bool
    duration_s: float
    also_holds: tuple[str, ...] = ()


def read_rows(folder: Path, table: str) -> list[Clip]:
    with (folder / f"{table}.csv").open(newline="", encoding="utf-8") as rows:
        return [
            Clip(
                path=folder / row["file"],
                label=row["label"],
                captions=tuple(row["captions"].split("|")),
                split=row["split"],
                from_esc=row["source"].startswith("ESC-"),
                designed=row.get("domain") == "designed",
                duration_s=float(row["duration_s"]),
                also_holds=tuple((row.get("contains_labels") or "").split(";")),
            )
            for row in csv.DictReader(rows)
        ]


def esc50_fold4(data: Path) -> list[Clip]:
    """All fifty classes: forty under a non-commercial licence, and the ten of ESC-10."""
    restricted = [clip for clip in read_rows(data / "evaluation_nc", "foreground") if clip.from_esc]
    rows = read_rows(data / "open", "foreground")
    return restricted + [clip for clip in rows if clip.from_esc and clip.split == "val"]


def wave_of(path: Path) -> Wave:
    """Mono samples at 16 kHz."""
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(soxr.resample(samples.mean(axis=1), rate_hz, SAMPLE_RATE_HZ), dtype=np.float32)


def name_query(label: str) -> str:
    """The bare label: ``dog_bark`` is "dog bark"."""
    return label.replace("_", " ")


def phrase_query(clips: Iterable[Clip], label: str) -> str:
    """The phrase that the label's captions are built around: "a dog barking"."""
    captions = [caption for clip in clips if clip.label == label for caption in clip.captions]
    for head in PHRASE_HEADS:
        for caption in captions:
            if caption.startswith(head):
                return caption.removeprefix(head)
    return name_query(label)


def paraphrase_queries(clips: Iterable[Clip], label: str) -> list[str]:
    """Captions in other words, sorted: those that are no template around the phrase or the sentence."""
    captions = {caption for clip in clips if clip.label == label for caption in clip.captions}
    other = sorted(c for c in captions if not c.startswith(PHRASE_HEADS) and not c.endswith(TEMPLATE_TAILS))
    return other or [phrase_query(clips, label)]
