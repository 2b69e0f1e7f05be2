"""Whether a process reaches for anything beyond this machine: its name look-ups and connections,
written to a file.

A folder with a `sitecustomize.py` on PYTHONPATH is imported by every Python that starts, so that
the processes that a server starts are watched as well. The variables of a proxy send whatever
honours them to a server of this machine that counts.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

WATCH = """
import os, socket

def note(what, host):
    if host not in ("127.0.0.1", "::1", "localhost", "", None):
        with open({log!r}, "a") as log:
            log.write(f"{{what}} {{host}}\\n")

def watched(name, what):
    plain = getattr(socket.socket, name)
    def connect(self, address):
        note(what, address[0] if isinstance(address, tuple) else None)
        return plain(self, address)
    setattr(socket.socket, name, connect)

watched("connect", "connects to")
watched("connect_ex", "connects to")
look_up = socket.getaddrinfo
def getaddrinfo(host, *rest, **more):
    note("looks up", host.decode() if isinstance(host, bytes) else host)
    return look_up(host, *rest, **more)
socket.getaddrinfo = getaddrinfo
"""


@contextlib.contextmanager
def watched(folder: Path) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Yield variables for a process to be watched, and the list of what it reached for, complete
    when the block ends.
    """
    log = folder / "outside.log"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(WATCH.format(log=str(log)))
    found: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(1000)
            if self.raw_requestline:
                found.append("proxy " + self.raw_requestline.decode(errors="replace").strip())
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{proxy.server_port}"
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    names = {
        name: address
        for each in ("http_proxy", "https_proxy", "all_proxy")
        for name in (each, each.upper())
    }
    try:
        yield {"PYTHONPATH": path, **names, "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}, found
    finally:
        proxy.shutdown()
        proxy.server_close()
        found += log.read_text().splitlines() if log.exists() else []


def shake_hands(port: int, host: str, origin: str | None) -> str:
    """Try to open the app's socket with these headers; returns the first line of the answer, and
    what it says.
    """
    lines = [
        "GET /_stcore/stream HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
    ]
    lines += [
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: streamlit",
    ]
    lines += [f"Origin: {origin}"] if origin is not None else []
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall("\r\n".join([*lines, "", ""]).encode())
        said = b""
        while b"\r\n\r\n" not in said or (b" 403" in said[:20] and b"LMC_HOSTS" not in said):
            more = line.recv(65536)
            if not more:
                break
            said += more
    return said.decode(errors="replace")
