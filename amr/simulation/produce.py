"""Going through a plan: render each scene into a sink, annotations out in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt

from amr.errors import AmrError
from amr.formats.recipes import Scene
from amr.formats.streams import open_output
from amr.processors import ordered_map
from amr.simulation.folder import OutputFolder
from amr.simulation.render import encode, render_scene
from amr.simulation.sources import SourceAudio

Product = npt.NDArray[Any]
"""What a sink makes of a scene in a thread and stores in the first one."""


class SceneSink(Protocol):
    """Where recordings go."""

    def is_done(self, scene: Scene) -> bool:
        """Whether an earlier run has finished it."""
        ...

    def prepare(self, scene: Scene) -> Product | None:
        """Render it; called from several threads."""
        ...

    def keep(self, scene: Scene, product: Product) -> None:
        """Store what ``prepare`` gave back, if anything; called from one thread, in the plan's order."""
        ...


@dataclass(frozen=True)
class SceneOutcome:
    """A scene that is through: made now or before, or why it failed."""

    scene: Scene
    error: AmrError | None = None


class AudioFileSink:
    """A sink of one audio file a scene, each complete when it appears.

    Args:
        sources: the sounds.
        folder: where the files go.
    """

    def __init__(self, sources: SourceAudio, folder: OutputFolder) -> None:
        self._sources = sources
        self._folder = folder

    def is_done(self, scene: Scene) -> bool:
        return self._folder.is_done(scene)

    def prepare(self, scene: Scene) -> None:
        """Render, encode and write in the worker's thread; files are independent of each other."""
        data = encode(render_scene(scene, self._sources), scene.sample_rate_hz, scene.encoding)
        with open_output(self._folder.audio_path(scene), force=self._folder.replace) as file:
            file.write(data)

    def keep(self, scene: Scene, product: Product) -> None:
        """Never called: nothing is left to do."""


class NullSink:
    """The sink of ``--plan``: no sound is made."""

    def is_done(self, scene: Scene) -> bool:  # noqa: ARG002  # the protocol's
        return True

    def prepare(self, scene: Scene) -> None: ...

    def keep(self, scene: Scene, product: Product) -> None: ...


def produce(
    scenes: Sequence[Scene], sink: SceneSink, *, workers: int, keep_going: bool
) -> Iterator[SceneOutcome]:
    """Every scene of a plan through a sink, in order.

    Raises:
        AmrError: a scene failed and ``keep_going`` is not set.
    """

    def prepare(scene: Scene) -> tuple[SceneOutcome, Product | None]:
        if sink.is_done(scene):
            return SceneOutcome(scene), None
        try:
            return SceneOutcome(scene), sink.prepare(scene)
        except AmrError as error:
            return SceneOutcome(scene, error), None

    for outcome, product in ordered_map(prepare, scenes, workers):
        if outcome.error is not None and not keep_going:
            raise outcome.error
        if product is not None:
            sink.keep(outcome.scene, product)
        yield outcome
