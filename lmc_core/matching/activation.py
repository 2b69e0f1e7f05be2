"""Activation matching as a method; what it does stands in `activation_search`."""

from __future__ import annotations

from dataclasses import dataclass

from lmc_core.errors import BadInput
from lmc_core.limits import require_settings
from lmc_core.look import Look
from lmc_core.matching.method import Method
from lmc_core.registry import import_later


@dataclass(frozen=True)
class ActivationSettings:
    """How activation matching sees the models.

    Attributes:
        examples: of those given, drawn at random, of images every label in proportion.
        tokens: that are looked at, spread evenly over the examples.
        weights: how much a layer's weights count beside one site's activations; 0 for activations
            alone.
    """

    examples: int = 128
    tokens: int = 4096
    weights: float = 1.0

    def __post_init__(self) -> None:
        require_settings(self)
        for name in ("examples", "tokens"):
            if getattr(self, name) < 2:
                raise BadInput(
                    f"Activation matching needs 2 {name} at least; {getattr(self, name)} came."
                )
        if not 0 <= self.weights < float("inf"):
            raise BadInput(f"The share of the weights should be 0 or more; {self.weights} came.")


METHOD = Method(
    name="activation",
    title="activation matching",
    short="by activations",
    sentence="Moves B so that what it computes on training examples correlates most with what A "
    "computes, together with its weights.",
    source="Li et al. 2015, arXiv 1511.07543; Ainsworth et al. 2022, arXiv 2209.04836; Theus et "
    "al. 2025, arXiv 2506.22712",
    settings=ActivationSettings,
    match=import_later("lmc_core.matching.activation_search:match_activations"),
    look=Look("activation matching", "#007a5c", "#2fc79c", "12px,3px,3px,3px", "triangle-up"),
    uses_data=True,
    pace=3e-6,
    orders_experts=True,
    on_the_way=lambda settings: "activation",
)
