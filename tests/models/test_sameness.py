"""Models that hold the same weights, or the same but for some: it is said which, and nothing is
refused.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lmc_core.figures.text import same_weights
from lmc_core.models.lazy import LazyState
from lmc_core.models.load import load
from lmc_core.models.model import Model
from lmc_core.models.sameness import abbreviated, common_weights, sameness
from tests import tiny

Pair = tuple[Path, Path]


@pytest.fixture(scope="module")
def pair() -> tuple[Model, Model]:
    return tiny.tiny("gpt2", 0), tiny.tiny("gpt2", 1)


def mixed(a: Model, b: Model, *beginnings: str) -> Model:
    """The first model with the parameters of the second where the names begin so."""
    return a.with_state(
        {name: (b if name.startswith(beginnings) else a).state[name] for name in a.state}
    )


def said(*models: Model) -> list[str]:
    return same_weights(
        {"same": common_weights(models), "digests": [model.digest for model in models]}
    )


def test_the_same_weights_under_another_name_and_type(pair: tuple[Model, Model]) -> None:
    a, _ = pair
    halved = a.with_state({name: tensor.bfloat16() for name, tensor in a.state.items()})
    wide = replace(
        halved, name="copy", state={name: tensor.float() for name, tensor in halved.state.items()}
    )
    assert (
        said(a, replace(a, name="copy")) == said(halved, wide) == ["A and B hold the same weights."]
    )


def test_all_but_one_layer(pair: tuple[Model, Model]) -> None:
    a, b = pair
    assert said(a, mixed(a, b, "transformer.h.1.")) == [
        "A and B differ only in transformer.h.1.*: 12 of 28 tensors."
    ]
    found = sameness(a, mixed(a, b, "transformer.h.1.ln_1.weight", "transformer.wte"))
    assert (
        set(found.differ) == {"transformer.h.1.ln_1.weight", "transformer.wte.weight"}
        and len(found.same) == 26
    )


def test_a_difference_in_the_last_value_is_one(pair: tuple[Model, Model]) -> None:
    a, _ = pair
    table = a.state["transformer.wte.weight"].clone()
    table[-1, -1] += 1e-6
    changed = a.with_state({**a.state, "transformer.wte.weight": table})
    assert sameness(a, changed).differ == ("transformer.wte.weight",)


def test_one_part_in_common(pair: tuple[Model, Model]) -> None:
    a, b = pair
    assert said(b, mixed(b, a, "transformer.wte")) == [
        "A and B differ only in transformer.wte.weight: 1 of 28 tensors."
    ]
    assert said(a, mixed(b, a, "transformer.wte")) == [
        "A and B have transformer.wte.weight in common: 1 of 28 tensors."
    ]


def test_of_models_trained_apart_nothing_is_said_though_gains_are_all_one(
    pair: tuple[Model, Model],
) -> None:
    assert said(*pair) == []
    ones = [
        model.with_state(
            {
                n: torch.ones_like(t) if ".ln_" in n and n.endswith("weight") else t
                for n, t in model.state.items()
            }
        )
        for model in pair
    ]
    assert said(*ones) == []


def test_of_several_models_pairs_are_named_by_number(pair: tuple[Model, Model]) -> None:
    a, b = pair
    assert said(a, b, replace(a, name="again")) == ["Models 1 and 3 hold the same weights."]


@pytest.mark.parametrize("alike", [0, 1])
def test_every_parameter_is_read_once_and_once_more_where_another_begins_alike(
    pair: tuple[Model, Model], alike: int
) -> None:
    drawn = [tiny.tiny("gpt2", seed) for seed in range(2, 5)]
    models, read = [*pair, *drawn, *pair[:alike]], Counter[tuple[int, str]]()

    def lazily(number: int, model: Model) -> Model:
        def make(name: str) -> torch.Tensor:
            read[number, name] += 1
            return model.state[name]

        return model.with_state(LazyState(model.state, make))

    found = common_weights([lazily(*each) for each in enumerate(models)])
    assert [each["models"] for each in found] == [[0, 5]] * alike
    tables = {number: read[number, "transformer.wte.weight"] for number in range(len(models))}
    assert tables == {number: 2 if alike and number in (0, 5) else 1 for number in tables}
    assert set(read.values()) <= {1, 2}  # some begin alike, as gains do that are all 1


def test_values_are_compared_whatever_their_types(pair: tuple[Model, Model]) -> None:
    a, table = pair[0], "transformer.wte.weight"
    state = {name: torch.where(each.abs() < 0.01, 0.0, each) for name, each in a.state.items()}
    signed = {name: torch.where(each == 0, -0.0, each) for name, each in state.items()}
    wide = {name: each.double() for name, each in state.items()}
    for other in (signed, wide):
        assert not sameness(a.with_state(state), a.with_state(other)).differ
    finer = a.with_state({**wide, table: wide[table] + 1e-12})  # less than float32 can tell
    for other in (state, wide):
        assert sameness(finer, a.with_state(other)).differ == (table,)


def test_results_from_before_say_it_by_their_digests() -> None:
    assert same_weights({"digests": ["a", "a"]}) == ["A and B hold the same weights."]
    assert same_weights({"digests": ["a", "b"]}) == [] == same_weights({})


def test_whole_layers_are_abbreviated() -> None:
    among = ["a.0.x", "a.0.y", "a.1.x", "b", "a.1.y"]
    assert abbreviated(["a.0.x", "a.0.y", "b"], among) == ["a.0.*", "b"]
    assert abbreviated(among, among) == ["a.*", "b"] and abbreviated(["a.1.x"], among) == ["a.1.x"]


def test_many_names_are_counted(pair: tuple[Model, Model]) -> None:
    a, b = pair
    gains = tuple(
        name for name in a.state if name.endswith("weight") and ("ln_" in name or "mlp" in name)
    )
    (sentence,) = said(a, mixed(a, b, *gains))
    assert (
        sentence.endswith(f"and {len(gains) - 6} more: {len(gains)} of 28 tensors.")
        and sentence.count(",") == 5
    )


def test_copies_in_folders(tiny_gpt2_pair: Pair, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_gpt2_pair[0], tmp_path / "copy")
    assert said(load(tiny_gpt2_pair[0]), load(copy)) == ["A and B hold the same weights."]
