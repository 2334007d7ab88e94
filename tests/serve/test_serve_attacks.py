"""Who may not ask, and what may not be asked: foreign pages, guessed tokens, paths, floods, slow readers."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from serve_world import BASE, PORT, make_page, opened_page
from starlette.testclient import TestClient
from waiting import HANG_S, wait_for

from amr.serve.limits import MOST_CONNECTIONS
from amr.serve.routes import Page, application

ADDRESSES = [
    "/",
    "/search.json?q=x",
    "/recordings.json",
    "/labels.json",
    "/sounds.json",
    "/audio/street",
    "/spectrogram/street",
    "/export/csv",
]


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return make_page(tmp_path)


def client(page: Page, **headers: str) -> TestClient:
    known = {"authorization": f"Bearer {page.access.token}"}
    return TestClient(application(page), BASE, headers={**known, **headers}, follow_redirects=False)


@pytest.mark.parametrize("address", ADDRESSES)
def test_without_the_token_nothing_is_said(page: Page, address: str) -> None:
    for header in ("", "Bearer", "Bearer x", f"Basic {page.access.token}", f"Bearer {page.access.token}x"):
        answer = client(page, authorization=header).get(address)
        assert (answer.status_code, list(answer.json())) == (401, ["error"])


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        f"evil.example:{PORT}",
        "127.0.0.1",
        "127.0.0.1:1",
        f"127.0.0.1.evil.example:{PORT}",
        "",
        f"192.168.1.5:{PORT}",
    ],
)
def test_a_foreign_host_is_not_answered(page: Page, address: str, host: str) -> None:
    """A name that was made to lead to this machine (DNS rebinding)."""
    assert client(page, host=host).get(address).status_code == 421


@pytest.mark.parametrize(
    "host", [f"localhost:{PORT}", f"127.0.0.1:{PORT}", f"[::1]:{PORT}", f"LOCALHOST:{PORT}"]
)
def test_our_own_names_are_answered(page: Page, host: str) -> None:
    assert client(page, host=host).get("/recordings.json").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"http://127.0.0.1:{PORT + 1}"},
        {"origin": f"https://127.0.0.1:{PORT}"},
        {"origin": f"http://localhost:{PORT}"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    ],
)
def test_a_foreign_page_is_not_answered(page: Page, headers: dict[str, str]) -> None:
    cookie = f"{page.access.cookie}={page.access.token}"
    asking = client(page, authorization="", cookie=cookie, **headers)
    change = {"add": {"vid": "street", "query": "x", "start": 1, "end": 2}}
    assert asking.get("/search.json?q=x").status_code == 403
    assert asking.post("/labels.json", json=change).status_code == 403
    assert not page.labels.path.exists()


KEEP = {"name": "mine", "query": "a dog barks"}


def test_a_foreign_page_keeps_no_sound(page: Page) -> None:
    cookie = f"{page.access.cookie}={page.access.token}"
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        asking = client(page, authorization="", cookie=cookie, **headers)
        assert asking.post("/sounds.json", json=KEEP).status_code == 403
    assert client(page, authorization="").post("/sounds.json", json=KEEP).status_code == 401
    assert client(page, host=f"evil.example:{PORT}").post("/sounds.json", json=KEEP).status_code == 421
    form = client(page).post("/sounds.json", data=KEEP)  # what a page may send without being asked
    assert (form.status_code, form.json()["error"]) == (
        400,
        "the content-type of the request must be application/json",
    )
    assert list(page.labels.path.parent.glob("*.sound")) == []


BODIES = {
    "no JSON": b"{",
    "a list": b"[]",
    "nothing": b"",
    "deep": b"[" * 60_000,
    "large": b'{"name": "' + b"x" * 70_000 + b'"}',
    "a long number": b'{"name": ' + b"9" * 5000 + b"}",
    "half a letter": b'{"name": "\\ud800", "query": "x"}',
    "half a letter asked": b'{"name": "x", "query": "\\ud800"}',
    "no UTF-8": b'{"name": "\xff", "query": "x"}',
    "no name": b'{"query": "x"}',
    "a list as a name": b'{"name": ["x"], "query": "x"}',
    "an object as a query": b'{"name": "x", "query": {}}',
    "a number for replace": b'{"name": "x", "query": "x", "replace": 1}',
    "direction marks": b'{"name": "\\u202egpj", "query": "x"}',
    "a device": b'{"name": "x:y", "query": "x"}',
    "dots": b'{"name": "..", "query": "x"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("address", ["/sounds.json", "/labels.json"])
def test_a_body_that_is_none_is_refused(page: Page, address: str, body: bytes) -> None:
    answer = client(page, **{"content-type": "application/json"}).post(address, content=body)
    assert answer.status_code in (400, 413), answer.text
    assert answer.json()["error"]
    assert len(answer.text) < 400
    assert not [path for path in page.labels.path.parent.iterdir() if path.suffix in (".sound", ".jsonl")]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("address", ["/sounds.json", "/labels.json", "/search.json", "/"])
def test_other_methods_are_none(page: Page, address: str, method: str) -> None:
    assert client(page).request(method, address).status_code == 405


def test_the_link_gives_a_cookie_and_leaves_the_address(page: Page) -> None:
    opening = client(page, authorization="")
    answer = opening.get(f"/?q=a+dog&token={page.access.token}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?q=a+dog")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert opening.get("/recordings.json").status_code == 200


def test_wrong_tokens_are_not_tried_for_ever(page: Page) -> None:
    asking = client(page, authorization="")
    codes = [asking.get(f"/?token=guess{number}").status_code for number in range(12)]
    assert codes == [401] * 10 + [429] * 2
    assert client(page).get("/recordings.json").status_code == 200


def test_a_password_for_other_machines(tmp_path: Path) -> None:
    page = make_page(tmp_path, password="river-bank", any_address=True)
    asking = client(page, authorization="", host=f"192.168.1.5:{PORT}", accept="text/html")
    assert asking.get("/").headers["location"] == "/login"
    assert "password" in asking.get("/login").text
    wrong = [asking.post("/login", data={"password": f"guess{n}"}) for n in range(11)]
    assert [answer.status_code for answer in wrong] == [303] * 10 + [429]
    assert all("set-cookie" not in answer.headers for answer in wrong)
    page.access.attempts.wrong_s.clear()
    right = asking.post("/login", data={"password": "river-bank"})
    assert (right.status_code, right.headers["location"]) == (303, "/")
    assert asking.get("/recordings.json").status_code == 200
    assert client(page, host=f"evil.example:{PORT}").get("/").status_code == 421


def test_without_a_password_there_is_no_login(page: Page) -> None:
    assert client(page).get("/login").status_code == 404
    assert client(page).post("/login", data={"password": ""}).status_code == 404


PATHS = [
    "/audio/../../../etc/passwd",
    "/audio/%2e%2e/%2e%2e/etc/passwd",
    "/audio/..%2f..%2fetc%2fpasswd",
    "/audio/%2fetc%2fpasswd",
    "/audio/street/../../labels.jsonl",
    "/audio/street.wav",
    "/audio/street%00",
    "/audio/%ff%fe",
    "/audio/" + "a" * 9000,
    "/spectrogram/..%5c..%5cwindows",
    "/assets/..%2f..%2froutes.py",
    "/assets/%2e%2e%2froutes.py",
    "/export/..%2fcsv",
    "/.git/config",
    "/labels.jsonl",
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:40])
def test_a_path_leads_nowhere(page: Page, path: str) -> None:
    answer = client(page).get(path)
    assert answer.status_code in (400, 404)
    assert "root:" not in answer.text
    assert answer.json()["error"]


def test_ids_of_a_strangers_features_name_no_file(tmp_path: Path) -> None:
    """A path that features bring is believed only where the file is called as the recording is."""
    from amr.serve.library import believed

    secret = tmp_path / "secret.wav"
    secret.write_bytes(b"x")
    assert believed("street", str(secret)) is None
    assert believed("secret", str(secret)) == secret
    assert believed("x", "x\0.wav") is None
    assert believed("x", "a" * 5000 + "/x.wav") is None


def test_every_answer_says_what_a_browser_may_do(page: Page) -> None:
    for address in [*ADDRESSES, "/nothing", "/assets/serve.js"]:
        headers = client(page).get(address).headers
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
        assert headers["cache-control"] in ("no-store", "no-cache", "private, max-age=3600")


def test_a_fault_of_ours_tells_nothing(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("/home/me/secret")

    monkeypatch.setattr(page.answerer.standing, "ask", fail, raising=False)
    asking = TestClient(application(page), BASE, raise_server_exceptions=False)
    answer = asking.get("/search.json?q=x", headers={"authorization": f"Bearer {page.access.token}"})
    assert answer.status_code == 500
    assert answer.json() == {"error": "a fault of amr itself: RuntimeError"}


# The same over sockets: what only a server can refuse.


@pytest.fixture
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests have to come, and to be answered, within half a second.

    A busy machine misses that, too: what is to be answered then is asked for until it is (``is_answered``).
    """
    monkeypatch.setattr("amr.serve.server.REQUEST_S", 0.5)
    monkeypatch.setattr("amr.serve.server.ANSWER_S", 0.5)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """The page on a socket of its own, in a thread."""
    with opened_page(tmp_path) as (page, base, _):
        head = f"Host: {base.removeprefix('http://')}\r\nAuthorization: Bearer {page.access.token}\r\n"
        yield SimpleNamespace(port=page.access.port, page=page, head=head)


