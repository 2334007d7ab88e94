"""The commands of ``docs/serve.md`` against a page that is served."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from serve_world import opened_page

PAGE = Path(__file__).parents[2] / "docs" / "serve.md"


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_every_curl_command_is_answered(tmp_path: Path) -> None:
    commands = re.findall(r"^    (curl .*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(commands) >= 7
    with opened_page(tmp_path / "served") as (page, base, _):
        environment = {**os.environ, "AMR": base, "TOKEN": page.access.token, "no_proxy": "127.0.0.1"}
        for command in commands:
            done = subprocess.run(
                ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, check=False
            )
            assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert (tmp_path / "moment.wav").read_bytes().startswith(b"RIFF")
    assert (tmp_path / "moment.png").read_bytes().startswith(b"\x89PNG")
    assert "street" in (tmp_path / "labels.csv").read_text()


def test_every_address_is_documented(tmp_path: Path) -> None:
    from serve_world import make_page

    (tmp_path / "served").mkdir()
    text = PAGE.read_text(encoding="utf-8")
    paths = [route.path for route in make_page(tmp_path / "served").routes()]
    shown = [path.replace("{vid:path}", "VID").replace("{form}", "FORM") for path in paths]
    assert [path for path in shown if path not in text and path not in ("/login", "/assets/{name}")] == []
