"""Pages tell the browser where their server is.

Streamlit's front end looks for it below the page's own address first, so that every deep link
begins with two answers of 404 and errors on the console. A page of this app knows better: its
server is beside it, at an address that ends in the slash before the page's name.
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SCRIPT = (
    b"<script>window.__streamlit={BACKEND_BASE_URL:new URL('./',window.location.href).href}"
    b"</script>"
)
HEAD = b"<head>"


class Base:
    """Middleware that writes the server's address into the head of pages.

    Args:
        app: that answers.
        pages: last parts of the addresses of pages.
    """

    def __init__(self, app: ASGIApp, pages: Collection[str]):
        self.app = app
        self.pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"].rpartition("/")[2] not in self.pages:
            await self.app(scope, receive, send)
            return
        # as plain text: what the server compresses cannot be written into
        headers = [pair for pair in scope["headers"] if pair[0].lower() != b"accept-encoding"]
        scope = {**scope, "headers": headers}
        start: Message | None = None
        body = b""

        async def answer(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_page(message):
                start = message  # its length is known when all of the page is there
                return
            if start is None or message["type"] != "http.response.body":
                await send(message)
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            if scope["method"] == "GET":
                body = body.replace(HEAD, HEAD + SCRIPT, 1)
                MutableHeaders(scope=start)["content-length"] = str(len(body))
            await send(start)
            await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, answer)


def _is_page(message: Message) -> bool:
    headers = MutableHeaders(scope=message)
    return (
        message["status"] == 200
        and headers.get("content-type", "").startswith("text/html")
        and headers.get("content-encoding", "identity") == "identity"
    )
