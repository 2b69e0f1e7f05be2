"""Writing for people and programs: tables, JSON, and targets that are checked before the work
begins.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lmc_core.errors import BadInput


def print_json(value: object) -> None:
    """Print one JSON value, indented; numbers that are not finite become null."""
    print(json.dumps(finite(value), indent=2))


def finite(value: object) -> object:
    """The same value with null in place of NaN and infinities, which JSON does not have."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Lay out text in columns two spaces apart.

    Args:
        header: names of the columns.
        rows: their contents.
        left: how many columns from the left are set flush left; the others flush right.
    """
    lines = [list(header), *[[_line(cell) for cell in row] for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(widths[i]) if i < left else cell.rjust(widths[i])
            for i, cell in enumerate(line)
        ).rstrip()
        for line in lines
    )


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Lay out names and values, one pair a line."""
    width = max(len(name) for name, _ in pairs)
    return "\n".join(f"{name.ljust(width)}  {_line(value)}" for name, value in pairs)


def _line(text: str) -> str:
    """The text on one line, so that no name can make up further lines."""
    return " ".join(text.split("\n"))


def list_notes(said: Sequence[str]) -> list[tuple[str, str]]:
    """Notes as `facts` takes them."""
    return [("note", sentence) for sentence in said]


def check_target(path: Path | None, option: str) -> None:
    """Raise `BadInput` unless the file can be written; nothing is left behind."""
    if path is None:
        return
    if path.is_dir():
        raise BadInput(f"{option} expects a file; {str(path)!r} is a folder.")
    if not path.parent.is_dir():
        raise BadInput(
            f"{option} {str(path)!r} cannot be written: there is no folder {str(path.parent)!r}; "
            "make it first."
        )
    try:
        if path.exists():
            with path.open("a"):
                pass
        else:
            with tempfile.TemporaryFile(dir=path.parent):
                pass
    except OSError as error:
        raise BadInput(
            f"{option} {str(path)!r} cannot be written ({error.strerror}); choose another place."
        ) from error
