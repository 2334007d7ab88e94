"""Short recordings that a sound mostly fills, cut from the features of long ones, for ``heldout_sets.sh``.

    python examples/short_recordings.py SETS

Reads ``SETS/scenes.jsonl`` and ``SETS/scenes.h5``, writes ``short.jsonl`` and ``short.h5``: about each moment
of 4 s and more a stretch of which it is 80 per cent, as a recording of its own, asked for that sound. Frames
at its ends still know what lies within the encoder's window outside of it.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from amr.formats.features.open import open_features
from amr.formats.features.write import FeatureWriter, create_feature_file

Record = dict[str, Any]
Span = tuple[float, float]

LEAST_S = 4.0
FILLED = 0.8
SEED = 7


def stretches(records: list[Record], draw: random.Random) -> Iterator[tuple[Record, Span]]:
    """Each query whose longest moment is long enough, and the stretch about that moment in seconds."""
    for record in records:
        start_s, end_s = max(record["relevant_windows"], key=lambda window: window[1] - window[0])
        length_s = (end_s - start_s) / FILLED
        if end_s - start_s < LEAST_S or length_s > record["duration"]:
            continue
        first_s = start_s - draw.random() * (length_s - (end_s - start_s))
        first_s = min(max(first_s, 0.0), record["duration"] - length_s)
        yield record, (first_s, first_s + length_s)


def inside(windows: list[list[float]], stretch: Span) -> list[list[float]]:
    """Windows as seconds of the stretch, cut to it."""
    first_s, stop_s = stretch
    cut = [[max(start_s, first_s) - first_s, min(end_s, stop_s) - first_s] for start_s, end_s in windows]
    return [[round(start_s, 3), round(end_s, 3)] for start_s, end_s in cut if end_s > start_s]


def main() -> None:
    """Read the folder and cut."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", type=Path)
    sets = parser.parse_args().sets
    with open(sets / "scenes.jsonl", encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    lines: list[str] = []
    with open_features(sets / "scenes.h5") as reader:
        identity_json = reader.identity_json
        if identity_json is None:
            raise SystemExit(f"{sets / 'scenes.h5'}: does not say which encoder made it")
        (sets / "short.h5").unlink(missing_ok=True)
        create_feature_file(sets / "short.h5", identity_json=identity_json, store="float16")
        writer = FeatureWriter(sets / "short.h5", identity_json=identity_json)
        for record, (first_s, stop_s) in stretches(records, random.Random(SEED)):
            frames = reader.grid(record["vid"]).frames_between(first_s, stop_s)
            # The stretch begins where its first frame does.
            first_s = frames.start * reader.hop_s
            length_s = (len(frames) - 1) * reader.hop_s + reader.window_s
            vid = f"short-{len(lines):04d}"
            writer.add(vid, reader.frames(record["vid"])[frames.start : frames.stop], duration_s=length_s)
            windows = inside(record["relevant_windows"], (first_s, first_s + length_s))
            own = {"qid": vid, "vid": vid, "duration": round(length_s, 3), "relevant_windows": windows}
            lines.append(json.dumps({**record, **own}, ensure_ascii=False) + "\n")
        writer.commit()
        writer.close()
    (sets / "short.jsonl").write_text("".join(lines), "utf-8")
    print(f"short.jsonl: {len(lines)} queries, as many recordings")


if __name__ == "__main__":
    main()
