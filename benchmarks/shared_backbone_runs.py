"""Mixtures of experts in the place of feed-forward layers of a trained model that stays as it is:
the networks of `shared_backbone.py`, and their training.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from lmc_core import Model, Structure, load, own_model
from lmc_core.symmetry.spaces import NONE, PERMUTATIONS, SCALED
from lmc_core.tasks import Examples
from lmc_core.training.batches import make_batches
from lmc_core.training.recipes import Recipe, get_recipe

# where the feed-forward layer of block i stands, by family
PLACES = {"vit": "blocks.{}.mlp", "gpt2": "transformer.h.{}.mlp", "llama": "model.layers.{}.mlp"}
ROUTINGS = ("dense", "sparse", "shared")
ACTIVE = 2  # experts that a token visits, besides a shared one
BALANCE = 0.01  # weight of the load-balancing loss of mixtures that choose
WARM = 0.1  # share of the steps in which the rate rises


class Mixture(nn.Module):
    """sum_e p_e (V_e relu(U_e x + b_e) + c_e), p a softmax of G x + g over all experts or over the
    best few, with a shared expert beside them if wanted.

    Args:
        width: of the stream.
        experts: how many there are.
        units: of each.
        active: how many each token visits.
        shared: units of the shared expert, 0 for none.
    """

    def __init__(self, width: int, experts: int, units: int, active: int, shared: int):
        super().__init__()
        self.active, self.balance = active, torch.zeros(())
        self.gate = nn.Linear(width, experts)
        layers = [(nn.Linear(width, units), nn.Linear(units, width)) for _ in range(experts)]
        for name, layer in (("up", 0), ("down", 1)):
            each = [pair[layer] for pair in layers]
            self.register_parameter(name, _stacked([linear.weight for linear in each]))
            self.register_parameter(f"{name}_bias", _stacked([linear.bias for linear in each]))
        self.shared_up = nn.Linear(width, shared) if shared else None
        self.shared_down = nn.Linear(shared, width) if shared else None

    def forward(self, x: Tensor) -> Tensor:
        """The output `[..., width]` for inputs `[..., width]`."""
        up, down = cast(Tensor, self.up), cast(Tensor, self.down)
        scores = self.gate(x)
        chosen = scores.topk(self.active, -1).indices
        mask = torch.zeros_like(scores).scatter(-1, chosen, 1.0)
        shares = scores.masked_fill(mask == 0, float("-inf")).softmax(-1)
        self.balance = (
            scores.shape[-1]
            * (
                (mask.flatten(0, -2).mean(0) / self.active)
                * scores.softmax(-1).flatten(0, -2).mean(0)
            ).sum()
        )
        units = F.linear(x, up.flatten(0, 1), cast(Tensor, self.up_bias).flatten()).relu()
        weighted = units.unflatten(-1, up.shape[:2]) * shares[..., None]
        out = F.linear(weighted.flatten(-2), down.transpose(0, 1).flatten(1))
        out = out + shares @ cast(Tensor, self.down_bias)
        if self.shared_up is not None and self.shared_down is not None:
            out = out + self.shared_down(self.shared_up(x).relu())
        return out


def _stacked(tensors: Sequence[Tensor]) -> nn.Parameter:
    return nn.Parameter(torch.stack([tensor.detach() for tensor in tensors]))


@dataclass(frozen=True)
class Setting:
    """What is replaced by what, and how it is trained.

    Attributes:
        backbone: an included model without mixtures.
        layers: numbers of the blocks whose feed-forward layer is replaced.
        routing: ``dense``, ``sparse`` (the best two) or ``shared`` (the best two and a shared one).
        experts: of each mixture.
        units: of each expert.
        steps: of AdamW; the rate rises for a tenth of them and falls linearly to zero.
        batch: examples a step.
        rate: the peak rate.
        decay: weight decay of everything but single vectors.
        length: window of a text task, in tokens.
    """

    backbone: str
    layers: tuple[int, ...]
    routing: str
    experts: int
    units: int
    steps: int
    batch: int
    rate: float
    decay: float
    length: int = 128

    @property
    def name(self) -> str:
        """Of the files of its mixtures."""
        layers = "".join(map(str, self.layers))
        shape = f"{self.routing}-{self.experts}x{self.units}-layers{layers}"
        return f"{self.backbone}-{shape}-{self.steps}x{self.batch}-{self.rate:g}-{self.decay:g}"

    def model(self, seed: int) -> tuple[Model, nn.Module]:
        """The backbone with fresh mixtures of a seed, as a model whose only parameters they are,
        and as a module to train.
        """
        backbone = load(f"zoo:{self.backbone}")
        module = backbone.module()
        freeze(module)
        structure, place = Structure("shared backbone"), PLACES[backbone.family.name]
        width = int(backbone.layout.spaces["residual"].size)
        structure.space("residual", "residual", width, NONE, "the backbone is shared")
        torch.manual_seed(seed)
        for layer in self.layers:
            shared = self.units if self.routing == "shared" else 0
            active = self.experts if self.routing == "dense" else ACTIVE
            at = place.format(layer)
            module.set_submodule(at, Mixture(width, self.experts, self.units, active, shared))
            describe(structure, str(layer), at, self, width)
        takes = "text" if backbone.family.takes == "text" else "images"
        return own_model(module, structure, backbone.family.outputs, f"s{seed}", takes), module

    def recipe(self, seed: int) -> Recipe:
        """The order of the data."""
        changes = {"seed": seed, "batch": self.batch, "length": self.length}
        return get_recipe(self.backbone, **changes)


def freeze(module: nn.Module) -> None:
    """Turn the parameters of a module into constants that no state dict names."""
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, parameter.detach().clone(), persistent=False)
        for name, buffer in list(part.named_buffers(recurse=False)):
            part.register_buffer(name, buffer, persistent=False)


def describe(s: Structure, i: str, at: str, setting: Setting, width: int) -> None:
    """Write down the spaces and blocks of the mixture of block `i`, whose parameters begin with `at`."""
    count, units = setting.experts, setting.units
    experts, inside = f"experts.{i}", f"units.{i}"
    reason = "ReLU commutes with positive scales"
    s.space(experts, "experts", count, PERMUTATIONS, "an expert moves with its row of the gate")
    s.space(inside, "units", units, SCALED, reason, within=experts, positive=True)
    s.linear(f"{i}.gate", f"{at}.gate", f"+{experts}", "-residual", ignores_mean_over=0)
    s.parameter(
        f"{i}.up.weight", f"{at}.up", f"+{experts} +{inside} -residual", (count, units, width)
    )
    s.parameter(f"{i}.up.bias", f"{at}.up_bias", f"+{experts} +{inside}", (count, units))
    s.parameter(
        f"{i}.down.weight", f"{at}.down", f"+{experts} +residual -{inside}", (count, width, units)
    )
    s.parameter(f"{i}.down.bias", f"{at}.down_bias", f"+{experts} +residual", (count, width))
    s.product(inside, (f"{i}.up.weight", f"{i}.up.bias"), (f"{i}.down.weight",))
    if setting.routing == "shared":
        shared = s.space(f"shared.{i}", "units", units, SCALED, reason, positive=True)
        up = s.linear(f"{i}.shared.up", f"{at}.shared_up", f"+{shared}", "-residual")
        down = s.linear(f"{i}.shared.down", f"{at}.shared_down", "+residual", f"-{shared}")
        s.product(shared, tuple(filter(None, up)), down[:1])


def train(setting: Setting, seed: int, folder: Path) -> Model:
    """The trained mixtures of a seed, from their file or trained now."""
    model, module = setting.model(seed)
    file = folder / f"{setting.name}-s{seed}.safetensors"
    if not file.exists():
        begin = time.process_time()
        fit(setting, model, module, make_batches(setting.recipe(seed), subset=True))
        print(f"{file.stem} {time.process_time() - begin:.0f} s of CPU", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        model.with_state({n: t.detach() for n, t in module.state_dict().items()}).save(
            folder / "new"
        )
        (folder / "new" / "model.safetensors").rename(file)
    return model.with_state(load_file(file))


def fit(setting: Setting, model: Model, module: nn.Module, batches: Iterator[Examples]) -> None:
    """Train the mixtures of a module in place.

    Args:
        setting: how.
        model: that the module is of, for how its outputs are computed.
        module: with parameters in its mixtures alone.
        batches: of the training split.
    """
    module.requires_grad_(True).train()
    matrices = [p for p in module.parameters() if p.ndim > 1]
    others = [p for p in module.parameters() if p.ndim < 2]
    groups = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    solver = torch.optim.AdamW(groups, lr=setting.rate, weight_decay=setting.decay)
    warm = max(1, round(WARM * setting.steps))
    mixtures = [part for part in module.modules() if isinstance(part, Mixture)]
    for step in range(setting.steps):
        share = min((step + 1) / warm, (setting.steps - step) / (setting.steps - warm))
        for group in solver.param_groups:
            group["lr"] = setting.rate * share
        batch = next(batches)
        logits = model.family.outputs(module, batch.inputs)
        loss = F.cross_entropy(logits.flatten(0, -2), batch.targets.flatten())
        if setting.routing != "dense":
            loss = loss + BALANCE * torch.stack([part.balance for part in mixtures]).mean()
        solver.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        solver.step()
    module.eval()
