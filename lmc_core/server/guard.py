"""Who may talk to the server: people at this machine's own addresses, by pages that the server
itself gave them.

A server on 127.0.0.1 is still within reach of every page that a person's browser shows. Three doors
stand open without this:

- A foreign name can be made to mean 127.0.0.1 (DNS rebinding); its page then has our origin, as far
  as the browser can see. So the header `Host` must name an address from a list, or be the number at
  which the request arrived.
- A page from anywhere may open a socket, or send a form. So `Origin`, which browsers add to these,
  must be our own, to the letter: another port of this machine is as foreign as another machine.
  (Streamlit asks less, and to find out whether a foreign origin is this machine it asks a server
  outside for our address: nothing of the kind may reach it.)
- A page may show the app in a frame and lead a person's clicks. So answers say that only our own
  pages may frame it (Content Security Policy level 2, "frame-ancestors").

The same policy keeps our own pages from asking anyone else for anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lmc_core.errors import BadInput
from lmc_core.server.place import as_host
from lmc_core.server.refusal import refuse

LOCAL = ("127.0.0.1", "localhost", "[::1]")
VARIABLE = "LMC_HOSTS"
ENTRY = re.compile(
    r"(?:(?P<scheme>https?)://)?(?P<name>[a-z0-9_.-]+|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?",
    re.IGNORECASE,
)
USUAL = {"http": 80, "https": 443}  # ports that browsers leave out of both headers
# Foreign pages may not frame ours; and ours load pictures, fonts and data from nowhere else, and
# connect and send to nowhere else, whatever a title or a note that came with a study holds.
POLICY = "; ".join(
    [
        "frame-ancestors 'self'",
        *(
            f"{what}-src 'self' data: blob:"
            for what in ("img", "media", "font", "connect", "frame")
        ),
        "object-src 'none'",
        "form-action 'self'",
    ]
)
HEADERS = {
    "X-Frame-Options": "SAMEORIGIN",  # the same for browsers that do not know frame-ancestors
    "X-Content-Type-Options": "nosniff",
    # a page's address holds what it shows; links to papers do not pass it on
    "Referrer-Policy": "same-origin",
    # foreign pages load neither pictures nor scripts of ours
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Host:
    """A further address at which browsers see the app, such as that of a proxy.

    Attributes:
        name: of the machine, in lower case.
        port: None for the one being served, and for the usual one, which browsers leave out.
        scheme: that browsers use; None for the one in which the request reaches the server.
    """

    name: str
    port: int | None = None
    scheme: str | None = None

    def addresses(self, served: int | None) -> set[str]:
        """What `Host` may say for it."""
        if self.port is not None and self.port != USUAL.get(self.scheme or ""):
            return {f"{self.name}:{self.port}"}
        return {self.name} if self.scheme else {self.name, f"{self.name}:{served}"}


def hosts_of(text: str) -> tuple[Host, ...]:
    """Read a list of further hosts: NAME, NAME:PORT or https://NAME[:PORT], separated by commas or
    spaces.

    Raises:
        BadInput: for anything else; there is no way to allow every name.
    """
    found = []
    for entry in text.replace(",", " ").split():
        match = ENTRY.fullmatch(entry.rstrip("/"))
        port = int(match["port"]) if match and match["port"] else None
        if match is None or (port or 0) > 65535:
            raise BadInput(
                f"{VARIABLE} and --allow-host take names of hosts as browsers see them, such as "
                "lmc.example.org, "
                f"login1:9000 or https://lmc.example.org; {entry[:80]!r} came."
            )
        found.append(Host(match["name"].lower(), port, match["scheme"] and match["scheme"].lower()))
    return tuple(found)


def allowed_hosts() -> tuple[Host, ...]:
    """The further hosts that `LMC_HOSTS` names."""
    return hosts_of(os.environ.get(VARIABLE, ""))


class Guard:
    """Middleware that answers nobody but our own pages at our own addresses, and comes before
    everything else.

    Args:
        app: that answers.
        hosts: further hosts besides those of this machine.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[Host] = ()):
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] not in ("http", "websocket"):  # starting and stopping
            await self.app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                _protect(MutableHeaders(scope=message))
            await send(message)

        reason = self.reason(scope)
        if reason:
            await refuse(scope, receive, answer, reason)
        else:
            await self.app(scope, receive, answer)

    def reason(self, scope: Scope) -> str:
        """Why a request is refused, in a sentence; "" where it is not."""
        headers, (reached, port) = Headers(scope=scope), scope.get("server") or ("", None)
        named, origins = headers.getlist("host"), headers.getlist("origin")
        host = named[0].lower() if len(named) == 1 else ""
        scheme = "https" if scope["scheme"] in ("https", "wss") else "http"
        # A number in `Host` is no name that somebody could give another meaning, and the one at
        # which this request arrived is ours.
        own = {*LOCAL, as_host(reached)} - {""}
        local = {f"{name}:{port}" for name in own} | (own if port == USUAL.get(scheme) else set())
        further = [each for each in self.hosts if host in each.addresses(port)]
        if host not in local and not further:
            return (
                f"This server answers at {LOCAL[0]}:{port} and {LOCAL[1]}:{port}, and the request "
                "names "
                f"{_shown(named)}; open one of these, or name that host with `lmc app "
                f"--allow-host` or {VARIABLE}."
            )
        # Both headers come from the same browser and must agree letter by letter, as Streamlit
        # compares them so after us.
        expected = {f"{each.scheme or scheme}://{named[0]}" for each in further} or {
            f"{scheme}://{named[0]}"
        }
        if origins and (len(origins) > 1 or origins[0] not in expected):
            return (
                f"This server answers its own pages alone, those of {min(expected)}, and the "
                "request comes from a page of "
                f"{_shown(origins)}; open the app by its own address, and behind a proxy pass on "
                "`Host` as it comes and name "
                f"the address that browsers see in {VARIABLE}."
            )
        return ""


def _shown(values: Sequence[str]) -> str:
    """What came in a header, short and without anything that does something."""
    if not values:
        return "none"
    return " and ".join(ascii(value[:80]) for value in values[:2])


def _protect(headers: MutableHeaders) -> None:
    """Add what tells browsers to keep foreign pages out; what an answer says of its own stays."""
    headers.append("Content-Security-Policy", POLICY)  # of several policies all hold
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
