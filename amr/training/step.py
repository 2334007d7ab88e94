"""One step of training: the losses of a batch, their gradient, and the optimiser's move.

Nothing here asks a GPU for a value: the host runs ahead and prepares the next batch. A step whose loss or
gradient is not finite is not made, nor any after it, on the device; :meth:`Stepper.broken_at` tells the host
later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from amr.distributed import Processes
from amr.models.build import Network, total_loss
from amr.models.config import NetworkConfig
from amr.models.loss_config import LossConfig
from amr.models.threads import ThreadPool
from amr.training.batches import Batch, gather_chunk
from amr.training.dataset import Dataset
from amr.training.draws import key_of
from amr.training.job import never
from amr.training.masks import MaskPools
from amr.training.order import chunks, share
from amr.training.parameters import FlatParameters
from amr.training.plan import TrainingPlan
from amr.training.precision import settled

CPU_CHUNK_FRAMES = 1024
"""About 16 stretches of 60 frames: they stay in a core's cache better than more, and cost no speed."""
CPU_CHUNK_FRAMES_BFLOAT16 = 2048
"""Products are so fast then that what each chunk costs anew, casting the weights above all, shows."""
GPU_CHUNK_FRAMES = 131_072
"""A batch of 2,000 stretches of 60 frames at once; 22 MB a stretch without mixed precision."""
BUFFER = "buffer "
"""Ahead of a buffer's name in a state."""
FIRST_EMA_STEPS = 10
"""The average starts nearly as the weights themselves: decay ``min(d, (1 + t) / (10 + t))`` at step t."""

Job = TypeVar("Job")
Result = TypeVar("Result")


class AbandonedError(Exception):
    """The work is to stop. What was under way is given up, and has changed nothing."""


@dataclass(frozen=True)
class ChunkJob:
    """One chunk of a batch.

    Args:
        dataset, batch: where it is from.
        part: its items.
        key: of its dropout.
    """

    dataset: Dataset
    batch: Batch
    part: slice
    key: int


def part_names(loss: LossConfig, network: NetworkConfig) -> list[str]:
    """The parts of the loss that a run reports, ``total`` first."""
    if network.proposing == "frames":
        return ["total", "l1", "overlap", "score", "saliency"]
    saliency = ["ranking", "contrast", "negative_pair"] if loss.saliency else []
    added = ["added"] if network.architecture else []
    return ["total", "l1", "overlap", "score", "auxiliary", *saliency, *added]


