"""Plans: presets carry their published recipe, later sources win, mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from amr.cli.train import parse_settings
from amr.errors import InputError, UsageError
from amr.models.train_settings import TrainSettings
from amr.tasks.train_config import make_plan, read_toml
from amr.training.plan import TrainingPlan, differences, flat, nested


def test_presets_carry_their_published_recipes() -> None:
    am, lcs = TrainingPlan.of_preset("am-detr").training, TrainingPlan.of_preset("lcs-detr").training
    assert (am.learning_rate, am.weight_decay, am.batch_size, am.epochs) == (1e-4, 1e-4, 32, 200)
    assert (am.schedule, am.seed, am.gradient_clip, am.precision) == ("constant", 2023, 0.1, "auto")
    assert (lcs.batch_size, lcs.schedule, lcs.seed, lcs.precision) == (2000, "cosine", 17771, "bfloat16")
    assert (lcs.span_jitter, lcs.final_learning_rate) == (0.1, 1e-6)


def plan(config: Path | None = None, settings: list[str] | None = None, **chosen: object) -> TrainingPlan:
    return make_plan(
        preset=None if config else "am-detr",
        start=None,
        config=config,
        settings=parse_settings(settings or []),
        training=chosen,
        dims=(12, 8),
    )


def test_later_sources_win(tmp_path: Path) -> None:
    config = tmp_path / "a.toml"
    config.write_text(
        'preset = "lcs-detr"\n[training]\nepochs = 5\nbatch_size = 6\nseed = 7\n[loss.matching]\nl1 = 3\n'
    )
    made = plan(config, ["training.batch_size=8", "training.seed=9", "network.gate=rows"], seed=10)
    assert made.preset == "lcs-detr"
    assert (made.training.epochs, made.training.batch_size, made.training.seed) == (5, 8, 10)
    assert (made.network.gate, made.network.audio_dim, made.network.text_dim) == ("rows", 12, 8)
    assert made.loss.matching.l1 == 3.0


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.epoch=3", "is 'training.epochs' meant"),
        ("training.epochs=3.5", "training.epochs is 3.5, expected a whole number"),
        ("training.epochs=0", "epochs is 0, expected 1 to"),
        ("training.metric=accuracy", "metric is 'accuracy', expected one of"),
        ("network.gate=open", "network.gate is 'open', expected one of none, values, rows"),
        ("network.tef_first=1", "network.tef_first is 1, expected true or false"),
        ("loss.matching=3", "loss.matching is 3, expected a table"),
        ("network.heads=3", "not a multiple"),
        ("epochs=3", "not of the form SECTION.NAME=VALUE"),
        ("training.epochs", "not of the form SECTION.NAME=VALUE"),
    ],
)
def test_a_mistaken_setting_is_named(setting: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        plan(settings=[setting])


def test_an_unknown_section_of_a_file_is_named(tmp_path: Path) -> None:
    config = tmp_path / "a.toml"
    config.write_text("[trainin]\nepochs = 5\n")
    with pytest.raises(UsageError, match="no setting 'trainin'; is 'training' meant"):
        plan(config)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    config = tmp_path / "a.toml"
    config.write_text("epochs = = 5\n")
    with pytest.raises(InputError, match="is not TOML"):
        read_toml(config)


def test_values_are_json_or_text() -> None:
    found = parse_settings(["training.seed=3", "loss.negatives=false", "network.tef=none"])
    assert found == {"training.seed": 3, "loss.negatives": False, "network.tef": "none"}


def test_nested_and_flat_are_inverse() -> None:
    settings = {"a.b": 1, "a.c.d": 2, "e": 3}
    assert flat(nested(settings)) == settings
    with pytest.raises(ValueError, match="is a setting"):
        nested({"a": 1, "a.b": 2})


def test_differences_name_both_values() -> None:
    one, other = TrainingPlan.of_preset("am-detr").to_fields(), TrainingPlan.of_preset("am-detr").to_fields()
    other["training"] = {**other["training"], "seed": 1}
    assert differences(one, other) == ["training.seed: 2023, 1"]
    assert differences(one, one) == []


@pytest.mark.parametrize(("field", "value"), [("absent_share", 1.5), ("ema_decay", 1.0), ("batch_size", 0)])
def test_settings_that_cannot_be_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        TrainSettings(**{field: value})  # type: ignore[arg-type]
