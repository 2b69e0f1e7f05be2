"""Nothing but the answer to "are you there" leaves a server that has a token, before the token was
shown: no page, no file, no socket.

The token comes by a form of our own, or once in the address (`?token=`), from which it is removed.
In its place the browser keeps a ticket in a cookie that scripts cannot read, that is sent to our
own pages alone, and below the base path alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lmc_core.server import login
from lmc_core.server.attempts import Attempts
from lmc_core.server.guard import Host
from lmc_core.server.place import is_loopback
from lmc_core.server.prefix import HEALTH, redirect
from lmc_core.server.refusal import refuse
from lmc_core.server.token import LIFE, holds, make_ticket, same

NAME = "token"  # in the address
LARGEST = 4096  # bytes of a form
HTML = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")]
CLOSED = (
    "This server asks for its token and your browser has shown none: open one of its pages and "
    "give it there."
)
UNGUARDED = (
    "This server is reached from other machines and has no token: start it by `lmc app --address`, "
    "or set LMC_TOKEN."
)


class Door:
    """Middleware that lets through who has the token.

    Args:
        app: that answers.
        token: None lets through what comes from this machine alone.
        base: path below which the pages lie.
        pages: last parts of their addresses.
        hosts: further hosts, of which some may be reached by https.
        public: whether everyone may look, without a token.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str | None,
        base: str,
        pages: Collection[str],
        hosts: Sequence[Host] = (),
        public: bool = False,
    ):
        self.app, self.token, self.base, self.hosts = app, token, base, hosts
        self.pages = frozenset(f"{base}/{page}" for page in pages)
        self.public = public
        self.attempts = Attempts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, let it through, or ask for the token."""
        if scope["type"] not in ("http", "websocket") or self._is_health(scope):
            await self.app(scope, receive, send)
        elif self.token is None:
            reached = str((scope.get("server") or ("",))[0])
            if self.public or is_loopback(reached):
                await self.app(scope, receive, send)
            else:
                await refuse(scope, receive, send, UNGUARDED)
        else:
            await self._ask(scope, receive, send, self.token)

    async def _ask(self, scope: Scope, receive: Receive, send: Send, token: str) -> None:
        page = scope["type"] == "http" and scope["path"] in self.pages
        if page and scope["method"] == "POST":
            await self._judge(scope, send, await _read_form(receive), scope["query_string"])
        elif page and (named := _split_query(scope["query_string"]))[0] is not None:
            await self._judge(scope, send, named[0], named[1])
        elif self._admitted(scope, token):
            await self.app(scope, receive, send)
        elif page and scope["method"] in ("GET", "HEAD"):
            # once more from a page of our own, which the cookie is sent with
            foreign = Headers(scope=scope).get("sec-fetch-site") == "cross-site"
            await _show(scope, send, login.login_page(foreign=foreign))
        else:
            await refuse(scope, receive, send, CLOSED, 401)

    async def _judge(self, scope: Scope, send: Send, text: str, query: bytes) -> None:
        """Answer a token that came: the page that was asked for, or the form again."""
        assert self.token is not None
        client = str((scope.get("client") or ("",))[0])
        if self.attempts.full(client):
            await _show(scope, send, login.login_page(login.BUSY), 429)
        elif same(self.token, text):
            cookie = self._cookie(scope, self.token)
            await redirect(
                send, scope["path"].rpartition("/")[2], query, ((b"set-cookie", cookie),)
            )
        else:
            await asyncio.sleep(self.attempts.note(client))
            await _show(scope, send, login.login_page(login.WRONG), 403)

    def _is_health(self, scope: Scope) -> bool:
        return scope["type"] == "http" and scope["path"] == f"{self.base}{HEALTH}"

    def _admitted(self, scope: Scope, token: str) -> bool:
        """Whether one of the tickets that came is ours; there may be others of the name, of another
        path.
        """
        name, now = _cookie_name(scope), time.time()
        pairs = [
            pair.strip().partition("=")
            for line in Headers(scope=scope).getlist("cookie")
            for pair in line.split(";")
        ]
        return any(key == name and holds(token, value, now) for key, _, value in pairs)

    def _cookie(self, scope: Scope, token: str) -> bytes:
        """The header that gives a browser its ticket.

        Without a base path none is named: browsers then take the folder of the page's address as
        they see it, which is right also behind a proxy that removes a path of its own.
        """
        parts = [
            f"{_cookie_name(scope)}={make_ticket(token, time.time())}",
            *([f"Path={self.base}"] if self.base else []),
            f"Max-Age={LIFE}",
            "HttpOnly",
            "SameSite=Strict",
            *(["Secure"] if self._secure(scope) else []),
        ]
        return "; ".join(parts).encode()

    def _secure(self, scope: Scope) -> bool:
        """Whether the browser speaks https, to us or to a proxy."""
        headers, port = Headers(scope=scope), (scope.get("server") or (None, None))[1]
        forwarded = headers.get("x-forwarded-proto", "").split(",")[0].strip().lower()
        host = headers.get("host", "").lower()
        named = any(each.scheme == "https" and host in each.addresses(port) for each in self.hosts)
        return scope["scheme"] == "https" or forwarded == "https" or named


def _cookie_name(scope: Scope) -> str:
    # browsers keep cookies by machine and not by port, and two servers may stand on one
    return f"lmc-{(scope.get('server') or (None, None))[1]}"


def _split_query(query: bytes) -> tuple[str | None, bytes]:
    """The token in a query, or None, and the query without it."""
    key = f"{NAME}=".encode()
    parts = query.split(b"&")
    found = [part for part in parts if part.startswith(key)]
    rest = b"&".join(part for part in parts if not part.startswith(key))
    return (_first(found[0], NAME) if found else None), rest


def _first(form: bytes, name: str) -> str:
    """The token in a form, or ""."""
    fields = parse_qs(form.decode("latin-1"), max_num_fields=8)
    return fields.get(name, [""])[0].strip()  # a terminal adds spaces and ends of lines


async def _read_form(receive: Receive) -> str:
    """The token in the body of a request; "" for none, and for what is longer than any."""
    body, more = b"", True
    while more and len(body) <= LARGEST:
        message: Message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    try:
        return _first(body, login.FIELD) if len(body) <= LARGEST else ""
    except ValueError:  # more fields than a form of ours has
        return ""


async def _show(scope: Scope, send: Send, page: bytes, status: int = 200) -> None:
    """Send a page, of which a browser that asks for its headers gets those."""
    length = (b"content-length", str(len(page)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*HTML, length]})
    body = b"" if scope["method"] == "HEAD" else page
    await send({"type": "http.response.body", "body": body})
