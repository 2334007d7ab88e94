"""The form behind a DCASE 2026 Task 6 submission, and the meta file made of it.

The form is an INI file that people fill in once; each system's meta YAML has the structure of the challenge's
template: ``submission``, ``system``, ``results``.
"""

from __future__ import annotations

import configparser
import json
import re
from dataclasses import dataclass
from typing import Any

from amr.errors import InputError

MAX_ABBREVIATION = 10
MAX_SYSTEMS = 4
SHOWN = 40
"""Characters of a value that messages repeat."""
NAME_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
"""What becomes part of file names: two of them fit into one, beside what the challenge adds."""

TEMPLATE = """\
# Fill in, then:  amr convert system1.jsonl [system2.jsonl ...] --dcase THIS_FILE
#                   --queries dcase2026_evaluation.jsonl --report report.pdf -o submission.zip
# The label of system N becomes LASTNAME_INSTITUTE_task6_N.
[submission]
lastname =
institute =
name =
# at most 10 characters
abbreviation =

# One section an author: author.1, author.2, ... Exactly one of them is corresponding = yes.
[author.1]
lastname =
firstname =
email =
corresponding = yes
abbreviation =
institute =
department =
location =

# What all systems share; a section [system.2] says what is different in the second file.
[system]
audio_models =
text_models =
llms = none
# numbers of parameters
trainable_parameters =
frozen_parameters =
loss_function =
data_augmentation = none
external_data_resources = none
audio_captions = none
# how many models vote, 1 = no ensemble
ensemble = 1
# per cent on development-testing (CASTELLA test), not on a mixture of sets and not on validation
recall1@0.7 =
recall1@0.5 =
"""

SUBMISSION_KEYS = ("lastname", "institute", "name", "abbreviation")
AUTHOR_KEYS = ("lastname", "firstname", "email", "corresponding")
AFFILIATION_KEYS = ("abbreviation", "institute", "department", "location")
MODEL_TEXTS = ("audio_models", "text_models", "llms", "loss_function")
MODEL_COUNTS = ("trainable_parameters", "frozen_parameters")
DATASET_TEXTS = ("data_augmentation", "external_data_resources", "audio_captions")
RESULTS = ("recall1@0.7", "recall1@0.5")
NUMBERS = dict.fromkeys((*MODEL_COUNTS, "ensemble"), (1e15, True)) | dict.fromkeys(RESULTS, (100.0, False))
"""Of each key with a number, the largest one, and whether it is whole."""

SYSTEM_KEYS = (*MODEL_TEXTS, *MODEL_COUNTS, *DATASET_TEXTS, "ensemble", *RESULTS)


@dataclass(frozen=True)
class SubmissionForm:
    """A form that was read and checked.

    Args:
        submission: the keys of ``[submission]``.
        authors: one dict an author.
        systems: one dict a system, shared and own values united.
    """

    submission: dict[str, str]
    authors: list[dict[str, str]]
    systems: list[dict[str, str]]

    @property
    def team(self) -> str:
        return f"{self.submission['lastname']}_{self.submission['institute']}_task6"

    def label(self, number: int) -> str:
        """The label of system ``number``, from 1."""
        return f"{self.team}_{number}"


def parse_form(text: str, name: str, num_systems: int) -> SubmissionForm:
    """A filled-in form, checked against the challenge's rules.

    Raises:
        InputError: it is no INI file, a key is missing, unknown or empty, or a value breaks a rule.
    """
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    try:
        parser.read_string(text, source=name)
    except configparser.Error as error:
        raise InputError(f"is not a form: {' '.join(str(error).split())}", where=name) from error
    sections = {section: dict(parser.items(section)) for section in parser.sections()}
    own = {f"system.{number}" for number in range(1, num_systems + 1)}
    authors = sorted(section for section in sections if re.fullmatch(r"author\.\d+", section))
    unknown = set(sections) - own - set(authors) - {"submission", "system"}
    if unknown:
        raise InputError(f"unknown section [{min(unknown)}] for {num_systems} systems", where=name)
    form = SubmissionForm(
        submission=checked_section(sections, "submission", SUBMISSION_KEYS, name),
        authors=[checked_section(sections, one, AUTHOR_KEYS, name) for one in authors],
        systems=[system_section(sections, number, name) for number in range(1, num_systems + 1)],
    )
    check_form(form, name)
    return form


