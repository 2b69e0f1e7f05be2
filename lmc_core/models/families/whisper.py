"""Whisper (Radford et al. 2022, arXiv 2212.04356): sound to text, its body alone, and its encoder
with labels.

Two streams, each with a LayerNorm before each layer; keys have no bias. The encoder's begins with
gelu(conv2(gelu(conv1(mel)))) + positions: what the second convolution gives passes a GELU on its
way into the stream, so that there the order of coordinates alone is free, and neither their length
nor the mean of that part. The positions are sinusoids at first, but stored, and move with the
stream. The decoder's stream begins with tables and rotates like any other between LayerNorms; its
head shares the token table. The encoder's last norm is read by keys and values of every decoder
layer. Of the body alone both streams are outputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmc_core.errors import BadCheckpoint
from lmc_core.lazy_torch import torch
from lmc_core.models.architectures import hf
from lmc_core.models.architectures.heads import Head, Readers, with_class
from lmc_core.models.architectures.vision import fitting
from lmc_core.models.config import Config, require_divides, require_sizes
from lmc_core.models.family import Family
from lmc_core.models.parts import (
    OUTPUT,
    POINTWISE,
    attention,
    layer_norm_stream,
    separate_attention,
    units,
    units_product,
)
from lmc_core.models.structure import Structure
from lmc_core.symmetry.rewrite import Tied
from lmc_core.symmetry.spaces import LINEAR, NONE, PERMUTATIONS

if TYPE_CHECKING:
    from torch import Tensor, nn

HEAD, TABLE = "proj_out.weight", "model.decoder.embed_tokens.weight"
HEARD = "residual.encoder"
MEANS, CONSTANTS = "means that LayerNorm removes", "constants that no output sees"
SIZES = ("layers", "attention_heads", "ffn_dim")
# What the function depends on, with transformers' defaults: of an encoder, and what the other
# classes have besides.
ENCODER = (
    Config(model_type="whisper", num_mel_bins=80, d_model=384, encoder_layers=4)
    | dict(encoder_attention_heads=6, encoder_ffn_dim=1536, activation_function="gelu")
    | dict(max_source_positions=1500)
)
DECODER = (
    Config(vocab_size=51865, decoder_layers=4, decoder_attention_heads=6)
    | dict(decoder_ffn_dim=1536, max_target_positions=448, pad_token_id=50256)
    | dict(bos_token_id=50256, eos_token_id=50256, decoder_start_token_id=50257)
    | dict(tie_word_embeddings=True)
)
USUAL, LABELS = "WhisperForConditionalGeneration", "WhisperForAudioClassification"
CLASSES = {
    USUAL: Head("transcript"),
    "WhisperModel": Head("features", body=""),
    LABELS: Head("label", "classifier", True, body=""),
}


def _class(config: Config) -> str:
    return config.class_name(USUAL)


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = with_class(hf.chosen(raw, ENCODER), raw, CLASSES, USUAL, "Whisper")
    require_sizes(found, "num_mel_bins", "d_model", "max_source_positions")
    require_sizes(found, *(f"encoder_{size}" for size in SIZES))
    require_divides(found, "encoder_attention_heads", "d_model")
    hf.activation(found, "activation_function", POINTWISE, "Whisper")
    if _class(found) == LABELS:
        hf.switches(raw, "use_weighted_layer_sum")
        if raw.get("use_weighted_layer_sum"):
            raise BadCheckpoint(
                "A Whisper whose labels are read from a weighted sum of all layers "
                "(use_weighted_layer_sum=true) is not "
                "supported; one that reads the last layer is."
            )
        found["classifier_proj_size"] = raw.get("classifier_proj_size", 256)
        require_sizes(found, "classifier_proj_size")
        return found
    found |= hf.chosen(raw, DECODER)
    if CLASSES[_class(found)].predicts == "features":
        del found["tie_word_embeddings"]
    hf.switches(found, "tie_word_embeddings")
    require_sizes(found, "vocab_size", "max_target_positions")
    require_sizes(found, *(f"decoder_{size}" for size in SIZES))
    require_divides(found, "decoder_attention_heads", "d_model")
    hf.special_tokens(found)
    start = found["decoder_start_token_id"]
    if (
        not isinstance(start, int)
        or isinstance(start, bool)
        or not 0 <= start < found.size("vocab_size")
    ):
        raise BadCheckpoint(
            "The configuration should give 'decoder_start_token_id' as one of the tokens; it "
            f"gives {start!r}."
        )
    return found


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Names in memory; heads and decoders of other classes are left over, and so is the copy of a
    tied table.
    """
    cls, found = _class(config), {}
    head = CLASSES[cls]
    others = ("projector.", "classifier.", "layer_weights")
    left = {
        USUAL: others,
        "WhisperModel": ("proj_out.", *others),
        LABELS: ("proj_out.", "decoder."),
    }[cls]
    for name, tensor in tensors.items():
        bare = name.removeprefix("model.")
        if not bare.startswith(left):
            found[f"{head.body}{bare}" if bare.startswith(("encoder.", "decoder.")) else bare] = (
                tensor
            )
    if cls == USUAL and config["tie_word_embeddings"]:
        hf.drop_copy(found, HEAD, TABLE)
    return found


