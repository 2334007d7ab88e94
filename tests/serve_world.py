"""A served page over a few short recordings, whose answers are known."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import soundfile
from waiting import wait_for

from amr.formats.labels import LabelFile
from amr.formats.predictions import Prediction
from amr.retrieval.recordings import Collection, LengthSource
from amr.serve.guard import Access
from amr.serve.library import Library
from amr.serve.moments import Answerer
from amr.serve.routes import Page, application
from amr.serve.server import QuietServer, bind, configuration
from amr.serve.sounds import KeptSounds

PORT = 8765
BASE = f"http://127.0.0.1:{PORT}"
RATE_HZ = 16_000
LENGTHS_S = {"20240611_053000": 20.0, "north/240612-060000": 12.0, "street": 10.0, "gone": 30.0}


def write_recordings(folder: Path) -> dict[str, Path]:
    """A tone that rises, for each recording but ``gone``."""
    paths = {}
    for number, (vid, length_s) in enumerate(LENGTHS_S.items()):
        if vid == "gone":
            continue
        paths[vid] = folder / f"{vid}.wav"
        paths[vid].parent.mkdir(parents=True, exist_ok=True)
        times = np.arange(int(length_s * RATE_HZ)) / RATE_HZ
        soundfile.write(
            paths[vid], 0.3 * np.sin(2 * np.pi * (300 + 100 * number + 40 * times) * times), RATE_HZ
        )
    return paths


@dataclass
class KnownAnswers:
    """Stands for ``StandingSearch``: every recording has two moments of every question."""

    collection: Collection
    archive: object = None
    asked: list[tuple[str, ...]] = field(default_factory=list)
    search: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(
            model=SimpleNamespace(name="best"), encoder=None, finder=None, finder_of=lambda searches_all: None
        )
    )

    def ask(self, queries, *, top, kept, shortlist=None, among=None, should_stop=lambda: False):
        self.asked.append(tuple(query.text for query in queries))
        return [
            Prediction(
                f"{vid}_1", query.text, vid, [[2.0, 3.5, 0.9 - place / 10], [6.0, 7.0, 0.2]], LENGTHS_S[vid]
            )
            for query in queries
            for place, vid in enumerate(self.collection.vids)
            if among is None or vid in among
        ][:top]


def make_page(folder: Path, **access: object) -> Page:
    """A page over recordings in a folder; labels are kept in its ``labels.jsonl``."""
    collection = Collection([LengthSource(LENGTHS_S, "test")])
    library = Library(collection, write_recordings(folder))
    answerer = Answerer(KnownAnswers(collection), library, KeptSounds(folder))  # type: ignore[arg-type]
    return Page(library, answerer, LabelFile(folder / "labels.jsonl"), Access(PORT, **access), "test", 0.25)


class OpenedPage(NamedTuple):
    """A page, its address, and what answers there."""

    page: Page
    base: str
    server: QuietServer


@contextmanager
def opened_page(folder: Path) -> Iterator[OpenedPage]:
    """A page that is served on a socket of its own, in a thread."""
    folder.mkdir(exist_ok=True)
    page = make_page(folder)
    sock = bind("127.0.0.1", 0)
    port = sock.getsockname()[1]
    object.__setattr__(page.access, "port", port)
    server = QuietServer(configuration(application(page)))
    thread = threading.Thread(target=server.run, args=([sock],))
    thread.start()
    wait_for(lambda: server.started)
    try:
        yield OpenedPage(page, f"http://127.0.0.1:{port}", server)
    finally:
        server.should_exit = True
        thread.join()
        sock.close()
