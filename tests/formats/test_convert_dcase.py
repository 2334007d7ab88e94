"""The DCASE 2026 Task 6 package: contents, rules, repeatable bytes."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace

import pytest

from amr.errors import InputError
from amr.formats.exchange.dcase import answers_in_order, output_text, package
from amr.formats.exchange.dcase_form import TEMPLATE, meta_yaml, parse_form
from amr.formats.exchange.tracks import Track, Window
from amr.formats.queries import Query

QUERIES = [
    Query(
        "a dog barks", qid="dcase2026_evaluation_q001", vid="dcase2026_evaluation_audio_001", duration_s=60
    ),
    Query("birds", qid="dcase2026_evaluation_q002", vid="dcase2026_evaluation_audio_001", duration_s=60),
]
TRACKS = [
    Track(
        str(query.vid),
        query.text,
        [Window(1, 2, 0.2), Window(5, 9.25, 0.9)],
        query.qid,
        where=f"a.jsonl:{number}",
    )
    for number, query in enumerate(QUERIES, start=1)
]
PDF = b"%PDF-1.7 ..."


def filled(**values: str) -> str:
    """The template, filled in; values replace or add keys of any section."""
    given = {
        "lastname": "Doe",
        "institute": "UNI",
        "name": 'A "quoted": name # and more',
        "abbreviation": "doe-1",
        "firstname": "Jo",
        "email": "jo@example.org",
        "department": "",
        "location": "Zürich, Switzerland",
        "audio_models": "YAMNet",
        "text_models": "MiniLM",
        "trainable_parameters": "7_300_000",
        "frozen_parameters": "26000000",
        "loss_function": "L1, gIoU",
        "recall1@0.7": "12.5",
        "recall1@0.5": "20 %".replace(" ", ""),
        **values,
    }
    lines = []
    for line in TEMPLATE.splitlines():
        key = line.partition(" =")[0]
        lines.append(f"{key} = {given[key]}" if key in given and " =" in line else line)
    return "\n".join(lines)


def yaml_value(text: str, path: str) -> object:
    """The value at ``a.b.c`` of block YAML whose scalars are JSON, read line by line."""
    stack: list[tuple[int, str]] = []
    for line in text.splitlines():
        bare = line.replace("- ", "  ", 1) if line.lstrip().startswith("- ") else line
        indent = len(bare) - len(bare.lstrip())
        key, _, value = bare.strip().partition(":")
        stack = [*[entry for entry in stack if entry[0] < indent], (indent, key)]
        if ".".join(name for _, name in stack) == path:
            return json.loads(value)
    raise KeyError(path)


def test_the_empty_template_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"\[submission\] 'lastname' is not filled in"):
        parse_form(TEMPLATE, "form.ini", 1)


def test_meta_file() -> None:
    text = meta_yaml(parse_form(filled(), "form.ini", 1), 1)
    assert text.startswith('submission:\n  label: "Doe_UNI_task6_1"\n')
    expected = {
        "submission.name": 'A "quoted": name # and more',
        "submission.authors.lastname": "Doe",
        "submission.authors.corresponding": True,
        "submission.authors.affiliation.location": "Zürich, Switzerland",
        "submission.authors.affiliation.department": None,
        "system.model.LLMs": "none",
        "system.model.trainable_parameters": 7_300_000,
        "system.model.freezed_parameters": 26_000_000,
        "system.dataset.external_data_resources": "none",
        "system.ensemble": 1,
        "results.development_testing.Recall1@0.7": 12.5,
        "results.development_testing.Recall1@0.5": 20.0,
    }
    assert {path: yaml_value(text, path) for path in expected} == expected


def test_several_authors_stand_in_a_list() -> None:
    second = "[author.2]\nlastname=Roe\nfirstname=Al\nemail=al@example.org\ncorresponding=no\n"
    text = meta_yaml(parse_form(filled() + "\n" + second, "form.ini", 1), 1)
    assert text.count("    - lastname:") == 2
    assert text.count("corresponding: true") == 1


def test_systems_differ_where_they_say_so() -> None:
    form = parse_form(filled() + "\n[system.2]\naudio_models = CLAP\n", "form.ini", 2)
    assert [yaml_value(meta_yaml(form, n), "system.model.audio_models") for n in (1, 2)] == ["YAMNet", "CLAP"]
    assert yaml_value(meta_yaml(form, 2), "submission.label") == "Doe_UNI_task6_2"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"abbreviation": "12345678901"}, "has 11 characters, 10 are allowed"),
        ({"lastname": "van Doe"}, "part of file names"),
        ({"institute": "../UNI"}, "part of file names"),
        ({"email": "jo at example"}, "not an e-mail address"),
        ({"corresponding": "no"}, "exactly one author"),
        ({"recall1@0.7": "73,08"}, "expected a number from 0 to 100"),
        ({"recall1@0.7": "101"}, "expected a number from 0 to 100"),
        ({"recall1@0.5": "nan"}, "expected a number from 0 to 100"),
        ({"trainable_parameters": "7M"}, "expected a whole number"),
        ({"loss_function": ""}, "'loss_function' is not filled in"),
    ],
)
def test_forms_that_break_a_rule(values: dict[str, str], words: str) -> None:
    with pytest.raises(InputError) as error:
        parse_form(filled(**values), "form.ini", 1)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no section", "is not a form"),
        (filled() + "\n[system.2]\n", r"unknown section [system.2] for 1 systems"),
        (filled() + "\n[extras]\n", "unknown section [extras]"),
        (filled().replace("llms", "lms"), "'llms' is not filled in"),
        (filled() + "\ncolour = red\n", "'colour' is unknown"),
    ],
)
def test_files_that_are_no_form(text: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        parse_form(text, "form.ini", 1)
    assert words in str(error.value)


def test_output_has_windows_in_order_and_no_scores() -> None:
    text = output_text(answers_in_order(TRACKS[::-1], QUERIES, "a.jsonl"))
    first, second = [json.loads(line) for line in text.splitlines()]
    assert first == {
        "qid": "dcase2026_evaluation_q001",
        "query": "a dog barks",
        "vid": "dcase2026_evaluation_audio_001",
        "pred_relevant_windows": [[5, 9.25], [1, 2]],
    }
    assert second["qid"] == "dcase2026_evaluation_q002"


@pytest.mark.parametrize(
    ("tracks", "words"),
    [
        (TRACKS[:1], "1 of 2 queries of the evaluation list are not answered: 'dcase2026_evaluation_q002'"),
        ([*TRACKS, TRACKS[0]], "is answered twice"),
        ([*TRACKS, replace(TRACKS[0], qid="x")], "belong to no query of the evaluation list, the first is"),
        (
            [TRACKS[0], replace(TRACKS[1], windows=[])],
            "a.jsonl:2: qid 'dcase2026_evaluation_q002' has no window",
        ),
        ([TRACKS[0], replace(TRACKS[1], vid="other")], "belongs to the recording"),
        ([TRACKS[0], replace(TRACKS[1], windows=[Window(59, 70, 1)])], "lies outside its recording of 60 s"),
        ([TRACKS[0], replace(TRACKS[1], windows=[Window(-1, 7, 1)])], "lies outside its recording"),
    ],
)
def test_answers_that_break_a_rule(tracks: list[Track], words: str) -> None:
    with pytest.raises(InputError) as error:
        answers_in_order(tracks, QUERIES, "a.jsonl")
    assert words in str(error.value)


def test_package() -> None:
    form = parse_form(filled(), "form.ini", 2)
    content = package(["one\n", "two\n"], form, PDF, "report.pdf")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "task6/Doe_UNI_task6_1/Doe_UNI_task6_1.output.jsonl",
            "task6/Doe_UNI_task6_1/Doe_UNI_task6_1.meta.yaml",
            "task6/Doe_UNI_task6_2/Doe_UNI_task6_2.output.jsonl",
            "task6/Doe_UNI_task6_2/Doe_UNI_task6_2.meta.yaml",
            "task6/Doe_UNI_task6.technical_report.pdf",
        ]
        assert archive.read("task6/Doe_UNI_task6_2/Doe_UNI_task6_2.output.jsonl") == b"two\n"
    assert package(["one\n", "two\n"], form, PDF, "report.pdf") == content


def test_five_systems_and_a_report_that_is_none() -> None:
    with pytest.raises(InputError, match="5 systems, the challenge takes 4"):
        package(["x"] * 5, parse_form(filled(), "form.ini", 5), PDF, "r.pdf")
    with pytest.raises(InputError, match=r"r\.docx: is not a PDF"):
        package(["x"], parse_form(filled(), "form.ini", 1), b"PK", "r.docx")
