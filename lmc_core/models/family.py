"""What a family of models is: how to build one, its layout, its canonical rewrite. Data, no
algorithm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from lmc_core.models.config import Config, Json
from lmc_core.models.structure import Structure
from lmc_core.symmetry.layout import Layout
from lmc_core.symmetry.rewrite import Rewrite

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Kind = Literal["images", "text", "audio", "images and text"]

PREDICTIONS = {
    "label": "one of several labels for each input",
    "token-label": "one of several labels for each token",
    "span": "where an answer begins and where it ends",
    "choice": "a score for each of several texts, of which one is to be chosen",
    "follows": "whether the second of two texts follows the first",
    "replaced": "for each token, whether it stands in another's place",
    "next": "the next token at every position",
    "masked": "the tokens that were masked",
    "continuation": "the second half of a window from its first half",
    "transcript": "each token of what is said, from the sound and the tokens before it",
    "features": "nothing: the outputs are features",
    "pixels": "what an image shows where it was masked",
    "pairs": "which text belongs to which image",
}


T = TypeVar("T")

SHARD = 5 * 10**9  # bytes of a file of weights above which a checkpoint is written in several


class Save(Protocol):
    """Writes a module as an ordinary checkpoint."""

    def __call__(self, module: nn.Module, config: Config, folder: Path, shard: int = SHARD) -> None:
        """Write into `folder`, with the types that the module's parameters have.

        Args:
            module: with its parameters.
            config: of the family.
            folder: to be made.
            shard: bytes of a file above which there are several and an index, where the class's
                library reads such.
        """
        ...


@dataclass(frozen=True)
class Family:
    """A family of architectures.

    Attributes:
        name: how it is called, e.g. ``gpt2``.
        sentence: what it is, for lists.
        reference: the paper it comes from, with its year.
        takes: what its inputs are; tasks give ``images`` and ``text``.
        recognises: whether a folder's `config.json` is of this family.
        build: configuration -> a module of the ordinary class, randomly initialised.
        outputs: (module, inputs) -> logits.
        sizes: configuration -> width, depth, heads and the like, for people.
        structure: configuration -> its layout and what the canonical rewrite works on.
        predicts: configuration -> what the outputs predict, a key of `PREDICTIONS`.
        save: (module, configuration, folder, bytes of a file) writes an ordinary checkpoint.
        config: the content of a `config.json` -> what the function depends on, defaults filled in.
        from_disk: (tensors by their names on disk, configuration) -> tensors by their names in
            memory.
        examples: name -> small configurations that take every branch, as in a `config.json`; tests
            and docs/families.md go through them all.
        classes: names of the classes of transformers that `architectures` may give in a
            `config.json`; () for other libraries'.
        probe: (configuration, count, seed, type) -> random inputs; None where they are tokens or
            images of one size.
    """

    name: str
    sentence: str
    reference: str
    takes: Kind
    recognises: Callable[[Config], bool]
    build: Callable[[Config], nn.Module]
    outputs: Callable[[nn.Module, Tensor], Tensor]
    sizes: Callable[[Config], dict[str, int]]
    structure: Callable[[Config], Structure]
    predicts: Callable[[Config], str]
    save: Save
    config: Callable[[Config], Config]
    from_disk: Callable[[dict[str, Tensor], Config], dict[str, Tensor]]
    examples: Mapping[str, Mapping[str, Json]]
    classes: tuple[str, ...] = ()
    probe: Callable[[Config, int, int, torch.dtype], Tensor] | None = None

    def __post_init__(self) -> None:
        for name in ("recognises", "build", "sizes", "structure", "predicts", "config"):
            object.__setattr__(self, name, _reading(getattr(self, name)))
        named = self.from_disk
        object.__setattr__(
            self, "from_disk", lambda tensors, config: named(tensors, Config(config))
        )

    def layout(self, config: Config) -> Layout:
        """The spaces and blocks of a model of that configuration."""
        return self.structure(config).layout

    def rewrite(self, config: Config) -> Rewrite:
        """What the canonical rewrite of a model of that configuration works on."""
        return self.structure(config).rewrite


def _reading(function: Callable[[Config], T]) -> Callable[[Mapping[str, Json]], T]:
    """The same function of any mapping, which it sees as a `Config`."""
    return lambda config: function(config if isinstance(config, Config) else Config(config))
