"""The hidden units of the networks, described as the symmetry of their weights, and how the group
permutes them.

Two symmetries meet here. The weights have one whatever the data are: hidden units may change places
(`symmetry`). The group of the data moves inputs, and its action on hidden units is one of those
exchanges, the one that an equivariant network undoes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from lmc_core.equivariance.actions import Action
from lmc_core.equivariance.layout import EquivariantLayout
from lmc_core.equivariance.transformer import BLOCKS, HEADS
from lmc_core.errors import UnknownName
from lmc_core.models.parts import (
    attention,
    layer_norm_stream,
    separate_attention,
    units,
    units_product,
)
from lmc_core.models.structure import Structure
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.elements import Permutation
from lmc_core.symmetry.spaces import NONE, SCALED


@dataclass(frozen=True)
class HiddenUnits:
    """The spaces of a network's hidden units and the group on them.

    Attributes:
        structure: the spaces, and what each axis of each parameter writes to or reads from.
        actions: by name of space; of a space with several copies (the planes of the heads) on all
            their coordinates in order. Spaces that are left out stay as they are.
    """

    structure: Structure
    actions: Mapping[str, Action]

    def assignment(self, element: int) -> Alignment:
        """How the group's element of that number permutes the hidden units.

        Raises:
            ValueError: it would move a coordinate from one copy of a space to another.
        """
        found = {}
        for name, action in self.actions.items():
            space, places = self.structure.spaces[name], torch.from_numpy(action.places[element])
            if space.within is not None:
                places = places.view(space.copies, space.size)
                if (places // space.size != torch.arange(space.copies)[:, None]).any():
                    raise ValueError(f"the action on {name!r} does not keep its copies apart")
                places = places % space.size
            found[name] = Permutation(places)
        return Alignment.of(self.structure.spaces, found)


def perceptron(layout: EquivariantLayout) -> HiddenUnits:
    """Two layers of ReLU units."""
    actions = {name: layout.layers[name][f"{name}.bias"][0] for name in ("first", "second")}
    s = Structure("perceptron")
    _relu(s, actions)
    s.parameter(
        "first.weight", "first.weight", "+first *", (actions["first"].size, layout.input.size)
    )
    s.parameter("first.bias", "first.bias", "+first", (actions["first"].size,))
    s.linear("second", "second", "+second", "-first")
    s.linear("head", "head", "*", "-second", rows=layout.output.size, ignores_mean_over=0)
    return _with_products(s, actions, {"first": "second", "second": "head"})


def convolution(layout: EquivariantLayout) -> HiddenUnits:
    """Two layers of ReLU channels; the places within a channel stay in their order."""
    actions = {name: layout.layers[name][f"{name}.bias"][0] for name in ("first", "second")}
    first, second = actions["first"].size, actions["second"].size
    kernel = round(layout.parameters["first.weight"][-1].size ** 0.5)
    reads = layout.parameters["head.weight"][1].size
    s = Structure("convolution")
    _relu(s, actions)
    s.space(
        "places",
        "places",
        reads // second,
        NONE,
        "the head reads every place with weights of its own",
    )
    s.parameter("first.weight", "first.weight", "+first *", (first, 1, kernel, kernel))
    s.parameter("first.bias", "first.bias", "+first", (first,))
    s.parameter(
        "second.weight", "second.weight", "+second -first *", (second, first, kernel, kernel)
    )
    s.parameter("second.bias", "second.bias", "+second", (second,))
    s.parameter(
        "head.weight",
        "head.weight",
        "* -second -places",
        (layout.output.size, reads),
        ignores_mean_over=0,
    )
    s.parameter("head.bias", "head.bias", "*", (layout.output.size,), ignores_mean_over=0)
    return _with_products(s, actions, {"first": "second", "second": "head"})


def transformer(layout: EquivariantLayout) -> HiddenUnits:
    """A residual stream under LayerNorm, heads with their planes, and units; tokens and the pixels
    of a patch are no units.
    """
    (tokens, stream), inside = layout.parameters["positions"], layout.parameters["embed.weight"][1]
    s = Structure("transformer")
    actions = {layer_norm_stream(s, stream.size): stream}
    s.parameter("embed.weight", "embed.weight", "+residual *", (stream.size, inside.size))
    s.parameter("embed.bias", "embed.bias", "+residual", (stream.size,))
    s.parameter("positions.table", "positions", "* +residual", (tokens.size, stream.size))
    for number in range(BLOCKS):
        name = f"blocks.{number}"
        at = attention(s, str(number), HEADS, stream.size // HEADS)
        parts = [f"{name}.{part}" for part in ("query", "key", "value", "out")]
        readers = separate_attention(
            s, at, name, (parts[0], parts[1], parts[2], parts[3]), (True, True, True, True)
        )
        s.norm(f"{name}.norm1", f"{name}.before", readers)
        wide = layout.parameters[f"{name}.up.weight"][0]
        middle = units(s, str(number), wide.size, "gelu")
        up = s.linear(f"{name}.up", f"{name}.up", f"+{middle}", "-residual")
        s.linear(f"{name}.down", f"{name}.down", "+residual", f"-{middle}")
        units_product(s, middle, name)
        s.norm(f"{name}.norm2", f"{name}.between", [up])
        actions |= {at.product_name: stream, at.value_name: stream, middle: wide}
    head = s.linear("head", "head", "*", "-residual", rows=layout.output.size, ignores_mean_over=0)
    s.norm("norm", "norm", [head])
    return HiddenUnits(s, actions)


STRUCTURES: dict[str, Callable[[EquivariantLayout], HiddenUnits]] = {
    "perceptron": perceptron,
    "convolution": convolution,
    "transformer": transformer,
}


def hidden_units(network: str, layout: EquivariantLayout) -> HiddenUnits:
    """Describe the hidden units of a network.

    Args:
        network: a key of `networks.NETWORKS`.
        layout: of the group's actions.

    Raises:
        UnknownName: nothing is written down for a network of that name.
    """
    if network not in STRUCTURES:
        raise UnknownName.of("network", network, STRUCTURES)
    return STRUCTURES[network](layout)


def _relu(s: Structure, actions: Mapping[str, Action]) -> None:
    for name, action in actions.items():
        s.space(
            name,
            "units",
            action.size,
            SCALED,
            "ReLU acts on each unit by itself and commutes with scales",
            positive=True,
        )


def _with_products(
    s: Structure, actions: Mapping[str, Action], readers: Mapping[str, str]
) -> HiddenUnits:
    for name, reader in readers.items():
        s.product(name, (f"{name}.weight", f"{name}.bias"), (f"{reader}.weight",))
    return HiddenUnits(s, actions)
