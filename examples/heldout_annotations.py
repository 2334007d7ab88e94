"""The tables and annotations of the held-out sets; ``heldout_sets.sh`` calls it.

    python examples/heldout_annotations.py tables DATA OUT          # clips and backgrounds of esc, esc50
    python examples/heldout_annotations.py write DATA OUT SCENES    # OUT/*.jsonl

``DATA`` holds open/, open_more/ and evaluation_nc/. ``SCENES``, OUT/esc, OUT/esc50 and OUT/household hold
annotations.jsonl and recipe.jsonl.
Every line gets ``clips``: how many clips of its label train, ``seen``: whether any does, and
``sounding_s``: how long what is asked for is heard. Where no clip trains, ``kin`` says whether one of a
closely related label does.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from heldout_absent import absent_places, absent_records, absent_slots, all_absent, sounding_s

Record = dict[str, Any]

HERE = Path(__file__).resolve().parent


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_table(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """A CSV file of rows with the same columns."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_lines(path: Path) -> list[Record]:
    """The objects of a JSONL file."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_lines(path: Path, records: Iterable[Record]) -> None:
    """A JSONL file; what is printed is how much it holds."""
    records = list(records)
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
    seen = sum(record["seen"] for record in records)
    labels = len({record["label"] for record in records})
    recordings = len({record["vid"] for record in records})
    print(
        f"{path.name}: {len(records)} queries, {recordings} recordings, {labels} labels, {seen} queries seen"
    )


def trained_labels(data: Path) -> Counter[str]:
    """Labels of the clips that ``train_default.sh`` trains on, and how many each has."""
    return Counter(
        row["label"]
        for row in read_table(data / "open" / "foreground.csv")
        if row["split"] == "train" and row["domain"] != "designed"
    )


def unseen_classes(data: Path) -> list[str]:
    """The ESC-50 classes among the clips for measuring that no training clip has."""
    rows = read_table(data / "evaluation_nc" / "foreground.csv")
    classes = {row["label"] for row in rows if row["source"].startswith("ESC-50")}
    return sorted(classes - trained_labels(data).keys())


def related_labels(path: Path = HERE / "related_labels.csv") -> dict[str, set[str]]:
    """Labels that one sound may bear as well, by label.

    A row without a head relates its labels to one another; a row with one relates each to the head only.
    """
    related: dict[str, set[str]] = defaultdict(set)
    for row in read_table(path):
        labels = row["labels"].split(";")
        for label in labels:
            others = [row["head"]] if row["head"] else labels
            for other in others:
                related[label].add(other)
                related[other].add(label)
    return {label: others - {label} for label, others in related.items()}


def heard_labels(
    recipe: Iterable[Record],
    backgrounds: Mapping[str, Set[str]],
    related: Mapping[str, Set[str]],
) -> dict[str, set[str]]:
    """What must not be asked of each recording as absent.

    That is every label laid over it (distractors too), every label that its background may hold, and all that
    is related to one of them.

    Args:
        recipe: the scenes.
        backgrounds: labels in each background, by file name.
        related: see :func:`related_labels`.
    """
    heard = {}
    for scene in recipe:
        labels = {sound["label"] for sound in scene["foregrounds"]}
        labels |= backgrounds[Path(scene["background"]["path"]).name]
        heard[scene["vid"]] = labels.union(*(related.get(label, set()) for label in labels))
    return heard


def background_labels(data: Path) -> dict[str, set[str]]:
    """Labels that may be heard in each background, by file name."""
    rows = [row for part in ("open", "evaluation_nc") for row in read_table(data / part / "background.csv")]
    return {
        Path(row["file"]).name: {row["label"], *filter(None, row["contains_labels"].split(";"))}
        for row in rows
    }


def paraphrased(present: Iterable[Record], wordings: Mapping[str, Sequence[str]]) -> list[Record]:
    """The same questions in other words; a label's wordings take turns."""
    turn: Counter[str] = Counter()
    records = []
    for record in present:
        own = wordings[record["label"]]
        records.append({**record, "query": own[turn[record["label"]] % len(own)]})
        turn[record["label"]] += 1
    return records


def read_wordings(path: Path = HERE / "paraphrases.csv") -> dict[str, list[str]]:
    """The hand-written sentences of each label."""
    wordings: dict[str, list[str]] = defaultdict(list)
    for row in read_table(path):
        wordings[row["label"]].append(row["query"])
    return wordings


