"""What a request says beside its address: its body, a stretch of a recording, a range of bytes."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_plus

from starlette.requests import Request
from starlette.responses import Response

from amr.errors import UsageError
from amr.serve import sound
from amr.serve.library import ServedRecording
from amr.serve.limits import MOST_BODY_BYTES, REQUEST_S

FOR_AN_HOUR = "private, max-age=3600"


async def body_of(request: Request) -> bytes:
    """The whole body, which has to come in time and be no larger than it may.

    Raises:
        UsageError: it is not.
    """
    content = b""
    try:
        async with asyncio.timeout(REQUEST_S):
            async for part in request.stream():
                content += part
                if len(content) > MOST_BODY_BYTES:
                    raise UsageError(f"the request is larger than {MOST_BODY_BYTES} bytes")
    except TimeoutError as error:
        raise UsageError("the request was not complete in time") from error
    return content


async def json_body(request: Request) -> dict[str, Any]:
    """The body as a JSON object. Raises ``UsageError`` where it is none."""
    kind = request.headers.get("content-type", "").partition(";")[0]
    if kind.strip() != "application/json":
        raise UsageError("the content-type of the request must be application/json")
    try:
        value = json.loads(await body_of(request))
    except (ValueError, RecursionError) as error:
        raise UsageError("the request is not JSON") from error
    if not isinstance(value, dict):
        raise UsageError("the request is not a JSON object")
    return value


def stretch(request: Request, recording: ServedRecording, longest_s: float) -> tuple[float, float]:
    """``start`` and ``end`` of an address, inside the recording.

    Raises:
        UsageError: they are no stretch of it, or too long.
    """
    start_s = seconds(request.query_params.get("start", "0"), "start")
    default = f"{min(start_s + longest_s, recording.duration_s):.3f}"
    end_s = seconds(request.query_params.get("end", default), "end")
    start_s, end_s = round(start_s, 3), round(min(end_s, recording.duration_s), 3)
    if not start_s < end_s:
        raise UsageError(f"{start_s:g} to {end_s:g} s is not a part of this recording")
    if end_s - start_s > longest_s:
        raise UsageError(f"a part is at most {longest_s:g} s long")
    return start_s, end_s


def seconds(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise UsageError(f"{text[:20]!r} is not a time in seconds", where=name)
    return value


def in_part(content: bytes, wanted: str, media_type: str) -> Response:
    """The bytes that a ``Range`` wants, or all."""
    headers = {"accept-ranges": "bytes", "cache-control": FOR_AN_HOUR}
    part = sound.byte_range(wanted, len(content))
    if part is None:
        return Response(content, media_type=media_type, headers=headers)
    if not len(part):
        headers["content-range"] = f"bytes */{len(content)}"
        return Response(status_code=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
    headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{len(content)}"
    return Response(content[part.start : part.stop], 206, headers, media_type)


def parameter(text: str) -> tuple[str, str]:
    """``name=value`` of a form."""
    name, _, value = text.partition("=")
    return unquote_plus(name), unquote_plus(value)
