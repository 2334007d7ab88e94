"""Fetching published weights into the cache folder: whole, checked, and never behind the user's back.

A file is asked for when it is first needed. ``AMR_OFFLINE=1`` forbids that; then, and whenever fetching
fails, the error names the address and the place, so that it can be fetched by hand.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO

from amr.errors import MissingError

OFFLINE_VARIABLE = "AMR_OFFLINE"
CACHE_VARIABLE = "AMR_CACHE"
BLOCK_BYTES = 2**20
TIMEOUT_S = 30.0
# The hub sends a large file's sha256 with its first answer, before it redirects to where the bytes are.
CHECKSUM_HEADER = "X-Linked-ETag"
SHA256_DIGITS = 64
REDRAW_S = 0.2
LINE_EVERY_S = 60.0


@dataclass(frozen=True)
class WebFile:
    """A published file.

    Args:
        name: under which it is kept.
        url: where it is published.
        sha256: of its bytes, hexadecimal; None: what the server declares is taken.
        hub_names: repositories of the hub that hold this very file; their local copies will do.
    """

    name: str
    url: str
    sha256: str | None = None
    hub_names: tuple[str, ...] = ()


def is_offline() -> bool:
    """Whether the user forbids fetching."""
    return os.environ.get(OFFLINE_VARIABLE, "").strip().lower() not in ("", "0", "false", "no")


def cache_folder(name: str) -> Path:
    """Where the files of ``name`` are kept: ``$AMR_CACHE/name``, else below the user's own cache folder."""
    root = os.environ.get(CACHE_VARIABLE)
    if root:
        return Path(root) / name
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "amr" / name


def fetch(file: WebFile, folder: Path) -> Path:
    """The file in ``folder``, fetched if it is not there.

    Raises:
        MissingError: it is not there and may not or cannot be fetched, or other bytes came than were
        announced.
    """
    path = folder / file.name
    if path.exists():
        return path
    by_hand = f"fetch {file.url} by hand and save it as {path}"
    if is_offline():
        raise MissingError(
            f"is not here, and {OFFLINE_VARIABLE} forbids fetching it", where=path, hint=by_hand
        )
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{file.name}.{os.getpid()}.part"
    try:
        found = receive(file, part, Progress(file.name))
        part.replace(path)
    except (urllib.error.URLError, HTTPException, OSError, WrongBytesError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it is the answer, too
        raise MissingError(f"cannot be fetched ({error})", where=file.url, hint=by_hand) from error
    finally:
        part.unlink(missing_ok=True)
    with open(folder / "SHA256SUMS", "a", encoding="ascii") as sums:
        sums.write(f"{found}  {file.name}\n")
    return path


class WrongBytesError(Exception):
    """What came is not what was announced."""


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects and keeps the checksum that the first answer declared."""

    def __init__(self) -> None:
        self.declared = ""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        self.declared = self.declared or headers.get(CHECKSUM_HEADER, "")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def receive(file: WebFile, part: Path, progress: Callable[[int, int], None]) -> str:
    """Write the file's bytes to ``part`` and return their sha256, after it was found right."""
    redirects = Redirects()
    opener = urllib.request.build_opener(redirects)
    digest = hashlib.sha256()
    done = 0
    with opener.open(file.url, timeout=TIMEOUT_S) as answer, open(part, "wb") as output:
        declared = redirects.declared or answer.headers.get(CHECKSUM_HEADER, "")
        size = int(answer.headers.get("Content-Length") or 0)
        while block := answer.read(BLOCK_BYTES):
            output.write(block)
            digest.update(block)
            done += len(block)
            progress(done, size)
        output.flush()
        os.fsync(output.fileno())
    if size and done != size:
        raise WrongBytesError(f"{done} bytes came, {size} were announced")
    declared = declared.strip('"').lower()
    expected = file.sha256 or (declared if len(declared) == SHA256_DIGITS else None)
    found = digest.hexdigest()
    if expected is not None and found != expected:
        raise WrongBytesError(f"the bytes that came have sha256 {found[:12]}…, expected {expected[:12]}…")
    return found


class Progress:
    """Tells on standard error how far a file is: a bar at a terminal, else a line a minute."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.terminal = sys.stderr.isatty()
        self.told_s = time.monotonic() - LINE_EVERY_S

    def __call__(self, done: int, size: int) -> None:
        now_s = time.monotonic()
        last = done == size
        if not last and now_s - self.told_s < (REDRAW_S if self.terminal else LINE_EVERY_S):
            return
        self.told_s = now_s
        share = f"{100 * done // size:3d} % of {size / 1e6:.0f} MB" if size else f"{done / 1e6:.0f} MB"
        if self.terminal:
            sys.stderr.write(f"\r{self.name}: {share}" + ("\n" if last else ""))
        else:
            sys.stderr.write(f"fetching {self.name}: {share}\n")
        sys.stderr.flush()
