"""ModernBERT (Warner et al. 2024, arXiv 2412.13663), as transformers' classes of the encoder alone
and with its heads.

LayerNorm before each layer, without offsets as published; rotary positions of two bases, for layers
that see everything and for those with a window; gated units. A norm stands behind the embeddings,
whose gains act inside the stream, so that only its order is free; of a token's row only the
direction is seen. The first attention reads the stream itself. All heads begin with a layer, an
activation and a norm.
"""

from __future__ import annotations

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import hf
from lmc_core.models.architectures.encoders import TOKENS, Encoder, Kind, TokenHead, family
from lmc_core.models.architectures.postnorm import MEANS, OFFSETS, over
from lmc_core.models.architectures.rotary import rope
from lmc_core.models.config import Config
from lmc_core.models.parts import (
    HOMOGENEOUS,
    OUTPUT,
    POINTWISE,
    attention,
    attention_products,
    gated_units,
    units_product,
)
from lmc_core.models.structure import Structure
from lmc_core.symmetry.rewrite import Tied
from lmc_core.symmetry.spaces import NONE, PERMUTATIONS, Pairs

HEAD = TokenHead(
    "head.dense", "head.norm", "decoder", "model.embeddings.tok_embeddings.weight", "decoder.bias"
)
LAYERS = ("full_attention", "sliding_attention")
BASES = {
    "full_attention": ("global_rope_theta", 160000.0),
    "sliding_attention": ("local_rope_theta", 10000.0),
}
SWITCHES = ("norm_bias", "attention_bias", "mlp_bias", "decoder_bias", "classifier_bias")
# What the function depends on, with transformers' defaults.
DEFAULTS = (
    Config(model_type="modernbert", vocab_size=50368, hidden_size=768)
    | dict(intermediate_size=1152, num_hidden_layers=22, num_attention_heads=12)
    | dict(hidden_activation="gelu", max_position_embeddings=8192, norm_eps=1e-5)
    | dict(norm_bias=False, attention_bias=False, mlp_bias=False, decoder_bias=True)
    | dict(classifier_bias=False, classifier_activation="gelu", classifier_pooling="cls")
    | dict(local_attention=128, layer_types=None, pad_token_id=50283)
    | dict(tie_word_embeddings=True)
)
CLASSES = {
    "ModernBertForMaskedLM": Kind("masked"),
    "ModernBertForSequenceClassification": Kind("label"),
    "ModernBertForTokenClassification": Kind("token-label"),
    "ModernBertForQuestionAnswering": Kind("span"),
    "ModernBertForMultipleChoice": Kind("choice"),
    "ModernBertModel": Kind("features"),
}


