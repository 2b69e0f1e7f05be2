"""Figures as image files, drawn by a chromium on this machine in the project's own type; nothing is
fetched.
"""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import plotly.graph_objects as go

from lmc_core.errors import LmcError
from lmc_core.figures.style import FONT
from lmc_core.folders import assets

if TYPE_CHECKING:  # an optional package
    import kaleido

Ending = Literal["svg", "pdf", "png"]

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
INCH = 25.4  # millimetres
PIXELS = 96  # of style sheets, to the inch
HEIGHT = 480  # pixels of a figure that does not say


def missing_tools() -> str:
    """Return a sentence on what drawing images lacks here, "" when nothing is missing."""
    needs = (
        "SVG, PDF and PNG need the package kaleido (`pip install 'lmc-explorer[export]'`) and "
        "a chromium browser"
    )
    if importlib.util.find_spec("kaleido") is None:
        return f"{needs}; kaleido is missing."
    return (
        "" if any(shutil.which(name) for name in BROWSERS) else f"{needs}; the browser is missing."
    )


def draw(
    figures: Sequence[go.Figure],
    endings: Sequence[Ending],
    width: int,
    dpi: int = PIXELS,
    report: Callable[[float, str], None] = lambda share, words: None,
) -> list[dict[str, bytes]]:
    """Draw figures with one browser; starting it takes longer than drawing.

    Args:
        figures: each keeps its own height.
        endings: kinds of files.
        width: of each figure in pixels, 96 to the inch.
        dpi: dots per inch of PNG files.
        report: called with the share done and a few words.

    Returns:
        For each figure its files by ending.

    Raises:
        LmcError: something is missing, or the browser did not draw.
    """
    if missing := missing_tools():
        raise LmcError(missing)
    try:
        with ThreadPoolExecutor(1) as pool:  # a page's thread may have an event loop of its own
            return pool.submit(
                asyncio.run, _draw(list(figures), list(endings), width, dpi, report)
            ).result()
    except Exception as error:  # whatever a browser can come to
        raise LmcError(
            f"The browser did not draw the figure ({type(error).__name__}); try again, or take "
            "the HTML."
        ) from error


def font_faces() -> str:
    """Return the project's font as rules of style with the data inside, so that a file looks the
    same anywhere.
    """
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


def pixels(millimetres: float) -> int:
    """Return a length on paper in pixels of style sheets."""
    return round(millimetres / INCH * PIXELS)


async def _draw(
    figures: list[go.Figure],
    endings: list[Ending],
    width: int,
    dpi: int,
    report: Callable[[float, str], None],
) -> list[dict[str, bytes]]:
    import kaleido

    found: list[dict[str, bytes]] = []
    async with kaleido.Kaleido(page_generator=_page(), timeout=90) as browser:
        for index, figure in enumerate(figures):
            report(index / len(figures), f"drawing figure {index + 1} of {len(figures)}")
            content: Any = figure.to_plotly_json()
            size = {"width": width, "height": figure.layout["height"] or HEIGHT}
            files = {}
            for ending in endings:
                scale = dpi / PIXELS if ending == "png" else 1.0
                options: Any = {"format": ending, "scale": scale, **size}
                files[ending] = await browser.calc_fig(content, opts=options)
            found.append(files)
    return found


def _page() -> kaleido.PageGenerator:
    """The page in which the browser draws: plotly.js of this installation, our fonts, and no
    MathJax from elsewhere.
    """
    import kaleido

    page = kaleido.PageGenerator(mathjax=False)
    page.header = f"{page.header}<meta charset='utf-8'><style id='fonts'>{font_faces()}</style>"
    page.footer = f"<script>{IN_OUR_TYPE.replace('FONT', FONT)}</script>{page.footer}"
    return page


# An image is a document of its own, which does not see the fonts of the page: they go into the SVG
# that all kinds are made of.
IN_OUR_TYPE = """
const drawn = Plotly.toImage;
Plotly.toImage = async (figure, options) => {
  const face = weight => document.fonts.load(`${weight} 14px "FONT"`, "a\u03bb");
  await Promise.all([400, 600].map(face));
  const text = await drawn(figure, {...options, format: "svg", scale: 1, imageDataOnly: true});
  const style = "<style>" + document.getElementById("fonts").textContent + "</style>";
  const svg = text.replace(/(<svg[^>]*>)/, (head) => head + style);
  const address = "data:image/svg+xml," + encodeURIComponent(svg);
  if (options.format === "svg") return options.imageDataOnly ? svg : address;
  const picture = new Image();
  picture.src = address;
  await picture.decode();
  await new Promise(done => setTimeout(done, 50));
  const canvas = document.createElement("canvas");
  const sides = [options.width, options.height].map(side => Math.round(side * options.scale));
  [canvas.width, canvas.height] = sides;
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/" + options.format).replace(/^data:[^,]*,/, "");
};
"""
