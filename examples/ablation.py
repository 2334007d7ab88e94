"""What each part of a system is worth: systems and switches on the same features, splits and epochs.

    python examples/ablation.py SETS OUT [--epochs 10] [--hidden 64] [--seeds 3] [--only NAME ...]

SETS holds train.jsonl, train.h5, scenes.jsonl, scenes.h5 (held-out scenes), real.jsonl and real.h5, as
``simulate_open.sh``, ``amr extract`` and ``heldout_sets.sh`` make them. ``amr extract --hop 0.96`` halves the
frames, and the time: they are then about as far apart as the published ones. OUT gets a model a run; a run
that is there is not repeated. The weights after the last epoch are judged: held-out scenes choose nothing.
On stdout: a Markdown table, mean and sd over the seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIGURES = ("R1@0.5", "R1@0.7", "mAP")
REAL = "real R1@0.5"
NEVER = 1_000_000  # epochs between validations: only the last one is validated


@dataclass(frozen=True)
class System:
    """A preset and the switches by which it differs.

    Args:
        name: of the row.
        preset: that it starts from.
        settings: of ``amr train --set``.
    """

    name: str
    preset: str
    settings: tuple[str, ...] = ()


NO_GATE = ("network.gate=none", "network.plain_cross=true", "network.saliency=projection")
NO_FOCAL = ("loss.score_loss=cross_entropy", "loss.matching.class_cost=probability")
SYSTEMS = (
    System("best", "best"),
    System("am-detr", "am-detr"),
    System("lcs-detr", "lcs-detr"),
    System("lcs-detr, no gate", "lcs-detr", NO_GATE),
    System("lcs-detr, no continuity", "lcs-detr", ("network.continuity=none",)),
    System("lcs-detr, no focal loss", "lcs-detr", NO_FOCAL),
    System("lcs-detr, saliency losses", "lcs-detr", ("loss.saliency=1",)),
    System("lcs-detr-code", "lcs-detr-code"),
    System("best, no similarity", "best", ("network.similarity_channels=0",)),
    System("best, no prototypes", "best", ("network.prototypes=0", "network.prototype_axes=0")),
    System("best, no absent queries", "best", ("training.absent_share=0",)),
    System("best, no crops", "best", ("training.crop_share=0",)),
    System("best, no long reach", "best", ("network.encoder_layers=1",)),
)  # fmt: skip
METHODS = ("window", "prior:whole", "prior:middle", "prior:tiles")


def main() -> None:
    """Train what is missing, judge everything, print the table."""
    arguments = parse()
    print(f"| system | {' | '.join((*FIGURES, REAL))} |\n|---|{'---|' * (len(FIGURES) + 1)}")
    for method in METHODS:
        figures = judged(method, arguments.sets, "scenes") | {
            REAL: judged(method, arguments.sets, "real")["R1@0.5"]
        }
        print(row(method, [figures]), flush=True)
    for system in SYSTEMS:
        if arguments.only and system.name not in arguments.only:
            continue
        runs = [run(system, seed, arguments) for seed in range(1, arguments.seeds + 1)]
        print(row(system.name, runs), flush=True)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--hidden", type=int, default=64, help="size of every network; 256 as published")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[])
    return parser.parse_args()


def run(system: System, seed: int, arguments: argparse.Namespace) -> dict[str, float]:
    """The figures of one run; trained unless its model is there."""
    sets: Path = arguments.sets
    name = "".join(c if c.isalnum() else "-" for c in system.name)
    model = arguments.out / f"{name}-{seed}.safetensors"
    told = model.with_suffix(".json")
    if not told.exists():
        arguments.out.mkdir(parents=True, exist_ok=True)
        sizes = (f"network.hidden_dim={arguments.hidden}", f"network.feedforward_dim={4 * arguments.hidden}")
        schedule = ("training.batch_size=32", "training.schedule=cosine", "training.chunk_frames=2048")
        # The published rate is for 200 epochs of 256; a few epochs of a small network want a higher one.
        rate = ("training.learning_rate=0.001", "training.warmup_steps=200")
        rate = () if system.preset == "best" else rate
        options = [
            each for setting in (*sizes, *schedule, *rate, *system.settings) for each in ("--set", setting)
        ]
        figures = amr(
            "train", sets / "train.jsonl", "--features", sets / "train.h5", "--features", sets / "scenes.h5",
            "--validation", sets / "scenes.jsonl", "--validate-epochs", NEVER, "--preset", system.preset,
            "--epochs", arguments.epochs, "--seed", seed, "--threads", arguments.threads,
            "-o", model, "--resume", "--format", "json", "-q", *options,
        )["metrics"]  # fmt: skip
        figures[REAL] = judged(str(model), sets, "real")["R1@0.5"]
        told.write_text(json.dumps(figures) + "\n", encoding="utf-8")
    found: dict[str, float] = json.loads(told.read_text(encoding="utf-8"))
    return found


def judged(model: str, sets: Path, name: str) -> dict[str, float]:
    """What ``amr score`` says of a model's answers on a set."""
    answers = subprocess.run(
        command("predict", sets / f"{name}.h5", "--model", model, "--queries", sets / f"{name}.jsonl", "-q"),
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    scored = subprocess.run(
        command("score", "-", sets / f"{name}.jsonl", "--format", "json", "-q"),
        check=True,
        input=answers,
        stdout=subprocess.PIPE,
    ).stdout
    brief: dict[str, float] = json.loads(scored)["brief"]
    return {key.removeprefix("MR-full-"): value for key, value in brief.items()}


def amr(*words: object) -> dict[str, Any]:
    """The last record that a tool writes."""
    done = subprocess.run(command(*words), check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def command(*words: object) -> list[str]:
    """``amr`` with this Python."""
    return [sys.executable, "-m", "amr", *map(str, words)]


def row(name: str, runs: Sequence[dict[str, float]]) -> str:
    """A line of the table."""
    cells = []
    for figure in (*FIGURES, REAL):
        values = [each[figure] for each in runs]
        spread = f" +- {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        cells.append(f"{statistics.mean(values):.2f}{spread}")
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
