"""What transformers with a LayerNorm before each layer have in common: their spaces, and what is rewritten in a block.

Blocks of parameters are named alike in every family: `blocks.3.query.weight`, `blocks.3.norm1.gain`, `blocks.3.up.bias`.
"""

from __future__ import annotations

from lmc_core.symmetry.canonical import Attention, Norm
from lmc_core.symmetry.spaces import Space, SymmetryClass


def residual_space(width: int) -> Space:
    """The residual stream under LayerNorm."""
    reason = "LayerNorm divides by the length of the stream, which only rotations keep"
    return Space("residual", "residual", width, SymmetryClass.ORTHOGONAL, reason, fixes_ones=True)


def block_spaces(index: int, heads: int, head_dim: int, hidden: int, activation: str) -> list[Space]:
    """The spaces inside one block: its heads, their two planes, its hidden units."""
    within = f"heads.{index}"

    def plane(kind: str, reason: str) -> Space:
        return Space(f"{kind}.{index}", kind, head_dim, SymmetryClass.INVERTIBLE, reason, within, heads)

    return [
        Space(within, "heads", heads, SymmetryClass.PERMUTATION, "each head has a softmax of its own"),
        plane("query-key", "only the product of query and key is seen"),
        plane("value-output", "only the product of value and output is seen"),
        Space(
            f"units.{index}",
            "units",
            hidden,
            SymmetryClass.PERMUTATION,
            f"the activation ({activation}) acts on each unit by itself and is not homogeneous",
        ),
    ]


def block_norms(index: int) -> list[Norm]:
    """The two norms of one block, with what reads them."""
    on = f"blocks.{index}"
    attention = tuple((f"{on}.{part}.weight", f"{on}.{part}.bias") for part in ("query", "key", "value"))
    return [
        Norm(f"{on}.norm1.gain", f"{on}.norm1.offset", attention),
        Norm(f"{on}.norm2.gain", f"{on}.norm2.offset", ((f"{on}.up.weight", f"{on}.up.bias"),)),
    ]


def block_attention(index: int) -> Attention:
    """The attention of one block."""

    def pair(part: str) -> tuple[str, str]:
        return f"blocks.{index}.{part}.weight", f"blocks.{index}.{part}.bias"

    return Attention(
        query=pair("query"),
        key=pair("key"),
        value=pair("value"),
        output=pair("output"),
        heads=f"heads.{index}",
        query_key=f"query-key.{index}",
        value_output=f"value-output.{index}",
    )
