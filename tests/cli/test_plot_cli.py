"""``amr plot`` as a command: figures into files and pipes, pages, refusals."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import Amr

from amr.cli import main
from amr.errors import install_command

PREDICTIONS = [
    {
        "qid": f"street_{i}",
        "query": f"a dog barks {i}",
        "vid": "street",
        "duration": 10.0,
        "pred_relevant_windows": [[1 + i, 3 + i, 0.9], [6, 7, 0.3]],
        "pred_saliency_scores": [0.1, 0.9, 0.4, 0.2],
    }
    for i in range(4)
]
TRUTH = [
    {
        "qid": f"street_{i}",
        "query": f"a dog barks {i}",
        "duration": 10.0,
        "vid": "street",
        "relevant_windows": [[1, 3]],
    }
    for i in range(4)
]
Run = Callable[..., tuple[int, str, str]]
PNG, SVG = b"\x89PNG\r\n\x1a\n", b"<?xml"


def lines(path: Path, records: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Predictions ``a`` and ``b``, truth, one recording, a training log."""
    lines(tmp_path / "a.jsonl", PREDICTIONS)
    lines(
        tmp_path / "b.jsonl", [{**record, "pred_relevant_windows": [[1, 3, 0.5]]} for record in PREDICTIONS]
    )
    lines(tmp_path / "gt.jsonl", TRUTH)
    (tmp_path / "run").mkdir()
    lines(tmp_path / "run" / "m.safetensors.log.jsonl", [{"epoch": e, "loss": 1 / e} for e in range(1, 5)])
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio" / "street.wav", np.sin(np.arange(10 * 8000) / 3) * 0.3, 8000)
    return tmp_path


