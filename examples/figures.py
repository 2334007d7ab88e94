"""Make the example pictures of docs/figures/ from real recordings, with the commands that anyone would use.

    python examples/figures.py --real DIR
    python examples/figures.py --served CARD

``DIR`` holds ``real.csv`` (columns file, query, windows, duration_s) and the recordings that it names.
``CARD`` is a folder of recordings in which a dog barks; of it the pictures of ``amr serve`` are made (which
keeps its features in ``CARD/feats.h5``).
Without either only the picture of the repository's own recording is made. Screenshots need Chromium and
selenium.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "docs" / "figures"
EXAMPLES = ROOT / "examples" / "audio"
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1.5, "mobile": True}
BROWSER_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")


def amr(*arguments: object, cwd: Path) -> None:
    """One command, shown and run."""
    command = ["amr", *map(str, arguments)]
    print("$", *command, flush=True)
    subprocess.run([sys.executable, "-m", *command], cwd=cwd, check=True)


def write_truth(table: Path, target: Path) -> None:
    """The annotations of ``real.csv``."""
    with open(table, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with open(target, "w", encoding="utf-8") as out:
        for number, row in enumerate(rows):
            vid = Path(row["file"]).stem
            windows = json.loads(row["windows"])
            record = {"qid": f"{vid}_{number}", "query": row["query"], "duration": float(row["duration_s"])}
            out.write(json.dumps({**record, "vid": vid, "relevant_windows": windows}) + "\n")


def split_truth(truth: Path, train: Path, validation: Path) -> None:
    """Every third recording for validation."""
    lines = truth.read_text(encoding="utf-8").splitlines(keepends=True)
    vids = list(dict.fromkeys(json.loads(line)["vid"] for line in lines))
    held = set(vids[2::3])
    train.write_text("".join(line for line in lines if json.loads(line)["vid"] not in held))
    validation.write_text("".join(line for line in lines if json.loads(line)["vid"] in held))


def own_recording(work: Path) -> None:
    """The picture that needs nothing but the repository."""
    sound = EXAMPLES / "lumberjack.ogg"
    asked = ("--query", "someone chops wood", sound, "--saliency", "--min-score", "0.25")
    amr("predict", *asked, "-o", "wood.jsonl", cwd=work)
    amr(
        "plot",
        "wood.jsonl",
        "--audio",
        sound,
        "--picture",
        "waveform",
        "-o",
        FIGURES / "waveform.png",
        "-f",
        cwd=work,
    )


def real_recordings(real: Path, work: Path) -> None:
    """Pictures with ground truth: one recording, and three ways of answering compared."""
    write_truth(real / "real.csv", work / "gt.jsonl")
    audio = real / "real"
    truth = ("--truth", "gt.jsonl")
    amr("extract", audio, "--queries", "gt.jsonl", "-o", "feats.h5", "-q", cwd=work)
    amr("predict", "--queries", "gt.jsonl", "feats.h5", "--saliency", "-o", "best.jsonl", cwd=work)
    for prior in ("middle", "whole"):
        options = ("--model", f"prior:{prior}", "--queries", "gt.jsonl")
        amr("predict", *options, "feats.h5", "-o", f"{prior}.jsonl", cwd=work)
    qid = next(
        record["qid"]
        for record in map(json.loads, (work / "gt.jsonl").read_text().splitlines())
        if record["vid"] == "owls"
    )
    moments = ("best.jsonl", *truth, "--audio", audio, "--qid", qid)
    amr("plot", *moments, "-o", FIGURES / "moments.png", "-f", cwd=work)
    systems = ("middle.jsonl", "whole.jsonl", "best.jsonl")
    for name in ("iou", "length", "compare"):
        options = ("--figure", name, "--iou", "0.5", "-o", FIGURES / f"{name}.png", "-f")
        amr("plot", *systems, *truth, *options, cwd=work)
    options = ("--figure", "reliability", "--iou", "0.5", "-o", FIGURES / "reliability.png", "-f")
    amr("plot", "best.jsonl", *truth, *options, cwd=work)


def training_run(work: Path) -> None:
    """A short run on the same few recordings: long enough for curves, far too short for a model."""
    split_truth(work / "gt.jsonl", work / "train.jsonl", work / "val.jsonl")
    data = ("train.jsonl", "--validation", "val.jsonl", "--features", "feats.h5")
    amr("train", *data, "--epochs", "30", "--threads", "1", "-q", "-o", "model.safetensors", cwd=work)
    options = ("--figure", "training", "-o", FIGURES / "training.png", "-f")
    amr("plot", "model.safetensors", *options, cwd=work)


def page(real: Path, work: Path) -> None:
    """Screenshots of the report page: light, dark and on a phone."""
    page_file = work / "report.html"
    options = ("--truth", "gt.jsonl", "--audio", real / "real", "--title", "The default model, 17 recordings")
    amr("plot", "best.jsonl", *options, "--html", page_file, cwd=work)
    with opened_browser(work / "profile") as browser:
        browser.get(page_file.as_uri())
        browser.find_element("css selector", "#rows tr:nth-child(27)").click()
        browser.execute_script("scrollTo(0, 0)")
        shoot_all(browser, "page")


def served_page(card: Path, work: Path) -> None:
    """Screenshots of ``amr serve``: a question, a moment accepted and one rejected."""
    command = [sys.executable, "-m", "amr", "serve", str(card), "--port", "0"]
    command += ["--labels", str(work / "labels.jsonl")]
    print("$ amr serve", card, flush=True)
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
        opened_browser(work / "profile") as browser,
    ):
        assert server.stdout is not None
        try:
            browser.get(server.stdout.readline().strip())
            browser.find_element("id", "question").send_keys("a dog barks")
            for number, what in enumerate(("accept", "reject"), start=1):
                wait_for_answer(browser)
                browser.find_element("css selector", f".moment:nth-of-type({2 * number - 1}) .{what}").click()
            wait_for_answer(browser)
            shoot_all(browser, "serve")
        finally:
            server.terminate()


def wait_for_answer(browser: Any) -> None:
    """Until the whole answer is there, with its pictures."""
    whole = "return document.querySelector('.moment') && !document.querySelector('#state.busy')"
    pictures = (
        "return [...document.images].filter((each) => each.loading !== 'lazy').every((each) => each.complete)"
    )
    while not (browser.execute_script(whole) and browser.execute_script(pictures)):
        time.sleep(0.1)
    time.sleep(1.0)


@contextmanager
def opened_browser(profile: Path) -> Iterator[Any]:
    """Chromium, without a window."""
    from selenium import webdriver

    settings = webdriver.ChromeOptions()
    settings.binary_location = shutil.which("chromium") or ""
    for flag in (*BROWSER_FLAGS, f"--user-data-dir={profile}", "--window-size=1280,900"):
        settings.add_argument(flag)
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    browser = webdriver.Chrome(options=settings, service=service)
    try:
        yield browser
    finally:
        browser.quit()


def shoot_all(browser: Any, name: str) -> None:
    """Light, dark, and on a phone."""
    shoot(browser, f"{name}-light.png")
    browser.find_element("id", "theme").click()
    shoot(browser, f"{name}-dark.png")
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    shoot(browser, f"{name}-phone.png")


def shoot(browser: object, name: str) -> None:
    """One screenshot, its colours reduced to a palette: a third of the bytes."""
    from PIL import Image

    time.sleep(0.3)
    path = FIGURES / name
    browser.save_screenshot(str(path))  # type: ignore[attr-defined]
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--real", type=Path, help="folder with real.csv and its recordings")
    parser.add_argument("--served", type=Path, help="folder of recordings for the pictures of amr serve")
    options = parser.parse_args()
    real = options.real
    FIGURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if options.served is not None:
            served_page(options.served.resolve(), work)
            return
        own_recording(work)
        if real is None:
            print("without --real: only the picture of the repository's own recording")
            return
        real = real.resolve()
        real_recordings(real, work)
        training_run(work)
        page(real, work)


if __name__ == "__main__":
    main()
