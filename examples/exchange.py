"""Sets that show whether a system listens: recordings with other texts, or with their frames shuffled.

What is right stays what it was. A system whose figures do not fall when it is given another text, or the
same frames in random order, knows where moments tend to lie and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amr.formats.features.open import open_features
from amr.formats.features.write import FeatureWriter, create_feature_file

SEED = 17


def exchanged_sets(sets: Path, out: Path, names: Sequence[str]) -> list[str]:
    """Write NAME-other and NAME-shuffled into ``out`` for each set; their names."""
    made = []
    for name in names:
        records = [json.loads(line) for line in (sets / f"{name}.jsonl").read_text("utf-8").splitlines()]
        write(out / f"{name}-other.jsonl", other_texts(records))
        shuffled = [{**record, "vid": f"shuffled-{record['vid']}"} for record in records]
        write(out / f"{name}-shuffled.jsonl", shuffled)
        shuffle_frames(sets / f"{name}.h5", out / f"{name}-shuffled.h5")
        made += [f"{name}-other", f"{name}-shuffled"]
    return made


def other_texts(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each query with the text of one of another label, which is drawn evenly."""
    rng = np.random.default_rng(SEED)
    out = []
    for record in records:
        others = [each["query"] for each in records if each.get("label") != record.get("label")]
        others = others or [each["query"] for each in records if each["query"] != record["query"]]
        out.append({**record, "query": others[int(rng.integers(len(others)))]})
    return out


def shuffle_frames(source: Path, target: Path) -> None:
    """The recordings with their frames in random order, under names of their own."""
    if target.exists():
        return
    part = target.with_suffix(".part")
    with open_features(source) as reader:
        identity = reader.identity_json or ""
        create_feature_file(part, identity_json=identity, store="float16")
        writer = FeatureWriter(part, identity_json=identity)
        rng = np.random.default_rng(SEED)
        for recording in reader.ids:
            frames = rng.permutation(reader.frames(recording))
            writer.add(f"shuffled-{recording}", frames, duration_s=reader.duration_s(recording))
        writer.close()
    part.rename(target)


def write(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """A JSONL file."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
