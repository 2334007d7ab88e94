"""What MkDocs cannot do by itself: the README as the first page, the Python reference, links out of ``docs``.

The pages stay plain Markdown that reads as well in a checkout: a link to a file outside ``docs`` is its text
alone on the site, and what is generated here stands in no file.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import amr

REPOSITORY = Path(__file__).parents[1]
NAVIGATION = {
    "Start": ["index.md", "installing.md", "tutorial.md", "field_recorder.md", "faq.md"],
    "Use": [
        "overview.md",
        "examples.md",
        "serve.md",
        "archive.md",
        "python.md",
        "plots.md",
        "exchange.md",
        "many_machines.md",
        "clap.md",
        "plugins.md",
    ],
    "Research": ["simulation.md", "training.md", "models.md", "metrics.md", "sed.md"],
    "Reference": ["cli.md", "api.md", "formats.md", "features.md", "settings.md"],
    "Accuracy, speed, safety": ["default-model.md", "encoders.md", "scaling.md", "faults.md", "security.md"],
    "Contribute": ["architecture.md", "contributing.md", "changelog.md"],
}
FOLDERS = {"Decisions": "decisions", "Measurements": "measurements"}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made of other files, and give every page its place."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for name, text in (("index.md", readme), ("api.md", reference())):
        files.append(File.generated(config, name, content=text))
    config.nav = navigation({file.src_uri for file in files.documentation_pages()})
    return files


def navigation(pages: set[str]) -> list[dict[str, list[str]]]:
    """The pages in order; every one has a place."""
    sections = {title: [name for name in names if name in pages] for title, names in NAVIGATION.items()}
    for title, folder in FOLDERS.items():
        own = (page for page in pages if page.startswith(f"{folder}/"))
        sections[title] = sorted(own, key=lambda page: (not page.endswith("README.md"), page))
    lost = sorted(pages - {name for names in sections.values() for name in names})
    if lost:
        raise PluginError(f"docs/site.py gives these pages no place: {', '.join(lost)}")
    return [{title: names} for title, names in sections.items() if names]


def reference() -> str:
    """The public names, each with its docstring."""
    head = (
        "# Python reference\n\n[Python](python.md) shows them at work; here is each public name of `amr`.\n"
    )
    return head + "".join(f"\n::: {home}.{name}\n" for name, home in sorted(amr.HOMES.items()))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to files that are not of the site become their text; MkDocs refuses those to nothing."""
    del config, files
    docs = REPOSITORY / "docs"
    folder = (docs / page.file.src_uri).parent
    base = REPOSITORY if page.file.src_uri == "index.md" else folder

    def placed(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        place, hash_, heading = target.partition("#")
        path = (base / place).resolve()
        if not place or "://" in target or not path.exists():
            return match[0]
        if path.is_dir() or not path.is_relative_to(docs):
            return text
        return f"{mark}[{text}]({os.path.relpath(path, folder)}{hash_}{heading})"

    return LINK.sub(placed, markdown)
