"""Copies of labelled clips, played slower and faster and through another filter: more sounds of each label.

    python examples/vary_clips.py DATA OUT [--split train] [--copies 2] [--seed 6]

Reads ``DATA/foreground.csv``; writes ``OUT/foreground.csv`` (the same columns) and the audio that it names.
Copies keep their clip's label, captions, split and group, so that no source gets into two splits. Rows of the
domain ``designed`` are left out.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from amr.arrays import Float64Array

SPEEDS = (0.8, 1.25)
"""Four semitones down to four up; the middle, which is hardly another sound, is left out."""
LEAST_CHANGE = 1.06
KNOTS_HZ = (60.0, 250.0, 1000.0, 4000.0, 16000.0)
FILTER_DB = 5.0
"""Standard deviation of a filter's gain at each knot: another microphone, another distance."""
PEAK = 0.99


def draw_speed(draw: np.random.Generator, copy: int) -> float:
    """Even copies are slower, odd ones faster."""
    slowest, fastest = SPEEDS
    if copy % 2:
        return float(np.exp(draw.uniform(np.log(LEAST_CHANGE), np.log(fastest))))
    return float(np.exp(draw.uniform(np.log(slowest), -np.log(LEAST_CHANGE))))


def filtered(samples: Float64Array, rate_hz: int, gains_db: Float64Array) -> Float64Array:
    """``(samples, channels)`` through gains, straight between the knots over the logarithm of frequency."""
    spectrum = np.fft.rfft(samples, axis=0)
    frequencies = np.maximum(np.fft.rfftfreq(len(samples), 1 / rate_hz), KNOTS_HZ[0])
    gain = 10 ** (np.interp(np.log(frequencies), np.log(KNOTS_HZ), gains_db) / 20)
    out: Float64Array = np.fft.irfft(spectrum * gain[:, None], len(samples), axis=0)
    return out


def varied(samples: Float64Array, rate_hz: int, copy: int, draw: np.random.Generator) -> Float64Array:
    """One copy, as loud as its clip."""
    speed = draw_speed(draw, copy)
    out = soxr.resample(samples, rate_hz * speed, rate_hz)
    out = filtered(out, rate_hz, draw.normal(0.0, FILTER_DB, len(KNOTS_HZ)))
    out *= np.sqrt(np.mean(samples**2) / max(np.mean(out**2), 1e-20))
    return out * min(1.0, PEAK / max(float(np.abs(out).max()), 1e-20))


def copies(
    rows: list[dict[str, str]], data: Path, out: Path, count: int, seed: int
) -> Iterator[dict[str, str]]:
    """Write the audio of each copy and give its row."""
    for number, row in enumerate(rows):
        samples, rate_hz = soundfile.read(data / row["file"], always_2d=True)
        draw = np.random.default_rng((seed, number))
        for copy in range(count):
            name = f"{Path(row['file']).stem}_{copy + 1}.flac"
            audio = varied(samples, rate_hz, copy, draw)
            soundfile.write(out / "audio" / name, audio, rate_hz, subtype="PCM_16")
            yield {**row, "file": f"audio/{name}", "duration_s": f"{len(audio) / rate_hz:.2f}", "onsets": ""}


def main() -> None:
    """Read the options and write everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--split", default="train")
    parser.add_argument("--copies", type=int, default=2, help="of each clip")
    parser.add_argument("--seed", type=int, default=6)
    options = parser.parse_args()
    with open(options.data / "foreground.csv", encoding="utf-8", newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["split"] == options.split and row.get("domain") != "designed"
        ]
    (options.out / "audio").mkdir(parents=True, exist_ok=True)
    found = list(copies(rows, options.data, options.out, options.copies, options.seed))
    with open(options.out / "foreground.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(found[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
    print(f"{len(found)} copies of {len(rows)} clips")


if __name__ == "__main__":
    main()
