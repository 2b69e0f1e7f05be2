"""Who is let in by a server that has a token, asked of the middleware with raw requests; and the
middleware for a base path.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lmc_core.server import app as served
from lmc_core.server import door as doors
from lmc_core.server.attempts import CLIENTS, MOST, PAUSE, Attempts
from lmc_core.server.door import CLOSED, LARGEST, UNGUARDED, Door
from lmc_core.server.guard import hosts_of
from lmc_core.server.login import BUSY, WRONG, login_page
from lmc_core.server.prefix import Prefix
from lmc_core.server.token import LIFE, make_ticket

TOKEN = "open-sesame-0123456789"
PAGES = ("", "barrier")
FORM = ("content-type", "application/x-www-form-urlencoded")


@dataclass
class Answer:
    """What one request got."""

    said: list[Message] = field(default_factory=list)
    reached: str = ""  # the path with which the app was asked

    @property
    def status(self) -> int:
        return self.said[0].get("status", 0)

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.said[0]["headers"]}

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.said).decode()


def ask(
    make,
    path: str = "/barrier",
    headers: tuple[tuple[str, str], ...] = (),
    method: str = "GET",
    socket: bool = False,
    body: tuple[bytes, ...] = (b"",),
    **more: object,
) -> Answer:
    """Send one request through a middleware."""
    answer, parts = Answer(), list(body)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        answer.reached = scope["path"]
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Message:
        if socket:
            return {"type": "websocket.connect"}
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Message) -> None:
        answer.said.append(message)

    place, _, query = path.partition("?")
    scope = {
        "type": "websocket" if socket else "http",
        "scheme": "ws" if socket else "http",
        "method": method,
        "path": place,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers],
        "server": ("127.0.0.1", 8501),
        "client": ("192.0.2.1", 1234),
        "extensions": {"websocket.http.response": {}} if socket else {},
        **more,
    }
    # tests in a browser leave an event loop running in this thread
    with ThreadPoolExecutor(1) as apart:
        apart.submit(lambda: asyncio.run(make(app)(scope, receive, send))).result()
    return answer


def door(token: str | None = TOKEN, base: str = "", hosts: str = "", public: bool = False):
    """Make the middleware; the tests of one share its memory of wrong tokens."""
    made: list[Door] = []

    def make(app: ASGIApp) -> ASGIApp:
        if not made:
            made.append(Door(app, token, base, PAGES, hosts_of(hosts), public))
        made[0].app = app
        return made[0]

    return make


def cookie(token: str = TOKEN, name: str = "lmc-8501", age: float = 0) -> tuple[str, str]:
    return ("cookie", f"_streamlit_xsrf=2|x; {name}={make_ticket(token, time.time() - age)}")


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long answers waited, without waiting."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(doors.asyncio, "sleep", sleep)
    return found


def test_a_page_asks_for_the_token_and_nothing_else_is_open() -> None:
    for path in ("/", "/barrier?a=x"):
        answer = ask(door(), path)
        assert answer.status == 200 and answer.text == login_page().decode() and not answer.reached
        assert answer.headers["cache-control"] == "no-store"
    for path in ("/_stcore/host-config", "/static/js/x.js", "/media/x.png", "/fonts/x.woff2", "/component/x",
                 "/_stcore/upload_file/a/b", "/_stcore/agent/mcp", "/favicon.png", "/elsewhere"):  # fmt: skip
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
            answer = ask(door(), path, method=method)
            assert (answer.status, answer.text) == (401, f"{CLOSED}\n") and not answer.reached
    assert ask(door(), "/_stcore/health").reached
    assert not ask(door(), "/x/_stcore/health").reached
    assert ask(door(), "/barrier", method="HEAD").text == ""
    assert ask(door(), "/barrier", method="PUT").status == 401


def test_a_socket_opens_with_the_ticket_alone() -> None:
    answer = ask(door(), "/_stcore/stream", socket=True)
    assert answer.status == 401 and CLOSED in answer.text and not answer.reached
    bare = ask(door(), "/_stcore/stream", socket=True, extensions={})
    assert bare.said == [{"type": "websocket.close", "code": 1008, "reason": "refused"}]
    # a token in the address of a socket is none
    assert not ask(door(), f"/_stcore/stream?token={TOKEN}", socket=True).reached
    assert ask(door(), "/_stcore/stream", (cookie(),), socket=True).reached
    assert not ask(door(), "/_stcore/health", socket=True).reached


@pytest.mark.parametrize("path", ["/", "/barrier", "/media/x.png", "/_stcore/host-config"])
def test_tickets(path: str) -> None:
    assert ask(door(), path, (cookie(),)).reached == path
    # the newest of several of that name, wherever it stands
    both = ("cookie", f"{cookie('another-server-0123')[1]}; {cookie()[1]}")
    assert ask(door(), path, (both,)).reached
    for wrong in (
        cookie("another-server-0123"),
        cookie(name="lmc-8502"),  # of a server at another port of this machine
        cookie(age=LIFE + 5),
        ("cookie", "lmc-8501="),
        ("cookie", f"lmc-8501={TOKEN}"),
        ("authorization", f"Bearer {TOKEN}"),
    ):
        assert not ask(door(), path, (wrong,)).reached


def test_the_right_token_opens_and_the_address_stays(waits: list[float]) -> None:
    body = (b"lmc_token=open-sesame", b"-0123456789&x=1")
    answer = ask(door(), "/barrier?a=x&b=%20", (FORM,), "POST", body=body)
    assert (answer.status, answer.headers["location"]) == (303, "./barrier?a=x&b=%20")
    assert answer.text == "" and TOKEN not in str(answer.said) and not waits
    name, _, rest = answer.headers["set-cookie"].partition("=")
    value, *parts = rest.split("; ")
    assert name == "lmc-8501" and parts == [f"Max-Age={LIFE}", "HttpOnly", "SameSite=Strict"]
    assert ask(door(), "/barrier", (("cookie", f"{name}={value}"),)).reached


def test_a_token_in_the_address_is_taken_and_removed(waits: list[float]) -> None:
    for query, rest in (
        (f"token={TOKEN}", ""),
        (f"a=x&token={TOKEN}&b=1", "?a=x&b=1"),
        (f"token={TOKEN}&token=wrong", ""),
    ):
        for headers in ((), (cookie(),)):  # also of whoever is in already
            answer = ask(door(), f"/barrier?{query}", headers)
            assert (answer.status, answer.headers["location"]) == (303, f"./barrier{rest}")
    assert not waits
    answer = ask(door(), f"/media/x.png?token={TOKEN}")
    assert answer.status == 401 and "set-cookie" not in answer.headers
    assert ask(door(), f"/?token={TOKEN}").headers["location"] == "./"


def test_wrong_tokens_wait_and_then_are_not_looked_at(waits: list[float]) -> None:
    make = door()
    for turn in range(MOST):
        if turn % 2:
            answer = ask(make, "/barrier?token=no")
        else:
            answer = ask(make, "/barrier", (FORM,), "POST", body=(b"lmc_token=no",))
        assert answer.status == 403 and WRONG in answer.text and "set-cookie" not in answer.headers
    assert [round(wait) for wait in waits] == [round(PAUSE * turn) for turn in range(1, MOST + 1)]
    right = (FORM,), "POST"
    answer = ask(make, "/barrier", *right, body=(f"lmc_token={TOKEN}".encode(),))
    assert answer.status == 429 and BUSY in answer.text
    # another address does not wait for the first, and who is in does not either
    other = ask(make, "/barrier", *right, body=(f"lmc_token={TOKEN}".encode(),), client=("::2", 1))
    assert other.status == 303 and ask(make, "/barrier", (cookie(),)).reached


@pytest.mark.parametrize(
    "body",
    [
        (b"",), (b"lmc_token",), (b"lmc_token=",), (b"token=" + TOKEN.encode(),), (b"\xff\xfe",), (b"lmc_token=%ff%00",),
        (b"a=1&" * 20,), (b"lmc_token=" + b"x" * LARGEST, b"&lmc_token=" + TOKEN.encode()),
    ],
)  # fmt: skip
def test_forms_that_are_none(body: tuple[bytes, ...], waits: list[float]) -> None:
    assert ask(door(), "/", (FORM,), "POST", body=body).status == 403 and waits


def test_cookies_say_below_which_path_and_that_they_are_for_https() -> None:
    def given(base: str = "", hosts: str = "", headers=(), **more: object) -> str:
        path = f"{base}/barrier?token={TOKEN}"
        return ask(door(base=base, hosts=hosts), path, headers, **more).headers["set-cookie"]

    assert "Path" not in given() and "Secure" not in given()
    assert "Path=/lab/lmc; " in given("/lab/lmc")
    assert given(scheme="https").endswith("; Secure")
    assert given(headers=(("x-forwarded-proto", "https"),)).endswith("; Secure")
    assert "Secure" not in given(headers=(("x-forwarded-proto", "http"),))
    named = (("host", "lmc.example.org"),)
    assert given(hosts="https://lmc.example.org", headers=named).endswith("; Secure")
    assert "Secure" not in given(hosts="lmc.example.org", headers=named)


def test_a_link_from_another_site_is_asked_again_by_our_own_page() -> None:
    foreign = ask(door(), "/barrier", (("sec-fetch-site", "cross-site"),)).text
    assert "location.replace" in foreign and "Token" in foreign
    assert "<script" not in ask(door(), "/barrier", (("sec-fetch-site", "none"),)).text


def test_without_a_token_this_machine_alone_comes_in() -> None:
    for ip in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        assert ask(door(None), server=(ip, 8501)).reached
    for ip in ("192.0.2.7", "::ffff:192.0.2.7", "/run/lmc.sock", None):
        for socket in (False, True):
            answer = ask(door(None), server=(ip, 8501), socket=socket)
            assert answer.status == 403 and UNGUARDED in answer.text and not answer.reached
        assert ask(door(None, public=True), server=(ip, 8501)).reached
    assert not ask(door(None), server=None).reached


def test_below_a_base_path(waits: list[float]) -> None:
    make = door(base="/lmc")
    assert ask(make, "/lmc/").status == ask(make, "/lmc/barrier").status == 200
    assert ask(make, "/barrier").status == ask(make, "/lmc/barrier/x").status == 401
    assert ask(make, "/lmc/_stcore/health").reached and not ask(make, "/_stcore/health").reached
    posted = ask(make, "/lmc/", (FORM,), "POST", body=(f"lmc_token={TOKEN}".encode(),))
    assert posted.headers["location"] == "./"


def test_the_middleware_for_a_base_path() -> None:
    def make(app: ASGIApp) -> ASGIApp:
        return Prefix(app, "/lab/lmc")

    for path in ("/lab/lmc/", "/lab/lmc/barrier"):
        assert ask(make, path).reached == path
    assert ask(make, "/lab/lmc/_stcore/stream", socket=True).reached
    assert ask(make, "/_stcore/health").reached == "/lab/lmc/_stcore/health"
    answer = ask(make, "/lab/lmc?a=1")
    assert (answer.status, answer.headers["location"]) == (303, "./lmc/?a=1")
    for path in ("/", "/barrier", "/lab/lmcx", "/lab/", "/_stcore/stream"):
        for socket in (False, True):
            answer = ask(make, path, socket=socket)
            assert answer.status == 404 and "below /lab/lmc/ alone" in answer.text
            assert not answer.reached
    assert ask(make, type="lifespan").reached


def test_attempts_of_many_addresses_are_forgotten_in_time() -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    assert [attempts.note("a") for _ in range(MOST)] == [
        PAUSE * turn for turn in range(1, MOST + 1)
    ]
    assert attempts.full("a") and not attempts.full("b")
    now[0] = PAUSE + 0.01
    assert not attempts.full("a")
    for turn in range(2 * CLIENTS):
        attempts.note(f"c{turn}")
    assert len(attempts.due) <= CLIENTS + 1 and attempts.full("one more")  # strangers share
    now[0] += 10 * CLIENTS
    assert not attempts.full("one more") and attempts.note("d") == PAUSE


def test_the_app_has_the_token_and_its_processes_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("LMC_TOKEN", TOKEN)
    served.token.cache_clear()
    try:
        (found,) = (each for each in served.middleware() if each.cls is Door)
        assert found.kwargs["token"] == TOKEN and "LMC_TOKEN" not in os.environ
        (again,) = (each for each in served.middleware() if each.cls is Door)
        assert again.kwargs["token"] == TOKEN  # read once, and kept
        for read_only, public in (("0", False), ("1", True)):
            monkeypatch.setenv("LMC_NO_TOKEN", "1")
            monkeypatch.setenv("LMC_READ_ONLY", read_only)
            (found,) = (each for each in served.middleware() if each.cls is Door)
            assert found.kwargs["public"] is public
    finally:
        served.token.cache_clear()
