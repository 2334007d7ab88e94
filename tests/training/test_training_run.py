"""Runs: stopped and resumed ones end like whole ones, the best is kept, what goes wrong is told."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fault_table import Seen, fault
from training_world import IDENTITY, World, query, record, tiny_plan

from amr.distributed import Processes
from amr.errors import ExitCode, InputError
from amr.models.checkpoint import read_checkpoint
from amr.models.frames.constants import SEGMENT_WEIGHTS
from amr.models.threads import ThreadPool
from amr.training import run as run_module
from amr.training.dataset import Dataset
from amr.training.job import LossNotFiniteError, RunFiles, RunOutcome, RunStoppedError, TrainingJob
from amr.training.plan import TrainingPlan
from amr.training.run import TrainingRun
from amr.training.runstate import RunState, read_state


@pytest.fixture
def corpora(tmp_path: Path) -> tuple[Dataset, Dataset]:
    world = World(tmp_path)
    return world.dataset(world.fill("train", 10, seed=0)), world.dataset(world.fill("val", 6, seed=1))


def job(corpora: tuple[Dataset, Dataset], plan: TrainingPlan, model: Path, **changes: Any) -> TrainingJob:
    made = TrainingJob(
        plan=plan, train=corpora[0], validation=corpora[1], encoder=IDENTITY, files=RunFiles(model)
    )
    return replace(made, data_sha256={"train": corpora[0].sha256}, **changes)


def finish(job: TrainingJob, *, resume: bool = False, threads: int = 1) -> RunOutcome:
    with ThreadPool(threads) as pool:
        return TrainingRun(job, torch.device("cpu"), pool, Processes(), resume=resume).finish()


class StopAfter:
    """Asks to stop when it is asked so often: after each chunk of a step, and of a validation."""

    def __init__(self, questions: int) -> None:
        self.left = questions

    def __call__(self) -> bool:
        self.left -= 1
        return self.left == 0


def log_of(model: Path) -> list[dict[str, Any]]:
    """The log's records without times."""
    records = [json.loads(line) for line in RunFiles(model).log.read_text().splitlines()]
    timed = ("seconds", "samples_per_s", "validation_seconds")
    return [{key: value for key, value in each.items() if key not in timed} for each in records]


PLAN = tiny_plan(
    epochs=3, ema_decay=0.9, schedule="cosine", warmup_steps=3, absent_share=0.2, span_jitter=0.1
)


@pytest.mark.parametrize("stops", [[2], [3], [1, 3, 1], [8]])
def test_a_stopped_run_ends_like_a_whole_one(
    tmp_path: Path, corpora: tuple[Dataset, Dataset], stops: list[int]
) -> None:
    whole = finish(job(corpora, PLAN, tmp_path / "whole"))
    model = tmp_path / "parts"
    for steps in stops:
        with pytest.raises(RunStoppedError, match="stopped after step"):
            finish(job(corpora, PLAN, model, should_stop=StopAfter(steps)), resume=True)
    assert finish(job(corpora, PLAN, model), resume=True, threads=2) == whole
    assert (
        read_state(RunFiles(model).state).tensors.keys()
        == read_state(RunFiles(tmp_path / "whole").state).tensors.keys()
    )
    for name, tensor in read_state(RunFiles(tmp_path / "whole").state).tensors.items():
        assert torch.equal(tensor, read_state(RunFiles(model).state).tensors[name]), name
    assert model.read_bytes() == (tmp_path / "whole").read_bytes()
    assert log_of(model) == log_of(tmp_path / "whole")


@fault(
    "signals",
    "SIGTERM or Ctrl-C in the middle of a step of `train`, or of a validation",
    code=130,
    says="stopped after step 0, in epoch 1",
    left="the state before it; `--resume` ends with the bytes of an uninterrupted run",
)
def test_a_run_is_stopped_within_a_step(tmp_path: Path, corpora: tuple[Dataset, Dataset]) -> Seen:
    plan = tiny_plan(ema_decay=0.9, chunk_frames=30)  # three chunks a step, three steps an epoch
    whole = finish(job(corpora, plan, tmp_path / "whole"))
    stopped = []
    for questions in (2, 5, 9, 10, 11, 13, 16):
        model = tmp_path / f"stopped{questions}"
        with pytest.raises(RunStoppedError) as raised:
            finish(job(corpora, plan, model, should_stop=StopAfter(questions)))
        stopped.append(raised.value)
        assert finish(job(corpora, plan, model), resume=True) == whole
        assert model.read_bytes() == (tmp_path / "whole").read_bytes()
        assert log_of(model) == log_of(tmp_path / "whole")
    return Seen(stopped[0].exit_code, stopped[0].what)


BEST = tiny_plan(
    "best", network={"similarity_channels": 0, "prototypes": 9, "prototype_axes": 6}, crop_share=0.3
)


