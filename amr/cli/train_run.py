"""What ``amr train`` does once its options are read."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from amr.cli.messages import Failures, say, wants_table, warn
from amr.cli.options import OutputFormat
from amr.cli.train_config import make_plan
from amr.cli.train_features import (
    feature_paths,
    joint_encoder,
    memory_bytes,
    require_fitting,
    tell_lost_parts,
    text_dimension,
    unknown_encoder,
)
from amr.cli.train_report import Reporter, spread, table
from amr.encoders.device import choose_device
from amr.encoders.stored import stored_identity
from amr.errors import InputError
from amr.formats.annotations import read_annotations
from amr.formats.features import FeatureReader, open_features
from amr.formats.notices import Notices
from amr.formats.streams import STDIO, require_writable
from amr.models.checkpoint import Checkpoint, read_checkpoint
from amr.models.lanes import Lanes
from amr.models.lighthouse import is_archive, read_lighthouse
from amr.processors import free_processors
from amr.training.corpus import Corpus
from amr.training.job import Files, Job, Outcome
from amr.training.loading import LoadOptions, load_corpus
from amr.training.placing import placed
from amr.training.processes import Processes, expected_processes, joined
from amr.training.run import Run

TOOL = "train"


@dataclass(frozen=True)
class Options:
    """The options of one run; see :func:`amr.cli.train.train`."""

    annotations: list[str]
    output: Path
    features: list[Path]
    validation: str | None
    preset: str | None
    init: Path | None
    config: Path | None
    settings: list[str]
    chosen: dict[str, Any]
    seeds: int
    device: str
    threads: int | None
    memory_gb: float | None
    store: str
    save_every_s: float
    resume: bool
    force: bool
    keep_going: bool
    format: OutputFormat | None
    quiet: bool


@dataclass
class StopRequest:
    """Set by the first SIGINT or SIGTERM: the run ends after its step, with a state; a second ends it now."""

    asked: bool = False
    _before: dict[int, Any] = field(default_factory=dict)

    def __call__(self) -> bool:
        return self.asked

    def note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        say(f"amr {TOOL}: {signal.Signals(number).name}: stopping after this step")

    @contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Listen to the signals while the block runs."""
        self._before = {
            number: signal.signal(number, self.note) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield self
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)


def run_training(options: Options) -> None:
    """Train as asked, and write the figures to standard output.

    Raises:
        AmrError: what is wrong with the options or the data.
    """
    processes = expected_processes()
    outputs = output_paths(options)
    for path in outputs:
        require_free(path, options)
    device = torch.device(choose_device(device_name(options.device, processes)))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    failures, notices = Failures(TOOL), Notices()
    with joined(device) as processes, ExitStack() as stack:
        reader = stack.enter_context(open_features(*feature_paths(options.features)))
        start = None if options.init is None else read_model(options.init)
        if processes.is_first:
            tell_lost_parts(reader, quiet=options.quiet)
        job = prepare(options, reader, start, device, failures, notices)
        if processes.is_first:
            warn(TOOL, notices.lines(), quiet=options.quiet)
        rows = list(train_all(options, job, outputs, device, processes))
        if processes.is_first:
            write_figures(rows, options)
    failures.end()


def output_paths(options: Options) -> list[Path]:
    """The model of each seed; a single run writes the name as given."""
    if options.seeds == 1:
        return [options.output]
    suffix = options.output.suffix
    stem = options.output.name.removesuffix(suffix)
    return [options.output.with_name(f"{stem}-{number + 1}{suffix}") for number in range(options.seeds)]


def require_free(path: Path, options: Options) -> None:
    """Refuse, before any work, to write over a model or over the state of an interrupted run.

    Raises:
        InputError: something stands there, and neither ``--force`` nor ``--resume`` says what to do with it.
    """
    if str(path) == STDIO:
        raise InputError("a model is not written to standard output", where="-o", hint="name a file")
    state = Files(path).state
    if options.resume and state.exists():
        return
    require_writable(path, force=options.force)
    if state.exists() and not options.force:
        raise InputError(
            "is the state of an interrupted run",
            where=state,
            hint="--resume goes on with it, --force starts anew",
        )


def device_name(name: str, processes: Processes) -> str:
    """Each process of several on one machine takes a GPU of its own."""
    return f"cuda:{processes.local_rank}" if name in ("auto", "cuda") and uses_gpus(processes) else name


def uses_gpus(processes: Processes) -> bool:
    return processes.count > 1 and torch.cuda.is_available()


