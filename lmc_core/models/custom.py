"""Models of a class of one's own: an `nn.Module` with a `Structure` that says what its parameters
write to and read from.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lmc_core.errors import BadCheckpoint
from lmc_core.models.config import Config
from lmc_core.models.family import SHARD, Family
from lmc_core.models.model import Model, untied_state
from lmc_core.models.structure import Structure

if TYPE_CHECKING:
    from torch import Tensor, nn


def own_model(
    module: nn.Module,
    structure: Structure,
    outputs: Callable[[nn.Module, Tensor], Tensor] | None = None,
    name: str = "own",
    takes: Literal["images", "text"] = "images",
) -> Model:
    """Wrap a module, so that it can be aligned, measured and saved like any other model.

    Args:
        module: with its parameters; it is copied.
        structure: the spaces of its class, and for each parameter the pattern of its axes.
        outputs: (module, inputs) -> logits; by default the module is called.
        name: how it is shown.
        takes: what its inputs are.

    Returns:
        The model. Two of them can be aligned when their classes and shapes are the same. `save`
        writes `model.safetensors`, to be read with `load_state_dict`.

    Raises:
        BadCheckpoint: naming the first parameter that the structure does not cover, or that is not
            there.
    """
    state = untied_state(module)
    skeleton = copy.deepcopy(module)
    kind = type(module).__name__

    def save(module: nn.Module, config: Config, folder: Path, shard: int = SHARD) -> None:
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {key: value.contiguous() for key, value in untied_state(module).items()},
            folder / "model.safetensors",
        )

    family = Family(
        name=kind,
        sentence=f"The class {kind}, with a structure of its own.",
        reference="",
        takes=takes,
        recognises=lambda config: False,
        build=lambda config: copy.deepcopy(skeleton),
        outputs=outputs or (lambda made, inputs: made(inputs)),
        sizes=lambda config: {"parameters": sum(tensor.numel() for tensor in state.values())},
        structure=lambda config: structure,
        predicts=lambda config: "label" if takes == "images" else "next",
        save=save,
        config=Config,
        from_disk=lambda tensors, config: tensors,
        examples={},
    )
    missing = state.keys() - structure.layout.shapes.keys()
    if missing:
        raise BadCheckpoint(
            f"The structure of {kind} says nothing of the parameter {sorted(missing)[0]!r}; add "
            "its pattern."
        )
    return Model(name, family, Config(), state).check()
