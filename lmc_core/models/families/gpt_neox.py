"""GPT-NeoX and Pythia (Black et al. 2022, Biderman et al. 2023), as transformers'
`GPTNeoXForCausalLM`, its body alone, and heads for labels and spans.

LayerNorm before each layer, rotary positions on a part of each head in half-split order, attention
and units in parallel or one after the other. `query_key_value` holds query, key and value head by
head. The head is `embed_out` on disk.
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
from lmc_core.models.architectures.rotary import rope
from lmc_core.models.config import Config, require_divides, require_sizes
from lmc_core.models.family import Family
from lmc_core.models.parts import (
    POINTWISE,
    attention,
    attention_products,
    layer_norm_stream,
    offsets_without_biases,
    units,
    units_product,
)
from lmc_core.models.structure import Structure
from lmc_core.symmetry.rewrite import Tied
from lmc_core.symmetry.spaces import Pairs

if TYPE_CHECKING:
    from torch import Tensor, nn

HEAD, TABLE = "lm_head.weight", "gpt_neox.embed_in.weight"
USUAL = "GPTNeoXForCausalLM"
HEADS = heads("gpt_neox.")
CLASSES = {f"GPTNeoX{end}": head for end, head in HEADS.items()}
# constants that older checkpoints hold
BUFFERS = (".attention.bias", ".attention.masked_bias", "rotary_emb.inv_freq")

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    Config(model_type="gpt_neox", vocab_size=50432, hidden_size=6144, num_hidden_layers=44)
    | dict(num_attention_heads=64, intermediate_size=24576, hidden_act="gelu")
    | dict(max_position_embeddings=2048, layer_norm_eps=1e-5, tie_word_embeddings=False)
    | dict(use_parallel_residual=True, attention_bias=True, pad_token_id=None)
    | dict(bos_token_id=0, eos_token_id=2)
)


def _head(config: Config) -> Head:
    return find_head(config, HEADS, USUAL)


def _rotated(config: Config) -> int:
    """How many coordinates of each head are rotated."""
    size = config.size("hidden_size") // config.size("num_attention_heads")
    return int(size * config.part("rope_parameters").number("partial_rotary_factor"))


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found: Config = hf.chosen(raw, DEFAULTS)
    # this family's own names are rotary_emb_base and rotary_pct; transformers does not look at the
    # others
    own = {
        key: value
        for key, value in raw.items()
        if key not in ("rope_theta", "partial_rotary_factor")
    }
    found["rope_parameters"] = rope(own, partial=0.25)
    names = (
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
    )
    require_sizes(found, *names, "max_position_embeddings")
    require_divides(found, "num_attention_heads", "hidden_size")
    hf.activation(found, "hidden_act", POINTWISE, "GPT-NeoX")
    hf.switches(found, "tie_word_embeddings", "use_parallel_residual", "attention_bias")
    hf.positive_numbers(found, "layer_norm_eps")
    hf.special_tokens(found)
    rotated, size = _rotated(found), found.size("hidden_size") // found.size("num_attention_heads")
    if rotated % 2 or not 0 < rotated <= size:
        raise BadCheckpoint(
            f"Rotary positions turn an even number of a head's {size} coordinates; the "
            f"configuration asks for {rotated}."
        )
    return with_class(found, raw, CLASSES, USUAL, "gpt_neox")


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """The names in memory; constants and the copy of a tied table are dropped."""
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(BUFFERS)}
    kept = {HEAD if name == "embed_out.weight" else name: tensor for name, tensor in kept.items()}
    renamed = with_body(kept, _head(config), ("gpt_neox.",))
    if config.get("tie_word_embeddings"):
        hf.drop_copy(renamed, HEAD, TABLE)
    return renamed


def build(config: Config) -> nn.Module:
    """A module of the class that the configuration names, randomly initialised, in float32."""
    dropless = Config(attention_dropout=0.0, hidden_dropout=0.0, classifier_dropout=0.0)
    return hf.build(config, "GPTNeoXConfig", config.class_name(USUAL), **dropless)


def structure(config: Config) -> Structure:
    """The spaces and blocks of a GPT-NeoX of that configuration."""
    width, heads = config.sizes("hidden_size", "num_attention_heads")
    bias = config.flag("attention_bias")
    s, head = Structure("gpt_neox"), _head(config)
    layer_norm_stream(s, width, output=head.predicts == "features")

    def norm(readers: Readers | None) -> None:
        s.norm("norm", "gpt_neox.final_layer_norm", readers)

    s.parameter("token.table", TABLE, "* +residual", (config.size("vocab_size"), width))
    for i in range(config.size("num_hidden_layers")):
        on, at = f"blocks.{i}", f"gpt_neox.layers.{i}"
        a = attention(s, str(i), heads, width // heads, pairs=Pairs(_rotated(config)))
        parts = []
        for j, (part, pattern) in enumerate(
            (("query", a.query), ("key", a.key), ("value", a.value))
        ):
            outer, plane = pattern.split()
            parts.append((f"{on}.{part}", f"{outer} {j}/3 {plane}"))
        name = f"{at}.attention.query_key_value"
        s.fused(
            f"{name}.weight",
            (3 * width, width),
            [(f"{part}.weight", f"{p} -residual") for part, p in parts],
        )
        if bias:
            s.fused(f"{name}.bias", (3 * width,), [(f"{part}.bias", p) for part, p in parts])
        readers = [(f"{part}.weight", f"{part}.bias" if bias else None) for part, _ in parts]
        s.norm(f"{on}.norm1", f"{at}.input_layernorm", readers)
        s.linear(f"{on}.output", f"{at}.attention.dense", "+residual", a.output, bias)
        attention_products(s, a, on, bias, bias, bias, bias)
        if not bias:
            offsets_without_biases(s, a, config.flag("use_parallel_residual"))
        u = units(s, str(i), config.size("intermediate_size"), config.text("hidden_act"))
        up = s.linear(f"{on}.up", f"{at}.mlp.dense_h_to_4h", f"+{u}", "-residual")
        s.linear(f"{on}.down", f"{at}.mlp.dense_4h_to_h", "+residual", f"-{u}")
        units_product(s, u, on, bias=True)
        s.norm(f"{on}.norm2", f"{at}.post_attention_layernorm", [up])
        if bias and config["use_parallel_residual"]:
            s.sum(f"{on}.output.bias", f"{on}.down.bias")
    if head.predicts != "next":
        write_head(s, config, head, norm)
        s.rename("gpt_neox.", head.body)
        return s
    norm([("head.weight", None)])
    if config["tie_word_embeddings"]:
        s.tie(Tied(HEAD, TABLE))
    else:
        s.parameter(
            "head.weight",
            HEAD,
            "* -residual",
            (config.size("vocab_size"), width),
            ignores_mean_over=0,
        )
    return s


SMALL = (
    Config(model_type="gpt_neox", vocab_size=37, hidden_size=24, num_hidden_layers=2)
    | dict(num_attention_heads=2, intermediate_size=20, max_position_embeddings=12)
    | dict(rotary_pct=0.34)
)

GPT_NEOX = Family(
    name="gpt_neox",
    sentence="Decoder with partial rotary positions, LayerNorm before parallel attention and GELU "
    "units (Pythia).",
    reference="Black et al., GPT-NeoX-20B, 2022, arXiv 2204.06745; Biderman et al., Pythia, 2023, "
    "arXiv 2304.01373",
    takes="text",
    recognises=lambda config: config.get("model_type") == "gpt_neox",
    build=build,
    outputs=outputs,
    sizes=lambda c: (
        {
            "width": c.size("hidden_size"),
            "depth": c.size("num_hidden_layers"),
            "heads": c.size("num_attention_heads"),
            "units": c.size("intermediate_size"),
            "tokens": c.size("vocab_size"),
            "context": c.size("max_position_embeddings"),
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
        "gpt_neox": SMALL,
        "gpt_neox-sequential-tied": SMALL
        | {"use_parallel_residual": False, "tie_word_embeddings": True},
        "gpt_neox-all-rotated-no-biases": SMALL
        | {"rotary_pct": 1.0, "attention_bias": False, "num_hidden_layers": 1},
    },
)
