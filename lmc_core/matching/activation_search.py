"""Activation matching: move model B so that what it computes on real inputs lies along what model A
computes.

    maximise   sum over sites  corr(X_A, g X_B)   +   weights * sum over layers  w_p <a_p, (g b)_p>

A site is what a linear layer reads or makes (`responses`), X its activations on tokens of the
training split, less their mean. Where a site's spaces are only reordered, its coordinates are
standardised, so that corr is the mean correlation of matched units (Li et al. 2015, arXiv
1511.07543; Ainsworth et al. 2022, arXiv 2209.04836, section 3.1); where they are mixed, corr is
<X_A, g X_B> / (|X_A| |X_B|), a Procrustes problem. The second sum is the objective of weight
matching.

Every site lives in one space and those within it, so activations alone need one visit of each space
and know no local optima. They do not see how a space is read, though, and weights do: together they
usually leave less barrier than either (docs/LOG.md). Spaces without a site (gains of norms, units
of a kind of layer that is not linear) are matched by the weights that touch them.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.matching.activation import ActivationSettings
from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.matching.objective import Objective
from lmc_core.matching.responses import Response, Site, responses, sites
from lmc_core.matching.state import MatchingState
from lmc_core.matching.steps import solve
from lmc_core.matching.trace import Trace
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.arithmetic import TINY
from lmc_core.symmetry.layout import Block
from lmc_core.symmetry.spaces import SymmetryClass, class_of

ROUNDS = 50  # visits of every space before giving up on convergence
TOLERANCE = 1e-4  # of the largest possible objective: a round that adds less is the last
CONSTANT = 1e-9  # share of a site's largest deviation below which a unit counts as constant


def match_activations(
    given: MatcherInput, settings: ActivationSettings | None = None
) -> tuple[Alignment, Trace]:
    """Find the alignment that moves `given.b` onto `given.a`, on activations of `given.train`.

    Raises:
        BadInput: without examples.
    """
    settings = settings or ActivationSettings()
    if given.train is None:
        raise BadInput(
            "Activation matching runs both models on examples of the training split; give some, "
            "or match weights."
        )
    order = given.train.mixed_order(given.seed)  # whoever gives the examples may have them sorted
    examples = given.train.take(order[: settings.examples]).read()
    found = responses(
        given.a,
        given.b,
        sites(given.layout),
        examples,
        settings.tokens,
        given.device,
        given.seed,
        progress=lambda share: given.progress(
            0.6 * share, f"running both models on {len(examples)} examples"
        ),
    )
    problem, unseen = _problem(given, found, settings.weights)
    moved = MatchingState(problem)
    before = moved.objective
    # the residual stream first, but last where a start says where it is: planes of heads come anew
    # with every canonical form (`chain`), and are found from the stream
    first = given.start is None
    order = sorted(problem.roots, key=lambda space: (space.kind != "residual") == first)
    if given.start is not None:
        moved.take(given.start.to(problem.device).elements)
    values = [moved.objective]
    rounds = 0
    while rounds < ROUNDS:
        start, reached = values[-1], []
        for root in order:
            moved.take(solve(moved, root))
            reached.append(moved.value)
        values += torch.stack(reached).tolist()
        rounds += 1
        given.progress(min(1.0, 0.6 + 0.04 * rounds), "matching activations")
        if values[-1] - start < TOLERANCE:
            break
    given.progress(1.0, "matching activations")
    about = {
        "examples": len(examples),
        "tokens": max((response.count for response in found.values()), default=0),
        "sites": len(found),
        "by weights alone": unseen,
    }
    return moved.found, Trace(
        tuple(values), before, "activations", {"activations": values[-1]}, rounds, about
    )


def _problem(
    given: MatcherInput, found: dict[Site, Response], share: float
) -> tuple[Objective, list[str]]:
    """Activations as blocks of a layout with the same spaces, with the weights that count; and the
    kinds without a site.
    """
    layout = given.layout
    seen = {axis.space for site in found for axis in site.axes}
    moving = [
        space
        for space in layout.spaces.values()
        if class_of(space, given.classes) is not SymmetryClass.NONE
    ]
    unseen = {space.name: space.kind for space in moving if space.name not in seen}
    blocks = {f"activations/{site.name}": site for site in found}
    alone = [block for block in layout.blocks if any(axis.space in unseen for axis in block.axes)]
    kept = [block for block in layout.blocks if share or block in alone]
    virtual = replace(
        layout, blocks=(*(Block(name, name, site.pattern) for name, site in blocks.items()), *kept)
    )
    left, right = dict(given.a.state), dict(given.b.state)
    eyes: dict[int, Tensor] = {}
    for name, site in blocks.items():
        right[name] = _similarity(given, site, found[site])
        size = len(right[name])
        if size not in eyes:
            eyes[size] = torch.eye(size).to(right[name])
        left[name] = eyes[size]
    problem = Objective(virtual, left, right, given.classes, masks=given.masks)
    factor = share or 1.0
    problem.weights |= {
        name: factor * value for name, value in problem.weights.items()
    } | dict.fromkeys(blocks, 1.0)
    # a site's own share of it was 1
    problem.bound = len(blocks) + factor * (problem.bound - len(blocks))
    return problem, sorted(set(unseen.values()))


def _similarity(given: MatcherInput, site: Site, response: Response) -> Tensor:
    """M, such that sum_ij M[i, j] T[i, j] is the correlation of a site, 1 for activations that are
    the same.
    """
    response = response.centred()
    spaces = [given.layout.spaces[axis.space] for axis in site.axes if axis.space]
    if any(class_of(space, given.classes).mixes for space in spaces):
        return response.gram / response.squares.sum(1).prod().sqrt().clamp_min(TINY)
    deviations = response.squares.sqrt()
    varies = deviations > CONSTANT * deviations.amax(1, keepdim=True)
    one, two = torch.where(varies, 1 / deviations.clamp_min(TINY), 0.0)
    return one[:, None] * response.gram * two / len(response.gram)
