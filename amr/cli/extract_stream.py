"""``amr extract -`` as a long-lived reader: recordings are named on standard input as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from amr.audio.files import AudioFile, find_audio
from amr.cli.extract_job import TOOL, Job
from amr.cli.extract_work import already_there, source_name
from amr.cli.group import in_shard
from amr.cli.messages import Failures, warn
from amr.cli.names import NamesAhead
from amr.cli.progress import SoundProgress, file_bytes
from amr.errors import AmrError
from amr.formats.features_write import FeatureWriter
from amr.formats.notices import Notices

THERE_ALREADY = "is there already, passed over"


class Intake:
    """Turns names into recordings to do. What is wrong with a name is told, and the next one is taken.

    Args:
        names: as they come.
        writer: knows what is there already.
        failures: told of names that mean nothing, or the wrong thing.
        progress: told how much is to come.
        should_stop: asked before each name.
    """

    def __init__(
        self,
        job: Job,
        names: NamesAhead,
        writer: FeatureWriter,
        failures: Failures,
        progress: SoundProgress,
        should_stop: Callable[[], bool],
    ) -> None:
        self.job = job
        self.notices = Notices()
        self._names = names
        self._writer = writer
        self._failures = failures
        self._progress = progress
        self._should_stop = should_stop
        self._coming: dict[str, str] = {}
        self._taken = 0

    def runs(self) -> Iterator[Iterator[AudioFile]]:
        """Runs of recordings; a run ends where the next name would have to be waited for."""
        while self._wants_more() and self._names.wait(self._should_stop):
            yield self._run()

    def _wants_more(self) -> bool:
        return not self._should_stop() and (self.job.limit is None or self._taken < self.job.limit)

    def _run(self) -> Iterator[AudioFile]:
        if not self._wants_more():
            return
        for name in self._names.at_hand():
            for file in self._recordings(name):
                self._taken += 1
                self._coming[file.id] = source_name(file)
                self._progress.expect(file_bytes(file.path))
                yield file
                if not self._wants_more():
                    return

    def _recordings(self, name: str) -> Iterator[AudioFile]:
        """The recordings behind a name that are this part's to do."""
        try:
            files = find_audio([name])
        except AmrError as error:
            self._failures.note(error)
            return
        for file in files:
            if in_shard(file.id, self.job.shard) and self._is_new(file):
                yield file

    def _is_new(self, file: AudioFile) -> bool:
        try:
            is_there = already_there(file, self._writer.sources) or already_there(file, self._coming)
        except AmrError as error:
            self._failures.note(error)
            return False
        if is_there:
            if self.notices.count(THERE_ALREADY) == 0:
                warn(TOOL, [f"{file.path}: {THERE_ALREADY}"], quiet=self.job.quiet)
            self.notices.add(THERE_ALREADY, str(file.path))
        return not is_there

    def done(self, file: AudioFile) -> None:
        """The recording is through; if it failed, its name may come again."""
        self._coming.pop(file.id, None)

    def tell(self) -> None:
        """How many names were passed over, where it was more than the one that was told of at once."""
        if self.notices.count(THERE_ALREADY) > 1:
            warn(TOOL, self.notices.lines(), quiet=self.job.quiet)
