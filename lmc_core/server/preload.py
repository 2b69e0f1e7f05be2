"""Browsers are told early of the code that draws charts, which Streamlit asks for only when the
first chart arrives.

That code is the largest file of the app by far (4.7 MB). Named in the header `Link` of a page's own
answer (RFC 8288; HTML standard, "modulepreload"), it comes and is parsed while the rest of the page
starts. A browser that does not know the header, and a version of Streamlit that names the file
otherwise, lose nothing but that head start.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CHARTS = "PlotlyChart.*.js"


def chart_code() -> list[str]:
    """Return the address of the code that draws charts, seen from a page; empty where Streamlit
    keeps it elsewhere.
    """
    folder = Path(st.__file__).parent / "static" / "static" / "js"
    return [f"./static/js/{file.name}" for file in folder.glob(CHARTS)]


class Preload:
    """Middleware that names files in the header `Link` of pages.

    Args:
        app: that answers.
        files: addresses of JavaScript modules, relative to a page.
        pages: last parts of the addresses of pages.
    """

    def __init__(self, app: ASGIApp, files: Sequence[str], pages: Collection[str]):
        self.app = app
        self.link = ", ".join(f"<{file}>; rel=modulepreload" for file in files)
        self.pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if (
            scope["type"] != "http"
            or not self.link
            or scope["path"].rpartition("/")[2] not in self.pages
        ):
            await self.app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    headers.append("Link", self.link)
            await send(message)

        await self.app(scope, receive, answer)
