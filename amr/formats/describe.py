"""What any of our files is: kind, encoder, counts, hours, history, and whether it is whole.

Kinds are known by content, never by name: feature files (HDF5), npz trees and single npz files, models
(safetensors), annotations, predictions, recipes and metrics (JSON), and foreign checkpoints. HDF5 is not
imported before a feature file is met.
"""

from __future__ import annotations

import json
import statistics
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from amr.errors import InputError
from amr.formats.annotations import read_annotations
from amr.formats.jsonl import read_objects
from amr.formats.notices import Notices
from amr.formats.predictions import read_predictions
from amr.formats.queries import read_queries
from amr.formats.recipes import parse_recipe_bytes, read_recipe_bytes
from amr.formats.untrusted.bounds import MAX_LINE_BYTES
from amr.formats.untrusted.checksum import CHECKSUM_KEY, require_checksum
from amr.formats.untrusted.tensor_header import TensorPlace, read_header, read_metadata, tensor_places
from amr.formats.untrusted.zips import refuse_bomb, zip_failures

if TYPE_CHECKING:
    from amr.formats.features.base import FeatureReader

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
ZIP_MAGIC = b"PK\x03\x04"
SNIFFED_BYTES = 4096
UNSHOWN = ("amr_format", CHECKSUM_KEY)
MOST_JSON_BYTES = MAX_LINE_BYTES


@dataclass(frozen=True)
class Description:
    """What a file is.

    Args:
        kind: what it is, in words.
        facts: by name, in the order in which they are shown; plain JSON values.
        problems: what is wrong with it, one line each; empty where it is whole.
        notes: what is odd and no fault.
    """

    kind: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def describe(path: Path, *, quick: bool = False) -> Description:
    """What ``path`` is.

    Args:
        path: a file, or the folder of an npz tree.
        quick: believe its numbers instead of reading every one.

    Raises:
        InputError: there is no such file, it is none of ours, or so damaged that nothing can be said.
    """
    if not path.exists():
        raise InputError("no such file", where=path)
    if path.is_dir():
        return describe_features(path, quick=quick)
    if not path.is_file():
        raise InputError("is not a regular file", where=path)
    with open(path, "rb") as file:
        start = file.read(SNIFFED_BYTES)
    if start.startswith(HDF5_MAGIC):
        return describe_features(path, quick=quick)
    if start.startswith(ZIP_MAGIC):
        return describe_zip(path)
    if start[8:9] == b"{" and 0 < int.from_bytes(start[:8], "little") <= MOST_JSON_BYTES:
        return describe_safetensors(path, quick=quick)
    if start.lstrip()[:1] in (b"{", b"["):
        return describe_json(path)
    raise InputError(
        "is not a kind of file that amr reads",
        where=path,
        hint="it reads features (.h5, .npz trees), models, annotations, predictions, recipes and metrics",
    )


def describe_features(path: Path, *, quick: bool) -> Description:
    """A feature file or an npz tree, read through unless ``quick``."""
    from amr.formats.features.journal import journal_path
    from amr.formats.features.open import open_features

    is_tree = path.is_dir()
    with open_features(path) as reader:
        frames = sum(reader.num_frames(recording) for recording in reader.ids)
        seconds = sum(reader.duration_s(recording) for recording in reader.ids)
        identity = None if reader.identity_json is None else json.loads(reader.identity_json)
        facts: dict[str, Any] = {"encoder": identity, "window_s": reader.window_s, "hop_s": reader.hop_s}
        facts |= {"dimension": reader.dimension, "recordings": len(reader), "frames": frames}
        facts |= {"hours": round(seconds / 3600, 3), "queries": len(reader.queries)}
        if (history := getattr(reader, "history", None)) is not None:
            facts["history"] = history
        problems = () if quick else tuple(changed_items(reader)) or tuple(unsound_features(reader))
    killed = "a writer was killed or is at work: this is the last commit; continue with extract --resume"
    notes = (killed,) if not is_tree and journal_path(path).exists() else ()
    return Description("features, a tree of .npz files" if is_tree else "features", facts, problems, notes)


