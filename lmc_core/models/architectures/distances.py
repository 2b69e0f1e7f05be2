"""Distances between tokens as DeBERTa sees them: what its scores say of them, and which rows of
their table are read.
"""

from __future__ import annotations

from dataclasses import dataclass

from lmc_core.lazy_torch import torch
from lmc_core.models.config import Config

TERMS = ("c2p", "p2c")


def farthest(config: Config) -> int:
    """The number that transformers' class takes for the farthest distance."""
    given = config.size("max_relative_positions")
    return given if given > 0 else config.size("max_position_embeddings")


def span(config: Config) -> int:
    """Half the number of rows of the table of distances."""
    return (
        config.size("position_buckets") if config.size("position_buckets") > 0 else farthest(config)
    )


def used_rows(config: Config, first: bool) -> int:
    """How many rows of the table are read, of all distances that a text of full length has, or that
    its first token has.
    """
    half, buckets = span(config), config.size("position_buckets")
    length = config.size("max_position_embeddings")
    apart = torch.arange(1 - length, 1 if first else length)
    if buckets > 0:
        middle = buckets // 2
        far = apart.abs().clamp(min=middle).float()
        step = torch.log(torch.tensor((farthest(config) - 1) / middle))
        bucket = torch.ceil(torch.log(far / middle) / step * (middle - 1)) + middle
        apart = torch.where(apart.abs() <= middle, apart, (bucket * apart.sign()).long())
    return len((apart + half).clamp(0, 2 * half - 1).unique())


@dataclass(frozen=True)
class Terms:
    """What scores say of distances.

    Attributes:
        c2p: queries are compared with keys of distances.
        p2c: keys are compared with queries of distances.
        shared: both are made by the maps that make those of tokens.
        normed: a LayerNorm reads the table.
        used: how many of its rows are read.
        rank: dimension of what differs between them.
    """

    c2p: bool
    p2c: bool
    shared: bool
    normed: bool
    used: int
    rank: int

    @classmethod
    def of(cls, config: Config, pooler: bool) -> Terms:
        """Those of a configuration; of a single layer a pooler reads what its first token sees
        alone.
        """
        c2p, p2c = (each in config.entries("pos_att_type", str) for each in TERMS)
        normed, used = config["norm_rel_ebd"] == "layer_norm", 0
        if c2p or p2c:
            used = used_rows(config, first=pooler and config["num_hidden_layers"] == 1)
        rank = max(0, min(used - 1, config.size("hidden_size") - normed))
        return cls(c2p, p2c, config.flag("share_att_key") and (c2p or p2c), normed, used, rank)

    @property
    def any(self) -> bool:
        """Whether there is a table of distances."""
        return self.c2p or self.p2c
