"""What can be said of a training before it begins: how many steps it makes, and whether they are enough."""

from __future__ import annotations

from dataclasses import replace

from amr.errors import UsageError
from amr.models.train_settings import TrainSettings
from amr.training.plan import TrainingPlan

LEAST_STEPS = 2000
"""Steps below which a network of learned queries has not learned what sentences mean, at rates of about 1e-3;
at 1e-4 it takes several times as many. Measured: docs/training.md, "How many steps"."""
LEAST_STEPS_FRAMES = 300
"""The same where every frame proposes (``best``)."""
SMALL_DATA_BATCH = 32
"""QD-DETR's batch; its published rate is LCS-DETR's, 1e-4, and trains on a few thousand queries."""


def steps_a_pass(settings: TrainSettings, items: int) -> int:
    """Steps of one pass over ``items`` annotations."""
    return -(-items // settings.batch_size)


def least_steps(plan: TrainingPlan) -> int:
    """Steps that its kind of network needs."""
    return LEAST_STEPS if plan.network.proposing == "queries" else LEAST_STEPS_FRAMES


def fitted(plan: TrainingPlan, items: int) -> TrainingPlan:
    """A published recipe whose batch is too large for so few ``items``, with one that makes steps enough.

    LCS-DETR's 2,000 items a step are four steps a pass over 7,428 annotations. Rate and passes stay.
    """
    settings = plan.training
    enough = settings.epochs * steps_a_pass(settings, items) >= least_steps(plan)
    if enough or settings.batch_size <= SMALL_DATA_BATCH:
        return plan
    return replace(plan, training=replace(settings, batch_size=SMALL_DATA_BATCH))


def steps_line(plan: TrainingPlan, items: int, *, is_default: bool = False) -> str:
    """How many steps a run makes, in words; ``is_default`` where nobody named what is trained."""
    settings = plan.training
    name = f"{plan.preset} (no --preset: what measures best)" if is_default else plan.preset
    each = steps_a_pass(settings, items)
    return (
        f"{name}: {items:,} annotations in batches of {settings.batch_size:,}, "
        f"{each:,} {'step' if each == 1 else 'steps'} a pass, {settings.epochs * each:,} in all"
    )


def warnings(plan: TrainingPlan, items: int) -> list[str]:
    """What will keep the network from learning, a line each."""
    lines = []
    steps, least = plan.training.epochs * steps_a_pass(plan.training, items), least_steps(plan)
    if steps < least:
        lines.append(
            f"{steps:,} steps are too few to learn what sentences mean, which takes about {least:,}: "
            "more --epochs or a smaller --batch-size"
        )
    if plan.network.proposing == "queries" and not plan.loss.saliency:
        lines.append(
            "without saliency losses (loss.saliency=0) such a network answers every query alike "
            "(docs/models.md)"
        )
    return lines


def require_learnable(plan: TrainingPlan) -> None:
    """Refuse what was measured not to learn and has no reading: saliency losses on the gate itself.

    Raises:
        UsageError: that is asked for.
    """
    if plan.network.saliency == "gate" and (plan.loss.saliency or plan.loss.negatives):
        raise UsageError(
            "network.saliency is 'gate' and there are saliency losses: on the gate itself they teach nothing",
            where="--set",
            hint="network.saliency=projection; or --preset lcs-detr-eq5, which has neither head nor losses",
        )
