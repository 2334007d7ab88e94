"""What each part of a system is worth: systems and switches on the same features, splits and passes.

    python examples/ablation_sets.py OPEN SETS
    python examples/ablation.py SETS OUT [--epochs 45] [--hidden 32] [--seeds 3] [--only NAME ...]

SETS holds train, scenes, unseen and real as NAME.jsonl and NAME.h5; a set that is not there is left out.
OUT gets a model a run and its answers; a run that is there is not repeated, so an interrupted table goes
on where it was. The weights after the last pass are judged: held-out recordings choose nothing. On
stdout, in Markdown: for each set the figures of every system (mean and sd of the runs, 95 % interval over
seeds and recordings), and R1@0.7 and mAP less those of the first system, paired by query. With --exchange
also what each system answers to the text of another query, and to the same frames in another order.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exchange import exchanged_sets

FIGURES = ("R1@0.5", "R1@0.7", "mAP")
COMPARED = ("R1@0.7", "mAP")
SETS = ("scenes", "unseen", "real")
HIDDEN = 32
"""Published: 256. At this size am-detr learns on the sets of ablation_sets.py (its mAP is twice that of spans
that do not listen), and a run takes two to three minutes of one core; at 64 it takes 1.6 times as long."""


@dataclass(frozen=True)
class System:
    """A preset and the switches by which it differs.

    Args:
        name: of the row.
        preset: that it starts from.
        settings: of ``amr train --set``.
        seeds: how many, at most.
    """

    name: str
    preset: str
    settings: tuple[str, ...] = ()
    seeds: int = 99


def lcs(name: str, *settings: str, seeds: int = 99) -> System:
    """A variant of lcs-detr."""
    return System(f"lcs-detr, {name}", "lcs-detr", settings, seeds)


SYSTEMS = (
    System("am-detr", "am-detr"),
    System("lcs-detr", "lcs-detr"),
    System("best", "best"),
    System("best, segments alone", "best", ("network.quality=false",)),
    System("best, proposals", "best", ("network.quality=false", "network.segments=false")),
    System("am-detr, no saliency losses", "am-detr", ("loss.saliency=0", "loss.negatives=false")),
    System("lcs-detr-eq5", "lcs-detr-eq5"),
    lcs("no gate", "network.gate=none", "network.plain_cross=true", "network.continuity=none"),
    lcs("no continuity", "network.continuity=none"),
    lcs("no focal loss", "loss.score_loss=cross_entropy", "loss.matching.class_cost=probability"),
    lcs("gate on values", "network.gate=values"),
    lcs("continuity on features", "network.continuity=features"),
    lcs("alpha on background", "loss.focal_alpha_on=background"),
    System("moment-detr", "moment-detr"),
    System("lcs-detr-code", "lcs-detr-code"),
    lcs("matching by probability", "loss.matching.class_cost=probability", seeds=1),
    lcs("attention pooling", "network.gate_pooling=attention", seeds=1),
    lcs("plain cross-attention behind", "network.plain_cross=true", seeds=1),
    lcs("amplifier", "network.amplifier=true", seeds=1),
    lcs("fixed TEF", "network.tef=fixed", seeds=1),
    lcs("bfloat16", "training.precision=bfloat16", seeds=1),
    lcs("no jitter", "training.span_jitter=0", seeds=1),
    lcs("negatives by-pass", "network.plain_cross=true", "network.negatives_bypass_gate=true", seeds=1),
    lcs("kernel of 3 frames", "network.continuity_kernel=3", seeds=1),
    lcs("DIoU", "loss.overlap_loss=diou", seeds=1),
    lcs("quality focal loss", "loss.score_loss=quality_focal", seeds=1),
    lcs("first window only", "training.relevant_windows=first", seeds=1),
)  # fmt: skip
METHODS = ("prior:tiles", "prior:middle", "window")


@dataclass(frozen=True)
class Bench:
    """The sets, and where runs go.

    Args:
        sets: folder of annotations and features.
        out: folder of models and answers.
        epochs, hidden: passes, and size of every network.
        batch_size, learning_rate: of the DETR systems; ``best`` has its own rate.
        threads: of one training.
        names: of the sets that are there, exchanged ones included.
    """

    sets: Path
    out: Path
    epochs: int
    hidden: int
    batch_size: int
    learning_rate: float
    threads: int
    names: tuple[str, ...]

    def answers(self, model: str, name: str) -> Path:
        """A model's answers to a set."""
        return self.out / f"{model}.{name}.jsonl"

    def is_done(self, system: System, seed: int) -> bool:
        """Whether a run is there."""
        return (self.out / f"{plain(system.name)}-{seed}.done").exists()

    def train(self, system: System, seed: int) -> str:
        """The name of a run; trained, and asked about every set, unless that is done."""
        name = f"{plain(system.name)}-{seed}"
        model = self.out / f"{name}.safetensors"
        if not model.with_suffix(".done").exists():
            options = [each for setting in self.settings(system) for each in ("--set", setting)]
            data = (
                self.sets / "train.jsonl",
                "--features",
                self.sets / "train.h5",
                "--preset",
                system.preset,
            )
            run = ("--epochs", self.epochs, "--seed", seed, "--threads", self.threads)
            amr("train", *data, *run, *options, "-o", model, "--resume", "-q")
            model.with_suffix(".done").touch()
        self.ask(str(model), name)
        return name

    def settings(self, system: System) -> tuple[str, ...]:
        """Size, schedule and rate: the same for every system, and its own switches last."""
        chunks = "training.chunk_frames=4096"
        sizes = (f"network.hidden_dim={self.hidden}", f"network.feedforward_dim={4 * self.hidden}")
        if system.preset == "best":
            own = ("network.prototypes=512", f"training.batch_size={self.batch_size}", chunks)
            return (*sizes, *own, *system.settings)
        # A narrow network wants a higher rate than the published 1e-4 of 256 features and 200 passes.
        rate = (f"training.learning_rate={self.learning_rate}", "training.warmup_steps=100")
        schedule = ("training.schedule=cosine", f"training.batch_size={self.batch_size}")
        same = ("training.precision=float32", "network.heads=4")
        return (*sizes, *rate, *schedule, *same, chunks, *system.settings)

    def ask(self, model: str, name: str) -> None:
        """Write a model's answers to the sets that it was not asked about yet, by one command."""
        missing = [each for each in self.names if not self.answers(name, each).exists()]
        if not missing:
            return
        questions = self.out / f"{name}.questions"
        write_lines(questions, [apart(record, each) for each in missing for record in self.truth(each)])
        features = sorted({self.sets / f"{each.split('-')[0]}.h5" for each in missing} | {
            path for each in missing if (path := self.out / f"{each}.h5").exists()
        })  # fmt: skip
        answered = self.out / f"{name}.answers"
        amr("predict", *features, "--model", model, "--queries", questions, "-o", answered, "--force", "-q")
        records = read_lines(answered)
        for each in missing:
            own = [together(record) for record in records if record["qid"].startswith(f"{each}/")]
            write_lines(self.answers(name, each), own)
        questions.unlink()
        answered.unlink()

    def truth(self, name: str) -> list[dict[str, Any]]:
        """The annotations of a set."""
        return read_lines(self.annotations(name))

    def annotations(self, name: str) -> Path:
        """Where they are: exchanged sets are beside the answers."""
        own = self.sets / f"{name}.jsonl"
        return own if own.exists() else self.out / f"{name}.jsonl"

    def figures(self, runs: Sequence[str], name: str) -> dict[str, str]:
        """Mean of each figure, with its interval over seeds and recordings."""
        files = [self.answers(run, name) for run in runs]
        seeds = ("--seeds",) if len(files) > 1 else ()
        report = score(*files, self.annotations(name), *seeds)
        return shown_seeds(report) if seeds else shown_alone(report)

    def difference(self, runs: Sequence[str], first: Sequence[str], name: str) -> dict[str, str]:
        """A system less the first, run by run on the same queries: mean, interval over recordings, p."""
        pairs = list(zip(first, runs, strict=False))
        files = [self.pooled([pair[side] for pair in pairs], name) for side in (0, 1)]
        truth = self.out / "pooled.truth"
        write_lines(truth, [numbered(each, at) for at in range(len(pairs)) for each in self.truth(name)])
        report = score(*files, truth, "--compare", "--pool")
        return {figure: shown_pair(report["comparisons"][0]["figures"][figure]) for figure in COMPARED}

    def pooled(self, runs: Sequence[str], name: str) -> Path:
        """The answers of several runs as one file of as many queries."""
        path = self.out / f"pooled-{runs[0]}.answers"
        records = [(at, each) for at, run in enumerate(runs) for each in read_lines(self.answers(run, name))]
        write_lines(path, [numbered(each, at) for at, each in records])
        return path


