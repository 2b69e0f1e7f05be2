"""Figures and results as files: a page that opens offline, SVG, JSON, CSV."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
import plotly.io

from lmc_core.figures.style import BODY, FAMILY, FONT, GROUNDS, Theme
from lmc_core.places import assets

CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "responsive": True,
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "modeBarButtonsToRemove": ["sendDataToCloud", "sendChartToCloud", "select2d", "lasso2d", "autoScale2d"],
    "toImageButtonOptions": {"format": "svg", "filename": "barrier"},
}

COLUMNS = ("lam", "loss", "loss_stderr", "chord", "excess", "excess_stderr")

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:">
<title>{title}</title>
<style>
{fonts}
body {{ margin: 0 auto; max-width: 1100px; padding: 16px; background: {paper}; color: {ink}; font: {size}px/1.5 {family}; }}
figure {{ margin: 0; }}
figcaption {{ color: {muted}; padding: 0 16px 16px; max-width: 75ch; }}
</style>
</head>
<body>
<figure>
{figure}
<figcaption>{caption}</figcaption>
</figure>
<script type="application/json" id="results">{data}</script>
</body>
</html>
"""


def standalone_html(
    figure: go.Figure, caption: str, data: Sequence[Mapping[str, Any]] | Mapping[str, Any], theme: Theme = "light"
) -> str:
    """Return a page that holds figure, caption, plotly.js, fonts and data, and asks nobody for anything.

    Args:
        figure: what to show.
        caption: plain text below it.
        data: JSON values, found in the page under the id ``results``.
        theme: of the page around the figure; should be that of the figure.
    """
    ground = GROUNDS[theme]
    body = plotly.io.to_html(
        figure, config=CONFIG, include_plotlyjs=True, include_mathjax=False, full_html=False, default_width="100%"
    )
    return PAGE.format(
        title="Loss barrier",
        fonts=_font_faces(),
        paper=ground.paper,
        ink=ground.ink,
        muted=ground.muted,
        size=BODY,
        family=FAMILY,
        figure=body,
        caption=html.escape(caption),
        data=results_json(data).replace("</", "<\\/"),
    )


def _font_faces() -> str:
    """The project's font as data inside the page, so that the file looks the same anywhere."""
    faces = []
    for path in sorted((assets() / "fonts").glob("ibm-plex-sans-*.woff2")):
        _, _, _, script, weight, _ = path.stem.split("-")
        reach = "U+0370-03FF" if script == "greek" else "U+0000-02FF,U+2000-22FF"
        data = base64.b64encode(path.read_bytes()).decode()
        faces.append(
            f"@font-face {{ font-family: '{FONT}'; font-weight: {weight}; unicode-range: {reach}; "
            f"src: url(data:font/woff2;base64,{data}) format('woff2'); }}"
        )
    return "\n".join(faces)


def results_json(data: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> str:
    """Return results as JSON text."""
    return json.dumps(data, indent=1, ensure_ascii=False)


def results_csv(results: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> str:
    """Return the curves as CSV text, one row for every point of every result.

    Args:
        results: the result dictionaries.
        labels: what each is called in the column ``setting``.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    scores = list(dict.fromkeys(str(result["score"]) for result in results))
    writer.writerow(["setting", "model_a", "model_b", "task", "split", "examples", "method", *COLUMNS, *scores])
    for result, label in zip(results, labels, strict=True):
        head = [label, *result["models"], result["task"], result["split"], result["examples"], result["method"]]
        for row in range(len(result["lam"])):
            values = [result[name][row] if result.get(name) else "" for name in (*COLUMNS, *scores)]
            writer.writerow([*head, *values])
    return text.getvalue()


def can_draw_svg() -> bool:
    """Whether SVG can be made here: kaleido is installed and there is a browser for it."""
    import importlib.util

    return importlib.util.find_spec("kaleido") is not None and any(
        shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    )


def svg(figure: go.Figure, width: int = 1000) -> bytes:
    """Return the figure as SVG; see `can_draw_svg`.

    Args:
        figure: what to draw; its own height is kept.
        width: in pixels.
    """
    return plotly.io.to_image(figure, format="svg", width=width, height=figure.layout.height)