def changed_items(reader: FeatureReader) -> Iterator[str]:
    """What checksums find."""
    from amr.formats.features.parts import files_in
    from amr.formats.features.verify import changes

    for file in files_in(reader):
        yield from changes(file)


def unsound_features(reader: FeatureReader) -> list[str]:
    """Recordings without frames, and numbers that are none."""
    problems = []
    for recording in reader:
        if len(recording.frames) == 0:
            problems.append(f"recording {recording.id!r} has no frames")
        elif not np.isfinite(recording.frames).all():
            problems.append(f"recording {recording.id!r} holds undefined numbers")
    for query in reader.queries:
        text = reader.text(query)
        if not (np.isfinite(text.tokens).all() and np.isfinite(text.pooled).all()):
            problems.append(f"query {query!r} holds undefined numbers")
    return problems


def describe_zip(path: Path) -> Description:
    """A single npz file, or a checkpoint of torch.save; nothing in it is executed."""
    with zip_failures(path, "is a damaged zip file"), zipfile.ZipFile(path) as archive:
        refuse_bomb(archive, path)
        names = archive.namelist()
        broken = archive.testzip()
    problems = () if broken is None else (f"{broken} does not read back",)
    if any(name.endswith("data.pkl") for name in names):
        return describe_torch_file(path, len(names), problems)
    if names and all(name.endswith(".npy") for name in names):
        return Description("features of one item (.npz)", {"arrays": npz_shapes(path)}, problems)
    raise InputError("is a zip file, but none that amr knows", where=path)


def describe_torch_file(path: Path, members: int, problems: tuple[str, ...]) -> Description:
    """A checkpoint of another program: which network it is, whether or not it can be used here."""
    from amr.formats.foreign_networks import can_import, checkpoint_parts, network_name
    from amr.formats.untrusted.torch_file import read_torch_file

    kind, facts = "a checkpoint of torch.save, not one of ours", {"members": members}
    try:
        parts = checkpoint_parts(read_torch_file(path))
    except InputError as error:
        return Description(kind, facts, problems, (f"not read: {error.what}",))
    network = None if parts is None else network_name(*parts)
    if network is None:
        return Description(kind, facts, problems)
    used = "predict --model and train --init take it" if can_import(network) else "it cannot be used here"
    return Description(kind, {"network": network, **facts}, problems, (used,))


def npz_shapes(path: Path) -> dict[str, list[int]]:
    """Each array's shape; the numbers stay where they are."""
    from amr.formats.features.npz import member_names, read_shape

    return {key: list(read_shape(path, key)) for key in member_names(path)}


def describe_safetensors(path: Path, *, quick: bool) -> Description:
    """A model of ours, or other weights."""
    header = read_header(path)
    metadata, places = read_metadata(header, path), tensor_places(header, path)
    with open(path, "rb") as file:
        begin = 8 + int.from_bytes(file.read(8), "little")
    needed = begin + sum(place.num_bytes for place in places.values())
    size = path.stat().st_size
    facts = {"tensors": len(places), "numbers": sum(place.numbers for place in places.values())}
    problems = []
    if needed != size:
        problems.append(f"has {size} bytes, its header asks for {needed}")
    elif not quick:
        problems += unsound_tensors(path, begin, places)
        require_checksum(path.read_bytes(), metadata, path)
    if metadata.get("amr_format") != "model":
        return Description("weights, not one of our models", facts, tuple(problems))
    provenance = {name: parsed(text) for name, text in metadata.items() if name not in UNSHOWN}
    return Description("a model", {**provenance, **facts}, tuple(problems))


