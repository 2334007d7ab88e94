"""How a network is trained: one frozen record, stored whole in every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from amr.models.targets import RelevantWindows

Schedule = Literal["constant", "cosine", "step"]
Precision = Literal["auto", "float32", "bfloat16"]
Wordings = Literal["own", "paraphrases", "label"]

CURVE_KINDS = ("own", "cosine", "root", "example")
METRICS = ("mAP", "mAP@0.5", "mAP@0.75", "R1@0.5", "R1@0.7", "mIoU", "AUC")

_LIMITS: dict[str, tuple[float, float]] = {
    "learning_rate": (0, 10),
    "final_learning_rate": (0, 10),
    "weight_decay": (0, 10),
    "epochs": (1, 1_000_000),
    "batch_size": (1, 1_000_000),
    "step_epochs": (1, 1_000_000),
    "step_factor": (0, 1),
    "warmup_steps": (0, 1_000_000_000),
    "gradient_clip": (0, 1e9),
    "span_jitter": (0, 1),
    "max_windows": (1, 1_000),
    "seed": (0, 2**63 - 1),
    "absent_share": (0, 1),
    "crop_share": (0, 1),
    "ema_decay": (0, 0.999_999_9),
    "validate_epochs": (1, 1_000_000),
    "patience": (0, 1_000_000),
    "chunk_frames": (0, 100_000_000),
}


@dataclass(frozen=True)
class TrainSettings:
    """All that decides a training run beside the network, the loss and the data.

    Args:
        learning_rate, weight_decay: AdamW's.
        epochs: passes over the training set.
        batch_size: pairs of stretch and query a step of the optimiser, over all processes together.
        schedule: of the learning rate: ``constant``; ``cosine`` down to ``final_learning_rate`` at the last
            step; ``step``: times ``step_factor`` every ``step_epochs``.
        final_learning_rate: where a cosine schedule ends.
        step_epochs: Lighthouse's ``lr_drop``; at 400 it never came in 200 epochs.
        step_factor: of a ``step`` schedule.
        warmup_steps: the learning rate grows linearly from 0 over so many steps, then follows the schedule.
        gradient_clip: largest norm of all gradients together; 0 for no limit.
        precision: of the forward pass; weights, losses and the optimiser are float32 throughout. ``auto``:
            by device and network, see :mod:`amr.training.precision`; a run stores what it came to.
        span_jitter: largest shift of a target's ends, as a part of its width.
        relevant_windows: which windows label frames as relevant.
        max_windows: most targets an item, never more than the network's queries; which are kept is drawn anew
            each epoch. Frames of the others stay relevant.
        seed: of every draw.
        absent_share: part of the items whose query is replaced by one that their recording is not annotated
            with; their answer is that nothing is there.
        crop_share: part of the items that get a stretch of random length about one of their moments as if it
            were all of the recording: sounds then fill more of it, as in short recordings.
        wordings: the sentence that stands for an item's query, drawn each epoch: its ``own``; that or its
            ``paraphrases``, where the annotation lists some; or any query of the same ``label``.
        curve_kinds: the kinds of curves that a network without audio learns from, of
            ``CURVE_KINDS`` (:mod:`amr.training.curve_kinds`), with a blank between them.
        ema_decay: weights are averaged after every step with this decay; the average is what is validated and
            kept. 0: no average.
        validate_epochs: epochs from one validation to the next; the last epoch is always validated.
        metric: figure of the validation that decides which weights are kept.
        patience: validations without a better figure after which training ends; 0: never.
        chunk_frames: frames that are computed at once; a batch is worked off in chunks whose gradients are
            added. Memory grows with it; how many chunks run at a time changes no result. 0: by device.
        compile: on a GPU, run the network through ``torch.compile``. On a processor compiling
            takes longer than it saves, and is not done.
        measure_anew: of a second stage: what sentences sound like (``amr.models.frames.prototypes``) is
            measured on these data, in place of what the first stage measured. Frames stay whitened as they
            were.
    """

    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    epochs: int = 200
    batch_size: int = 32
    schedule: Schedule = "constant"
    final_learning_rate: float = 1e-6
    step_epochs: int = 400
    step_factor: float = 0.1
    warmup_steps: int = 0
    gradient_clip: float = 0.1
    precision: Precision = "auto"
    span_jitter: float = 0.0
    relevant_windows: RelevantWindows = "all"
    max_windows: int = 5
    seed: int = 2023
    absent_share: float = 0.0
    crop_share: float = 0.0
    wordings: Wordings = "paraphrases"
    curve_kinds: str = " ".join(CURVE_KINDS)
    ema_decay: float = 0.0
    validate_epochs: int = 1
    metric: str = "mAP"
    patience: int = 0
    chunk_frames: int = 0
    compile: bool = False
    measure_anew: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """``curve_kinds``, one by one."""
        return tuple(self.curve_kinds.split())

    def __post_init__(self) -> None:
        """Raises ``ValueError`` with the name of the first field that cannot be."""
        for name, (least, most) in _LIMITS.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"{name} is {value}, expected {least} to {most}")
        if self.metric not in METRICS:
            raise ValueError(f"metric is {self.metric!r}, expected one of {', '.join(METRICS)}")
        if not self.kinds or not {*self.kinds} <= {*CURVE_KINDS}:
            raise ValueError(
                f"curve_kinds is {self.curve_kinds!r}, expected some of {', '.join(CURVE_KINDS)}"
            )
