"""The sets of ablation.py: half-minute recordings of well-filled labels, of other labels, and real ones.

    python examples/ablation_sets.py OPEN OUT [--train 700] [--test 250] [--unseen 150]

OPEN holds foreground.csv, background.csv and real.csv (columns file, captions, label, split, domain, ...)
and the audio that they name. OUT gets train, scenes (held-out clips of the same labels), unseen (clips of
labels that training lacks, on held-out backgrounds) and real, each as NAME.jsonl with features NAME.h5,
frames 0.96 s apart. What is there is kept: the same command again goes on.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from heldout_annotations import read_table, real_records

from amr.arrays import Float32Array
from amr.encoders.base import EncoderIdentity
from amr.encoders.yamnet.encoder import YamnetEncoder
from amr.formats.features.open import open_features
from amr.formats.features.write import FeatureWriter, create_feature_file

HOP_S = 0.96  # twice the encoder's own: about as far apart as the published features, and half the time
SEEN = (
    "crying_baby", "fire_crackle", "speech_english", "dog_bark", "rain", "notification",
    "sea_waves", "helicopter", "clock_tick", "rooster_crow", "chainsaw", "sneeze",
)  # fmt: skip
UNSEEN = (
    "bird_song", "horse_neigh", "thunder", "sheep_bleat", "cow_moo", "crow_caw",
    "hen_cluck", "glass_break", "explosion", "footsteps_grass", "cat_meow", "scream",
)  # fmt: skip


@dataclass(frozen=True)
class Simulated:
    """A set that is simulated.

    Args:
        name: of it and of its files.
        labels: of its foreground.
        split: of its clips, where only one is taken, and of its backgrounds.
        seed: of every draw.
    """

    name: str
    labels: tuple[str, ...]
    split: str
    seed: int


SETS = (
    Simulated("train", SEEN, "train", 1),
    Simulated("scenes", SEEN, "test", 3),
    Simulated("unseen", UNSEEN, "test", 4),
)


def main() -> None:
    """Make what is missing."""
    options = parse()
    (options.out / "native").mkdir(parents=True, exist_ok=True)
    counts = {"train": options.train, "scenes": options.test, "unseen": options.unseen}
    for each in SETS:
        simulate(each, counts[each.name], options.open, options.out)
    real = options.out / "native" / "real.h5"
    if not real.exists():
        amr("extract", options.open / "real", "-o", real, "--resume")
    records = real_records(read_table(options.open / "real.csv"))
    (options.out / "real.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records), "utf-8")
    for name in (*counts, "real"):
        halve(
            options.out / "native" / f"{name}.h5", options.out / f"{name}.jsonl", options.out / f"{name}.h5"
        )


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("open", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", type=int, default=700, help="recordings to learn from")
    parser.add_argument("--test", type=int, default=250)
    parser.add_argument("--unseen", type=int, default=150)
    return parser.parse_args()


def simulate(made: Simulated, count: int, data: Path, out: Path) -> None:
    """Features and annotations of one set; unseen clips may be of any split, for none is trained on."""
    folder, features = out / "native" / made.name, out / "native" / f"{made.name}.h5"
    if not features.exists():
        table = out / "native" / f"{made.name}.csv"
        split = {"split": made.split} if made.labels == UNSEEN else {}
        write_table(data / "foreground.csv", table, made.labels, split)
        sources = ("--foreground", table, "--foreground-root", data, "--background", data / "background.csv")
        draws = ("--preset", "castella-like", "--duration", 30, "--count", count, "--seed", made.seed)
        amr(
            "simulate", *sources, *draws, "--split", made.split, "--name-prefix", f"{made.name}-",
            "--features", features, "-o", folder, "--resume", "--format", "table",
        )  # fmt: skip
    text = (folder / "annotations.jsonl").read_text("utf-8")
    (out / f"{made.name}.jsonl").write_text(text, "utf-8")


def write_table(source: Path, path: Path, labels: tuple[str, ...], changes: dict[str, str]) -> None:
    """The clips of some labels."""
    with open(source, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [row | changes for row in rows if row["label"] in labels and row["domain"] != "designed"]
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(kept)


def halve(source: Path, annotations: Path, target: Path) -> None:
    """Features at twice the hop, as ``amr extract --hop 0.96`` makes them: the mean of each two frames."""
    if target.exists():
        return
    identity = YamnetEncoder(hop_s=HOP_S).identity
    part = target.with_suffix(".part")
    create_feature_file(part, identity_json=identity.to_json(), store="float16")
    writer = FeatureWriter(part, identity_json=identity.to_json())
    queries = {json.loads(line)["query"] for line in annotations.read_text("utf-8").splitlines()}
    with open_features(source) as reader:
        require_native(EncoderIdentity.from_json(reader.identity_json or "{}"), identity)
        for recording in reader.ids:
            writer.add(recording, pairs(reader.frames(recording)), duration_s=reader.duration_s(recording))
        for query in sorted(queries):
            if reader.has_text(query):
                writer.add_text(query, reader.text(query))
    writer.close()
    part.rename(target)


def require_native(found: EncoderIdentity, wanted: EncoderIdentity) -> None:
    """Stop where the frames are not of half the hop."""
    if found.hop_samples * 2 != wanted.hop_samples or found.weights_sha256 != wanted.weights_sha256:
        raise SystemExit(f"features at {found.hop_s} s of {found.name} cannot be halved to {HOP_S} s")


def pairs(frames: Float32Array) -> Float32Array:
    """The mean of each two frames; a last one alone stands for itself."""
    whole = len(frames) // 2
    both = frames.astype(np.float32)
    return np.concatenate([(both[: 2 * whole : 2] + both[1 : 2 * whole : 2]) / 2, both[2 * whole :]])


def amr(*words: object) -> None:
    """One command; its failure ends this program."""
    done = subprocess.run([sys.executable, "-m", "amr", *map(str, words)], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
