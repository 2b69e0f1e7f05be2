"""Runs towards equivariance: requests, what is refused, what a result holds, and what lies there
meanwhile.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from lmc_core.equivariance import networks
from lmc_core.equivariance.data import domain_of, sample
from lmc_core.equivariance.domains import Domain
from lmc_core.equivariance.groups import group
from lmc_core.equivariance.numbers import EquivarianceRequest
from lmc_core.equivariance.request import make_equivariance_request
from lmc_core.equivariance.run import compute
from lmc_core.errors import BadInput, Cancelled, UnknownName
from lmc_core.runs.computation import COMPUTATIONS, request_from_json
from lmc_core.runs.executors import obtain
from lmc_core.runs.partial import Unfinished
from lmc_core.runs.result import Result
from lmc_core.runs.store import Store

SMALL = {"steps": 12, "examples": 20}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LMC_HOME", str(tmp_path))
    return tmp_path


def test_requests_come_back_and_settings_of_other_forms_do_not_count() -> None:
    request = make_equivariance_request(form="resilient", price=0.5)
    assert (
        request_from_json(request.to_json()) == request
        and request.key == EquivarianceRequest.from_json(request.to_json()).key
    )
    assert (
        make_equivariance_request(form="free", price=0.5).key
        == make_equivariance_request(form="free", augmented=7.0).key
    )
    assert make_equivariance_request(form="resilient", price=0.4).key != request.key
    assert (
        make_equivariance_request(form="equality", price=0.5).key
        == make_equivariance_request(form="equality").key
    )
    assert (
        make_equivariance_request(network="convolution").batch
        == networks.NETWORKS["convolution"].batch
    )


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        ({"form": "resilient", "price": 0}, BadInput, "price rho"),
        ({"form": "resilient", "dual_rate": 0.5}, BadInput, "at most the price"),
        ({"primal_rate": -1}, BadInput, "primal rate"),
        ({"group": "C7"}, UnknownName, "no group 'C7'"),
        ({"kind": "bent"}, UnknownName, "no kind of data 'bent'"),
        ({"source": "cifar"}, UnknownName, "no data 'cifar'"),
        ({"network": "resnet"}, UnknownName, "no network 'resnet'"),
        ({"form": "soft"}, UnknownName, "no form 'soft'"),
        ({"group": "S3", "network": "convolution"}, BadInput, "grey images"),
        ({"split": "train"}, BadInput, "validation or the test split"),
        ({"examples": 801}, BadInput, "10 to 800 training examples"),
        ({"group": "S3", "examples": 801}, BadInput, "10 to 800 training examples"),
        ({"steps": 0}, BadInput, "steps are expected"),
    ],
)
def test_refused(words: dict[str, object], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        make_equivariance_request(**words)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "words",
    [{}, {"group": "S3", "kind": "symmetric"}, {"network": "convolution", "form": "resilient"}],
)
def test_result(words: dict[str, str]) -> None:
    request = make_equivariance_request(**SMALL, **words)  # type: ignore[arg-type]
    threads = torch.get_num_threads()
    result, arrays = COMPUTATIONS["equivariance"].compute(request, lambda share, said: None, False)
    assert torch.get_num_threads() == threads
    layers, order = len(result["layers"]), len(result["group_labels"])
    assert arrays["trace.step"].tolist() == list(range(13))
    for name in ("gamma", "multiplier", "slack", "gradient", "gauge"):
        assert arrays[f"trace.{name}"].shape == (13, layers)
    assert arrays["trace.loss"].shape == (13, 4) and arrays["trace.error"].shape == (13, 2)
    assert (
        arrays["path.loss"].shape
        == (len(arrays["path.step"]), len(arrays["path.share"]))
        == (4, 21)
    )
    assert (
        arrays["strip.inputs"].shape[:2] == (6, order)
        and len(set(arrays["strip.labels"].tolist())) == 6
    )
    assert result["gamma"] == arrays["trace.gamma"][-1].tolist()
    assert result["on"]["loss"] == pytest.approx(arrays["path.loss"][-1, -1], rel=1e-6)
    assert result["off"]["loss"] == pytest.approx(arrays["path.loss"][-1, 0], rel=1e-6)
    assert result["error_off"] < 1e-5 < result["error_on"] and result["function_error"] < 1e-6
    assert Unfinished(request.key).read() is None
    # The weights are an ordinary state dict of the network's class, and give the loss that the
    # result names.
    domain = domain_of(request.source, group(request.group))
    module, _ = networks.build(request.network, domain, 5)
    weights = {
        name.removeprefix("weights."): torch.from_numpy(a)
        for name, a in arrays.items()
        if name.startswith("weights.")
    }
    module.load_state_dict(weights)
    held = sample(request.source, request.kind, domain, request.split, request.seed)
    with torch.no_grad():
        loss = float(cross_entropy(module(held.inputs), held.labels))
    assert loss == pytest.approx(result["on"]["loss"], rel=1e-5)


def test_another_network_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the request to the panel of a study; what nobody described, its moved copies, is left
    out.
    """
    from lmc_core.equivariance.layout import EquivariantLayout, linear
    from lmc_core.equivariance.page.cost import expected
    from lmc_core.figures.panel import panels

    def build(domain: Domain) -> tuple[torch.nn.Module, EquivariantLayout]:
        layers = {"only": linear("0", domain.output, domain.input)}
        net = torch.nn.Sequential(torch.nn.Linear(domain.input.size, domain.classes))
        return net, EquivariantLayout(domain.input, domain.output, layers)

    module = ModuleType("one_layer")
    vars(module)["build"] = build
    monkeypatch.setitem(sys.modules, "one_layer", module)
    monkeypatch.setitem(
        networks.NETWORKS, "one", networks.Network("One layer", "one_layer", ("image",))
    )
    request = make_equivariance_request(**SMALL, network="one")  # type: ignore[arg-type]
    result, arrays = compute(request)
    assert (
        result["layers"] == ["only"] and "copies" not in result and arrays["plane.loss"].ndim == 2
    )
    stored = Result(request.key, request.to_json(), result, Path(), "")
    monkeypatch.setattr(Result, "arrays", lambda self: arrays)
    assert panels([stored])[0].figure is not None and expected([request], {}).seconds > 0


def test_the_same_request_gives_the_same_numbers() -> None:
    one, other = (compute(make_equivariance_request(**SMALL, batch=8)) for _ in range(2))  # type: ignore[arg-type]
    assert all(np.array_equal(one[1][name], other[1][name]) for name in one[1])
    assert one[0]["on"] == other[0]["on"]


def test_what_there_is_lies_there_meanwhile_and_a_cancelled_run_stores_nothing(home: Path) -> None:
    request = make_equivariance_request(**SMALL)  # type: ignore[arg-type]
    seen = []

    def report(share: float, said: str) -> None:
        seen.append((share, said))
        if "step 9" in said:
            raise Cancelled("stop")

    store = Store(home / "results", home / "none")
    with pytest.raises(Cancelled):
        obtain(request, report, store)
    assert store.get(request.key) is None and [share for share, _ in seen] == sorted(
        share for share, _ in seen
    )
    found = Unfinished(request.key).read()
    assert found is not None and found[0]["layers"] == ["first", "second", "head"]
    assert len(found[1]["trace.gamma"]) == len(found[1]["trace.step"]) >= 1
    done = obtain(request, lambda share, said: None, store)
    assert done.result["form"] == "equality" and Unfinished(request.key).read() is None
