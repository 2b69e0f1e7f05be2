"""Who is let in by a real server, and that it never reaches for anything outside."""

from __future__ import annotations

import http.client
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lmc_core.server.guard import POLICY
from lmc_core.server.launch import serving
from tests.outside import shake_hands, watched

PATHS = (
    "/",
    "/barrier",
    "/_stcore/health",
    "/_stcore/host-config",
    "/fonts/ibm-plex-sans-latin-400-normal.woff2",
    "/media/x.png",
)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server with the option for a further host; at the end nothing of what the tests did may
    have led outside.
    """
    folder = tmp_path_factory.mktemp("guarded")
    with watched(folder / "watch") as (environment, outside):
        more = {"LMC_HOME": str(folder / "home"), "LMC_HOSTS": "https://lmc.example.org"}
        with serving({**environment, **more}, 20000 + os.getpid() % 20000) as address:
            yield urlsplit(address).port or 0
    assert outside == []


def get(
    port: int, path: str, method: str = "GET", **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Ask with headers of one's own choice."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        line.request(
            method, path, body=b"x" if method in ("PUT", "POST") else None, headers=headers
        )
        answer = line.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        line.close()


@pytest.mark.parametrize("path", PATHS)
def test_a_foreign_name_gets_nothing_at_any_address(port, path):
    for host in ("evil.example", f"evil.example:{port}"):
        status, headers, body = get(port, path, Host=host)
        assert (
            status == 403
            and body.startswith(b"This server answers at 127.0.0.1")
            and len(body) < 400
        )
        assert headers["X-Frame-Options"] == "SAMEORIGIN"
    status, headers, _ = get(port, path)
    assert status == (404 if path.startswith("/media") else 200)
    assert headers.get_all("Content-Security-Policy") == [POLICY]
    assert (
        headers["X-Content-Type-Options"] == "nosniff"
        and headers["X-Frame-Options"] == "SAMEORIGIN"
    )


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "OPTIONS"])
def test_a_foreign_page_sends_nothing(port, method):
    for origin in (
        "http://evil.example",
        "null",
        f"http://127.0.0.1:{port + 1}",
        f"http://localhost:{port}",
    ):
        status, headers, body = get(port, "/_stcore/upload_file/a/b", method, Origin=origin)
        assert status == 403 and b"its own pages alone" in body
        assert "Access-Control-Allow-Origin" not in headers
    assert (
        b"its own pages alone"
        not in get(port, "/_stcore/upload_file/a/b", method, Origin=f"http://127.0.0.1:{port}")[2]
    )


def test_sockets_open_for_our_own_pages_alone(port):
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        assert shake_hands(port, host, f"http://{host}").startswith("HTTP/1.1 101")
    assert shake_hands(port, "lmc.example.org", "https://lmc.example.org").startswith(
        "HTTP/1.1 101"
    )
    for host, origin in (
        ("evil.example", "http://evil.example"),
        (f"evil.example:{port}", f"http://evil.example:{port}"),
        (f"127.0.0.1:{port}", "http://evil.example"),
        (f"127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"),
        (f"127.0.0.1:{port}", "null"),
        ("lmc.example.org", f"http://127.0.0.1:{port}"),
    ):
        answer = shake_hands(port, host, origin)
        assert answer.startswith("HTTP/1.1 403") and "This server answers" in answer, (host, origin)


def test_the_watch_notices(tmp_path: Path):
    """The control of the fixture above: what does lead outside is written down."""
    import subprocess
    import sys

    code = (
        "import requests, socket\ntry:\n requests.get('http://outside.invalid', "
        "timeout=5)\nexcept Exception: pass\n"
    )
    code += (
        "try:\n socket.create_connection(('outside.invalid', 80), timeout=5)\nexcept OSError: pass"
    )
    with watched(tmp_path) as (environment, outside):
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **environment}, check=True, timeout=60
        )
    assert (
        outside[0].startswith("proxy GET http://outside.invalid")
        and "looks up outside.invalid" in outside
    )