def checked_section(
    sections: dict[str, dict[str, str]], section: str, keys: tuple[str, ...], name: str
) -> dict[str, str]:
    """A section whose needed keys are all there and filled in."""
    if section not in sections:
        raise InputError(f"the section [{section}] is missing", where=name)
    values = {key: value.strip() for key, value in sections[section].items()}
    empty = [key for key in keys if not values.get(key)]
    if empty:
        raise InputError(f"[{section}] {empty[0]!r} is not filled in", where=name)
    known = {"author": (*AUTHOR_KEYS, *AFFILIATION_KEYS), "system": SYSTEM_KEYS}.get(
        section.split(".")[0], keys
    )
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InputError(f"[{section}] {unknown[0]!r} is unknown; known: {', '.join(known)}", where=name)
    return values


def system_section(sections: dict[str, dict[str, str]], number: int, name: str) -> dict[str, str]:
    """What is said of one system: its own section over the shared one."""
    united = {**sections.get("system", {}), **sections.get(f"system.{number}", {})}
    return checked_section({f"system.{number}": united}, f"system.{number}", SYSTEM_KEYS, name)


def check_form(form: SubmissionForm, name: str) -> None:
    """The rules that are about values."""
    for key in ("lastname", "institute"):
        value = form.submission[key]
        if not NAME_PART.fullmatch(value):
            raise InputError(
                f"[submission] {key!r} is {value[:SHOWN]!r}: it becomes part of file names",
                where=name,
                hint="up to 64 of the letters A-Z, digits and '-' only",
            )
    abbreviation = form.submission["abbreviation"]
    if len(abbreviation) > MAX_ABBREVIATION:
        what = f"has {len(abbreviation)} characters, {MAX_ABBREVIATION} are allowed"
        raise InputError(f"[submission] 'abbreviation' {abbreviation!r} {what}", where=name)
    if not form.authors:
        raise InputError("no author: a section [author.1] is missing", where=name)
    if sum(is_yes(author["corresponding"]) for author in form.authors) != 1:
        raise InputError("exactly one author is corresponding = yes", where=name)
    for author in form.authors:
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", author["email"]):
            raise InputError(f"{author['email']!r} is not an e-mail address", where=name)
    for number, system in enumerate(form.systems, start=1):
        for key, (high, whole) in NUMBERS.items():
            number_in(system[key], f"system {number}: {key!r}", name, high, whole)


def is_yes(text: str) -> bool:
    return text.lower() in ("yes", "true", "1")


def number_in(text: str, what: str, name: str, high: float, whole: bool) -> float | int:
    """A number from 0 to ``high``."""
    try:
        value = int(text.replace("_", "").replace(",", "")) if whole else float(text.removesuffix("%"))
    except ValueError:
        value = -1
    if not 0 <= value <= high:
        kind = "a whole number" if whole else f"a number from 0 to {high:g}"
        raise InputError(f"{what} is {text[:SHOWN]!r}, expected {kind}", where=name)
    return value


def meta_yaml(form: SubmissionForm, number: int) -> str:
    """The meta file of system ``number``, from 1."""
    system = form.systems[number - 1]
    numbers = {key: number_in(system[key], key, "", *bounds) for key, bounds in NUMBERS.items()}
    document = {
        "submission": {
            "label": form.label(number),
            "name": form.submission["name"],
            "abbreviation": form.submission["abbreviation"],
            "authors": [author_record(author) for author in form.authors],
        },
        "system": {
            "model": {
                "audio_models": system["audio_models"],
                "text_models": system["text_models"],
                "LLMs": system["llms"],
                "trainable_parameters": numbers["trainable_parameters"],
                "freezed_parameters": numbers["frozen_parameters"],  # the template's own spelling
                "loss_function": system["loss_function"],
            },
            "dataset": {key: system[key] for key in DATASET_TEXTS},
            "ensemble": numbers["ensemble"],
        },
        "results": {
            "development_testing": {
                "Recall1@0.7": numbers["recall1@0.7"],
                "Recall1@0.5": numbers["recall1@0.5"],
            }
        },
    }
    return "\n".join(yaml_lines(document)) + "\n"


def author_record(author: dict[str, str]) -> dict[str, Any]:
    affiliation = {key: author.get(key) or None for key in AFFILIATION_KEYS}
    known = {key: author[key] for key in AUTHOR_KEYS}
    return {**known, "corresponding": is_yes(author["corresponding"]), "affiliation": affiliation}


def yaml_lines(value: Any, indent: int = 0) -> list[str]:
    """Block YAML of dicts and lists of dicts; scalars stand as JSON, which is YAML."""
    pad = "  " * indent
    lines = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines += [f"{pad}{key}:", *yaml_lines(item, indent + 1)]
        elif isinstance(item, list):
            lines.append(f"{pad}{key}:")
            for entry in item:
                first, *rest = yaml_lines(entry, indent + 2)
                lines += [f"{pad}  - {first.strip()}", *rest]
        else:
            lines.append(f"{pad}{key}: {json.dumps(item, ensure_ascii=False)}")
    return lines
