"""GPT-2 (Radford et al. 2019), as transformers' `GPT2LMHeadModel`, as its body alone, and with
heads for labels and spans.

Its linear layers are `Conv1D`: weights are stored `[in, out]`. Queries, keys and values are fused
in `c_attn`. The head shares the token table unless the configuration says otherwise; it has no
bias. What scores are divided by may depend on the layer (`scale_attn_by_inverse_layer_idx`), which
no symmetry notices; the order in which they are computed (`reorder_and_upcast_attn`) is a matter of
rounding alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import hf
from lmc_core.models.architectures.heads import (
    Head,
    Readers,
    find_head,
    heads,
    outputs,
    with_body,
    with_class,
    write_head,
)
from lmc_core.models.config import Config, require_divides, require_sizes
from lmc_core.models.family import Family
from lmc_core.models.parts import (
    POINTWISE,
    attention,
    attention_products,
    layer_norm_stream,
    units,
    units_product,
)
from lmc_core.models.structure import Structure
from lmc_core.symmetry.rewrite import Tied

if TYPE_CHECKING:
    from torch import Tensor, nn

HEAD, TABLE = "lm_head.weight", "transformer.wte.weight"
USUAL = "GPT2LMHeadModel"
HEADS = heads("transformer.", "LMHeadModel")
CLASSES = {f"GPT2{end}": head for end, head in HEADS.items()}


def _hidden(config: Config) -> int:
    return config.optional_size("n_inner") or 4 * config.size("n_embd")


def _head(config: Config) -> Head:
    return find_head(config, HEADS, USUAL)


def _tied(config: Config) -> bool:
    return _head(config).predicts == "next" and bool(config.get("tie_word_embeddings", True))


# What the function depends on, with transformers' defaults.
DEFAULTS = (
    Config(vocab_size=50257, n_positions=1024, n_embd=768, n_layer=12, n_head=12)
    | dict(n_inner=None, activation_function="gelu_new", layer_norm_epsilon=1e-5)
    | dict(scale_attn_weights=True, scale_attn_by_inverse_layer_idx=False)
    | dict(reorder_and_upcast_attn=False, add_cross_attention=False)
    | dict(tie_word_embeddings=True, bos_token_id=None, eos_token_id=None)
)


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    chosen = hf.chosen(raw, DEFAULTS)
    require_sizes(chosen, "vocab_size", "n_positions", "n_embd", "n_layer", "n_head")
    if chosen["n_inner"] is not None:
        require_sizes(chosen, "n_inner")
    require_divides(chosen, "n_head", "n_embd")
    hf.switches(
        chosen, "scale_attn_weights", "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn"
    )
    found = with_class(chosen, raw, CLASSES, USUAL, "gpt2")
    # the label is read where the last token is that is no padding
    if _head(found).predicts == "label":
        found["pad_token_id"] = raw.get("pad_token_id")
        hf.special_tokens(found)
    return found


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Add the prefix that old checkpoints lack; drop constant masks and the copy of a tied table.

    Raises:
        BadCheckpoint: if a head that should be the token table is another matrix.
    """
    kept = {
        name: tensor
        for name, tensor in tensors.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    renamed = with_body(kept, _head(config), ("transformer.",))
    if _tied(config):
        hf.drop_copy(renamed, HEAD, TABLE)
    return renamed


def build(config: Config) -> nn.Module:
    """A module of the class that the configuration names, randomly initialised, in float32."""
    dropless = Config(resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, classifier_dropout=0.0)
    usual = DEFAULTS if _head(config).predicts == "next" else Config()
    return hf.build(usual | config, "GPT2Config", config.class_name(USUAL), **dropless)


def structure(config: Config) -> Structure:
    """The spaces and blocks of a GPT-2 of that configuration."""
    config = DEFAULTS | config
    if config["add_cross_attention"]:
        raise BadCheckpoint(
            "GPT-2 models with add_cross_attention=true are not supported: they read a second text."
        )
    act = config.text("activation_function")
    if act not in POINTWISE:
        raise BadCheckpoint(
            f"GPT-2 with activation {act!r} is not supported; known: "
            f"{', '.join(sorted(POINTWISE))}."
        )
    width, vocabulary, positions = config.sizes("n_embd", "vocab_size", "n_positions")
    s, head = Structure("gpt2"), _head(config)
    layer_norm_stream(s, width, output=head.predicts == "features")

    def norm(readers: Readers | None) -> None:
        s.norm("norm", "transformer.ln_f", readers)

    s.parameter("token.table", TABLE, "* +residual", (vocabulary, width))
    s.parameter("position.table", "transformer.wpe.weight", "* +residual", (positions, width))
    s.sum("token.table", "position.table")
    for i in range(config.size("n_layer")):
        _write_block(s, config, i)
    if head.predicts != "next":
        write_head(s, config, head, norm)
        s.rename("transformer.", head.body)
        return s
    norm([("head.weight", None)])
    if _tied(config):
        s.tie(Tied(HEAD, TABLE))
    else:
        s.parameter("head.weight", HEAD, "* -residual", (vocabulary, width), ignores_mean_over=0)
    return s


def _write_block(s: Structure, config: Config, i: int) -> None:
    """Attention, hidden units and the norm before each."""
    width, heads = config.sizes("n_embd", "n_head")
    on, at = f"blocks.{i}", f"transformer.h.{i}"
    a = attention(s, str(i), heads, width // heads)
    parts = list(zip(("query", "key", "value"), (a.query, a.key, a.value), strict=True))
    s.fused(
        f"{at}.attn.c_attn.weight",
        (width, 3 * width),
        [
            (f"{on}.{part}.weight", f"-residual {j}/3 {pattern}")
            for j, (part, pattern) in enumerate(parts)
        ],
    )
    s.fused(
        f"{at}.attn.c_attn.bias",
        (3 * width,),
        [(f"{on}.{part}.bias", f"{j}/3 {pattern}") for j, (part, pattern) in enumerate(parts)],
    )
    s.norm(
        f"{on}.norm1",
        f"{at}.ln_1",
        [(f"{on}.{part}.weight", f"{on}.{part}.bias") for part, _ in parts],
    )
    s.linear(f"{on}.output", f"{at}.attn.c_proj", "+residual", a.output, transposed=True)
    divisor = i + 1 if config["scale_attn_by_inverse_layer_idx"] else 1
    attention_products(
        s, a, on, True, True, True, True, config.flag("scale_attn_weights"), divisor=divisor
    )
    u = units(s, str(i), _hidden(config), config.text("activation_function"))
    up = s.linear(f"{on}.up", f"{at}.mlp.c_fc", f"+{u}", "-residual", transposed=True)
    s.linear(f"{on}.down", f"{at}.mlp.c_proj", "+residual", f"-{u}", transposed=True)
    units_product(s, u, on, bias=True)
    s.norm(f"{on}.norm2", f"{at}.ln_2", [up])


SMALL = Config(model_type="gpt2", vocab_size=31, n_positions=12, n_embd=24, n_layer=2, n_head=3)

GPT2 = Family(
    name="gpt2",
    sentence="Decoder with learned positions, LayerNorm before each layer, GELU units.",
    reference="Radford et al., Language Models are Unsupervised Multitask Learners, 2019",
    takes="text",
    recognises=lambda config: config.get("model_type") == "gpt2",
    build=build,
    outputs=outputs,
    sizes=lambda c: (
        {
            "width": c.size("n_embd"),
            "depth": c.size("n_layer"),
            "heads": c.size("n_head"),
            "units": _hidden(c),
            "tokens": c.size("vocab_size"),
            "context": c.size("n_positions"),
        }
        | ({"classes": c.size("num_labels")} if "num_labels" in c else {})
    ),
    structure=structure,
    predicts=lambda config: _head(config).predicts,
    save=hf.save,
    config=config,
    from_disk=from_disk,
    classes=tuple(CLASSES),
    examples={
        "gpt2": SMALL,
        "gpt2-untied": SMALL
        | {"tie_word_embeddings": False, "n_inner": 40, "activation_function": "gelu_pytorch_tanh"},
        "gpt2-relu": SMALL | {"tie_word_embeddings": False, "activation_function": "relu"},
        "gpt2-few-tokens": SMALL | {"vocab_size": 5, "n_positions": 4},
        "gpt2-one-head": SMALL | {"n_head": 1, "n_layer": 1},
        "gpt2-by-layer": SMALL
        | {"scale_attn_by_inverse_layer_idx": True, "reorder_and_upcast_attn": True},
    },
)
