"""A model from annotated recordings: read, configured, trained once a seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from amr.distributed import STEP_TIMEOUT, Processes, joined_processes, launched_processes
from amr.encoders.running.device import choose_device
from amr.encoders.stored import stored_identity
from amr.errors import InputError
from amr.formats.features.open import open_features
from amr.formats.features.parts import files_in, lost_parts
from amr.formats.lock import sole_writer
from amr.formats.notices import Notices
from amr.formats.side_files import require_own, require_plain
from amr.formats.streams import STDIO, require_writable
from amr.models.checkpoint import Checkpoint, read_checkpoint
from amr.models.lighthouse import is_archive, read_lighthouse
from amr.models.threads import ThreadPool
from amr.processors import free_processors
from amr.tasks.callbacks import OnFailure, ShouldStop, ignore_progress, log, never
from amr.tasks.deafness import DeafnessWatch
from amr.tasks.train_config import make_plan
from amr.tasks.train_data import (
    AnnotationSources,
    annotation_list,
    call_text,
    data_hashes,
    feature_paths,
    has_joint_space,
    joint_encoder,
    memory_bytes,
    require_fitting,
    text_dimension,
    unknown_encoder,
)
from amr.tasks.train_report import OnTrainProgress, TrainedModel, TrainProgress, TrainReport
from amr.training.advice import steps_line, warnings
from amr.training.job import RunFiles, TrainingJob
from amr.training.loading import LoadOptions, load_dataset
from amr.training.run import TrainingRun


def train(
    annotations: AnnotationSources,
    output: str | Path,
    *,
    features: str | Path | Sequence[str | Path] | None = None,
    validation: AnnotationSources = None,
    preset: str | None = None,
    init: str | Path | None = None,
    config: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    published: bool = False,
    seeds: int = 1,
    device: str = "auto",
    threads: int | None = None,
    memory_gb: float | None = None,
    store: str = "float32",
    save_every_s: float = 60.0,
    resume: bool = False,
    force: bool = False,
    command: str | None = None,
    on_progress: OnTrainProgress = ignore_progress,
    on_failure: OnFailure | None = None,
    should_stop: ShouldStop = never,
    **training: Any,
) -> TrainReport:
    """Train a network on annotated recordings.

    Beside the model stand its log (``.log.jsonl``) and a state (``.state``), from which ``resume`` goes on
    exactly. Under ``torchrun`` every process calls this; the first one writes and calls ``on_progress``.

    Args:
        annotations: what to learn from: JSONL files, or annotations.
        output: the model (``.safetensors``); with several seeds ``-1``, ``-2`` and so on come into its name.
        features: feature files or npz trees of all recordings and queries; None: ``$AMR_FEATURES``, else
            ``feats.h5``.
        validation: annotations that decide which weights are kept: never test data.
        preset: ``best``, ``am-detr``, ``lcs-detr``, ``moment-detr``, ... (docs/models.md); None: that of
            ``config`` or ``init``, else ``best``, what measures best.
        init: start from this model's network and weights (a second stage).
        config: TOML file with ``[network]``, ``[loss]`` and ``[training]``.
        settings: any setting, by name or nested: ``{"network.gate": "values"}``; wins over ``config``.
        published: keep a preset's published batch where it is too large to learn from these annotations.
        seeds: train so many times, with ``seed``, ``seed`` + 1 and so on.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: processor threads; change no result. None: all.
        memory_gb: of features to hold, more is mapped from a scratch file; None: half of what is free.
        store: numbers in the model file, ``float32`` or ``float16``.
        save_every_s: seconds between states.
        resume: go on with a run that was interrupted. force: replace a model and its state.
        command: goes into the model's history; None: this call.
        on_progress: called with :class:`TrainProgress` after each epoch, and about once a second inside it.
        on_failure: called with what has no features or broken ones, which is then left out.
        should_stop: asked while features are read, and several times a step; a run leaves the state before
            the step at hand.
        training: fields of :class:`amr.models.train_settings.TrainSettings`, such as ``epochs=20``; win.

    Raises:
        UsageError: a setting that is unknown or cannot be. InputError: the data are wrong, or an output is in
            the way. LossNotFiniteError: training diverged. RunStoppedError: ``should_stop`` said so.
    """
    outputs = output_paths(Path(output), seeds)
    place = torch.device(choose_device(launched_processes().device(device)))
    if place.type == "cuda":
        torch.cuda.set_device(place)
    choices = {"preset": preset, "init": init, "config": config, "settings": settings, **training}
    stated = call_text(annotations, output, features=features, validation=validation, **choices)
    notices = Notices()
    on_gpus = place.type == "cuda"
    with (
        held_outputs(outputs, resume=resume, force=force),
        joined_processes(on_gpus=on_gpus, timeout=STEP_TIMEOUT, should_stop=should_stop) as processes,
        ExitStack() as stack,
    ):
        reader = stack.enter_context(open_features(*feature_paths(features)))
        start = None if init is None else read_model(Path(init))
        if processes.is_first:
            warn_all(lost_parts(files_in(reader)))
        learned, held_out = annotation_list(annotations), annotation_list(validation)
        plan = make_plan(
            preset=preset,
            start=start,
            config=None if config is None else Path(config),
            settings=settings or {},
            training=training,
            dims=(reader.dimension, text_dimension(reader, learned)),
            items=None if published else len(learned),
            has_joint_space=has_joint_space(reader),
        )
        require_fitting(reader, start, plan)
        if plan.training.compile and not on_gpus:
            notices.add("--compile is for GPUs: on this processor the network is not compiled")
        load = LoadOptions(
            memory_bytes=memory_bytes(memory_gb),
            on_broken=on_failure,
            joint_encoder=joint_encoder(reader, plan, place),
            similarity_channels=plan.network.similarity_channels,
            curve_kinds=() if plan.network.audio else plan.training.kinds,
            should_stop=should_stop,
        )
        dataset = load_dataset(learned, reader, load, notices).near(place)
        validated = load_dataset(held_out, reader, load, notices).near(place) if held_out else None
        job = TrainingJob(
            plan=plan,
            train=dataset,
            validation=validated,
            encoder=stored_identity(reader) or unknown_encoder(reader, dataset),
            files=RunFiles(outputs[0]),
            history=(*(start.history if start is not None else ()), command or stated),
            data_sha256=data_hashes(annotations, validation, dataset, validated),
            start=None if start is None else start.weights,
            store=getattr(torch, store),
            save_every_s=save_every_s,
            should_stop=should_stop,
        )
        if processes.is_first:
            warn_all(notices.lines())
            is_default = preset is None and config is None and start is None
            log.info(steps_line(plan, len(dataset), is_default=is_default))
            warn_all(warnings(plan, len(dataset)))
        pool = stack.enter_context(open_pool(threads, place, processes))
        report = on_progress if processes.is_first else ignore_progress
        models = train_seeds(job, outputs, place, pool, processes, report, resume=resume)
        return TrainReport(tuple(models))


def output_paths(output: Path, seeds: int) -> list[Path]:
    """The model of each seed; a single run writes the name as given."""
    if seeds == 1:
        return [output]
    stem = output.name.removesuffix(output.suffix)
    return [output.with_name(f"{stem}-{number + 1}{output.suffix}") for number in range(seeds)]


@contextmanager
def held_outputs(paths: Sequence[Path], *, resume: bool, force: bool) -> Iterator[None]:
    """Hold each model, and with it its log and its state, in the first of several processes.

    Raises:
        InputError: see :func:`require_free`; another process is writing one.
    """
    with ExitStack() as stack:
        for path in paths:
            if launched_processes().is_first and str(path) != STDIO:
                stack.enter_context(sole_writer(path))
            require_free(path, resume=resume, force=force)
        yield


def require_free(path: Path, *, resume: bool, force: bool) -> None:
    """Refuse, before any work, to write over a model or over the state of an interrupted run.

    Raises:
        InputError: something stands there, and neither ``force`` nor ``resume`` says what to do with it.
    """
    if str(path) == STDIO:
        raise InputError("a model is not written to standard output", where="-o", hint="name a file")
    files = RunFiles(path)
    state = files.state
    require_plain(state)
    require_own(files.log)
    if resume and state.exists():
        return
    require_writable(path, force=force)
    if state.exists() and not force:
        raise InputError(
            "is the state of an interrupted run",
            where=state,
            hint="--resume continues it, --force starts again",
        )


def read_model(path: Path) -> Checkpoint:
    """A model to start from, our own or an imported one."""
    if not path.exists():
        raise InputError("no such file", where=path)
    return read_lighthouse(path) if is_archive(path) else read_checkpoint(path)


def warn_all(lines: Iterable[str]) -> None:
    for line in lines:
        log.warning(line)


def open_pool(threads: int | None, device: torch.device, processes: Processes) -> ThreadPool:
    """Threads for the chunks of a batch; a GPU is fed by one, which may use several inside an operation."""
    threads = threads or max(1, free_processors() // processes.local_count)
    return ThreadPool(threads) if device.type == "cpu" else ThreadPool(1, operation_threads=threads)


def train_seeds(
    job: TrainingJob,
    outputs: Sequence[Path],
    device: torch.device,
    pool: ThreadPool,
    processes: Processes,
    on_progress: OnTrainProgress,
    *,
    resume: bool,
) -> Iterator[TrainedModel]:
    """One run a seed."""
    first = job.plan.training
    precision = first.precision
    for number, path in enumerate(outputs):
        settings = replace(first, seed=first.seed + number, precision=precision)
        mine = replace(
            job,
            plan=replace(job.plan, training=settings),
            files=RunFiles(path),
            on_record=partial(pass_on, on_progress, path, settings.epochs, number, len(outputs)),
        )
        if processes.is_first:
            mine = replace(mine, on_record=DeafnessWatch(path, mine.plan, mine.on_record))
        run = TrainingRun(mine, device, pool, processes, resume=resume)
        outcome = run.finish()
        precision = run.settings.precision  # the others are as the first, wherever they are gone on with
        yield TrainedModel(path, settings.seed, outcome.epoch, outcome.epochs, dict(outcome.metrics))


def pass_on(
    on_progress: OnTrainProgress, model: Path, epochs: int, number: int, runs: int, record: Mapping[str, Any]
) -> None:
    """A run's record as progress of run ``number`` of ``runs``."""
    is_inside = record["event"] == "step"
    begun = record["epoch"] - 1 + (record["batch"] / record["batches"] if is_inside else 1)
    share = (number + begun / epochs) / runs
    done = number * epochs + int(begun)
    on_progress(TrainProgress("epoch", done, runs * epochs, 0.0, share, model, epochs, record))