class Stepper:
    """A network in training: weights, their average, AdamW's moments, and the gradient's buffer.

    Args:
        network: on its device.
        plan: losses and settings; ``self.plan`` says what an automatic precision came to.
        pool: threads for the chunks; on a GPU one.
        processes: that work on the same batches.
        should_stop: asked after each chunk.
    """

    def __init__(
        self,
        network: Network,
        plan: TrainingPlan,
        pool: ThreadPool,
        processes: Processes,
        should_stop: Callable[[], bool] = never,
    ) -> None:
        self.network = network
        self.should_stop = should_stop
        self.plan = plan = settled(plan, next(network.parameters()).device, processes)
        dtypes = (torch.float32, torch.bfloat16) if self._is_half else (torch.float32,)
        self._masks = MaskPools(network, plan.training.seed, dtypes)
        self.pool = pool
        self.processes = processes
        self.flat = FlatParameters(network)
        self.device = self.flat.values.device
        for values in (self.flat.values, *self.flat.buffers.values()):
            processes.share_first(values)
        self.average = self.flat.values.clone() if plan.training.ema_decay else None
        self.parts = part_names(plan.loss, plan.network)
        self._buffer = torch.zeros(len(self.flat) + len(self.parts), device=self.device)
        self._gradient = self._buffer[: len(self.flat)]
        self._gradient_views = self.flat.views(self._gradient)
        self._part_values = self._buffer[len(self.flat) :]
        self.sums = torch.zeros(len(self.parts), device=self.device)
        self._broken = torch.zeros((), device=self.device)
        self._first_broken = torch.full((), -1.0, dtype=torch.float64, device=self.device)
        self.flat.values.grad = self._gradient
        self.optimiser = torch.optim.AdamW(
            [self.flat.values], weight_decay=plan.training.weight_decay, fused=True
        )
        compiles = plan.training.compile and self.device.type != "cpu"
        self._forward = torch.compile(network, dynamic=True) if compiles else network

    @property
    def chunk_frames(self) -> int:
        """Frames that are computed at once."""
        automatic = CPU_CHUNK_FRAMES_BFLOAT16 if self._is_half else CPU_CHUNK_FRAMES
        if self.device.type == "cuda":
            automatic = GPU_CHUNK_FRAMES
        return self.plan.training.chunk_frames or automatic

    @property
    def _is_half(self) -> bool:
        """Whether products are made in bfloat16."""
        return self.plan.training.precision == "bfloat16"

    def precision(self) -> AbstractContextManager[object]:
        """In which numbers the network computes."""
        if not self._is_half:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def step(self, dataset: Dataset, batch: Batch, *, learning_rate: float, step: int) -> None:
        """Make one step.

        Args:
            dataset: where the batch is from.
            batch: the whole batch; this process works on its share.
            learning_rate: of this step.
            step: steps that were made before.

        Raises:
            AbandonedError: see :meth:`until_stopped`.
        """
        self.network.train()
        if self.device.type == "cpu":
            self._masks.draw(step)
        self._buffer.zero_()
        for gradients, parts in self.until_stopped(self._chunk_gradient, self._jobs(dataset, batch, step)):
            used = [
                (view, g) for view, g in zip(self._gradient_views, gradients, strict=True) if g is not None
            ]
            torch._foreach_add_([view for view, _ in used], [g for _, g in used])
            self._part_values.add_(parts)
        self.processes.add_up(self._buffer)
        self._move(learning_rate, step)
        made = torch.where(self._broken > 0, 0.0, self._part_values)
        self.sums.add_(made, alpha=len(batch))

    def until_stopped(self, work: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """``work`` of every job of this process, in the pool; every process calls this.

        Raises:
            AbandonedError: in all processes, as soon as one of them is to stop.
        """
        is_stopped = False
        with closing(self.pool.map(work, jobs)) as results:
            for result in results:
                if is_stopped := self.should_stop():
                    break
                yield result
        if self.processes.any(is_stopped):
            raise AbandonedError

    def _jobs(self, dataset: Dataset, batch: Batch, step: int) -> list[ChunkJob]:
        """This process's chunks; where they are cut does not depend on how many threads there are."""
        least = 2 if self._is_half and self.device.type == "cpu" else 1  # batches of 32 feed two cores
        least = max(least, self.processes.count)
        parts = chunks(batch.count, frames=self.chunk_frames, processes=least)
        seed = self.plan.training.seed
        return [
            ChunkJob(dataset, batch, parts[index], key_of(seed, step, f"dropout {parts[index].start}"))
            for index in share(len(parts), self.processes.rank, self.processes.count)
        ]

    def _chunk_gradient(self, job: ChunkJob) -> tuple[tuple[Tensor | None, ...], Tensor]:
        """The chunk's part in the batch's gradient and in the parts of its loss."""
        if self.device.type == "cuda":
            torch.cuda.manual_seed(job.key >> 1)
        else:
            self._masks.use(job.key)
        with torch.enable_grad():
            parts = self.chunk_losses(job)
            gradients = torch.autograd.grad(parts["total"], self.flat.parameters, allow_unused=True)
        return gradients, torch.stack([parts[name].detach() for name in self.parts])

    def chunk_losses(self, job: ChunkJob) -> dict[str, Tensor]:
        """The losses of a chunk, so scaled that those of a batch's chunks add up to the batch's.

        Means over items are weighted by the chunk's share of the batch; losses of spans are divided by the
        targets of the whole batch.
        """
        batch, loss = job.batch, self.plan.loss
        chunk = gather_chunk(
            job.dataset,
            batch,
            job.part,
            self.plan.training,
            self.device,
            max_tokens=self.network.config.max_tokens,
        )
        weight = len(chunk) / len(batch)
        with self.precision():
            outputs = self._forward(
                chunk.inputs, negatives=loss.negatives, negative_index=chunk.negative_index
            )
        whole = batch.num_relevant if self.plan.network.proposing == "frames" else batch.num_targets
        num_targets = torch.full((), whole * weight, device=self.device)
        parts = total_loss(outputs, chunk.targets, chunk.inputs.frame_mask(), loss, num_targets=num_targets)
        zero = torch.zeros_like(parts["total"])
        return {name: parts.get(name, zero) * weight for name in self.parts}

    def _move(self, learning_rate: float, step: int) -> None:
        """Clip, step, average; nothing moves once a loss or gradient was not finite."""
        settings = self.plan.training
        norm = torch.linalg.vector_norm(self._gradient)
        unsound = ~torch.isfinite(norm + self._part_values[0])
        self._first_broken = torch.where(unsound & (self._first_broken < 0), step, self._first_broken)
        self._broken = torch.maximum(self._broken, unsound.float())
        if settings.gradient_clip:
            self._gradient.mul_((settings.gradient_clip / (norm + 1e-6)).clamp(max=1))
        self.optimiser.param_groups[0]["lr"] = learning_rate
        # torch's fused AdamW makes no step where this is 1: as gradient scaling does, without a
        # question to the device.
        self.optimiser.found_inf = self._broken  # type: ignore[attr-defined]
        self.optimiser.step()
        if self.average is not None:
            decay = min(settings.ema_decay, (1 + step) / (FIRST_EMA_STEPS + step))
            self.average.lerp_(self.flat.values, (1 - decay) * (1 - self._broken))

    def broken_at(self) -> int | None:
        """The first step whose loss or gradient was not finite; asks the device."""
        step = int(self._first_broken.item())
        return None if step < 0 else step

    def take_means(self, items: int) -> dict[str, float]:
        """Mean of each part of the loss over ``items`` items since the last call; waits for the device."""
        means = (self.sums / max(items, 1)).tolist()
        self.sums.zero_()
        return dict(zip(self.parts, means, strict=True))

    @property
    def kept_values(self) -> Tensor:
        """The weights that are validated and kept: the average where there is one."""
        return self.flat.values if self.average is None else self.average

    def state(self) -> dict[str, Tensor]:
        """All that a later step depends on, on the CPU."""
        moments = self.optimiser.state[self.flat.values]
        tensors = {"weights": self.flat.values, "sums": self.sums, **moments}
        if self.average is not None:
            tensors["average"] = self.average
        tensors |= {BUFFER + name: buffer for name, buffer in self.flat.buffers.items()}
        return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of :meth:`state`."""
        self.flat.values.copy_(tensors["weights"])
        self.sums.copy_(tensors["sums"])
        for name, buffer in self.flat.buffers.items():
            buffer.copy_(tensors[BUFFER + name])
        if self.average is not None:
            self.average.copy_(tensors["average"])
        if "exp_avg" in tensors:
            self.optimiser.state[self.flat.values] = {
                name: tensors[name].to(self.device, copy=True) for name in ("step", "exp_avg", "exp_avg_sq")
            }
