"""Draw the figure at the head of docs/results.md from the shipped barriers of all families.

    python scripts/results_figure.py [--out docs/figures/barriers.png]

Reads assets/lecture/barriers.json, which `python scripts/lecture.py` measures. Needs the extra
`export` and a chromium.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean

import plotly.graph_objects as go

from lmc_core.figures.drawing import draw
from lmc_core.figures.style import BODY, GROUNDS, MEANINGS, SMALL, faint, template
from lmc_core.folders import assets

ROOT = Path(__file__).resolve().parents[1]
# key in the file -> its meaning in the style, the words above its column
SETTINGS = {
    "plain": ("plain", "plain average"),
    "permutations": ("permutation", "permutations"),
    "weight": ("orthogonal", "all symmetries"),
    "learned": ("learned", "learned"),
}
THEME = "light"


def main() -> None:
    """Draw the figure and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "figures" / "barriers.png")
    options = parser.parse_args()
    shipped = json.loads((assets() / "lecture" / "barriers.json").read_text(encoding="utf-8"))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    figure = make_figure(shipped["families"])
    options.out.write_bytes(draw([figure], ["png"], width=840, dpi=144)[0]["png"])
    print(f"{options.out}, {options.out.stat().st_size:,} bytes")


def make_figure(families: list[dict]) -> go.Figure:
    """Return one row for each family and one column for each setting: barrier as a share of the
    plain one.

    Args:
        families: with ``name`` and ``pairs``, each with a ``barrier`` by setting.
    """
    figure = go.Figure()
    counts = [len(each["pairs"]) for each in families]
    names = [
        f"{each['name']}, {count} pair{'s' * (count > 1)}"
        for each, count in zip(families, counts, strict=True)
    ]
    for key, (meaning, words) in SETTINGS.items():
        style = MEANINGS[meaning]
        colour = style.colour(THEME)
        shares = [
            [pair[key]["barrier"] / pair["plain"]["barrier"] for pair in each["pairs"]]
            for each in families
        ]
        means = [mean(each) for each in shares]
        figure.add_scatter(
            x=[share for each in shares for share in each],
            y=[name for name, each in zip(names, shares, strict=True) for _ in each],
            mode="markers",
            marker={"symbol": style.marker, "size": 8, "color": faint(colour, 0.35)},
        )
        figure.add_scatter(
            x=means,
            y=names,
            mode="markers",
            marker={"symbol": style.marker, "size": 13, "color": colour},
        )
        figure.add_annotation(
            x=means[0],
            y=1,
            yref="paper",
            yanchor="bottom",
            text=f"<b>{words}</b>",
            font={"size": SMALL, "color": colour},
            showarrow=False,
        )
    figure.update_layout(
        template=template(THEME),
        showlegend=False,
        height=430,
        margin={"l": 216, "r": 60, "t": 40, "b": 64},
        xaxis={
            "title": {"text": "barrier, share of that of the plain average"},
            "range": [-0.04, 1.25],
            "tickformat": ".1f",
            "showgrid": True,
            "zeroline": True,
            "zerolinecolor": GROUNDS[THEME].muted,
        },
        yaxis={
            "autorange": "reversed",
            "showgrid": False,
            "tickfont": {"size": BODY, "color": GROUNDS[THEME].ink},
        },
    )
    return figure


if __name__ == "__main__":
    main()
