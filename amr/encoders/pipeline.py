"""Many recordings through one encoder: decoding, encoding and whoever takes the frames work at the same time.

Decoders run ahead in threads, segments of whatever recording are encoded by a pool of threads (the networks'
kernels leave Python's lock), and results come back in order. How much waits in between is bounded, so neither
a long recording nor a slow taker fills the memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from amr.audio.ahead import decode_ahead
from amr.audio.files import AudioFile
from amr.encoders.base import Encoder, FloatFrames
from amr.encoders.blocks import whole_blocks
from amr.encoders.stream import SEGMENT_FRAMES, Samples, cut_segments
from amr.encoders.together import Together
from amr.errors import AmrError, InputError

SEGMENTS_AHEAD = 2  # for each worker: one in the network, one at hand


@dataclass(frozen=True)
class Begin:
    """From here on the frames belong to this recording."""

    file: AudioFile


@dataclass(frozen=True)
class End:
    """The recording is through: its duration, or what was wrong with it."""

    duration_s: float = 0.0
    error: AmrError | None = None


Event = Begin | End | Samples


class EncodedRecording:
    """Frames of one recording ``(n, dim)`` at a time; the duration is known after the last ones.

    Iterating raises the ``AmrError`` that reading the recording raised.
    """

    def __init__(self, file: AudioFile, results: Iterator[Begin | End | FloatFrames]) -> None:
        self.file = file
        self.duration_s = 0.0
        self._results = results
        self._ended = False

    def __iter__(self) -> Iterator[FloatFrames]:
        while not self._ended:
            result = next(self._results)
            if isinstance(result, End):
                self._ended = True
                self.duration_s = result.duration_s
                if result.error is not None:
                    raise located(result.error, self.file.path)
            elif not isinstance(result, Begin):
                yield result

    def skip(self) -> None:
        """Pass over the frames that nobody took."""
        try:
            for _ in self:
                pass
        except AmrError:
            return


def located(error: AmrError, path: Path) -> AmrError:
    """The error with the recording's path, where it says none; several recordings may share an error."""
    told = copy(error)
    told.where = error.where or str(path)
    return told


def encode_many(
    encoder: Encoder,
    files: Iterable[AudioFile],
    *,
    workers: int,
    segment_frames: int = SEGMENT_FRAMES,
    batch: int = 1,
    on_halved: Callable[[int], None] | None = None,
) -> Generator[EncodedRecording, None, None]:
    """Every recording in order; each is to be taken before the next is asked for.

    A recording whose file changes while it is read, or cannot be read to its end, ends with an error.

    Args:
        workers: threads that encode; ``encoder.encode_audio`` is called from all of them.
        segment_frames: frames in a segment.
        batch: segments that are encoded at once, of whatever recordings.
        on_halved: told, by a worker, when memory made it halve the batch.
    """
    if workers < 1 or batch < 1:
        raise ValueError(f"workers {workers} and batch {batch} must be at least 1")
    with ThreadPoolExecutor(workers, thread_name_prefix="encode") as pool:
        events = read_events(encoder, files, whole_blocks(encoder, segment_frames))
        together = Together(encoder, pool, batch, on_halved)
        results = encode_events(together, events, SEGMENTS_AHEAD * workers * batch)
        try:
            for result in results:
                if not isinstance(result, Begin):
                    continue  # what is left of a recording that could not be encoded
                recording = EncodedRecording(result.file, results)
                yield recording
                recording.skip()
        finally:
            results.close()
            events.close()


class FileState(NamedTuple):
    """What changes when a file is written to; all zero where there is none."""

    size_bytes: int = 0
    changed_ns: int = 0
    inode: int = 0

    @staticmethod
    def of(path: Path) -> FileState:
        try:
            stat = path.stat()
        except OSError:
            return FileState()
        return FileState(stat.st_size, stat.st_mtime_ns, stat.st_ino)


def read_events(
    encoder: Encoder, files: Iterable[AudioFile], segment_frames: int
) -> Generator[Event, None, None]:
    """Begin, segments and end of each recording; a broken one ends with its error."""
    identity = encoder.identity
    states: deque[FileState] = deque()

    def looked_at() -> Iterator[AudioFile]:
        for file in files:
            states.append(FileState.of(file.path))
            yield file

    for decoded in decode_ahead(looked_at(), identity.sample_rate_hz, ahead=1):
        yield Begin(decoded.file)
        state = states.popleft()
        try:
            yield from cut_segments(decoded, identity, segment_frames)
            require_unchanged(decoded.file.path, state)
        except AmrError as error:
            yield End(error=error)
        except OSError as error:
            yield End(error=InputError(f"cannot be read: {error.strerror}", where=decoded.file.path))
        else:
            yield End(duration_s=decoded.duration_s)


def require_unchanged(path: Path, before: FileState) -> None:
    """Refuse a file that was written to or replaced while it was read; one removed by then was whole.

    Raises:
        InputError: says how it changed.
    """
    now = FileState.of(path)
    if now in (before, FileState()):
        return
    grown = f"{before.size_bytes} bytes at first, {now.size_bytes} at the end"
    raise InputError(
        f"changed while it was read ({grown if now.size_bytes != before.size_bytes else 'written anew'})",
        where=path,
        hint="give it again when it is complete",
    )


def encode_events(
    together: Together, events: Iterable[Event], ahead: int
) -> Generator[Begin | End | FloatFrames, None, None]:
    """Events with frames in place of segments, in order, while up to ``ahead`` segments are under way."""
    waiting: deque[Begin | End | Future[FloatFrames]] = deque()
    under_way = 0
    try:
        for event in events:
            if isinstance(event, (Begin, End)):
                waiting.append(event)
            else:
                waiting.append(together.submit(event))
                under_way += 1
            while under_way > ahead:
                first = waiting.popleft()
                under_way -= isinstance(first, Future)
                yield finished(first, together)
        while waiting:
            yield finished(waiting.popleft(), together)
    finally:
        for job in waiting:
            if isinstance(job, Future):
                job.cancel()


def finished(job: Begin | End | Future[FloatFrames], together: Together) -> Begin | End | FloatFrames:
    """The result of a job, waited for; an explained failure ends its recording, any other one the work."""
    if not isinstance(job, Future):
        return job
    together.hurry(job)
    try:
        return job.result()
    except AmrError as error:
        return End(error=error)