def main() -> None:
    """Train what is missing, ask, print a table a set."""
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    names = [name for name in SETS if (options.sets / f"{name}.jsonl").exists()]
    exchanged = exchanged_sets(options.sets, options.out, names[:1]) if options.exchange else []
    bench = Bench(
        options.sets, options.out, options.epochs, options.hidden, options.batch_size,
        options.learning_rate, options.threads, (*names, *exchanged),
    )  # fmt: skip
    chosen = [each for each in SYSTEMS if not options.only or each.name in options.only]
    runs: dict[str, list[str]] = {}
    for method in METHODS:
        bench.ask(method, plain(method))
        runs[method] = [plain(method)]
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for system in chosen:
            if seed - options.first_seed < system.seeds and (
                not options.as_is or bench.is_done(system, seed)
            ):
                runs.setdefault(system.name, []).append(bench.train(system, seed))
    if options.table:
        for name in names:
            print("\n".join(table(bench, runs, name)), flush=True)
        if exchanged:
            print("\n".join(exchange_table(bench, runs, [names[0], *exchanged])), flush=True)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=45)
    parser.add_argument("--hidden", type=int, default=HIDDEN, help="size of every network")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1.5e-3, help="of the DETR systems")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument(
        "--exchange", action="store_true", help="ask with other texts and shuffled frames too"
    )
    parser.add_argument("--as-is", action="store_true", help="train nothing more: tables of what is there")
    parser.add_argument("--no-table", dest="table", action="store_false", help="train and ask only")
    return parser.parse_args()


