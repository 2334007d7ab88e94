"""A training run: epochs of steps, validations, the best weights kept, a state that can be gone on with."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from amr.arrays import Int64Array
from amr.distributed import Processes
from amr.errors import InputError, StoppedError
from amr.models.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from amr.models.threads import ThreadPool
from amr.models.train_settings import TrainSettings
from amr.training.batches import Batch, draw_batch
from amr.training.curve_kinds import STRETCH_POINTS, draw_hop
from amr.training.dataset import Dataset
from amr.training.exchange import exchange
from amr.training.job import (
    LossNotFiniteError,
    RunOutcome,
    RunStoppedError,
    TrainingJob,
    new_network,
    require_metric,
)
from amr.training.order import epoch_batches
from amr.training.plan import completed, differences
from amr.training.precision import gone_on_with
from amr.training.runlog import RunLog
from amr.training.runstate import RunProgress, RunState, read_state, write_state
from amr.training.schedule import learning_rate
from amr.training.step import AbandonedError, Stepper
from amr.training.validate import evaluate

LOOK_EVERY_STEPS = 50
"""Steps between questions to a GPU whether all is well; a CPU is asked each step."""
NAMED_ITEMS = 3


class TrainingRun:
    """One run, from its start or from its state to its end.

    Args:
        job: what it works with.
        device: where the network lies.
        pool: threads, open.
        processes: that work on it together.
        resume: go on from the state beside the model, where there is one.

    Raises:
        InputError: the state belongs to another configuration or to other data, or validation cannot give the
            figure that decides.
    """

    def __init__(
        self, job: TrainingJob, device: torch.device, pool: ThreadPool, processes: Processes, *, resume: bool
    ) -> None:
        if job.validation is not None:
            require_metric(job.validation, job.plan.training.metric)
        state = read_state(job.files.state) if resume and job.files.state.exists() else None
        plan = job.plan if state is None else gone_on_with(job.plan, state.plan)
        self.stepper = Stepper(new_network(job, device), plan, pool, processes, job.should_stop)
        self.job = replace(job, plan=self.stepper.plan)
        self.settings = self.job.plan.training
        self.processes = processes
        self.progress = RunProgress()
        self.best_weights: dict[str, Tensor] | None = None
        if state is not None:
            self._load(state)
        self._saved_at = time.monotonic()
        self._reported_at = self._saved_at
        self._steps_per_epoch = -(-len(job.train) // self.settings.batch_size)

    def _load(self, state: RunState) -> None:
        theirs = {"plan": completed(state.plan), "data": state.data}
        unlike = differences(theirs, {"plan": self._plan_fields(), "data": dict(self.job.data_sha256)})
        if unlike:
            raise InputError(
                f"the run that left this state differs from this one: {'; '.join(unlike[:3])}",
                where=self.job.files.state,
                hint="give the same data and options as before, or start again with --force",
            )
        self.stepper.load_state(dict(state.tensors))
        self.progress = state.progress
        if state.progress.best_metrics is not None and not state.progress.done:
            self.best_weights = dict(read_checkpoint(self.job.files.model).weights)

    def _plan_fields(self) -> dict[str, Any]:
        """The plan as it reads back from JSON."""
        fields: dict[str, Any] = json.loads(json.dumps(self.job.plan.to_fields()))
        return fields

    def finish(self) -> RunOutcome:
        """Run to the end.

        Raises:
            LossNotFiniteError: the state before that step is on disk.
            RunStoppedError: ``job.should_stop`` said so; the state is on disk.
        """
        if self.progress.done:
            return self._outcome()
        log = self.job.files.log if self.processes.is_first else None
        with RunLog(log, self.progress.log_bytes) as self._log:
            if self.progress.log_bytes == 0:
                self._log.add({"event": "start", **self._provenance()})
            while self.progress.epoch < self.settings.epochs and not self._is_stale():
                self._epoch()
            self.progress = replace(self.progress, done=True)
            self._save()
        return self._outcome()

    def _outcome(self) -> RunOutcome:
        progress = self.progress
        return RunOutcome(progress.best_epoch, dict(progress.best_metrics or {}), progress.epoch)

    def _is_stale(self) -> bool:
        """Whether patience has run out."""
        return 0 < self.settings.patience <= self.progress.stale

    def _epoch(self) -> None:
        """What is left of an epoch, and what follows it."""
        began_at, first_batch = time.monotonic(), self.progress.batch
        epoch, train = self.progress.epoch, self.job.train
        window_frames = self.job.plan.network.window_frames
        if not self.job.plan.network.audio:
            window_frames = min(window_frames, STRETCH_POINTS)
        batches = self._batches(epoch)
        for index in range(first_batch, len(batches)):
            data = train
            if not self.job.plan.network.audio:
                data = train.at_hop(draw_hop(self.settings.seed, epoch, index))
            batch = draw_batch(data, batches[index], self._capped, epoch, window_frames=window_frames)
            self._step(data, batch, len(batches))
        items = sum(len(batch) for batch in batches[first_batch:])
        self._require_sound()
        trained_s = time.monotonic() - began_at
        is_last = epoch + 1 == self.settings.epochs
        validated: dict[str, Any] = {}
        if (epoch + 1) % self.settings.validate_epochs == 0 or is_last:
            with self._left_as_it_is():
                validated = self._validate()
        record = {
            "event": "epoch",
            "epoch": epoch + 1,
            "step": self.progress.step,
            "learning_rate": self._rate(self.progress.step - 1),
            "loss": self.stepper.take_means(len(train)),
            "samples_per_s": round(items / trained_s, 1),
            **validated,
            "seconds": round(time.monotonic() - began_at, 2),
        }
        self.progress = replace(self.progress, epoch=epoch + 1, batch=0)
        self._log.add(record)
        self.job.on_record(record)
        self._maybe_save()

    def _batches(self, epoch: int) -> list[Int64Array]:
        """The items of each batch of an epoch."""
        return epoch_batches(
            self.job.train.num_frames.clip(max=self.job.plan.network.window_frames),
            batch_size=self.settings.batch_size,
            seed=self.settings.seed,
            epoch=epoch,
        )

    @property
    def _capped(self) -> TrainSettings:
        """Settings with no more targets an item than the network has queries; frames propose for all."""
        if self.job.plan.network.proposing == "frames":
            return self.settings
        most = min(self.settings.max_windows, self.job.plan.network.queries)
        return replace(self.settings, max_windows=most)

    def _rate(self, step: int) -> float:
        return learning_rate(self.settings, step, self._steps_per_epoch)

    def _step(self, data: Dataset, batch: Batch, of_batches: int) -> None:
        """One step, and what must be looked at after it."""
        step = self.progress.step
        with self._left_as_it_is():
            self.stepper.step(data, batch, learning_rate=self._rate(step), step=step)
        self.progress = replace(self.progress, step=step + 1, batch=self.progress.batch + 1)
        look = (step + 1) % LOOK_EVERY_STEPS == 0 or self.progress.batch == of_batches
        if look or self.stepper.device.type == "cpu":
            self._require_sound()
            self._report_step(of_batches)
        if self.progress.batch < of_batches:
            self._maybe_save()

    @contextmanager
    def _left_as_it_is(self) -> Iterator[None]:
        """Leave a state and end where the work of the block is given up: every process comes here then."""
        try:
            yield
        except (AbandonedError, StoppedError) as error:
            self._require_sound()
            self._save()
            raise RunStoppedError(
                f"stopped after step {self.progress.step}, in epoch {self.progress.epoch + 1}",
                where=self.job.files.model,
                hint="repeat the command with --resume to continue from there",
            ) from error

    def _report_step(self, of_batches: int) -> None:
        now = time.monotonic()
        if now - self._reported_at >= 1.0:
            self._reported_at = now
            progress = self.progress
            self.job.on_record(
                {"event": "step", "epoch": progress.epoch + 1, "batch": progress.batch, "batches": of_batches}
            )

    def _require_sound(self) -> None:
        """End the run, with a state, where a loss or gradient was not finite."""
        step = self.stepper.broken_at()
        if step is None:
            return
        epoch, number = divmod(step, self._steps_per_epoch)
        self.progress = replace(self.progress, epoch=epoch, batch=number, step=step)
        self._save()
        annotations = [self.job.train.annotations[item] for item in self._batches(epoch)[number]]
        among = ", ".join(each.where or str(each.qid) for each in annotations[:NAMED_ITEMS])
        raise LossNotFiniteError(
            f"the loss or its gradient is not finite at step {step + 1} (epoch {epoch + 1}, "
            f"batch {number + 1} with {among}{', ...' if len(annotations) > NAMED_ITEMS else ''}; "
            f"learning rate {self._rate(step):.3g}); the weights before it are in {self.job.files.state}",
            where=self.job.files.model,
            hint="a lower --learning-rate, a --gradient-clip or --precision float32 may help",
        )

    def _validate(self) -> dict[str, Any]:
        """Figures of the weights as they are, which are kept if they are the best; all of it or nothing."""
        if self.job.validation is None:
            self._keep({})
            return {}
        began_at = time.monotonic()
        metrics = evaluate(self.stepper, self.job.validation)
        exchanged = exchange(self.stepper, self.job.validation)
        taken_s = round(time.monotonic() - began_at, 2)
        value = metrics[self.settings.metric]
        progress = self.progress
        is_best = progress.best is None or value > progress.best
        if is_best:
            self.progress = replace(progress, best=value)
            self._keep(metrics)
        else:
            self.progress = replace(progress, stale=progress.stale + 1)
        record = {"metrics": metrics, "best": is_best, "validation_seconds": taken_s}
        return record if exchanged is None else record | {"exchange": exchanged.record()}

    def _keep(self, metrics: Mapping[str, float]) -> None:
        """Remember the weights, which have been through the epoch at hand, as those of the model."""
        self.best_weights = self.stepper.flat.named(self.stepper.kept_values)
        self.progress = replace(
            self.progress, stale=0, best_epoch=self.progress.epoch + 1, best_metrics=dict(metrics)
        )

    def _maybe_save(self) -> None:
        """Write model and state if the last time is long enough ago; every process agrees."""
        if self.processes.is_first and time.monotonic() - self._saved_at >= self.job.save_every_s:
            self._save()

    def _save(self) -> None:
        """Write model, log and state, in this order: a state never names what is not on disk."""
        if not self.processes.is_first:
            return
        if self.best_weights is not None:
            checkpoint = self._checkpoint(self.best_weights)
            write_checkpoint(self.job.files.model, checkpoint, dtype=self.job.store, force=True)
        self.progress = replace(self.progress, log_bytes=self._log.sync())
        write_state(
            self.job.files.state,
            RunState(self.progress, self._plan_fields(), dict(self.job.data_sha256), self.stepper.state()),
        )
        self._saved_at = time.monotonic()

    def _checkpoint(self, weights: Mapping[str, Tensor]) -> Checkpoint:
        progress = self.progress
        return Checkpoint(
            config=self.job.plan.network,
            weights=weights,
            encoder=self.job.encoder,
            preset=self.job.plan.preset,
            history=self.job.history,
            metrics=dict(progress.best_metrics or {}),
            data_sha256=self.job.data_sha256,
            training={**self._provenance(), "epoch": progress.best_epoch},
        )

    def _provenance(self) -> dict[str, Any]:
        """The effective configuration, and what else decides the numbers."""
        plan = self._plan_fields()
        return {
            "preset": plan["preset"],
            "network": plan["network"],
            "loss": plan["loss"],
            "training": plan["training"],
            "data_sha256": dict(self.job.data_sha256),
            "torch": torch.__version__,
            "device": self.stepper.device.type,
            "processes": self.processes.count,
        }
