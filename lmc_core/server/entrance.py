"""Who may come in and where, settled before the server starts: from the options of `lmc app` and
from variables, which say the same where there is no command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from lmc_core.errors import BadInput
from lmc_core.server.guard import USUAL, Host
from lmc_core.server.place import Place, read_place
from lmc_core.server.token import FILE, VARIABLE, make_token, read_token

ADDRESS = "LMC_ADDRESS"
BASE = "LMC_BASE_PATH"
PUBLIC = "LMC_NO_TOKEN"


@dataclass(frozen=True)
class Asked:
    """What was asked for; what is left out comes from the variables.

    Attributes:
        address: of this machine, at which the server listens.
        base_path: below which the pages lie.
        token_file: holds the token.
        no_token: whether everyone may look.
    """

    address: str | None = None
    base_path: str | None = None
    token_file: Path | None = None
    no_token: bool = False


@dataclass(frozen=True)
class Entrance:
    """Where a server listens, and what it asks for.

    Attributes:
        place: where it listens.
        token: that it asks for; None where it asks for none.
        printed: whether the token was made here and has to be told.
        public: whether everyone may look, without a token.
    """

    place: Place = field(default_factory=Place)
    token: str | None = field(default=None, repr=False)
    printed: bool = False
    public: bool = False

    def variables(self) -> dict[str, str]:
        """What the server's process is told; a token has no place among its arguments, which every
        process of the machine can read.
        """
        return {VARIABLE: self.token or "", FILE: "", PUBLIC: "1" if self.public else ""}

    def addresses(self, port: int, hosts: tuple[Host, ...] = ()) -> list[str]:
        """Addresses to open, the nearest first; with the token where nobody has it yet."""
        end = f"/?{urlencode({'token': self.token})}" if self.printed else ""
        roots = [self.place.url(port)]
        for host in hosts:
            scheme = host.scheme or "http"
            shown = host.port or (port if host.scheme is None else None)
            behind = "" if shown in (None, USUAL[scheme]) else f":{shown}"
            roots.append(f"{scheme}://{host.name}{behind}{self.place.base}")
        return [f"{root}{end}" for root in dict.fromkeys(roots)]


def settle(asked: Asked, environment: Mapping[str, str], read_only: bool) -> Entrance:
    """Settle where a server listens and what it asks for.

    A server that other machines reach asks for a token, which is made where none was chosen. Only
    one that nobody can change anything on may do without, and only where that is said.

    Args:
        asked: the options.
        environment: variables.
        read_only: whether the server only shows what is stored.

    Raises:
        BadInput: an address, a path or a token is none, or options exclude each other.
    """
    address = asked.address or environment.get(ADDRESS, "").strip() or None
    base = asked.base_path if asked.base_path is not None else environment.get(BASE, "")
    place = read_place(address, base)
    token = read_token(environment, asked.token_file)
    public = asked.no_token or environment.get(PUBLIC, "") not in ("", "0")
    if public and not read_only:
        raise BadInput(
            "--no-token (or LMC_NO_TOKEN) opens the app to everyone who reaches it, and is for a "
            "server on which nobody can change anything; give --read-only too, or leave it out."
        )
    if public and token:
        raise BadInput("--no-token came together with a token; leave one of them out.")
    made = token is None and not public and not place.private
    return Entrance(place, make_token() if made else token, made, public)
