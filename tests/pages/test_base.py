"""Pages name their server, so that a deep link begins without answers of 404; asked of the
middleware without a server.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message

from lmc_core.server.app import middleware
from lmc_core.server.base import SCRIPT, Base

PAGE = "<html><head><title>x</title></head><body></body></html>"


def ask(path: str, answer: Response, method: str = "GET") -> tuple[dict[bytes, bytes], bytes]:
    """Headers and content of the answer to one request."""

    async def respond(_: object) -> Response:
        return answer

    app = Starlette(
        routes=[Route("/{rest:path}", respond)],
        middleware=[Middleware(Base, pages=frozenset({"", "barrier"}))],
    )
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [],
        "query_string": b"",
        "root_path": "",
    }
    said: list[Message] = []

    async def receive() -> Message:
        await asyncio.Event().wait()  # a browser that has asked and stays
        raise AssertionError

    async def send(message: Message) -> None:
        said.append(message)

    # tests in a browser leave an event loop running in this thread
    with ThreadPoolExecutor(1) as apart:
        apart.submit(lambda: asyncio.run(app(scope, receive, send))).result()
    return dict(said[0]["headers"]), b"".join(each.get("body", b"") for each in said[1:])


@pytest.mark.parametrize("path", ["/", "/barrier", "/below/a/proxy/barrier"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_page_names_its_server_before_anything_else_runs(path: str, whole: bool) -> None:
    parts = iter([PAGE[:9], PAGE[9:]])
    streamed = StreamingResponse(parts, media_type="text/html", headers={"content-length": "1"})
    headers, body = ask(path, HTMLResponse(PAGE) if whole else streamed)
    assert body == PAGE.encode().replace(b"<head>", b"<head>" + SCRIPT)
    assert headers[b"content-length"] == str(len(body)).encode()


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/static/x.js", PlainTextResponse(PAGE)),
        ("/elsewhere", HTMLResponse(PAGE)),
        ("/barrier", PlainTextResponse(PAGE)),
        ("/barrier", HTMLResponse(PAGE, 404)),
        ("/barrier", HTMLResponse(PAGE, headers={"content-encoding": "gzip"})),
    ],
)
def test_everything_else_passes_as_it_is(path: str, answer: Response) -> None:
    headers, body = ask(path, answer)
    assert body == PAGE.encode() and headers[b"content-length"] == str(len(PAGE)).encode()


def test_the_app_does_so_for_all_pages() -> None:
    (found,) = (each for each in middleware() if each.cls is Base)
    assert {"", "barrier", "lecture"} <= set(found.kwargs["pages"])
