"""Audio files as blocks of samples, never as a whole: the one place that decides what decodes a file.

libsndfile where it can, ffmpeg for all others. Files that are several ones end to end
(:mod:`amr.audio.joined`, :mod:`amr.audio.mp3`) and headers that are wrong about their sound
(:mod:`amr.audio.claims`) are seen before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import soundfile

from amr.audio.chain import Chain
from amr.audio.claims import read_claim
from amr.audio.decoder import Decoder
from amr.audio.ffmpeg import FfmpegDecoder
from amr.audio.files import MPEG_EXTENSIONS
from amr.audio.flac import read_flac_claim
from amr.audio.joined import MOST_LINKS, find_links
from amr.audio.mp3 import id3_bytes, mpeg_stretches, parse_frame
from amr.audio.names import NATIVE_EXTENSIONS, audio_extension
from amr.audio.native import SoundfileDecoder, Source, reason
from amr.audio.view import read_at
from amr.errors import InputError, MissingError

SLOWEST_HZ, FASTEST_HZ = 100, 4_000_000  # below hydrophones for whales, above recorders for bats
NOT_SOUND = "holds bytes between its frames that are not sound; they are skipped"
WEB_PAGES = (b"<!doctype html", b"<html", b"<?xml")


@contextmanager
def open_decoder(path: Path, *, strict: bool = False) -> Iterator[Decoder]:
    """A recording, ready to be read once.

    Args:
        path: the audio file.
        strict: refuse what would otherwise be remarked on: a header that is wrong about the sound.

    Raises:
        MissingError: it needs an ffmpeg that is not here.
        InputError: there is no such file; it is empty, no audio, or its header is nonsense.
    """
    require_audio_file(path)
    sources = find_sources(path)
    if len(sources) >= MOST_LINKS:
        raise InputError(f"is {MOST_LINKS} files end to end, or more", where=path)
    if len(sources) > 1:
        yield Chain([partial(open_source, source, strict=strict) for source in sources])
        return
    with open_source(sources[0], strict=strict) as decoder:
        yield decoder


def find_sources(path: Path) -> list[Source]:
    """The sound in a file, in order: mostly one, the file as it is."""
    if claimed := claimed_sources(path):
        return claimed
    if is_mpeg(path):
        found, lost_bytes = mpeg_stretches(path)
        remark = NOT_SOUND if lost_bytes else ""
        if found:
            return [Source(path, (one.part,), None, not one.says_length, remark) for one in found]
    return [link_source(path, link) for link in find_links(path)]


def link_source(path: Path, link: range) -> Source:
    """One of the files in a file, or the whole of it."""
    if claim := read_flac_claim(path, link):
        return Source(path, claim.pieces, claimed_frames=claim.samples)
    return Source(path, None if link == range(path.stat().st_size) else (link,))


def claimed_sources(path: Path) -> list[Source]:
    """Sources of the forms that claim a size; none where the file is of no such form."""
    sources: list[Source] = []
    size, start = path.stat().st_size, 0
    while start < size and len(sources) <= MOST_LINKS and (claim := read_claim(path, start)) is not None:
        end = start + claim.end
        if claim.claimed != claim.found or claim.more:
            sources.append(Source(path, claim.pieces(claim.found) if claim.fits else (claim.sound,), claim))
        else:
            sources.append(Source(path, None if (start, end) == (0, size) else (range(start, end),)))
        start = end
    return sources


def is_mpeg(path: Path) -> bool:
    """Whether a file begins with a frame of MPEG audio, or is called so."""
    begin = id3_bytes(read_at(path, 0, 10))
    return parse_frame(read_at(path, begin, 4)) is not None or audio_extension(path.name) in MPEG_EXTENSIONS


@contextmanager
def open_source(source: Source, *, strict: bool) -> Iterator[Decoder]:
    """A decoder for a source: libsndfile, or ffmpeg where that refuses it.

    Raises:
        MissingError: it needs an ffmpeg that is not here.
        InputError: neither can read it; the reasons of both are given.
    """
    try:
        file = source.open()
    except soundfile.LibsndfileError as error:
        with open_with_ffmpeg(source, reason(error), strict=strict) as decoder:
            check_header(source.path, decoder.sample_rate_hz, decoder.channels)
            yield decoder
        return
    with file:
        check_header(source.path, file.samplerate, file.channels)
        yield SoundfileDecoder(source, file, strict=strict)


def open_with_ffmpeg(source: Source, native_reason: str, *, strict: bool) -> FfmpegDecoder:
    """What libsndfile refused, through ffmpeg."""
    path = source.path
    part = source.pieces[-1] if source.pieces is not None and source.claim is None else None
    assert not isinstance(part, bytes)
    refuse_web_page(path)
    try:
        return FfmpegDecoder(path, part, strict=strict)
    except (InputError, MissingError) as error:
        if audio_extension(path.name) not in NATIVE_EXTENSIONS:
            raise
        why = "no ffmpeg to try it with is on the PATH" if isinstance(error, MissingError) else error.what
        raise InputError(
            f"cannot be read as audio (libsndfile: {native_reason or 'no reason given'}; {why})",
            where=path,
        ) from error


def refuse_web_page(path: Path) -> None:
    """Say it in words where a download brought a page instead of sound."""
    head = read_at(path, 0, 512).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(WEB_PAGES):
        raise InputError("is a web page, not audio", where=path)


def require_audio_file(path: Path) -> None:
    """Refuse, in words, what is not a file with something in it."""
    if path.is_dir():
        raise InputError("is a folder, expected an audio file", where=path)
    if not path.exists():
        raise InputError("no such audio file", where=path)
    if not path.is_file():
        raise InputError("is not a regular file", where=path, hint="save the sound as a file first")
    try:
        empty = not read_at(path, 0, 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from error
    if empty:
        raise InputError("is empty (0 bytes)", where=path)


def check_header(path: Path, sample_rate_hz: int, channels: int) -> None:
    """Refuse rates that no recorder has, before anything is sized by them."""
    if not SLOWEST_HZ <= sample_rate_hz <= FASTEST_HZ:
        raise InputError(
            f"the header says {sample_rate_hz} Hz, expected {SLOWEST_HZ} to {FASTEST_HZ}", where=path
        )
    if channels < 1:
        raise InputError("the header says 0 channels", where=path)
