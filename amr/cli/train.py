"""``amr train``: annotations and features in, a model out."""

from __future__ import annotations

import json
import shlex
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from amr.cli import options
from amr.cli.messages import Failures, wants_table
from amr.cli.stopping import StopSignals
from amr.cli.tables import columns
from amr.errors import UsageError

if TYPE_CHECKING:
    from amr.tasks.train_report import TrainReport

SECTIONS = ("network", "loss", "training")
NOT_IN_HISTORY = ("--resume", "--force", "-f")
"""What leaves the product as it is: a resumed run ends with the bytes of an uninterrupted one."""


class StoreType(str, Enum):
    """Types of the numbers in a model file."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"


def train(
    annotations: Annotated[
        list[str],
        typer.Argument(metavar="ANNOTATIONS", help="What to learn from: JSONL with 'relevant_windows'."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The model (.safetensors).")],
    features: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="Feature file or npz tree of all recordings and queries; may be repeated. "
            "Default: $AMR_FEATURES, else feats.h5.",
            show_default=False,
        ),
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Annotations that decide which weights are kept: never test data."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Network and recipe: best (default), am-detr, lcs-detr, ..., or a package's own.",
        ),
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="Keep the preset's batch where it is too large for the data.")
    ] = False,
    init: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="Start from this model's network and weights (a second stage)."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TOML with [network], [loss] and [training].")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting, e.g. network.gate=values; repeatable."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the data.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Items a step, over all processes.")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, help="Of AdamW.")] = None,
    schedule: Annotated[str | None, typer.Option(metavar="constant|cosine|step")] = None,
    warmup_steps: Annotated[int | None, typer.Option(min=0, help="Steps from 0 to the rate.")] = None,
    gradient_clip: Annotated[float | None, typer.Option(min=0, help="Largest norm; 0: none.")] = None,
    ema_decay: Annotated[
        float | None, typer.Option(min=0, max=1, help="Average the weights with this decay a step; 0: no.")
    ] = None,
    absent_share: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Part of the items whose query is of something absent."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Decides what is kept: mAP, mAP@0.5, R1@0.5, R1@0.7, mIoU or AUC.")
    ] = None,
    validate_epochs: Annotated[int | None, typer.Option(min=1, help="Epochs between validations.")] = None,
    patience: Annotated[
        int | None, typer.Option(min=0, help="Stop after so many validations without a better one; 0: never.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="auto|float32|bfloat16", help="Of products; auto: bfloat16 where it is fast (AMX, GPUs)."
        ),
    ] = None,
    compile_: Annotated[bool, typer.Option("--compile", help="Use torch.compile, on a GPU.")] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of every random draw.")] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Train so many times, seed, seed + 1, ...; print mean and sd.")
    ] = 1,
    device: options.Device = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Processor threads; changes no result. Default: all.")
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(min=0, help="GB of features to hold; more is mapped from $TMPDIR. Default: half."),
    ] = None,
    store: Annotated[
        StoreType, typer.Option(help="Numbers in the model file; float16 halves it.")
    ] = StoreType.FLOAT32,
    save_every: Annotated[float, typer.Option(min=0, help="Seconds between states to resume from.")] = 60.0,
    resume: options.Resume = False,
    force: options.Force = False,
    keep_going: options.KeepGoing = False,
    format_: options.Format = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,  # noqa: ARG001  # read where errors are printed
) -> None:
    """Train a network on annotated recordings.

    \b
    amr extract audio/ --queries train.jsonl -o feats.h5
    amr train train.jsonl --features feats.h5 --validation val.jsonl -o model.safetensors

    Beside the model stand its log (.log.jsonl) and a state (.state) from which --resume continues exactly.
    On standard output: the figures of the model's validation, or with --seeds their mean and sd.
    Several processes: torchrun --nproc-per-node 2 -m amr train ...
    """
    from amr.cli.train_display import EpochDisplay
    from amr.distributed import launched_processes
    from amr.tasks.train import train as train_model

    training: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "warmup_steps": warmup_steps,
        "gradient_clip": gradient_clip,
        "ema_decay": ema_decay,
        "absent_share": absent_share,
        "metric": metric,
        "validate_epochs": validate_epochs,
        "patience": patience,
        "precision": precision,
        "compile": compile_ or None,
        "seed": seed,
    }
    failures = Failures("train")
    with (
        StopSignals("train", "part of the step").handled() as should_stop,
        EpochDisplay(quiet=quiet) as display,
    ):
        report = train_model(
            annotations,
            output,
            features=features,
            validation=validation,
            preset=preset,
            published=published,
            init=init,
            config=config,
            settings=parse_settings(set_ or []),
            seeds=seeds,
            device=device,
            threads=threads,
            memory_gb=memory,
            store=store.value,
            save_every_s=save_every,
            resume=resume,
            force=force,
            command=shlex.join(["amr", *(word for word in sys.argv[1:] if word not in NOT_IN_HISTORY)]),
            on_progress=display,
            on_failure=failures.note if keep_going else None,
            should_stop=should_stop,
            **{name: value for name, value in training.items() if value is not None},
        )
    if launched_processes().is_first:
        for line in product_lines(report, as_table=wants_table(format_, None)):
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
    failures.end()


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """``network.gate=values`` and the like; a value is JSON where it can be, else a text.

    Raises:
        UsageError: there is no ``=``, or the name has no section.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or name.split(".")[0] not in SECTIONS or "." not in name:
            raise UsageError(
                f"{setting!r} is not of the form SECTION.NAME=VALUE",
                where="--set",
                hint=f"sections are {', '.join(SECTIONS)}; e.g. --set loss.score_loss=varifocal",
            )
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text
        except RecursionError as error:
            raise UsageError(f"{name} is nested too deeply", where="--set") from error
    return values


def product_lines(report: TrainReport, *, as_table: bool) -> list[str]:
    """The figures of each model, and of several their mean and sd."""
    if as_table:
        rows = report.table()
        return columns(rows, frozenset(range(1, len(rows[0]))))
    from amr.formats.jsonl import line_of

    records = [each.record() for each in report.models]
    return [line_of(each) for each in ([*records, report.record()] if len(records) > 1 else records)]
