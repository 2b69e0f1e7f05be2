"""The token that a server asks for, and the ticket that a browser keeps in its place.

A ticket is a time and a keyed hash of it (HMAC, RFC 2104), with the token as the key: it says
nothing of the token, holds for as long as the token does and a month at the most, and nothing has
to be stored for it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from lmc_core.errors import BadInput

VARIABLE = "LMC_TOKEN"
FILE = "LMC_TOKEN_FILE"
SHORTEST, LONGEST = 16, 512  # characters
LIFE = 30 * 24 * 3600  # seconds of a ticket
SKEW = 60  # seconds by which a ticket may be ahead of the clock, which may have been set


def read_token(environment: Mapping[str, str], file: Path | None = None) -> str | None:
    """The token that was chosen, in a file or a variable; None for none.

    Raises:
        BadInput: it is none, there are two, or the file cannot be read.
    """
    named = file or (Path(path) if (path := environment.get(FILE, "").strip()) else None)
    text = environment.get(VARIABLE, "")
    if text and named:
        raise BadInput(
            f"A token came twice, in {VARIABLE} and in the file {str(named)!r}; leave one out."
        )
    if named is None:
        return _require(text, VARIABLE) if text else None
    try:
        with open(named, encoding="utf-8") as content:
            text = content.read(LONGEST + 3)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise BadInput(
            f"The file of the token, {str(named)!r}, cannot be read: {reason}."
        ) from None
    return _require(text.rstrip("\r\n"), f"the file {str(named)!r}")


def take_token(environment: MutableMapping[str, str]) -> str | None:
    """The same, and removes it from the variables, so that no process started from here has it."""
    token = read_token(environment)
    environment.pop(VARIABLE, None)
    return token


def make_token() -> str:
    """A token of 192 random bits."""
    return secrets.token_urlsafe(24)


def same(token: str, text: str) -> bool:
    """Whether a text is the token; takes as long whatever the text is."""
    return hmac.compare_digest(_digest(token), _digest(text))


def make_ticket(token: str, now: float) -> str:
    """What a browser keeps that has shown the token at a time (seconds since 1970)."""
    return f"{int(now)}.{_seal(token, int(now))}"


def holds(token: str, ticket: str, now: float) -> bool:
    """Whether a ticket was made with the token, and not too long ago."""
    made, _, seal = ticket.partition(".")
    if not (made.isascii() and made.isdecimal() and len(made) < 16):
        return False
    right = hmac.compare_digest(_digest(_seal(token, int(made))), _digest(seal))
    return right and -SKEW <= now - int(made) <= LIFE


def _seal(token: str, made: int) -> str:
    return hmac.new(token.encode(), f"lmc ticket {made}".encode(), hashlib.sha256).hexdigest()


def _digest(text: str) -> bytes:
    # of equal length, so that not even the token's length can be found by the clock
    return hashlib.sha256(text.encode(errors="replace")).digest()


def _require(text: str, source: str) -> str:
    """The token, if it can be one; what came is not repeated."""
    fine = text.isascii() and text.isprintable() and " " not in text
    if not fine or not SHORTEST <= len(text) <= LONGEST:
        raise BadInput(
            f"The token of {source} must have {SHORTEST} to {LONGEST} letters, digits and signs "
            "without spaces, such as `python -c 'import secrets; print(secrets.token_urlsafe())'` "
            f"prints; one of {len(text)} characters{'' if fine else ' with others'} came."
        )
    return text
