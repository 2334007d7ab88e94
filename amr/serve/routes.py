"""The addresses: the page and its parts, and everything on it as JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property, wraps
from http import HTTPStatus
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from amr import __version__
from amr.errors import AmrError, InputError, MissingError, UsageError, printable
from amr.formats.exchange.forms import FORMS
from amr.formats.jsonl import json_text
from amr.formats.labels import LabelFile
from amr.report.page import asset, scoped
from amr.serve import sound
from amr.serve.exports import CLIPS, export
from amr.serve.guard import Access, Guard, failure
from amr.serve.labelling import parse_change
from amr.serve.library import Library, ServedRecording
from amr.serve.limits import (
    LONGEST_STRETCH_S,
    LONGEST_STRIP_S,
    MOST_SOUND_BYTES,
    MOST_STRIP_BYTES,
)
from amr.serve.moments import Answerer, label_record, parse_asked, whole_number
from amr.serve.overview import RunningOverview
from amr.serve.requests import FOR_AN_HOUR, body_of, in_part, json_body, parameter, stretch
from amr.serve.sounds import parse_keeping
from amr.serve.workers import BusyError, GoneError, Workers

MEDIA = {".css": "text/css", ".js": "text/javascript", ".html": "text/html", ".svg": "image/svg+xml"}
SCRIPT_PARTS = (
    "state.js",
    "search.js",
    "rows.js",
    "stage.js",
    "listen.js",
    "judge.js",
    "keep.js",
    "first.js",
    "begin.js",
)
STATUS: dict[type[AmrError], int] = {
    UsageError: HTTPStatus.BAD_REQUEST,
    InputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    MissingError: HTTPStatus.UNPROCESSABLE_ENTITY,
}

Handler = Callable[["Page", Request], Awaitable[Response]]


def json_response(value: object, status: int = 200) -> Response:
    return Response(json_text(value) + "\n", status, media_type="application/json")


def explained(handler: Handler) -> Handler:
    """A handler whose failures are answered as JSON: one sentence."""

    @wraps(handler)
    async def answer(page: Page, request: Request) -> Response:
        try:
            return await handler(page, request)
        except AmrError as error:
            status = STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
            return failure(status, printable(str(error)), error.hint)
        except BusyError:
            return failure(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests are waiting; try again")
        except GoneError:
            return Response(status_code=499)
        except OSError as error:
            return failure(HTTPStatus.INTERNAL_SERVER_ERROR, printable(error.strerror or str(error)))

    return answer


def own_asset(name: str) -> str:
    """A file of this page, as it is in the package."""
    return resources.files("amr.serve").joinpath("assets").joinpath(name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Page:
    """What the addresses answer with.

    Args:
        library: the recordings.
        answerer: answers questions.
        labels: where labels are kept.
        access: what a request has to know.
        title: of the page.
        likely: the score from which on a moment is probably right; None: the model's scores do not say.
    """

    library: Library
    answerer: Answerer
    labels: LabelFile
    access: Access
    title: str = "amr"
    likely: float | None = None
    searching: Workers = field(default_factory=lambda: Workers(1))
    listening: Workers = field(default_factory=lambda: Workers(2))
    writing: Workers = field(default_factory=lambda: Workers(1))
    sounds: sound.ByteCache = field(default_factory=lambda: sound.ByteCache(MOST_SOUND_BYTES))
    strips: sound.ByteCache = field(default_factory=lambda: sound.ByteCache(MOST_STRIP_BYTES))

    @cached_property
    def assets(self) -> dict[str, str]:
        """The files of the page; scripts and styles stand on those of the report page."""
        return {
            **{name: own_asset(name) for name in ("index.html", "login.html", "icon.svg")},
            "serve.css": asset("common.css") + own_asset("serve.css"),
            "serve.js": scoped([asset("common.js"), *map(own_asset, SCRIPT_PARTS)]),
        }

    async def index(self, request: Request) -> Response:  # noqa: ARG002  # the same for all
        return Response(self.assets["index.html"], media_type="text/html")

    async def part(self, request: Request) -> Response:
        """A script, a style sheet, the icon."""
        name = request.path_params["name"]
        if name not in self.assets or name.endswith(".html"):
            raise HTTPException(HTTPStatus.NOT_FOUND)
        ending = name[name.rindex(".") :]
        return Response(self.assets[name], media_type=MEDIA[ending], headers={"cache-control": "no-cache"})

    @explained
    async def login(self, request: Request) -> Response:
        """The form for the password, and what it sends."""
        if not self.access.password:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        if request.method == "GET":
            return Response(self.assets["login.html"], media_type="text/html")
        if self.access.attempts.are_too_many():
            return failure(HTTPStatus.TOO_MANY_REQUESTS, "too many wrong passwords; wait a minute")
        form = (await body_of(request)).decode("utf-8", "replace")
        given = dict(parameter(part) for part in form.split("&")).get("password", "")
        if not self.access.is_password(given):
            return RedirectResponse("/login?wrong", status_code=HTTPStatus.SEE_OTHER)
        welcome = RedirectResponse("/", status_code=HTTPStatus.SEE_OTHER)
        self.access.set_cookie(welcome)
        return welcome

    @explained
    async def search(self, request: Request) -> Response:
        """``/search.json``: the best moments of each question."""
        asked = parse_asked(request.query_params)
        labels = await self.writing.run(request, lambda _: self.labels.labels())
        found = await self.searching.run(request, lambda stop: self.answerer.answer(asked, labels, stop))
        return json_response(found)

    @explained
    async def recordings(self, request: Request) -> Response:  # noqa: ARG002  # the same for all
        """``/recordings.json``: every recording, and what is searched."""
        known = [each.record() for each in self.library.recordings.values()]
        return json_response(
            {
                "amr": __version__,
                "title": self.title,
                "model": self.answerer.standing.search.model.name,
                "likely": self.likely,
                "hours": round(self.library.total_s / 3600, 3),
                "labels_file": str(self.labels.path),
                "recordings": known,
            }
        )

    @explained
    async def overview(self, request: Request) -> Response:
        """``/overview.json``: what is heard without a question, as far as it is known by now."""
        return json_response(await self.listening.run(request, lambda _: self.running.record()))

    @cached_property
    def running(self) -> RunningOverview:
        """The pass over all recordings that finds what is heard."""
        search = self.answerer.standing.search
        return RunningOverview(search, self.library, lambda: self.searching.are_busy)

    def close(self) -> None:
        """End what runs beside the answers; before the recordings are closed."""
        self.running.stop()

    @explained
    async def show_labels(self, request: Request) -> Response:
        """``/labels.json``: what was accepted and rejected; a POST changes it."""
        if request.method == "POST":
            change = parse_change(await json_body(request), self.library)
            await self.writing.run(request, lambda _: change.apply(self.labels))
        found = await self.writing.run(request, lambda _: self.labels.labels())
        return json_response({"file": str(self.labels.path), "labels": list(map(label_record, found))})

    @explained
    async def show_sounds(self, request: Request) -> Response:
        """``/sounds.json``: the sounds that were kept; a POST keeps what a question has learned."""
        sounds = self.answerer.sounds
        if request.method == "POST":
            wanted = parse_keeping(await json_body(request), sounds)
            if wanted.target.exists() and not wanted.replace:
                return failure(HTTPStatus.CONFLICT, f"there is a sound {wanted.name!r} already")
            labels = await self.writing.run(request, lambda _: self.labels.labels())
            await self.searching.run(request, lambda _: self.answerer.keep(wanted, labels))
        return json_response(await self.writing.run(request, lambda _: sounds.record()))

    @explained
    async def audio(self, request: Request) -> Response:
        """``/audio/VID?start=&end=``: a stretch as WAV; ``Range`` is understood."""
        recording, path = self.recording(request)
        start_s, end_s = stretch(request, recording, LONGEST_STRETCH_S)
        content = await self.listening.run(
            request,
            lambda _: self.sounds.get(
                (recording.vid, start_s, end_s), lambda: sound.wav_of(path, start_s, end_s)
            ),
        )
        return in_part(content, request.headers.get("range", ""), "audio/wav")

    @explained
    async def spectrogram(self, request: Request) -> Response:
        """``/spectrogram/VID?start=&end=&columns=``: a stretch as a strip."""
        recording, path = self.recording(request)
        start_s, end_s = stretch(request, recording, LONGEST_STRIP_S)
        text = request.query_params.get("columns", "480")
        columns = whole_number(text, "columns", sound.MOST_COLUMNS)
        content = await self.listening.run(
            request,
            lambda _: self.strips.get(
                (recording.vid, start_s, end_s, columns),
                lambda: sound.strip_of(path, start_s, end_s, columns),
            ),
        )
        return Response(content, media_type="image/png", headers={"cache-control": FOR_AN_HOUR})

    @explained
    async def export(self, request: Request) -> Response:
        """``/export/FORM``: what is accepted, as a file to be saved."""
        form = request.path_params["form"]
        if form not in (*FORMS, CLIPS):
            known = ", ".join([*FORMS, CLIPS])
            raise UsageError(f"there is no form {form[:20]!r}; there are {known}")
        labels = await self.writing.run(request, lambda _: self.labels.labels())
        recordings = self.library.recordings
        file = await self.listening.run(request, lambda _: export(form, labels, recordings))
        name = file.name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_")
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(file.content, media_type=file.media_type, headers=headers)

    def recording(self, request: Request) -> tuple[ServedRecording, Any]:
        """The recording that an address names by its id, and its file; ids are looked up, never joined."""
        found = self.library.get(request.path_params["vid"])
        if found is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "there is no recording of this id")
        if found.path is None:
            hint = "give amr serve the folder of the recordings too"
            raise InputError("the file of this recording is not known, or not there any more", hint=hint)
        return found, found.path

    def routes(self) -> list[Route]:
        """All addresses."""
        return [
            Route("/", self.index),
            Route("/assets/{name}", self.part),
            Route("/login", self.login, methods=["GET", "POST"]),
            Route("/search.json", self.search),
            Route("/recordings.json", self.recordings),
            Route("/overview.json", self.overview),
            Route("/labels.json", self.show_labels, methods=["GET", "POST"]),
            Route("/sounds.json", self.show_sounds, methods=["GET", "POST"]),
            Route("/audio/{vid:path}", self.audio),
            Route("/spectrogram/{vid:path}", self.spectrogram),
            Route("/export/{form}", self.export),
        ]


async def not_found(request: Request, error: Exception) -> Response:  # noqa: ARG001  # Starlette's form
    """An address that is not there, or is not asked like this."""
    assert isinstance(error, HTTPException)
    return failure(error.status_code, f"{error.detail}")


async def own_fault(request: Request, error: Exception) -> Response:  # noqa: ARG001  # Starlette's form
    """A fault of ours: its kind, nothing of what it was about."""
    return failure(HTTPStatus.INTERNAL_SERVER_ERROR, f"a fault of amr itself: {type(error).__name__}")


def application(page: Page) -> Guard:
    """What a server runs."""
    handlers = {HTTPException: not_found, Exception: own_fault}
    app = Starlette(routes=list(page.routes()), exception_handlers=handlers)
    return Guard(app, page.access)
