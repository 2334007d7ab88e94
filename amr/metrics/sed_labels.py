"""Labels of sound event detection as prompts for moment retrieval, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from amr.errors import InputError

TEMPLATE = "{label}"


def prompt_of(label: str, template: str = TEMPLATE) -> str:
    """A label as a sentence.

    ``brakes_squeaking`` with ``"{label} in the street."`` is *Brakes squeaking in the street.*: underscores
    and runs of blanks become a blank, the first letter is written large.

    Raises:
        InputError: the template does not have ``{label}`` once, or the label is empty.
    """
    words = " ".join(label.replace("_", " ").split())
    if template.count("{label}") != 1:
        raise InputError(f"template {template!r} must have '{{label}}' once", where="template")
    if not words:
        raise InputError("a label is empty", where="labels")
    sentence = template.replace("{label}", words)
    return sentence[0].upper() + sentence[1:]


def prompts_of(labels: Sequence[str], template: str = TEMPLATE) -> dict[str, str]:
    """Prompt of each label, in order.

    Raises:
        InputError: two labels have the same prompt, so that nothing leads back.
    """
    prompts = {label: prompt_of(label, template) for label in labels}
    labels_of(prompts)
    return prompts


def labels_of(prompts: Mapping[str, str]) -> dict[str, str]:
    """The way back: label of each prompt.

    Raises:
        InputError: two labels share a prompt.
    """
    found: dict[str, str] = {}
    for label, prompt in prompts.items():
        if prompt in found:
            what = f"labels {found[prompt]!r} and {label!r} have the same prompt {prompt!r}"
            raise InputError(what, where="labels")
        found[prompt] = label
    return found


def parse_labels(lines: Sequence[str], where: str) -> dict[str, str]:
    """Prompt of each label, from lines of ``LABEL<tab>PROMPT``; a label alone is its own prompt.

    Blank lines are skipped.

    Raises:
        InputError: a line has more parts, a label stands twice, or two share a prompt.
    """
    prompts: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        label, *rest = (part.strip() for part in line.split("\t"))
        if len(rest) > 1 or not label or (rest and not rest[0]):
            raise InputError(
                "expected LABEL, or LABEL and PROMPT with a tab between", where=f"{where}:{number}"
            )
        if label in prompts:
            raise InputError(f"label {label!r} appears twice", where=f"{where}:{number}")
        prompts[label] = rest[0] if rest else prompt_of(label)
    labels_of(prompts)
    return prompts
