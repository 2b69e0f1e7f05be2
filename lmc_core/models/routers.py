"""The routers of a network, the modules that choose the experts of each token, found through its
layout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmc_core.symmetry.layout import Layout

if TYPE_CHECKING:
    from torch import nn


def routers(layout: Layout) -> dict[str, str]:
    """Path of the router of every mixture, by the name of its space of experts, in the order of the
    blocks.

    A router's matrix reads the residual stream and writes to the experts alone; the matrices of
    experts also touch their units.
    """
    found = {}
    for block in layout.blocks:
        roles = {
            layout.spaces[axis.space].kind: axis.role
            for axis in block.axes
            if axis.space is not None
        }
        if (
            roles.get("residual") == "reads"
            and roles.get("experts") == "writes"
            and roles.keys() <= ROUTER
        ):
            space = next(
                axis.space
                for axis in block.axes
                if axis.space and layout.spaces[axis.space].kind == "experts"
            )
            found[space] = block.parameter.rpartition(".")[0]
    return found


# kinds of spaces that the matrix of a router touches
ROUTER = {"residual", "experts", "expert-groups"}


def router_modules(module: nn.Module, layout: Layout) -> dict[str, nn.Module]:
    """The modules of the routers, by the name of their space of experts; each returns logits,
    weights and chosen experts.
    """
    return {space: module.get_submodule(path) for space, path in routers(layout).items()}
