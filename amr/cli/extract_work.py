"""The work of ``amr extract``: recordings through the encoder into a writer, whatever comes in between."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import takewhile
from pathlib import Path

from amr.audio.files import AudioFile
from amr.audio.noise import library_chatter_hidden
from amr.cli.extract_job import TOOL, Job, history_entry
from amr.cli.messages import Failures, say
from amr.cli.progress import SoundProgress, clock, file_bytes
from amr.cli.stopping import InterruptedSignal, StoppedError
from amr.encoders.base import Encoder
from amr.encoders.device import choose_device
from amr.encoders.pipeline import EncodedRecording, encode_many
from amr.encoders.threads import set_up_threads
from amr.errors import AmrError, InputError, MissingError
from amr.formats.features_output import Begin, open_feature_output
from amr.formats.features_write import FeatureWriter

TEXT_BATCH = 64  # queries encoded at once
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def already_there(file: AudioFile, sources: dict[str, str]) -> bool:
    """Whether the recording is in the file.

    Raises:
        InputError: one of that id is, but from another path.
    """
    source = sources.get(file.id)
    if source is not None and os.path.normpath(source) != os.path.normpath(source_name(file)):
        raise InputError(
            f"would be called {file.id!r}, which is there already, from {source}",
            where=file.path,
            hint="rename it, or extract it into a file of its own",
        )
    return source is not None


def source_name(file: AudioFile) -> str:
    """A path as it is stored: bytes that are not UTF-8 are spelt out."""
    return str(file.path).encode("utf-8", "backslashreplace").decode("utf-8")


def batch_progress(files: list[AudioFile], job: Job) -> SoundProgress:
    """Progress over recordings that are all known."""
    total_bytes = sum(file_bytes(file.path) for file in files)
    return SoundProgress(TOOL, total=len(files), total_bytes=total_bytes, quiet=job.quiet)


def produce(
    job: Job,
    encoder: Encoder,
    output: Path,
    begin: Begin,
    texts: list[str],
    files: list[AudioFile],
    failures: Failures,
    should_stop: Callable[[], bool],
) -> None:
    """One feature file with these texts and recordings, less those that it has already."""
    identity_json = encoder.identity.to_json()
    with open_feature_output(output, identity_json=identity_json, store=job.store, begin=begin) as writer:
        writer.add_history(history_entry(job))
        write_texts(writer, encoder, texts)
        missing = [file for file in files if not already_there(file, writer.sources)]
        with batch_progress(missing, job) as progress:
            if missing:
                told = failures if job.keep_going else None
                write_recordings(writer, encoder, [missing], job, progress, told, should_stop)
        if not job.quiet:
            summarise(writer, progress, output)


def write_texts(writer: FeatureWriter, encoder: Encoder, texts: list[str]) -> None:
    """Encode the texts that are not there yet."""
    missing = [text for text in texts if not writer.has_text(text)]
    for start in range(0, len(missing), TEXT_BATCH):
        batch = missing[start : start + TEXT_BATCH]
        for text, vectors in zip(batch, encoder.encode_text(batch), strict=True):
            writer.add_text(text, vectors)
    writer.commit()


def write_recordings(
    writer: FeatureWriter,
    encoder: Encoder,
    runs: Iterable[Iterable[AudioFile]],
    job: Job,
    progress: SoundProgress,
    failures: Failures | None,
    should_stop: Callable[[], bool],
    on_done: Callable[[AudioFile], None] | None = None,
) -> None:
    """Decode, encode and write every recording, in order; after each run all of it is committed.

    Args:
        runs: recordings, in runs between which there may be a long wait.
        failures: told of broken recordings; None: the first one ends the work.
        should_stop: asked after each recording.
        on_done: told of each recording that is through, well or not.

    Raises:
        StoppedError: ``should_stop`` said so, after a recording; all that is done is kept.
    """
    crew = set_up_threads(encoder, on_gpu=choose_device(job.device) != "cpu", workers=job.workers)
    for run in takewhile(lambda _: not should_stop(), runs):
        encoded = encode_many(encoder, run, workers=crew.workers, batch=crew.batch, on_halved=say_halved)
        with closing(encoded):
            for recording in encoded:
                try:
                    write_recording(writer, recording, encoder.identity.hop_s, progress)
                except AmrError as error:
                    if failures is None:
                        raise advised(error) from error
                    failures.note(error)
                progress.done(file_bytes(recording.file.path))
                if on_done is not None:
                    on_done(recording.file)
                if should_stop():
                    break
        writer.commit()
    if should_stop():
        raise StoppedError("terminated", hint=f"what is finished is kept; {job.goes_on_with}")


def write_recording(
    writer: FeatureWriter, recording: EncodedRecording, hop_s: float, progress: SoundProgress
) -> None:
    """One recording, as its frames come."""
    with writer.recording(recording.file.id, source=source_name(recording.file)) as output:
        for frames in recording:
            output.append(frames)
            progress.heard(len(frames) * hop_s)
        output.finish(recording.duration_s)


def say_halved(batch: int) -> None:
    say(f"amr {TOOL}: warning: not enough memory for the batch; going on with {batch} segments at once")


def advised(error: AmrError) -> AmrError:
    """The error of one recording among many, with what to do about the others."""
    error.hint = error.hint or "--keep-going does the others; what is finished is kept for --resume"
    return error


def summarise(writer: FeatureWriter, progress: SoundProgress, output: Path) -> None:
    done = f"{progress.recordings} recordings, {clock(progress.sound_s)} of sound"
    say(f"amr {TOOL}: {done} ({progress.speed:.0f} x real time); {len(writer.sources)} in {output}")


@contextmanager
def ends_explained(job: Job) -> Iterator[None]:
    """Says, when the user stops the work or the disk is full, where that is and that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise InterruptedSignal(f"interrupted; {job.goes_on_with} with {job.output}") from error
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        raise MissingError(
            f"no room to write on ({error.strerror})",
            where=job.output,
            hint=f"make room; {job.goes_on_with} with what is finished",
        ) from error


@contextmanager
def library_chatter_shown_if(verbose: bool) -> Iterator[None]:
    """Decoders' own messages are for those who ask for more."""
    if verbose:
        yield
        return
    with library_chatter_hidden():
        yield
