"""Many recordings through one encoder: decoding, encoding and the use of the frames go on at the same time.

Threads decode the next recordings, a pool of threads encodes segments of several recordings (the networks'
kernels leave Python's lock), and results come back in order. How much waits in between is bounded, so neither
a long recording nor a slow reader fills the memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from amr.arrays import Float32Array
from amr.audio.ahead import decode_ahead
from amr.audio.files import AudioFile
from amr.encoders.base import Encoder
from amr.encoders.running.batcher import SegmentBatcher
from amr.encoders.running.blocks import whole_blocks
from amr.encoders.running.stream import SEGMENT_FRAMES, cut_segments
from amr.errors import AmrError, InputError, PluginError, StoppedError

BATCHES_QUEUED = 2  # for each worker: one in the network, one at hand
PATIENCE_S = 0.1  # between two looks at whether to stop
MOST_KEPT_BYTES = 2**25 - 2**16  # glibc heeds what is freed up to 32 MiB, its own few bytes included


@dataclass(frozen=True)
class RecordingBegin:
    """From here on the frames belong to this recording."""

    file: AudioFile


@dataclass(frozen=True)
class RecordingEnd:
    """The recording is through: its duration and remarks, or what was wrong with it."""

    duration_s: float = 0.0
    error: AmrError | None = None
    remarks: Sequence[str] = ()


Event = RecordingBegin | RecordingEnd | Float32Array
"""What comes along the pipeline; between begin and end, segments ``(n,)`` or their frames ``(n, dim)``."""


class EncodedRecording:
    """Frames of one recording ``(n, dim)`` at a time; duration and remarks are known after the last ones.

    Iterating raises the ``AmrError`` that reading the recording raised.
    """

    def __init__(self, file: AudioFile, results: Iterator[Event]) -> None:
        self.file = file
        self.duration_s = 0.0
        self.remarks: Sequence[str] = ()
        self._results = results
        self._ended = False

    def __iter__(self) -> Iterator[Float32Array]:
        while not self._ended:
            result = next(self._results)
            if isinstance(result, RecordingEnd):
                self._ended = True
                self.duration_s, self.remarks = result.duration_s, result.remarks
                if result.error is not None:
                    raise self.file.located(result.error)
            elif not isinstance(result, RecordingBegin):
                yield result

    def skip(self) -> None:
        """Pass over the frames that were not read."""
        try:
            for _ in self:
                pass
        except AmrError:
            return


def encode_many(
    encoder: Encoder,
    files: Iterable[AudioFile],
    *,
    workers: int,
    segment_frames: int = SEGMENT_FRAMES,
    batch: int = 1,
    on_halved: Callable[[int], None] | None = None,
    strict: bool = False,
    should_stop: Callable[[], bool] = lambda: False,
) -> Generator[EncodedRecording, None, None]:
    """Every recording in order; each is to be read before the next one.

    A recording whose file changes while it is read, or cannot be read to its end, ends with an error.

    Args:
        workers: threads that encode; ``encoder.encode_audio`` is called from all of them.
        segment_frames: frames in a segment.
        batch: segments that are encoded at once, perhaps of several recordings.
        on_halved: called, by a worker, when memory made it halve the batch.
        strict: refuse a recording whose header is wrong about its sound.
        should_stop: looked at several times a second while frames are waited for.

    Raises:
        StoppedError: ``should_stop`` said so, in the middle of a recording or between two.
    """
    if workers < 1 or batch < 1:
        raise ValueError(f"workers {workers} and batch {batch} must be at least 1")
    keep_freed_memory()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="encode")
    events = read_events(encoder, files, whole_blocks(encoder, segment_frames), should_stop, strict=strict)
    batcher = SegmentBatcher(encoder, pool, batch, on_halved)
    results = encode_events(batcher, events, BATCHES_QUEUED * workers, should_stop)
    try:
        for result in results:
            if not isinstance(result, RecordingBegin):
                continue  # what is left of a recording that could not be encoded
            recording = EncodedRecording(result.file, results)
            yield recording
            recording.skip()
    finally:
        results.close()
        events.close()
        pool.shutdown(wait=False, cancel_futures=True)  # an early end waits for no segment


def keep_freed_memory() -> None:
    """Have glibc keep up to 64 MB of freed memory for the next segment.

    Else it gives back what a segment took and asks for it again, page by page, for every segment. The largest
    piece that was freed sets how much it keeps (``M_MMAP_THRESHOLD`` in mallopt(3)); this one is never
    touched, and costs nothing. Other allocators take no notice.
    """
    np.empty(MOST_KEPT_BYTES, np.uint8)


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
    encoder: Encoder,
    files: Iterable[AudioFile],
    segment_frames: int,
    should_stop: Callable[[], bool],
    *,
    strict: bool = False,
) -> Generator[Event, None, None]:
    """Begin, segments and end of each recording; a broken one ends with its error."""
    identity = encoder.identity
    states: deque[FileState] = deque()

    def with_states() -> Iterator[AudioFile]:
        for file in files:
            states.append(FileState.of(file.path))
            yield file

    rate_hz = identity.sample_rate_hz
    for decoded in decode_ahead(with_states(), rate_hz, ahead=1, strict=strict, should_stop=should_stop):
        yield RecordingBegin(decoded.file)
        state = states.popleft()
        try:
            yield from cut_segments(decoded, identity, segment_frames)
            require_unchanged(decoded.file.path, state)
        except StoppedError:
            raise
        except AmrError as error:
            yield RecordingEnd(error=error)
        except OSError as error:
            yield RecordingEnd(error=InputError(f"cannot be read: {error.strerror}", where=decoded.file.path))
        else:
            yield RecordingEnd(duration_s=decoded.duration_s, remarks=decoded.remarks)


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
        f"changed while it was read ({grown if now.size_bytes != before.size_bytes else 'rewritten'})",
        where=path,
        hint="give it again when it is complete",
    )


def encode_events(
    batcher: SegmentBatcher, events: Iterable[Event], ahead: int, should_stop: Callable[[], bool]
) -> Generator[Event, None, None]:
    """Events with frames in place of segments, in order, while up to ``ahead`` batches are under way."""
    waiting: deque[RecordingBegin | RecordingEnd | Future[Float32Array]] = deque()
    under_way, most = 0, ahead * batcher.batch
    try:
        for event in events:
            if isinstance(event, (RecordingBegin, RecordingEnd)):
                waiting.append(event)
            else:
                waiting.append(batcher.submit(event))
                under_way += 1
                most = ahead * batcher.batch_of(len(event))
            while under_way > most:
                first = waiting.popleft()
                under_way -= isinstance(first, Future)
                yield finished(first, batcher, should_stop)
        while waiting:
            yield finished(waiting.popleft(), batcher, should_stop)
    finally:
        for job in waiting:
            if isinstance(job, Future):
                job.cancel()


def finished(
    job: RecordingBegin | RecordingEnd | Future[Float32Array],
    batcher: SegmentBatcher,
    should_stop: Callable[[], bool],
) -> Event:
    """The result of a job, waited for; an explained failure ends its recording, any other one the work."""
    if not isinstance(job, Future):
        return job
    batcher.flush(job)
    while not (stops := should_stop()) and not wait([job], PATIENCE_S).done:
        pass
    if stops:
        raise StoppedError("stopped in the middle of a recording")
    try:
        return job.result()
    except PluginError:
        raise
    except AmrError as error:
        return RecordingEnd(error=error)
