"""Every kind of computation on a device without float64, as MPS is: the numbers of the CPU to the
rounding of float32.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from lmc_core.equivariance import run
from lmc_core.equivariance.request import make_equivariance_request
from lmc_core.models.model import Model
from lmc_core.runs.computation import COMPUTATIONS, Arrays
from lmc_core.runs.kinds.barrier import make_request
from lmc_core.runs.kinds.many import make_group_request
from lmc_core.runs.kinds.merge import make_merge_requests
from lmc_core.runs.kinds.transport import make_transport_request
from lmc_core.runs.request import ModelsRequest
from lmc_core.runs.requests.alignment import AlignmentRequest
from lmc_core.runs.requests.along import QUANTITIES, make_along_request
from lmc_core.runs.requests.bend import make_bend_request
from lmc_core.runs.requests.layers import LayersRequest
from lmc_core.runs.requests.orders import OrdersRequest
from lmc_core.runs.requests.plane import choose_plane
from lmc_core.runs.requests.point import choose_point
from tests.tiny import tiny, write

FEW = {"task": None, "examples": 12, "device": "cpu"}
CURVE = {**FEW, "points": 3, "refine": 0}
LEARN = {"method": "learned", "learn": 24, "settings": {"steps": 3, "batch": 4, "checks": 1}}


def references(family: str, folder: Path, count: int) -> list[str]:
    paths = [write(folder / f"{family}-{k}", tiny(family, k)) for k in range(count)]
    return [f"path:{path}" for path in paths]


def pair(family: str, folder: Path, **asked: object) -> ModelsRequest:
    return make_request(*references(family, folder, 2), **{**CURVE, **asked})


def along(family: str, folder: Path, quantity: str) -> ModelsRequest:
    other = "austen" if quantity == "other-task" else None
    return make_along_request(pair(family, folder), quantity, 3, other=other, curved=4, probes=2)


def merged(folder: Path, frame: str, merges: Sequence[str], steps: int) -> ModelsRequest:
    three = references("gpt2", folder, 3)
    return make_merge_requests(three, frames=[frame], merges=merges, steps=steps, learn=24, **FEW)[
        0
    ]


def transported(folder: Path) -> ModelsRequest:
    base, target = (tiny("gpt2", seed) for seed in (0, 1))
    models = [base, tuned(base), target, tuned(target)]
    paths = [write(folder / f"transport-{k}", model) for k, model in enumerate(models)]
    return make_transport_request([f"path:{path}" for path in paths], shares=[0.5], **FEW)


def tuned(model: Model) -> Model:
    """A model a little beside another one."""
    torch.manual_seed(7)
    return model.with_state(
        {name: each + 0.01 * torch.randn_like(each) for name, each in model.state.items()}
    )


def plane_of(folder: Path) -> ModelsRequest:
    two = references("vit", folder, 2)
    return choose_plane([make_request(*two, **CURVE)], "pair", 5)


KINDS: dict[str, Callable[[Path], ModelsRequest]] = {
    "plain": lambda f: pair("gpt2", f, method="none"),
    "weight": lambda f: pair("mixtral", f),
    "activation": lambda f: pair("vit", f, method="activation", learn=24),
    "soft": lambda f: pair("gpt2", f, method="soft", settings={"temperature": 0.1, "rounds": 3}),
    "learned": lambda f: pair("gpt2", f, **LEARN),
    "joint": lambda f: pair("gpt2", f, **{**LEARN, "method": "joint"}),
    "generated": lambda f: pair(
        "gpt2", f, method="generated", settings={"steps": 3, "batch": 4, "checks": 1, "windows": 8}
    ),
    "bend": lambda f: pair("gpt2", f, bend=3, learn=24),
    "rerouted": lambda f: pair("mixtral", f, reroute=True, learn=24),
    "tempered": lambda f: pair("gpt2", f, temperature=True),
    "bfloat16": lambda f: pair("gpt2", f, precision="bfloat16"),
    "both bends": lambda f: make_bend_request(pair("gpt2", f, learn=24, method="activation"), 3, 3),
    "alignment": lambda f: AlignmentRequest.of(pair("gpt2", f)),
    "layers": lambda f: LayersRequest.of(pair("vit", f)),
    "orders": lambda f: OrdersRequest.of(pair("mixtral", f)),
    "plane": plane_of,
    "point": lambda f: choose_point(plane_of(f), 0.3, 0.2),
    "group": lambda f: make_group_request(
        references("gpt2", f, 3), settings={"steps": 3}, learn=24, **FEW
    ),
    "merge": lambda f: merged(
        f, "universe", ["average", "slerp", "task-arithmetic", "ties", "dare", "soup"], 0
    ),
    "learned merge": lambda f: merged(f, "learned", ["average", "ensemble"], 3),
    "transport": transported,
    **{f"along, {name}": lambda f, name=name: along("gpt2", f, name) for name in QUANTITIES},
}
LEARNS = ("learned", "joint", "generated", "bend", "both bends", "learned merge")


@pytest.mark.alone
@pytest.mark.parametrize("form", ["free", "equality", "resilient"])
def test_a_network_is_trained_towards_equivariance(
    float32_alone: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SIDE": 5, "ROWS": 80, "SHARES": 5}.items():  # of what is measured after it
        monkeypatch.setattr(run, name, value)
    request = make_equivariance_request(form=form, steps=6, examples=20)
    found = [
        COMPUTATIONS[request.what].compute(dataclasses.replace(request, device=device))
        for device in ("cpu", float32_alone)
    ]
    assert found[0][1].keys() == found[1][1].keys()
    one, two = (numbers["on"]["loss"] for numbers, _ in found)
    assert two == pytest.approx(one, rel=0.05)


def compute(request: ModelsRequest, device: str, folder: Path) -> Arrays:
    """The arrays of a request on a device, by what was kept of no other run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LMC_HOME", str(folder / device))
        there = dataclasses.replace(request, device=device)
        return COMPUTATIONS[request.what].compute(there)[1]


@pytest.mark.alone
@pytest.mark.parametrize("kind", KINDS)
def test_what_it_finds_is_what_it_finds_on_the_cpu(
    float32_alone: str, kind: str, tmp_path: Path
) -> None:
    request = KINDS[kind](tmp_path)
    here = compute(request, "cpu", tmp_path)
    there = compute(request, float32_alone, tmp_path)
    assert there.keys() == here.keys()
    for name, values in here.items():
        assert there[name].shape == values.shape and there[name].dtype == values.dtype
        if "loss" in name and kind not in LEARNS:
            np.testing.assert_allclose(there[name], values, rtol=0.02, atol=0.02)
