"""One run of the fuzzer on one reader, in a process of its own with its memory limited.

An exception other than ``AmrError`` is noted with its input, once for each place it comes from, and the run
goes on. A crash, a hang or too much memory ends the process; the input is kept by libFuzzer.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from .target import Target, load

MEMORY_BYTES = 2**30
CPU_SECONDS_PER_INPUT = 10.0
SECONDS_PER_INPUT = 1200  # of wall time, on a machine that may be busy: what hangs in a C library is ended
INSTRUMENTED = ["amr", "zipfile", "pickle", "csv", "h5py", "soundfile"]


class TooSlowError(Exception):
    """An input took more processor time than any of its size may."""


def note(error: BaseException, data: bytes, findings: Path) -> None:
    """Keep an input under a name made of the failure's kind and place."""
    ours = [step for step in traceback.extract_tb(error.__traceback__) if "/amr/" in step.filename]
    place = f"{Path(ours[-1].filename).stem}-{ours[-1].lineno}" if ours else "harness"
    name = f"{type(error).__name__}-{place}"
    if (findings / name).exists():
        return
    (findings / name).write_bytes(data)
    told = "".join(traceback.format_exception(error))
    (findings / f"{name}.txt").write_text(told, encoding="utf-8", errors="backslashreplace")
    print(f"finding {name}: {error!r}"[:500], file=sys.stderr)


def too_slow(*_: object) -> None:
    """Called by the kernel when an input has used up its processor time."""
    raise TooSlowError


def limit_memory() -> None:
    """A gigabyte more than the process has now, and no core files."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("reader")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--findings", type=Path, required=True)
    parser.add_argument("--seconds", type=int, required=True, help="of wall time")
    parser.add_argument("--cpu-seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)

    import atheris

    for name in ("zipfile", "pickle", "csv"):
        sys.modules.pop(name, None)  # imported again below, with coverage
    with warnings.catch_warnings(), atheris.instrument_imports(include=INSTRUMENTED):
        warnings.simplefilter("ignore")
        target = load(options.reader)
    warnings.simplefilter("ignore")
    from amr.errors import AmrError

    begin_s, inputs = time.process_time(), 0
    place = Path(tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))

    def once(data: bytes) -> None:
        nonlocal inputs
        inputs += 1
        if inputs % 64 == 0 and time.process_time() - begin_s > options.cpu_seconds:
            print(f"stat::number_of_executed_units: {inputs}", file=sys.stderr, flush=True)
            os._exit(0)  # the corpus and the findings are on the disk
        folder = place / "input"
        folder.mkdir()
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS_PER_INPUT)
        try:
            target.read(data, folder)
        except AmrError as error:
            str(error).encode("utf-8", "backslashreplace")
        except BaseException as error:  # noqa: BLE001  # any other exception is a finding
            note(error, data, options.findings)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            shutil.rmtree(folder, ignore_errors=True)

    def mutate(data: bytes, max_bytes: int, seed: int) -> bytes:
        assert target.mutate is not None
        changed = target.mutate(data, random.Random(seed), lambda part: atheris.Mutate(part, len(part) + 64))
        return changed[:max_bytes]

    write_seeds(target, options.corpus)
    words = options.findings / "words.dict"
    words.write_text("".join(f'"{as_word(word)}"\n' for word in target.words))
    flags = [
        f"-max_total_time={options.seconds}",
        f"-timeout={SECONDS_PER_INPUT}",
        f"-report_slow_units={SECONDS_PER_INPUT}",
        f"-rss_limit_mb={MEMORY_BYTES >> 20}",
        f"-max_len={target.max_bytes}",
        f"-artifact_prefix={options.findings}/",
        f"-seed={options.seed}",
        "-print_final_stats=1",
        *([f"-dict={words}"] if target.words else []),
        str(options.corpus),
    ]
    limit_memory()
    signal.signal(signal.SIGPROF, too_slow)
    extras = {"custom_mutator": mutate} if target.mutate else {}
    atheris.Setup([sys.argv[0], *flags], once, **extras)
    atheris.Fuzz()


def write_seeds(target: Target, corpus: Path) -> None:
    for seed in target.seeds():
        (corpus / hashlib.sha1(seed).hexdigest()).write_bytes(seed)


def as_word(word: bytes) -> str:
    """A word as libFuzzer's dictionaries have it."""
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main(sys.argv[1:])
