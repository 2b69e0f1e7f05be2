"""Settings of everything that learns maps by steps of a gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lmc_core.errors import BadInput
from lmc_core.limits import require_settings
from lmc_core.settings import choice


@dataclass(frozen=True)
class Steps:
    """How maps are learned.

    Attributes:
        steps: at the most; the rate falls to zero over them.
        seconds: in place of `steps`, a budget for everything after the start; how many steps fit is
            measured first.
        batch: examples a step; 0 for 64 images, or as many windows as make 1,024 tokens.
        rate: how far a vector turns in one step at the full rate, in radians.
        rows_rate: how far the latents of permutations move in one step, in units of a cosine; 0
            keeps the permutations. By default 0.003 beside smooth maps, and 0.05 where permutations
            are all there is.
        targets: ``ends`` (what the end models predict) or ``labels``.
        checks: how often the held-out loss is measured; the best is kept.
        patience: checks without a better held-out loss after which learning stops. By default it
            does not: the loss falls last where the rate does.
    """

    fewest: ClassVar[int] = 1
    steps: int = 600
    seconds: float | None = None
    batch: int = 0
    rate: float = 0.05
    rows_rate: float | None = None
    targets: str = choice("ends", ("ends", "labels"), "kind of targets")
    checks: int = 12
    patience: int = 12

    def __post_init__(self) -> None:
        require_settings(self)
        for name, low in (("steps", self.fewest), ("batch", 0), ("checks", 1), ("patience", 1)):
            if getattr(self, name) < low:
                raise BadInput(f"{name} should be {low} or more; {getattr(self, name)} came.")
        if self.seconds is not None and self.seconds <= 0:
            raise BadInput(f"seconds should be above 0; {self.seconds} came.")
        if not (self.rate > 0 and (self.rows_rate is None or self.rows_rate >= 0)):
            raise BadInput(
                f"Rates should be positive; rate {self.rate} and rows_rate {self.rows_rate} came."
            )
