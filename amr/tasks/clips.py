"""Moments cut out of their recordings, a file each, named so that a listing is in order of time."""

from __future__ import annotations

import io
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import soundfile

from amr.audio.names import file_name_of
from amr.audio.stretch import length_s, open_stretch
from amr.errors import InputError
from amr.formats.exchange.tracks import Track, Window, by_recording
from amr.formats.streams import open_output, other_content
from amr.tasks.recordings import RecordingFiles

LENGTH_TOLERANCE_S = 0.1  # encoders fill their last block
MAX_STEM = 80
MAX_SLUG = 40
BYTES_PER_LETTER = 1.5
"""Of a name that is cut, so that with its times it fits into the 255 bytes of file systems in any script."""
SUBTYPES = {"wav": "PCM_16", "flac": "PCM_16", "ogg": "VORBIS", "mp3": "MPEG_LAYER_III"}
"""16 bits: what players expect."""


@dataclass(frozen=True)
class MomentClip:
    """One moment as a sound file.

    Args:
        path: of the file.
        track: the query and the recording.
        window: the moment.
    """

    path: Path
    track: Track
    window: Window

    def record(self) -> dict[str, Any]:
        """A plain JSON object; times in seconds of the recording."""
        start_s, end_s, score = self.window
        record = {"clip": os.fspath(self.path), "vid": self.track.vid, "qid": self.track.qid}
        return {**record, "query": self.track.query, "start": start_s, "end": end_s, "score": score}


def plan_clips(tracks: Iterable[Track], folder: Path, form: str) -> list[MomentClip]:
    """A clip for each moment, ``VID_HHhMMmSS.mmms-HHhMMmSS.mmms_QUERY.FORM``.

    Names sort by recording and time. A ``/`` of an id is written ``%2F``, what else is unfit for a file name
    becomes ``_``; of names that would be equal, or differ in case only, the later ones end in a number.
    """
    clips: list[MomentClip] = []
    names = ClipNames()
    for vid, group in by_recording(tracks).items():
        windows = ((window, number) for number, track in enumerate(group) for window in track.windows)
        for window, number in sorted(windows, key=lambda item: (item[0][:2], item[1])):
            stem = (
                f"{fit(file_name_of(vid), MAX_STEM, kept='%')}_{stamp(window.start_s)}-{stamp(window.end_s)}"
            )
            stem += f"_{fit(group[number].query, MAX_SLUG)}"
            clips.append(MomentClip(folder / f"{names.free(stem)}.{form}", group[number], window))
    return clips


class ClipNames:
    """Names that no file system takes for one another."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}

    def free(self, stem: str) -> str:
        """``stem``, or where that is taken ``stem-2``, ``stem-3`` and so on."""
        count = self._counts.get(folded(stem), 0) + 1
        while folded(name := stem if count == 1 else f"{stem}-{count}") in self._taken:
            count += 1
        self._counts[folded(stem)] = count
        self._taken.add(folded(name))
        return name


def folded(name: str) -> str:
    """Equal for names that some file system takes for one another."""
    return unicodedata.normalize("NFC", name.casefold())


def stamp(seconds: float) -> str:
    """A time of equal width below 100 hours, without a character that file systems refuse."""
    minutes, milliseconds = divmod(round(max(seconds, 0.0) * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}h{minutes:02d}m{milliseconds // 1000:02d}.{milliseconds % 1000:03d}s"


def fit(text: str, limit: int, kept: str = "") -> str:
    """Letters, digits, ``.``, ``-`` and ``kept`` of a text, else ``_``; never empty, never hidden."""
    slug = re.sub(rf"[^\w.{kept}-]+", "_", text).strip("_")[:limit]
    slug = slug.encode("utf-8")[: round(limit * BYTES_PER_LETTER)].decode("utf-8", "ignore").strip("_")
    return re.sub(r"^\.+", "_", slug) or "_"


def write_clips(
    clips: Sequence[MomentClip],
    files: RecordingFiles,
    *,
    context_s: float = 0.0,
    force: bool = False,
    resume: bool = False,
) -> Iterator[MomentClip]:
    """Write the clips, and yield each as soon as it is cut, with ``context_s`` of sound around it.

    Channels and rate are the recording's own.

    Args:
        files: the recordings that the clips are of.
        resume: keep a clip that is there already and as long as it should be.

    Raises:
        InputError: a recording is not in ``files`` or is no sound, a moment lies after its end, or a
            clip's file exists and ``force`` is not set, or with ``resume`` is another one.
    """
    for clip in clips:
        if clip.track.vid not in files.paths:
            raise InputError(
                f"the recording {clip.track.vid!r} is not among --audio; there are: {files.shown}",
                where=clip.track.where,
            )
        source = files.paths[clip.track.vid]
        if not (resume and is_cut(clip, source, context_s)):
            write_clip(clip, source, context_s=context_s, force=force)
        yield clip


def is_cut(clip: MomentClip, source: Path, context_s: float) -> bool:
    """Whether an interrupted run has written this clip; a name appears only when its bytes are complete.

    Raises:
        InputError: what stands there is not as long, or no sound.
    """
    if not clip.path.exists():
        return False
    begin_s, end_s = stretch_of(clip, context_s)
    try:
        found_s = soundfile.info(clip.path).duration
    except soundfile.LibsndfileError:
        raise other_content(clip.path) from None
    if abs(found_s - (min(end_s, length_s(source)) - begin_s)) > LENGTH_TOLERANCE_S:
        raise other_content(clip.path)
    return True


def stretch_of(clip: MomentClip, context_s: float) -> tuple[float, float]:
    """Where a clip begins and ends in its recording, in seconds, as far as that goes."""
    return max(clip.window.start_s - context_s, 0.0), clip.window.end_s + context_s


class CheckedOutput:
    """A file for libsndfile, which goes on as if nothing were wrong where a write fails.

    Leaving the block raises the first failure.

    Args:
        file: open for writing.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._failure: OSError | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._tried(lambda: self._file.seek(offset, whence))

    def tell(self) -> int:
        return self._tried(self._file.tell)

    def read(self, size: int) -> bytes:  # soundfile wants one, and never calls it
        raise io.UnsupportedOperation(size)

    def write(self, data: bytes) -> int:
        return self._tried(lambda: self._file.write(data))

    def flush(self) -> None:
        self._tried(lambda: self._file.flush() or 0)

    def _tried(self, action: Callable[[], int]) -> int:
        try:
            return 0 if self._failure else action()
        except OSError as error:
            self._failure = error
            return 0

    def check(self) -> None:
        """Raise the first failure, if there was one."""
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> CheckedOutput:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.check()


def write_clip(clip: MomentClip, source: Path, *, context_s: float, force: bool) -> None:
    """One clip's file; it appears when it is complete."""
    begin_s, end_s = stretch_of(clip, context_s)
    form = clip.path.suffix.removeprefix(".")
    with open_stretch(source, begin_s, end_s) as (blocks, rate_hz):
        first = next(blocks, None)
        if first is None:
            raise InputError(
                f"the moment {clip.window.start_s:g}–{clip.window.end_s:g} s lies after the end of {source}",
                where=clip.track.where,
            )
        with open_output(clip.path, force=force) as file, CheckedOutput(file) as output:
            settings = {"subtype": SUBTYPES[form], "format": form.upper()}
            with soundfile.SoundFile(output, "w", rate_hz, first.shape[1], **settings) as sound:
                for block in chain([first], blocks):
                    sound.write(block)
                    output.check()
