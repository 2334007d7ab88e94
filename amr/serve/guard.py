"""Who may ask: only pages that this server gave, of a browser, or a script, that knows the token.

Another page in the same browser can send requests here, and a name of its own can be made to lead to
127.0.0.1 (DNS rebinding). So the ``Host`` has to be one of ours, an ``Origin`` the same, and a token has to
come along: in the link that the terminal shows, then in a cookie that no other site's request carries, or in
``Authorization``.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse, Response

from amr.serve.limits import MOST_ADDRESS_BYTES, MOST_BODY_BYTES

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
OPEN_ADDRESSES = ("/login", "/assets/")
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "media-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}

MOST_WRONG = 10
WRONG_PERIOD_S = 60.0


@dataclass
class Attempts:
    """Wrong passwords and tokens: after ten in a minute none is looked at until the minute is over."""

    wrong_s: list[float] = field(default_factory=list)

    def are_too_many(self) -> bool:
        now_s = time.monotonic()
        self.wrong_s = [at_s for at_s in self.wrong_s if now_s - at_s < WRONG_PERIOD_S]
        return len(self.wrong_s) >= MOST_WRONG

    def note(self) -> None:
        self.wrong_s.append(time.monotonic())


@dataclass(frozen=True)
class Access:
    """What a request has to know.

    Args:
        port: of the server.
        token: in the link, the cookie and ``Authorization``.
        password: what a person types in on another machine; empty: there is no such way in.
        names: further names of this machine that a ``Host`` may have.
        any_address: whether a ``Host`` may be any address in numbers, where other machines may ask.
    """

    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    password: str = ""
    names: tuple[str, ...] = ()
    any_address: bool = False
    attempts: Attempts = field(default_factory=Attempts)

    @property
    def cookie(self) -> str:
        """Its name; browsers do not tell ports apart."""
        return f"amr_{self.port}"

    def is_own_host(self, host: str) -> bool:
        """Whether a ``Host`` means this server; an address in numbers cannot be rebound."""
        name, _, port = host.rpartition(":")
        if port != str(self.port):
            return False
        if name.lower() in (*LOCAL_NAMES, *self.names):
            return True
        return self.any_address and is_address(name)

    def is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())

    def is_password(self, given: str) -> bool:
        """Whether it is the password; a wrong one is counted."""
        right = bool(self.password) and hmac.compare_digest(given.encode(), self.password.encode())
        if not right:
            self.attempts.note()
        return right

    def set_cookie(self, response: Response) -> None:
        response.set_cookie(self.cookie, self.token, httponly=True, samesite="strict", path="/")


def is_address(name: str) -> bool:
    """Whether a host's name is an IP address."""
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


class Guard:
    """Lets through what may ask; adds to every answer what a browser may do with it.

    Args:
        app: what answers.
        access: what a request has to know.
    """

    def __init__(self, app: Application, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return  # there are no web sockets here
        refusal = self.refusal(scope)
        answer = self.app if refusal is None else refusal
        await answer(scope, receive, with_headers(send))

    def refusal(self, scope: Scope) -> Response | None:
        """Why a request is not answered; None where it is."""
        headers = Headers(scope=scope)
        if len(scope["raw_path"]) + len(scope["query_string"]) > MOST_ADDRESS_BYTES:
            return failure(414, "the address is too long")
        if too_large(headers.get("content-length", "0")):
            return failure(413, "the request is too large")
        host = headers.get("host", "")
        if not self.access.is_own_host(host):
            return failure(421, "this is not the host that was meant")
        if headers.get("origin", f"http://{host}") != f"http://{host}":
            return failure(403, "a request of another site")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not is_visit(headers):
            return failure(403, "a request of another site")
        parameters = QueryParams(scope["query_string"])
        if scope["path"].startswith(OPEN_ADDRESSES):
            return None
        if self.knows_token(headers):
            is_link = scope["path"] == "/" and "token" in parameters
            return self.welcome(parameters) if is_link else None
        return self.refusal_without_cookie(scope, headers, parameters)

    def knows_token(self, headers: Headers) -> bool:
        """By cookie or ``Authorization: Bearer``."""
        cookie = cookie_parser(headers.get("cookie", "")).get(self.access.cookie, "")
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        return self.access.is_token(cookie) or self.access.is_token(bearer)

    def welcome(self, parameters: QueryParams) -> Response:
        """The cookie, and the page at an address without the token."""
        rest = urlencode([(key, value) for key, value in parameters.multi_items() if key != "token"])
        welcome = RedirectResponse("/" + (f"?{rest}" if rest else ""), status_code=303)
        self.access.set_cookie(welcome)
        return welcome

    def refusal_without_cookie(
        self, scope: Scope, headers: Headers, parameters: QueryParams
    ) -> Response | None:
        """The token may stand in the address: a script is answered, a browser gets its cookie."""
        given = parameters.get("token", "")
        if given and self.access.attempts.are_too_many():
            return failure(429, "too many wrong tokens; wait a minute")
        if self.access.is_token(given) and scope["method"] == "GET":
            return self.welcome(parameters) if scope["path"] == "/" else None
        if given:
            self.access.attempts.note()
        if self.access.password and is_visit(headers):
            return RedirectResponse("/login", status_code=303)
        return failure(401, "this needs the token of the link that amr serve shows in its terminal")


def is_visit(headers: Headers) -> bool:
    """Whether a person goes there: a link that is followed, a name that is typed in."""
    if "sec-fetch-mode" in headers:
        return headers["sec-fetch-mode"] == "navigate" and headers.get("sec-fetch-dest") == "document"
    return "text/html" in headers.get("accept", "")


def too_large(length: str) -> bool:
    return not length.isdecimal() or len(length) > 12 or int(length) > MOST_BODY_BYTES


def with_headers(send: Send) -> Send:
    """The same, with our headers on every answer; nothing is kept by caches that does not say so."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return send_with_headers


def failure(status: int, what: str, hint: str = "") -> JSONResponse:
    """An error: one sentence, and where there is one a hint."""
    return JSONResponse({"error": what, "hint": hint} if hint else {"error": what}, status_code=status)
