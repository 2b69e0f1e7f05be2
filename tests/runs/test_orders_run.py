"""An `OrdersRequest` from models in folders to a result of plain values that agrees with curves
measured apart.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lmc_core.errors import BadInput
from lmc_core.models.families import FAMILIES
from lmc_core.models.model import Model, untied_state
from lmc_core.runs.computation import request_from_json
from lmc_core.runs.kinds.barrier import make_request
from lmc_core.runs.kinds.orders import compute
from lmc_core.runs.requests.orders import OrdersRequest
from tests import tiny

RAW = {
    "vocab_size": 81, "hidden_size": 16, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 32, "num_local_experts": 3,
    "num_experts_per_tok": 2, "tie_word_embeddings": False, "model_type": "mixtral",
}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two random mixtures of three experts for `plays`."""
    root, family, found = tmp_path_factory.mktemp("mixtral"), FAMILIES["mixtral"], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tiny.TASKS, "mixtral", "plays")
        for seed in range(2):
            config = family.config(dict(RAW))
            torch.manual_seed(seed)
            state = {
                n: t + 0.3 * torch.randn_like(t)
                for n, t in untied_state(family.build(config)).items()
            }
            found.append(
                tiny.write(
                    root / f"s{seed}", Model(f"tiny-mixtral-s{seed}", family, config, state).check()
                )
            )
    return found[0], found[1]


def request_for(folders: tuple[Path, Path], method: str = "weight", **own: int) -> OrdersRequest:
    asked = make_request(
        *(f"path:{folder}" for folder in folders),
        examples=4,
        length=16,
        device="cpu",
        method=method,
    )
    return OrdersRequest.of(asked, **({"points": 5} | own))


def test_a_result_is_plain_and_its_curves_are_those_of_its_arrays(
    folders: tuple[Path, Path],
) -> None:
    said: list[tuple[float, str]] = []
    request = request_for(folders, draws=3)
    result, arrays = compute(request, lambda share, words: said.append((share, words)))
    assert json.loads(json.dumps(result)) == result
    assert [fan["mixture"] for fan in result["fans"]] == ["experts.0", "experts.1", "all"]
    assert [each["name"] for each in result["mixtures"]] == ["experts.0", "experts.1"]
    for fan in result["fans"]:
        losses = arrays[f"losses.{fan['mixture']}"].astype(np.float64)
        assert losses.shape == (len(fan["orders"]), 5, 4)
        assert np.allclose(fan["loss"], losses.mean(2))
        chord = np.outer(1 - np.array(result["lam"]), losses[0, 0]) + np.outer(
            result["lam"], losses[0, -1]
        )
        above = (losses - chord).mean(2)[:, 1:-1]
        peaks = np.where(above.max(1) > 0, above.max(1), above.min(1))
        assert np.allclose(fan["barrier"], peaks, atol=1e-9)
    first = result["fans"][0]
    assert first["there"] == len(first["orders"]) == 6 and result["fans"][2]["there"] == 36
    assert first["orders"][first["named"]["gram"]] == [result["mixtures"][0]["orders"]["gram"]]
    # the ends are the models themselves
    assert np.isclose(result["plain"]["loss"][0], first["loss"][0][0], atol=1e-4)
    ends = result["plain"]["loss"][0], result["plain"]["loss"][-1]
    assert abs(ends[0] - ends[1]) > 1e-3  # so that the chord has a direction
    assert np.allclose(result["chord"], [(1 - x) * ends[0] + x * ends[1] for x in result["lam"]])
    assert 0 <= result["function_error"] < 1e-4
    assert [share for share, _ in said] == sorted(share for share, _ in said) and said[-1][0] == 1.0


def test_routing_is_followed_for_every_way(folders: tuple[Path, Path]) -> None:
    result, _ = compute(request_for(folders, draws=1))
    for way in ("naive", "router", "gram", "exact"):
        followed = result["routing"][way]
        assert followed["mixtures"] == ["experts.0", "experts.1"] and followed["lam"][0] == 0.0
        assert np.allclose(followed["with_a"][0], 1.0) and np.allclose(followed["with_b"][-1], 1.0)
        assert np.allclose(np.sum(followed["load"], axis=2), 1.0)
    ends = [
        np.sort(np.array(result["routing"][way]["load"][-1]), axis=1) for way in ("naive", "exact")
    ]
    assert np.allclose(ends[0], ends[1], atol=1e-9)  # the same experts of B, in another order


def test_the_request_survives_json_and_has_a_key_of_its_own(folders: tuple[Path, Path]) -> None:
    request = request_for(folders)
    assert request_from_json(json.loads(json.dumps(request.to_json()))) == request
    assert len({request.key, replace(request, draws=5).key, replace(request, points=9).key}) == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"method": "learned"}, "within weight or activation matching"),
        ({"points": 6}, "odd and at least 3; 6 came"),
        ({"draws": 0}, "At least 1 order"),
    ],
)
def test_what_cannot_be_computed_is_refused(
    folders: tuple[Path, Path], change: dict, said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        compute(replace(request_for(folders), **change))


def test_models_without_experts_are_refused(tiny_gpt2_pair: tuple[Path, Path]) -> None:
    with pytest.raises(BadInput, match="no experts"):
        compute(request_for(tiny_gpt2_pair))


def test_activation_matching_has_an_order_of_its_own(folders: tuple[Path, Path]) -> None:
    from lmc_core.analysis.expert_orders import find_order
    from lmc_core.runs.cache import aligned_pair
    from lmc_core.runs.inputs import open_inputs
    from lmc_core.runs.kinds.barrier import compute as compute_barrier

    request = request_for(folders, "activation", draws=2)
    result, _ = compute(request)
    (a, b), task, examples = open_inputs(request)
    pair = aligned_pair(request, (a, b), examples, task, lambda share, words: None)
    for fan, mixture in zip(result["fans"], result["mixtures"], strict=False):
        chosen = find_order(pair.a.layout, pair.alignment, mixture["name"]).tolist()
        assert mixture["orders"]["found"] == chosen == fan["orders"][fan["named"]["found"]][0]
    joint = result["fans"][-1]
    assert joint["orders"][joint["named"]["found"]] == [
        each["orders"]["found"] for each in result["mixtures"]
    ]
    asked = make_request(
        *(f"path:{folder}" for folder in folders),
        examples=4,
        length=16,
        device="cpu",
        method="activation",
        points=5,
        refine=0,
    )
    barrier, _ = compute_barrier(asked)
    # the method as the page Barrier has it
    assert result["matched"]["loss"] == pytest.approx(barrier["loss"], abs=1e-5)
    assert "found" in result["routing"] and result["method"] == "activation"
    plain, _ = compute(request_for(folders, draws=2))
    assert plain["matched"] is None and "found" not in plain["fans"][0]["named"]
