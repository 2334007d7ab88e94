"""What was accepted, in the forms of other tools, and as clips."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from amr.errors import InputError
from amr.formats.exchange.forms import FORMS, render_files
from amr.formats.exchange.tracks import Track, Window, by_recording, file_stem, grouped, identified
from amr.formats.labels import Label
from amr.formats.notices import Notices
from amr.serve.library import ServedRecording
from amr.serve.limits import MOST_CLIPS, MOST_CLIPS_S
from amr.tasks.clips import plan_clips, write_clips
from amr.tasks.recordings import RecordingFiles

MEDIA = {".txt": "text/plain", ".csv": "text/csv", ".jsonl": "application/jsonl", ".rttm": "text/plain"}
CLIPS = "clips"


class Download(NamedTuple):
    """A file to be saved."""

    name: str
    media_type: str
    content: bytes


def accepted_tracks(labels: Iterable[Label], recordings: Mapping[str, ServedRecording]) -> list[Track]:
    """The accepted moments of recordings that are here, by recording and name.

    Raises:
        InputError: there is none.
    """
    moments = [
        (label.vid, label.query, Window(label.start_s, label.end_s), "")
        for label in labels
        if label.accepted and label.vid in recordings
    ]
    if not moments:
        raise InputError("nothing is accepted yet, so there is nothing to export")
    tracks = [of_recording(each, recordings[each.vid]) for each in grouped(moments)]
    return identified(tracks, [], Notices())


def of_recording(track: Track, recording: ServedRecording) -> Track:
    """A track with its recording's length, and its file where that is known."""
    return replace(track, duration_s=recording.duration_s, path=recording.record()["path"] or "")


def export(form: str, labels: Iterable[Label], recordings: Mapping[str, ServedRecording]) -> Download:
    """The accepted moments in a form of :data:`amr.formats.exchange.forms.FORMS`, or as ``clips``.

    What holds one recording a file comes as a ZIP archive where there are several.

    Raises:
        InputError: nothing is accepted; an id cannot name a file; or, of clips, too much is accepted, or a
            recording is not there.
    """
    tracks = accepted_tracks(labels, recordings)
    if form == CLIPS:
        return Download("clips.zip", "application/zip", clips_of(tracks, recordings))
    ending = FORMS[form].ending
    if not FORMS[form].holds_one:
        media = MEDIA.get(ending, "application/octet-stream")
        return Download(f"labels{ending}", media, FORMS[form].render(tracks).encode("utf-8"))
    texts = render_files(tracks, form)
    names = {vid: file_stem(vid) + ending for vid in texts}
    if len(texts) == 1:
        [(vid, text)] = texts.items()
        return Download(names[vid], MEDIA.get(Path(ending).suffix, "application/json"), text.encode("utf-8"))
    return Download(
        f"{form}.zip", "application/zip", zipped({names[vid]: text for vid, text in texts.items()})
    )


def zipped(files: Mapping[str, str]) -> bytes:
    """Texts as a ZIP archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text.encode("utf-8"))
    return buffer.getvalue()


def clips_of(tracks: Sequence[Track], recordings: Mapping[str, ServedRecording]) -> bytes:
    """Every moment as a WAV file, in a ZIP archive.

    Raises:
        InputError: they are too many, or too long; a recording is not there, or no sound.
    """
    lengths_s = [window.end_s - window.start_s for track in tracks for window in track.windows]
    if len(lengths_s) > MOST_CLIPS or sum(lengths_s) > MOST_CLIPS_S:
        what = f"{len(lengths_s)} clips of {sum(lengths_s):.0f} s in all are too much for a page"
        raise InputError(what, hint="amr convert LABELS --clips DIR --audio FOLDER")
    paths = {vid: path for vid in by_recording(tracks) if (path := recordings[vid].path) is not None}
    files = RecordingFiles(paths, list(recordings))
    buffer = io.BytesIO()
    with TemporaryDirectory() as folder, zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for clip in write_clips(plan_clips(tracks, Path(folder), "wav"), files):
            archive.write(clip.path, clip.path.name)
            clip.path.unlink()
    return buffer.getvalue()
