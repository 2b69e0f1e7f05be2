"""A table behind a figure: as CSV, and as HTML for a page that stands alone."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lmc_core.figures.numbers import number


@dataclass(frozen=True)
class Table:
    """Rows of numbers and texts.

    Attributes:
        header: names of the columns, with units.
        rows: as many values each; None where there is none.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    @classmethod
    def of(cls, header: Iterable[str], rows: Iterable[Iterable[Any]]) -> Table:
        """Make a table of any iterables."""
        return cls(tuple(header), tuple(tuple(row) for row in rows))

    def csv(self) -> str:
        """Return CSV text; numbers in full."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.header)
        writer.writerows([["" if value is None else value for value in row] for row in self.rows])
        return text.getvalue()

    def html(self, caption: str = "") -> str:
        """Return a `table` element; numbers with three significant digits."""
        head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in self.header)
        body = "".join(f"<tr>{''.join(_cell(value, i) for i, value in enumerate(row))}</tr>\n" for row in self.rows)
        said = f"<caption>{html.escape(caption)}</caption>" if caption else ""
        return f"<table>{said}<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>"


def words(value: Any) -> str:
    """Return a value of a table for people."""
    if value is None:
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return number(value) if isinstance(value, float) else str(value)


def _cell(value: Any, column: int) -> str:
    text = html.escape(words(value))
    if column == 0:
        return f'<th scope="row">{text}</th>'
    return f'<td class="n">{text}</td>' if isinstance(value, int | float) else f"<td>{text}</td>"
