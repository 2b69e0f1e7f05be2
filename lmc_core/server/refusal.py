"""How a request is refused: a status and one sentence."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

CLOSED = 1008  # of a socket: "policy violation" (RFC 6455)


async def refuse(
    scope: Scope, receive: Receive, send: Send, reason: str, status: int = 403
) -> None:
    """Answer with a sentence; a socket is closed before it is open, with the sentence where the
    server can say it.
    """
    kind = "http.response"
    if scope["type"] == "websocket":
        await receive()  # "websocket.connect"
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": CLOSED, "reason": "refused"})
            return
        kind = "websocket.http.response"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": f"{reason}\n".encode()})
