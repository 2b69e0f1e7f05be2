"""Run a request, and look at what came of it: for scripts and notebooks.

>>> import lmc_core
>>> request = lmc_core.make_request(
...     "zoo:vit-fashion-s0", "zoo:vit-fashion-s1", examples=100, points=5, refine=0
... )
>>> outcome = lmc_core.run(request)
>>> outcome.numbers["function_error"] < 1e-4
True
>>> outcome.arrays()["losses"].shape
(5, 100)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast, overload

from lmc_core.display import draw_curve, show
from lmc_core.errors import BadInput
from lmc_core.figures.panel import Panel, headline, kind_name, panels
from lmc_core.numbers import describe_change
from lmc_core.progress import Progress, ignore
from lmc_core.runs.executors import Executor, Inline
from lmc_core.runs.request import Request
from lmc_core.runs.result import Result

if TYPE_CHECKING:  # plotly is loaded when something is drawn
    import numpy as np
    import plotly.graph_objects as go

    from lmc_core.figures.style import Theme

N_co = TypeVar("N_co", bound=Mapping[str, object], covariant=True)


class TypedRequest(Request, Protocol[N_co]):
    """A request whose class says, in its attribute `numbers`, of which type its results are."""

    @property
    def numbers(self) -> type[N_co]:
        """A `TypedDict`."""
        ...


@dataclass(frozen=True)
class Outcome(Generic[N_co]):
    """What came of a request.

    Attributes:
        request: what was asked for.
        stored: the result as it lies in the store.
    """

    request: Request
    stored: Result = field(repr=False)

    @property
    def numbers(self) -> N_co:
        """The numbers of the result, as in its `result.json`; losses are in nats."""
        return cast(N_co, self.stored.result)

    @property
    def key(self) -> str:
        """64 hexadecimal digits that name the result."""
        return self.stored.key

    def arrays(self) -> dict[str, np.ndarray]:
        """The larger arrays by name, such as the loss of every example at every point.

        Raises:
            StoreError: the result was deleted or damaged meanwhile.
        """
        return self.stored.arrays()

    def panels(self, theme: Theme = "light", height: int | None = None) -> list[Panel]:
        """The pictures of the result, each with caption, alternative text and tables.

        Args:
            theme: ``light``, ``dark`` or ``paper``.
            height: of a figure in pixels; by default its own.
        """
        return panels([self.stored], theme=theme, height=height)

    def _repr_html_(self) -> str:
        """What came out, the function check and, of a curve, a drawing, in a notebook."""
        numbers = self.stored.result
        models = [str(name) for name in numbers.get("models") or ()]
        words = headline(self.request.what, numbers)[0]
        facts = [("models", " → ".join(models)), (kind_name(self.request.what).lower(), words)]
        error = numbers.get("function_error")
        if isinstance(error, float):
            facts.append(("function", describe_change(error)))
        facts.append(("key", self.key[:12]))
        lam, loss = numbers.get("lam"), numbers.get("loss")
        drawing = ""
        if isinstance(lam, list) and isinstance(loss, list) and "barrier_lam" in numbers:
            drawing = draw_curve(lam, loss, lam.index(numbers["barrier_lam"]), words)
        return show("Result", [fact for fact in facts if fact[1]], drawing)

    def figure(self, theme: Theme = "light", height: int | None = None) -> go.Figure:
        """The first of these pictures.

        Raises:
            BadInput: for a result of a kind that has none.
        """
        for panel in self.panels(theme, height):
            if panel.figure is not None:
                return panel.figure
        raise BadInput(f"Results of the kind {self.request.what!r} have no figure.")


@overload
def run(
    request: TypedRequest[N_co],
    executor: Executor | None = None,
    progress: Progress = ignore,
    fresh: bool = False,
) -> Outcome[N_co]: ...
@overload
def run(
    request: Request,
    executor: Executor | None = None,
    progress: Progress = ignore,
    fresh: bool = False,
) -> Outcome[Mapping[str, object]]: ...
def run(
    request: Request,
    executor: Executor | None = None,
    progress: Progress = ignore,
    fresh: bool = False,
) -> Outcome[Mapping[str, object]]:
    """Compute what a request asks for, or read it from the store.

    Args:
        request: of any kind, such as `make_request` returns.
        executor: who computes; by default this process, with the person's own store (`LMC_HOME`).
        progress: called with the share done and a few words; may raise `Cancelled` to stop.
        fresh: compute although there is a result, and put the new one in its place.

    Raises:
        LmcError: it cannot be computed, with the reason.
    """
    chosen = Inline() if executor is None else executor
    return Outcome(request, chosen.run(request, progress, fresh=fresh))
