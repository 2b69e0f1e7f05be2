"""A table behind a figure: as CSV, and as HTML for a page that stands alone."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass

from lmc_core.numbers import number

# Spreadsheets compute what begins so, also where it stands in quotes; an apostrophe before it says
# that it is a text. A text that is a number stays one.
FORMULA = re.compile(r"\s*[=+\-@\uff0b\uff0d\uff1d\uff20]|[\t\r\n]")
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Table:
    """Rows of numbers and texts.

    Attributes:
        header: names of the columns, with units.
        rows: as many values each; None where there is none.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]

    @classmethod
    def of(cls, header: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
        """Make a table of any iterables."""
        return cls(tuple(header), tuple(tuple(row) for row in rows))

    def csv(self) -> str:
        """Return CSV text; numbers in full, and no text that a spreadsheet takes for a formula
        (`FORMULA`).
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(map(_inert, self.header))
        writer.writerows([_inert(value) for value in row] for row in self.rows)
        return text.getvalue()

    def html(self, caption: str = "") -> str:
        """Return a `table` element; numbers with three significant digits."""
        head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in self.header)
        body = "".join(
            f"<tr>{''.join(_cell(value, i) for i, value in enumerate(row))}</tr>\n"
            for row in self.rows
        )
        said = f"<caption>{html.escape(caption)}</caption>" if caption else ""
        return f"<table>{said}<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>"


def words(value: object) -> str:
    """Return a value of a table for people."""
    if value is None:
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return number(value) if isinstance(value, float) else str(value)


def _inert(value: object) -> object:
    """A value for CSV: nothing for None, and a text that would be a formula behind an
    apostrophe.
    """
    if value is None:
        return ""
    if isinstance(value, str) and FORMULA.match(value) and not NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def _cell(value: object, column: int) -> str:
    text = html.escape(words(value))
    if column == 0:
        return f'<th scope="row">{text}</th>'
    return f'<td class="n">{text}</td>' if isinstance(value, int | float) else f"<td>{text}</td>"
