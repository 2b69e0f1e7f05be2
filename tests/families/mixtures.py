"""What the tests of mixtures of experts share: edited models, routing margins, round trips through
files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmc_core.matching.pair import canonical
from lmc_core.models.common import in_float32
from lmc_core.models.forward import function_error
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.canonical import Blocks
from lmc_core.symmetry.check import relative_difference
from lmc_core.symmetry.dimension import symmetry_dimension
from lmc_core.symmetry.spaces import choose_classes
from tests.networks import random_inputs, random_model
from tests.symmetry.nullity import nullity, small_model

Edit = Callable[[Blocks], None]

# The sizes of the models whose Jacobian is decomposed: about a thousand parameters.
TINY: dict[str, Any] = {
    "vocab_size": 17,
    "hidden_size": 8,
    "intermediate_size": 5,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
    "max_position_embeddings": 8,
}


def nullity_and_dimension(
    family: str, raw: dict[str, Any], count: int, seed: int = 0
) -> tuple[int, int]:
    """The nullity of the Jacobian on `count` inputs, and the dimension that the layout counts.

    Take a seed of which every expert is chosen by enough tokens; the weights of an expert that no
    one visits are not seen.
    """
    model = small_model(family, raw, seed)
    found, gap = nullity(model, count)
    assert gap > 1e4
    return found, sum(symmetry_dimension(model.layout, model.family.rewrite(model.config)).values())


def error_after(model: Model, edit: Edit) -> float:
    """How far the outputs move, in float64, when blocks are edited."""
    state = {name: tensor.clone() for name, tensor in model.state.items()}
    edit(Blocks(model.layout, state))
    return function_error(model, model.with_state(state), random_inputs(model), torch.float64)


def rolled(*names: str, axis: int = 0) -> Edit:
    """Roll some blocks along an axis."""

    def edit(blocks: Blocks) -> None:
        for name in names:
            blocks[name] = blocks[name].roll(1, axis)

    return edit


def scaled(*names: str) -> Edit:
    """Double the first block and halve the others."""

    def edit(blocks: Blocks) -> None:
        for number, name in enumerate(names):
            blocks[name] = blocks[name] * (0.5 if number else 2.0)

    return edit


def decided(name: str) -> Model:
    """A random model in float32 whose routers choose by a clear margin, so that rounding does not
    send a token elsewhere.
    """
    models = (random_model(name, seed, torch.float32) for seed in range(20))
    return next(model for model in models if routing_margin(model, random_inputs(model)) > 1e-4)


def routing_margin(model: Model, inputs: Tensor) -> float:
    """The smallest gap between the scores of the last expert that is chosen and the first that is
    not, over all tokens.
    """
    margins: list[float] = []

    def hear(part: Any, given: Any, outputs: Any) -> None:
        scores = outputs[0].sort(-1, descending=True).values
        if part.top_k < scores.shape[-1]:
            margins.append(float((scores[:, part.top_k - 1] - scores[:, part.top_k]).min()))

    module = model.module()
    for part in module.modules():
        if type(part).__name__.lower().endswith("topkrouter"):
            part.register_forward_hook(hear)
    model.family.outputs(module, inputs)
    return min(margins)


def round_trip(
    model: Model, folder: Path, auto: str = "AutoModelForCausalLM", **arguments: Any
) -> None:
    """Save a model, as it is, rewritten and moved; both transformers and this project must read
    back what was written.
    """
    import transformers

    inputs = random_inputs(model)
    classes = choose_classes(model.layout.spaces)
    rewritten = canonical(model, classes)
    alignment = Alignment.random(rewritten.layout.spaces, classes, torch.Generator().manual_seed(0))
    moved = rewritten.with_state(alignment.apply(rewritten.layout, rewritten.state))
    for name, each in (
        ("original", model),
        ("rewritten", in_float32(rewritten)),
        ("moved", in_float32(moved)),
    ):
        each.save(folder / name)
        again = load_folder(folder / name)
        assert again.config == each.config
        assert again.state.keys() == each.state.keys()
        assert all(torch.equal(again.state[n], t) for n, t in each.state.items())
        loaded: Any = getattr(transformers, auto).from_pretrained(
            folder / name, output_loading_info=True, **arguments
        )
        module, report = loaded
        assert not any(report.values()), report
        assert module.config.architectures == [type(module).__name__]
        with torch.no_grad():
            outputs = model.family.outputs(module.eval(), inputs)
        assert relative_difference(model.family.outputs(model.module(), inputs), outputs) < 1e-5