def build(config: Config) -> nn.Module:
    """A module of the class that the configuration names, randomly initialised, in float32."""
    none = dict.fromkeys(("dropout", "attention_dropout", "activation_dropout"), 0.0)
    none |= dict.fromkeys(("encoder_layerdrop", "decoder_layerdrop"), 0.0)
    return hf.build(config, "WhisperConfig", _class(config), **none)


def probe(config: Config, count: int, seed: int, dtype: torch.dtype) -> Tensor:
    """Mel features `[count, bins, frames]` of normal noise."""
    generator = torch.Generator().manual_seed(seed)
    shape = (count, config.size("num_mel_bins"), 2 * config.size("max_source_positions"))
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def heard_tokens(config: Any, features: Tensor) -> Tensor:
    """Tokens `[n, max_target_positions]` for the decoder to read: its start token, then others that
    follow from the features.

    A probe of the function has to reach all rows of both tables. Each number of the features gives
    a token, in hundredths, modulo the size of the vocabulary; the features of one example alone
    decide over its tokens, so that they do not depend on what stands beside it.
    """
    length, rows = config.max_target_positions, features.flatten(1)
    places = torch.arange(length - 1, device=rows.device) % rows.shape[1]
    tokens = (100 * rows[:, places].double()).round().long() % config.vocab_size
    start = torch.full_like(tokens[:, :1], 0) if length > 1 else tokens.new_zeros(len(rows), 1)
    return torch.cat([start + config.decoder_start_token_id, tokens], 1)


def outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """What a class computes of mel features `[n, bins, frames]`.

    Logits `[n, positions, vocabulary]` at every place of the tokens that `heard_tokens` gives; of
    the body alone both streams behind their last norms, the encoder's first; or logits
    `[n, labels]`.
    """
    features = fitting(module, inputs)
    if type(module).__name__ == LABELS:
        return module(features).logits
    tokens = heard_tokens(module.config, inputs)
    found = module(features, decoder_input_ids=tokens, use_cache=False)
    if "logits" in found:
        return found.logits
    return torch.cat([found.encoder_last_hidden_state, found.last_hidden_state], 1)


