"""What a family of models is: how to build one, its layout, its canonical rewrite. Data, no algorithm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from lmc_core.symmetry.canonical import Rewrite
from lmc_core.symmetry.layout import Layout

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """A family of architectures.

    Attributes:
        name: how it is called, e.g. ``gpt2``.
        sentence: what it is, for lists.
        reference: the paper it comes from, with its year.
        takes: kind of task, ``images`` or ``text``.
        recognises: whether a folder's `config.json` is of this family.
        build: configuration -> a module of the ordinary class, randomly initialised.
        outputs: (module, inputs) -> logits.
        sizes: configuration -> width, depth, heads and the like, for people.
        layout: configuration -> its layout.
        rewrite: configuration -> what the canonical rewrite works on.
        save: (module, configuration, folder) writes an ordinary checkpoint.
        rename: (name on disk, configuration) -> name in memory, for checkpoints that store another one.
    """

    name: str
    sentence: str
    reference: str
    takes: Literal["images", "text"]
    recognises: Callable[[Config], bool]
    build: Callable[[Config], nn.Module]
    outputs: Callable[[nn.Module, Tensor], Tensor]
    sizes: Callable[[Config], dict[str, int]]
    layout: Callable[[Config], Layout]
    rewrite: Callable[[Config], Rewrite]
    save: Callable[[nn.Module, Config, Path], None]
    rename: Callable[[str, Config], str] = lambda name, config: name
