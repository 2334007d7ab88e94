"""The docs are true: their commands run and print what stands there, pages are current, links hold."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from transcripts import REPOSITORY, TRANSCRIPTS, run_at_a_terminal, steps

from amr.cli.main import TOOLS
from amr.cli.reference import reference

PAGES = [
    REPOSITORY / "README.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
    REPOSITORY / "examples/README.md",
]
SCORE_TOLERANCE = 0.03  # processors round differently; a score is shown with two decimals
TIME_TOLERANCE_S = 0.5


def same(shown: str, printed: str) -> bool:
    """Equal word by word; numbers and times up to rounding, bars not at all."""
    words = [[w for w in line.split() if not re.fullmatch("[█▏▎▍▌▋▊▉]+", w)] for line in (shown, printed)]
    return len(words[0]) == len(words[1]) and all(map(same_word, *words))


def same_word(shown: str, printed: str) -> bool:
    times = [re.fullmatch(r"(\d+):(\d\d\.\d)", word) for word in (shown, printed)]
    if times[0] and times[1]:
        seconds = [60 * int(match[1]) + float(match[2]) for match in times if match]
        return abs(seconds[0] - seconds[1]) <= TIME_TOLERANCE_S
    try:
        return abs(float(shown) - float(printed)) <= max(SCORE_TOLERANCE, 0.02 * abs(float(shown)))
    except ValueError:
        return shown == printed


@pytest.mark.parametrize("page", TRANSCRIPTS, ids=lambda page: page.name)
def test_transcripts_are_what_is_printed(page: Path, tmp_path: Path, warm_shell: dict[str, str]) -> None:
    shutil.copytree(REPOSITORY / "examples", tmp_path / "examples")
    assert steps(page), f"{page.name} shows no command"
    for step in steps(page):
        printed = run_at_a_terminal(step.command, tmp_path, warm_shell)
        wrong = f"$ {step.command}\nshows:\n" + "\n".join(step.expected) + "\nprints:\n" + "\n".join(printed)
        if "..." in step.expected:
            kept = step.expected.index("...")
            tail = step.expected[kept + 1 :]
            assert len(printed) >= kept + len(tail), wrong
            printed = [*printed[:kept], "...", *printed[len(printed) - len(tail) :]]
        assert len(printed) == len(step.expected), wrong
        assert all(map(same, step.expected, printed)), wrong


def test_the_command_line_reference_is_current() -> None:
    shown = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
    assert shown == reference(), "run: python -m amr.cli.reference > docs/cli.md"


def test_every_tool_is_in_the_reference() -> None:
    text = reference()
    assert all(f"## `amr {tool}`" in text for tool in TOOLS)


@pytest.mark.parametrize("tool", TOOLS)
def test_every_help_page_has_two_commands(tool: str) -> None:
    section = reference().split(f"## `amr {tool}`")[1].split("```")[1]
    commands = re.findall(r"^ +amr [a-z]+ .*", section.split("Options:")[0], flags=re.MULTILINE)
    assert len(commands) >= 2, section
    assert any(f"amr {tool} " in command for command in commands), section


def anchors(page: Path) -> set[str]:
    """What a link can name of a page: its headings, as GitHub and MkDocs write them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    plain = [
        re.sub(r"[^\w\s-]", "", title.lower()) for title in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    ]
    return {re.sub(r"\s+", "-", title.strip()) for title in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_inside_the_repository_hold(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        file, _, heading = target.partition("#")
        if "://" not in target:
            there = page.parent / file if file else page
            assert there.exists(), f"{page.name} links to {target}"
            assert not heading or heading in anchors(there), f"{page.name} links to {target}"


def test_the_list_of_decisions_has_every_page() -> None:
    docs = REPOSITORY / "docs"
    listed = re.findall(r"\]\(([^)]+)\)", (docs / "decisions" / "README.md").read_text(encoding="utf-8"))
    pages = [*docs.glob("decisions/0*.md"), *docs.glob("measurements/*.md")]
    assert sorted((docs / "decisions" / link).resolve() for link in listed) == sorted(pages)
    numbers = [page.name[:4] for page in docs.glob("decisions/0*.md")]
    assert len(set(numbers)) == len(numbers)
    assert {page.name[:4] for page in docs.glob("measurements/*.md")} <= set(numbers)


def test_ci_runs_the_readmes_test_command() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    [command] = re.findall(r'pip install .*"\.\[dev\]" && pytest.*', readme)
    assert command in (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8").replace(
        "pip install -q", "pip install"
    )


@pytest.mark.parametrize("script", sorted((REPOSITORY / "examples").glob("*.sh")), ids=lambda s: s.name)
def test_example_scripts_say_what_they_do_and_stop_at_errors(script: Path) -> None:
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("#!")
    assert lines[1].startswith("# ")
    assert any(line.startswith("set -") and "e" in line for line in lines)
