"""A figure into which many texts and shapes are written quickly."""

from __future__ import annotations

import plotly.graph_objects as go

from lmc_core.figures.style import Theme, template

AXES = ("row", "col", "secondary_y", "exclude_empty_subplots")  # which of several panels is meant


class Chart(go.Figure):
    """A figure that keeps annotations and shapes until somebody asks for its layout.

    Plotly copies and checks all that are there with each that comes, so that n of them cost the
    square of n; here each is checked once. What is wrong with one is said when the layout is asked
    for.
    """

    def __init__(self, *given: object, **named: object) -> None:
        self._waiting: dict[str, list[dict[str, object]]] = {}
        super().__init__(*given, **named)  # type: ignore[arg-type]  (whatever Plotly takes)

    def add_annotation(self, *given: object, **named: object) -> Chart:
        """Write a text; see `Figure.add_annotation` of Plotly."""
        if not self._kept("annotations", given, named):
            super().add_annotation(*given, **named)
        return self

    def add_shape(self, *given: object, **named: object) -> Chart:
        """Draw a shape; see `Figure.add_shape` of Plotly."""
        if not self._kept("shapes", given, named):
            super().add_shape(*given, **named)
        return self

    def __getitem__(self, name: object):  # whatever Plotly returns
        if self._waiting and name != "data":  # traces are added between texts
            self._take_up()
        return super().__getitem__(name)

    def to_dict(self) -> dict[str, object]:
        """Return the figure as Plotly's JSON has it."""
        self._take_up()
        return super().to_dict()

    def _kept(self, kind: str, given: tuple[object, ...], named: dict[str, object]) -> bool:
        """Keep what is to be added; False for an object, or one of several panels."""
        if given or any(named.get(name) is not None for name in AXES):
            return False
        values = {name: value for name, value in named.items() if value is not None}
        self._waiting.setdefault(kind, []).append(values)
        return True

    def _take_up(self) -> None:
        """Put what waits into the layout."""
        waiting, self._waiting = self._waiting, {}
        for kind, values in waiting.items():
            self.layout[kind] = [*self.layout[kind], *values]


def blank(theme: Theme, height: float | None = None) -> Chart:
    """Return a figure of a theme with nothing in it.

    Args:
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels; None for Plotly's.
    """
    return Chart(layout={"template": template(theme), "height": height})
