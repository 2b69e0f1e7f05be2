"""Random directions around one model whose filters are as long as the model's own.

    d_f  <-  d_f |theta_f| / |d_f|     for every filter f;  0 for biases and the gains of norms

(Li et al. 2018, arXiv 1712.09913.) A filter is what one output is computed from: a row of a matrix,
the kernel of one channel, the vector of one token. Without this a network whose weights are large
would look flat and its equal in function sharp.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lmc_core.models.mixing import in_single
from lmc_core.models.model import Model
from lmc_core.paths.plane import Plane


def random_plane(model: Model, seed: int = 0) -> Plane:
    """The plane of two filter-normalised random directions around a model, theta + u d_1 + v d_2.

    Its coordinates are shares of the filters' norms, not distances: d_1 and d_2 are nearly
    orthogonal, not exactly.

    Args:
        model: at (0, 0).
        seed: of the directions.
    """
    generator = torch.Generator().manual_seed(seed)

    def end() -> dict[str, Tensor]:
        drawn = filter_normalised(model, generator)
        return {
            n: in_single(t) + drawn[n].to(t.device) if t.ndim > 1 else t
            for n, t in model.state.items()
        }

    return Plane(model, end(), end(), torch.eye(2, dtype=torch.float64))


def filter_normalised(model: Model, generator: torch.Generator) -> Mapping[str, Tensor]:
    """A Gaussian direction with every filter scaled to the norm of the model's, float32.

    Args:
        model: whose filters are taken as the measure.
        generator: of the numbers; parameters draw in alphabetical order.
    """
    leading = _columns(model)
    found = {}
    for name in sorted(model.state):
        tensor = model.state[name].float().cpu()
        if tensor.ndim < 2:
            found[name] = torch.zeros_like(tensor)
            continue
        drawn = torch.randn(tensor.shape, generator=generator)
        inputs = (0,) if name in leading else (1, 2, 3) if tensor.ndim == 4 else (-1,)
        norms, ours = (each.square().sum(inputs, keepdim=True).sqrt() for each in (tensor, drawn))
        found[name] = drawn * norms / ours.clamp(min=1e-30)
    return found


def _columns(model: Model) -> set[str]:
    """Matrices that are stored with their inputs first, those of transformers' `Conv1D`."""
    modules = model.module().named_modules()
    return {f"{name}.weight" for name, module in modules if type(module).__name__ == "Conv1D"}
