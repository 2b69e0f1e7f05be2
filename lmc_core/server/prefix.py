"""Where the pages lie below a path: its slash, and words for what does not lie below it."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from lmc_core.server.refusal import refuse

HEALTH = "/_stcore/health"


class Prefix:
    """Middleware that adds the slash behind the base path, without which nothing on the page would
    be found, and that answers for health with and without the path, for whoever asks in front of a
    proxy and behind it.

    Args:
        app: that answers.
        base: the path, such as "/lmc".
    """

    def __init__(self, app: ASGIApp, base: str):
        self.app, self.base = app, base

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("path", "")
        if scope["type"] not in ("http", "websocket") or path.startswith(f"{self.base}/"):
            await self.app(scope, receive, send)
        elif scope["type"] == "http" and path == HEALTH:
            whole = f"{self.base}{HEALTH}"
            await self.app({**scope, "path": whole, "raw_path": whole.encode()}, receive, send)
        elif scope["type"] == "http" and path == self.base:
            await redirect(send, f"{path.rpartition('/')[2]}/", scope["query_string"])
        else:
            await refuse(
                scope,
                receive,
                send,
                f"This server answers below {self.base}/ alone; a proxy must pass on the whole "
                "path, or the server be started without --base-path.",
                404,
            )


async def redirect(
    send: Send, place: str, query: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """Send a browser on, by an address relative to its own, which holds behind every proxy.

    Args:
        send: of the request.
        place: relative to the folder of the request's path.
        query: without its question mark.
        headers: further ones.
    """
    where = f"./{place}".encode() + (b"?" + query if query else b"")
    found = [(b"location", where), (b"cache-control", b"no-store"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 303, "headers": [*found, *headers]})
    await send({"type": "http.response.body", "body": b""})