@pytest.fixture
def run(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run ``amr`` inside this process: matplotlib is imported once."""
    monkeypatch.chdir(files)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main.run(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.mark.parametrize(
    "arguments",
    [
        "a.jsonl --qid street_1 --audio audio --truth gt.jsonl",
        "a.jsonl --qid street_1 --audio audio/street.wav --picture waveform",
        "run --figure training",
        "run/m.safetensors --figure training",
        "a.jsonl b.jsonl --truth gt.jsonl --figure iou",
        "a.jsonl b.jsonl --truth gt.jsonl --figure length",
        "a.jsonl --truth gt.jsonl --figure reliability",
        "a.jsonl b.jsonl --truth gt.jsonl --figure compare --iou 0.5",
    ],
)
def test_figures(files: Path, run: Run, arguments: str) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
    assert run("plot", *arguments.split(), "-o", "figure.svg") == (0, "", "")
    assert (files / "figure.svg").read_bytes().startswith(SVG)


def test_a_figure_flows_through_a_pipe(files: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
    command = [sys.executable, "-m", "amr", "plot", "-", "--figure", "training"]
    log = (files / "run" / "m.safetensors.log.jsonl").read_bytes()
    done = subprocess.run(command, input=log, capture_output=True, check=True)
    assert done.stdout.startswith(PNG)
    done = subprocess.run([*command, "--image", "svg"], input=log, capture_output=True, check=True)
    assert done.stdout.startswith(SVG)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("a.jsonl -o x.png", 2, "a figure shows one of them"),
        ("a.jsonl --qid nobody -o x.png", 3, "'nobody' is not in the file"),
        ("a.jsonl --figure iou -o x.png", 2, "needs the ground truth"),
        ("a.jsonl --truth gt.jsonl --figure compare -o x.png", 2, "two files or more"),
        ("a.jsonl b.jsonl --qid street_1 -o x.png", 2, "made of one file"),
        ("a.jsonl --qid street_1 -o x.jpg", 2, "does not end in .png or .svg"),
        ("a.jsonl --qid street_1 -o gt.jsonl --image png", 3, "exists already"),
        ("a.jsonl --qid street_1 --audio run/m.safetensors.log.jsonl -o x.png", 3, "was not found"),
        ("a.jsonl --html gt.jsonl", 3, "exists already"),
        ("a.jsonl --html x.html --figure iou", 2, "a page shows moments"),
        ("a.jsonl --html x.html --embed 1", 2, "nothing to embed"),
        ("gt.jsonl --html x.html", 3, "gt.jsonl:1: key 'pred_relevant_windows' is missing"),
        ("nowhere.jsonl --html x.html", 3, "no such file"),
        ("audio --figure training -o x.png", 3, "holds no log, expected one"),
        ("gt.jsonl --figure training -o x.png", 3, "no loss, score or learning rate"),
    ],
)
def test_refusals(files: Path, run: Run, arguments: str, code: int, words: str) -> None:
    before = {path: path.read_bytes() for path in files.iterdir() if path.is_file()}
    found, stdout, stderr = run("plot", *arguments.split())
    assert (found, stdout) == (code, ""), stderr
    assert words in stderr
    assert {path: path.read_bytes() for path in files.iterdir() if path.is_file()} == before


def test_a_page(files: Path, amr: Amr) -> None:
    common = ("plot", "a.jsonl", "--truth", "gt.jsonl", "--audio", "audio", "--title", "T")
    done = amr(*common, "--html", "page.html")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    page = (files / "page.html").read_text(encoding="utf-8")
    assert "./audio/street.wav" in page
    assert "<title>T</title>" in page
    again = amr(*common, "--html", "-")
    assert again.stdout == page


def test_a_page_shows_no_moment_twice(files: Path, amr: Amr) -> None:
    """As tables do; what a better one covers in part goes."""
    windows = [[2.0, 4.0, 0.9], [3.4, 5.0, 0.8], [6.0, 7.0, 0.7]]
    lines(files / "o.jsonl", [{**PREDICTIONS[0], "pred_relevant_windows": windows}])
    done = amr("plot", "o.jsonl", "--html", "page.html", "-v")
    assert "1 moments that better ones cover" in done.stderr
    page = (files / "page.html").read_text(encoding="utf-8")
    assert '"p":[[2.0,4.0,0.9],[6.0,7.0,0.7]]' in page


def test_a_page_tells_what_is_silent(files: Path, amr: Amr) -> None:
    lines(files / "c.jsonl", [{**PREDICTIONS[0], "vid": "nowhere"}, PREDICTIONS[1]])
    done = amr("plot", "c.jsonl", "--audio", "audio", "--html", "page.html")
    assert "1 of 2 recordings are not among --audio" in done.stderr


def test_without_matplotlib_pages_work_and_figures_say_what_to_install(files: Path, amr: Amr) -> None:
    (files / "hidden" / "matplotlib").mkdir(parents=True)
    (files / "hidden" / "matplotlib" / "__init__.py").write_text("raise ImportError('not here')")
    path = os.pathsep.join([str(files / "hidden"), str(Path(__file__).parents[2])])
    env = {"PYTHONPATH": path}
    done = amr("plot", "run", "--figure", "training", "-o", "x.png", env=env)
    assert done.returncode == 4
    assert install_command("plot") in done.stderr
    assert amr("plot", "a.jsonl", "--audio", "audio", "--html", "x.html", env=env).returncode == 0


def at_a_terminal(files: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and output of ``amr plot`` with a pseudo-terminal of 60 columns as standard output."""
    main, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "amr", "plot", *arguments],
        stdout=side,
        stderr=side,
        cwd=files,
        env={**os.environ, "COLUMNS": "60"},
    )
    os.close(side)
    output = b""
    try:
        while part := os.read(main, 4096):
            output += part
    except OSError:
        pass  # the other end is closed: that is how a pseudo-terminal ends
    os.close(main)
    return process.wait(), output.decode().replace("\r\n", "\n")


def test_at_a_terminal_it_draws_with_characters(files: Path) -> None:
    code, shown = at_a_terminal(files, "a.jsonl", "--truth", "gt.jsonl", "--qid", "street_0")
    assert code == 0
    assert shown == (
        "a dog barks 0  in  street, 10.0 s\n"
        "saliency  ▂▂▂▂▂▂▂▂▂▂▂▂▂▇▇▇▇▇▇▇▇▇▇▇▇▄▄▄▄▄▄▄▄▄▄▄▄▄▂▂▂▂▂▂▂▂▂▂▂▂\n"
        "true      ·····██████████···································\n"
        "1  0.90   ·····██████████···································\n"
        "2  0.30   ······························█████···············\n"
    )


def test_at_a_terminal_pictures_are_refused(files: Path) -> None:
    code, shown = at_a_terminal(files, "run", "--figure", "training")
    assert code == 2
    assert "cannot be shown at a terminal" in shown


def test_help_is_light() -> None:
    code = (
        "import sys; from amr.cli.main import run; run(['plot', '-h']); run(['convert', '-h']); "
        "assert not {'torch', 'numpy', 'scipy', 'h5py', 'soundfile', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
