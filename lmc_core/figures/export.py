"""Figures and results as files: a page that opens offline, SVG, JSON, CSV."""

from __future__ import annotations

import dataclasses
import html
import json
from collections.abc import Iterator, Sequence

import plotly.graph_objects as go
import plotly.io
import plotly.utils

from lmc_core.figures.drawing import draw, font_faces, missing_tools
from lmc_core.figures.margin import NARROW, narrow_change
from lmc_core.figures.redact import without_places
from lmc_core.figures.style import BODY, FAMILY, GROUNDS, Theme
from lmc_core.figures.tables import Table
from lmc_core.figures.text import Result

CONFIG: dict[str, object] = {
    "displaylogo": False,
    "responsive": True,
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "modeBarButtonsToRemove": [
        "sendDataToCloud",
        "sendChartToCloud",
        "select2d",
        "lasso2d",
        "autoScale2d",
    ],
    "toImageButtonOptions": {"format": "svg", "filename": "barrier"},
}

COLUMNS = (
    "lam",
    "loss",
    "loss_stderr",
    "chord",
    "excess",
    "excess_stderr",
    "excess_low",
    "excess_high",
)
CURVES = ("setting", "model_a", "model_b", "task", "split", "examples", "method", *COLUMNS)

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline';
 style-src 'unsafe-inline'; img-src data: blob:; font-src data:; base-uri 'none';
 form-action 'none'">
<title>{title}</title>
<style>
{fonts}
body {{ margin: 0 auto; max-width: 1100px; padding: 16px; background: {paper}; color: {ink};
 font: {size}px/1.5 {family}; }}
figure {{ margin: 0; }}
figcaption {{ color: {muted}; padding: 0 16px 16px; max-width: 75ch; }}
{style}</style>
</head>
<body>
{body}
<script type="application/json" id="results">{data}</script>
</body>
</html>
"""


# In a narrow window labels in the margin become a legend below, as `margin.narrowed` has it.
NARROWING = """
if (window.innerWidth < WIDTH) {
  const change = CHANGE, figure = document.getElementById("{plot_id}");
  for (const [place, values] of Object.entries(change.traces)) {
    Plotly.restyle(figure, values, [Number(place)]);
  }
  figure.style.height = change.layout.height + "px";
  Plotly.relayout(figure, change.layout);
}
"""


def standalone_html(
    figure: go.Figure,
    caption: str,
    data: Sequence[Result] | Result,
    theme: Theme = "light",
    title: str = "Loss barrier",
) -> str:
    """Return a page that holds figure, caption, plotly.js, fonts and data, and asks nobody for
    anything.

    Args:
        figure: what to show.
        caption: plain text below it.
        data: JSON values, found in the page under the id ``results``.
        theme: of the page around the figure; should be that of the figure.
        title: of the page.
    """
    below = f"<figcaption>{html.escape(caption)}</figcaption>"
    body = f"<figure>\n{figure_html(figure, library=True)}\n{below}\n</figure>"
    return page_html(title, body, data, theme)


def page_html(
    title: str, body: str, data: Sequence[Result] | Result, theme: Theme = "light", style: str = ""
) -> str:
    """Return a whole page around some HTML, with the fonts and data inside and a policy that
    forbids any request.

    Args:
        title: plain text.
        body: HTML.
        data: JSON values, found in the page under the id ``results``.
        theme: of the page.
        style: further rules.
    """
    ground = GROUNDS[theme]
    return PAGE.format(
        title=html.escape(title),
        fonts=font_faces(),
        paper=ground.paper,
        ink=ground.ink,
        muted=ground.muted,
        size=BODY,
        family=FAMILY,
        style=style,
        body=body,
        data=results_json(data).replace("<", "\\u003c"),  # nothing in a text can end the element
    )


def figure_html(figure: go.Figure, library: bool = False, name: str | None = None) -> str:
    """Return a figure as HTML that stays interactive; no button of it sends anything anywhere.

    Args:
        figure: what to show.
        library: whether plotly.js comes with it; a page needs it once, before the first figure.
        name: id of its element.
    """
    change = narrow_change(figure)
    script = None
    if change is not None:
        text = json.dumps(dataclasses.asdict(change), cls=plotly.utils.PlotlyJSONEncoder)
        text = text.replace("<", "\\u003c")  # nothing in a name can end the element
        script = NARROWING.replace("WIDTH", str(NARROW)).replace("CHANGE", text)
    return plotly.io.to_html(
        figure,
        config=CONFIG,
        include_plotlyjs=library,
        include_mathjax=False,
        full_html=False,
        default_width="100%",
        div_id=name,
        post_script=script,
    )


def results_json(data: Sequence[Result] | Result) -> str:
    """Return results as JSON text, with names in place of paths of this machine."""
    return json.dumps(without_places(data), indent=1, ensure_ascii=False)


def results_csv(results: Sequence[Result], labels: Sequence[str]) -> str:
    """Return the curves as CSV text, one row for every point of every result.

    Args:
        results: the result dictionaries.
        labels: what each is called in the column ``setting``.
    """
    scores = list(dict.fromkeys(str(result["score"]) for result in results))
    return Table.of((*CURVES, *scores), curve_rows(results, labels, scores)).csv()


def curve_rows(
    results: Sequence[Result], labels: Sequence[str], scores: Sequence[str]
) -> Iterator[tuple[object, ...]]:
    """Yield one row for every point of every result, in the order of `CURVES` and then of the
    scores.
    """
    for result, label in zip(results, labels, strict=True):
        head = (
            label,
            *result["models"],
            result["task"],
            result["split"],
            result["examples"],
            result["method"],
        )
        for row in range(len(result["lam"])):
            yield (
                *head,
                *(result[name][row] if result.get(name) else None for name in (*COLUMNS, *scores)),
            )


def can_draw_svg() -> bool:
    """Whether SVG can be made here: kaleido is installed and there is a browser for it."""
    return not missing_tools()


def svg(figure: go.Figure, width: int = 1000) -> bytes:
    """Return the figure as SVG; see `can_draw_svg`.

    Args:
        figure: what to draw; its own height is kept.
        width: in pixels.
    """
    return draw([figure], ["svg"], width)[0]["svg"]
