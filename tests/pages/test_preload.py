"""What the header of a page's own answer names, asked of the middleware without a server."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message

from lmc_core.server.app import middleware
from lmc_core.server.preload import Preload, chart_code
from lmc_core.ui.pages import PAGES

CODE = "./static/js/chart.js"


def links(path: str, files: list[str], status: int = 200, html: bool = True) -> list[str]:
    """The headers `Link` of the answer to one request."""

    async def answer(_: object) -> Response:
        return (HTMLResponse if html else PlainTextResponse)("<title>x</title>", status)

    pages = frozenset({"", "barrier"})
    app = Starlette(
        routes=[Route("/{rest:path}", answer)],
        middleware=[Middleware(Preload, files=files, pages=pages)],
    )
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "headers": [],
        "query_string": b"",
        "root_path": "",
    }
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        said.append(message)

    # tests in a browser leave an event loop running in this thread
    with ThreadPoolExecutor(1) as apart:
        apart.submit(lambda: asyncio.run(app(scope, receive, send))).result()
    return [value.decode() for name, value in said[0]["headers"] if name == b"link"]


@pytest.mark.parametrize("path", ["/", "/barrier", "/below/a/proxy/barrier"])
def test_a_page_names_the_code(path):
    assert links(path, [CODE]) == [f"<{CODE}>; rel=modulepreload"]


@pytest.mark.parametrize(
    "path", ["/other", "/static/js/index.js", "/_stcore/health", "/media/report.html"]
)
def test_nothing_else_does(path):
    assert links(path, [CODE]) == []


def test_neither_an_error_nor_another_kind_of_answer_nor_a_version_without_the_file_does():
    assert links("/barrier", [CODE], status=404) == []
    assert links("/barrier", [CODE], html=False) == []
    assert links("/barrier", []) == []


def test_the_installed_streamlit_has_the_code_under_that_name():
    (address,) = chart_code()
    assert (Path(st.__file__).parent / "static" / address).stat().st_size > 1e6


def test_the_app_names_it_on_every_page():
    (only,) = [each for each in middleware() if each.cls is Preload]
    assert only.kwargs["pages"] == {"", *PAGES} and only.kwargs["files"] == chart_code()
