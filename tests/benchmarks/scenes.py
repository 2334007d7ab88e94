"""Can moments be found? Scenes of 60 s with three different events on a real background.

    python tests/benchmarks/scenes.py DATA/audio --set esc50

Each event is a labelled clip at 0, 5, 10 or 20 dB over the background; the query is its phrase and the truth
its extent. Beside the encoder stand two that know no language: the loudest moment, and a random one. Sets:
``open-train`` (the only one to tune on), ``esc50`` (ESC-50 fold 4 on the validation backgrounds),
``open-test``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from clips import SAMPLE_RATE_HZ, Clip, Wave, esc50_fold4, phrase_query, read_rows, wave_of

from amr.arrays import Float32Array
from amr.encoders.base import Encoder
from amr.encoders.registry import load_encoder
from amr.moments import FrameGrid, interval_iou
from amr.retrieval.window import WindowOptions, find_moments

SCENE_S = 60.0
EVENTS_PER_SCENE = 3
SNRS_DB = (0.0, 5.0, 10.0, 20.0)
SHORTEST_EVENT_S = 1.0  # about one window of the encoder
LONGEST_EVENT_S = 15.0  # three must fit side by side with room between them
EDGE_S = 1.0
BACKGROUND_RMS = 0.02  # low enough that an event 20 dB above does not clip
IOUS = (0.3, 0.5, 0.7)


@dataclass(frozen=True)
class Event:
    """A clip placed in a scene."""

    clip: Clip
    query: str
    start_s: float
    end_s: float
    snr_db: float


@dataclass(frozen=True)
class Scene:
    samples: Wave
    events: list[Event]


def clips_of(data: Path, name: str) -> tuple[list[Clip], list[Clip]]:
    """Foreground and background of a set; no made-up effects, no event too short or too long to be placed."""
    open_fg, open_bg = read_rows(data / "open", "foreground"), read_rows(data / "open", "background")
    if name == "esc50":
        background = [c for c in open_bg if c.split == "val"] + read_rows(
            data / "evaluation_nc", "background"
        )
        return [clip for clip in esc50_fold4(data) if fits(clip)], background
    split = name.removeprefix("open-")
    return [c for c in open_fg if c.split == split and fits(c)], [c for c in open_bg if c.split == split]


def fits(clip: Clip) -> bool:
    return not clip.designed and SHORTEST_EVENT_S <= clip.duration_s <= LONGEST_EVENT_S


def rms(samples: Wave) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))) + 1e-9)


def background_of(clip: Clip, rng: np.random.Generator) -> Wave:
    """60 s of a background from a random place on, played in a circle where it is shorter."""
    samples = wave_of(clip.path)
    wanted = int(SCENE_S * SAMPLE_RATE_HZ)
    rolled = np.roll(samples, -int(rng.integers(len(samples))))
    looped = np.tile(rolled, -(-wanted // len(samples)))[:wanted]
    return looped * np.float32(BACKGROUND_RMS / rms(looped))


def place(lengths_s: list[float], rng: np.random.Generator) -> list[float]:
    """Starts of events that do not touch: the free time is cut at random and dealt out between them."""
    free_s = SCENE_S - sum(lengths_s) - EDGE_S * (len(lengths_s) + 1)
    cuts = np.sort(rng.uniform(0.0, free_s, len(lengths_s)))
    before = np.concatenate(([0.0], np.cumsum(lengths_s)[:-1]))
    return [float(cuts[k] + before[k] + EDGE_S * (k + 1)) for k in range(len(lengths_s))]


def draw_scene(foreground: list[Clip], background: list[Clip], rng: np.random.Generator) -> Scene:
    """One scene: a background, and three clips of labels that it does not already hold."""
    ground = background[rng.integers(len(background))]
    samples = background_of(ground, rng)
    chosen: list[tuple[Clip, Wave]] = []
    while len(chosen) < EVENTS_PER_SCENE:
        clip = foreground[rng.integers(len(foreground))]
        if clip.label in {c.label for c, _ in chosen} | {*ground.also_holds, ground.label}:
            continue
        chosen.append((clip, wave_of(clip.path)))
    events = []
    for (clip, wave), start_s in zip(
        chosen, place([len(w) / SAMPLE_RATE_HZ for _, w in chosen], rng), strict=True
    ):
        snr_db = float(rng.choice(SNRS_DB))
        gain = BACKGROUND_RMS * 10 ** (snr_db / 20) / rms(wave)
        first = round(start_s * SAMPLE_RATE_HZ)
        samples[first : first + len(wave)] += np.float32(gain) * wave
        end_s = start_s + len(wave) / SAMPLE_RATE_HZ
        events.append(Event(clip, phrase_query(foreground, clip.label), start_s, end_s, snr_db))
    return Scene(np.clip(samples, -1.0, 1.0), events)


def draw_scenes(foreground: list[Clip], background: list[Clip], num: int, seed: int) -> Iterator[Scene]:
    """Scenes one by one; scene ``k`` is the same however many are drawn."""
    for number in range(num):
        yield draw_scene(foreground, background, np.random.default_rng([seed, number]))


def frames_of(encoder: Encoder, samples: Wave) -> tuple[Float32Array, FrameGrid]:
    """Frames of one recording, zeros behind it where the last window needs them."""
    identity = encoder.identity
    grid = FrameGrid.covering(len(samples) / SAMPLE_RATE_HZ, window_s=identity.window_s, hop_s=identity.hop_s)
    padded = np.zeros(
        identity.window_samples + (grid.num_frames - 1) * identity.hop_samples, dtype=np.float32
    )
    padded[: len(samples)] = samples
    return encoder.encode_audio(padded[None])[0], grid


def loudness(samples: Wave, grid: FrameGrid) -> Float32Array:
    """Level of each frame's cell in dB."""
    firsts = [round((grid.offset_s + i * grid.hop_s) * SAMPLE_RATE_HZ) for i in range(grid.num_frames)]
    hop = round(grid.hop_s * SAMPLE_RATE_HZ)
    return np.array([20 * np.log10(rms(samples[first : first + hop])) if first < len(samples) else -180.0
                     for first in firsts], dtype=np.float32)  # fmt: skip


