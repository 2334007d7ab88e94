"""Moments cut out of their recordings, a file each, named so that a listing is in order of time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile

from amr.errors import InputError
from amr.formats.streams import open_output
from amr.formats.tracks import Track, Window, by_recording
from amr.report.sound import open_stretch

MAX_STEM = 80
MAX_SLUG = 40
SUBTYPES = {"wav": "PCM_16", "flac": "PCM_16", "ogg": "VORBIS", "mp3": "MPEG_LAYER_III"}
"""16 bits: what players expect."""


@dataclass(frozen=True)
class Clip:
    """One moment as a file to be.

    Args:
        name: of the file.
        track: whose moment it is.
        window: the moment.
    """

    name: str
    track: Track
    window: Window


def plan_clips(tracks: Iterable[Track], ending: str) -> list[Clip]:
    """A clip for each moment, ``VID_HHhMMmSS.mmms-HHhMMmSS.mmms_QUERY.ENDING``.

    Names sort by recording and time. What is unfit for a file name becomes ``_``; names that would be equal
    are told apart by a number.
    """
    clips: list[Clip] = []
    taken: dict[str, int] = {}
    for vid, group in by_recording(tracks).items():
        windows = sorted(
            ((w, number) for number, track in enumerate(group) for w in track.windows), key=_by_time
        )
        for window, number in windows:
            stem = f"{fit(vid, MAX_STEM)}_{stamp(window.start_s)}-{stamp(window.end_s)}"
            stem += f"_{fit(group[number].query, MAX_SLUG)}"
            taken[stem.lower()] = count = taken.get(stem.lower(), 0) + 1
            name = f"{stem}.{ending}" if count == 1 else f"{stem}-{count}.{ending}"
            clips.append(Clip(name, group[number], window))
    return clips


def _by_time(item: tuple[Window, int]) -> tuple[float, float, int]:
    return item[0].start_s, item[0].end_s, item[1]


def stamp(seconds: float) -> str:
    """A time of equal width below 100 hours, without a character that file systems refuse."""
    milliseconds = round(max(seconds, 0.0) * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}h{minutes:02d}m{rest // 1000:02d}.{rest % 1000:03d}s"


def fit(text: str, limit: int) -> str:
    """Letters, digits, ``.`` and ``-`` of a text, everything else as ``_``; never empty, never hidden."""
    slug = re.sub(r"[^\w.-]+", "_", text).strip("_")[:limit].strip("_")
    return re.sub(r"^\.+", "_", slug) or "_"


def cut_clips(
    clips: Sequence[Clip], files: Mapping[str, Path], folder: Path, *, context_s: float, force: bool
) -> Iterator[tuple[Clip, Path]]:
    """Write the clips, each as soon as it is cut, with ``context_s`` of sound around it.

    Channels and rate are the recording's own.

    Raises:
        InputError: a recording is not in ``files`` or is no sound, a moment lies after its end, or a
            clip's file exists and ``force`` is not set.
    """
    for clip in clips:
        if clip.track.vid not in files:
            here = ", ".join(list(files)[:3]) or "none"
            raise InputError(
                f"the recording {clip.track.vid!r} is not among --audio; there are: {here}",
                where=clip.track.where,
            )
        path = folder / clip.name
        write_clip(clip, files[clip.track.vid], path, context_s=context_s, force=force)
        yield clip, path


def write_clip(clip: Clip, source: Path, target: Path, *, context_s: float, force: bool) -> None:
    """One clip's file; it appears when it is complete."""
    begin_s, end_s = max(clip.window.start_s - context_s, 0.0), clip.window.end_s + context_s
    form = target.suffix.removeprefix(".")
    with open_stretch(source, begin_s, end_s) as (blocks, rate_hz):
        first = next(blocks, None)
        if first is None:
            raise InputError(
                f"the moment {clip.window.start_s:g}–{clip.window.end_s:g} s lies after the end of {source}",
                where=clip.track.where,
            )
        with (
            open_output(target, force=force) as file,
            soundfile.SoundFile(
                file, "w", rate_hz, first.shape[1], subtype=SUBTYPES[form], format=form.upper()
            ) as sound,
        ):
            sound.write(first)
            for block in blocks:
                sound.write(block)
