"""A class of one's own for tests: a transformer of one layer without norms, so that every map of
its stream is a symmetry.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lmc_core
from lmc_core.models.model import Model
from lmc_core.models.parts import attention, separate_attention, units, units_product
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import LINEAR

TOKENS, CONTEXT, WIDTH, HEADS, HIDDEN = 8, 6, 8, 2, 12


class Bare(nn.Module):
    """Attention and ReLU units on a stream that nothing normalises."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Embedding(TOKENS, WIDTH)
        self.place = nn.Parameter(0.3 * torch.randn(CONTEXT, WIDTH))
        self.query, self.key, self.value, self.output = (
            nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4)
        )
        self.up, self.down = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)
        self.head = nn.Linear(WIDTH, TOKENS, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits `[n, context, tokens]`."""
        x = self.token(tokens) + self.place
        n, length, width = x.shape
        query, key, value = (
            map_(x).view(n, length, HEADS, -1).transpose(1, 2)
            for map_ in (self.query, self.key, self.value)
        )
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.output(seen.transpose(1, 2).reshape(n, length, width))
        return self.head(x + self.down(self.up(x).relu()))


def structure() -> Structure:
    """Its spaces; no product is named for the stream."""
    s = Structure("Bare")
    s.space("residual", "residual", WIDTH, LINEAR, "every reader of the stream is linear")
    s.parameter("token.table", "token.weight", "* +residual", (TOKENS, WIDTH))
    s.parameter("place.table", "place", "* +residual", (CONTEXT, WIDTH))
    at = attention(s, "0", HEADS, WIDTH // HEADS)
    separate_attention(
        s, at, "0.attention", ("query", "key", "value", "output"), (False, False, False, False)
    )
    hidden = units(s, "0", HIDDEN, "relu")
    s.linear("0.up", "up", f"+{hidden}", "-residual")
    s.linear("0.down", "down", "+residual", f"-{hidden}")
    units_product(s, hidden, "0", bias=True)
    s.linear("head", "head", "*", "-residual", bias=False, rows=TOKENS, ignores_mean_over=0)
    return s


def bare(seed: int, size: float = 1.0) -> Model:
    """A random one, its parameters multiplied by `size`."""
    torch.manual_seed(seed)
    module = Bare()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(size)
    return lmc_core.own_model(module, structure(), name=f"bare-s{seed}", takes="text")


def chain(count: int = 256, seed: int = 0) -> lmc_core.Examples:
    """Sequences of a Markov chain: each token says which come next."""
    table = (3 * torch.randn(TOKENS, TOKENS, generator=torch.Generator().manual_seed(0))).softmax(
        -1
    )
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(TOKENS, (count, CONTEXT + 1), generator=generator)
    for place in range(CONTEXT):
        tokens[:, place + 1] = torch.multinomial(table[tokens[:, place]], 1, generator=generator)[
            :, 0
        ]
    return lmc_core.Examples(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())
