"""Moments into the forms of other tools and back, clips, and submission packages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from amr.audio.stretch import length_s
from amr.errors import InputError, UsageError
from amr.formats.exchange.dcase import answers_in_order, output_text, package
from amr.formats.exchange.dcase_form import parse_form
from amr.formats.exchange.forms import FORMS, read_tracks, render_files
from amr.formats.exchange.tracks import Track, Window, file_stem, identified, read_text
from amr.formats.lock import sole_writer_in
from amr.formats.notices import Notices
from amr.formats.queries import read_queries
from amr.formats.streams import (
    STDIO,
    is_written,
    open_input,
    open_output,
    require_writable,
    reserved_output,
)
from amr.formats.untrusted.bounds import read_whole
from amr.tasks.callbacks import logged_notices
from amr.tasks.clips import MomentClip, plan_clips, write_clips
from amr.tasks.recordings import find_recordings


@dataclass(frozen=True)
class MomentFiles:
    """Files that hold moments, and which of the moments are wanted.

    Args:
        paths: files of any form in :data:`amr.formats.exchange.forms.READABLE`; ``-`` is standard input.
        form: of all files; None: each by what it holds, or else its ending.
        ids: a JSONL file whose ids and lengths are taken over, by recording and query.
        top_k: the best moments of each query and recording only.
        top: the best moments of each query over all recordings only, as in ``amr predict``.
        min_score: moments from this score on only; moments without a score are never below one.
    """

    paths: Sequence[str]
    form: str | None = None
    ids: str | None = None
    top_k: int | None = None
    top: int | None = None
    min_score: float | None = None

    def read(self, notices: Notices) -> list[Track]:
        """The tracks of all files, with ids.

        Raises:
            UsageError: the ending of a file does not say its form.
            InputError: a file is not of its form, or none holds a moment.
        """
        known = read_tracks(self.ids, "jsonl", notices) if self.ids is not None else []
        tracks: list[Track] = []
        for path in self.paths:
            tracks += read_tracks(path, self.form, notices)
        if not tracks:
            raise InputError("holds no moment", where=self.paths[0])
        kept = [self.best_of(track) for track in identified(tracks, known, notices)]
        return kept if self.top is None else best_over_all(kept, self.top)

    def best_of(self, track: Track) -> Track:
        """The track with the wanted moments, best first where not all are wanted."""
        low = self.min_score
        if self.top_k is None and low is None:
            return track
        good = [w for w in track.ranked if low is None or w.score is None or w.score >= low]
        return replace(track, windows=good[: self.top_k])


def best_over_all(tracks: Sequence[Track], top: int) -> list[Track]:
    """The ``top`` moments of each query over all recordings; tracks keep their order, and go where they keep
    none. Moments without a score rank below those with one, in their order."""
    ranked: dict[str, list[tuple[float, int, Window]]] = {}
    for number, track in enumerate(tracks):
        ranked.setdefault(track.query, []).extend((-(w.score or 0.0), number, w) for w in track.ranked)
    kept: dict[int, list[Window]] = {}
    for moments in ranked.values():
        for _, number, window in sorted(moments, key=lambda moment: moment[:2])[:top]:
            kept.setdefault(number, []).append(window)
    return [replace(tracks[number], windows=kept[number]) for number in sorted(kept)]


def convert_moments(
    moments: MomentFiles,
    to: str,
    *,
    output: Path | None = None,
    folder: Path | None = None,
    audio: Sequence[str] = (),
    force: bool = False,
    resume: bool = False,
    is_shown: bool = False,
) -> None:
    """Write moments in another form, into one file or a file for each recording.

    Args:
        to: a name in :data:`amr.formats.exchange.forms.FORMS`.
        output: the file; None: standard output.
        folder: in place of ``output``: write a file for each recording here.
        audio: the recordings, from which lengths are taken that the files do not say.
        force: replace files that are there.
        resume: keep those that an interrupted run has written into ``folder``.
        is_shown: standard output is a terminal: names and sentences go there without what it would obey.

    Raises:
        UsageError: the form holds one recording a file, and there are more.
        InputError: an input is wrong, or an output exists and ``force`` is not set.
    """
    whole = STDIO if output is None else output
    with reserved_output(whole, force=force, stream=True), logged_notices() as notices:
        tracks = with_lengths(moments.read(notices), audio)
        if is_shown and output is None and folder is None:
            tracks = [track.printable() for track in tracks]
        if folder is not None:
            write_folder(tracks, to, folder, force=force, resume=resume)
        else:
            write_text(one_text(tracks, to), output, force=force)


def with_lengths(tracks: list[Track], audio: Sequence[str]) -> list[Track]:
    """The tracks with the lengths of their recordings, where those are known or among ``audio``."""
    unknown = dict.fromkeys(track.vid for track in tracks if track.duration_s is None)
    files = find_recordings(audio, unknown).paths if audio and unknown else {}
    lengths = {vid: round(length_s(path), 3) for vid, path in files.items()}
    return [replace(track, duration_s=lengths.get(track.vid, track.duration_s)) for track in tracks]


def one_text(tracks: list[Track], form: str) -> str:
    """All tracks as the text of one file."""
    vids = {track.vid for track in tracks}
    if FORMS[form].holds_one and len(vids) > 1:
        raise UsageError(
            f"{form} holds one recording a file, and the input has {len(vids)}",
            where="--to",
            hint="give a folder: --dir DIR",
        )
    return FORMS[form].render(tracks)


def write_text(text: str, output: Path | None, *, force: bool) -> None:
    """A text as UTF-8, to a file or standard output."""
    write_bytes(encoded(text), output, force=force)


def encoded(text: str) -> bytes:
    """A text as UTF-8."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError("a text of the input holds half of a surrogate pair") from error