def real_records(rows: Iterable[Mapping[str, str]]) -> list[Record]:
    """The natural recordings: ``human`` says whether a person annotated them."""
    turn: Counter[str] = Counter()
    records = []
    for row in rows:
        vid = Path(row["file"]).stem
        turn[vid] += 1
        records.append(
            {
                "qid": f"{vid}_{turn[vid]}",
                "query": row["query"],
                "duration": float(row["duration_s"]),
                "vid": vid,
                "relevant_windows": json.loads(row["windows"]),
                "label": row["label"],
                "human": row["annotation"].startswith("human"),
            }
        )
    return records


def write_sets(data: Path, out: Path, scenes: Path) -> None:
    """All annotations, from the simulated folders and the tables."""
    trained, related, backgrounds = trained_labels(data), related_labels(), background_labels(data)

    def write(name: str, records: Iterable[Record]) -> None:
        write_lines(out / f"{name}.jsonl", (marked(record, trained, related) for record in records))

    for folder, name, absent in (
        (scenes, "scenes", "absent"),
        (out / "esc", "esc", "absent_esc"),
        (out / "household", "household", "absent_household"),
    ):
        present = read_lines(folder / "annotations.jsonl")
        heard = heard_labels(read_lines(folder / "recipe.jsonl"), backgrounds, related)
        slots = absent_slots(present, heard)
        places = absent_places([record["label"] for record in present], slots, heard)
        write(name, present)
        write(absent, absent_records(present, slots, places))
        if folder == scenes:
            reworded = paraphrased(present, read_wordings())
            write("paraphrased", reworded)
            write("absent_paraphrased", absent_records(reworded, slots, places))
    present = read_lines(out / "esc50" / "annotations.jsonl")
    heard = heard_labels(read_lines(out / "esc50" / "recipe.jsonl"), backgrounds, related)
    wordings: dict[str, list[str]] = defaultdict(list)
    for row in read_table(out / "esc50_clips.csv"):
        wordings[row["label"]].extend(row["captions"].split("|"))
    write("esc50", present)
    write("absent_esc50", all_absent(present, heard, wordings))
    write("real", real_records(read_table(data / "open" / "real.csv")))


def marked(record: Record, trained: Mapping[str, int], related: Mapping[str, Set[str]]) -> Record:
    """With ``clips``, ``seen`` and ``sounding_s``, and ``kin`` where it is not seen."""
    label = record["label"]
    record = {"sounding_s": sounding_s(record), **record}
    if label in trained:
        return {**record, "seen": True, "clips": trained[label]}
    return {**record, "seen": False, "clips": 0, "kin": bool(related.get(label, set()) & trained.keys())}


def write_tables(data: Path, out: Path) -> None:
    """Clips of unseen and of all ESC-50 classes, and backgrounds for them; paths begin at ``data``."""
    classes = unseen_classes(data)
    print("ESC-50 classes that training lacks:", ", ".join(classes))
    rows = read_table(data / "evaluation_nc" / "foreground.csv")
    clips = [based(row, "evaluation_nc") for row in rows if row["source"].startswith("ESC-50")]
    write_table(out / "esc_clips.csv", [row for row in clips if row["label"] in classes])
    # The ten classes that are openly licensed stand among the open clips.
    rows = read_table(data / "open" / "foreground.csv")
    clips += [
        based(row, "open") for row in rows if row["source"].startswith("ESC-10") and row["split"] == "test"
    ]
    columns: Sequence[str] = ("file", "label", "captions", "group")
    write_table(out / "esc50_clips.csv", [{key: row[key] for key in columns} for row in clips])
    places = [
        based(row, part)
        for part, split in (("open", "test"), ("evaluation_nc", "val"))
        for row in read_table(data / part / "background.csv")
        if row["split"] == split
    ]
    columns = ("file", "label", "contains_labels", "group")
    write_table(out / "esc_backgrounds.csv", [{key: row[key] for key in columns} for row in places])


def based(row: Mapping[str, str], part: str) -> dict[str, str]:
    """The row with its file's path from the folder above."""
    return {**row, "file": f"{part}/{row['file']}"}


def main() -> None:
    """Read the options and write what they ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    jobs = parser.add_subparsers(dest="job", required=True)
    for name, places in (("tables", ("data", "out")), ("write", ("data", "out", "scenes"))):
        job = jobs.add_parser(name)
        for place in places:
            job.add_argument(place, type=Path)
    options = parser.parse_args()
    if options.job == "tables":
        write_tables(options.data, options.out)
    else:
        write_sets(options.data, options.out, options.scenes)


if __name__ == "__main__":
    main()
