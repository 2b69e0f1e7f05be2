"""A small transformer on the patches of an image or the elements of a set; the group permutes its
tokens.

Within a patch the group permutes the pixels, on the residual stream it permutes coordinates in
blocks. A block lies within one head, so queries and keys of a head are permuted alike and their
products stay; LayerNorm sees no order.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lmc_core.equivariance.actions import Action, grid, trivial
from lmc_core.equivariance.domains import Domain
from lmc_core.equivariance.layout import EquivariantLayout, linear, norm
from lmc_core.errors import BadInput

WIDTH = 64
HEADS = 4
BLOCKS = 2
PATCH = 2  # pixels


class Block(nn.Module):
    """Attention and units, each after a LayerNorm and added to the stream."""

    def __init__(self, width: int):
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[n, tokens, width]` to the same shape."""
        seen = self.before(x)
        query, key, value = (
            m(seen).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for m in (self.query, self.key, self.value)
        )
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.down(nn.functional.gelu(self.up(self.between(x))))


class Transformer(nn.Module):
    """Tokens with learned positions, two blocks, the mean over the tokens, a linear head.

    Args:
        side: of a square image that is cut into patches; 0 for a set, whose elements are the
            tokens.
        tokens: how many.
        features: numbers in a token.
        width: of the stream.
        classes: outputs.
    """

    def __init__(self, side: int, tokens: int, features: int, width: int, classes: int):
        super().__init__()
        self.side, self.tokens = side, tokens
        self.embed = nn.Linear(features, width)
        self.positions = nn.Parameter(0.1 * torch.randn(tokens, width))
        self.blocks = nn.ModuleList(Block(width) for _ in range(BLOCKS))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[n, inputs]` to `[n, classes]`."""
        if self.side:
            across = self.side // PATCH
            x = x.view(-1, across, PATCH, across, PATCH).transpose(2, 3).flatten(3).flatten(1, 2)
        else:
            x = x.unflatten(-1, (self.tokens, -1))
        x = self.embed(x) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


def build(domain: Domain) -> tuple[nn.Module, EquivariantLayout]:
    """Return a new network and its layout.

    Raises:
        BadInput: for images that cannot be cut into patches.
    """
    group = domain.group
    if domain.images:
        if domain.places % PATCH or domain.features != 1:
            raise BadInput(
                f"Grey images whose side is a multiple of {PATCH} pixels are expected; "
                f"{domain.places} came."
            )
        inside, tokens = grid(group, PATCH), grid(group, domain.places // PATCH)
        stream = domain.hidden(WIDTH)
    else:  # the order is in the positions alone, so the stream is left alone
        inside, tokens, stream = (
            trivial(group, domain.features),
            domain.positions,
            trivial(group, WIDTH),
        )
    module = Transformer(
        domain.places if domain.images else 0, tokens.size, inside.size, stream.size, domain.classes
    )
    units = stream * trivial(group, 2)
    layers = {
        "embed": linear("embed", stream, inside),
        "positions": {"positions": (tokens, stream)},
    }
    for number in range(BLOCKS):
        layers |= _block(f"blocks.{number}", stream, units)
    layers["head"] = norm("norm", stream) | linear("head", domain.output, stream)
    return module, EquivariantLayout(domain.input, domain.output, layers)


def _block(name: str, stream: Action, units: Action) -> dict[str, dict[str, tuple[Action, ...]]]:
    attention = norm(f"{name}.before", stream)
    for part in ("query", "key", "value", "out"):
        attention |= linear(f"{name}.{part}", stream, stream)
    mixed = (
        norm(f"{name}.between", stream)
        | linear(f"{name}.up", units, stream)
        | linear(f"{name}.down", stream, units)
    )
    return {f"{name}.attention": attention, f"{name}.units": mixed}
