"""A network and its moved copies: the loss between them, and what their average is.

The copy of f that an element g of the group moves is f_g(x) = rho_out(g) f(rho_in(g)^-1 x). Its
weights can be written in more than one way, since hidden units may change places:

    naive      N(g) W: the axes of inputs and outputs alone are moved; hidden units stay
    group      T(g) W = H(g) N(g) W: the hidden units too, as the group's action H(g) on them says
    matched    Q N(g) W: as weight matching finds them to lie along W, from the weights alone
    activation Q N(g) W, Q found from what the units do on training examples too

Where only what reads the inputs is moved (perceptron, transformer), the deeper layers of N(g) W are
those of W, and weight matching, which compares layer by layer, mostly leaves their units where they
stand. What the units do tells more.

On the line from W to one of them the network is an average of two. The average over all elements of
T(g) W is the projection P(W) itself: making a network equivariant is merging its copies, with an
alignment that was chosen before training. W = T(g) W says that W is equivariant: its line has no
length then. Otherwise nothing ties the units to the places that H(g) gives them. (Entezari et al.
2022, arXiv 2110.06296, and Ainsworth et al. 2022, arXiv 2209.04836, for independent networks.)
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from lmc_core.equivariance.data import Sample
from lmc_core.equivariance.layout import EquivariantLayout
from lmc_core.equivariance.measures import score_outputs
from lmc_core.equivariance.relaxed import projections_of
from lmc_core.equivariance.structures import hidden_units
from lmc_core.matching.activation_search import match_activations
from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.matching.weight_search import match_weights
from lmc_core.models.custom import own_model
from lmc_core.paths.barrier import barrier
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.check import relative_difference, require_same_function
from lmc_core.symmetry.layout import State
from lmc_core.symmetry.spaces import SymmetryClass, at_most
from lmc_core.tasks.task import Examples

ELEMENT = 1  # of the group, whose copy the lines lead to: the first that moves anything
POINTS = 11  # of a line
CHECKED = 16  # examples on which the copies are compared with the function that they are of
BATCH = 256  # examples that are run at once: 40 % less time for the transformer than 2000
AGREE = {"matched": "agree", "activation": "agree_activation"}  # names in a result
WAYS = ("naive", "matched", "activation", "group")


class Copies:
    """The weights of a network's moved copies, in float64.

    Args:
        network: a key of `networks.NETWORKS`.
        module: of its class.
        layout: of the group's actions.
        weights: of the network.
        taught: training examples to match activations on; without any, that way is left out.

    Attributes:
        actions: of the group.
        labels: of its elements.
        order: how many there are; copy 0 is the network itself.
        weights: of the network.
    """

    def __init__(
        self,
        network: str,
        module: nn.Module,
        layout: EquivariantLayout,
        weights: State,
        taught: Sample | None = None,
    ):
        self._module, self.actions, self._taught = module, layout, taught
        self._units = hidden_units(network, layout)
        self._layout = self._units.structure.layout
        self._projections = projections_of(layout)
        self.labels = layout.input.group.labels
        self.order = len(self.labels)
        self.weights = {name: tensor.detach().cpu().double() for name, tensor in weights.items()}
        self._layout.check(self.weights)

    @cached_property
    def group(self) -> list[State]:
        """T(g) W for every element."""
        return [
            {n: self._projections[n].moved(t, g) for n, t in self.weights.items()}
            for g in range(self.order)
        ]

    @cached_property
    def naive(self) -> list[State]:
        """N(g) W = H(g)^-1 T(g) W for every element."""
        return [
            self._units.assignment(g).inverse().apply(self._layout, state)
            for g, state in enumerate(self.group)
        ]

    @cached_property
    def alignments(self) -> dict[str, list[Alignment]]:
        """By way, what matching does to every naive copy to bring it to the network; the identity
        for the network itself.
        """
        spaces = self._layout.spaces
        classes = at_most(spaces, SymmetryClass.PERMUTATION)
        found = {
            "matched": [
                match_weights(self._layout, self.weights, each, classes)[0]
                for each in self.naive[1:]
            ]
        }
        if self._taught is not None:
            model = own_model(copy.deepcopy(self._module).cpu(), self._units.structure).with_state(
                self.weights
            )
            train = Examples(self._taught.inputs.float().cpu(), self._taught.labels.cpu())
            pairs = [
                MatcherInput(model, model.with_state(each), classes, train=train)
                for each in self.naive[1:]
            ]
            found["activation"] = [match_activations(pair)[0] for pair in pairs]
        return {way: [Alignment.of(spaces), *each] for way, each in found.items()}

    @cached_property
    def ways(self) -> dict[str, list[State]]:
        """All copies, by the name of how they are written, in the order of `WAYS`."""
        found = {"naive": self.naive, "group": self.group}
        for way, alignments in self.alignments.items():
            found[way] = [
                q.apply(self._layout, each) for q, each in zip(alignments, self.naive, strict=True)
            ]
        return {way: found[way] for way in WAYS if way in found}

    def projection(self) -> State:
        """P(W)."""
        return {name: self._projections[name](tensor) for name, tensor in self.weights.items()}

    def agreement(self, way: str, element: int) -> dict[str, float]:
        """By space of hidden units, the share of them that a way of matching sends where the group
        sends them.
        """
        found, own = self.alignments[way][element], self._units.assignment(element)
        shares = {}
        for name, space in self._layout.spaces.items():
            if SymmetryClass.PERMUTATION in space.classes:
                one, other = (_sources(alignment, name) for alignment in (found, own))
                shares[name] = float((one == other).double().mean())
        return shares

    def function_error(self, inputs: Tensor) -> float:
        """Largest relative difference of any copy's outputs from f_g, which is f on moved inputs
        with its outputs moved.

        Args:
            inputs: a few, `[n, inputs]`.

        Raises:
            FunctionChanged: it is more than rounding explains.
        """
        inputs, errors = inputs.detach().cpu().double(), []
        back = self.actions.input.group.inverse
        for g in range(self.order):
            moved = inputs[:, torch.from_numpy(self.actions.input.places[back[g]])]
            expected = self.run(self.weights, moved)[
                :, torch.from_numpy(self.actions.output.places[g])
            ]
            errors += [
                relative_difference(expected, self.run(copies[g], inputs))
                for copies in self.ways.values()
            ]
        return require_same_function(max(errors), "a copy", torch.float64)

    @torch.no_grad()
    def run(self, state: State, inputs: Tensor) -> Tensor:
        """The outputs with some weights, which are taken in the type and to the device of the
        inputs.
        """
        placed = {name: tensor.to(inputs) for name, tensor in state.items()}
        return torch.cat(
            [functional_call(self._module, placed, (batch,)) for batch in inputs.split(BATCH)]
        )


def mean_of(states: Sequence[State]) -> State:
    """The uniform merge."""
    return {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}


def measure_copies(copies: Copies, sample: Sample) -> dict[str, Any]:
    """Measure the lines from a network to a moved copy, and the merges of all copies.

    Args:
        copies: of the network.
        sample: to measure on.

    Returns:
        Plain JSON values, losses in nats: ``element`` (label), ``lam``; ``curves`` by way:
            ``loss``, ``stderr`` `[points]`,
        ``barrier``, ``barrier_stderr``; ``merges``: score of the network, the merge by each way,
        the projection;
        ``group_is_projection``: largest relative difference of the weights of the merge by the
            group's alignment from P(W);
        ``agree`` (of "matched") and ``agree_activation``: see `Copies.agreement`;
        ``function_error``: of all copies.

    Raises:
        FunctionChanged: a copy is not what it is meant to be.
    """
    error = copies.function_error(sample.inputs[:CHECKED])
    lam = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    ways, projection = copies.ways, copies.projection()
    merged = {name: mean_of(states) for name, states in ways.items()}
    scored = {"network": copies.weights, **merged, "projection": projection}
    return {
        "element": copies.labels[ELEMENT],
        "lam": lam.tolist(),
        "curves": {
            name: _line(copies, states[ELEMENT], lam, sample) for name, states in ways.items()
        },
        "merges": {
            name: asdict(score_outputs(copies.run(state, sample.inputs), sample))
            for name, state in scored.items()
        },
        "group_is_projection": _difference(merged["group"], projection),
        **{AGREE[way]: copies.agreement(way, ELEMENT) for way in copies.alignments},
        "function_error": error,
    }


def _line(copies: Copies, end: State, lam: Tensor, sample: Sample) -> dict[str, Any]:
    """The losses on the line from the network to some weights, and its barrier."""
    rows = []
    for share in lam.tolist():
        state = {
            name: torch.lerp(tensor, end[name], share) for name, tensor in copies.weights.items()
        }
        outputs = copies.run(state, sample.inputs)
        losses = cross_entropy(outputs, sample.labels, reduction="none").cpu().double()
        # an orbit's members are not independent
        rows.append(losses.view(-1, sample.orbits).mean(1))
    losses = torch.stack(rows)
    found = barrier(lam, losses)
    return {
        "loss": losses.mean(1).tolist(),
        "stderr": (losses.std(1) / losses.shape[1] ** 0.5).tolist(),
        "barrier": found.value,
        "barrier_stderr": found.stderr,
    }


def _difference(one: State, other: State) -> float:
    return max(
        float((one[n] - other[n]).abs().max() / other[n].abs().max().clamp(min=1e-300)) for n in one
    )


def _sources(alignment: Alignment, name: str) -> Tensor:
    """For every coordinate of a space, over all its copies, the coordinate that it comes from,
    flat.
    """
    indices = alignment.elements[name].tensors()["indices"]
    if indices.ndim == 1:
        return indices
    outer = alignment.elements[alignment.within[name]].tensors()["indices"]
    return (outer[:, None] * indices.shape[1] + indices).flatten()
