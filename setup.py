"""The long description: the README, whose links into the repository mean nothing where a package is shown."""

import re
from pathlib import Path

from setuptools import setup

README = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
LINK_INTO_THE_REPOSITORY = re.compile(r"!?\[([^\]]*)\]\((?!https?://)[^)]*\)")

setup(
    long_description=LINK_INTO_THE_REPOSITORY.sub(r"\1", README),
    long_description_content_type="text/markdown",
)
