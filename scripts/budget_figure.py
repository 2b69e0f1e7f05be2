"""Draw what learning leaves of a barrier by the seconds it is given, next to the published code.

    for s in 10 20 60 120 300 900; do
        lmc barrier gpt2-plays-s0 gpt2-plays-s1 --method learned --set seconds=$s --points 9 \
            --refine 0 --examples 128 --json > $s.json
    done
    python scripts/budget_figure.py 10.json 20.json 60.json 120.json 300.json 900.json \
        [--out docs/figures/budgets.png]

Seconds are those that the alignment took by the clock, so the machine should do nothing else. The
published code of the four classes of symmetry (Theus et al. 2025) was run on pairs of the same
models with one thread, at a rate that was tuned for them, since the published one leaves more.
Needs the extra `export` and a chromium.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import plotly.graph_objects as go

from lmc_core.figures.drawing import draw
from lmc_core.figures.style import GROUNDS, MEANINGS, SMALL, template

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = {20: 0.36, 60: 0.281, 120: 0.241}  # seconds -> nats
THEME = "light"
TICKS = [10, 20, 50, 100, 200, 500, 1000]  # seconds


def main() -> None:
    """Read the results, draw the figure and write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, nargs="+", help="what `lmc barrier --json` printed")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "figures" / "budgets.png")
    options = parser.parse_args()
    found = [json.loads(path.read_text(encoding="utf-8")) for path in options.results]
    rows = sorted((r["seconds"]["align"], r["barrier"], r["barrier_stderr"]) for r in found)
    for seconds, barrier, error in rows:
        print(f"{seconds:.0f} s: {barrier:.3f} ± {error:.3f} nats")
    options.out.write_bytes(draw([make_figure(rows)], ["png"], width=640, dpi=144)[0]["png"])


def make_figure(rows: list[tuple[float, float, float]]) -> go.Figure:
    """Return both curves over the seconds.

    Args:
        rows: of ours, each seconds, barrier and its standard error in nats.
    """
    figure = go.Figure()
    seconds, barriers, errors = zip(*rows, strict=True)
    learned, other = (MEANINGS[name].colour(THEME) for name in ("learned", "plain"))
    figure.add_scatter(
        x=list(PUBLISHED),
        y=list(PUBLISHED.values()),
        mode="lines+markers",
        line={"color": other, "dash": "dot"},
    )
    figure.add_scatter(
        x=seconds,
        y=barriers,
        error_y={"type": "data", "array": errors, "width": 3},
        mode="lines+markers",
        line={"color": learned},
    )
    last = max(PUBLISHED)
    for words, x, y, colour in (
        ("LMC Explorer", seconds[-1], barriers[-1], learned),
        ("published code", last, PUBLISHED[last], other),
    ):
        figure.add_annotation(
            x=_place(x),
            y=y,
            text=f"<b>{words}</b>",
            font={"size": SMALL, "color": colour},
            xanchor="left",
            xshift=10,
            showarrow=False,
        )
    figure.update_layout(
        template=template(THEME),
        showlegend=False,
        height=340,
        margin={"l": 64, "r": 24, "t": 24, "b": 56},
        xaxis={
            "type": "log",
            "title": {"text": "seconds of learning, one thread"},
            "tickvals": TICKS,
            "range": [_place(8), _place(2000)],
        },
        yaxis={
            "title": {"text": "barrier (nats)"},
            "range": [0, 0.42],
            "zeroline": True,
            "zerolinecolor": GROUNDS[THEME].muted,
        },
    )
    return figure


def _place(seconds: float) -> float:
    """On a logarithmic axis, as Plotly takes the places of annotations and ranges."""
    return math.log10(seconds)


if __name__ == "__main__":
    main()
