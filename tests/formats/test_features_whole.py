"""Several feature files whose recordings share ids: searched together, merged, exported."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from feature_fakes import identity

from amr.errors import InputError
from amr.formats.features.npz import NpzTree
from amr.formats.features.npz_exchange import export_tree
from amr.formats.features.open import open_features
from amr.formats.features.output import open_feature_output
from amr.formats.notices import Notices
from amr.tasks.extract.merge import merge_features

NFC, NFD = (unicodedata.normalize(form, "Vögel") for form in ("NFC", "NFD"))


def write(path: Path, *recordings: tuple[str, str, int]) -> Path:
    """A feature file of ``(id, source, value of its frames)``."""
    with open_feature_output(path, identity_json=identity().to_json(), store="float32") as writer:
        for name, source, value in recordings:
            frames = np.full((3, identity().dimension), value, dtype=np.float32)
            writer.add(name, frames, duration_s=1.5, source=source)
    return path


CASES = {
    "a folder a site": ([("x", "rec/A/x.wav", 1)], [("x", "rec/B/x.wav", 2)], ["x", "B/x"]),
    "made inside each folder": ([("x", "x.wav", 1)], [("x", "x.wav", 2)], ["x", "two/x"]),
    "not said from where": ([("x", "", 1)], [("x", "", 2)], ["x", "two/x"]),
    "another ending": ([("x", "A/x.wav", 1)], [("x", "A/x.mp3", 2)], ["x", "x.mp3"]),
    "a name that is taken": (
        [("x", "A/x.wav", 1), ("B/x", "C/x.wav", 3)],
        [("x", "rec/B/x.wav", 2)],
        ["x", "B/x", "rec/B/x"],
    ),
    "another composition": ([(NFC, f"A/{NFC}.wav", 1)], [(NFD, f"B/{NFD}.wav", 2)], [NFC, f"B/{NFD}"]),
}


@pytest.mark.parametrize("case", CASES)
def test_equal_ids_are_told_apart_everywhere(tmp_path: Path, case: str) -> None:
    first, second, called = CASES[case]
    one, two = write(tmp_path / "one.h5", *first), write(tmp_path / "two.h5", *second)
    values = [value for _, _, value in [*first, *second]]
    merge_features([one, two], tmp_path / "whole.h5")
    for paths in ([one, two], [tmp_path / "whole.h5"]):
        with open_features(*paths) as reader:
            assert list(reader.ids) == called
            assert [recording.id for recording in reader] == called
            assert [int(reader.frames(name)[0, 0]) for name in called] == values
            assert reader.packed().ids == called
            assert [reader.source(name) for name in called] == [source for _, source, _ in [*first, *second]]
    with open_features(one, two) as reader:
        export_tree(reader, tmp_path / "tree", [], Notices())
    assert sorted(NpzTree(tmp_path / "tree").ids) == sorted(called)


def test_three_sites(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}.h5", ("x", f"site{n}/day/x.wav", n)) for n in range(3)]
    with open_features(*paths) as reader:
        assert list(reader.ids) == ["x", "site1/day/x", "site2/day/x"]


@pytest.mark.parametrize("sources", [("x.wav", "x.wav"), ("A/x.wav", "./A/x.wav"), ("", "A/x.wav")])
def test_a_recording_that_two_files_hold_is_refused(tmp_path: Path, sources: tuple[str, str]) -> None:
    one, two = (
        write(tmp_path / "one.h5", ("x", sources[0], 1)),
        write(tmp_path / "two.h5", ("x", sources[1], 1)),
    )
    with pytest.raises(InputError, match=r"two\.h5: recording 'x' is in .*one\.h5 as well"):
        open_features(one, two)


def test_parts_that_hold_a_recording_under_two_ids_are_not_merged(tmp_path: Path) -> None:
    one = write(tmp_path / "one.h5", ("x", "rec/A/x.wav", 1))
    two = write(tmp_path / "two.h5", ("A/x", "./rec/A/x.wav", 1), ("B/x", "rec/B/x.wav", 1))
    with pytest.raises(InputError, match=r"two\.h5: recording 'A/x', from .*, is in .*one\.h5 as 'x'"):
        merge_features([one, two], tmp_path / "whole.h5")
    assert not (tmp_path / "whole.h5").exists()


def test_ids_are_found_in_either_form(tmp_path: Path) -> None:
    with open_features(write(tmp_path / "f.h5", (NFD, "", 1), ("b", "", 2))) as reader:
        assert NFC in reader
        assert reader.num_frames(NFC) == 3
        assert list(reader.ids) == [NFD, "b"]
