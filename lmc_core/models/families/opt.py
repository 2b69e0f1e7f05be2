"""OPT (Zhang et al. 2022, arXiv 2205.01068), as transformers' `OPTForCausalLM`, its body alone, and
with heads for labels and spans.

Learned positions, of which the first two rows serve padding alone; ReLU units. LayerNorm stands
before each layer, or, in the model of 350 million parameters, behind it: then the gains act in the
stream itself and only its order is free. Token embeddings of another width are projected to the
stream and back; any invertible map of their space passes through, a shared head included.
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
)
from lmc_core.models.config import Config, require_divides, require_sizes
from lmc_core.models.family import Family
from lmc_core.models.parts import (
    OUTPUT,
    POINTWISE,
    attention,
    layer_norm_stream,
    offsets_without_biases,
    post_norm_stream,
    separate_attention,
    units,
    units_product,
)
from lmc_core.models.structure import Structure
from lmc_core.symmetry.rewrite import Tied
from lmc_core.symmetry.spaces import LINEAR, NONE, ROTATIONS

if TYPE_CHECKING:
    from torch import Tensor, nn

AT = "model.decoder"
HEAD, TABLE = "lm_head.weight", f"{AT}.embed_tokens.weight"
USUAL = "OPTForCausalLM"
HEADS = heads("model.", without=("ForTokenClassification",))
CLASSES = {f"OPT{end}": head for end, head in HEADS.items()}
PADDING = 2  # rows of the position table before the first position
MEANS, OFFSETS = "means that LayerNorm removes", "offsets of norms"

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    Config(model_type="opt", vocab_size=50272, hidden_size=768, num_hidden_layers=12)
    | dict(ffn_dim=3072, max_position_embeddings=2048, do_layer_norm_before=True)
    | dict(word_embed_proj_dim=None, num_attention_heads=12, activation_function="relu")
    | dict(enable_bias=True, layer_norm_elementwise_affine=True, tie_word_embeddings=True)
    | dict(pad_token_id=1, bos_token_id=2, eos_token_id=2)
)


def _head(config: Config) -> Head:
    return find_head(config, HEADS, USUAL)


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = hf.chosen(raw, DEFAULTS)
    if found["word_embed_proj_dim"] is None:
        found["word_embed_proj_dim"] = found["hidden_size"]
    sizes = (
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "ffn_dim",
        "num_attention_heads",
        "word_embed_proj_dim",
    )
    require_sizes(found, *sizes, "max_position_embeddings")
    require_divides(found, "num_attention_heads", "hidden_size")
    switches = (
        "do_layer_norm_before",
        "enable_bias",
        "layer_norm_elementwise_affine",
        "tie_word_embeddings",
    )
    hf.switches(found, *switches)
    hf.special_tokens(found)
    hf.activation(found, "activation_function", POINTWISE, "OPT")
    if raw.get("_remove_final_layer_norm"):
        raise BadCheckpoint(
            "OPT models without a last norm (_remove_final_layer_norm=true) are not supported."
        )
    return with_class(found, raw, CLASSES, USUAL, "opt")


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Add the prefix that old checkpoints lack; drop the copy of a tied table."""
    renamed = with_body(tensors, _head(config), ("model.",))
    if config.get("tie_word_embeddings"):
        hf.drop_copy(renamed, HEAD, TABLE)
    return renamed


def build(config: Config) -> nn.Module:
    """A module of the class that the configuration names, randomly initialised, in float32."""
    dropless = {"dropout": 0.0, "attention_dropout": 0.0, "layerdrop": 0.0}
    return hf.build(config, "OPTConfig", config.class_name(USUAL), **dropless)


