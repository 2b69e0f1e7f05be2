"""What two models must have in common: rows of tables, windows, settings, tokenizers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lmc_core.errors import BadCheckpoint, Incompatible
from lmc_core.matching.common_form import common_form, require_common_form
from lmc_core.matching.many import align_models
from lmc_core.matching.pair import align_pair
from lmc_core.models.common import require_compatible
from lmc_core.models.families import FAMILIES
from lmc_core.models.forward import run
from lmc_core.models.load import load
from lmc_core.models.model import Model, untied_state
from lmc_core.models.rows import (
    Rows,
    extended,
    in_shared_rows,
    restricted,
    row_notes,
    shared_rows,
    usable,
)
from lmc_core.models.written import Outputs
from lmc_core.symmetry.check import relative_difference
from tests.tasks.makers import WORDS, word_tokenizer

TOKENS = 37  # word_tokenizer has 21 of them


def made(
    family: str,
    seed: int = 0,
    example: str | None = None,
    folder: Path | None = None,
    **changes: Any,
) -> Model:
    """A random model of a family's small configuration, in float32."""
    chosen = FAMILIES[family]
    config = chosen.config({**chosen.examples[example or family], **changes})
    torch.manual_seed(seed)
    state = {
        name: t + 0.2 * torch.randn_like(t)
        for name, t in untied_state(chosen.build(config)).items()
    }
    return Model(f"{family}-s{seed}", chosen, config, state, folder=folder).check()


def tokens(length: int, below: int = TOKENS, count: int = 4) -> torch.Tensor:
    return torch.randint(below, (count, length), generator=torch.Generator().manual_seed(3))


def at(folder: Path, **tokenizer: Any) -> Path:
    word_tokenizer(folder, **tokenizer)
    return folder


@pytest.mark.parametrize("changes", [
    {"pad_token_id": 5},
    {"eos_token_id": [3, 4]},
    {"max_position_embeddings": 20},
    {"rms_norm_eps": 9.999999974752427e-07},
])  # fmt: skip
def test_settings_that_decide_nothing_may_differ(changes: dict[str, Any]) -> None:
    a, b = made("llama"), made("llama", 1, **changes)
    pair = align_pair(a, b, tokens(12))
    assert (
        pair.function_error < 1e-5 and pair.whole is None and dict(pair.b.config) == dict(b.config)
    )
    assert shared_rows((a, b)).positions == ()


