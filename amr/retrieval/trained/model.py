"""Trained networks on recordings of any length: features and a query in, scored moments and saliency out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from amr.arrays import Float32Array
from amr.encoders.base import EncoderIdentity
from amr.encoders.running.device import choose_device
from amr.errors import InputError
from amr.formats.streams import require_readable
from amr.formats.untrusted.torch_file import is_torch_file
from amr.models.config import NetworkConfig
from amr.models.frames.numpy_network import (
    FrameModel,
    NumpyFrameNetwork,
    is_known,
    read_frame_model,
)
from amr.models.frames.numpy_prototypes import NumpyPrototypes
from amr.models.model_file import UNKNOWN_ENCODER, ModelFile, open_model
from amr.models.threads import ThreadPool
from amr.models.windows import WindowAnswers, WindowItem, WindowNetwork
from amr.processors import free_processors
from amr.retrieval.finders import Answer
from amr.retrieval.trained.requests import ModelRequest, PendingRequest

if TYPE_CHECKING:
    import torch

    from amr.models.checkpoint import Checkpoint


# Lighthouse evaluates so many windows at once, and its mask lets batch mates into a result.
LIGHTHOUSE_BATCH_SIZE = 100


class MomentModel:
    """A trained network that answers queries.

    Args:
        checkpoint: the network and its metadata.
        device: where it runs.
        batch_size: windows in one pass; it bounds the memory and changes no result but by rounding. Left
            out: what suits the device.
        threads: that each work off a batch alone; left out: one a processor, or one for a GPU.
        name: what indexes of its space are called.

    Attributes:
        network: ready to answer.
        prototypes: what sentences sound like to it, on the processor; None where it has no prototypes.
        identity: the encoder whose features it takes; named ``unknown`` where a foreign checkpoint does not
            say.
    """

    def __init__(
        self,
        checkpoint: Checkpoint | FrameModel,
        *,
        device: str | torch.device = "cpu",
        batch_size: int | None = None,
        threads: int | None = None,
        name: str = "model",
    ) -> None:
        self.name = name
        self.config: NetworkConfig = checkpoint.config
        self.identity: EncoderIdentity = checkpoint.encoder
        self.network: WindowNetwork = network_on(checkpoint, str(device))
        self.prototypes = prototypes_of(checkpoint)
        self.batch_size = batch_size or self.network.batch_size
        self.threads = threads or (1 if self.network.on_gpu else free_processors())

    def require_encoder(self, found: EncoderIdentity, where: str | Path) -> None:
        """Refuse features of another encoder than the network was trained on.

        Of an unknown encoder only sizes are known, so only they are compared. A network without audio takes
        any encoder that has a joint space.

        Raises:
            InputError: they differ; the message prints both.
        """
        if not self.config.audio:
            require_joint_space(found, where)
            return
        wanted = self.identity
        sizes = (found.dimension, found.text_dimension) == (wanted.dimension, wanted.text_dimension)
        if sizes if wanted.name == UNKNOWN_ENCODER else found == wanted:
            return
        raise InputError(
            f"its features are from {found.to_json()}, the model takes {wanted.to_json()}",
            where=where,
            hint="extract features with the model's encoder, or name a model that was trained on these",
        )

    def predict(
        self, requests: Iterable[ModelRequest], *, nms: float | None = None, top_k: int | None = None
    ) -> list[Answer]:
        """:meth:`stream` as a list."""
        return list(self.stream(requests, nms=nms, top_k=top_k))

    def stream(
        self, requests: Iterable[ModelRequest], *, nms: float | None = None, top_k: int | None = None
    ) -> Iterator[Answer]:
        """One answer a request, in order; batches go across recordings and queries.

        Args:
            requests: taken as they are needed: no more are held than a few batches span.
            nms: drop moments that overlap a better one by more than this IoU; none are dropped when left out.
            top_k: at most this many moments an answer.

        Raises:
            InputError: frames or tokens that the network cannot take; says whose.
        """
        waiting: deque[PendingRequest] = deque()
        with ThreadPool(self.threads) as pool:
            for answers in pool.map(self._run, self._batches(requests, waiting)):
                for pending, window, answer in answers:
                    pending.take(window, answer, self.config)
                while waiting and waiting[0].is_complete:
                    yield waiting.popleft().answer(nms, top_k)
        for pending in waiting:
            yield pending.answer(nms, top_k)

    def _batches(self, requests: Iterable[ModelRequest], waiting: deque[PendingRequest]) -> Iterator[_Batch]:
        """Windows of requests, ``batch_size`` at a time; the requests go to ``waiting``."""
        batch: _Batch = []
        for request in requests:
            self._require_takes(request)
            pending = PendingRequest(request, request.windows(self.config.window_frames))
            waiting.append(pending)
            for window in pending.windows:
                batch.append((pending, window))
                if len(batch) == self.batch_size:
                    yield batch
                    batch = []
        if batch:
            yield batch

    def _require_takes(self, request: ModelRequest) -> None:
        for what, array, size in (
            ("frames", request.frames, self.config.audio_dim if self.config.audio else None),
            ("text tokens", request.tokens, self.config.text_dim),
        ):
            if array.ndim != 2 or (array.shape[1] != (size or array.shape[1]) and array.size):
                raise InputError(
                    f"{what} of shape {list(array.shape)}, the model takes (count, {size})",
                    where=request.name,
                )
            if not np.isfinite(array).all():
                raise InputError(f"{what} hold values that are not finite numbers", where=request.name)
        if len(request.tokens) == 0:
            raise InputError("the query has no text tokens", where=request.name)
        if self.config.similarity_channels and request.similarity is None:
            raise InputError(
                "the features lack each frame's similarity to the query, which the model needs",
                where=request.name,
            )
        if not self.config.audio and request.joint is None:
            raise InputError(
                "the features lack the frames in the joint space, which the model needs", where=request.name
            )

    def _run(self, batch: _Batch) -> list[tuple[PendingRequest, range, WindowAnswers]]:
        """The network on a batch of windows: what it says of each."""
        answers = self.network.answers(self._items(batch))
        if not all(np.isfinite(each.ends).all() and np.isfinite(each.logits).all() for each in answers):
            raise InputError("the model gives NaN or infinite scores: it is damaged", where=self.name)
        return [(pending, window, answer) for (pending, window), answer in zip(batch, answers, strict=True)]

    def _items(self, batch: _Batch) -> list[WindowItem]:
        stretches: dict[tuple[int, int, range], int] = {}
        return [
            WindowItem(
                stretches.setdefault(pending.window_key(window), len(stretches)),
                pending.frames(window),
                pending.request.tokens,
                pending.curves(window, self.config),
                pending.request.grid.middles(window, pending.request.duration_s),
                pending.request.meaning,
            )
            for pending, window in batch
        ]


_Batch = list[tuple[PendingRequest, range]]


def require_joint_space(found: EncoderIdentity, where: str | Path) -> None:
    """Refuse features whose encoder does not say how near a frame is to a sentence."""
    if not found.joint_dimension:
        raise InputError(
            "its features have no joint space with sentences, and the model sees nothing else",
            where=where,
            hint="name a model that was trained on these features",
        )


def prototypes_of(checkpoint: Checkpoint | FrameModel) -> NumpyPrototypes | None:
    config = checkpoint.config
    if not config.prototypes or not is_known(config):
        return None
    return NumpyPrototypes(numpy_weights(checkpoint), config.max_tokens)


def numpy_weights(checkpoint: Checkpoint | FrameModel) -> dict[str, Float32Array]:
    return {name: np.asarray(weight) for name, weight in checkpoint.weights.items()}


def network_on(checkpoint: Checkpoint | FrameModel, device: str) -> WindowNetwork:
    """The network on a device: frame decoders on the processor in numpy, all else in torch."""
    if device == "cpu" and is_known(checkpoint.config):
        return NumpyFrameNetwork(checkpoint.config, numpy_weights(checkpoint))
    import torch

    from amr.models.checkpoint import Checkpoint
    from amr.models.torch_windows import TorchWindows

    assert isinstance(checkpoint, Checkpoint)  # load_model reads frame models for the processor alone
    place = torch.device(device)
    return TorchWindows(checkpoint.build().to(place), place)


def load_model(
    path: str | Path,
    *,
    device: str = "cpu",
    lighthouse_mask: bool = False,
    batch_size: int | None = None,
) -> MomentModel:
    """A model from a file: our own safetensors, or a ``.ckpt`` of Lighthouse or the DCASE baseline.

    Args:
        path: the file; nothing in it is ever executed.
        device: where the model runs: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``. ``auto`` is a GPU where there
            is one, and the processor for frame decoders, which answer there before a GPU would be ready.
        lighthouse_mask: repeat Lighthouse's attention mask (``--compat lighthouse``), which lets batch mates
            into a result; for imported checkpoints only.
        batch_size: windows in one pass; left out: as many as Lighthouse's under its mask, else what suits
            the device.

    Raises:
        InputError: the file is neither, is damaged, or is ours and ``lighthouse_mask`` is set.
        OSError: it cannot be read.
    """
    require_readable(path)
    if is_torch_file(path):
        from amr.models.lighthouse import read_lighthouse

        checkpoint: Checkpoint | FrameModel = read_lighthouse(path, lighthouse_mask=lighthouse_mask)
        if lighthouse_mask:
            batch_size = batch_size or LIGHTHOUSE_BATCH_SIZE
    elif lighthouse_mask:
        raise InputError("--compat lighthouse is for imported .ckpt files only", where=path)
    else:
        file = open_model(path)
        if device == "auto" and runs_in_numpy(file):
            device = "cpu"
        checkpoint = (
            read_frame_model(file) if device == "cpu" and runs_in_numpy(file) else read_for_torch(path)
        )
    device = choose_device(device)
    return MomentModel(checkpoint, device=device, batch_size=batch_size, name=Path(path).stem)


def runs_in_numpy(file: ModelFile) -> bool:
    """Whether numpy can read and run the network of a file of ours; it knows no bfloat16."""
    return is_known(file.header.config) and all(place.dtype != "BF16" for place in file.places.values())


def read_for_torch(path: str | Path) -> Checkpoint:
    from amr.models.checkpoint import read_checkpoint

    return read_checkpoint(path)
