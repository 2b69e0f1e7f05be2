"""What a Vision Transformer of timm is made of, read from its module on the meta device: sizes, and
which parts stand where.

Every part that the layout can describe is recognised by its class. Anything else is refused by what
it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lmc_core.symmetry.spaces import Pairs

if TYPE_CHECKING:
    from torch import nn

SUPPORTED = (
    "ViT, DeiT, DeiT III, CLIP's, SigLIP's, DINO's, EVA, BEiT and their kin with a norm before "
    "each layer, whose attention and "
    "feed-forward layers are plain, gated or in parallel"
)
CLASSES = {
    "VisionTransformer": "vit",
    "VisionTransformerDistilled": "vit",
    "Eva": "eva",
    "VisionTransformerRelPos": "vit_relpos",
    "Beit": "beit_timm",
}
# class of timm's -> why none of its layouts is here, as a clause


@dataclass(frozen=True)
class Attends:
    """One attention layer: who has which bias, and what is between queries and keys."""

    heads: int
    groups: int
    size: int
    query_bias: bool = True
    key_bias: bool = True
    value_bias: bool = True
    output_bias: bool = True
    fused: bool = True
    bias_apart: bool = False  # `q_bias` and `v_bias` beside a fused matrix
    normed: Literal["layer", "rms"] | None = None


@dataclass(frozen=True)
class Feeds:
    """One feed-forward layer."""

    units: int
    act: str = "gelu"
    bias: bool = True
    gate: Literal["first", "last", "apart"] | None = None  # where its rows stand
    normed: bool = False  # a norm over its units


@dataclass(frozen=True)
class Relative:
    """Numbers added to the scores of each head, by how far two patches are apart."""

    name: str  # of the module, in the attention layer or in the whole network
    shared: bool
    rows: int = 0  # of a table
    units: int = 0  # of a small network instead
    capped: bool = False  # by a sigmoid
    bias: bool = True  # of that network's outputs


@dataclass(frozen=True)
class Pools:
    """Attention with one learned query, for pooling."""

    heads: int
    feeds: Feeds


@dataclass(frozen=True)
class Layers:
    """What one block says of all of them; see `Body`."""

    attends: Attends
    feeds: Feeds
    norm: nn.Module
    scales: tuple[str | None, str | None]
    relative: Relative | None = None
    parallel: Literal["fused", "apart"] | None = None
    several: int = 1


@dataclass(frozen=True)
class Body:
    """Everything that a layout is written from."""

    width: int
    depth: int
    classes: int
    attends: Attends
    feeds: Feeds
    channels: int
    patch: tuple[int, int]
    patches: int
    tokens: tuple[tuple[str, str, int], ...]  # blocks, names, how many
    pool: str
    positions: bool = True
    apart: bool = False  # tokens have no positions
    pre_norm: bool = False
    rms: bool = False
    last: str | None = "norm"
    scales: tuple[str | None, str | None] = (None, None)  # names of LayerScales, in a block
    pairs: Pairs | None = None
    mixed: bool = False  # learned frequencies
    relative: Relative | None = None
    pooling: Pools | None = None
    parallel: Literal["fused", "apart"] | None = None  # outputs of attention and units in parallel
    several: int = 1  # attention layers, then feed-forward layers, side by side
    patch_name: str = "patch_embed.proj"
    features: int = 0  # what patches are made of behind convolutions; 0 for pixels
    stem: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @property
    def distilled(self) -> bool:
        """Whether a second head reads a second token."""
        return any(name == "dist_token" for _, name, _ in self.tokens)

    @property
    def shown(self) -> Literal["", "normed", "raw"]:
        """Whether the outputs are the stream itself, behind its last norm or as it is."""
        if self.classes or self.pooling:
            return ""
        return "normed" if self.last else "raw"
