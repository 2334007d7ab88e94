"""Lists of sources: a captions CSV, a JSONL, or a folder. Which column is what, and which rows are wanted."""

from __future__ import annotations

import io
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amr.audio.files import is_sound
from amr.audio.names import audio_extension, canonical
from amr.errors import InputError, UsageError, printable
from amr.formats.jsonl import is_array, is_idle, parse_lines
from amr.formats.recipes import check_relative, is_relative
from amr.formats.streams import display_name, open_input
from amr.formats.tables import table_rows
from amr.formats.untrusted.bounds import read_whole

log = logging.getLogger("amr")

COLUMN_NAMES: dict[str, tuple[str, ...]] = {
    "file": ("file_name", "file", "filename", "path", "audio"),
    "captions": ("captions", "caption", "query", "text"),
    "label": ("label", "category", "class"),
    "group": ("group", "recording", "source_id"),
    "split": ("split", "subset"),
    "contains": ("contains_labels",),
}
"""What is looked for, under which names, the first that is there; ``--column WHAT=NAME`` says otherwise."""

NUMBERED_CAPTION = re.compile(r"caption_?\d+")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
CAPTION_SEPARATOR = "|"
LABEL_SEPARATORS = re.compile(r"[;|]")


@dataclass(frozen=True)
class SourceRow:
    """One row of a table of sources.

    Args:
        path: relative to the source folder.
        where: ``file:line``, for messages.
        captions: sentences that mean it, at least one for a foreground.
        label: class of the sound; empty where unknown.
        group: recording it was cut from; its own path where unknown.
        split: as the table says; empty where it does not.
        contains: labels that a background may contain.
        values: every column as text, for ``--where``.
    """

    path: str
    where: str
    captions: tuple[str, ...]
    label: str
    group: str
    split: str
    contains: frozenset[str]
    values: dict[str, str]


def read_sources(source: Path, columns: Mapping[str, str]) -> tuple[Path, list[SourceRow]]:
    """The folder that paths are relative to, and the rows of a table or of a folder of audio.

    A folder with one CSV in it is read through that CSV, else by its audio files, sorted by path; of an audio
    file, its folder and itself.

    Raises:
        InputError: there is no such file or folder, or nothing in it; a table without the needed columns, a
            broken line, a file named twice.
    """
    if str(source) != "-" and not source.exists():
        raise InputError("no such file or folder", where=source)
    if source.is_dir():
        tables = sorted(path for path in source.iterdir() if path.suffix.lower() == ".csv")
        if len(tables) > 1:
            names = ", ".join(path.name for path in tables[:4])
            raise InputError(f"holds {len(tables)} CSV files ({names}); name the one", where=source)
        return source, read_table(tables[0], columns) if tables else list_folder(source)
    if audio_extension(source.name):
        return source.parent, [row_of({"file": source.name}, str(source), {"file": "file"})]
    return (Path() if str(source) == "-" else source.parent), read_table(source, columns)


def list_folder(folder: Path) -> list[SourceRow]:
    """The audio files below a folder, sorted by path, hidden ones left out."""
    found: list[str] = []
    unusable: list[str] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            if name.startswith(".") or not is_sound(Path(parent) / name):
                continue
            path = (Path(parent) / name).relative_to(folder).as_posix()
            (found if is_relative(path) else unusable).append(path)
    if unusable:
        what = "%s: no recipe can hold this name (control codes, a backslash, no UTF-8), passed over"
        times = f" ({len(unusable)} times, this is the first)" if len(unusable) > 1 else ""
        log.warning(what + "%s", printable(min(unusable)), times)
    if not found:
        raise InputError("no audio file in this folder", where=folder)
    return [row_of({"file": path}, str(folder), {"file": "file"}) for path in sorted(found)]


def read_table(source: Path, columns: Mapping[str, str]) -> list[SourceRow]:
    """The rows of a CSV or a JSONL.

    Args:
        source: ``-`` is standard input; what begins with ``{``, or a JSON array, is JSONL.
        columns: what -> column name, where :data:`COLUMN_NAMES` is not to decide.
    """
    name = display_name(source)
    with open_input(source) as file:
        data = read_whole(file, name)
    first = next((line for line in data.removeprefix(BYTE_ORDER_MARK).split(b"\n") if not is_idle(line)), b"")
    is_jsonl = first.lstrip().startswith(b"{") or is_array(first)
    records = parse_lines(io.BytesIO(data), name) if is_jsonl else csv_records(data, name)
    return unique_files(rows_of(records, name, columns), name)


