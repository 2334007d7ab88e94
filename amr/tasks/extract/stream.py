"""Recordings that are named on standard input as they come, perhaps for days."""

from __future__ import annotations

from collections.abc import Iterator

from amr.audio.files import AudioFile, file_bytes, find_audio
from amr.distributed import in_shard
from amr.errors import AmrError
from amr.formats.features.output import Begin, partial_path
from amr.formats.features.write import create_feature_file
from amr.formats.notices import Notices
from amr.formats.streams import STDIO, require_readable
from amr.tasks.callbacks import log
from amr.tasks.extract.jobs import ExtractJob, history_entry
from amr.tasks.extract.report import ExtractReport
from amr.tasks.extract.work import RecordingWork, write_texts
from amr.tasks.names import NameStream

THERE_ALREADY = "is in the file already, skipped"


def extract_as_named(job: ExtractJob) -> ExtractReport:
    """Extract recordings as their names come on standard input."""
    require_readable(STDIO)
    texts = job.sources.texts()
    encoder = job.encoder.load()
    identity_json = encoder.identity.to_json()
    arguments = NameStream(job.sources.audio)
    output, present = job.target.path, job.target.present
    names = job.target.names([present] if present is not None else [])
    if job.target.begin is Begin.APPEND and not output.exists() and not partial_path(output).exists():
        arguments.wait(job.should_stop)  # a list of nothing leaves nothing
        create_feature_file(output, identity_json=identity_json, store=job.target.store)
    with job.target.open(identity_json) as writer:
        writer.add_history(history_entry(job))
        write_texts(writer, encoder, texts)
        work = RecordingWork(job, encoder, writer, [], names)
        recordings = NamedRecordings(arguments, work)
        work.write(recordings.runs(), recordings.done)
        recordings.log_passed_over()
        return work.report()


class NamedRecordings:
    """Turns file names into recordings to do. What is wrong with one is a failure, and the next one is taken.

    Args:
        arguments: as they come.
        work: that the recordings are for.
    """

    def __init__(self, arguments: NameStream, work: RecordingWork) -> None:
        self._arguments = arguments
        self._work = work
        self._names = work.names
        self._sources = work.job.sources
        self._notices = Notices()
        self._taken = 0

    def runs(self) -> Iterator[Iterator[AudioFile]]:
        """Runs of recordings; a run ends where the next name would have to be waited for."""
        while self._wants_more() and self._arguments.wait(self._work.job.should_stop):
            yield self._run()

    def _wants_more(self) -> bool:
        limit = self._sources.limit
        return not self._work.job.should_stop() and (limit is None or self._taken < limit)

    def _run(self) -> Iterator[AudioFile]:
        if not self._wants_more():
            return
        for name in self._arguments.at_hand():
            for file in self._recordings(name):
                self._taken += 1
                self._names.add(file.id, self._names.source(file.path))
                self._work.meter.expect(file_bytes(file.path))
                yield file
                if not self._wants_more():
                    return

    def _recordings(self, name: str) -> Iterator[AudioFile]:
        """The recordings behind a name that are this part's to do."""
        try:
            files = find_audio([name], self._work.fail, self._names)
        except AmrError as error:  # a file can have no id of its own
            self._work.fail(error)
            return
        for file in files:
            if in_shard(file.id, self._sources.shard) and self._is_new(file):
                yield file

    def _is_new(self, file: AudioFile) -> bool:
        if file.is_stored:
            if self._work.passed_over == 0:
                log.warning("%s: %s", file.path, THERE_ALREADY)
            self._work.passed_over += 1
            self._notices.add(THERE_ALREADY, str(file.path))
        return not file.is_stored

    def done(self, file: AudioFile) -> None:
        """The recording is through; if it failed, its name may come again."""
        if file.id not in self._work.writer.sources:
            self._names.drop(file.id)

    def log_passed_over(self) -> None:
        """How many were passed over, where it was more than the one that was mentioned at once."""
        if self._work.passed_over > 1:
            for line in self._notices.lines():
                log.warning("%s", line)
