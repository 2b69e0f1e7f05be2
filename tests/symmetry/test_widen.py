"""A widened model computes what the narrow one does, whatever the embedding; embeddings that are
none change it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmc_core.errors import Incompatible
from lmc_core.models.families import FAMILIES
from lmc_core.models.fits import REPEATED, unequal_spaces
from lmc_core.models.forward import function_error
from lmc_core.models.load import load
from lmc_core.models.model import Model
from lmc_core.models.widen import padded, separate_head, widen
from lmc_core.symmetry.elements import ones_complement
from lmc_core.symmetry.embedding import Columns, Embedding, padding, rectangular, semi_permutation
from lmc_core.symmetry.spaces import SymmetryClass
from tests.networks import CONFIGURATIONS, random_inputs, random_model
from tests.symmetry.wider import WAYS, has_sizes, wider_config
from tests.tiny import configuration, tiny

# what stands in the way of each way to be wider, by family or example
NORMS_BEHIND = {"bert", "roberta", "gemma2", "olmo2", "gemma3_text", "olmo3", "glm4", "exaone4"}
REFUSED = {("qwen3", "everything"), ("qwen3_moe", "everything")} | {("olmoe", way) for way in WAYS}
REFUSED.add(("falcon_mamba", "everything"))  # norms over its states
# streams that are outputs, latents of attention for pooling, rotary positions of images, norms on
# queries
FIXED = {
    "vit-features",
    "vit-stream",
    "vit-siglip",
    "vit-siglip-features",
    "vit_relpos-table-class-token",
}
FIXED |= {name for name, (family, _) in CONFIGURATIONS.items() if family == "eva"} - {
    "eva-learned-positions"
}
FIXED |= {
    "beit-features",
    "beit-features-normed",
    "data2vec-vision",
    "dinov2",
    "dinov2-registers",
    "dinov3",
}
FIXED |= {
    "dinov3-gated",
    "dinov3-no-biases",
    "vit_hf-features",
    "vit_hf-deit-features",
    "vit_mae-features",
}
FIXED |= {
    "clip",
    "clip_classifier",
    "clip_text",
    "clip_text-projection",
    "clip_vision",
    "clip_vision-projection",
}
FIXED |= {"siglip_text", "siglip_vision", "siglip_vision-no-head"}


def like(model: Model, seed: int = 7) -> Model:
    """A random model of the same shapes."""
    generator = torch.Generator().manual_seed(seed)
    state = {
        n: 0.3 * torch.randn(t.shape, generator=generator, dtype=torch.float64)
        for n, t in model.state.items()
    }
    return model.with_state(state)


def target_of(model: Model, config: dict) -> Model:
    return separate_head(replace(model, config=config, state={}))


def random_embeddings(narrow: Model, wide: Model, seed: int) -> dict[str, Embedding]:
    """Draw an embedding for every space of unequal size: Haar columns, places shared out at random,
    some left empty.
    """
    generator = torch.Generator().manual_seed(seed)
    narrow = separate_head(narrow)
    chosen = padded(narrow, wide)
    normed = {norm.space for norm in narrow.family.rewrite(narrow.config).norms}
    result = {}
    for name in unequal_spaces(narrow.layout, wide.layout):
        small, large = narrow.layout.spaces[name], wide.layout.spaces[name]
        n, m = small.size, large.size
        copies = () if large.within is None else (large.copies,)
        if small.kind in REPEATED:
            places = torch.rand(*copies, m, generator=generator).argsort(-1)
            extra = torch.randint(-1, n, (*copies, m - n), generator=generator)
            owner = torch.cat([torch.arange(n).expand(*copies, n), extra], -1).gather(-1, places)
            held = (owner[..., None, :] == torch.arange(n)[:, None]).double()
            weights = held * (0.2 + torch.rand(*copies, 1, m, generator=generator).double())
            shares = (weights / weights.sum(-1, keepdim=True)).sum(-2)
            result[name] = semi_permutation(owner, shares, n)
        elif small.largest is SymmetryClass.ROTARY:
            result[name] = chosen[name]
        elif small.fixes_ones:
            inner = torch.linalg.qr(
                torch.randn(m - 1, n - 1, generator=generator, dtype=torch.float64)
            )[0]
            columns = ones_complement(m) @ inner @ ones_complement(n).mT + (n * m) ** -0.5
            result[name] = rectangular(columns, name in normed)
        else:
            columns = torch.linalg.qr(
                torch.randn(*copies, m, n, generator=generator, dtype=torch.float64)
            )[0]
            result[name] = rectangular(columns, name in normed)
    return result


def reason_against(name: str, way: str) -> bool:
    family = CONFIGURATIONS[name][0]
    if way == "units":
        return False
    # its rotary speeds depend on how many pairs there are
    if (name, way) == ("gpt_oss", "everything"):
        return True
    if (
        family in NORMS_BEHIND
        or name in FIXED
        or name in ("vit-clip", "opt-norms-behind", "opt-narrow-norms-behind")
    ):
        return True
    return (
        (family, way) in REFUSED
        or (name == "vit-norms-on-queries" and way != "heads")
        or name == "olmo-clipped"
    )


# of spaces that admit no more, of heads that differ, of outputs that are a stream
TRUE_REASONS = (
    "has 'queries.0'",
    "neither holds",
    "one by one",
    "slope of its own",
    "norms of its own",
    "no map can go between",
)
TRUE_REASONS += (
    "slopes of positions",
    "passes GELU",
    "the outputs are the coordinates of the stream",
    "has 'embedding'",
)
UNSCALED = ("t5", "gpt_neo")  # families whose scores are not divided by anything

# the first example of each family
FIRST = {family: name for name, (family, _) in reversed(CONFIGURATIONS.items())}
CASES = [
    (name, way)
    for name in CONFIGURATIONS
    for way in WAYS
    if name in FIRST.values() or way == "everything"
]
CASES = [case for case in CASES if has_sizes(*case)]


@pytest.mark.parametrize("name, way", CASES)
def test_every_family_that_allows_it(name: str, way: str) -> None:
    config = wider_config(name, way)
    assert config is not None
    narrow = random_model(name)
    inputs = random_inputs(narrow)
    try:
        wide = widen(narrow, config)
    except Incompatible as error:
        assert reason_against(name, way) or any(words in str(error) for words in TRUE_REASONS), str(
            error
        )
        return
    assert not reason_against(name, way)
    wide.check()
    assert function_error(narrow, wide, inputs, torch.float64) < 1e-10
    chosen = random_embeddings(narrow, wide, 3)
    filled = widen(narrow, config, chosen, like(wide).state)
    assert function_error(narrow, filled, inputs, torch.float64) < 1e-10
    if chosen:  # what is left open was really taken from the other
        bare = widen(narrow, config, chosen)
        assert function_error(narrow, bare, inputs, torch.float64) < 1e-10
        assert (
            sum(float((filled.state[n] - bare.state[n]).square().sum()) for n in bare.state) > 0.1
        )
    single = [
        model.with_state({n: t.float() for n, t in model.state.items()}) for model in (narrow, wide)
    ]
    assert function_error(*single, inputs) < 1e-5 * (
        3 if CONFIGURATIONS[name][0] in UNSCALED else 1
    )


@settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(data=st.data(), seed=st.integers(0, 2**16))
def test_random_sizes_and_embeddings(data: st.DataObject, seed: int) -> None:
    name = data.draw(st.sampled_from(["gpt2", "vit", "llama", "mixtral", "t5", "gpt_neox"]))
    family, raw = CONFIGURATIONS[name]
    model = random_model(name, seed % 5)
    size = {"gpt2": "n_embd", "vit": "embed_dim", "t5": "d_model"}.get(name, "hidden_size")
    units = {"gpt2": "n_inner", "vit": "mlp_ratio", "t5": "d_ff"}.get(name, "intermediate_size")
    heads = {"gpt2": 3, "vit": 3, "t5": 3}.get(name, 4)
    step = 2 * heads if name not in ("gpt2", "vit", "t5") else heads
    base = raw.get(size) or raw["model_args"][size]
    width = base * (2 if name in ("llama", "mixtral", "gpt_neox") else 1) + step * data.draw(
        st.integers(0, 3)
    ) * (0 if name in ("llama", "mixtral", "gpt_neox") else 1)
    now = model.family.sizes(model.config)["units"] + data.draw(st.integers(0, 9))
    changes = {size: width, units: max(4.0, (now + 0.5) / width) if name == "vit" else now}
    larger = dict(raw) | ({"model_args": raw["model_args"] | changes} if name == "vit" else changes)
    wide_config = FAMILIES[family].config(larger)
    wide = widen(model, wide_config)
    chosen = random_embeddings(model, wide, seed)
    moved = widen(model, wide_config, chosen, like(wide, seed).state)
    assert function_error(model, moved, random_inputs(model), torch.float64) < 1e-10


def test_the_epsilon_of_norms_counts_and_is_kept() -> None:
    """With a large epsilon the length of the stream is seen; unscaled columns would change the
    function.
    """
    narrow = random_model("llama")
    config = wider_config("llama", "stream")
    assert config is not None
    narrow = replace(narrow, config={**narrow.config, "rms_norm_eps": 0.5})
    config["rms_norm_eps"] = 0.5
    inputs = random_inputs(narrow)
    assert function_error(narrow, widen(narrow, config), inputs, torch.float64) < 1e-10
    unscaled = {"residual": rectangular(padding(24, 48))}
    assert function_error(narrow, widen(narrow, config, unscaled), inputs, torch.float64) > 1e-3


WRONG = ["shares", "ones", "columns", "speeds", "heads apart"]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_embedding_changes_the_function(wrong: str) -> None:
    name = "llama" if wrong == "speeds" else "gpt2"
    narrow = random_model(name)
    config = wider_config(
        name, {"heads apart": "heads", "speeds": "everything"}.get(wrong, "stream")
    )
    assert config is not None
    right = padded(separate_head(narrow), target_of(narrow, config))
    if wrong == "shares":
        owner = torch.arange(192) % 96
        chosen = {
            "units.0": semi_permutation(owner, torch.full((192,), 0.6, dtype=torch.float64), 96)
        }
    elif wrong == "ones":
        chosen = {
            "residual": rectangular(
                torch.linalg.qr(torch.randn(48, 24, dtype=torch.float64))[0], True
            )
        }
    elif wrong == "columns":
        columns = right["residual"].writes + 0.05 * torch.randn(48, 24, dtype=torch.float64)
        chosen = {"residual": Columns(columns, columns)}
    elif wrong == "speeds":
        chosen = {"query-key.0": rectangular(padding(6, 12))}
    else:
        heads = right["heads.0"]
        chosen = {"heads.0": Columns(heads.writes.roll(1, 0), heads.reads)}
    torch.manual_seed(0)
    assert (
        function_error(narrow, widen(narrow, config, chosen), random_inputs(narrow), torch.float64)
        > 1e-3
    )


def test_an_ordinary_checkpoint(tmp_path: Path) -> None:
    for family, changes in (("vit", {"embed_dim": 24}), ("gpt2", {"n_embd": 24})):
        narrow = tiny(family)
        config = FAMILIES[family].config(configuration(family, **changes))
        wide = widen(narrow, config)
        single = wide.with_state({n: t.float() for n, t in wide.state.items()})
        single.save(tmp_path / family)
        back = load(str(tmp_path / family))
        assert back.family.sizes(back.config) == narrow.family.sizes(config)
        inputs = random_inputs(narrow).float() if family == "vit" else random_inputs(narrow)
        assert function_error(single, back, inputs) == 0.0
        assert function_error(narrow, back, inputs) < 1e-5


REFUSALS = [
    ("bert", {"hidden_size": 48}, "gains and offsets of the norms after each layer"),
    ("mixtral", {"num_local_experts": 8}, "copies of an expert would take the place of others"),
    (
        "olmoe",
        {"hidden_size": 48, "num_attention_heads": 8, "num_key_value_heads": 8},
        "a norm over the queries or keys",
    ),
    ("qwen3", {"head_dim": 16}, "one sign per pair"),
    ("llama", {"head_dim": 8}, "at speeds that the other one lacks"),
    ("llama", {"rms_norm_eps": 0.5, "intermediate_size": 40}, "rms_norm_eps"),
    ("llama", {"vocab_size": 50, "intermediate_size": 40}, "vocab_size"),
]


@pytest.mark.parametrize("name, changes, words", REFUSALS)
def test_refused_with_a_reason(name: str, changes: dict, words: str) -> None:
    family, raw = CONFIGURATIONS[name]
    with pytest.raises(Incompatible, match=words):
        widen(random_model(name), FAMILIES[family].config({**raw, **changes}))
