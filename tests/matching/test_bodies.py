"""Models of one family with different heads: matched is the body that both have, and each keeps its
own function.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lmc_core.errors import BadInput, Incompatible
from lmc_core.matching.bodies import find_body
from lmc_core.matching.common_form import common_form
from lmc_core.matching.many import align_models
from lmc_core.matching.pair import align_pair, canonical, in_float32
from lmc_core.models.common import head_notes, require_compatible, require_one_body
from lmc_core.models.forward import function_error
from lmc_core.models.load import load
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import choose_classes
from lmc_core.tasks.learning import Learning
from lmc_core.tasks.task import Examples
from tests.matching.test_common import made, tokens

Case = tuple[str, str, dict[str, Any], str, dict[str, Any]]
CASES: dict[str, Case] = {
    "masked, label": ("bert", "bert", {}, "bert-classifier", {}),
    "features, masked": ("bert", "bert-features", {"num_hidden_layers": 2}, "bert", {}),
    "label, features": ("bert", "bert-classifier", {}, "bert-features", {"num_hidden_layers": 2}),
    "other labels": ("bert", "bert-classifier", {}, "bert-classifier", {"num_labels": 7}),
    "next, features": ("llama", "llama", {}, "llama", {"architectures": ["LlamaModel"]}),
    "features, next": ("llama", "llama", {"architectures": ["LlamaModel"]}, "llama", {}),
    "label, tied next": (
        "llama",
        "llama",
        {"architectures": ["LlamaForSequenceClassification"], "num_labels": 3, "pad_token_id": 1},
        "llama",
        {"tie_word_embeddings": True},
    ),
    "fused": ("gpt2", "gpt2", {"architectures": ["GPT2Model"]}, "gpt2", {}),
}


def pair_of(name: str) -> tuple[Model, Model]:
    family, first, changes, second, others = CASES[name]
    return made(family, 0, first, **changes), made(family, 1, second, **others)


@pytest.mark.parametrize("name", list(CASES))
def test_each_keeps_its_class_and_its_function(name: str, tmp_path: Path) -> None:
    a, b = pair_of(name)
    inputs = tokens(12, a.family.sizes(a.config)["tokens"])
    pair = align_pair(a, b, inputs)
    assert pair.function_error < 1e-5 and pair.trace.objective[-1] > pair.trace.before
    for original, after in ((a, pair.a), (b, pair.b)):
        assert function_error(original, after, inputs) < 1e-5
        assert after.config.get("architectures") == original.config.get("architectures")
    assert (
        "matched are the layers that both have" in head_notes((a, b))[0]
        and head_notes((a, a)) == ()
    )
    pair.b.save(tmp_path / "moved")
    assert function_error(b, load(tmp_path / "moved"), inputs) < 1e-5
    assert set(pair.alignment.elements) == set(pair.b.layout.spaces)


@pytest.mark.parametrize(
    "name", ["masked, label", "label, features", "features, next", "label, tied next", "fused"]
)
def test_a_body_that_was_moved_is_found(name: str) -> None:
    a, b = pair_of(name)
    chosen = choose_classes(b.layout.spaces)
    body = find_body(a, b, chosen)
    same = b.with_state(
        {**b.state, **{mine: a.state[theirs] for mine, theirs in body.names.items()}}
    )
    form = canonical(same, chosen)
    element = Alignment.random(form.layout.spaces, chosen, torch.Generator().manual_seed(5))
    moved = in_float32(form.with_state(element.apply(form.layout, form.state)))
    inputs = tokens(12, a.family.sizes(a.config)["tokens"])
    assert function_error(same, moved, inputs) < 1e-5
    pair = align_pair(a, moved, inputs)
    assert pair.trace.objective[-1] > 0.9999
    if name == "masked, label":  # the control: a head that stays behind does not fit
        left = {
            n: moved.state[n] if n.startswith("bert.pooler") else t for n, t in pair.b.state.items()
        }
        assert function_error(moved, pair.b.with_state(left), inputs) > 1e-3


def test_a_measurement_is_refused_with_both_heads() -> None:
    a, b = pair_of("masked, label")
    words = (
        "is a BertForMaskedLM and predicts the tokens that were masked, and .* one of 5 "
        "labels .* one body, and `lmc align`"
    )
    for refused in (require_compatible, common_form):
        with pytest.raises(Incompatible, match=words):
            refused(a, b)
    with pytest.raises(Incompatible, match=words):
        align_models((a, b), tokens(12), method="reference")
    rows = Examples(tokens(12, 37, 8), tokens(12, 37, 8))
    with pytest.raises(BadInput, match="have different heads; use the method weight"):
        align_pair(a, b, tokens(12), method="activation", learning=Learning.split(rows, 2))


@pytest.mark.parametrize(("changes", "words"), [
    ({"num_hidden_layers": 1}, "depth 2 and .* depth 1"),
    ({"hidden_act": "relu"}, "hidden_act=gelu and .* hidden_act=relu"),
    ({"layer_norm_eps": 1e-5}, "layer_norm_eps=1e-12 and .* layer_norm_eps=1e-05"),
])  # fmt: skip
def test_bodies_that_differ_are_refused(changes: dict[str, Any], words: str) -> None:
    a, b = made("bert"), made("bert", 1, "bert-classifier", **changes)
    for refused in (
        require_one_body,
        require_compatible,
        lambda a, b: align_pair(a, b, tokens(12)),
    ):
        with pytest.raises(Incompatible, match=words):
            refused(a, b)
