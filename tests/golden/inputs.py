"""What the command lines read: the examples of the repository, and small files made with fixed seeds.

Nothing here uses the package: the inputs stay the same whatever is rebuilt in it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from golden.runner import Runner

REPOSITORY = Path(__file__).parents[2]
DIM = 8
SOUNDS = ("a bell rings", "a dog barks", "it rains", "a car passes")
RATE_HZ = 8000

FORM = """\
[submission]
lastname = Doe
institute = UNI
name = A small system
abbreviation = doe-1
[author.1]
lastname = Doe
firstname = Jo
email = jo@example.org
corresponding = yes
abbreviation = UNI
institute = University
department =
location = Zürich, Switzerland
[system]
audio_models = YAMNet
text_models = MiniLM
llms = none
trainable_parameters = 7_300_000
frozen_parameters = 26000000
loss_function = L1, gIoU
data_augmentation = none
external_data_resources = none
audio_captions = none
ensemble = 1
recall1@0.7 = 12.5
recall1@0.5 = 20
"""


def make_world(folder: Path, runner: Runner) -> Path:
    """The folder in which, copied, every case runs."""
    shutil.copytree(REPOSITORY / "examples" / "audio", folder / "examples" / "audio")
    shutil.copy(REPOSITORY / "examples" / "queries.jsonl", folder / "examples")
    shutil.copy(REPOSITORY / "tests" / "data" / "recipe_small.json", folder)
    made = "amr extract examples/audio --queries examples/queries.jsonl --workers 1 -q -o feats.h5"
    ended = runner.run(made, folder)
    if ended.code:
        raise RuntimeError(f"{made}: exit {ended.code}: {ended.stderr.decode()}")
    questions(folder)
    judged(folder)
    events(folder)
    sources(folder)
    lessons(folder)
    return folder


def write(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text(
        "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in records), encoding="utf-8"
    )


def questions(folder: Path) -> None:
    """Lists of questions, names for standard input, files that are no good."""
    (folder / "questions.txt").write_text("a sheep bleats\n\npeople are talking\n")
    bound = [{"query": "a sheep bleats", "vid": "sheepfield"}, {"query": "a tree falls", "vid": "lumberjack"}]
    write(folder / "bound.jsonl", bound)
    write(folder / "stranger.jsonl", [{"query": "a sheep bleats", "vid": "nobody"}])
    names = ("sheepfield", "nowhere", "main_square")
    (folder / "names.txt").write_text("".join(f"examples/audio/{name}.ogg\n" for name in names))
    (folder / "broken.jsonl").write_text('{"qid": 1, "query": "a dog"}\n{"qid": 2,\n')
    (folder / "form.ini").write_text(FORM, encoding="utf-8")
    (folder / "report.pdf").write_bytes(b"%PDF-1.7\n")
    samples, rate_hz = soundfile.read(REPOSITORY / "examples" / "audio" / "sheepfield.ogg", always_2d=True)
    soundfile.write(folder / "bleat.wav", samples[10 * rate_hz : int(11.4 * rate_hz)], rate_hz)


def judged(folder: Path) -> None:
    """``gt.jsonl``: 12 queries of 8 recordings; ``a``, ``b``, ``c.jsonl``: predictions of falling quality."""
    generator = np.random.default_rng(1)
    truth = []
    for index in range(12):
        starts = np.sort(generator.uniform(0, 50, 1 + index % 3)).round(1)
        windows = [
            [float(start), round(float(start) + 1 + 9 * float(generator.random()), 1)] for start in starts
        ]
        asked = {"qid": f"q{index}", "query": f"{SOUNDS[index % 4]} {index // 4}", "duration": 60.0}
        where = {"vid": f"clip{index % 8}", "relevant_windows": windows, "source": "abc"[index % 3]}
        truth.append(asked | where)
    write(folder / "gt.jsonl", truth)
    for name, spread_s in (("a", 0.5), ("b", 2.0), ("c", 6.0)):
        write(folder / f"{name}.jsonl", [guess(each, spread_s, generator) for each in truth])
    write(folder / "few.jsonl", [guess(each, 1.0, generator) for each in truth[:9]])
    wrong = guess(truth[0], 1.0, generator) | {"pred_relevant_windows": [[5.0, 3.0, 0.5], [1.0, "x", 0.5]]}
    write(folder / "wrong.jsonl", [wrong])


def guess(truth: dict[str, Any], spread_s: float, generator: np.random.Generator) -> dict[str, Any]:
    """A prediction: true moments with shifted ends, and one anywhere."""
    windows = []
    for start, end in [*truth["relevant_windows"], [0.0, 12.0]]:
        first, stop = np.sort(np.clip(generator.normal([start, end], spread_s), 0, 60)).round(3).tolist()
        windows.append([first, round(stop + 0.1, 3), round(float(generator.random()), 4)])
    windows.sort(key=lambda window: -window[2])
    kept = {key: truth[key] for key in ("qid", "query", "vid", "duration")}
    curve = generator.random(10).round(4).tolist()
    return kept | {"pred_relevant_windows": windows, "pred_saliency_scores": curve}


def events(folder: Path) -> None:
    """``sed_gt.jsonl`` and ``sed.jsonl``: classes as queries."""
    asked = [
        ("A car passes.", "v", 10, [[1.0, 3.5]], [[0, 2, 0.9], [8, 9, 0.4]]),
        ("People walk.", "v", 10, [[6, 7], [0.1, 0.9]], [[6, 7, 0.5]]),
        ("A car passes.", "w", 4.2, [[0, 4.2]], [[1, 2, 0.6]]),
    ]
    truth, found = [], []
    for qid, (query, vid, duration, windows, guesses) in enumerate(asked):
        kept = {"qid": qid, "query": query, "duration": duration, "vid": vid}
        truth.append(kept | {"relevant_windows": windows})
        found.append(kept | {"pred_relevant_windows": guesses})
    write(folder / "sed_gt.jsonl", truth)
    write(folder / "sed.jsonl", found)
    (folder / "labels.tsv").write_text("car\tA car passes.\npeople_walking\tPeople walk.\n")


def sources(folder: Path) -> None:
    """``fg.csv`` and ``bg.csv``: tones with quiet ends, and noise to lay them over."""
    (folder / "fg").mkdir()
    (folder / "bg").mkdir()
    clips = ["file,label,captions,group,size"]
    for index, label in enumerate(("bell", "horn", "drill", "saw")):
        time_s = np.arange((1 + index) * RATE_HZ // 2) / RATE_HZ
        quiet = np.full(RATE_HZ // 5, 1e-4)
        tone = np.concatenate([quiet, 0.4 * np.sin(2 * np.pi * (300 + 150 * index) * time_s), quiet])
        soundfile.write(folder / "fg" / f"{label}.wav", tone, RATE_HZ)
        clips.append(f"fg/{label}.wav,{label},a {label} sounds|the {label} number {index},g{index},{index}")
    (folder / "fg.csv").write_text("\n".join(clips) + "\n")
    beds = ["file,contains_labels"]
    for index, length_s in enumerate((10, 9, 3)):
        noise = 0.1 * np.random.default_rng([7, index]).standard_normal(length_s * RATE_HZ)
        soundfile.write(folder / "bg" / f"street{index}.wav", noise.clip(-1, 1), RATE_HZ)
        beds.append(f"bg/street{index}.wav,{'horn;siren' if index == 0 else ''}")
    (folder / "bg.csv").write_text("\n".join(beds) + "\n")


def lessons(folder: Path) -> None:
    """``tree/`` with features in which sounds are directions, ``train.jsonl`` and ``val.jsonl``."""
    generator = np.random.default_rng(7)
    (folder / "tree" / "clap").mkdir(parents=True)
    (folder / "tree" / "clap_text").mkdir()
    for name, count in (("train", 10), ("val", 6)):
        write(
            folder / f"{name}.jsonl", [lesson(folder / "tree", f"{name}{n}", generator) for n in range(count)]
        )


def lesson(tree: Path, name: str, generator: np.random.Generator) -> dict[str, Any]:
    """A recording of one sound, written as features, and the question for it."""
    directions = 3 * np.eye(len(SOUNDS), DIM, dtype=np.float32)
    length, sound = int(generator.integers(12, 25)), int(generator.integers(len(SOUNDS)))
    start = int(generator.integers(0, length - 4))
    end = start + 2 + int(generator.integers(0, length - start - 2))
    frames = generator.normal(0, 0.3, (length, DIM)).astype(np.float32)
    frames[start:end] += directions[sound]
    np.savez(tree / "clap" / f"{name}.npz", features=frames)
    tokens = np.repeat(directions[sound][None], 3, axis=0)
    np.savez(tree / "clap_text" / f"qid{name}.npz", last_hidden_state=tokens)
    asked = {"qid": name, "query": SOUNDS[sound], "duration": float(length), "vid": name}
    return asked | {"relevant_windows": [[start, end]]}