@pytest.mark.parametrize(("changes", "words"), [
    ({"rope_theta": 5e5}, "rope_theta=10000.0 and .* rope_theta=500000.0"),
    ({"rms_norm_eps": 1e-5}, "rms_norm_eps=1e-06 and .* rms_norm_eps=1e-05"),
    ({"hidden_act": "gelu"}, "hidden_act=silu and .* hidden_act=gelu"),
    ({"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, "rope_type=default and .* " "rope_type=linear"),
])  # fmt: skip
def test_settings_that_decide_are_named_with_both_values(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(Incompatible, match=words):
        require_compatible(made("llama"), made("llama", 1, **changes))


def test_where_rotary_speeds_follow_the_context_it_stays_refused() -> None:
    half = 3  # frequencies of a head of the example
    scaled = {"rope_type": "longrope", "short_factor": [1.0] * half, "long_factor": [2.0] * half}
    sizes = {"rope_scaling": scaled, "original_max_position_embeddings": 8, "head_dim": 6}
    with pytest.raises(
        Incompatible, match="max_position_embeddings=12 and .* max_position_embeddings=24"
    ):
        require_compatible(
            made("llama", **sizes), made("llama", 1, max_position_embeddings=24, **sizes)
        )


def test_padding_that_positions_are_counted_from_must_be_the_same() -> None:
    with pytest.raises(Incompatible, match="pad_token_id=1 and .* pad_token_id=2"):
        require_compatible(
            made("roberta"), made("roberta", 1, pad_token_id=2, max_position_embeddings=15)
        )


@pytest.mark.parametrize("example", ["gpt2", "gpt2-untied"])
def test_learned_positions_are_compared_as_far_as_both_reach(example: str) -> None:
    a, b = made("gpt2", 0, example), made("gpt2", 1, example, n_positions=20)
    assert shared_rows((a, b)).positions == (("n_positions", 12),)
    left, right = common_form(a, b)
    assert left.config["n_positions"] == right.config["n_positions"] == 12
    assert torch.equal(
        right.state["transformer.wpe.weight"], b.state["transformer.wpe.weight"][:12]
    )
    pair = align_pair(a, b, tokens(12, 31))
    assert (
        pair.function_error < 1e-5
        and pair.a.config["n_positions"] == pair.b.config["n_positions"] == 12
    )
    whole = pair.written[1]
    longer = tokens(20, 31)  # all of the second model's own positions move with it
    assert (
        whole.config["n_positions"] == 20
        and relative_difference(run(b, longer), run(whole, longer)) < 1e-5
    )
    table = whole.state["transformer.wpe.weight"].clone()
    table[12:] = b.state["transformer.wpe.weight"][12:]
    left_behind = whole.with_state({**whole.state, "transformer.wpe.weight": table})
    # the control: they have to
    assert relative_difference(run(b, longer), run(left_behind, longer)) > 1e-3
    back = align_pair(b, a, tokens(12, 31))
    assert (
        back.written[0].config["n_positions"] == 20 and back.written[1].config["n_positions"] == 12
    )
    assert "the first 12 positions are compared" in row_notes((a, b))[0]


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert", "t5"])
def test_padded_vocabularies(family: str, tmp_path: Path) -> None:
    few, many = (made(family, 0)).config["vocab_size"], 45
    a = made(family, 0, folder=at(tmp_path / "a"))
    b = made(family, 1, folder=at(tmp_path / "b"), vocab_size=many)
    assert shared_rows((a, b)).tokens == few
    pair = align_pair(a, b, tokens(12, few))
    assert (
        pair.function_error < 1e-5
        and pair.a.config["vocab_size"] == pair.b.config["vocab_size"] == few
    )
    first, second = pair.written
    assert first.config["vocab_size"] == few and second.config["vocab_size"] == many
    every = tokens(12, many)  # its own further tokens keep their meaning too
    assert relative_difference(run(b, every), run(second, every)) < 1e-5
    assert pair.trace.objective[-1] >= pair.trace.before
    assert f"the first {few} rows are compared" in row_notes((a, b))[0]
    same = align_pair(a, restricted(b, shared_rows((a, b))), tokens(12, few))
    assert same.trace.objective[-1] == pytest.approx(pair.trace.objective[-1], rel=1e-9)


def test_tokenizers_decide_what_is_padding(tmp_path: Path) -> None:
    with_one, without = at(tmp_path / "a"), tmp_path / "none"
    without.mkdir()
    short, long = made("llama", 0, folder=with_one), made("llama", 1, folder=without, vocab_size=45)
    require_compatible(short, long)  # one of the two is enough
    with pytest.raises(Incompatible, match="37 tokens and .* 45, and neither has a tokenizer"):
        require_compatible(replace(short, folder=without), long)
    larger = at(tmp_path / "b", words=[*WORDS, *(f"word{k}" for k in range(20))])
    with pytest.raises(Incompatible, match="and the tokenizer in .* has 4"):
        require_compatible(replace(short, folder=without), replace(long, folder=larger))
    # both have one: the further tokens are those of one model alone
    require_compatible(short, replace(long, folder=larger))
    other = at(tmp_path / "c", words=WORDS[::-1])
    for count in (37, 45):  # also where there are as many rows
        with pytest.raises(Incompatible, match="different tokenizers, .* is token number"):
            require_compatible(short, made("llama", 1, folder=other, vocab_size=count))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_rows_without_finite_numbers_that_no_token_uses(
    family: str, value: float, tmp_path: Path
) -> None:
    b = made(family, 1)
    state = {name: tensor.clone() for name, tensor in b.state.items()}
    table = "model.embed_tokens.weight" if family == "llama" else "transformer.wte.weight"
    state[table][25:] = value
    b.with_state(state).save(tmp_path / "b")
    with pytest.raises(
        BadCheckpoint,
        match="not finite numbers. They are in rows from number 25 on .* tokenizer.json",
    ):
        load(tmp_path / "b")
    at(tmp_path / "b")
    found = load(tmp_path / "b")
    assert (
        found.rows == 25
        and "rows from number 25 on, which no token" in found.notes[0]
        and usable(found).rows is None
    )
    a = made(family, 0, folder=at(tmp_path / "a"))
    pair = align_pair(a, found, tokens(12, 21))
    assert pair.function_error < 1e-5 and pair.b.config["vocab_size"] == 25
    assert "finite numbers in the first 25" in row_notes((a, found))[0]
    outputs = Outputs.of((a, found), tokens(12, 21))
    pair.written[1].save(tmp_path / "moved")
    at(tmp_path / "moved")
    again = load(tmp_path / "moved")
    assert again.config["vocab_size"] == found.config["vocab_size"] and again.rows == 25
    assert outputs.error_as_written(1, tmp_path / "moved")[0] < 1e-5


def test_values_that_a_token_uses_are_refused(tmp_path: Path) -> None:
    b = made("llama", 1)
    for name, row in (
        ("model.embed_tokens.weight", 20),
        ("lm_head.weight", 3),
        ("model.layers.0.mlp.up_proj.weight", 19),
    ):
        state = {key: tensor.clone() for key, tensor in b.state.items()}
        state[name][row] = float("nan")
        folder = tmp_path / name
        b.with_state(state).save(folder)
        at(folder)
        with pytest.raises(BadCheckpoint, match=f"{name!r} of .* not finite"):
            load(folder)


def test_several_models_have_their_common_rows_and_keep_their_own(tmp_path: Path) -> None:
    counts = (45, 37, 40)
    models = [
        made("llama", k, folder=at(tmp_path / str(k)), vocab_size=count)
        for k, count in enumerate(counts)
    ]
    assert [model.config["vocab_size"] for model in in_shared_rows(models)] == [37] * 3
    group = align_models(models, tokens(12), method="reference")
    assert [model.config["vocab_size"] for model in group.models] == [37] * 3
    assert [model.config["vocab_size"] for model in group.written] == list(counts)
    for model, after, count in zip(models, group.written, counts, strict=True):
        assert (
            relative_difference(run(model, tokens(12, count)), run(after, tokens(12, count))) < 1e-5
        )
    centre, first = group.centre, group.written[0]
    name = "model.embed_tokens.weight"
    assert centre.config["vocab_size"] == 45 and torch.equal(
        centre.state[name][37:], first.state[name][37:]
    )
    mean = torch.stack([model.state[name][:37] for model in group.written]).double().mean(0)
    torch.testing.assert_close(centre.state[name][:37].double(), mean, rtol=1e-5, atol=1e-6)


def test_fewer_rows_and_all_of_them_again() -> None:
    whole = made("llama", 0, vocab_size=45, pad_token_id=44)
    part = restricted(whole, Rows(37))
    assert part.config["pad_token_id"] is None  # there is no such row
    same = relative_difference(run(whole, tokens(12))[..., :37], run(part, tokens(12)))
    assert same == 0.0
    again = extended(part, whole)
    assert again.config == whole.config and all(
        torch.equal(again.state[n], t) for n, t in whole.state.items()
    )
    assert restricted(whole, Rows(45)) is whole and extended(whole, whole) is whole


def test_asking_whether_two_widths_fit_widens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("widened")

    monkeypatch.setattr("lmc_core.matching.common_form.widen", never)
    narrow, wide = load("zoo:vit-fashion-narrow-s0"), load("zoo:vit-fashion-s0")
    require_common_form(narrow, wide)
    with pytest.raises(AssertionError, match="widened"):
        common_form(narrow, wide)
