"""Two models of one family with different heads: a base model beside a classifier, a classifier
beside a language model.

They compute different things, so that no line leads from one to the other. But their bodies have
the same parameters, and the second may move by every map that its own class admits, its head with
it: what is matched are the blocks that both have. Where the stream mixes, the norm before the head
folds into that head, which the other model lacks, so that this norm is left out of the matching.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from lmc_core.errors import BadInput, Incompatible
from lmc_core.matching.aligned import AlignedPair, canonical, find_exact_device, pair_of_wholes
from lmc_core.matching.function_check import FunctionCheck
from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.matching.method import Method
from lmc_core.models.common import in_float32, untied
from lmc_core.models.forward import few_enough
from lmc_core.models.model import Model
from lmc_core.models.rows import in_shared_rows
from lmc_core.progress import Progress
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.arithmetic import precise
from lmc_core.symmetry.canonical import rewrite_in_place
from lmc_core.symmetry.layout import Layout
from lmc_core.symmetry.rewrite import Rewrite
from lmc_core.symmetry.spaces import Classes, SymmetryClass, choose_classes, class_of, kinds_of


@dataclass(frozen=True)
class Body:
    """What two models of different classes have in common, with the names of the second.

    Attributes:
        layout: of the blocks that both have.
        rewrite: what of the second's canonical rewrite these blocks alone decide.
        names: of parameters, those of the second -> those of the first.
    """

    layout: Layout
    rewrite: Rewrite
    names: Mapping[str, str]


def find_body(a: Model, b: Model, classes: Classes) -> Body:
    """The blocks that two models have in common.

    Args:
        a: the first model.
        b: the second, with a head of its own where its class has one.
        classes: chosen class of each kind of space of the second.

    Raises:
        Incompatible: if they have no block in common.
    """
    names = _common_parameters(a.layout, b.layout)
    rewrite, left_out = _rewrite_within(b, set(names), classes)
    names = {name: other for name, other in names.items() if name not in left_out}
    blocks = tuple(block for block in b.layout.blocks if block.parameter in names)
    touched = {axis.space for block in blocks for axis in block.axes if axis.space}
    touched |= {outer for name in touched for outer in b.layout.path(name)}
    if not touched:
        raise Incompatible(
            f"{a.name} and {b.name} have no layers in common; choose two models with one body."
        )
    spaces = {name: space for name, space in b.layout.spaces.items() if name in touched}
    shapes = {name: b.layout.shapes[name] for name in names}
    return Body(Layout(b.layout.family, spaces, blocks, shapes), rewrite, names)


def _common_parameters(a: Layout, b: Layout) -> dict[str, str]:
    """Parameters of which both models have all blocks alike: name in the second -> name in the
    first.
    """
    found = {}
    for name, shape in b.shapes.items():
        blocks = [block for block in b.blocks if block.parameter == name]
        theirs = [a.by_name.get(block.name) for block in blocks]
        named = {block.parameter for block in theirs if block is not None}
        alike = all(
            other is not None
            and other.pattern == block.pattern
            and all(
                a.spaces[axis.space].size == b.spaces[axis.space].size
                for axis in block.axes
                if axis.space
            )
            for block, other in zip(blocks, theirs, strict=True)
        )
        if not alike or len(named) != 1:
            continue
        other = named.pop()
        if a.shapes[other] == shape and len(blocks) == sum(
            block.parameter == other for block in a.blocks
        ):
            found[name] = other
    return found


def _rewrite_within(b: Model, names: set[str], classes: Classes) -> tuple[Rewrite, set[str]]:
    """The part of the rewrite of the second model that some parameters decide, and those that it
    cannot bring to one form.
    """
    whole, layout = b.family.rewrite(b.config), b.layout
    there = {block.name for block in layout.blocks if block.parameter in names}

    def known(*blocks: str | None) -> bool:
        return all(block is None or block in there for block in blocks)

    norms, left_out = [], set()
    for norm in whole.norms:
        if known(norm.gain, norm.offset, *(part for reader in norm.readers for part in reader)):
            norms.append(norm)
        elif class_of(layout.spaces[norm.space], classes).mixes:
            left_out |= {
                layout.by_name[block].parameter
                for block in (norm.gain, norm.offset)
                if block is not None
            }
    products = [
        product
        for product in whole.products
        if known(
            *product.left,
            *product.right,
            *product.gate,
            *product.unseen,
            product.invisible,
            *(product.constant or ()),
        )
    ]
    scales = [scale for scale in whole.layer_scales if known(scale.scale, *scale.writers)]
    return Rewrite(tuple(norms), tuple(products), tuple(scales), centred=whole.centred), left_out


def as_body(model: Model, body: Body, state: Mapping[str, Tensor]) -> Model:
    """A model of the common blocks alone."""
    # a body has what is asked of a structure
    # a lambda in the place of a function whose parameter has a name
    family = replace(model.family, structure=lambda config: body)  # type: ignore[arg-type]
    return replace(model, family=family, state=state)


def align_bodies(
    a: Model,
    b: Model,
    inputs: Tensor,
    classes: Mapping[str, str | SymmetryClass] | None,
    method: Method[object],
    settings: object,
    masks: Mapping[str, Tensor] | None = None,
    progress: Progress = lambda share, words: None,
    device: str = "cpu",
) -> AlignedPair:
    """Move the second of two models with different heads into the coordinates of the first; for the
    arguments see `align_pair`.

    Raises:
        BadInput: for a method that learns from what both models compute.
        Incompatible: if the models have no block in common.
        FunctionChanged: if either model's outputs moved by more than rounding.
    """
    if method.uses_data:
        raise BadInput(
            f"The method {method.name} learns from the outputs of both models, and {a.name} and "
            f"{b.name} have different heads; "
            "use the method weight."
        )
    begin = time.perf_counter()
    check = FunctionCheck((a, b), few_enough(few_enough(inputs, a), b), device=device)
    chosen = choose_classes(b.layout.spaces, classes)
    there = find_exact_device(device)  # the search is there too
    first = canonical(a, _at_most(a, chosen), device=there)
    second = canonical(b, chosen, device=there)
    left, right = in_shared_rows((untied(a), second))
    body = find_body(left, right, chosen)
    known = {
        name: precise(left.state[other].to(there)).clone() for name, other in body.names.items()
    }
    rewrite_in_place(body.layout, body.rewrite, known, chosen)
    given = MatcherInput(
        as_body(right, body, known),
        as_body(right, body, {name: right.state[name] for name in body.names}),
        {kind: value for kind, value in chosen.items() if kind in kinds_of(body.layout.spaces)},
        {name: mask for name, mask in (masks or {}).items() if name in body.names},
        device=str(there),
        progress=progress,
    )
    found, trace = method.match(given, settings)
    alignment = Alignment.of(second.layout.spaces, found.to(there).elements, there)
    double = first, second.with_state(alignment.apply(second.layout, second.state, in_place=True))
    single = [in_float32(model) for model in double]
    seconds = time.perf_counter() - begin - check.seconds
    error = max(check.require(double, single))
    here = [in_float32(model, "cpu") for model in single]
    return pair_of_wholes(here[0], here[1], alignment.to("cpu"), trace, error, seconds)


def _at_most(model: Model, chosen: Classes) -> Classes:
    """The chosen classes where the spaces of another model admit them, else their largest that is
    no larger.
    """
    found = {}
    for kind, classes in kinds_of(model.layout.spaces).items():
        wanted = chosen.get(kind, classes[-1])
        found[kind] = next(
            (each for each in reversed(classes) if wanted.contains(each)), classes[0]
        )
    return found