def ask(served: SimpleNamespace, address: str = "/recordings.json") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=HANG_S)
    connection.request("GET", address, headers={"Authorization": f"Bearer {served.page.access.token}"})
    status = connection.getresponse().status
    connection.close()
    return status


def is_answered(served: SimpleNamespace, address: str = "/recordings.json") -> bool:
    try:
        return ask(served, address) == 200
    except (OSError, http.client.HTTPException):
        return False  # cut


def connect(served: SimpleNamespace) -> socket.socket:
    return socket.create_connection(("127.0.0.1", served.port), timeout=HANG_S)


def is_cut(sock: socket.socket) -> bool:
    """Whether the other side has closed, told without reading."""
    try:
        sock.send(b"x")
    except OSError:
        return True
    return False


def everything_of(sock: socket.socket) -> bytes:
    """Until the other side closes."""
    content = b""
    try:
        while part := sock.recv(65536):
            content += part
    except ConnectionResetError:
        pass
    return content


def test_an_endless_address_is_refused(served: SimpleNamespace) -> None:
    with connect(served) as sock:
        with suppress(BrokenPipeError, ConnectionResetError):  # it hangs up, as it should
            sock.sendall(b"GET /search.json?q=" + b"x" * 10_000_000)
        assert b"200 OK" not in everything_of(sock)
    assert ask(served) == 200


