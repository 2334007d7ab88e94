"""``amr simulate``: captioned clips laid over backgrounds; audio, annotations and the recipe come out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from amr.cli import options
from amr.cli.messages import Failures, wants_table
from amr.cli.progress import shown_progress
from amr.cli.tables import clock, columns
from amr.errors import UsageError
from amr.formats.jsonl import write_objects
from amr.formats.streams import STDIO, open_text_output

if TYPE_CHECKING:
    from amr.tasks.callbacks import Progress
    from amr.tasks.simulate import SimulateReport

SOURCES, SCENES, PRODUCT = "Sources", "Scenes", "Product"


class AudioFormat(str, Enum):
    """File form of the recordings, 16 bits mono."""

    FLAC = "flac"
    WAV = "wav"


class ShortBackground(str, Enum):
    """What becomes of backgrounds that are shorter than a recording."""

    SKIP = "skip"
    REPEAT = "repeat"


def simulate(
    foreground: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Captioned clips: a CSV (file_name, caption_1..5 or captions), a JSONL, a folder of one.",
        ),
    ] = None,
    background: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="Backgrounds: a file, a folder or a table; may be repeated."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="Write audio/, annotations and recipe here."),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Draw, but render no sound.")] = False,
    features: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Render into this feature file instead of audio files."),
    ] = None,
    encoder: options.Encoder = "yamnet",
    device: options.Device = "auto",
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Render this recipe instead of drawing: one of ours, or a published list-form JSON; or '-'.",
        ),
    ] = None,
    qid_offset: Annotated[
        int | None,
        typer.Option(min=0, help="Added to a published recipe's qids; default: as in the released files."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(metavar="clotho-moment|castella-like", help="Start from these settings."),
    ] = None,
    law: Annotated[
        str | None,
        typer.Option(metavar="power|peak", help="What levels mean: power ratios, or peak over RMS. [power]"),
    ] = None,
    duration: Annotated[str | None, typer.Option(metavar="DIST", help="Seconds of a recording. [60]")] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Recordings; default: one for every cut of every background.")
    ] = None,
    name_prefix: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="With --count: recordings are TEXT00000 and so on. [sim-]"),
    ] = None,
    background_hop: Annotated[
        float | None, typer.Option(help="Seconds between two cuts of a background. [1]")
    ] = None,
    short_background: Annotated[
        ShortBackground | None,
        typer.Option(help="Backgrounds shorter than a recording: leave out, or let them go round. [skip]"),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            metavar="sequence|scatter", help="One sound after the other, or queries with moments anywhere."
        ),
    ] = None,
    mean_gap: Annotated[
        float | None, typer.Option(help="Mean of exponential gaps before each sound, seconds. [30]")
    ] = None,
    gap: Annotated[str | None, typer.Option(metavar="DIST", help="Gaps of another distribution.")] = None,
    foreground_level: Annotated[
        str | None, typer.Option(metavar="DIST", help="Level of a foreground, dB. [uniform:-5:5]")
    ] = None,
    background_level: Annotated[
        str | None, typer.Option(metavar="DIST", help="Level of a background, dB. [uniform:-25:-15]")
    ] = None,
    trim_below: Annotated[
        float | None, typer.Option(help="Cut quiet ends this many dB below a clip's mean power. [20]")
    ] = None,
    trim_block: Annotated[
        float | None, typer.Option(help="Seconds of the blocks that trimming looks at. [0.1]")
    ] = None,
    length: Annotated[
        str | None, typer.Option(metavar="DIST", help="Seconds of a moment; default: the whole clip.")
    ] = None,
    queries: Annotated[
        str | None, typer.Option(metavar="DIST", help="scatter: queries a recording. [2]")
    ] = None,
    occurrences: Annotated[
        str | None, typer.Option(metavar="DIST", help="scatter: moments a query. [1]")
    ] = None,
    distractors: Annotated[
        float | None, typer.Option(help="Share of the sounds that no query names. [0]")
    ] = None,
    absent: Annotated[
        int | None, typer.Option(min=0, help="Queries a recording that nothing in it answers. [0]")
    ] = None,
    annotation_step: Annotated[
        float | None, typer.Option(help="Grid of annotated times, seconds. [0.1]")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of every random draw. [0]")] = None,
    sample_rate: Annotated[
        int | None, typer.Option(min=1000, max=384_000, help="Of the recordings, Hz. [32000]")
    ] = None,
    audio_format: Annotated[AudioFormat | None, typer.Option(help="[flac]")] = None,
    split: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only this split: by its column, else train, val, test by a hash."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COND", help="Only foregrounds with COLUMN=VALUE, !=, <, <=, >, >=; repeatable."
        ),
    ] = None,
    background_where: Annotated[
        list[str] | None, typer.Option(metavar="COND", help="The same for backgrounds.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT=NAME", help="Foreground column of: file, captions, label, group, split. Repeatable."
        ),
    ] = None,
    background_column: Annotated[
        list[str] | None,
        typer.Option(metavar="WHAT=NAME", help="Background column of: file, contains, group, split."),
    ] = None,
    foreground_root: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where foreground paths begin. [beside the table]")
    ] = None,
    background_root: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where background paths begin.")
    ] = None,
    disjoint_from: Annotated[
        list[Path] | None,
        typer.Option(metavar="RECIPE", help="Stop if a source is used in this recipe too; repeatable."),
    ] = None,
    workers: options.Workers = None,
    shard: options.Shard = None,
    limit: options.Limit = None,
    resume: options.Resume = False,
    force: options.Force = False,
    keep_going: options.KeepGoing = False,
    format_: options.Format = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,  # noqa: ARG001  # the traceback is printed in amr.cli.main
) -> None:
    """Make recordings with known moments: clips with captions laid over backgrounds.

    \b
    amr simulate --foreground clips.csv --background bg/ --count 1000 -o sim/
    amr simulate --recipe sim/recipe.jsonl --foreground clips.csv --background bg/ -o again/
    amr simulate --recipe recipe_valid.json --plan > clotho_moment_val.jsonl

    Into the folder go audio/, annotations.jsonl and recipe.jsonl, from which the same bytes can be rendered
    again. In a pipe the annotations come out as JSON Lines too, at a terminal a summary.
    DIST is N, uniform:A:B, exponential:MEAN, table:P=V,P=V,.. (quantiles) or weights:V=W,V=W,..
    """
    from amr.tasks.simulate import simulate as run

    declared: dict[str, Any] = {
        "layout": layout,
        "duration_s": duration,
        "gap_s": gap,
        "mean_gap_s": mean_gap,
        "foreground_db": foreground_level,
        "background_db": background_level,
        "length_s": length,
        "queries": queries,
        "occurrences": occurrences,
        "background_hop_s": background_hop,
        "repeat_short": None if short_background is None else short_background is ShortBackground.REPEAT,
        "trim_below_db": trim_below,
        "trim_block_s": trim_block,
        "distractor_share": distractors,
        "absent": absent,
        "annotation_step_s": annotation_step,
    }
    failures, table = Failures("simulate"), wants_table(format_, None)
    with (
        shown_progress("amr simulate", quiet=quiet, describe=counted_recordings) as on_progress,
        open_text_output(STDIO) as stdout,
    ):
        report = run(
            output,
            foreground=foreground,
            background=background or (),
            scenes=count,
            preset=preset,
            law=law,
            seed=seed,
            recipe=recipe,
            qid_offset=qid_offset,
            render=not plan,
            features=features,
            encoder=encoder,
            device=device,
            sample_rate_hz=sample_rate,
            encoding=None if audio_format is None else audio_format.value,
            name_prefix=name_prefix,
            foreground_root=foreground_root,
            background_root=background_root,
            columns=parse_columns(column or (), "--column"),
            background_columns=parse_columns(background_column or (), "--background-column"),
            split=split,
            where=where or (),
            background_where=background_where or (),
            disjoint_from=disjoint_from or (),
            workers=workers,
            shard=options.parse_shard(shard),
            limit=limit,
            resume=resume,
            force=force,
            on_scene=None if table else lambda _, made: write_objects(stdout, (a.record() for a in made)),
            on_progress=on_progress,
            on_failure=failures.note if keep_going else None,
            **{name: value for name, value in declared.items() if value is not None},
        )
    if table:
        sys.stdout.write("\n".join(summary_lines(report)) + "\n")
    failures.end()


def counted_recordings(progress: Progress, elapsed_s: float) -> str:
    """How far it is; how fast sound is made says little."""
    del elapsed_s
    return f"{progress.done} of {progress.total} recordings"


def parse_columns(texts: Sequence[str], option: str) -> dict[str, str]:
    """``WHAT=NAME`` options.

    Raises:
        UsageError: one is not of that form.
    """
    pairs = [text.partition("=") for text in texts]
    for what, equals, name in pairs:
        if not (what and equals and name):
            raise UsageError(f"{what + equals + name!r} is not WHAT=NAME", where=option)
    return {what.strip(): name.strip() for what, _, name in pairs}


def summary_lines(report: SimulateReport) -> list[str]:
    """What was made, for people."""
    made = report.record()
    rows = [
        ("recordings", f"{made['recordings']}, {clock(report.duration_s)}"),
        ("queries", f"{made['queries']}"),
        ("moments", f"{made['moments']}, median {report.median_moment_s:.1f} s"),
    ]
    if report.recipe_path is not None:
        rows.append(("folder", str(report.recipe_path.parent)))
    return columns(rows)
