"""``amr overview``: what is in recordings at all, before there is a question."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from amr.cli import options
from amr.cli.messages import Failures, wants_table
from amr.cli.predict_table import file_to_show
from amr.cli.tables import bar, clock, columns, is_terminal, whole_clock
from amr.errors import number_of, printable

if TYPE_CHECKING:
    from amr.formats.predictions import Prediction
    from amr.tasks.overview import HeardSound

SOUNDS_SHOWN = 30
RECORDINGS_SHOWN = 20
SOUNDS_EACH = 4
HOUR_BARS = " ▁▂▃▄▅▆▇█"


def overview(
    context: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help="Recordings, folders, feature files, or '-' for a list of them on standard input. "
            "Default: $AMR_FEATURES, else feats.h5.",
            show_default=False,
        ),
    ] = None,
    min_score: Annotated[
        float, typer.Option(help="Sounds from this presence on, above 0 and below 1.")
    ] = 0.2,
    gap: Annotated[
        float,
        typer.Option(min=0, help="Moments of a sound that are at most this far apart are one, in seconds."),
    ] = 2.0,
    encoder: options.KnownEncoder = None,
    hop: options.Hop = None,
    device: options.Device = "auto",
    workers: options.Workers = None,
    output: options.Output = None,
    force: options.Force = False,
    format_: options.Format = None,
    keep_going: options.KeepGoing = False,
    strict: options.Strict = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """List the sounds in recordings: the encoder's own sounds, how often, when, at which hours.

    \b
    amr overview recordings/
    amr overview feats.h5 --min-score 0.5 --gap 10 -o heard.jsonl

    At a terminal a table; in a pipe a prediction for each recording and sound, in the form of amr predict:
    'query' is the sound's name, a window [start, end, presence], the chance that the sound is there.
    Hours of the day are listed where recordings' names or headers have a clock.
    """
    from amr.audio.noise import library_chatter_hidden
    from amr.cli.progress import shown_progress
    from amr.formats.streams import reserved_output
    from amr.tasks.callbacks import ignore_progress
    from amr.tasks.inputs import find_inputs, open_search
    from amr.tasks.models import load_model
    from amr.tasks.names import named
    from amr.tasks.networks import WINDOW
    from amr.tasks.overview import everything, summarise
    from amr.tasks.places import Places, located

    del verbose  # read by the command's own error report
    if output is not None:
        context.with_resource(reserved_output(output, force=force, stream=True))
    as_table = wants_table(format_, output)
    model = load_model(WINDOW, device=device, encoder=encoder, hop_s=hop)
    found = find_inputs(named(inputs or []), [], model)
    if found.audio:
        context.with_resource(library_chatter_hidden())
    is_mixed = not as_table and output is None and is_terminal()  # a bar would stand amid the lines
    failures = Failures("overview", keep_going=keep_going)
    with shown_progress("amr overview", quiet=quiet or is_mixed) as on_progress:
        encoding, reading = (on_progress, ignore_progress) if found.audio else (ignore_progress, on_progress)
        with open_search(found, [], model, workers, encoding, failures.note, strict=strict) as search:
            places = Places(search.collection)
            sounds = everything(
                search, gap_s=gap, min_score=min_score, on_progress=reading, on_failure=failures.note
            )
            predictions = located(sounds, places)
            if not as_table:
                write(predictions, output, force=force)
            else:
                held, vids, features = list(predictions), search.collection.vids, search.features
                known_s = (
                    sum(features.duration_s(vid) for vid in features.ids) if features is not None else 0.0
                )
    if as_table:
        head = number_of(len(vids), "recording") + (
            "" if found.audio else f", {whole_clock(known_s)} of sound"
        )
        lines = [head, *sound_rows(summarise(held, places.started)), *recording_rows(held, found.audio)]
        write_lines(lines, output, force=force)
    failures.end()


def write(predictions: Iterable[Prediction], output: Path | None, *, force: bool) -> None:
    """A record as soon as it is known."""
    from amr.formats.jsonl import write_objects
    from amr.formats.streams import STDIO, open_text_output

    with open_text_output(output or STDIO, force=force, stream=True) as file:
        write_objects(file, (prediction.record() for prediction in predictions))


def write_lines(lines: Iterable[str], output: Path | None, *, force: bool) -> None:
    """The tables."""
    from amr.formats.streams import STDIO, open_text_output

    with open_text_output(output or STDIO, force=force, stream=True) as file:
        file.writelines(printable(line) + "\n" for line in lines)


def sound_rows(sounds: Sequence[HeardSound]) -> list[str]:
    """Each sound over all recordings: events, recordings, time, hours of the day, where it is clearest."""
    if not sounds:
        return ["", "  nothing is clear enough to be named; --min-score 0.1 names more"]
    has_hours = any(sound.hours for sound in sounds)
    hours = "0h    6h    12h   18h" if has_hours else ""
    rows: list[tuple[str, ...]] = [("  sound", "events", "recordings", "time", hours, "clearest")]
    for sound in sounds[:SOUNDS_SHOWN]:
        best = (
            f"{bar(sound.best.score)} {sound.best.score:.2f}  {sound.recording} {clock(sound.best.start_s)}"
        )
        counts = str(sound.events), str(sound.recordings), whole_clock(sound.seconds)
        rows.append(("  " + sound.label, *counts, hour_bars(sound.hours), best))
    if not has_hours:
        rows = [(*row[:4], row[5]) for row in rows]
    more = len(sounds) - SOUNDS_SHOWN
    lines = ["", *columns(rows, right=frozenset({1, 2, 3}))]
    return [*lines, f"  … and {more} more sounds"] if more > 0 else lines


def hour_bars(hours: Sequence[int]) -> str:
    """24 characters, as high as events are many; empty where no clock is known."""
    most = max(hours, default=0)
    return "".join(HOUR_BARS[-(-count * (len(HOUR_BARS) - 1) // most)] for count in hours) if most else ""


def recording_rows(predictions: Iterable[Prediction], inputs: Sequence[str]) -> list[str]:
    """The sounds of each recording, the clearest first, and its file where the id does not lead to it.

    Args:
        inputs: the recordings, folders and patterns that were named.
    """
    by_vid: dict[str, list[Prediction]] = {}
    for each in predictions:
        by_vid.setdefault(each.vid, []).append(each)
    rows = []
    for vid, own in list(by_vid.items())[:RECORDINGS_SHOWN]:
        own.sort(key=lambda each: -each.windows[0][2])
        named = [f"{each.query} {len(each.windows)}×" for each in own[:SOUNDS_EACH]]
        sounds = ", ".join(named) + (", …" if len(own) > SOUNDS_EACH else "")
        rows.append(("  " + vid, sounds, file_to_show(str(own[0].extra.get("path", "")), inputs)))
    more = len(by_vid) - RECORDINGS_SHOWN
    lines = columns(rows)
    return (["", *lines] if lines else []) + ([f"  … and {more} more recordings"] if more > 0 else [])
