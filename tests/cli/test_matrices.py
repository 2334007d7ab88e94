"""What numpy's matrix library is told: nothing that the user has said, no kernels that a processor lacks."""

import os
from pathlib import Path

import pytest

from amr.cli.main import run
from amr.cli.matrices import set_up_matrices

FLAGS = "fpu avx2 avx512f avx512dq avx512cd avx512bw avx512vl"


def cpu_info(path: Path, vendor: str = "AuthenticAMD", family: str = "26", flags: str = FLAGS) -> Path:
    """Two processors, as Linux describes them."""
    of_one = f"vendor_id\t: {vendor}\ncpu family\t: {family}\nmodel name\t: AMD EPYC\nflags\t\t: {flags}\n\n"
    path.write_text(of_one.join(("processor\t: 0\n", "processor\t: 1\n", "")))
    return path


def test_a_zen_5_gets_its_wide_kernels(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    set_up_matrices(environment, cpu_info(tmp_path / "cpuinfo"))
    assert environment == {"OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "SkylakeX"}


@pytest.mark.parametrize(
    "other",
    [
        {"vendor": "GenuineIntel"},
        {"family": "25"},
        {"flags": FLAGS.replace("avx512vl", "")},
        {"flags": "fpu avx2"},
    ],
)
def test_other_processors_are_left_to_openblas(tmp_path: Path, other: dict[str, str]) -> None:
    environment: dict[str, str] = {}
    set_up_matrices(environment, cpu_info(tmp_path / "cpuinfo", **other))
    assert environment == {"OPENBLAS_NUM_THREADS": "1"}


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe:\n:::\n"])
def test_a_system_that_says_nothing_is_left_to_openblas(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "cpuinfo"
    if content is not None:
        path.write_bytes(content)
    environment: dict[str, str] = {}
    set_up_matrices(environment, path)
    assert environment == {"OPENBLAS_NUM_THREADS": "1"}


def test_what_the_user_has_set_is_kept(tmp_path: Path) -> None:
    environment = {"OPENBLAS_NUM_THREADS": "4", "OPENBLAS_CORETYPE": "Haswell"}
    set_up_matrices(environment, cpu_info(tmp_path / "cpuinfo"))
    assert environment == {"OPENBLAS_NUM_THREADS": "4", "OPENBLAS_CORETYPE": "Haswell"}


def test_every_command_begins_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("amr.cli.main.set_up_matrices", asked.append)
    run(["--version"])
    assert asked == [os.environ]
