"""A person's notes on results: one small text file each, named by the result's key."""

from __future__ import annotations

import contextlib
from pathlib import Path

from lmc_core import folders
from lmc_core.errors import BadInput
from lmc_core.runs.result import is_key
from lmc_core.studies.files import clean, write_error, write_file
from lmc_core.studies.study import NOTE


class Notes:
    """A folder of notes.

    Args:
        root: the folder; default `notes` in `places.home()`. Created by the first note.
    """

    def __init__(self, root: Path | None = None):
        self.root = Path(root) if root is not None else folders.home() / "notes"

    def all(self) -> dict[str, str]:
        """Return the notes by key."""
        found = {}
        with contextlib.suppress(OSError):
            for path in self.root.glob("*.txt"):
                if is_key(path.stem) and (text := self.get(path.stem)):
                    found[path.stem] = text
        return found

    def get(self, key: str) -> str:
        """Return the note on a result, "" for none."""
        if not is_key(key):
            return ""
        try:
            return (self.root / f"{key}.txt").read_text(encoding="utf-8")[:NOTE]
        except (OSError, UnicodeDecodeError):
            return ""

    def set(self, key: str, text: str) -> None:
        """Write the note on a result; an empty one takes it away.

        Raises:
            BadInput: the text is too long.
            StoreError: it cannot be written; the note is what it was.
        """
        if not is_key(key):
            raise ValueError(f"not a key: {key!r}")
        if len(text) > NOTE:
            raise BadInput(
                f"At most {NOTE:,} characters fit into a note; {len(text):,} came. Shorten the "
                "text."
            )
        path = self.root / f"{key}.txt"
        if text.strip():
            clean(self.root)
            return write_file(path, text.strip().encode())
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise write_error(error) from error
