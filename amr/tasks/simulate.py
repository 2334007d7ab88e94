"""Recordings with known moments: drawn from captioned clips and backgrounds, or rendered from a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amr.errors import InputError, StoppedError, UsageError
from amr.formats.annotations import Annotation
from amr.formats.jsonl import write_objects
from amr.formats.notices import Notices
from amr.formats.recipes import Scene, check_name, read_recipe_bytes
from amr.formats.streams import open_text_output
from amr.processors import free_processors
from amr.simulation.annotate import annotate
from amr.simulation.declare import declare
from amr.simulation.folder import OutputFolder
from amr.simulation.plan import ScenePlan, SourceSelection, draw_plan
from amr.simulation.produce import SceneOutcome, produce
from amr.simulation.replay import recipe_scenes
from amr.simulation.selection import parse_condition
from amr.simulation.settings import DrawSettings
from amr.simulation.sources import SourceAudio
from amr.simulation.store import SampleStore
from amr.tasks.callbacks import OnFailure, OnProgress, Progress, ShouldStop, ignore_progress, log, never
from amr.tasks.html import html_table
from amr.tasks.simulate_output import SceneOutput

Name = str | Path
OnScene = Callable[[Scene, Sequence[Annotation]], None]


@dataclass(frozen=True)
class SimulateReport:
    """What a simulation made.

    Args:
        scenes: the recordings that are finished, in the plan's order.
        annotations: of all of them.
        annotations_path, recipe_path: the files in the output folder; None without one.
        features_path: the feature file that was written in place of audio.
    """

    scenes: tuple[Scene, ...]
    annotations: tuple[Annotation, ...]
    annotations_path: Path | None
    recipe_path: Path | None
    features_path: Path | None

    @property
    def duration_s(self) -> float:
        """Seconds of sound."""
        return sum(scene.duration_s for scene in self.scenes)

    @property
    def moment_lengths_s(self) -> list[float]:
        """The length of every moment, ascending."""
        return sorted(moment.length_s for each in self.annotations for moment in each.moments)

    @property
    def median_moment_s(self) -> float:
        """0 where there is no moment."""
        lengths_s = self.moment_lengths_s
        return lengths_s[len(lengths_s) // 2] if lengths_s else 0.0

    def record(self) -> dict[str, Any]:
        """Counts, lengths and files, as JSON has them."""
        files = {name: getattr(self, f"{name}_path") for name in ("annotations", "recipe", "features")}
        return {
            "recordings": len(self.scenes),
            "duration_s": self.duration_s,
            "queries": len(self.annotations),
            "moments": len(self.moment_lengths_s),
            "median_moment_s": self.median_moment_s,
            **{name: str(path) for name, path in files.items() if path is not None},
        }

    def _repr_html_(self) -> str:
        return html_table(("made", ""), [(name, str(value)) for name, value in self.record().items()])


def simulate(
    output: Name | None = None,
    *,
    foreground: Name | None = None,
    background: Name | Sequence[Name] = (),
    scenes: int | None = None,
    preset: str | None = None,
    law: str | None = None,
    seed: int | None = None,
    recipe: Name | None = None,
    qid_offset: int | None = None,
    render: bool = True,
    features: Name | None = None,
    encoder: str = "yamnet",
    device: str = "auto",
    sample_rate_hz: int | None = None,
    encoding: str | None = None,
    name_prefix: str | None = None,
    foreground_root: Name | None = None,
    background_root: Name | None = None,
    columns: Mapping[str, str] | None = None,
    background_columns: Mapping[str, str] | None = None,
    split: str | None = None,
    where: Sequence[str] = (),
    background_where: Sequence[str] = (),
    disjoint_from: Sequence[Name] = (),
    workers: int | None = None,
    shard: tuple[int, int] = (0, 1),
    limit: int | None = None,
    resume: bool = False,
    force: bool = False,
    on_scene: OnScene | None = None,
    on_progress: OnProgress = ignore_progress,
    on_failure: OnFailure | None = None,
    should_stop: ShouldStop = never,
    **declared: Any,
) -> SimulateReport:
    """Make recordings with known moments: clips with captions laid over backgrounds.

    The same arguments give the same bytes, whatever ``workers`` is and whether it was interrupted.

    Args:
        output: folder for ``audio/``, ``annotations.jsonl`` and ``recipe.jsonl``.
        foreground: captioned clips: a CSV, a JSONL, or a folder with one.
        background: files, folders or tables of backgrounds.
        scenes: how many recordings; None: one for every cut of every background.
        preset: ``clotho-moment`` or ``castella-like``; None: the AM-DETR paper's algorithm.
        law: what levels mean, ``power`` or ``peak``; None: the preset's own.
        seed: of every draw.
        recipe: render its scenes again in place of drawing: ours, or a published list-form recipe.
        qid_offset: added to a published recipe's qids; None: what makes them the released ones.
        render: False: no sound, only recipe and annotations.
        features: render into this feature file in place of audio files.
        encoder: what makes its frames.
        device: where it computes.
        sample_rate_hz: of the recordings.
        encoding: of the recordings, ``flac`` or ``wav``.
        name_prefix: what recordings are named by, before their number, where ``scenes`` counts them.
        foreground_root: where the table's paths begin, if not beside the table.
        background_root: the same of the backgrounds' table.
        columns: which column holds what, e.g. ``{"captions": "text"}``.
        background_columns: the same of the backgrounds' table.
        split: only rows of this split.
        where: conditions on columns, e.g. ``["label=dog"]``.
        background_where: the same of the backgrounds' table.
        disjoint_from: recipes none of whose sources may be used.
        workers: threads; None: what the machine has free.
        shard: which part of how many, from 0.
        limit: most recordings.
        resume: go on with an output that was interrupted.
        force: replace an output.
        on_scene: called with each finished scene and its annotations, in order.
        on_progress: called after each recording.
        on_failure: called with what is wrong with a source or a scene, which is then left out.
        should_stop: asked after each recording; what is finished stays, ``resume`` goes on with it.
        declared: fields of :class:`amr.simulation.settings.Declaration`, see
            :func:`amr.simulation.declare.declare`: ``duration_s=30``, ``gap_s="uniform:1:5"``.

    Raises:
        UsageError: arguments that contradict each other. InputError: wrong sources, an output in the way.
        StoppedError: ``should_stop`` said so.
    """
    target = SceneOutput(path(output), path(features), encoder, device, render, resume, force)
    counted = given(count=scenes, prefix=name_prefix, seed=seed, sample_rate_hz=sample_rate_hz)
    if recipe is not None:
        chosen = given(split=split, where=where or None, background_where=background_where or None)
        chosen |= given(disjoint_from=disjoint_from or None)
        refuse_draw_settings(given(preset=preset, law=law) | declared | counted | chosen)
    selection = SourceSelection(
        foreground=path(foreground),
        backgrounds=tuple(map(Path, [background] if isinstance(background, str | Path) else background)),
        foreground_root=path(foreground_root),
        background_root=path(background_root),
        foreground_columns=columns or {},
        background_columns=background_columns or {},
        split=split,
        foreground_where=tuple(parse_condition(text, "--where") for text in where),
        background_where=tuple(parse_condition(text, "--background-where") for text in background_where),
        disjoint_from=tuple(map(Path, disjoint_from)),
    )
    threads = free_processors() if workers is None else workers
    notices = Notices()
    with target.held(shard) as folder, closing(SampleStore(folder=target.spill_folder)) as store:
        if recipe is None:
            declaration = declare(preset, law, declared)
            check_prefix(name_prefix, scenes)
            plan = draw_plan(
                selection,
                declaration,
                DrawSettings(**counted, **given(encoding=encoding), shard=shard, limit=limit),
                store=store,
                render=render,
                workers=threads,
                keep_going=on_failure is not None,
                notices=notices,
            )
        else:
            folders = selection.recipe_folders()
            sources = SourceAudio(*folders, store)
            found = recipe_scenes(
                *read_recipe_bytes(recipe),
                sources=sources if render or None not in folders else None,
                encoding=encoding,
                qid_offset=qid_offset,
                drawing=DrawSettings(shard=shard, limit=limit),
                notices=notices,
            )
            plan = ScenePlan(found, sources)
        for line in notices.lines():
            log.warning(line)
        if on_failure is not None:
            for error in plan.broken:
                on_failure(error)
        finished = []
        with (
            target.open_sink(plan, folder, workers) as sink,
            open_annotations(folder) as write,
        ):
            outcomes = produce(plan.scenes, sink, workers=threads, keep_going=on_failure is not None)
            for scene in made_scenes(outcomes, len(plan.scenes), on_progress, on_failure, should_stop):
                annotations = list(annotate(scene))
                write(annotations)
                if on_scene is not None:
                    on_scene(scene, annotations)
                finished.append((scene, annotations))
    return SimulateReport(
        scenes=tuple(scene for scene, _ in finished),
        annotations=tuple(each for _, annotations in finished for each in annotations),
        annotations_path=None if folder is None else folder.annotations_path,
        recipe_path=None if folder is None else folder.recipe_path,
        features_path=target.features,
    )


def made_scenes(
    outcomes: Iterable[SceneOutcome],
    total: int,
    on_progress: OnProgress,
    on_failure: OnFailure | None,
    should_stop: ShouldStop,
) -> Iterator[Scene]:
    """The scenes that could be made, as they are finished."""
    sound_s = 0.0
    for number, outcome in enumerate(outcomes, start=1):
        if outcome.error is None:
            sound_s += outcome.scene.duration_s
            yield outcome.scene
        elif on_failure is not None:
            on_failure(outcome.error)
        on_progress(Progress("recording", number, total, sound_s))
        if number < total and should_stop():
            raise StoppedError(
                f"stopped after {number} of {total} recordings",
                hint="do the same with resume to continue from there",
            )


@contextmanager
def open_annotations(folder: OutputFolder | None) -> Iterator[Callable[[Sequence[Annotation]], None]]:
    """What writes annotations into the folder's file, which appears when it is complete; or nowhere."""
    if folder is None:
        yield lambda _: None
        return
    with open_text_output(folder.annotations_path, force=folder.replace) as file:
        yield lambda annotations: write_objects(file, (each.record() for each in annotations))


def path(name: Name | None) -> Path | None:
    return None if name is None else Path(name)


def given(**values: Any) -> dict[str, Any]:
    """The arguments that are not left out."""
    return {name: value for name, value in values.items() if value is not None}


def refuse_draw_settings(chosen: Mapping[str, Any]) -> None:
    """A recipe says everything that is drawn: refuse arguments that would have no effect."""
    if chosen:
        names = ", ".join(name.removesuffix("_s").removesuffix("_hz").replace("_", "-") for name in chosen)
        raise UsageError(f"a recipe is rendered as it is: leave out {names}", where="--recipe")


def check_prefix(prefix: str | None, count: int | None) -> None:
    """Refuse a prefix that names nothing, or would make unsafe file names."""
    if prefix is not None and count is None:
        raise UsageError("--name-prefix needs --count", hint="say --count")
    try:
        check_name(f"{prefix or ''}00000", "--name-prefix")
    except InputError as error:
        raise UsageError(error.what, where="--name-prefix", hint=error.hint) from error