def structure(config: Config) -> Structure:
    """The spaces and blocks of an OPT of that configuration."""
    width, narrow = config.sizes("hidden_size", "word_embed_proj_dim")
    heads, size = config.sizes("num_attention_heads", "ffn_dim")
    act = config.text("activation_function")
    before, bias, tied = (
        bool(config.get(key))
        for key in ("do_layer_norm_before", "enable_bias", "tie_word_embeddings")
    )
    affine, projected = config.flag("layer_norm_elementwise_affine"), narrow != width
    s, head = Structure("opt"), _head(config)
    output = head.predicts == "features" and not projected
    _stream(s, width, before, affine, tied and not projected, output)
    _write_tables(s, config)
    readers: list[Readers] = []
    norms: list[tuple[str, str]] = []
    for i in range(config.size("num_hidden_layers")):
        on, at = f"blocks.{i}", f"{AT}.layers.{i}"
        a = attention(s, str(i), heads, width // heads)
        names = tuple(f"{at}.self_attn.{part}_proj" for part in ("q", "k", "v", "out"))
        readers.append(separate_attention(s, a, on, names, (bias, bias, bias, bias)))
        if affine and not bias and (before or i):
            offsets_without_biases(s, a, False)
        u = units(s, str(i), size, act)
        readers.append([s.linear(f"{on}.up", f"{at}.fc1", f"+{u}", "-residual", bias)])
        s.linear(f"{on}.down", f"{at}.fc2", "+residual", f"-{u}", bias)
        units_product(s, u, on, bias)
        norms += [
            (f"{on}.norm1", f"{at}.self_attn_layer_norm"),
            (f"{on}.norm2", f"{at}.final_layer_norm"),
        ]
        if not before:
            s.freedom(MEANS, width + size + 2 * bias)
    readers.append(_read_behind(s, config, tied, projected))
    if before:
        norms.append(("norm", f"{AT}.final_layer_norm"))
    shared = tied and not projected
    for (block, name), behind in zip(norms, readers[0 if before else 1 :], strict=True):
        last = behind is readers[-1]
        if before or not affine:
            # a shared head without gains before it needs no rewrite
            if affine or not (last and shared):
                s.norm(block, name, None if last and output else behind, gain=affine, offset=affine)
        elif last:
            s.norm(block, name, None if output or shared else behind)
        else:
            _norm_behind(s, block, name, behind, bias)
    if not before:
        # the first attention alone sees the mean of the embeddings: x -> x + 1 (a^T x) for any a,
        # undone in its three maps
        s.freedom(MEANS, width)
        s.freedom(OFFSETS, width * bias)
        # gains of a single norm into the stream, see `vit`
        if affine and not output and config["num_hidden_layers"] == 1:
            s.freedom("gains against a rotation", 1)
    s.rename("model.", head.body)
    return s


def _write_tables(s: Structure, config: Config) -> None:
    """Tables of tokens, in a space of their own where they are narrow, and of positions."""
    width, narrow, vocabulary = config.sizes("hidden_size", "word_embed_proj_dim", "vocab_size")
    projected = narrow != width
    if projected:
        reason = "only the product of the token table and what reads it is seen"
        s.space("embedding", "latent", narrow, LINEAR, reason)
    stream = "embedding" if projected else "residual"
    s.parameter("token.table", TABLE, f"* +{stream}", (vocabulary, narrow))
    if projected:
        s.linear("project.in", f"{AT}.project_in", "+residual", "-embedding", False)
    positions = config.size("max_position_embeddings") + PADDING
    s.parameter("position.table", f"{AT}.embed_positions.weight", "* +residual", (positions, width))
    # of a constant in the stream, whose mean a LayerNorm before each layer removes
    seen = width - int(bool(config.get("do_layer_norm_before")))
    s.freedom("positions of padding alone", PADDING * seen)
    s.freedom("sums of constants", narrow if projected else seen)


def _stream(s: Structure, width: int, before: bool, affine: bool, tied: bool, output: bool) -> None:
    if before:
        layer_norm_stream(s, width, affine or not tied, output)
    elif affine:
        post_norm_stream(s, width, False, output)
        s.scale("embeddings")
    elif output:
        s.space("residual", "residual", width, NONE, OUTPUT)
        s.scale("embeddings")
    else:
        reason = (
            "the norms into the stream have no gains and divide by its length, which "
            "rotations that keep the ones leave alone"
        )
        s.space("residual", "residual", width, ROTATIONS, reason, fixes_ones=True)
        if not tied:
            s.scale("embeddings")


def _norm_behind(s: Structure, block: str, name: str, readers: Readers, bias: bool) -> None:
    """A norm into the stream: its offset and its scale pass on to what stands behind it.

    A reader W of g * normalised(x) + o may change by c (1/g)^T, as the normalised x has mean zero;
    its bias takes the constant. Without biases that constant has to make up for a change of o; only
    attention can pass one on, units cannot.
    """
    width, shapes = s.spaces["residual"].size, {b.name: s.shapes[b.parameter] for b in s.blocks}
    s.norm(block, name, None)
    s.scale("norms into the stream")
    if bias:
        s.freedom(OFFSETS, width)
        s.freedom(MEANS, sum(shapes[weight][0] for weight, _ in readers))
    else:
        s.freedom(OFFSETS, width if len(readers) > 1 else 1)


def _read_behind(s: Structure, config: Config, tied: bool, projected: bool) -> Readers:
    """Write the head down, and what projects to it; returns what reads the last norm."""
    vocabulary, narrow = config.sizes("vocab_size", "word_embed_proj_dim")
    head = _head(config)
    inner = "residual"
    if projected and tied:
        s.linear("project.out", f"{AT}.project_out", "-embedding", "-residual", False)
        s.product("embedding", ("token.table",), ("project.in.weight", "project.out.weight"))
    elif projected and head.predicts == "features":
        s.linear("project.out", f"{AT}.project_out", "*", "-residual", False, rows=narrow)
        s.product("embedding", ("token.table",), ("project.in.weight",))
    elif projected:
        reason = "only the product of the head and what it reads is seen"
        inner = s.space("head.embedding", "latent", narrow, LINEAR, reason)
        s.linear("project.out", f"{AT}.project_out", f"+{inner}", "-residual", False)
        s.product("embedding", ("token.table",), ("project.in.weight",))
        s.product(inner, ("project.out.weight",), ("head.weight",))
    reader: tuple[str, str | None] = "head.weight", None
    if tied:
        s.tie(Tied(HEAD, TABLE, stays=projected or not config["layer_norm_elementwise_affine"]))
    elif head.predicts == "next":
        s.parameter("head.weight", HEAD, f"* -{inner}", (vocabulary, narrow), ignores_mean_over=0)
    elif head.predicts != "features":
        rows, over = (2, None) if head.predicts == "span" else (config.size("num_labels"), 0)
        reader = s.linear(
            "head", head.name, "*", f"-{inner}", head.bias, rows=rows, ignores_mean_over=over
        )
        if projected:
            _few_labels(s, config, rows, head.bias)
    return [("project.out.weight", None)] if projected else [reader]


def _few_labels(s: Structure, config: Config, labels: int, bias: bool) -> None:
    """Count what a head of few labels leaves open in the projection P that it reads: P + K where
    the head sends K to nothing.

    The head's bias, if it has one, takes the constants that means of rows of P become behind a norm
    with an offset.
    """
    narrow = config.size("word_embed_proj_dim")
    affine = config.flag("layer_norm_elementwise_affine")
    seen = config.size("hidden_size") - int(not affine)
    s.freedom("what few labels do not read", max(0, narrow - labels) * max(0, seen - narrow))
    if affine and bias:
        s.freedom(MEANS, min(narrow, labels))


SMALL = Config(
    model_type="opt", vocab_size=37, hidden_size=24, num_hidden_layers=2, ffn_dim=20
) | dict(max_position_embeddings=12, num_attention_heads=3)
_NARROW = {"word_embed_proj_dim": 5, "hidden_size": 12, "num_hidden_layers": 1}
_LABELS = Config(architectures=["OPTForSequenceClassification"], num_labels=3) | dict(
    num_hidden_layers=1
)
_PLAIN = {"layer_norm_elementwise_affine": False, "num_hidden_layers": 1}

OPT = Family(
    name="opt",
    sentence="Decoder with learned positions, LayerNorm before or behind each layer, ReLU units.",
    reference="Zhang et al., OPT: Open Pre-trained Transformer Language Models, 2022, arXiv "
    "2205.01068",
    takes="text",
    recognises=lambda config: config.get("model_type") == "opt",
    build=build,
    outputs=outputs,
    sizes=lambda c: (
        {
            "width": c.size("hidden_size"),
            "depth": c.size("num_hidden_layers"),
            "heads": c.size("num_attention_heads"),
            "units": c.size("ffn_dim"),
            "embedding width": c.size("word_embed_proj_dim"),
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
        "opt": SMALL,
        "opt-norms-behind": SMALL | {"do_layer_norm_before": False},
        "opt-narrow-norms-behind": SMALL | _NARROW | {"do_layer_norm_before": False},
        "opt-narrow-tied-gelu": SMALL | _NARROW | {"activation_function": "gelu"},
        "opt-narrow-no-biases": SMALL
        | _NARROW
        | {"tie_word_embeddings": False, "enable_bias": False},
        "opt-norms-behind-features": SMALL
        | {"architectures": ["OPTModel"], "do_layer_norm_before": False},
        "opt-narrow-labels": SMALL | _NARROW | _LABELS,
        "opt-narrow-features": SMALL | _NARROW | {"architectures": ["OPTModel"]},
        "opt-norms-behind-labels": SMALL | _LABELS | {"do_layer_norm_before": False},
        "opt-no-gains": SMALL | _PLAIN,
        "opt-no-gains-behind": SMALL
        | _PLAIN
        | {"do_layer_norm_before": False, "tie_word_embeddings": False},
    },
)