def check(raw: Config, found: Config, kind: Kind) -> None:
    """Write out which layers have a window and how positions turn; refuse what is no such thing."""
    hf.positive_numbers(found, "norm_eps")
    hf.switches(found, *SWITCHES)
    hf.activation(found, "classifier_activation", POINTWISE, "ModernBERT")
    given = Config(global_attn_every_n_layers=3) | raw | found
    for name, least in (("local_attention", 2), ("global_attn_every_n_layers", 1)):
        value = given[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise BadCheckpoint(
                f"The configuration should give {name!r} as an integer from {least} on; it gives "
                f"{value!r}."
            )
    depth, kinds = found.size("num_hidden_layers"), found["layer_types"]
    if kinds is None:
        kinds = found["layer_types"] = [
            LAYERS[bool(i % given.size("global_attn_every_n_layers"))] for i in range(depth)
        ]
    if (
        not isinstance(kinds, list)
        or len(kinds) != depth
        or any(each not in LAYERS for each in kinds)
    ):
        raise BadCheckpoint(
            f"The configuration should give 'layer_types' as one of {', '.join(LAYERS)} for each "
            "layer."
        )
    given = raw.get("rope_parameters") or {}
    if raw.get("rope_scaling") or not isinstance(given, dict):
        raise BadCheckpoint(
            "A ModernBERT gives 'rope_parameters' for each kind of layer; 'rope_scaling' is not "
            "supported."
        )
    turns = Config()
    for layer, (name, theta) in BASES.items():
        base = raw.get(name) or theta
        own = Config(rope_parameters=given.get(layer) or {}, rope_theta=base)
        turns[layer] = rope(own, theta)
    found["rope_parameters"] = turns
    if (found.size("hidden_size") // found.size("num_attention_heads")) % 2:
        raise BadCheckpoint(
            "Rotary positions need heads of even size; hidden_size / num_attention_heads is odd."
        )
    pooling = found["classifier_pooling"]
    if pooling not in ("cls", "mean") or (kind.predicts == "choice" and pooling == "mean"):
        raise BadCheckpoint(
            f"A ModernBERT with classifier_pooling={pooling!r} and this class is not supported."
        )


def _attention(s: Structure, config: Config, i: int, at: str) -> list[tuple[str, str | None]]:
    """The attention of a layer; returns what reads the norm before it."""
    width, heads = config.sizes("hidden_size", "num_attention_heads")
    bias = config.flag("attention_bias")
    on, size = f"blocks.{i}", config.size("hidden_size") // config.size("num_attention_heads")
    a = attention(s, str(i), heads, size, pairs=Pairs(size))
    parts = (("query", a.query), ("key", a.key), ("value", a.value))
    weights = [
        (f"{on}.{part}.weight", f"{n}/3 {to} -residual") for n, (part, to) in enumerate(parts)
    ]
    s.fused(f"{at}.attn.Wqkv.weight", (3 * width, width), weights)
    if bias:
        s.fused(
            f"{at}.attn.Wqkv.bias",
            (3 * width,),
            [(f"{on}.{part}.bias", f"{n}/3 {to}") for n, (part, to) in enumerate(parts)],
        )
    s.linear(f"{on}.output", f"{at}.attn.Wo", "+residual", a.output, bias)
    attention_products(s, a, on, bias, bias, bias, bias)
    return [(f"{on}.{part}.weight", f"{on}.{part}.bias" if bias else None) for part, _ in parts]


def _feed_forward(s: Structure, config: Config, i: int, at: str) -> list[tuple[str, str | None]]:
    """The gated units of a layer; returns what reads the norm before them."""
    size, on, bias = config.size("intermediate_size"), f"blocks.{i}", config.flag("mlp_bias")
    act = config.text("hidden_activation")
    u = gated_units(s, str(i), size, act)
    parts = (("gate", f"={u}"), ("up", f"+{u}"))
    weights = [
        (f"{on}.{part}.weight", f"{n}/2 {to} -residual") for n, (part, to) in enumerate(parts)
    ]
    s.fused(f"{at}.mlp.Wi.weight", (2 * size, config.size("hidden_size")), weights)
    if bias:
        s.fused(
            f"{at}.mlp.Wi.bias",
            (2 * size,),
            [(f"{on}.{part}.bias", f"{n}/2 {to}") for n, (part, to) in enumerate(parts)],
        )
    s.linear(f"{on}.down", f"{at}.mlp.Wo", "+residual", f"-{u}", bias)
    units_product(s, u, on, bias, act)
    return [(f"{on}.{part}.weight", f"{on}.{part}.bias" if bias else None) for part, _ in parts]


def _head(s: Structure, config: Config, kind: Kind) -> list[tuple[str, str | None]]:
    """The layer, activation and norm of every head and what reads it; returns what reads the last
    norm of the body.
    """
    width, act = config.size("hidden_size"), config.text("classifier_activation")
    offset = config.flag("norm_bias")
    tied = kind.predicts in TOKENS and config.flag("tie_word_embeddings")
    if act in HOMOGENEOUS:
        s.scale("the head's layer")
    u = (
        "residual"
        if tied
        else s.space(
            "units.head",
            "units",
            width,
            PERMUTATIONS,
            f"the activation ({act}) acts on each by itself",
        )
    )
    reader = s.linear(
        "head.dense", "head.dense", f"+{u}", "-residual", config.flag("classifier_bias")
    )
    if tied:
        s.norm("head.norm", "head.norm", None, space=u, offset=offset)
        s.tie(Tied("decoder.weight", HEAD.table))
        if config["decoder_bias"]:
            s.parameter(
                "head.bias", HEAD.bias, "*", (config.size("vocab_size"),), ignores_mean_over=0
            )
        return [reader]
    name, block, rows, bias = {
        "masked": ("decoder", "head", config.size("vocab_size"), config.flag("decoder_bias")),
        "span": ("classifier", "head", 2, True),
        "choice": ("classifier", "score", 1, True),
    }.get(kind.predicts, ("classifier", "head", config.optional_size("num_labels") or 2, True))
    ignored = None if kind.predicts == "span" else over(block, rows)
    last = s.linear(block, name, "*", f"-{u}", bias, rows=rows, ignores_mean_over=ignored)
    s.norm("head.norm", "head.norm", [last], space=u, offset=offset)
    return [reader]


def write(s: Structure, config: Config, kind: Kind, base: str) -> None:
    """Write the spaces and blocks of a ModernBERT of that configuration down."""
    width, vocabulary = config.sizes("hidden_size", "vocab_size")
    offset = config.flag("norm_bias")
    output = kind.predicts == "features"
    reason = (
        OUTPUT
        if output
        else "gains of the norm behind the embeddings act on its coordinates one by one"
    )
    s.space("residual", "residual", width, NONE if output else PERMUTATIONS, reason)
    s.scale("residual stream")
    s.parameter(
        "token.table", f"{base}embeddings.tok_embeddings.weight", "* +residual", (vocabulary, width)
    )
    s.freedom("lengths of rows that a norm undoes", vocabulary)
    s.freedom(MEANS, vocabulary)
    s.norm("norm0", f"{base}embeddings.norm", None, offset=offset)
    for i in range(config.size("num_hidden_layers")):
        on, at = f"blocks.{i}", f"{base}layers.{i}"
        readers = _attention(s, config, i, at)
        if i:
            s.norm(f"{on}.norm1", f"{at}.attn_norm", readers, offset=offset)
        else:
            s.freedom(MEANS, 3 * width if not offset or config["attention_bias"] else 0)
        s.norm(f"{on}.norm2", f"{at}.mlp_norm", _feed_forward(s, config, i, at), offset=offset)
        means = (
            width
            + config.flag("attention_bias")
            + config.size("intermediate_size")
            + config.flag("mlp_bias")
        )
        s.freedom(MEANS, means)
    # a constant in the stream, against the first attention's biases and a later one
    if config["attention_bias"] and offset:
        s.freedom(OFFSETS, width)
    if not output:  # gains of a single norm into the stream, as in `vit`
        s.freedom("gains against a rotation", 1)
    s.norm("norm", f"{base}final_norm", None if output else _head(s, config, kind), offset=offset)


SMALL = (
    Config(model_type="modernbert", architectures=["ModernBertForMaskedLM"], vocab_size=37)
    | dict(hidden_size=24, intermediate_size=20, num_hidden_layers=2, num_attention_heads=3)
    | dict(max_position_embeddings=12, global_attn_every_n_layers=2, local_attention=6)
    | dict(pad_token_id=0)
)
_BIASES = dict.fromkeys(SWITCHES, True)

MODERNBERT = family(
    Encoder(
        "modernbert",
        "ModernBERT",
        CLASSES,
        "model.",
        DEFAULTS,
        write,
        HEAD,
        "ModernBertConfig",
        ("attention_dropout", "embedding_dropout", "mlp_dropout", "classifier_dropout"),
        {"hidden_act": "hidden_activation"},
        check,
    ),
    "Encoder with rotary positions, LayerNorm before each layer and behind the embeddings, gated "
    "units.",
    "Warner et al., Smarter, Better, Faster, Longer: A Modern Bidirectional Encoder, 2024, arXiv "
    "2412.13663",
    {
        "modernbert": SMALL,
        "modernbert-biases": SMALL
        | dict(architectures=["ModernBertForSequenceClassification"], num_labels=3)
        | dict(classifier_pooling="mean")
        | _BIASES,
        "modernbert-features": SMALL | {"architectures": ["ModernBertModel"]},
    },
)
