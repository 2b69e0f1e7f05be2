r"""Text for a terminal or a log that does nothing but be read.

A name or a note that came with a model, a study or a path may hold characters that a terminal
obeys: it moves the cursor, writes over what was said before, sets the title of the window, or
(bidirectional controls) shows what was not written. Such characters are shown as their escapes,
"\x1b". All output of the command line goes through `Plain`, so that no print needs to think of it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import TextIO

# C0 and C1 controls but for tab and newline; line and paragraph separators; marks, embeddings,
# overrides and isolates of writing direction (Unicode Bidirectional Algorithm); invisible
# characters that hide a difference between two names.
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060"
    "\u2066-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def plain(text: str, keep: str = "") -> str:
    """The text with every character that a terminal obeys as its escape.

    Args:
        text: whatever should be read.
        keep: characters that are let through all the same.
    """
    return OBEYED.sub(
        lambda found: found[0] if found[0] in keep else found[0].encode("unicode_escape").decode(),
        text,
    )


class Plain:
    """A stream that writes `plain` text to another one.

    Args:
        stream: that writes.
        keep: characters that it may write although terminals obey them, such as those that a
            progress bar needs.
    """

    def __init__(self, stream: TextIO, keep: str = ""):
        self._stream, self._keep = stream, keep

    def write(self, text: str) -> int:
        """Write a text; returns how many characters were written."""
        return self._stream.write(plain(text, self._keep))

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write what is held back."""
        self._stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


class PlainFormatter(logging.Formatter):
    """Lines of a log as `plain` text."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, with the escapes of what a terminal obeys."""
        return plain(super().format(record))