def table(bench: Bench, runs: dict[str, list[str]], name: str) -> list[str]:
    """A set's rows."""
    first = next(iter(each for each in runs if each not in METHODS))
    less = [f"{figure} less {first}" for figure in COMPARED]
    lines = [f"\n{name}, {len(bench.truth(name))} queries\n"]
    lines.append(f"| system | runs | {' | '.join((*FIGURES, *less))} |")
    lines.append("|---|" + "---|" * (1 + len(FIGURES) + len(less)))
    for system, own in runs.items():
        figures = bench.figures(own, name)
        cells = [figures[figure] for figure in FIGURES]
        many = own * len(runs[first]) if system in METHODS else own
        against = {} if system == first else bench.difference(many, runs[first], name)
        cells += [against.get(figure, "") for figure in COMPARED]
        lines.append(f"| {system} | {'-' if system in METHODS else len(own)} | {' | '.join(cells)} |")
    return lines


def exchange_table(bench: Bench, runs: dict[str, list[str]], names: Sequence[str]) -> list[str]:
    """mAP of every system with the right texts, with others, and with shuffled frames."""
    head = "| system | its own text | another label's | frames shuffled |"
    lines = [f"\nmAP on {names[0]}\n", head, "|---|---|---|---|"]
    for system, own in runs.items():
        cells = [bench.figures(own, name)["mAP"].split(" (")[0] for name in names]
        lines.append(f"| {system} | {' | '.join(cells)} |")
    return lines


def score(*words: object) -> dict[str, Any]:
    """The report of ``amr score``."""
    done = subprocess.run(
        command("score", *words, "--format", "json", "-q"), check=True, stdout=subprocess.PIPE
    )
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def shown_alone(report: dict[str, Any]) -> dict[str, str]:
    """Figures of one run."""
    return {figure: f"{report['brief'][f'MR-full-{figure}']:.1f}" for figure in FIGURES}


def shown_seeds(report: dict[str, Any]) -> dict[str, str]:
    """Mean and standard deviation of several runs, and the interval over seeds and recordings."""
    block = report["seeds"]
    cells = {}
    for figure in FIGURES:
        deviation = block["standard_deviation"][figure]
        cells[figure] = f"{block['mean'][figure]:.1f} ± {deviation:.1f}{between(block['interval'][figure])}"
    return cells


def shown_pair(pair: dict[str, Any]) -> str:
    """A difference in points, its interval over recordings, and p."""
    return f"{pair['difference']:+.1f}{between(pair['interval'])}, p {pair['p']:.2g}"


def between(ends: Sequence[float] | None) -> str:
    """An interval in brackets; none where all runs or queries are alike."""
    return f" ({ends[0]:.1f} to {ends[1]:.1f})" if ends else ""


def apart(record: dict[str, Any], name: str) -> dict[str, Any]:
    """An annotation as a question whose qid says which set it is of."""
    kept = {key: record[key] for key in ("query", "vid", "duration")}
    return {"qid": f"{name}/{record['qid']}", **kept}


def together(record: dict[str, Any]) -> dict[str, Any]:
    """An answer with its own qid again."""
    return {**record, "qid": record["qid"].split("/", 1)[1]}


def numbered(record: dict[str, Any], number: int) -> dict[str, Any]:
    """A record of one of several runs."""
    return {**record, "qid": f"{number}/{record['qid']}"}


def plain(name: str) -> str:
    """A system's name as a file's."""
    return "".join(c if c.isalnum() else "-" for c in name)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSONL file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def write_lines(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """A JSONL file."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")


def amr(*words: object) -> None:
    """One command; its failure ends this program."""
    subprocess.run(command(*words), check=True, stdout=subprocess.DEVNULL)


def command(*words: object) -> list[str]:
    """``amr`` with this Python."""
    return [sys.executable, "-m", "amr", *map(str, words)]


if __name__ == "__main__":
    main()
