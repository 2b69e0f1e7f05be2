"""Models write windows by their own distribution, reproducibly, and others are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lmc_core import load
from lmc_core.errors import BadInput, Cancelled
from lmc_core.models.config import Config
from lmc_core.models.forward import run
from lmc_core.models.model import Model
from lmc_core.tasks import generated
from lmc_core.tasks.generated import find_length, write_windows
from tests.tiny import tiny


def certain(model: Model) -> Model:
    """The model with a head so large that each token has one successor."""
    state = {name: tensor.clone() for name, tensor in model.state.items()}
    state["lm_head.weight"] = 1e4 * state["lm_head.weight"]
    return model.with_state(state)


@pytest.mark.parametrize("family", ["gpt2", "llama", "neox", "mixtral"])
def test_windows_are_written_by_both_models(family: str) -> None:
    models = [load(f"zoo:{family}-plays-s{seed}") for seed in (0, 1)]
    found = write_windows(models, 9, 12, seed=3)
    assert found.inputs.shape == found.targets.shape == (9, 12)
    assert torch.equal(found.inputs[:, 1:], found.targets[:, :-1])
    again, other = (write_windows(models, 9, 12, seed=seed) for seed in (3, 4))
    assert torch.equal(again.inputs, found.inputs) and not torch.equal(other.inputs, found.inputs)
    state = torch.get_rng_state()
    write_windows(models, 2, 3)
    assert torch.equal(torch.get_rng_state(), state)


def test_what_is_written_is_what_the_model_predicts() -> None:
    """Where one token is certain to follow, it is the largest logit."""
    model = certain(load("zoo:llama-plays-s0"))
    found = write_windows([model], 6, 10)
    assert torch.equal(run(model, found.inputs).argmax(-1), found.targets)


def test_tokens_follow_their_probabilities() -> None:
    """First successors of a fixed first token, against its softmax, by a chi-squared statistic."""
    model = tiny("gpt2", 0)
    model = replace(model, config=Config({**model.config, "bos_token_id": 5}))
    found = write_windows([model], 4000, 2)
    assert (found.inputs[:, 0] == 5).all()
    wanted = run(model, torch.tensor([[5]]))[0, 0].double().softmax(-1)
    seen = torch.bincount(found.inputs[:, 1], minlength=len(wanted)).double()
    square = ((seen - 4000 * wanted).square() / (4000 * wanted)).sum()
    freedom = len(wanted) - 1
    assert abs(square - freedom) < 6 * (2 * freedom) ** 0.5


def test_a_run_is_stopped_between_tokens() -> None:
    told: list[float] = []

    def stop(share: float, words: str) -> None:
        told.append(share)
        if len(told) == 4:
            raise Cancelled("The run was cancelled.")

    with pytest.raises(Cancelled):
        write_windows([tiny("gpt2", 0)], 4, 12, progress=stop)
    assert told == sorted(told) and told[-1] < 1


def test_many_windows_are_written_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generated, "TOGETHER", 3)
    assert write_windows([tiny("gpt2", 0), tiny("gpt2", 1)], 8, 4).inputs.shape == (8, 4)


def test_models_that_write_nothing_are_refused() -> None:
    with pytest.raises(BadInput, match="does not write text"):
        write_windows([tiny("vit", 0)], 4, 4)


def test_the_length_is_that_of_the_context() -> None:
    model = tiny("gpt2", 0)
    said = model.config["n_positions"]
    assert isinstance(said, int)
    assert find_length(model, 10**6) == said and find_length(model, 4) == 4
