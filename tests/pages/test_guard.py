"""Who is let in, asked of the middleware with raw requests and no server."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
import streamlit.net_util
from starlette.types import Message, Receive, Scope, Send
from streamlit.web.server.starlette.starlette_websocket import _is_origin_allowed

from lmc_core.cli.commands import parse
from lmc_core.errors import BadInput
from lmc_core.server import launch
from lmc_core.server.app import middleware
from lmc_core.server.guard import POLICY, Guard, Host, hosts_of

PORT = 8501
HERE = f"127.0.0.1:{PORT}"


@dataclass
class Answer:
    """What one request got."""

    said: list[Message] = field(default_factory=list)
    reached: bool = False

    @property
    def headers(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name, value in self.said[0]["headers"]:
            found.setdefault(name.decode().lower(), []).append(value.decode())
        return found

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.said).decode()


def ask(
    headers: list[tuple[str, str]],
    hosts: str = "",
    socket: bool = False,
    scheme: str = "http",
    port: int | None = PORT,
    **more,
) -> Answer:
    """Send one request through the guard; a socket where the server can answer in words unless
    `more` says otherwise.
    """
    answer = Answer()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        answer.reached = True
        start = {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-security-policy", b"default-src *")],
        }
        await send({"type": "websocket.accept"} if socket else start)
        await send(
            {"type": "websocket.close"}
            if socket
            else {"type": "http.response.body", "body": b"the app"}
        )

    async def receive() -> Message:
        return {"type": "websocket.connect" if socket else "http.request"}

    async def send(message: Message) -> None:
        answer.said.append(message)

    scope = {
        "type": "websocket" if socket else "http",
        "scheme": scheme.replace("http", "ws") if socket else scheme,
        "path": "/_stcore/stream",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        "server": ("127.0.0.1", port),
        "extensions": {"websocket.http.response": {}} if socket else {},
        **more,
    }
    # tests in a browser leave an event loop running in this thread
    with ThreadPoolExecutor(1) as apart:
        apart.submit(
            lambda: asyncio.run(Guard(app, hosts_of(hosts))(scope, receive, send))
        ).result()
    return answer


OURS = [
    [("Host", HERE)],
    [("Host", f"localhost:{PORT}")],
    [("Host", f"LOCALHOST:{PORT}")],
    [("Host", f"[::1]:{PORT}")],
    [("Host", HERE), ("Origin", f"http://{HERE}")],
    [("Host", f"[::1]:{PORT}"), ("Origin", f"http://[::1]:{PORT}")],
]
FOREIGN = [
    [],
    [("Host", "")],
    [("Host", "evil.example")],
    [("Host", f"evil.example:{PORT}")],
    [("Host", f"evil.example:{PORT}"), ("Origin", f"http://evil.example:{PORT}")],  # DNS rebinding
    [("Host", f"127.0.0.1.evil.example:{PORT}")],
    [("Host", f"localhost.:{PORT}")],
    [("Host", f"me@127.0.0.1:{PORT}")],
    [("Host", "127.0.0.1")],
    [("Host", "127.0.0.1:9000")],
    [("Host", f"0.0.0.0:{PORT}")],
    [("Host", HERE), ("Host", "evil.example")],
    [("Host", HERE), ("Origin", "null")],
    [("Host", HERE), ("Origin", "")],
    [("Host", HERE), ("Origin", "http://127.0.0.1:9000")],  # another server on this machine
    [("Host", HERE), ("Origin", "http://127.0.0.1")],
    [("Host", HERE), ("Origin", f"http://localhost:{PORT}")],
    [("Host", HERE), ("Origin", f"https://{HERE}")],
    [("Host", HERE), ("Origin", f"http://{HERE}/")],
    [("Host", HERE), ("Origin", f"http://{HERE}.evil.example")],
    [("Host", HERE), ("Origin", f"http://{HERE}"), ("Origin", "http://evil.example")],
]


@pytest.mark.parametrize("socket", [False, True])
@pytest.mark.parametrize("headers", OURS)
def test_our_own_pages_are_answered(headers, socket):
    assert ask(headers, socket=socket).reached


@pytest.mark.parametrize("headers", FOREIGN)
def test_strangers_get_a_sentence_and_nothing_of_the_app(headers):
    answer = ask(headers)
    assert not answer.reached and answer.said[0]["status"] == 403
    assert answer.headers["content-type"] == ["text/plain; charset=utf-8"]
    assert answer.text.startswith("This server answers ") and answer.text.count("\n") == 1
    assert "LMC_HOSTS" in answer.text


@pytest.mark.parametrize("headers", FOREIGN)
def test_their_sockets_are_closed_before_they_are_open(headers):
    answer = ask(headers, socket=True)
    assert not answer.reached and answer.said[0]["type"] == "websocket.http.response.start"
    assert answer.said[0]["status"] == 403 and "This server answers " in answer.text
    plain = ask(headers, socket=True, extensions={})
    assert not plain.reached and [message["type"] for message in plain.said] == ["websocket.close"]


def test_what_came_is_shown_without_doing_anything():
    text = ask([("Host", "\x1b[2J<script>" + "a" * 500)]).text
    assert "\x1b" not in text and len(text) < 400


def test_the_usual_port_may_be_left_out():
    assert ask([("Host", "localhost")], port=80).reached
    assert ask(
        [("Host", "localhost"), ("Origin", "https://localhost")], scheme="https", port=443
    ).reached
    assert not ask([("Host", "localhost")], scheme="https", port=80).reached


def test_a_server_without_a_port_answers_named_hosts_alone():
    assert not ask([("Host", "127.0.0.1:8501")], server=None).reached
    assert not ask([("Host", "127.0.0.1")], server=("/tmp/socket", None)).reached
    assert ask([("Host", "lmc.example.org")], hosts="lmc.example.org", port=None).reached


@pytest.mark.parametrize(
    ("hosts", "host", "origin", "reached"),
    [
        ("login1", f"login1:{PORT}", f"http://login1:{PORT}", True),
        ("login1", "login1", "http://login1", True),
        ("login1", f"LOGIN1:{PORT}", f"http://LOGIN1:{PORT}", True),
        ("login1", "login1:9000", "http://login1:9000", False),
        ("login1", "login2", "http://login2", False),
        ("login1", "a.login1", "http://a.login1", False),
        # the near end of a tunnel
        ("127.0.0.1:9000", "127.0.0.1:9000", "http://127.0.0.1:9000", True),
        ("127.0.0.1:9000", HERE, "http://127.0.0.1:9000", False),
        # a proxy that speaks TLS
        ("x, https://lmc.example.org", "lmc.example.org", "https://lmc.example.org", True),
        ("https://lmc.example.org:443/", "lmc.example.org", "https://lmc.example.org", True),
        ("https://lmc.example.org", "lmc.example.org", "http://lmc.example.org", False),
        # a proxy that does not pass on the host
        ("https://lmc.example.org", HERE, "https://lmc.example.org", False),
        (
            "https://lmc.example.org:8443",
            "lmc.example.org:8443",
            "https://lmc.example.org:8443",
            True,
        ),
        ("[fe80::1]:80", "[fe80::1]:80", "http://[fe80::1]:80", True),
    ],
)
def test_further_hosts(hosts, host, origin, reached):
    headers = [("Host", host), ("Origin", origin)]
    assert ask(headers, hosts).reached is reached
    assert ask(headers, hosts, socket=True).reached is reached
    assert not ask(headers).reached


@pytest.mark.parametrize(
    "text", ["*", "*.example.org", "a b/c", "ftp://x", "x:0", "x:99999", "x:y", "http://", "a\x1bb"]
)
def test_nonsense_as_a_host(text, monkeypatch):
    with pytest.raises(BadInput, match="take names of hosts") as refused:
        hosts_of(text)
    assert "\x1b" not in str(refused.value)
    monkeypatch.setenv("LMC_HOSTS", text)
    with pytest.raises(BadInput):
        middleware()
    with pytest.raises(BadInput):
        launch.launch(browser=False)


def test_the_option_reaches_the_server(monkeypatch):
    started = []

    def popen(line, **how):
        started.append(how["env"])
        raise BadInput("enough")

    monkeypatch.setattr(launch.subprocess, "Popen", popen)
    monkeypatch.setenv("LMC_HOSTS", "login1")
    arguments = parse(["app", "--allow-host", "a.example", "--allow-host", "https://b.example"])
    with pytest.raises(BadInput, match="enough"):
        launch.launch(browser=False, hosts=arguments.allow_host)
    assert hosts_of(started[0]["LMC_HOSTS"]) == (
        Host("a.example"),
        Host("b.example", None, "https"),
        Host("login1"),
    )


def test_answers_keep_foreign_pages_out_of_the_picture():
    headers = ask([("Host", HERE)]).headers
    assert headers["content-security-policy"] == ["default-src *", POLICY]  # what was there stays
    assert headers["x-frame-options"] == ["SAMEORIGIN"] and headers["x-content-type-options"] == [
        "nosniff"
    ]
    assert headers["referrer-policy"] == ["same-origin"] and headers[
        "cross-origin-resource-policy"
    ] == ["same-origin"]
    assert POLICY in ask([("Host", "evil.example")]).headers["content-security-policy"]


def test_starting_and_stopping_is_nobody_s_business():
    assert ask([], type="lifespan").reached


def test_it_stands_before_everything_else():
    assert middleware()[0].cls is Guard


def test_who_passes_is_never_asked_about_outside(monkeypatch):
    """Streamlit asks a server outside for our address unless host and origin agree to the
    letter.
    """

    def outside(*_: object) -> None:
        raise AssertionError("a request leaves the machine")

    for name in ("get_external_ip", "get_internal_ip"):
        monkeypatch.setattr(streamlit.net_util, name, outside)
    with pytest.raises(AssertionError, match="leaves"):
        _is_origin_allowed("http://evil.example", HERE)
    for host, origin in [
        (h, o)
        for h in (HERE, f"LOGIN1:{PORT}", "login1")
        for o in (f"http://{h}", f"http://{h.lower()}")
    ]:
        if ask([("Host", host), ("Origin", origin)], "login1").reached:
            assert _is_origin_allowed(origin, host)
