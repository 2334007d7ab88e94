"""What a page has of its recordings: links, small spectrograms, embedded clips."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_from_bytes

import numpy as np

from amr.audio.stretch import read_mono
from amr.report.overview import POWER_FLOOR, Overview, overview
from amr.report.page import PageClip, PageRecording
from amr.report.png import SHADES, ink_png
from amr.report.records import Case

IMAGE_COLUMNS = 480
IMAGE_BANDS = 48
IMAGE_RANGE_DB = 60.0

CLIP_RATE_HZ = 24_000
MAX_CLIP_S = 15.0
"""An embedded clip is cut here: 15 s of MP3 weigh about 80 kB in the page."""


@dataclass(frozen=True)
class SoundOptions:
    """How the sound comes into a page.

    Args:
        folder: where the page will stand; links are relative to it.
        images: whether spectrograms are drawn.
        embed: how many of the best moments of each query are embedded, and all true ones; 0 links the files.
    """

    folder: Path
    images: bool = True
    embed: int = 0


def page_recordings(
    cases: Iterable[Case],
    files: Mapping[str, Path],
    options: SoundOptions,
    on_progress: Callable[[], None] = lambda: None,
) -> dict[str, PageRecording]:
    """What the page has of every recording that ``files`` knows; the others are left out.

    Raises:
        InputError: a file is no sound, or damaged.
    """
    by_vid: dict[str, list[Case]] = {}
    for case in cases:
        by_vid.setdefault(case.vid, []).append(case)
    found = {}
    for vid, group in by_vid.items():
        if vid in files:
            found[vid] = page_recording(files[vid], group, options)
            on_progress()
    return found


def page_recording(path: Path, cases: Sequence[Case], options: SoundOptions) -> PageRecording:
    sound = overview(path, columns=IMAGE_COLUMNS, bands=IMAGE_BANDS, hops_a_window=2)
    return PageRecording(
        duration_s=sound.duration_s,
        link="" if options.embed else relative_url(path, options.folder),
        image=data_url("image/png", ink_png(shades(sound))) if options.images else "",
        clips=embedded_clips(path, cases, options.embed) if options.embed else [],
    )


def shades(sound: Overview) -> np.typing.NDArray[np.uint8]:
    """``(bands, columns)`` 0 to 15, low frequencies at the bottom; the loudest point is black.

    Silence stays pale: black is never less than the whole range above what no sound at all has.
    """
    black_db = max(float(sound.level_db.max()), 10.0 * np.log10(POWER_FLOOR) + IMAGE_RANGE_DB)
    level = 1.0 + (sound.level_db - black_db) / IMAGE_RANGE_DB
    shade: np.typing.NDArray[np.uint8] = np.rint(np.clip(level, 0, 1)[::-1] * (SHADES - 1)).astype(np.uint8)
    return shade


def relative_url(path: Path, folder: Path) -> str:
    """A link from a page in ``folder`` to a file, every byte that means something in a URL escaped."""
    relative = os.path.relpath(os.path.realpath(path), os.path.realpath(folder))
    return "./" + quote_from_bytes(os.fsencode(relative), safe="/")


def data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def embedded_clips(path: Path, cases: Sequence[Case], best: int) -> list[PageClip]:
    """The best moments of each case and the true ones, each stretch once, none longer than ``MAX_CLIP_S``."""
    wanted = [moment[:2] for case in cases for moment in [*case.predicted[:best], *(case.truth or [])]]
    clips = []
    for start_s, end_s in dict.fromkeys(sorted(wanted)):
        begin_s, stop_s = max(start_s, 0.0), min(end_s, max(start_s, 0.0) + MAX_CLIP_S)
        samples, rate_hz = read_mono(path, begin_s, stop_s)
        if len(samples):
            kind, content = encode_clip(samples, rate_hz)
            end_s = begin_s + len(samples) / rate_hz
            clips.append(PageClip(round(begin_s, 3), round(end_s, 3), data_url(kind, content)))
    return clips


def encode_clip(samples: np.typing.NDArray[np.float32], rate_hz: int) -> tuple[str, bytes]:
    """MIME type and file of a mono clip: MP3, which every browser plays; WAV where libsndfile has no MP3."""
    import soundfile
    import soxr

    kind, form, subtype = (
        ("audio/mpeg", "MP3", "MPEG_LAYER_III")
        if "MP3" in soundfile.available_formats()
        else ("audio/wav", "WAV", "PCM_16")
    )
    if rate_hz != CLIP_RATE_HZ:
        samples = soxr.resample(samples, rate_hz, CLIP_RATE_HZ)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(samples, -1, 1), CLIP_RATE_HZ, format=form, subtype=subtype)
    return kind, buffer.getvalue()