def test_prototypes_are_the_same_in_a_run_that_was_stopped(
    tmp_path: Path, corpora: tuple[Dataset, Dataset]
) -> None:
    whole = finish(job(corpora, BEST, tmp_path / "whole"))
    with pytest.raises(RunStoppedError, match="stopped after step"):
        finish(job(corpora, BEST, tmp_path / "parts", should_stop=StopAfter(4)))
    assert finish(job(corpora, BEST, tmp_path / "parts"), resume=True, threads=2) == whole
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()
    weights = read_checkpoint(tmp_path / "whole").weights
    assert weights["prototypes.duals"].abs().sum(1).gt(0).sum() == corpora[0].meanings
    assert "prototypes.left_out" not in weights


def test_a_model_that_starts_from_another_keeps_its_prototypes(
    tmp_path: Path, corpora: tuple[Dataset, Dataset]
) -> None:
    finish(job(corpora, BEST, tmp_path / "first"))
    start = read_checkpoint(tmp_path / "first").weights
    finish(job((corpora[1], corpora[0]), BEST, tmp_path / "second", start=start))
    found = read_checkpoint(tmp_path / "second").weights
    for name in ("prototypes.support", "prototypes.duals", "prototypes.whitening.axes"):
        assert torch.equal(found[name], start[name])
    assert not torch.equal(found["head.weight"], start["head.weight"])


def test_a_second_stage_measures_its_own_sounds_among_frames_as_they_were_whitened(
    tmp_path: Path, corpora: tuple[Dataset, Dataset]
) -> None:
    finish(job(corpora, BEST, tmp_path / "first"))
    start = read_checkpoint(tmp_path / "first").weights
    anew = replace(BEST, training=replace(BEST.training, measure_anew=True))
    second = (corpora[1], corpora[0])
    whole = finish(job(second, anew, tmp_path / "second", start=start))
    found = read_checkpoint(tmp_path / "second").weights
    for name in ("prototypes.whitening.mean", "prototypes.whitening.axes"):
        assert torch.equal(found[name], start[name])
    assert not torch.equal(found["prototypes.duals"], start["prototypes.duals"])
    with pytest.raises(RunStoppedError):
        finish(job(second, anew, tmp_path / "parts", start=start, should_stop=StopAfter(4)))
    assert finish(job(second, anew, tmp_path / "parts", start=start), resume=True) == whole
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "second").read_bytes()


def test_segments_can_start_from_a_model_of_proposals(
    tmp_path: Path, corpora: tuple[Dataset, Dataset]
) -> None:
    proposals = replace(BEST, network=replace(BEST.network, segments=False, quality=False))
    finish(job(corpora, proposals, tmp_path / "first"))
    start = read_checkpoint(tmp_path / "first").weights
    finish(job(corpora, BEST, tmp_path / "second", start=start))
    found = read_checkpoint(tmp_path / "second").weights
    assert found.keys() - start.keys() == set(SEGMENT_WEIGHTS)
    assert torch.equal(found["prototypes.support"], start["prototypes.support"])
    with pytest.raises(InputError, match="does not fit"):
        finish(job(corpora, proposals, tmp_path / "third", start=found))


def test_a_finished_run_is_not_run_again(tmp_path: Path, corpora: tuple[Dataset, Dataset]) -> None:
    first = finish(job(corpora, PLAN, tmp_path / "m"))
    before = (tmp_path / "m").stat().st_mtime_ns
    assert finish(job(corpora, PLAN, tmp_path / "m"), resume=True) == first
    assert (tmp_path / "m").stat().st_mtime_ns == before


