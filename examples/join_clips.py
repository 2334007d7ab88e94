"""One folder of labelled clips from two, the second of which is for training only.

    python examples/join_clips.py DATA OUT

``DATA/open`` holds foreground.csv and background.csv, ``DATA/open_more`` foreground.csv with the same
columns, both with the audio that they name. All rows of the second are of the training split: validation
and test stay what they were. ``OUT`` gets copies, since what a table names must lie in its folder.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

LEFT_OUT = ("keyboard_typing", "footsteps", "snoring")
"""Classes of ESC-50 that the figures in docs/default-model.md count as never trained."""


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def more_clips(data: Path) -> list[dict[str, str]]:
    """The rows of ``DATA/open_more`` that are trained on.

    Raises:
        SystemExit: a row is not of the training split.
    """
    rows = read_table(data / "open_more" / "foreground.csv")
    for row in rows:
        if row["split"] != "train":
            raise SystemExit(
                f"{row['file']} is of the split {row['split']}: more clips are for training only"
            )
    return [row for row in rows if row["label"] not in LEFT_OUT]


def all_clips(data: Path) -> list[dict[str, str]]:
    """The rows of both tables.

    Raises:
        SystemExit: the tables do not fit.
    """
    rows, more = read_table(data / "open" / "foreground.csv"), more_clips(data)
    for column in ("file", "group"):
        shared = {row[column] for row in rows} & {row[column] for row in more}
        if shared:
            raise SystemExit(f"{column} {min(shared)} is in both tables")
    return rows + more


def write_table(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """A CSV file of rows with the same columns."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Read the options and write the folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    rows = all_clips(options.data)
    shutil.copytree(options.data / "open", options.out, dirs_exist_ok=True)
    shutil.copytree(options.data / "open_more" / "foreground", options.out / "foreground", dirs_exist_ok=True)
    write_table(options.out / "foreground.csv", rows)
    print(f"{len(rows)} clips")


if __name__ == "__main__":
    main()
