"""How numpy's matrix library is to work, said before numpy is imported; what the user has set is kept."""

from __future__ import annotations

from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
HEAD_BYTES = 8192  # the first processor's lines
# OpenBLAS up to the one of numpy 2.4 does not know AMD's family 26 (Zen 5) and takes AVX2, at half the rate:
# https://github.com/OpenMathLib/OpenBLAS/issues/6029. These are the kernels that it means for Zen 4.
UNKNOWN_FAMILY = {"vendor_id": "AuthenticAMD", "cpu family": "26"}
KERNELS = "SkylakeX"
NEEDED = {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}


def set_up_matrices(environment: MutableMapping[str, str], cpu_info: Path = CPU_INFO) -> None:
    """Choose threads and kernels of OpenBLAS by its environment variables.

    Args:
        environment: of this process, and of those that it will start.
        cpu_info: what Linux says of the processors; elsewhere there is no such file.
    """
    # Matrices here are small, and threads wait by spinning: beside a busy neighbour a sentence took seven
    # times the processor time.
    environment.setdefault("OPENBLAS_NUM_THREADS", "1")
    with suppress(OSError):
        if is_unknown(cpu_info):
            environment.setdefault("OPENBLAS_CORETYPE", KERNELS)


def is_unknown(cpu_info: Path) -> bool:
    """Whether the processor has AVX-512 and OpenBLAS does not see it. Raises ``OSError``."""
    with open(cpu_info, encoding="ascii", errors="replace") as file:
        lines = [line.partition(":") for line in file.read(HEAD_BYTES).splitlines()]
    first: dict[str, str] = {}
    for name, _, value in lines:
        first.setdefault(name.strip(), value.strip())
    is_family = all(first.get(name) == value for name, value in UNKNOWN_FAMILY.items())
    return is_family and set(first.get("flags", "").split()) >= NEEDED
