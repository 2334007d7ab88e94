"""What ``amr simulate`` does once its options are read: plan, produce, tell."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from amr.cli.messages import Failures, say, wants_table, warn
from amr.cli.simulate_options import (
    Counted,
    Declared,
    Named,
    Product,
    check_product,
    declare,
    drawing,
    parse_columns,
    refuse_draw_options,
)
from amr.cli.tables import clock, columns
from amr.errors import UsageError
from amr.formats.annotations import Annotation
from amr.formats.jsonl import write_objects
from amr.formats.notices import Notices
from amr.formats.recipes import Scene, read_recipe_bytes
from amr.formats.streams import STDIO, open_text_output
from amr.processors import free_processors
from amr.simulation import plan, replay
from amr.simulation.annotate import annotate
from amr.simulation.folder import OutputFolder
from amr.simulation.produce import AudioFiles, Nothing, Outcome, Sink, produce
from amr.simulation.selection import parse_condition
from amr.simulation.sources import Sources
from amr.simulation.store import SampleStore

TOOL = "simulate"
PROGRESS_S = 60.0


def simulate(
    declared: Declared,
    named: Named,
    counted: Counted,
    product: Product,
    *,
    recipe: str | None,
    qid_offset: int | None,
) -> None:
    """Plan and produce; see :func:`amr.cli.simulate.simulate` for the options.

    Raises:
        AmrError: options that contradict each other, wrong sources, an output in the way.
    """
    check_product(product)
    notices = Notices()
    workers = free_processors() if product.workers is None else product.workers
    with ExitStack() as stack:
        output = product.folder or product.features
        store = SampleStore(folder=output.parent if output and output.parent.is_dir() else None)
        stack.callback(store.close)
        if recipe is not None:
            refuse_draw_options(declared, named, counted)
            made = plan_from_recipe(recipe, named, counted, product, qid_offset, store, notices)
        else:
            made = plan_from_sources(declared, named, counted, product, store, workers, notices)
        warn(TOOL, notices.lines(), quiet=product.quiet)
        run(made, counted, product, workers)


def run(made: plan.Plan, counted: Counted, product: Product, workers: int) -> None:
    """Render a plan, write annotations, and tell what was made."""
    failures = Failures(TOOL)
    for error in made.broken:
        failures.note(error)
    folder = None
    if product.folder is not None:
        folder = OutputFolder(product.folder, shard=counted.shard, force=product.force, resume=product.resume)
        folder.begin(made.scenes, with_audio=not product.plan and product.features is None)
    with ExitStack() as stack:
        sink = stack.enter_context(open_sink(made, product, folder))
        outcomes = produce(made.scenes, sink, workers=workers, keep_going=product.keep_going)
        told = progress(outcomes, len(made.scenes), quiet=product.quiet)
        table = wants_table(product.form, None)
        files: list[TextIO] = [] if table else [stack.enter_context(open_text_output(STDIO))]
        if folder is not None:
            target = stack.enter_context(open_text_output(folder.annotations_path, force=folder.replace))
            files.append(target)
        summary = write_annotations(told, files, failures)
    if table:
        sys.stdout.write("\n".join(summary_lines(summary, folder)) + "\n")
    failures.end()


@contextmanager
def open_sink(made: plan.Plan, product: Product, folder: OutputFolder | None) -> Iterator[Sink]:
    """Where recordings go: nowhere, audio files, or a feature file."""
    if product.plan:
        yield Nothing()
        return
    if product.features is not None:
        from amr.cli.simulate_features import open_features

        with open_features(made.scenes, made.sources, product, product.features) as sink:
            yield sink
        return
    assert folder is not None
    yield AudioFiles(made.sources, folder)


def write_annotations(
    outcomes: Iterable[Outcome], files: Sequence[TextIO], failures: Failures
) -> list[tuple[Scene, list[Annotation]]]:
    """Annotations of what was made, to every file as they come; what failed is named and left out."""
    done = []
    for outcome in outcomes:
        if outcome.error is not None:
            failures.note(outcome.error)
            continue
        annotations = list(annotate(outcome.scene))
        for file in files:
            write_objects(file, (annotation.record() for annotation in annotations))
        done.append((outcome.scene, annotations))
    return done


def summary_lines(summary: list[tuple[Scene, list[Annotation]]], folder: OutputFolder | None) -> list[str]:
    """What was made, for people."""
    annotations = [annotation for _, own in summary for annotation in own]
    lengths_s = [moment.length_s for annotation in annotations for moment in annotation.moments]
    median_s = sorted(lengths_s)[len(lengths_s) // 2] if lengths_s else 0.0
    rows = [
        ("recordings", f"{len(summary)}, {clock(sum(scene.duration_s for scene, _ in summary))}"),
        ("queries", f"{len(annotations)}"),
        ("moments", f"{len(lengths_s)}, median {median_s:.1f} s"),
    ]
    if folder is not None:
        rows.append(("folder", str(folder.root)))
    return columns(rows)


def progress(outcomes: Iterator[Outcome], total: int, *, quiet: bool) -> Iterator[Outcome]:
    """Pass outcomes on and tell on stderr how far it is: a live line at a terminal, else a line a minute."""
    live = sys.stderr.isatty()
    last = time.monotonic()
    for number, outcome in enumerate(outcomes, start=1):
        yield outcome
        now = time.monotonic()
        if quiet or now - last < (0.2 if live else PROGRESS_S):
            continue
        last = now
        if live:
            sys.stderr.write(f"\r{number} of {total} recordings\x1b[K")
            sys.stderr.flush()
        else:
            say(f"amr {TOOL}: {number} of {total} recordings")
    if live and not quiet:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def plan_from_recipe(
    recipe: str,
    named: Named,
    counted: Counted,
    product: Product,
    qid_offset: int | None,
    store: SampleStore,
    notices: Notices,
) -> plan.Plan:
    """The plan of a recipe; its sources are needed unless nothing is rendered."""
    roots = (
        recipe_root(named.foreground_root, named.foreground),
        recipe_root(named.background_root, *named.backgrounds),
    )
    sources = Sources(*roots, store)
    data, name = read_recipe_bytes(recipe)
    scenes = replay.recipe_plan(
        data,
        name,
        sources=None if product.plan and None in roots else sources,
        encoding=counted.encoding,
        qid_offset=qid_offset,
        drawing=drawing(counted),
        notices=notices,
    )
    return plan.Plan(scenes, sources)


def recipe_root(root: Path | None, *sources: Path | None) -> Path | None:
    """The folder of a recipe's paths: named, or that of the sources as in drawing."""
    given = [source for source in sources if source is not None]
    if root is not None or not given:
        return root
    return plan.common_root([source if source.is_dir() else source.parent for source in given])


def plan_from_sources(
    declared: Declared,
    named: Named,
    counted: Counted,
    product: Product,
    store: SampleStore,
    workers: int,
    notices: Notices,
) -> plan.Plan:
    """The plan of a draw."""
    if named.foreground is None or not named.backgrounds:
        missing = "--foreground" if named.foreground is None else "--background"
        raise UsageError("is needed to draw scenes", where=missing, hint="or render a --recipe")
    materials = plan.Materials(
        foreground=named.foreground,
        backgrounds=named.backgrounds,
        foreground_root=named.foreground_root,
        background_root=named.background_root,
        foreground_columns=parse_columns(named.columns, "--column"),
        background_columns=parse_columns(named.background_columns, "--background-column"),
        split=named.split,
        foreground_where=tuple(parse_condition(text, "--where") for text in named.where),
        background_where=tuple(
            parse_condition(text, "--background-where") for text in named.background_where
        ),
        disjoint_from=named.disjoint_from,
    )
    return plan.draw_plan(
        materials,
        declare(declared),
        drawing(counted),
        store=store,
        render=not product.plan,
        workers=workers,
        keep_going=product.keep_going,
        notices=notices,
    )
