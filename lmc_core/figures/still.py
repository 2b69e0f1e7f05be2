"""A figure of curves as a picture at once: the SVG that Plotly would draw of it, without Plotly.

A browser takes a second to start the code that draws figures; this picture stands at a figure's
place meanwhile. It follows Plotly's own rules for ticks, type and marks (plotly.js 3,
`plots/cartesian/axes.js`, `components/annotations/draw.js`, `components/drawing`), at every width:
what lies along the horizontal axis is placed in percent. Of a figure that holds anything it does
not know it makes no picture, so that none is ever wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, cast

import plotly.graph_objects as go

from lmc_core.figures.still_parts import (
    Panel,
    Place,
    Unknown,
    dashes,
    line_runs,
    lines_of,
    marker_path,
    require,
    text_svg,
    tick_labels,
    tick_values,
    written_height,
)

Props = Mapping[str, Any]  # of a part of a figure, as Plotly's JSON has them

TRACES = frozenset(
    "type x y mode name customdata xaxis yaxis legendgroup showlegend hovertemplate hoverinfo line"
    " marker meta fill fillcolor visible".split()
)
LINE = frozenset({"color", "width", "dash"})
MARKER = frozenset({"color", "symbol", "size"})
LAYOUT = frozenset(
    "template height margin xaxis xaxis2 yaxis yaxis2 legend showlegend hovermode annotations font"
    " paper_bgcolor plot_bgcolor colorway hoverlabel".split()
)
NOTE = frozenset(
    "text x y xref yref xanchor yanchor xshift yshift showarrow arrowhead arrowwidth arrowcolor ax"
    " ay font name align borderpad".split()
)
LEGEND = frozenset(
    "orientation entrywidth entrywidthmode x xref xanchor y yref yanchor font itemclick"
    " itemdoubleclick".split()
)
ACROSS = 1000  # units of the horizontal axis of a panel's curves, which are stretched to its width
EDGE = "#fff"  # of marks, on every ground
SWATCH, BEHIND = 30, 40  # pixels of a legend's line, and where its words begin
ROW, LEAST = 13, 16  # pixels between rows of a legend, and of the lowest row


def still_picture(figure: go.Figure) -> str | None:
    """Return HTML of a figure of curves as Plotly draws it, as wide as its place and as high as the
    figure; None where the figure holds what is not known here.

    It is hidden from screen readers, which are told by the figure itself.

    Args:
        figure: with a template and a height.
    """
    try:
        return _Drawing(figure).html()
    except (Unknown, KeyError):  # a missing key leaves something to Plotly's own defaults
        return None


class _Drawing:
    """A figure on its way to a picture."""

    def __init__(self, figure: go.Figure):
        self.figure = figure
        told = figure.to_plotly_json()["layout"]
        own = {name: value for name, value in told.items() if name != "template"}
        self.layout = _merge(told.get("template", {}).get("layout", {}), own)
        require(self.layout, LAYOUT, "layout")
        self.margin = {side: float(self.layout["margin"][side]) for side in "lrtb"}
        self.height = float(self.layout["height"])
        self.inner = self.height - self.margin["t"] - self.margin["b"]
        self.panels = {name: self._panel(name) for name in ("", "2") if f"yaxis{name}" in told}

    def html(self) -> str:
        """The whole picture."""
        font, ground = self.layout["font"], self.layout["paper_bgcolor"]
        parts = [self._frame(panel, self._curves(panel), clip=True) for panel in self._all()]
        parts += [self._frame(panel, self._around(panel)) for panel in self._all()]
        parts.append(self._frame(self._whole(), self._notes()))
        if self.layout.get("showlegend", False):
            parts.append(self._legend())
        sides = self.margin["l"] + self.margin["r"]
        style = (
            f"display:block;height:{self.height:g}px;width:calc(100% - {sides:g}px);"
            f"margin-left:{self.margin['l']:g}px;overflow:visible"
        )
        around = (
            f"overflow:hidden;background:{ground};font:{font['size']}px/1 {font['family']};"
            "user-select:none"
        )
        return (
            f'<div aria-hidden="true" style="{escape(around)}"><svg style="{style}">'
            f"{''.join(parts)}</svg></div>"
        )

    def _traces(self) -> Iterator[tuple[Props, Sequence[float], Sequence[float]]]:
        """All traces with their values, which their JSON has in a packed form."""
        for each in self.figure.select_traces():
            trace = cast("Any", each)  # whose attributes no type checker knows
            yield trace.to_plotly_json(), trace["x"], trace["y"]

    def _all(self) -> Sequence[Panel]:
        return list(self.panels.values())

    def _panel(self, name: str) -> Panel:
        axes = [self.layout[f"{letter}axis{name}"] for letter in "xy"]
        if any("range" not in axis for axis in axes) or "domain" in axes[0]:
            raise Unknown("an axis that Plotly chooses the range of")
        (left, right), (low, high) = (tuple(map(float, axis["range"])) for axis in axes)
        start, end = axes[1].get("domain", (0.0, 1.0))
        top, height = self.margin["t"] + (1 - end) * self.inner, (end - start) * self.inner
        return Panel(name, (left, right), (low, high), top, height)

    def _whole(self) -> Panel:
        """All panels together, on which notes lie whose place is a share of the paper."""
        return Panel("paper", (0.0, 1.0), (0.0, 1.0), self.margin["t"], self.inner)

    @staticmethod
    def _frame(panel: Panel, inside: Iterator[str], clip: bool = False) -> str:
        return (
            f'<svg y="{panel.top:.2f}" height="{panel.height:.2f}" '
            f'overflow="{"hidden" if clip else "visible"}">{"".join(inside)}</svg>'
        )

    def _axis(self, letter: str, panel: Panel) -> Props:
        return self.layout[f"{letter}axis{panel.name}"]

    def _curves(self, panel: Panel) -> Iterator[str]:
        """Grid lines, then trace by trace what lies in the panel."""
        axis = self._axis("y", panel)
        if axis.get("showgrid", True):
            for value in tick_values(axis):
                y = f"{panel.down(value):.2f}"
                yield (
                    f'<line x2="100%" y1="{y}" y2="{y}" stroke="{axis["gridcolor"]}" '
                    f'stroke-width="{axis["gridwidth"]}" shape-rendering="crispEdges"/>'
                )
        for props, x, y in self._traces():
            require(props, TRACES, "trace")
            require(props.get("line", {}), LINE, "line")
            require(props.get("marker", {}), MARKER, "marker")
            if props["type"] != "scatter":
                raise Unknown(props["type"])
            named = props.get("xaxis", "x")[1:], props.get("yaxis", "y")[1:]
            if named == (panel.name, panel.name):
                if props.get("visible", True):
                    yield from self._trace(props, panel, x, y)
            elif named[0] != named[1] or named[0] not in self.panels:
                raise Unknown("axes")

    def _trace(
        self, props: Props, panel: Panel, x: Sequence[float], y: Sequence[float]
    ) -> Iterator[str]:
        line = props.get("line", {})
        runs = list(line_runs(x, y, panel))
        path = "".join(
            "M" + "L".join(f"{ACROSS * across:.2f},{down:.2f}" for across, down in run)
            for run in runs
        )
        if props.get("fill", "none") not in ("none", "toself"):
            raise Unknown("fill")
        if "lines" not in props["mode"]:
            raise Unknown("mode")
        strokes = ""
        if "fill" in props:
            strokes += f'<path d="{path}" fill="{props["fillcolor"]}"/>'
        if width := float(line.get("width", 2)):
            strokes += (
                f'<path d="{path}" fill="none" stroke="{line["color"]}" stroke-width="{width:g}"'
                f"{dashes(line.get('dash'), width)}"
                ' stroke-miterlimit="2" vector-effect="non-scaling-stroke"/>'
            )
        if strokes:
            box = f"0 0 {ACROSS} {panel.height:.2f}"
            yield f'<svg viewBox="{box}" preserveAspectRatio="none">{strokes}</svg>'
        if "markers" in props["mode"]:
            yield from self._markers(props, [point for run in runs for point in run])

    def _markers(self, props: Props, points: Sequence[tuple[float, float]]) -> Iterator[str]:
        marker = props["marker"]
        sizes = marker["size"]
        if not isinstance(sizes, Sequence) or len(sizes) != len(points):
            raise Unknown("markers of one size")
        for (across, down), size in zip(points, sizes, strict=True):
            if size:
                yield (
                    f'<svg x="{100 * across:.3f}%" y="{down:.2f}" overflow="visible">'
                    f"{self._mark(marker, size)}</svg>"
                )

    @staticmethod
    def _mark(marker: Props, size: float) -> str:
        """A mark of one size among several, which Plotly draws with an edge and lets shine
        through.
        """
        path = marker_path(str(marker["symbol"]), size / 2)
        return f'<path d="{path}" fill="{marker["color"]}" stroke="{EDGE}" opacity="0.7"/>'

    def _around(self, panel: Panel) -> Iterator[str]:
        """The numbers at both axes, and the notes whose place is a value."""
        for letter in "xy":
            axis = self._axis(letter, panel)
            if not axis.get("showticklabels", True):
                continue
            font = _merge({"size": 12}, axis.get("tickfont", {}))
            size, upright = float(font["size"]), letter == "y"
            for value, text in tick_labels(axis):
                place = (
                    Place(0.0, panel.down(value) + 0.35 * size, -1.0)
                    if upright
                    else Place(panel.across(value), panel.height + size + 1)
                )
                anchor = "end" if upright else "middle"
                yield text_svg(lines_of(text), place, anchor, size, str(font["color"]))
        names = {f"x{panel.name}": self._axis("x", panel), f"y{panel.name}": self._axis("y", panel)}
        for note in self.layout.get("annotations", ()):
            refs = note.get("xref", "x"), note.get("yref", "y")
            if set(refs) <= set(names):
                yield from self._note(note, panel)

    def _notes(self) -> Iterator[str]:
        for note in self.layout.get("annotations", ()):
            require(note, NOTE, "annotation")
            refs = {note.get("xref", "x"), note.get("yref", "y")}
            if refs == {"paper"}:
                yield from self._note(note, self._whole())
            elif refs not in ({f"x{name}", f"y{name}"} for name in self.panels):
                raise Unknown("axes of an annotation")

    def _note(self, note: Props, panel: Panel) -> Iterator[str]:
        """One annotation: its leader and its words, inside a border and a pad of a pixel each."""
        font = _merge(self.layout["font"], note.get("font", {}))
        size, colour = float(font["size"]), str(font["color"])
        lines = lines_of(str(note["text"]))
        across, y = panel.across(_real(note["x"])), panel.down(_real(note["y"]))
        right, down = _real(note.get("xshift", 0)), -_real(note.get("yshift", 0))
        if note.get("showarrow", True):
            if note.get("arrowhead") != 0 or right or down:
                raise Unknown("an arrow with a head")
            right, down = _real(note["ax"]), _real(note["ay"])
            yield (
                f'<svg x="{100 * across:.3f}%" y="{y:.2f}" overflow="visible">'
                f'<path d="M0,0L{right:g},{down:.2f}" stroke="{note["arrowcolor"]}" '
                f'stroke-width="{note["arrowwidth"]}"/></svg>'
            )
        inset = 1 + _real(note.get("borderpad", 1))
        tall = written_height(lines, size) + 2 * inset
        top = {"top": 0.0, "middle": -tall / 2, "bottom": -tall}[str(note.get("yanchor", "middle"))]
        side = {"left": ("start", inset), "center": ("middle", 0.0), "right": ("end", -inset)}
        anchor, aside = side[str(note["xanchor"])]
        if len(lines) > 1 and note.get("align") != note["xanchor"]:
            raise Unknown("lines that are not aligned as their box")
        place = Place(across, y + down + top + inset + round(size), right + aside)
        yield text_svg(lines, place, anchor, size, colour)

    def _legend(self) -> str:
        """The legend of a narrow figure: a row for each entry, at the lower edge."""
        legend = self.layout["legend"]
        require(legend, LEGEND, "legend")
        if (legend.get("entrywidth"), legend.get("yref"), legend.get("y")) != (1, "container", 0):
            raise Unknown("a legend at another place")
        size, rows, down = float(legend["font"]["size"]), [], 0.0
        ink = self.layout["font"]["color"]
        for props, _, _ in self._traces():
            if not props.get("showlegend", True):
                continue
            lines = lines_of(props["name"])
            tall = max(1.3 * size * len(lines), LEAST) + ROW
            line, middle = props["line"], down + tall / 2
            sizes = props["marker"]["size"]
            rows.append(
                f'<path d="M5,{middle:.2f}h{SWATCH}" fill="none" stroke="{line["color"]}" '
                f'stroke-width="{line["width"]}"{dashes(line.get("dash"), line["width"])}/>'
                f'<g transform="translate(20,{middle:.2f})">'
                f"{self._mark(props['marker'], sum(sizes) / len(sizes))}</g>"
            )
            first = middle + 1.3 * size * (0.3 + (1 - len(lines)) / 2)
            rows.append(text_svg(lines, Place(0.0, first, BEHIND), "start", size, ink))
            down += tall
        return f'<svg y="{self.height - down:.2f}" overflow="visible">{"".join(rows)}</svg>'


def _merge(defaults: Props, own: Props) -> dict:
    """Both, the second where both say something, at every depth."""
    found = dict(defaults)
    for name, value in own.items():
        before = found.get(name)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            value = _merge(before, value)
        found[name] = value
    for name, axis in list(own.items()):
        letter = name[:5]
        if letter in ("xaxis", "yaxis") and name != letter and isinstance(axis, Mapping):
            found[name] = _merge(defaults.get(letter, {}), axis)
    return found


def _real(value: object) -> float:
    if isinstance(value, int | float):
        return float(value)
    raise Unknown("a place that is no number")
