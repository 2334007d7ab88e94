"""An automatic precision: what it comes to, that a run says so, and that it stays when the run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from test_training_run import StopAfter, finish, job, log_of
from training_world import World, command, tiny_plan

from amr.cli.main import run
from amr.distributed import Processes
from amr.errors import InputError
from amr.models.checkpoint import read_checkpoint
from amr.training import precision
from amr.training.dataset import Dataset
from amr.training.job import RunFiles, RunStoppedError
from amr.training.plan import TrainingPlan
from amr.training.runstate import read_state

CPU = torch.device("cpu")
NARROW = tiny_plan().network.hidden_dim
Hardware = Callable[..., None]


@pytest.fixture
def hardware(monkeypatch: pytest.MonkeyPatch) -> Hardware:
    """Pretend that bfloat16 is fast here, or is not, at each time of asking; and that tiny networks gain."""

    def pretend(*answers: bool, least: int = NARROW) -> None:
        left: Iterator[bool] = iter(answers)
        monkeypatch.setattr(precision, "has_fast_bfloat16", lambda device: next(left))
        monkeypatch.setattr(precision, "LEAST_HIDDEN_DIM", least)

    return pretend


@pytest.fixture
def corpora(tmp_path: Path) -> tuple[Dataset, Dataset]:
    world = World(tmp_path)
    return world.dataset(world.fill("train", 10, seed=0)), world.dataset(world.fill("val", 6, seed=1))


def came_to(plan: TrainingPlan, processes: Processes | None = None) -> str:
    return precision.settled(plan, CPU, processes or Processes()).training.precision


def automatic(**changes: Any) -> TrainingPlan:
    return tiny_plan(precision="auto", **changes)


@pytest.mark.parametrize("name", ["am-detr", "lcs-detr-code", "best"])
def test_presets_are_wide_enough_for_bfloat16_where_it_is_fast(hardware: Hardware, name: str) -> None:
    hardware(True, False, least=precision.LEAST_HIDDEN_DIM)
    plan = TrainingPlan.of_preset(name)
    assert plan.training.precision == "auto"
    assert [came_to(plan), came_to(plan)] == ["bfloat16", "float32"]


def test_narrow_networks_stay_in_float32(hardware: Hardware) -> None:
    hardware(True, True, least=precision.LEAST_HIDDEN_DIM)
    assert came_to(automatic()) == "float32"
    assert came_to(automatic(network={"hidden_dim": precision.LEAST_HIDDEN_DIM})) == "bfloat16"


@pytest.mark.parametrize("named", ["float32", "bfloat16"])
def test_what_is_named_is_not_asked_about(hardware: Hardware, named: str) -> None:
    hardware()
    plan = tiny_plan(precision=named)
    assert precision.settled(plan, CPU, Processes()) is plan


@dataclass(frozen=True)
class Voting(Processes):
    """One of two processes; the other one lacks fast bfloat16, or has it."""

    other_lacks: bool = False

    def any(self, flag: bool) -> bool:
        return flag or self.other_lacks


def test_one_process_without_it_decides_for_all(hardware: Hardware) -> None:
    hardware(True, True, False)
    votes = [came_to(automatic(), Voting(count=2, other_lacks=lacks)) for lacks in (False, True, False)]
    assert votes == ["bfloat16", "float32", "float32"]


def test_no_other_device_counts_as_fast() -> None:
    assert not precision.has_fast_bfloat16(torch.device("meta"))


def test_torch_is_asked_for_amx(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: answer, raising=False)  # noqa: B023  # asked at once
        assert precision.has_fast_bfloat16(CPU) is answer


@pytest.mark.parametrize(
    ("told", "expected"),
    [("flags\t\t: fpu amx_bf16 amx_tile\n", True), ("flags\t\t: fpu avx512_bf16\n", False), (None, False)],
)
def test_an_older_torch_leaves_it_to_the_system(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: str | None, expected: bool
) -> None:
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    monkeypatch.setattr(precision, "PROCESSOR_FACTS", tmp_path / "cpuinfo")
    if told is not None:
        (tmp_path / "cpuinfo").write_text(told)
    assert precision.has_amx() is expected


@pytest.mark.parametrize(("fast", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_a_run_says_what_it_did(
    hardware: Hardware, tmp_path: Path, corpora: tuple[Dataset, Dataset], fast: bool, expected: str
) -> None:
    hardware(fast)
    model = tmp_path / "m"
    finish(job(corpora, automatic(epochs=1), model))
    assert read_checkpoint(model).training["training"]["precision"] == expected
    assert read_state(RunFiles(model).state).plan["training"]["precision"] == expected
    assert log_of(model)[0]["training"]["precision"] == expected
    hardware()
    finish(job(corpora, tiny_plan(epochs=1, precision=expected), tmp_path / "named"))
    assert model.read_bytes() == (tmp_path / "named").read_bytes()


@pytest.mark.parametrize("began_fast", [True, False])
def test_a_run_goes_on_as_it_began_on_whatever_processor(
    hardware: Hardware, tmp_path: Path, corpora: tuple[Dataset, Dataset], began_fast: bool
) -> None:
    hardware(began_fast, began_fast, not began_fast)
    plan = automatic(epochs=2)
    finish(job(corpora, plan, tmp_path / "whole"))
    with pytest.raises(RunStoppedError):
        finish(job(corpora, plan, tmp_path / "parts", should_stop=StopAfter(2)))
    finish(job(corpora, plan, tmp_path / "parts"), resume=True)
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_precision_that_is_named_must_be_that_of_the_state(
    hardware: Hardware, tmp_path: Path, corpora: tuple[Dataset, Dataset]
) -> None:
    hardware(True)
    with pytest.raises(RunStoppedError):
        finish(job(corpora, automatic(), tmp_path / "m", should_stop=StopAfter(2)))
    with pytest.raises(InputError, match=r"training\.precision: 'bfloat16', 'float32'"):
        finish(job(corpora, tiny_plan(precision="float32"), tmp_path / "m"), resume=True)


@pytest.mark.parametrize("left", [{}, {"training": {"precision": "auto"}}, {"training": {"precision": 3}}])
def test_a_state_that_names_no_precision_decides_nothing(left: dict[str, Any]) -> None:
    assert precision.gone_on_with(automatic(), left) == automatic()


def test_later_seeds_follow_the_first(
    hardware: Hardware, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hardware(True, False)
    world = World(tmp_path)
    world.fill("train", 8, seed=0)
    world.fill("val", 4, seed=1)
    assert run(command(world, "m.safetensors", "--precision", "auto", "--epochs", 1, "--seeds", 2, "-q")) == 0
    for number in (1, 2):
        kept = read_checkpoint(tmp_path / f"m-{number}.safetensors")
        assert kept.training["training"]["precision"] == "bfloat16"
    assert len([json.loads(line) for line in capsys.readouterr().out.splitlines()]) == 3