def _attention(
    s: Structure, on: str, at: str, heads: int, stream: str, heard: str | None = None
) -> Readers:
    """One attention layer, whose keys have no bias; returns what reads the streams: queries, keys,
    values.
    """
    width = s.spaces[stream].size
    a = attention(s, on.removeprefix("blocks."), heads, width // heads)
    names = (f"{at}.q_proj", f"{at}.k_proj", f"{at}.v_proj", f"{at}.out_proj")
    reads, key_reads = f"-{stream}", f"-{heard}" if heard else None
    biases = (True, False, True, True)
    # a row of the keys along 1/g of the norm they read gives all scores of a query one number
    s.freedom(CONSTANTS, width)
    return separate_attention(s, a, on, names, biases, reads, key_reads, f"+{stream}")


def _feed_forward(
    s: Structure, config: Config, on: str, at: str, size: int, stream: str
) -> Readers:
    u = units(s, on.removeprefix("blocks."), size, config.text("activation_function"))
    reader = s.linear(f"{on}.up", f"{at}.fc1", f"+{u}", f"-{stream}")
    s.linear(f"{on}.down", f"{at}.fc2", f"+{stream}", f"-{u}")
    units_product(s, u, on, bias=True)
    return [reader]


def _encoder(s: Structure, config: Config, shown: bool) -> None:
    """Write the encoder down, without its last norm; `shown` where its stream is an output."""
    width, mels, size = config.sizes("d_model", "num_mel_bins", "encoder_ffn_dim")
    reason = (
        "what the second convolution gives passes GELU, which acts on each coordinate by "
        "itself, into the stream"
    )
    s.space(HEARD, "residual", width, NONE if shown else PERMUTATIONS, OUTPUT if shown else reason)
    reason = "the activation (gelu) acts on each channel by itself and is not homogeneous"
    u = s.space("units.conv", "units", width, PERMUTATIONS, reason)
    for block, pattern, inner in (("conv1", f"+{u} *", mels), ("conv2", f"+{HEARD} -{u} *", width)):
        s.parameter(f"{block}.weight", f"encoder.{block}.weight", pattern, (width, inner, 3))
        s.parameter(f"{block}.bias", f"encoder.{block}.bias", pattern.split()[0], (width,))
    rows = config.size("max_source_positions")
    s.parameter("heard.table", "encoder.embed_positions.weight", f"* +{HEARD}", (rows, width))
    s.freedom(MEANS, rows)
    for i in range(config.size("encoder_layers")):
        on, at = f"blocks.encoder.{i}", f"encoder.layers.{i}"
        readers = _attention(
            s, on, f"{at}.self_attn", config.size("encoder_attention_heads"), HEARD
        )
        s.norm(f"{on}.norm1", f"{at}.self_attn_layer_norm", readers, HEARD)
        readers = _feed_forward(s, config, on, at, size, HEARD)
        s.norm(f"{on}.norm2", f"{at}.final_layer_norm", readers, HEARD)
        s.freedom(MEANS, width + 1 + size + 1)  # of what both layers write


def _decoder(s: Structure, config: Config, shown: bool) -> Readers:
    """Write the decoder down, without its last norm; returns what in it reads the encoder's."""
    width, heads = config.sizes("d_model", "decoder_attention_heads")
    layer_norm_stream(s, width, output=shown)
    tables = (
        ("token", "embed_tokens", "vocab_size"),
        ("position", "embed_positions", "max_target_positions"),
    )
    for block, name, rows in tables:
        s.parameter(
            f"{block}.table", f"decoder.{name}.weight", "* +residual", (config.size(rows), width)
        )
    s.sum("token.table", "position.table")
    across: Readers = []
    for i in range(config.size("decoder_layers")):
        on, at = f"blocks.decoder.{i}", f"decoder.layers.{i}"
        readers = _attention(s, on, f"{at}.self_attn", heads, "residual")
        s.norm(f"{on}.norm1", f"{at}.self_attn_layer_norm", readers)
        query, *others = _attention(
            s, f"{on}.across", f"{at}.encoder_attn", heads, "residual", HEARD
        )
        s.norm(f"{on}.norm2", f"{at}.encoder_attn_layer_norm", [query])
        across += others
        readers = _feed_forward(s, config, on, at, config.size("decoder_ffn_dim"), "residual")
        s.norm(f"{on}.norm3", f"{at}.final_layer_norm", readers)
    return across


def _labels(s: Structure, config: Config) -> Readers:
    """Two linear layers that give labels; only their product is seen, of the mean over time."""
    size, labels = config.sizes("classifier_proj_size", "num_labels")
    seen = config.size("d_model") - 1
    s.space("latent", "latent", size, LINEAR, "only the product of the two last layers is seen")
    reader = s.linear("projector", "projector", "+latent", f"-{HEARD}")
    s.linear("head", "classifier", "*", "-latent", rows=labels, ignores_mean_over=0)
    constant = ("projector.bias", "head.weight", "head.bias")
    s.product("latent", ("projector.weight",), ("head.weight",), None, constant)
    rank = min(size, labels, seen)
    left = size * (seen + labels - size) - rank * (seen + labels - rank)
    s.freedom("what few labels do not read", left)
    return [reader]


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Whisper of that configuration."""
    s, head = Structure("whisper"), CLASSES[_class(config)]
    shown = head.predicts == "features"
    _encoder(s, config, shown)
    if head.predicts == "label":
        s.norm("heard.norm", "encoder.layer_norm", _labels(s, config), HEARD)
        return s
    across = _decoder(s, config, shown)
    s.norm("heard.norm", "encoder.layer_norm", None if shown else across, HEARD)
    if shown:  # rows of what reads that norm along 1/g of it
        s.freedom(MEANS, config.size("d_model") * config.size("decoder_layers"))
    s.norm("norm", "decoder.layer_norm", None if shown else [("head.weight", None)])
    for part in ("encoder.", "decoder."):
        s.rename(part, f"{head.body}{part}")
    if not shown and config["tie_word_embeddings"]:
        s.tie(Tied(HEAD, TABLE))
    elif not shown:
        shape = (config.size("vocab_size"), config.size("d_model"))
        s.parameter("head.weight", HEAD, "* -residual", shape, ignores_mean_over=0)
    return s


def sizes(config: Config) -> dict[str, int]:
    """Sizes for people."""
    found = {
        "width": config.size("d_model"),
        "depth": config.size("encoder_layers"),
        "heads": config.size("encoder_attention_heads"),
        "units": config.size("encoder_ffn_dim"),
        "frames": 2 * config.size("max_source_positions"),
        "mel bins": config.size("num_mel_bins"),
    }
    if _class(config) == LABELS:
        return found | {"classes": config.size("num_labels")}
    return found | {
        "decoder depth": config.size("decoder_layers"),
        "tokens": config.size("vocab_size"),
        "context": config.size("max_target_positions"),
    }


SMALL = {
    "model_type": "whisper",
    "architectures": [USUAL],
    "vocab_size": 37,
    "num_mel_bins": 5,
    "d_model": 24,
    **{
        f"{stack}_{size}": n
        for stack in ("encoder", "decoder")
        for size, n in zip(SIZES, (1, 3, 20), strict=True)
    },
    "max_source_positions": 10,
    "max_target_positions": 8,
    "decoder_start_token_id": 3,
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id")),
}

WHISPER = Family(
    name="whisper",
    sentence="Sound to text: encoder and decoder with a LayerNorm before each layer, the encoder "
    "behind two convolutions.",
    reference="Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, 2022, "
    "arXiv 2212.04356",
    takes="audio",
    recognises=lambda config: config.get("model_type") == "whisper",
    build=build,
    outputs=outputs,
    sizes=sizes,
    structure=structure,
    predicts=lambda config: CLASSES[_class(config)].predicts,
    save=hf.save,
    config=config,
    from_disk=from_disk,
    classes=tuple(CLASSES),
    examples={
        "whisper": SMALL
        | {"encoder_layers": 2, "decoder_layers": 2, "activation_function": "relu"},
        "whisper-features": SMALL | {"architectures": ["WhisperModel"]},
        "whisper-labels": SMALL
        | {"architectures": [LABELS], "num_labels": 3, "classifier_proj_size": 6},
    },
    probe=probe,
)
