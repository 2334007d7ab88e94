"""Where the recordings of a simulation go: audio files, a feature file, or nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from amr.errors import UsageError
from amr.formats.lock import sole_writer
from amr.simulation.folder import OutputFolder
from amr.simulation.plan import ScenePlan
from amr.simulation.produce import AudioFileSink, NullSink, SceneSink

if TYPE_CHECKING:
    from amr.formats.features.output import Begin


@dataclass(frozen=True)
class SceneOutput:
    """What comes out of a simulation.

    Args:
        folder: of audio files, annotations and recipe.
        features: feature file that is written in place of audio files.
        encoder, device: what makes its frames, and where.
        render: make sound; else recipe and annotations are all.
        resume, force: go on with what is there, or replace it.
    """

    folder: Path | None
    features: Path | None
    encoder: str
    device: str
    render: bool
    resume: bool
    force: bool

    def __post_init__(self) -> None:
        """Refuse what cannot go together."""
        if not self.render and self.features is not None:
            raise UsageError("--features needs rendered scenes, which --plan leaves out")
        if self.render and self.folder is None and self.features is None:
            raise UsageError(
                "say where to write the recordings", where="-o", hint="-o FOLDER, or --plan for no sound"
            )
        if self.resume and self.force:
            raise UsageError(
                "--resume continues an output, --force replaces it: give one of them", where="--resume"
            )

    @property
    def spill_folder(self) -> Path | None:
        """Where there is room for what does not fit into memory: beside the output."""
        target = self.folder or self.features
        return target.parent if target is not None and target.parent.is_dir() else None

    @contextmanager
    def held(self, shard: tuple[int, int]) -> Iterator[OutputFolder | None]:
        """The output folder, if there is one, and the feature file, both held against other writers.

        Raises:
            InputError: another process writes there; something is in the way.
        """
        with ExitStack() as stack:
            folder = None
            if self.folder is not None:
                folder = OutputFolder(self.folder, shard=shard, force=self.force, resume=self.resume)
                stack.enter_context(folder.held())
            if self.features is not None:
                from amr.formats.features.output import choose_file

                stack.enter_context(sole_writer(self.features))
                choose_file(self.features, self.begin)
            yield folder

    @property
    def begin(self) -> Begin:
        """What is to become of a feature file that is there."""
        from amr.formats.features.output import Begin

        return Begin.RESUME if self.resume else Begin.FORCE if self.force else Begin.NEW

    @contextmanager
    def open_sink(
        self, plan: ScenePlan, folder: OutputFolder | None, workers: int | None
    ) -> Iterator[SceneSink]:
        """What takes the recordings; the recipe is in the folder from here on."""
        if folder is not None:
            folder.begin(plan.scenes, with_audio=self.render and self.features is None)
        if not self.render:
            yield NullSink()
        elif self.features is not None:
            from amr.tasks.simulate_features import open_feature_sink

            with open_feature_sink(
                plan, self.features, self.begin, self.encoder, self.device, workers
            ) as sink:
                yield sink
        else:
            assert folder is not None  # there is one of the two: see __post_init__
            yield AudioFileSink(plan.sources, folder)