def csv_records(data: bytes, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """``(line, {column: text})`` of a CSV with a header.

    Raises:
        InputError: not UTF-8, no header, a column twice, a row with more or fewer fields than the header.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("is not UTF-8 text", where=f"{name}:{line}", hint="save it as UTF-8") from error
    header: list[str] = []
    for line, fields in table_rows(text, name):
        if not header:
            header = checked_header(fields, name)
        elif len(fields) == len(header):
            yield line, dict(zip(header, fields, strict=True))
        else:
            found = f"{len(fields)} fields, the header has {len(header)}"
            raise InputError(f"has {found}", where=f"{name}:{line}")
    if not header:
        raise InputError("is empty, expected a CSV with a header or a JSONL", where=name)


def checked_header(fields: list[str], name: str) -> list[str]:
    """The header's names, without blanks around them."""
    header = [field.strip() for field in fields]
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        raise InputError(f"column {twice[0]!r} appears twice in the header", where=f"{name}:1")
    return header


def rows_of(
    records: Iterable[tuple[int, dict[str, Any]]], name: str, columns: Mapping[str, str]
) -> Iterator[SourceRow]:
    """Source rows of a table's records; the first record decides which column is what."""
    chosen: dict[str, str] = {}
    for number, record in records:
        chosen = chosen or choose_columns(list(record), columns, name)
        yield row_of(record, f"{name}:{number}", chosen)


def choose_columns(header: list[str], columns: Mapping[str, str], name: str) -> dict[str, str]:
    """Which column holds what: ``{"file": "file_name", ...}``.

    Raises:
        UsageError: a chosen column is not there, or is chosen for something unknown.
        InputError: no column names the files.
    """
    chosen = {}
    for what, names in COLUMN_NAMES.items():
        present = next((candidate for candidate in names if candidate in header), None)
        if present is not None:
            chosen[what] = present
    for what, column in columns.items():
        if what not in COLUMN_NAMES:
            raise UsageError(f"{what!r} is none of {', '.join(COLUMN_NAMES)}", where="--column")
        if column not in header:
            raise UsageError(
                f"no column {column!r} in {name}; there are {', '.join(header)}", where="--column"
            )
        chosen[what] = column
    if "file" not in chosen:
        raise InputError(
            f"no column names the files; columns found: {', '.join(header)[:200]}",
            where=name,
            hint="say --column file=NAME",
        )
    return chosen


def row_of(record: dict[str, Any], where: str, chosen: dict[str, str]) -> SourceRow:
    """One source row; see :func:`choose_columns`."""
    values = {key: value if isinstance(value, str) else str(value) for key, value in record.items()}
    text = {what: values.get(column, "").strip() for what, column in chosen.items()}
    if not text["file"]:
        raise InputError("names no file", where=where)
    path = os.path.normpath(
        check_relative(values[chosen["file"]], where)
    )  # Clotho's names begin with a blank
    return SourceRow(
        path=path,
        where=where,
        captions=captions_of(record, chosen.get("captions", "")),
        label=text.get("label", ""),
        group=text.get("group", "") or path,
        split=text.get("split", ""),
        contains=frozenset(filter(None, map(str.strip, LABEL_SEPARATORS.split(text.get("contains", ""))))),
        values=values,
    )


def captions_of(record: dict[str, Any], column: str) -> tuple[str, ...]:
    """The distinct captions of a record, in order: one column (``|`` between, a list), or numbered ones."""
    value = record.get(column)
    if value is None:
        found = [record[key] for key in record if NUMBERED_CAPTION.fullmatch(key)]
    elif isinstance(value, list):
        found = value
    else:
        found = str(value).split(CAPTION_SEPARATOR)
    texts = [caption.strip() for caption in found if isinstance(caption, str)]
    return tuple(dict.fromkeys(text for text in texts if text))


def unique_files(rows: Iterable[SourceRow], name: str) -> list[SourceRow]:
    """The rows as a list; a file that stands twice is refused."""
    seen: dict[str, str] = {}
    kept = []
    for row in rows:
        first = seen.setdefault(canonical(row.path), row.where)
        if first != row.where:
            raise InputError(f"the file {row.path!r} is here and at {first}", where=row.where)
        kept.append(row)
    if not kept:
        raise InputError("holds no row", where=name)
    return kept