def read_model(path: Path) -> Checkpoint:
    """A model to start from, our own or an imported one."""
    if not path.exists():
        raise InputError("no such file", where=path)
    return read_lighthouse(path) if is_archive(path) else read_checkpoint(path)


def prepare(
    options: Options,
    reader: FeatureReader,
    start: Checkpoint | None,
    device: torch.device,
    failures: Failures,
    notices: Notices,
) -> Job:
    """Read everything that training needs."""
    asked = [each for source in options.annotations for each in read_annotations(source)]
    held_out = [] if options.validation is None else read_annotations(options.validation)
    plan = make_plan(
        preset=options.preset,
        start=start,
        config=options.config,
        settings=options.settings,
        chosen=options.chosen,
        dims=(reader.dimension, text_dimension(reader, asked)),
    )
    require_fitting(reader, start, plan)
    if plan.training.compile and device.type == "cpu":
        notices.add("--compile is for GPUs: on this processor the network is not compiled")
    encoder = joint_encoder(reader, plan, device)
    load = LoadOptions(
        memory_bytes=memory_bytes(options.memory_gb),
        on_broken=failures.note if options.keep_going else None,
        joint_encoder=encoder,
        similarity_channels=plan.network.similarity_channels,
    )
    train = placed(load_corpus(asked, reader, load, notices), device)
    validation = placed(load_corpus(held_out, reader, load, notices), device) if held_out else None
    return Job(
        plan=plan,
        train=train,
        validation=validation,
        encoder=stored_identity(reader) or unknown_encoder(reader, train),
        files=Files(options.output),
        history=(*(start.history if start is not None else ()), command_line()),
        data_sha256=data_hashes(options, train, validation),
        start=None if start is None else start.weights,
        store=getattr(torch, options.store),
        save_every_s=options.save_every_s,
    )


def command_line() -> str:
    """This command, as it goes into the model's history."""
    return shlex.join(["amr", *sys.argv[1:]])


def data_hashes(options: Options, train: Corpus, validation: Corpus | None) -> dict[str, str]:
    """sha256 of each annotation file, by its name, and of the features in use."""
    hashes = {}
    for source in [*options.annotations, *([options.validation] if options.validation else [])]:
        if source != STDIO:
            name = Path(source).name
            key = f"{Path(source).parent.name}/{name}" if name in hashes else name
            hashes[key] = hashlib.sha256(Path(source).read_bytes()).hexdigest()
    hashes["features (training)"] = train.sha256
    if validation is not None:
        hashes["features (validation)"] = validation.sha256
    return hashes


def train_all(
    options: Options, job: Job, outputs: list[Path], device: torch.device, processes: Processes
) -> Iterator[dict[str, Any]]:
    """One run a seed; what each one gave."""
    asked = job.plan.training
    precision = asked.precision
    with StopRequest().listening() as stop, open_lanes(options, device) as lanes:
        for number, path in enumerate(outputs):
            settings = replace(asked, seed=asked.seed + number, precision=precision)
            plan = replace(job.plan, training=settings)
            quiet = options.quiet or not processes.is_first
            reporter = Reporter(path.name, settings.epochs, quiet=quiet)
            mine = replace(job, plan=plan, files=Files(path), should_stop=stop, report=reporter)
            try:
                run = Run(mine, device, lanes, processes, resume=options.resume)
                outcome = run.finish()
            finally:
                reporter.end()
            precision = run.settings.precision  # the others are as the first, wherever they are gone on with
            yield summary(path, settings.seed, outcome)


def open_lanes(options: Options, device: torch.device) -> Lanes:
    """Threads for the chunks of a batch; a GPU is fed by one, which may use several inside an operation."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    threads = options.threads or max(1, free_processors() // here)
    return Lanes(threads) if device.type == "cpu" else Lanes(1, operation_threads=threads)


def summary(path: Path, seed: int, outcome: Outcome) -> dict[str, Any]:
    """What a run gave, as a record."""
    return {
        "model": str(path),
        "seed": seed,
        "epoch": outcome.epoch,
        "epochs": outcome.epochs,
        "metrics": dict(outcome.metrics),
    }


def write_figures(rows: list[dict[str, Any]], options: Options) -> None:
    """The product: figures of each model, and of several their mean and sd."""
    if wants_table(options.format, None):
        lines = table(rows)
    else:
        lines = [json.dumps(each) for each in rows]
        if len(rows) > 1:
            lines.append(json.dumps({"runs": len(rows), **spread([each["metrics"] for each in rows])}))
    sys.stdout.writelines(line + "\n" for line in lines)
    sys.stdout.flush()
