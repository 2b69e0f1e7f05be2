"""Where the server stands: the address of this machine at which it listens, and the path below
which its pages lie.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass

from lmc_core.errors import BadInput

HOME = "127.0.0.1"
# What browsers and proxies pass on as it is: a cookie's path is compared letter by letter.
PART = re.compile(r"[A-Za-z0-9._~-]{1,80}")
LONGEST = 200  # characters of a path


@dataclass(frozen=True)
class Place:
    """Where a server listens.

    Attributes:
        ip: that it binds, as a number.
        base: path below which the pages lie, such as "/lmc"; "" for none.
        name: under which this machine was named, where that was no number.
    """

    ip: str = HOME
    base: str = ""
    name: str = ""

    @property
    def private(self) -> bool:
        """Whether only this machine reaches it."""
        return is_loopback(self.ip)

    @property
    def near(self) -> str:
        """An address of this machine at which it answers, as a host of a URL."""
        ip = ipaddress.ip_address(self.ip)
        if ip.is_unspecified:
            return HOME if ip.version == 4 else "[::1]"
        return f"[{ip}]" if ip.version == 6 else str(ip)

    def url(self, port: int) -> str:
        """Its address for a browser of this machine, without a slash at its end."""
        return f"http://{self.near}:{port}{self.base}"


def read_place(address: str | None = None, base: str | None = None) -> Place:
    """Read where a server is to listen.

    A name is looked up here, once, so that what is bound is what was judged.

    Args:
        address: a number or a name of this machine; by default 127.0.0.1.
        base: a path.

    Raises:
        BadInput: one of them is none.
    """
    path = read_base(base or "")
    text = (address or HOME).strip().removeprefix("[").removesuffix("]")
    try:
        return Place(str(ipaddress.ip_address(text)), path)
    except ValueError:
        pass
    if re.fullmatch(r"[A-Za-z0-9_.-]{1,253}", text):
        try:
            found = socket.getaddrinfo(text, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            found = []
        numbers = sorted({str(each[4][0]) for each in found}, key=lambda ip: (":" in ip, ip))
        if numbers:
            return Place(numbers[0], path, text.lower())
    raise BadInput(
        "--address takes a number or a name of this machine, such as 127.0.0.1, 0.0.0.0 for all of "
        f"its networks, :: or lab7; {ascii(address)[:80]} came."
    )


def read_base(text: str) -> str:
    """The path below which pages lie: "" or with a slash before it and none behind.

    Raises:
        BadInput: it is no path.
    """
    path = text.strip().strip("/")
    parts = path.split("/") if path else []
    if len(path) > LONGEST or any(
        not PART.fullmatch(part) or part in (".", "..") for part in parts
    ):
        raise BadInput(
            "--base-path takes a path of letters, digits and . _ ~ - between slashes, such as /lmc "
            f"or /user/me/proxy/absolute/8501; {ascii(text)[:80]} came."
        )
    return "".join(f"/{part}" for part in parts)


def is_loopback(text: str) -> bool:
    """Whether an address is one of this machine alone; what is no number is not."""
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)  # how a socket for both versions names version 4
    return (mapped or ip).is_loopback


def as_host(text: str) -> str:
    """An address as browsers write it into `Host`; "" for what is no number."""
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return ""
    mapped = getattr(ip, "ipv4_mapped", None)
    return str(mapped or ip) if ip.version == 4 or mapped else f"[{ip}]"