def overlap(found: tuple[float, float], event: Event) -> float:
    return float(interval_iou(np.array(found), np.array([event.start_s, event.end_s])))


def measure(
    encoder: Encoder, scenes: Iterator[Scene], options: WindowOptions, seed: int
) -> dict[str, list[tuple[float, float]]]:
    """(SNR, IoU of the first answer with the truth) of every event, by method."""
    results: dict[str, list[tuple[float, float]]] = {"encoder": [], "loudest": [], "random": []}
    rng = np.random.default_rng([seed, 0])
    for scene in scenes:
        frames, grid = frames_of(encoder, scene.samples)
        pooled = np.stack(
            [text.pooled for text in encoder.encode_text([event.query for event in scene.events])]
        )
        curves = encoder.joint_audio(frames) @ encoder.joint_text(pooled).T  # (frames, events)
        loudest = find_moments(loudness(scene.samples, grid), grid, SCENE_S, WindowOptions())[0]
        for curve, event in zip(curves.T, scene.events, strict=True):
            best = find_moments(curve, grid, SCENE_S, options)[0]
            cuts = np.sort(rng.uniform(0.0, SCENE_S, 2))
            results["encoder"].append((event.snr_db, overlap((best.start_s, best.end_s), event)))
            results["loudest"].append((event.snr_db, overlap((loudest.start_s, loudest.end_s), event)))
            results["random"].append((event.snr_db, overlap((float(cuts[0]), float(cuts[1])), event)))
    return results


def table(results: dict[str, list[tuple[float, float]]]) -> str:
    """R1 and mIoU in percent, and R1@0.5 by SNR."""
    heads = [f"R1@{iou}" for iou in IOUS] + ["mIoU"] + [f"{snr:g} dB" for snr in SNRS_DB]
    lines = [f"{'':10}" + "".join(f"{head:>8}" for head in heads) + "   (by SNR: R1@0.5)"]
    for method, pairs in results.items():
        snr, iou = np.array(pairs).T
        values = [np.mean(iou >= limit) for limit in IOUS] + [np.mean(iou)]
        values += [np.mean(iou[snr == level] >= 0.5) for level in SNRS_DB]
        lines.append(f"{method:10}" + "".join(f"{100 * value:8.1f}" for value in values))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with open/ and evaluation_nc/")
    parser.add_argument(
        "--set", choices=("open-train", "esc50", "open-test"), default="open-train", dest="name"
    )
    parser.add_argument("--scenes", type=int, default=160)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--encoder", default="yamnet")
    parser.add_argument("--hop", type=float, default=None)
    options = parser.parse_args()
    foreground, background = clips_of(options.data, options.name)
    encoder = load_encoder(options.encoder, hop_s=options.hop)
    started_s = time.process_time()
    scenes = draw_scenes(foreground, background, options.scenes, options.seed)
    results = measure(encoder, scenes, WindowOptions(), options.seed)
    print(f"{options.name}: {options.scenes} scenes, {len(results['encoder'])} queries, seed {options.seed}")
    print(table(results))
    print(f"{time.process_time() - started_s:.0f} s of processor time")


if __name__ == "__main__":
    main()
