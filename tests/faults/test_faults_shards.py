"""Parts of a whole that are lost or doubled, and shares that an interrupted group of processes left."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fault_table import Seen, fault
from fault_world import World

from amr.formats.features.open import open_features
from amr.formats.features.parts import sibling_name
from amr.formats.features.read import FeatureFile


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> World:
    monkeypatch.chdir(tmp_path)
    made = World(tmp_path, capfd)
    for part in (1, 2, 3):
        assert made.extract("audio", "--shard", f"{part}/3", "-o", f"feats.{part}of3.h5", "-q").code == 0
    return made


def test_parts_are_joined_whatever_the_order_they_are_named_in(world: World) -> None:
    parts = [f"feats.{part}of3.h5" for part in (1, 2, 3)]
    assert world.amr("extract", "--merge", *reversed(parts), "-o", "f.h5").code == 0
    world.require_all()
    with FeatureFile("f.h5") as joined, open_features(*parts) as named:
        assert list(joined.ids) == list(named.ids)
        assert [entry.get("shard") for entry in joined.history] == ["1/3", "2/3", "3/3", None]
    assert world.amr("extract", "--merge", "f.h5", "-o", "again.h5").code == 0  # nothing is missing in it


@fault(
    "group",
    "a part of a job array is lost, and the parts are merged",
    code=3,
    says="part 2/3 missing: feats.2of3.h5",
    left="the other parts; `--keep-going` joins them",
)
def test_lost_part(world: World) -> Seen:
    Path("feats.2of3.h5").rename("elsewhere.h5")
    left = ["feats.1of3.h5", "feats.3of3.h5"]
    seen = world.amr("extract", "--merge", *left, "-o", "f.h5")
    assert not Path("f.h5").exists()
    Path("elsewhere.h5").rename("feats.2of3.h5.part")
    assert "an interrupted run left feats.2of3.h5.part" in world.amr("extract", "--merge", *left).text
    assert world.amr("extract", "--merge", *left, "-o", "some.h5", "--keep-going").code == 5
    assert world.extract("audio", "--shard", "2/3", "-o", "feats.2of3.h5", "--resume").code == 0
    assert world.amr("extract", "--merge", *left, "feats.2of3.h5", "-o", "f.h5").code == 0
    world.require_all()
    return seen


@fault(
    "group",
    "a part of a job array is named twice",
    code=3,
    says="is part 1/3, and so is …",
    left="the parts, as they were",
)
def test_doubled_part(world: World) -> Seen:
    shutil.copy("feats.1of3.h5", "copy.h5")
    parts = ["feats.1of3.h5", "copy.h5", "feats.2of3.h5", "feats.3of3.h5"]
    seen = world.amr("extract", "--merge", *parts, "-o", "f.h5")
    assert not Path("f.h5").exists()
    return seen


@fault(
    "group",
    "parts are searched and one was not named",
    code=0,
    says="amr predict: warning: part 3/3 missing: feats.3of3.h5",
    left="the answers for the parts that are there",
)
def test_lost_part_in_a_search(world: World) -> Seen:
    parts = ["feats.1of3.h5", "feats.2of3.h5"]
    return world.amr("predict", "--query", "x", "--model", "prior:whole", *parts, "-o", "p.jsonl")


@fault(
    "group",
    "an interrupted group of processes left shares, and the work is begun anew",
    code=3,
    says="an interrupted run of several processes left f.h5.process-1-of-2.part",
    left="the shares; `--resume` with as many processes goes on, `--merge` joins what there is",
)
def test_shares_left(world: World, monkeypatch: pytest.MonkeyPatch) -> Seen:
    from amr.distributed import Processes
    from amr.errors import InputError
    from amr.tasks.extract.jobs import FeatureTarget
    from amr.tasks.extract.processes import require_no_other_shares

    Path("f.h5.process-1-of-2.part").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        require_no_other_shares(FeatureTarget(Path("f.h5")), Processes(0, 2))
    return Seen(int(caught.value.exit_code), str(caught.value))


@pytest.mark.parametrize(
    ("name", "index", "count", "expected"),
    [
        ("x.1of8.h5", 3, 8, "x.3of8.h5"),
        ("x-01-of-12.h5", 3, 12, "x-03-of-12.h5"),
        ("2024.1of8.h5", 3, 8, "2024.3of8.h5"),
        ("x_1_8.h5", 7, 8, "x_7_8.h5"),
        ("feats.h5", 3, 8, None),
    ],
)
def test_what_a_lost_part_is_called(name: str, index: int, count: int, expected: str | None) -> None:
    found = sibling_name(Path(name), index, count)
    assert (None if found is None else found.name) == expected


def test_shards_of_predict_make_the_whole(world: World) -> None:
    command = ["predict", "--query", "x", "--query", "y", "--model", "prior:tiles", "audio"]
    assert world.amr(*command, "-o", "whole.jsonl").code == 0
    lines = []
    for part in (1, 2, 3):
        assert world.amr(*command, "-o", f"{part}.jsonl", "--shard", f"{part}/3").code == 0
        lines += Path(f"{part}.jsonl").read_text().splitlines()
    assert sorted(lines) == sorted(Path("whole.jsonl").read_text().splitlines())
