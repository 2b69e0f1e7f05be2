"""OPT (Zhang et al. 2022, arXiv 2205.01068), as transformers' `OPTForCausalLM`.

Learned positions, of which the first two rows serve padding alone; ReLU units. LayerNorm stands before each layer, or, in the
model of 350 million parameters, behind it: then the gains act in the stream itself and only its order is free. Token embeddings
of another width are projected to the stream and back; any invertible map of their space passes through, a shared head included.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lmc_core.errors import BadCheckpoint
from lmc_core.models import hf
from lmc_core.models.family import Config, Family, divides, positive_sizes
from lmc_core.models.parts import (
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
from lmc_core.symmetry.rewrite import Product, Tied
from lmc_core.symmetry.spaces import LINEAR, ROTATIONS

AT = "model.decoder"
HEAD, TABLE = "lm_head.weight", f"{AT}.embed_tokens.weight"
PADDING = 2  # rows of the position table before the first position
Readers = list[tuple[str, str | None]]
MEANS, OFFSETS = "means that LayerNorm removes", "offsets of norms"

# What the function depends on, with transformers' defaults.
DEFAULTS: dict[str, Any] = {
    "model_type": "opt",
    "vocab_size": 50272,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "ffn_dim": 3072,
    "max_position_embeddings": 2048,
    "do_layer_norm_before": True,
    "word_embed_proj_dim": None,
    "num_attention_heads": 12,
    "activation_function": "relu",
    "enable_bias": True,
    "layer_norm_elementwise_affine": True,
    "tie_word_embeddings": True,
    "pad_token_id": 1,
    "bos_token_id": 2,
    "eos_token_id": 2,
}


def config(raw: Config) -> dict[str, Any]:
    """The entries of a `config.json` that the function depends on; missing ones get transformers' defaults."""
    found = hf.chosen(raw, DEFAULTS)
    if found["word_embed_proj_dim"] is None:
        found["word_embed_proj_dim"] = found["hidden_size"]
    sizes = ("vocab_size", "hidden_size", "num_hidden_layers", "ffn_dim", "num_attention_heads", "word_embed_proj_dim")
    positive_sizes(found, *sizes, "max_position_embeddings")
    divides(found, "num_attention_heads", "hidden_size")
    switches = ("do_layer_norm_before", "enable_bias", "layer_norm_elementwise_affine", "tie_word_embeddings")
    hf.switches(found, *switches)
    hf.special_tokens(found)
    hf.activation(found, "activation_function", POINTWISE, "OPT")
    if raw.get("_remove_final_layer_norm"):
        raise BadCheckpoint("OPT models without a last norm (_remove_final_layer_norm=true) are not supported.")
    return found


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Add the prefix that old checkpoints lack; drop the copy of a tied table."""
    renamed = {f"model.{name}" if name.startswith("decoder.") else name: tensor for name, tensor in tensors.items()}
    if config["tie_word_embeddings"]:
        hf.drop_copy(renamed, HEAD, TABLE)
    return renamed


def structure(config: Config) -> Structure:
    """The spaces and blocks of an OPT of that configuration."""
    width, narrow, vocabulary = config["hidden_size"], config["word_embed_proj_dim"], config["vocab_size"]
    heads, size, act = config["num_attention_heads"], config["ffn_dim"], config["activation_function"]
    before, bias, tied = (bool(config[key]) for key in ("do_layer_norm_before", "enable_bias", "tie_word_embeddings"))
    affine, projected = bool(config["layer_norm_elementwise_affine"]), narrow != width
    s = Structure("opt")
    _stream(s, width, before, affine, tied and not projected)
    if projected:
        s.space("embedding", "latent", narrow, LINEAR, "only the product of the token table and what reads it is seen")
    s.parameter("token.table", TABLE, f"* +{'embedding' if projected else 'residual'}", (vocabulary, narrow))
    if projected:
        s.linear("project.in", f"{AT}.project_in", "+residual", "-embedding", False)
    positions = config["max_position_embeddings"] + PADDING
    s.parameter("position.table", f"{AT}.embed_positions.weight", "* +residual", (positions, width))
    seen = width - int(before)  # of a constant in the stream, whose mean a LayerNorm before each layer removes
    s.add("further", ("positions of padding alone", PADDING * seen), ("sums of constants", narrow if projected else seen))
    readers: list[Readers] = []
    norms: list[tuple[str, str]] = []
    for i in range(config["num_hidden_layers"]):
        on, at = f"blocks.{i}", f"{AT}.layers.{i}"
        a = attention(s, str(i), heads, width // heads)
        names = tuple(f"{at}.self_attn.{part}_proj" for part in ("q", "k", "v", "out"))
        readers.append(separate_attention(s, a, on, names, (bias,) * 4))  # type: ignore[arg-type]  (four names)
        if affine and not bias and (before or i):
            offsets_without_biases(s, a, False)
        u = units(s, str(i), size, act)
        readers.append([s.linear(f"{on}.up", f"{at}.fc1", f"+{u}", "-residual", bias)])
        s.linear(f"{on}.down", f"{at}.fc2", "+residual", f"-{u}", bias)
        units_product(s, u, on, bias)
        norms += [(f"{on}.norm1", f"{at}.self_attn_layer_norm"), (f"{on}.norm2", f"{at}.final_layer_norm")]
        if not before:
            s.add("further", (MEANS, width + size + 2 * bias))
    readers.append([_head(s, config, tied, projected)])
    if before:
        norms.append(("norm", f"{AT}.final_layer_norm"))
    for (block, name), behind in zip(norms, readers[0 if before else 1 :], strict=True):
        last = behind is readers[-1]
        if before or not affine:
            if affine or not (last and tied and not projected):  # a shared head without gains before it needs no rewrite
                s.norm(block, name, behind, gain=affine, offset=affine)
        elif last:
            s.norm(block, name, None if tied and not projected else behind)
        else:
            _norm_behind(s, block, name, behind, bias)
    if not before:
        # the first attention alone sees the mean of the embeddings: x -> x + 1 (a^T x) for any a, undone in its three maps
        s.add("further", (MEANS, width), (OFFSETS, width * bias))
        if affine and config["num_hidden_layers"] == 1:  # gains of a single norm into the stream, see `vit`
            s.add("further", ("gains against a rotation", 1))
    return s


def _stream(s: Structure, width: int, before: bool, affine: bool, tied: bool) -> None:
    if before:
        layer_norm_stream(s, width, scaled=affine or not tied)
    elif affine:
        post_norm_stream(s, width, rms=False)
        s.add("scales", "embeddings")
    else:
        reason = (
            "the norms into the stream have no gains and divide by its length, which rotations that keep the ones leave alone"
        )
        s.space("residual", "residual", width, ROTATIONS, reason, fixes_ones=True)
        if not tied:
            s.add("scales", "embeddings")


def _norm_behind(s: Structure, block: str, name: str, readers: Readers, bias: bool) -> None:
    """A norm into the stream: its offset and its scale pass on to what stands behind it.

    A reader W of g * normalised(x) + o may change by c (1/g)^T, as the normalised x has mean zero; its bias takes the constant.
    Without biases that constant has to make up for a change of o; only attention can pass one on, units cannot.
    """
    width, shapes = s.spaces["residual"].size, {b.name: s.shapes[b.parameter] for b in s.blocks}
    s.norm(block, name, None)
    s.add("scales", "norms into the stream")
    if bias:
        s.add("further", (OFFSETS, width), (MEANS, sum(shapes[weight][0] for weight, _ in readers)))
    else:
        s.add("further", (OFFSETS, width if len(readers) > 1 else 1))


def _head(s: Structure, config: Config, tied: bool, projected: bool) -> tuple[str, str | None]:
    """Write the head down, and what projects to it; returns what reads the last norm."""
    vocabulary, narrow = config["vocab_size"], config["word_embed_proj_dim"]
    inner = "residual"
    if projected and tied:
        s.linear("project.out", f"{AT}.project_out", "-embedding", "-residual", False)
        s.add("products", Product("embedding", ("token.table",), ("project.in.weight", "project.out.weight")))
    elif projected:
        reason = "only the product of the head and what it reads is seen"
        inner = s.space("head.embedding", "latent", narrow, LINEAR, reason)
        s.linear("project.out", f"{AT}.project_out", f"+{inner}", "-residual", False)
        s.add("products", Product("embedding", ("token.table",), ("project.in.weight",)))
        s.add("products", Product(inner, ("project.out.weight",), ("head.weight",)))
    if tied:
        s.tie(Tied(HEAD, TABLE, stays=projected or not config["layer_norm_elementwise_affine"]))
    else:
        s.parameter("head.weight", HEAD, f"* -{inner}", (vocabulary, narrow), ignores_mean_over=0)
    return "project.out.weight" if projected else "head.weight", None


SMALL: dict[str, Any] = {
    "model_type": "opt",
    "vocab_size": 37,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "ffn_dim": 20,
    "max_position_embeddings": 12,
    "num_attention_heads": 3,
}
_NARROW = {"word_embed_proj_dim": 5, "hidden_size": 12, "num_hidden_layers": 1}
_PLAIN = {"layer_norm_elementwise_affine": False, "num_hidden_layers": 1}

OPT = Family(
    name="opt",
    sentence="Decoder with learned positions, LayerNorm before or behind each layer, ReLU units.",
    reference="Zhang et al., OPT: Open Pre-trained Transformer Language Models, 2022, arXiv 2205.01068",
    takes="text",
    recognises=lambda config: config.get("model_type") == "opt",
    build=lambda config: hf.build(config, "OPTConfig", "OPTForCausalLM", dropout=0.0, attention_dropout=0.0, layerdrop=0.0),
    outputs=hf.logits,
    sizes=lambda c: {
        "width": c["hidden_size"],
        "depth": c["num_hidden_layers"],
        "heads": c["num_attention_heads"],
        "units": c["ffn_dim"],
        "embedding width": c["word_embed_proj_dim"],
        "tokens": c["vocab_size"],
        "context": c["max_position_embeddings"],
    },
    structure=structure,
    predicts=lambda config: "next",
    save=hf.save,
    config=config,
    from_disk=from_disk,
    classes=("OPTForCausalLM",),
    examples={
        "opt": SMALL,
        "opt-norms-behind": SMALL | {"do_layer_norm_before": False},
        "opt-narrow-norms-behind": SMALL | _NARROW | {"do_layer_norm_before": False},
        "opt-narrow-tied-gelu": SMALL | _NARROW | {"activation_function": "gelu"},
        "opt-narrow-no-biases": SMALL | _NARROW | {"tie_word_embeddings": False, "enable_bias": False},
        "opt-no-gains": SMALL | _PLAIN,
        "opt-no-gains-behind": SMALL | _PLAIN | {"do_layer_norm_before": False, "tie_word_embeddings": False},
    },
)