def test_a_run_of_a_version_that_lacked_a_setting_is_resumed(
    corpora: tuple[Dataset, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = finish(job(corpora, PLAN, tmp_path / "m"))

    def older(path: Path) -> RunState:
        state = read_state(path)
        network = {key: value for key, value in state.plan["network"].items() if key != "level_weight"}
        return replace(state, plan={**state.plan, "network": network})

    monkeypatch.setattr("amr.training.run.read_state", older)
    assert finish(job(corpora, PLAN, tmp_path / "m"), resume=True) == first


def test_a_run_of_another_plan_or_of_other_data_is_not_resumed(
    tmp_path: Path, corpora: tuple[Dataset, Dataset]
) -> None:
    with pytest.raises(RunStoppedError):
        finish(job(corpora, PLAN, tmp_path / "m", should_stop=StopAfter(2)))
    other = tiny_plan(epochs=3, seed=5)
    with pytest.raises(InputError, match=r"plan\.training\.absent_share: 0\.2, 0\.0"):
        finish(job(corpora, other, tmp_path / "m"), resume=True)
    changed = replace(job(corpora, PLAN, tmp_path / "m"), data_sha256={"train": "other"})
    with pytest.raises(InputError, match=r"data\.train"):
        finish(changed, resume=True)


@fault(
    "input",
    "the state of a training run is cut",
    code=3,
    says="damaged",
    left="it is refused and named; the model beside it is whole",
)
def test_a_state_that_is_cut_short_is_refused(tmp_path: Path, corpora: tuple[Dataset, Dataset]) -> None:
    with pytest.raises(RunStoppedError):
        finish(job(corpora, PLAN, tmp_path / "m", should_stop=StopAfter(2)))
    state = RunFiles(tmp_path / "m").state
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(InputError, match="damaged"):
        finish(job(corpora, PLAN, tmp_path / "m"), resume=True)


def scripted(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Validation that gives these figures in turn."""
    left = iter(values)
    monkeypatch.setattr(run_module, "evaluate", lambda stepper, dataset: {"mAP": next(left)})


def test_the_best_by_the_metric_is_kept(
    tmp_path: Path, corpora: tuple[Dataset, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights: list[torch.Tensor] = []
    values = iter([1.0, 5.0, 5.0, 2.0])

    def evaluate(stepper: Any, dataset: Dataset) -> dict[str, float]:
        weights.append(stepper.kept_values.clone())
        return {"mAP": next(values)}

    monkeypatch.setattr(run_module, "evaluate", evaluate)
    outcome = finish(job(corpora, tiny_plan(epochs=4), tmp_path / "m"))
    assert (outcome.epoch, outcome.metrics) == (2, {"mAP": 5.0})
    kept = read_checkpoint(tmp_path / "m")
    assert torch.equal(torch.cat([w.flatten() for w in kept.build().parameters()]), weights[1])
    assert kept.metrics == {"mAP": 5.0}
    assert kept.training["epoch"] == 2
    assert kept.training["training"]["epochs"] == 4


def test_patience_ends_a_run(
    tmp_path: Path, corpora: tuple[Dataset, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, [1.0, 3.0, 2.0, 2.0, 9.0])
    outcome = finish(job(corpora, tiny_plan(epochs=9, patience=2), tmp_path / "m"))
    assert (outcome.epoch, outcome.epochs) == (2, 4)


def test_validations_come_every_so_many_epochs_and_last(
    tmp_path: Path, corpora: tuple[Dataset, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, [1.0, 2.0, 3.0])
    told: list[Mapping[str, Any]] = []
    plan = tiny_plan(epochs=5, validate_epochs=2)
    finish(job(corpora, plan, tmp_path / "m", on_record=told.append))
    epochs = [each for each in told if each["event"] == "epoch"]
    assert [each["epoch"] for each in epochs if "metrics" in each] == [2, 4, 5]
    assert len(epochs) == 5


def test_without_validation_the_last_weights_are_kept(
    tmp_path: Path, corpora: tuple[Dataset, Dataset]
) -> None:
    made = replace(job(corpora, tiny_plan(), tmp_path / "m"), validation=None)
    assert finish(made).epoch == 2
    last = read_state(RunFiles(tmp_path / "m").state).tensors["weights"]
    kept = read_checkpoint(tmp_path / "m").build().parameters()
    assert torch.equal(torch.cat([w.flatten() for w in kept]), last)


def test_a_loss_that_is_not_finite_ends_the_run_with_a_state(
    tmp_path: Path, corpora: tuple[Dataset, Dataset]
) -> None:
    plan = tiny_plan(epochs=50, learning_rate=1.0, gradient_clip=0.0, loss={"l1": 1e30, "overlap": 1e30})
    with pytest.raises(LossNotFiniteError, match=r"is not finite at step \d+ \(epoch \d+, batch") as caught:
        finish(job(corpora, plan, tmp_path / "m"))
    assert "train.jsonl:" in caught.value.what
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    state = read_state(RunFiles(tmp_path / "m").state)
    assert f"step {state.progress.step + 1} " in caught.value.what
    assert all(torch.isfinite(tensor).all() for tensor in state.tensors.values())


def test_a_metric_that_cannot_be_measured_is_refused(
    tmp_path: Path, corpora: tuple[Dataset, Dataset]
) -> None:
    with pytest.raises(InputError, match="no absent query"):
        finish(job(corpora, tiny_plan(metric="AUC"), tmp_path / "m"))


def test_weights_of_another_shape_are_no_start(tmp_path: Path, corpora: tuple[Dataset, Dataset]) -> None:
    finish(job(corpora, tiny_plan(epochs=1), tmp_path / "a"))
    start = read_checkpoint(tmp_path / "a").weights
    bigger = tiny_plan(network={"feedforward_dim": 64})
    with pytest.raises(InputError, match="does not fit: weight"):
        finish(job(corpora, bigger, tmp_path / "b", start=start))
    finish(job(corpora, tiny_plan(epochs=1), tmp_path / "c", start=start))
    assert not math.isnan(read_checkpoint(tmp_path / "c").metrics["mAP"])


def test_absent_queries_in_validation_give_an_area_under_the_curve(tmp_path: Path) -> None:
    world = World(tmp_path)
    train, val = world.fill("train", 8, seed=0), world.fill("val", 3, seed=1)
    records = [json.loads(line) for line in val.read_text().splitlines()]
    records += [record(9, query(0), "val0", 12, [])]
    corpora = world.dataset(train), world.dataset(world.write("val", records))
    outcome = finish(job(corpora, tiny_plan(epochs=1, metric="AUC"), tmp_path / "m"))
    assert 0 <= outcome.metrics["AUC"] <= 100