def parsed(text: str) -> Any:
    """A header's value: JSON where it is JSON, else the text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def unsound_tensors(path: Path, begin: int, places: Mapping[str, TensorPlace]) -> list[str]:
    """Tensors that hold undefined numbers, or lie outside of the file."""
    problems = []
    data = np.memmap(path, dtype=np.uint8, mode="r")
    for name, place in places.items():
        first, stop = begin + place.first, begin + place.stop
        kind = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}.get(place.dtype)
        if not first <= stop <= len(data) or stop - first != place.num_bytes:
            problems.append(f"{name} lies outside of the file")
        elif kind and not np.isfinite(np.frombuffer(data[first:stop].tobytes(), kind)).all():
            problems.append(f"{name} holds undefined numbers")
    return problems


def describe_json(path: Path) -> Description:
    """Annotations, predictions or a recipe, by their first line; or metrics, one object in all."""
    whole = whole_json(path)
    if isinstance(whole, dict) and "brief" in whole:
        return Description("metrics", {name: whole[name] for name in whole if name in ("brief", "official")})
    if isinstance(whole, list) and whole and isinstance(whole[0], dict) and {"bg", "fg"} <= whole[0].keys():
        return describe_published(whole)
    first = first_object(path)
    for key, describe_kind in KINDS:
        if key in first:
            return describe_kind(path)
    keys = ", ".join(list(first)[:6]) or "none"
    raise InputError(f"is JSON of no kind that amr knows; its keys are {keys}", where=path)


def describe_published(scenes: list[Any]) -> Description:
    """A recipe of the list form, as far as it is one."""
    sounds = [scene.get("fg") if isinstance(scene, dict) else None for scene in scenes]
    foregrounds = sum(len(each) for each in sounds if isinstance(each, list))
    facts = {"scenes": len(scenes), "foregrounds": foregrounds}
    problems = [
        f"scene {n} has no list 'fg'" for n, each in enumerate(sounds, 1) if not isinstance(each, list)
    ]
    return Description("a recipe as Clotho-Moment publishes them", facts, tuple(problems))


def whole_json(path: Path) -> Any:
    """A file that is one JSON value; None for many lines of them, or none."""
    if path.stat().st_size > MOST_JSON_BYTES:
        return None
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None


def first_object(path: Path) -> dict[str, Any]:
    """The object of the first line. Raises ``InputError`` as reading the file would."""
    for _, record in read_objects(path):
        return record
    raise InputError("is an empty list", where=path)


def describe_annotations(path: Path) -> Description:
    notices = Notices()
    annotations = read_annotations(path, notices)
    durations_s = {a.vid: a.duration_s or 0.0 for a in annotations}
    moments = [moment for a in annotations for moment in a.moments]
    facts = {
        "queries": len(annotations),
        "different queries": len({a.query for a in annotations}),
        "recordings": len(durations_s),
        "hours": round(sum(durations_s.values()) / 3600, 3),
        "moments": len(moments),
        "median moment_s": median([moment.length_s for moment in moments]),
    }
    return Description("annotations", facts, notes=tuple(notices.lines()))


def describe_queries(path: Path) -> Description:
    queries = read_queries(path)
    facts = {
        "queries": len(queries),
        "different queries": len({query.text for query in queries}),
        "recordings": len({query.vid for query in queries if query.vid is not None}),
    }
    return Description("queries", facts)


def describe_predictions(path: Path) -> Description:
    predictions = read_predictions(path)
    counts = [float(len(prediction.moments)) for prediction in predictions]
    facts = {
        "queries": len(predictions),
        "recordings": len({prediction.vid for prediction in predictions}),
        "moments": int(sum(counts)),
        "median moments a query": median(counts),
    }
    return Description("predictions", facts)


def describe_recipe(path: Path) -> Description:
    scenes = parse_recipe_bytes(*read_recipe_bytes(path))
    facts = {
        "scenes": len(scenes),
        "hours": round(sum(scene.duration_s for scene in scenes) / 3600, 3),
        "foregrounds": sum(len(scene.foregrounds) for scene in scenes),
        "absent queries": sum(len(scene.absent) for scene in scenes),
        "sample rates_hz": sorted({scene.sample_rate_hz for scene in scenes}),
    }
    return Description("a recipe", facts)


def median(values: list[float]) -> float | None:
    """The middle value; None of nothing."""
    return round(statistics.median(values), 3) if values else None


KINDS: tuple[tuple[str, Callable[[Path], Description]], ...] = (
    ("amr_format", describe_recipe),
    ("pred_relevant_windows", describe_predictions),
    ("relevant_windows", describe_annotations),
    ("query", describe_queries),
)