def write_bytes(content: bytes, output: Path | None, *, force: bool) -> None:
    with open_output(output if output is not None else STDIO, force=force, stream=True) as file:
        file.write(content)


def write_folder(tracks: list[Track], form: str, folder: Path, *, force: bool, resume: bool) -> None:
    """A file for each recording; every name is checked before the first is written."""
    files = {
        folder / (file_stem(vid) + FORMS[form].ending): encoded(text)
        for vid, text in render_files(tracks, form).items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    with sole_writer_in(folder):
        missing = {path: text for path, text in files.items() if not (resume and is_written(path, text))}
        for path in missing:
            require_writable(path, force=force)
        for path, content in missing.items():
            write_bytes(content, path, force=force)


def cut_clips(
    moments: MomentFiles,
    folder: Path,
    *,
    audio: Sequence[str],
    form: str = "wav",
    context_s: float = 0.0,
    force: bool = False,
    resume: bool = False,
) -> Iterator[MomentClip]:
    """Cut every moment out as a sound file in ``folder``; each clip is yielded as soon as it is written.

    Args:
        audio: the recordings: files, folders or patterns.
        form: ``wav``, ``flac``, ``ogg`` or ``mp3``.
        context_s: seconds of sound before and after each moment.
        force: replace clips that are there.
        resume: keep those that an interrupted run has written.

    Raises:
        InputError: an input is wrong, a recording is missing, or a clip exists and ``force`` is not set.
    """
    with logged_notices() as notices:
        tracks = moments.read(notices)
        files = find_recordings(audio, (track.vid for track in tracks))
        clips = plan_clips(tracks, folder, form)
        folder.mkdir(parents=True, exist_ok=True)
        with sole_writer_in(folder):
            for clip in clips:
                require_writable(clip.path, force=force or resume)
            yield from write_clips(clips, files, context_s=context_s, force=force, resume=resume)


def package_submission(
    systems: Sequence[str], *, form: str, queries: str, report: str, output: Path | None, force: bool = False
) -> None:
    """Write the zip file of a DCASE 2026 Task 6 submission, checked before it is written.

    Args:
        systems: predictions (JSONL), a file a system.
        form: the filled-in form, see :mod:`amr.formats.exchange.dcase_form`.
        queries: the evaluation list (JSONL).
        report: the technical report (PDF).
        output: the zip file; None: standard output.

    Raises:
        InputError: an input is wrong, or breaks a rule of the challenge.
    """
    whole = STDIO if output is None else output
    with reserved_output(whole, force=force, stream=True), logged_notices() as notices:
        filled = parse_form(read_text(form), form, len(systems))
        evaluation = read_queries(queries)
        outputs = [
            output_text(answers_in_order(read_tracks(system, "jsonl", notices), evaluation, system))
            for system in systems
        ]
        with open_input(report) as file:
            content = package(outputs, filled, read_whole(file, report), report)
        write_bytes(content, output, force=force)
