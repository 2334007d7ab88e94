"""Recordings and texts through an encoder into a feature file, known from the start or named later."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import replace
from itertools import takewhile

from amr.audio.files import AudioFile, file_bytes
from amr.audio.names import Names
from amr.encoders.base import Encoder
from amr.encoders.running.pipeline import EncodedRecording, encode_many
from amr.encoders.running.threads import set_up_threads
from amr.errors import AmrError, StoppedError
from amr.formats.features.write import FeatureWriter
from amr.formats.notices import Notices
from amr.tasks.callbacks import OnFailure, RecordingMeter, log
from amr.tasks.extract.jobs import ExtractJob, history_entry
from amr.tasks.extract.report import ExtractReport
from amr.tasks.names import named

TEXT_BATCH = 64  # queries encoded at once
CALLED_BY_PATH = "is called by its path: another recording of its name is stored already"


def extract_known(job: ExtractJob) -> ExtractReport:
    """Extract recordings that are all known from the start."""
    unread, present = Collected(job.on_failure), job.target.present
    names = job.target.names([present] if present is not None else [])
    texts, files = job.sources.texts(), job.sources.files(named(job.sources.audio), names, unread)
    report = write_features(job, job.encoder.load(), texts, files, names)
    return replace(report, failed=(*unread.errors, *report.failed))


class Collected:
    """An ``on_failure`` that keeps what the job's own has let pass."""

    def __init__(self, on_failure: OnFailure) -> None:
        self.errors: list[AmrError] = []
        self._on_failure = on_failure

    def __call__(self, error: AmrError) -> None:
        self._on_failure(error)
        self.errors.append(error)


def write_features(
    job: ExtractJob, encoder: Encoder, texts: list[str], files: list[AudioFile], names: Names
) -> ExtractReport:
    """One feature file with these texts and recordings, less those that it has already.

    Args:
        names: the recordings that are there, and how paths are stored.
    """
    with job.target.open(encoder.identity.to_json()) as writer:
        writer.add_history(history_entry(job))
        write_texts(writer, encoder, texts)
        missing = [file for file in files if file.id not in writer.sources]
        work = RecordingWork(job, encoder, writer, missing, names)
        work.passed_over = len(files) - len(missing)
        if missing:
            work.write([missing])
        return work.report()


def write_texts(writer: FeatureWriter, encoder: Encoder, texts: list[str]) -> None:
    """Encode the texts that are not there yet."""
    missing = [text for text in texts if not writer.has_text(text)]
    for start in range(0, len(missing), TEXT_BATCH):
        batch = missing[start : start + TEXT_BATCH]
        for text, vectors in zip(batch, encoder.encode_text(batch), strict=True):
            writer.add_text(text, vectors)
    writer.commit()


class RecordingWork:
    """Decodes, encodes and writes recordings, and counts them.

    Args:
        files: recordings that are known from the start.
        names: how paths are stored.
    """

    def __init__(
        self, job: ExtractJob, encoder: Encoder, writer: FeatureWriter, files: list[AudioFile], names: Names
    ) -> None:
        self.job = job
        self.encoder = encoder
        self.writer = writer
        self.names = names
        total_bytes = sum(file_bytes(file.path) for file in files)
        self.meter = RecordingMeter(job.on_progress, total=len(files), total_bytes=total_bytes)
        self.fail = Collected(job.on_failure)
        self.passed_over = 0
        self.sound_s = 0.0
        self._there_before = len(writer.sources)
        self._began_s = time.monotonic()
        self._remarks = Notices()

    def write(
        self, runs: Iterable[Iterable[AudioFile]], on_done: Callable[[AudioFile], None] | None = None
    ) -> None:
        """Write every recording, in order; after each run all of it is committed.

        Args:
            runs: recordings, in runs between which there may be a long wait.
            on_done: called with each recording that is through, well or not.

        Raises:
            StoppedError: the job's ``should_stop`` said so. All recordings that are finished are kept, one
                that is not, is not.
        """
        encoder, should_stop = self.encoder, self.job.should_stop
        settings = self.job.encoder
        threads = set_up_threads(encoder, on_gpu=settings.uses_gpu, workers=settings.workers)
        try:
            for run in takewhile(lambda _: not should_stop(), runs):
                encoded = encode_many(
                    encoder,
                    run,
                    workers=threads.workers,
                    batch=threads.batch,
                    on_halved=log_halved,
                    strict=self.job.sources.strict,
                    should_stop=should_stop,
                )
                with suppress(StoppedError), closing(encoded):
                    for recording in encoded:
                        self._write_one(recording)
                        if on_done is not None:
                            on_done(recording.file)
                self.writer.commit()
        finally:
            threads.restore()
        for line in self._remarks.lines():
            log.warning(line)
        if should_stop():
            hint = f"what is finished is kept; {self.job.target.how_to_go_on}"
            raise StoppedError("terminated", hint=hint)

    def _write_one(self, recording: EncodedRecording) -> None:
        """One recording, as its frames come."""
        file, hop_s = recording.file, self.encoder.identity.hop_s
        try:
            with self.writer.recording(file.id, source=self.names.source(file.path)) as output:
                for frames in recording:
                    output.append(frames)
                    self.meter.heard(len(frames) * hop_s)
                output.finish(recording.duration_s)
            self.sound_s += recording.duration_s
            if self.names.has_namesake(file.path, file.id):
                self._remarks.add(CALLED_BY_PATH, str(file.path))
        except StoppedError:
            raise
        except AmrError as error:
            self.fail(file.located(error))
        for remark in recording.remarks:
            self._remarks.add(remark, str(file.path))
        self.meter.done(file_bytes(file.path))

    def report(self) -> ExtractReport:
        total = len(self.writer.sources)
        return ExtractReport(
            output=self.job.target.path,
            written=total - self._there_before,
            passed_over=self.passed_over,
            failed=tuple(self.fail.errors),
            tried=self.meter.progress.done,
            sound_s=self.sound_s,
            took_s=time.monotonic() - self._began_s,
            total=total,
        )


def log_halved(batch: int) -> None:
    log.warning("not enough memory for the batch; going on with %d segments at once", batch)
