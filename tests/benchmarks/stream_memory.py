"""``amr extract -`` under load: names as fast as they are taken, and what the process holds meanwhile.

    python tests/benchmarks/stream_memory.py [--minutes 10]

Every name is another recording of a second (a hard link), each tenth one is broken, each tenth one comes
twice. The encoder does nothing, so that as many pass as can. Ten times on the way the process's memory, open
files and threads are looked at.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

sys.path.insert(0, str(Path(__file__).parent.parent))

from fault_world import FAKE, TESTS, write_noise

LOOKS = 10


def feed(folder: Path, names: IO[bytes], until_s: float, taken: list[int]) -> None:
    """Name recordings until the time is over; the pipe takes no more than are worked off."""
    while time.monotonic() < until_s:
        number = taken[0]
        name = folder / f"r{number:07d}.wav"
        os.link(folder / ("broken" if number % 10 == 9 else "whole"), name)
        again = b"" if number % 10 else os.fsencode(name) + b"\n"
        names.write(os.fsencode(name) + b"\n" + again)
        names.flush()
        taken[0] += 1
    names.close()


def held(pid: int) -> tuple[float, int, int]:
    """Memory in MB, open files and threads of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    memory, threads = (int(found) for found in re.findall(r"(?:VmRSS|Threads):\s+(\d+)", status))
    return memory / 1024, len(list(Path(f"/proc/{pid}/fd").iterdir())), threads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    step_s = parser.parse_args().minutes * 60 / LOOKS
    print("| minutes | names | memory, MB | open files | threads |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_noise(folder / "whole.wav", 1)
        (folder / "whole.wav").rename(folder / "whole")
        (folder / "broken").write_bytes((folder / "whole").read_bytes()[:1000])
        work = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "amr",
                "extract",
                "-",
                "--append",
                "-q",
                "-o",
                str(folder / "f.h5"),
                *FAKE,
            ],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"},
        )
        assert work.stdin is not None
        taken, began_s = [0], time.monotonic()
        feeder = threading.Thread(target=feed, args=(folder, work.stdin, began_s + LOOKS * step_s, taken))
        feeder.start()
        for look in range(1, LOOKS + 1):
            time.sleep(max(0.0, began_s + (look - 0.1) * step_s - time.monotonic()))
            memory_mb, files, threads = held(work.pid)
            minutes = (time.monotonic() - began_s) / 60
            print(f"| {minutes:.1f} | {taken[0]} | {memory_mb:.0f} | {files} | {threads} |", flush=True)
        feeder.join()
        print(f"\nexit {work.wait()} (5: broken ones were named)")


if __name__ == "__main__":
    main()
