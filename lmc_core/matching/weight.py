"""Weight matching as a method; how it searches stands in `weight_search`."""

from __future__ import annotations

from dataclasses import dataclass

from lmc_core.errors import BadInput, UnknownName
from lmc_core.limits import require_settings
from lmc_core.look import Look
from lmc_core.matching.method import Method
from lmc_core.registry import import_later
from lmc_core.settings import choice

EDGES = "edges"
ALL = "all"
EXPERT_ORDERS = ("exact", "router", "gram", "none")


@dataclass(frozen=True)
class WeightSettings:
    """How weight matching searches.

    Attributes:
        block_weights: ``unit`` (w_p = n_l^sizes / (|a_l| |b_l|), n_l entries in the layer) or
            ``none`` (w_p = 1).
        starts: what the first visit of the residual stream sees: ``edges`` (blocks that only the
            residual touches: tables, positions, head), ``all`` (every block; left out where the
            edges alone settle every direction), or a number (a random rotation drawn with that
            seed).
        scout_rounds: rounds every start is given; only the one with the best objective then goes
            on.
        max_rounds: visits of every space before giving up on convergence.
        tolerance: stop when a round adds less than this share of the largest possible objective.
        experts: how the experts of a mixture are ordered: ``exact``, ``router``, ``gram`` or
            ``none`` (see `experts`).
        sizes: power of the number of entries: 0 counts every layer alike, 1 every number; 1/2
            measures each layer's cosine in standard deviations of that of independent ones.
        spread: in [0, 1], how much the readers of the residual stream are compared by what they see
            of it (`metric`); None for 0.5 with ``unit`` weights, and 0 with ``none`` or for more
            than 17 million parameters, where it costs too much.
    """

    block_weights: str = choice("unit", ("unit", "none"), "kind of block_weights")
    starts: tuple[str | int, ...] = (EDGES, ALL)
    scout_rounds: int = 4
    max_rounds: int = 100
    tolerance: float = 1e-4
    experts: str = choice("exact", EXPERT_ORDERS, "order of experts")
    sizes: float = 0.5
    spread: float | None = None

    def __post_init__(self) -> None:
        require_settings(self)
        for name in ("scout_rounds", "max_rounds", "tolerance"):
            if getattr(self, name) < 0:
                raise BadInput(
                    f"{name} of weight matching should be 0 or more; {getattr(self, name)} came."
                )
        for name, value in (("sizes", self.sizes), ("spread", self.spread or 0.0)):
            if not 0 <= value <= 1:
                raise BadInput(
                    f"{name} of weight matching should be between 0 and 1; {value} came."
                )
        for start in self.starts:
            if not (start in (EDGES, ALL) or isinstance(start, int)):
                raise UnknownName.of("start", str(start), (EDGES, ALL, "a number"))


Settings = WeightSettings  # its former name


METHOD = Method(
    name="weight",
    title="weight matching",
    short="by weights",
    sentence="Moves B so that its weights correlate most with those of A; it needs no data.",
    source="Ainsworth, Hayase, Srinivasa 2022, arXiv 2209.04836; Theus et al. 2025, arXiv "
    "2506.22712",
    settings=WeightSettings,
    match=import_later("lmc_core.matching.weight_search:match_by_weights"),
    match_widths=import_later("lmc_core.matching.widths:match_widths"),
    look=Look("weight matching, larger classes", "#0066a6", "#56b4e9", "solid", "diamond"),
    pace=3e-6,
    share=0.2,
    orders_experts=True,
    on_the_way=lambda settings: "weight",
)
