"""One clear error for whatever damaged content makes a family, a layout or a model's own class
stumble over.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lmc_core.errors import BadCheckpoint, BadInput, LmcError
from lmc_core.models.files.references import clip

LONGEST = 380  # characters of a message
WITH_LINES = 800  # of one that holds lines of Python, which are of no use in part


class WithLines(BadCheckpoint):
    """A refusal that holds lines of Python which mend what is wrong."""


@contextmanager
def wrap_errors(name: str) -> Iterator[None]:
    """Turn errors that no one wrote for people into `BadCheckpoint`, and keep every message to one
    short line.

    Args:
        name: of the checkpoint that is to blame.

    Raises:
        BadInput: if memory ran out.
    """
    try:
        yield
    except LmcError as error:
        text = " ".join(str(error).split())
        longest = WITH_LINES if isinstance(error, WithLines) else LONGEST
        if text == str(error) and len(text) <= longest:
            raise
        half = longest // 2
        raise type(error)(
            text if len(text) <= longest else f"{text[:half]} ... {text[-half:]}"
        ) from error
    except MemoryError as error:
        raise _no_memory(name) from error
    except Exception as error:  # libraries have kinds of their own
        reason = " ".join(str(error).split())
        if "can't allocate memory" in reason or "out of memory" in reason:
            raise _no_memory(name) from error
        raise BadCheckpoint(
            f"The files of {clip(name)} do not make sense together ({type(error).__name__}: "
            f"{reason[:120]}); check its "
            "config.json, or fetch the checkpoint again."
        ) from error


def _no_memory(name: str) -> BadInput:
    return BadInput(
        f"There is not enough memory for {clip(name)}; close other programs, or take a smaller "
        "model."
    )
