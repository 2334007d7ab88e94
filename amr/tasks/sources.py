"""Sound as recordings to search: encoded, or, for what does not listen, measured."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from amr.arrays import Float32Array
from amr.audio.files import AudioFile, file_bytes
from amr.audio.read import MonoStream
from amr.audio.samples import NAME, ArrayStream
from amr.encoders.base import Encoder
from amr.encoders.running.device import choose_device
from amr.encoders.running.pipeline import EncodedRecording, encode_many
from amr.encoders.running.stream import encode_stream, grid_of
from amr.encoders.running.threads import EncoderThreads, set_up_threads
from amr.errors import AmrError, InputError
from amr.formats.notices import Notices
from amr.formats.queries import Query
from amr.retrieval.recordings import LengthSource, RecordingFrames, length_only
from amr.tasks.callbacks import OnProgress, RecordingMeter, logged_notices


class AudioSource:
    """Audio files that are encoded when they are wanted.

    When it is known beforehand what will be wanted (:meth:`prepare`), the next recordings are decoded and
    encoded while the last one is searched.

    Args:
        files: the recordings.
        encoder: makes their frames.
        threads: that encode.
        meter: counts the recordings.
        remarks: takes what is to be said of them.
        strict: a recording whose header is wrong about its sound is refused.
    """

    name = "audio files"

    def __init__(
        self,
        files: Sequence[AudioFile],
        encoder: Encoder,
        threads: EncoderThreads,
        meter: RecordingMeter,
        remarks: Notices,
        *,
        strict: bool = False,
    ) -> None:
        self._files = {file.id: file for file in files}
        self._encoder = encoder
        self._threads = threads
        self._meter = meter
        self._remarks = remarks
        self._strict = strict
        self._coming: deque[str] = deque()
        self._stream: Iterator[EncodedRecording] = iter(())

    @property
    def vids(self) -> Sequence[str]:
        return list(self._files)

    def prepare(self, vids: Sequence[str]) -> None:
        """These will be wanted, in this order."""
        files, threads = [self._files[vid] for vid in vids], self._threads
        self._coming = deque(vids)
        self._stream = encode_many(
            self._encoder, files, workers=threads.workers, batch=threads.batch, strict=self._strict
        )

    def load(self, vid: str) -> RecordingFrames:
        """A recording, when all of it is encoded. Raises what was wrong with the file."""
        if not self._coming or self._coming[0] != vid:
            self.prepare([vid])
        self._coming.popleft()
        coming = next(self._stream)
        try:
            frames = np.concatenate(list(coming))
        finally:
            self._meter.done(file_bytes(coming.file.path))
        self._meter.heard(coming.duration_s)
        for remark in coming.remarks:
            self._remarks.add(remark, str(coming.file.path))
        return encoded(vid, frames, coming.duration_s, self._encoder)

    def duration_s(self, vid: str) -> float:
        return length_of(self._files[vid])

    def path(self, vid: str) -> str:
        return str(self._files[vid].path)


@contextmanager
def audio_source(
    files: Sequence[AudioFile],
    encoder: Encoder,
    device: str,
    workers: int | None,
    on_progress: OnProgress,
    *,
    strict: bool = False,
) -> Iterator[AudioSource]:
    """Audio files that are encoded ahead of the search, while the block runs; remarks are logged at its end.

    Args:
        workers: threads that encode; None: what the machine has free.
    """
    sizes = sum(file_bytes(file.path) for file in files)
    meter = RecordingMeter(on_progress, total=len(files), total_bytes=sizes)
    threads = set_up_threads(encoder, on_gpu=choose_device(device) != "cpu", workers=workers)
    try:
        with logged_notices() as remarks:
            yield AudioSource(files, encoder, threads, meter, remarks, strict=strict)
    finally:
        threads.restore()


def encoded(vid: str, frames: Float32Array, duration_s: float, encoder: Encoder) -> RecordingFrames:
    """Frames ``(frames, dimension)`` of a whole recording, placed in time."""
    return RecordingFrames(vid, frames, grid_of(duration_s, encoder.identity), duration_s, encoder.identity)


def encode_samples(samples: Any, rate_hz: float, encoder: Encoder, device: str) -> RecordingFrames:
    """Samples in memory, encoded as a file is. Raises as :class:`amr.audio.samples.ArrayStream` does."""
    stream = ArrayStream(samples, rate_hz, encoder.identity.sample_rate_hz)
    threads = set_up_threads(encoder, on_gpu=choose_device(device) != "cpu", workers=1)
    try:
        frames = np.concatenate(list(encode_stream(encoder, stream, batch=threads.batch)))
    finally:
        threads.restore()
    return encoded(NAME, frames, stream.duration_s, encoder)


def length_of_samples(samples: Any, rate_hz: float) -> RecordingFrames:
    """The length of samples in memory. Raises as :class:`amr.audio.samples.ArrayStream` does."""
    return length_only(NAME, measured_s(ArrayStream(samples, rate_hz)))


def read_length_s(path: str | Path) -> float:
    """The length of what can really be decoded, in seconds: a header may promise what is not there."""
    return measured_s(MonoStream(path, None))


def measured_s(stream: MonoStream) -> float:
    """The length of a stream, in seconds, by reading it."""
    for _ in stream:
        continue
    return stream.duration_s


class AudioLengths:
    """Audio files of which nothing but the length is wanted, each read when it is: enough for the priors."""

    name = "audio files"

    def __init__(self, files: Sequence[AudioFile]) -> None:
        self._files = {file.id: file for file in files}

    @property
    def vids(self) -> Sequence[str]:
        return list(self._files)

    def prepare(self, vids: Sequence[str]) -> None:
        """Nothing is gained by knowing what comes."""

    def load(self, vid: str) -> RecordingFrames:
        raise InputError(f"the length of {vid!r} is wanted, not its sound", where=self.name)

    def duration_s(self, vid: str) -> float:
        return length_of(self._files[vid])

    def path(self, vid: str) -> str:
        return str(self._files[vid].path)


def length_of(file: AudioFile) -> float:
    """The length of a recording, in seconds. Raises what is wrong with the file."""
    try:
        return read_length_s(file.path)
    except AmrError as error:
        raise file.located(error) from error


def query_lengths(queries: Sequence[Query]) -> LengthSource:
    """The recordings that queries name, with the lengths that they give."""
    return LengthSource({str(query.vid): float(query.duration_s or 0.0) for query in queries}, "the queries")