def test_a_long_question_is_refused(served: SimpleNamespace) -> None:
    assert ask(served, "/search.json?q=" + "x" * 10_000) == 400
    assert ask(served, "/search.json?q=" + "x" * 20_000) == 414


@pytest.mark.usefixtures("impatience")
@pytest.mark.parametrize("way", ["said", "chunked"])
def test_an_endless_body_is_refused(served: SimpleNamespace, way: str) -> None:
    head = f"POST /labels.json HTTP/1.1\r\n{served.head}Content-Type: application/json\r\n"
    body = b" " * 10_000_000
    with connect(served) as sock:
        try:
            if way == "said":
                sock.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            else:
                sock.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode() + body)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = everything_of(sock)
        assert b" 200 OK" not in answer
    wait_for(lambda: is_answered(served))


@pytest.mark.usefixtures("impatience")
def test_two_hundred_connections_do_not_keep_others_out_for_long(served: SimpleNamespace) -> None:
    """They say nothing, or begin a request and never end it; each is cut after its time."""
    idle = [connect(served) for _ in range(2 * MOST_CONNECTIONS)]
    for sock in idle[::2]:
        sock.sendall(b"GET /recordings.json HTTP/1.1\r\nHost: ")
    for sock in idle:
        everything_of(sock)
        sock.close()
    wait_for(lambda: is_answered(served))


@pytest.mark.usefixtures("impatience")
def test_readers_that_do_not_read_do_not_block_others(served: SimpleNamespace) -> None:
    slow = []
    for _ in range(20):
        sock = connect(served)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(f"GET /audio/20240611_053000 HTTP/1.1\r\n{served.head}\r\n".encode())
        slow.append(sock)
    wait_for(lambda: is_answered(served))
    wait_for(lambda: is_answered(served, "/audio/street?start=0&end=2"))
    for sock in slow:
        wait_for(lambda sock=sock: is_cut(sock))
        sock.close()


@pytest.mark.usefixtures("impatience")
def test_a_body_that_does_not_come_is_not_waited_for(served: SimpleNamespace) -> None:
    head = f"POST /labels.json HTTP/1.1\r\n{served.head}Content-Type: application/json\r\n"
    with connect(served) as sock:
        sock.sendall(f"{head}Content-Length: 9\r\n\r\n".encode() + b"{")
        assert b" 200 OK" not in everything_of(sock)
    wait_for(lambda: is_answered(served))


def test_who_hangs_up_is_not_searched_for(served: SimpleNamespace) -> None:
    """The search of a connection that has ended is asked to stop."""
    stopped, entered = threading.Event(), threading.Event()

    def search(*_: object, should_stop: object, **__: object) -> list[object]:
        entered.set()
        wait_for(should_stop)
        stopped.set()
        return []

    served.page.answerer.standing.ask = search
    with connect(served) as sock:
        sock.sendall(f"GET /search.json?q=x HTTP/1.1\r\n{served.head}\r\n".encode())
        wait_for(entered.is_set)
    wait_for(stopped.is_set)


def test_many_ask_at_once(served: SimpleNamespace) -> None:
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: codes.append(ask(served, f"/search.json?q=q{n}")))
        for n in range(30)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [200] * 30
    assert json.dumps(served.page.answerer.standing.asked).count("q") == 30
