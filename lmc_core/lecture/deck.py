"""The lecture as one value, for the page of the app and for the file alike, and the file itself.

The player (`lecture/player/`, plain JavaScript) draws and performs it; every word and number that
it shows comes from here.
"""

from __future__ import annotations

import base64
import html
import json
from functools import cache

from lmc_core.figures.drawing import font_faces
from lmc_core.figures.style import GROUNDS, MEANINGS
from lmc_core.figures.tables import words
from lmc_core.folders import PACKAGE, assets
from lmc_core.lecture.controls import Control, settings
from lmc_core.lecture.slides import slide_of
from lmc_core.lecture.step import Step
from lmc_core.lecture.steps import STEPS
from lmc_core.look import Theme

TITLE = "When are two networks the same?"
PLAYER = PACKAGE / "lecture" / "player"
PARTS = (
    "base.js",
    "pen.js",
    "exchanges.js",
    "experts.js",
    "maps.js",
    "lines.js",
    "barriers.js",
    "controls.js",
    "presenter.js",
    "view.js",
    "player.js",
)
THEMES: tuple[Theme, ...] = ("light", "dark")
USED = ("plain", "permutation", "orthogonal", "learned", "activation", "dual")  # meanings
SCALES = {  # from light to dark ground; blue and ochre around the ground, as everywhere
    "light": {
        "diverging": ["#996600", "#dab878", "#ffffff", "#8fbcdb", "#0066a6"],
        "sequential": ["#ffffff", "#74aed3", "#003a61"],
    },
    "dark": {
        "diverging": ["#f0b840", "#7d5e22", "#11171d", "#265a7d", "#56b4e9"],
        "sequential": ["#11171d", "#226591", "#c4e4f8"],
    },
}
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline';
 style-src 'unsafe-inline'; img-src data: blob:; font-src data:; base-uri 'none';
 form-action 'none'">
<title>{title}</title>
<style>
{fonts}
html, body {{ margin: 0; }}
</style>
</head>
<body>
<noscript>The slides of this file are drawn by JavaScript, which is switched off here.</noscript>
<main id="lecture"></main>
<script type="application/json" id="deck">{deck}</script>
<script type="module">
{player}
startLecture(document.getElementById("lecture"), JSON.parse(document.getElementById("deck")
  .textContent), {{ alone: true }});
</script>
</body>
</html>
"""


@cache
def deck() -> str:
    """The whole lecture as JSON text.

    Raises:
        StoreError: the shipped numbers are missing or damaged.
    """
    value = {
        "title": TITLE,
        "style": (PLAYER / "player.css").read_text(encoding="utf-8"),
        "presenter": (PLAYER / "presenter.css").read_text(encoding="utf-8"),
        "palettes": {theme: palette(theme) for theme in THEMES},
        "steps": [_step(step) for step in STEPS],
    }
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def palette(theme: Theme) -> dict[str, object]:
    """The colours of a theme: of the ground, of meanings, and the scales of matrices."""
    ground = GROUNDS[theme]
    colours = {name: MEANINGS[name].colour(theme) for name in USED}
    return {
        "paper": ground.paper,
        "ink": ground.ink,
        "muted": ground.muted,
        "grid": ground.grid,
        **colours,
        **SCALES[theme],
    }


def _step(step: Step) -> dict[str, object]:
    slide = slide_of(step)
    return {
        "key": step.key,
        "name": step.name,
        "question": step.question,
        "acts": [
            {
                "name": act.name,
                "words": act.said(slide.numbers),
                "beats": [dict(beat) for beat in act.beats],
            }
            for act in step.acts
        ],
        "notes": step.spoken(slide.numbers),
        "alt": slide.alt,
        "controls": [_control(control) for control in step.controls],
        "facts": slide.facts,
        "values": {
            "|".join(setting.values()): list(slide.values(setting))
            for setting in settings(step.controls)
        },
        "table": {
            "header": slide.table.header,
            "rows": [[words(value) for value in row] for row in slide.table.rows],
            "csv": slide.table.csv(),
        },
        "data": slide.data,
    }


def _control(control: Control) -> dict[str, object]:
    return {
        "name": control.name,
        "label": control.label,
        "kind": control.kind,
        "values": control.values,
        "labels": control.labels,
        "start": control.start,
        "help": control.help,
        "needs": control.needs,
    }


@cache
def player() -> str:
    """The program that draws and performs a deck: it defines `startLecture(element, deck,
    options)`.
    """
    return "\n".join((PLAYER / part).read_text(encoding="utf-8") for part in PARTS)


def lecture_html() -> str:
    """The lecture as one page that holds everything, and asks nobody for anything.

    Raises:
        StoreError: the shipped numbers are missing or damaged.
    """
    return PAGE.format(
        title=html.escape(TITLE),
        fonts=f"{font_faces()}\n{_serif()}",
        deck=deck().replace("<", "\\u003c"),  # nothing in a text can end the element
        player=player(),
    )


def _serif() -> str:
    """The type of the questions as a rule of style with the data inside."""
    file = assets() / "fonts" / "source-serif-4-latin-600-normal.woff2"
    data = base64.b64encode(file.read_bytes()).decode()
    return (
        "@font-face { font-family: 'Source Serif 4'; font-weight: 600; "
        f"src: url(data:font/woff2;base64,{data}) format('woff2'); }}"
    )
