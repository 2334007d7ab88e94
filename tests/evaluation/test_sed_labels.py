"""Labels into prompts and back."""

from __future__ import annotations

import pytest

from amr.errors import InputError
from amr.metrics.sed_labels import labels_of, parse_labels, prompt_of, prompts_of

TUT = ["brakes_squeaking", "car", "children", "large_vehicle", "people_speaking", "people_walking"]


def test_a_label_becomes_a_sentence() -> None:
    assert prompt_of("brakes_squeaking", "{label} in the street.") == "Brakes squeaking in the street."
    assert prompt_of("  dog   bark ") == "Dog bark"


def test_there_and_back() -> None:
    prompts = prompts_of(TUT, "the sound of {label}")
    assert list(prompts) == TUT
    assert [labels_of(prompts)[prompt] for prompt in prompts.values()] == TUT


@pytest.mark.parametrize(
    ("labels", "template", "words"),
    [
        (["car", "Car"], "{label}", "same prompt"),
        (["dog bark", "dog_bark"], "{label}", "same prompt"),
        (["car"], "a car", "template"),
        (["car"], "{label} {label}", "template"),
        ([" "], "{label}", "empty"),
    ],
)
def test_what_leads_nowhere_is_refused(labels: list[str], template: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        prompts_of(labels, template)


def test_a_file_of_labels() -> None:
    lines = ["car\tA car passes in the street.", "", "large_vehicle"]
    assert parse_labels(lines, "l") == {
        "car": "A car passes in the street.",
        "large_vehicle": "Large vehicle",
    }


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["a\tb\tc"], "l:1: expected LABEL"),
        (["a\t"], "l:1: expected LABEL"),
        (["a\tb", "a\tc"], "l:2: label 'a' appears twice"),
        (["a\tx", "b\tx"], "same prompt"),
    ],
)
def test_wrong_lines_are_named(lines: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_labels(lines, "l")
