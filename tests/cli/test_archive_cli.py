"""``amr predict`` on archives: index, shortlist, groups, and what is refused."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from archive_world import Tool

from amr.encoders.registry import load_encoder
from amr.encoders.running.stream import encode_recording
from amr.formats.features.output import Begin, open_feature_output
from amr.retrieval.archive import index
from amr.retrieval.archive.index_file import MANIFEST, index_folder

AUDIO = Path(__file__).parents[2] / "examples" / "audio"
QUERY = ("predict", "--query", "a dog barks")


@pytest.fixture
def tool(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tool:
    return Tool(capfd, monkeypatch)


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    """Frames of the example recordings, one behind the other."""
    encoder = load_encoder("yamnet")
    return np.concatenate([encode_recording(encoder, path)[0] for path in sorted(AUDIO.glob("*.ogg"))])


def add_recordings(path: Path, real: np.ndarray, numbers: range) -> None:
    """Recordings of 25 frames and more, from anywhere in the real ones."""
    begin = Begin.APPEND if path.exists() else Begin.NEW
    text = load_encoder("yamnet").identity.to_json()
    with open_feature_output(path, identity_json=text, store="float16", begin=begin) as writer:
        for number in numbers:
            frames = real[11 * number : 11 * number + 25 + number]
            writer.add(f"r{number}", frames, duration_s=0.48 * len(frames) + 0.49)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, real: np.ndarray) -> Path:
    path = tmp_path_factory.mktemp("archive") / "a.h5"
    add_recordings(path, real, range(12))
    return path


@pytest.fixture
def feats(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy2(made, tmp_path / "a.h5"))


def test_an_index_is_made_once_used_and_told_of(tool: Tool, feats: Path) -> None:
    plain = tool(*QUERY, "--top", "4", feats)
    assert (plain.returncode, plain.stderr) == (0, "")
    making = tool("predict", "--index", feats)
    assert making.returncode == 0
    assert making.stdout == ""
    assert "frames are indexed" in making.stderr
    listed = tool(*QUERY, "--top", "4", feats)
    assert "12 of 12 recordings were searched, no other can be among the best" in listed.stderr
    exact = tool(*QUERY, "--top", "4", "--shortlist", "all", feats)
    assert exact.stderr == ""
    assert exact.stdout == plain.stdout == listed.stdout
    until_it_is = tool(*QUERY, "--top", "4", "--shortlist", "exact", feats)
    assert until_it_is.stdout == exact.stdout
    quiet = tool(*QUERY, "--top", "4", "-q", "--shortlist", "30", feats)
    assert (quiet.stdout, quiet.stderr) == (exact.stdout, "")
    everything = tool(*QUERY, feats)
    assert len(everything.records) == 12
    assert everything.stderr == ""


def test_an_index_out_of_date_is_told_of_and_not_used(tool: Tool, feats: Path, real: np.ndarray) -> None:
    assert tool("predict", "--index", "-q", feats).returncode == 0
    add_recordings(feats, real, range(12, 14))
    old = tool(*QUERY, "--top", "3", feats)
    assert "out of date and not used" in old.stderr
    assert "--index makes it" in old.stderr
    listed = tool(*QUERY, "--top", "3", "--shortlist", "14", "--index", feats)
    assert "14 recordings" not in listed.stderr  # the shortlist was asked for
    assert listed.records == old.records


def test_the_models_own_index_is_made_and_its_lack_told_of(tool: Tool, feats: Path) -> None:
    listing = (*QUERY, "--top", "3", feats)
    making = tool("predict", "--index", "--model", "window", feats)
    assert making.stderr.count("frames are indexed, in") == 1
    assert not index_folder(feats, "best").exists()
    lacking = tool(*listing)
    assert "a shortlist of 100" in lacking.stderr
    assert (
        "the index for the model best is not there, the shortlist goes by similarity alone" in lacking.stderr
    )
    assert "--index makes it" in lacking.stderr
    making = tool("predict", "--index", feats)
    assert "frames are indexed for the model best, in" in making.stderr
    used = tool(*listing)
    assert used.stderr.count("\n") == 1
    assert "recordings were searched" in used.stderr
    manifest = index_folder(feats, "best") / MANIFEST
    record = json.loads(manifest.read_bytes())
    record["probe"][0][0] += 0.1
    manifest.write_text(json.dumps(record))
    other = tool(*listing)
    assert "the index for the model best is out of date, or of other weights" in other.stderr
    assert other.stdout == used.stdout == lacking.stdout  # all twelve are on any list
    window = tool(*listing, "--model", "window")
    assert "best" not in window.stderr


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_where_nothing_can_be_written_an_index_that_is_up_to_date_will_do(
    tool: Tool, feats: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(folder: Path) -> None:
        raise OSError(number, os.strerror(number), str(folder))

    monkeypatch.setattr(index, "held_index", refused)
    making = ("predict", "--index", "--model", "window", feats)
    lacking = tool(*making)
    assert lacking.returncode == 3
    assert "no index can be written here" in lacking.stderr
    monkeypatch.undo()
    assert tool(*making).returncode == 0
    monkeypatch.setattr(index, "held_index", refused)
    again = tool(*making)
    assert again.returncode == 0
    assert "frames are indexed, in" in again.stderr


def test_a_shortlist_without_an_index_is_told_of(tool: Tool, feats: Path) -> None:
    done = tool(*QUERY, "--top", "3", "--shortlist", "20", feats)
    assert done.returncode == 0
    assert "there is no index, every frame is read" in done.stderr
    assert not index_folder(feats).exists()
    assert done.stdout == tool(*QUERY, "--top", "3", feats).stdout


def test_groups_of_recordings_keep_their_moments(tool: Tool, feats: Path) -> None:
    done = tool(*QUERY, "--top", "3", "--group", "recording", feats)
    whole = {record["vid"]: record for record in tool(*QUERY, feats).records}
    found = done.records
    assert len(found) == 3
    assert found == [whole[record["vid"]] for record in found]
    options = ("--top", "3", "--group", "recording", "--format", "table", "--no-merge")
    table = tool(*QUERY, *options, feats).stdout
    rows = [line.split()[0] for line in table.splitlines()[1:]]
    assert rows == [r["vid"] for r in found for _ in r["pred_relevant_windows"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--shortlist", "9"), "--shortlist needs --top"),
        (("--group", "recording"), "--group recording needs --top"),
        (("--top", "4", "--shortlist", "3"), "neither 'all', 'exact' nor a number from --top (4) on"),
        (("--top", "4", "--shortlist", "many"), "neither 'all', 'exact' nor a number"),
        (("--top", "4", "--shortlist", "exact", "--model", "window"), "nothing bounds the scores"),
        (("--top", "4", "--shortlist", "9", "--model", "prior"), "a prior ignores the sound"),
        (("--top", "4", "--shortlist", "9", "--saliency"), "--saliency wants whole recordings"),
    ],
)
def test_what_cannot_be_shortlisted_is_refused(
    tool: Tool, feats: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = tool(*QUERY, *arguments, feats)
    assert done.returncode == 2
    assert message in done.stderr


def test_queries_of_one_recording_are_not_shortlisted(tool: Tool, feats: Path) -> None:
    line = json.dumps({"query": "rain", "vid": "r3", "qid": 1})
    assert tool("predict", "--index", "-q", feats).returncode == 0
    done = tool("predict", "--queries", "-", "--top", "2", feats, stdin=line)
    assert {record["vid"] for record in done.records} == {"r3"}
    assert done.stderr == ""
    refused = tool("predict", "--queries", "-", "--top", "2", "--shortlist", "5", feats, stdin=line)
    assert refused.returncode == 2


def test_only_feature_files_are_indexed(tool: Tool, feats: Path) -> None:
    audio = AUDIO / "sheepfield.ogg"
    assert tool("predict", "--index", audio).returncode == 2
    assert tool("predict", "--index", feats, audio).returncode == 2
    assert tool(*QUERY, "--top", "2", "--shortlist", "5", feats, audio).returncode == 2
    assert not index_folder(feats).exists()


def test_an_output_without_a_query_is_refused(tool: Tool, feats: Path, tmp_path: Path) -> None:
    done = tool("predict", "--index", feats, "-o", tmp_path / "out.jsonl")
    assert done.returncode == 2
    assert "-o needs a query" in done.stderr
    assert not (tmp_path / "out.jsonl").exists()
    assert not index_folder(feats).exists()


def test_two_sites_with_equal_names_are_one_archive(tool: Tool, tmp_path: Path, real: np.ndarray) -> None:
    sites = [tmp_path / "north.h5", tmp_path / "south.h5"]
    for number, path in enumerate(sites):
        with open_feature_output(
            path, identity_json=load_encoder("yamnet").identity.to_json(), store="float16"
        ) as writer:
            for name in ("r0", "r1", "r2"):
                frames = real[40 * number + 9 * int(name[1]) :][:30]
                writer.add(name, frames, duration_s=14.9, source=f"{path.stem}/{name}.wav")
    plain = tool(*QUERY, "--top", "6", *sites)
    vids = {record["vid"] for record in tool(*QUERY, *sites).records}
    assert vids == {"r0", "r1", "r2", "south/r0", "south/r1", "south/r2"}
    assert tool("predict", "--index", "-q", *sites).returncode == 0
    listed = tool(*QUERY, "--top", "6", *sites)
    assert "6 of 6 recordings were searched" in listed.stderr
    assert listed.stdout == plain.stdout
    assert any(record["vid"].startswith("south/") for record in listed.records)
