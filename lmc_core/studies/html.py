"""A study as one HTML file: opens offline, figures stay interactive, plotly.js once, data inside,
asks nobody for anything.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from lmc_core import __version__
from lmc_core.figures.export import figure_html, page_html
from lmc_core.figures.panel import Panel
from lmc_core.figures.style import GROUNDS, LARGE, SMALL, Theme
from lmc_core.look import PRODUCT
from lmc_core.runs.store import Store
from lmc_core.studies.gather import Shown, find_missing, gather, list_results
from lmc_core.studies.study import Study

# of a table that may be wider than the page, which keys must be able to scroll
WIDE = '<div class="wide" tabindex="0" role="group" aria-label="A table, which scrolls sideways">'
STYLE = """h1 {{ font-size: 28px; line-height: 1.2; margin: 16px 0 8px; }}
h2 {{ font-size: {large}px; margin: 48px 0 4px; }}
p {{ max-width: 75ch; }}
.note {{ white-space: pre-line; }}
.small, footer {{ color: {muted}; font-size: {small}px; }}
nav ol {{ padding-left: 20px; }}
a {{ color: inherit; }}
figure {{ margin: 8px 0; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: {small}px; font-variant-numeric: tabular-nums;
 margin: 8px 0; }}
caption {{ text-align: left; color: {muted}; padding: 4px 8px; }}
th, td {{ text-align: left; padding: 4px 8px; border-bottom: 1px solid {grid};
 white-space: nowrap; }}
th {{ font-weight: 600; }}
td.n {{ text-align: right; }}
summary {{ cursor: pointer; padding: 4px 0; }}
@page {{ size: A4; margin: 15mm; }}
@media print {{
  body {{ max-width: none; padding: 0; }}
  nav, .modebar-container, details {{ display: none; }}
  section {{ break-inside: avoid; }}
  h2 {{ break-after: avoid; }}
}}
"""
# Figures take the width of the paper when a page is printed; browsers say so too late for a rule of
# style.
PRINT = """<script>
for (const moment of ["beforeprint", "afterprint"])
  addEventListener(moment, () => {
    document.querySelectorAll(".js-plotly-plot").forEach(each => Plotly.Plots.resize(each));
  });
</script>"""


def study_html(study: Study, store: Store, theme: Theme = "light") -> tuple[str, list[str]]:
    """Return a study as a page that stands alone.

    Args:
        study: what to show.
        store: where its results lie.
        theme: ``light``, ``dark`` or ``paper``.

    Returns:
        The HTML text, and the keys that the store has no result of; the page says so where they
        would be.
    """
    shown = gather(study, store)
    ground = GROUNDS[theme]
    drawn = False
    sections = []
    for index, each in enumerate(shown):
        text, drawn = _section(index, each, each.panels(theme), drawn)
        sections.append(text)
    data: dict[str, object] = {"study": study.to_json(), "results": list_results(shown)}
    style = STYLE.format(large=LARGE, small=SMALL, muted=ground.muted, grid=ground.grid)
    return page_html(
        study.title, _head(study, shown) + "\n".join(sections) + _foot(study), data, theme, style
    ), find_missing(shown)


def _head(study: Study, shown: Sequence[Shown]) -> str:
    items = "".join(
        f'<li><a href="#s{i}">{html.escape(each.title)}</a></li>' for i, each in enumerate(shown)
    )
    contents = f'<nav aria-label="Contents"><ol>{items}</ol></nav>' if len(shown) > 2 else ""
    return f"<main>\n<h1>{html.escape(study.title)}</h1>\n{_note(study.note)}{contents}\n"


def _section(index: int, shown: Shown, panels: Sequence[Panel], drawn: bool) -> tuple[str, bool]:
    """One entry; says whether plotly.js is in the page by now."""
    parts = [
        f'<section id="s{index}">\n<h2>{html.escape(shown.title)}</h2>\n{_note(shown.entry.note)}'
    ]
    for number, panel in enumerate(panels):
        figure = ""
        if panel.figure is not None:
            inner = figure_html(panel.figure, library=not drawn, name=f"figure-{index}-{number}")
            figure = f'<div role="group" aria-label="{html.escape(panel.alt)}">{inner}</div>'
            drawn = True
        parts.append(
            f"<figure>\n{figure}\n<figcaption>{html.escape(panel.caption)}</figcaption>\n</figure>"
        )
        parts.append(f"{WIDE}{panel.summary.html()}</div>")
        every = panel.numbers.html()
        parts.append(
            f"<details><summary>Every number of the figure</summary>\n{WIDE}{every}</div></details>"
        )
    if shown.missing:
        keys = ", ".join(key[:12] for key in shown.missing)
        parts.append(f'<p class="small">Not stored where this page was made: {keys}.</p>')
    return "\n".join(parts) + "\n</section>", drawn


def _note(text: str) -> str:
    return f'<p class="note">{html.escape(text)}</p>\n' if text.strip() else ""


def _foot(study: Study) -> str:
    said = (
        f"Made with {PRODUCT} {__version__}; the study was last changed on "
        f"{html.escape(study.changed[:10])}."
    )
    how = (
        "Every result with its request is inside this file, as JSON in the element with the id "
        "\u201cresults\u201d."
    )
    return f"\n</main>\n<footer><p>{said} {how}</p></footer>\n{PRINT}"
