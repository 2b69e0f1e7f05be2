"""T5 (Raffel et al. 2019, arXiv 1910.10683), versions 1.0 and 1.1, mT5 (Xue et al. 2020, arXiv
2010.11934) and UMT5 (Chung et al. 2023, arXiv 2304.09151): the whole model, its encoder, and both
with other heads.

RMSNorm before each layer, no biases, scores without a scale, positions as a table of one number per
distance and head that all self-attentions of a stack share. Both stacks share the token table.
Version 1.0 (ReLU) shares it with the head as well and scales what the head reads by d^-1/2; version
1.1 (gated GELU) has a head of its own and no scale. mT5 has no scale either way; in UMT5 every
layer has a table of positions of its own, so that its heads move by themselves.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmc_core.errors import BadCheckpoint
from lmc_core.lazy_torch import nn, torch
from lmc_core.models.architectures import hf
from lmc_core.models.architectures.heads import Head, continue_half, with_class
from lmc_core.models.config import Config, Json, require_sizes
from lmc_core.models.family import SHARD, Family
from lmc_core.models.parts import (
    POINTWISE,
    attention,
    gated_units,
    rms_norm_stream,
    separate_attention,
    tanh_pooled,
    units,
    units_product,
)
from lmc_core.models.structure import Structure
from lmc_core.symmetry.rewrite import Tied
from lmc_core.symmetry.spaces import PERMUTATIONS

if TYPE_CHECKING:
    from torch import Tensor

HEAD, TABLE = "lm_head.weight", "shared.weight"
COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
# a table that old checkpoints hold and no attention across the stacks reads
UNUSED = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
USUAL = "ForConditionalGeneration"
# ends of the names of classes -> what they have
ENDS = {
    USUAL: Head("continuation", body=""),
    "Model": Head("features", body=""),
    "EncoderModel": Head("features", body=""),
    "ForSequenceClassification": Head(
        "label", "classification_head.out_proj", True, "transformer."
    ),
    "ForTokenClassification": Head("token-label", "classifier", True, "transformer."),
    "ForQuestionAnswering": Head("span", "qa_outputs", True, ""),
}
ALONE = ("EncoderModel", "ForTokenClassification")  # without a decoder
HEADS = ("lm_head.", "classification_head.", "classifier.", "qa_outputs.")
PARTS = ("shared.", "encoder.", "decoder.")

# What the function depends on, with transformers' defaults; `n_positions` is the longest window it
# was trained on.
DEFAULTS = (
    Config(model_type="t5", vocab_size=32128, d_model=512, d_kv=64, d_ff=2048, num_layers=6)
    | dict(num_decoder_layers=None, num_heads=8, relative_attention_num_buckets=32)
    | dict(relative_attention_max_distance=128, layer_norm_epsilon=1e-6)
    | dict(feed_forward_proj="relu", tie_word_embeddings=True, pad_token_id=0)
    | dict(eos_token_id=1, decoder_start_token_id=None, n_positions=512)
)


@dataclass(frozen=True)
class Kin:
    """One of the families of T5's kind.

    Attributes:
        name: of the family, and of its kind in a `config.json`.
        title: its name in sentences.
        classes_begin: what the names of its classes begin with.
        defaults: settings that the function depends on, with transformers' defaults.
        own_tables: every layer has a table of positions of its own.
        scaled: a shared head reads scaled outputs.
        aliases: earlier names of the usual class.
    """

    name: str
    title: str
    classes_begin: str
    defaults: Mapping[str, Json]
    own_tables: bool = False
    scaled: bool = True
    aliases: tuple[str, ...] = ()

    @property
    def classes(self) -> dict[str, Head]:
        """Names of classes -> what they have."""
        return {f"{self.classes_begin}{end}": head for end, head in ENDS.items()} | dict.fromkeys(
            self.aliases, ENDS[USUAL]
        )

    def end(self, config: Config) -> str:
        """The end of the name of the class of a configuration."""
        return config.class_name(USUAL).removeprefix(self.classes_begin)

    def head(self, config: Config) -> Head:
        """What the class of a configuration has."""
        return ENDS[self.end(config)]


def _config(raw: Config, kind: Kin) -> Config:
    found = hf.chosen(raw, kind.defaults)
    if found["num_decoder_layers"] is None:
        found["num_decoder_layers"] = found["num_layers"]
    sizes = (
        "vocab_size",
        "d_model",
        "d_kv",
        "d_ff",
        "num_layers",
        "num_decoder_layers",
        "num_heads",
        "n_positions",
    )
    require_sizes(
        found, *sizes, "relative_attention_num_buckets", "relative_attention_max_distance"
    )
    hf.positive_numbers(found, "layer_norm_epsilon")
    _require_buckets(found)
    hf.switches(raw, "tie_word_embeddings", "scale_decoder_outputs")
    # transformers 5 writes tie_word_embeddings as true whatever the head is, and says by the scale
    # which version it is
    tied = raw.get("scale_decoder_outputs", found.flag("tie_word_embeddings")) is not False
    if tied and found["tie_word_embeddings"] is False:
        raise BadCheckpoint(
            f"A {kind.title} whose head has a matrix of its own and reads scaled outputs is not "
            "supported."
        )
    found["tie_word_embeddings"] = tied
    hf.special_tokens(found)
    if found["decoder_start_token_id"] is None:
        found["decoder_start_token_id"] = found["pad_token_id"]
    hf.require_tokens(found, "pad_token_id", "decoder_start_token_id")
    _activation(found)
    found = with_class(found, raw, kind.classes, f"{kind.classes_begin}{USUAL}", kind.title)
    if kind.head(found).predicts == "span" and hf.labels(raw) != 2:
        raise BadCheckpoint(
            "Where an answer begins and ends are 2 labels; the configuration gives "
            f"{hf.labels(raw)!r}."
        )
    if kind.head(found).predicts == "label" and not isinstance(found["eos_token_id"], int):
        raise BadCheckpoint(
            f"The class {found.class_name()} reads a text at its last 'eos_token_id', "
            "which should be one token; the "
            f"configuration gives {found['eos_token_id']!r}."
        )
    return found


def _require_buckets(found: Config) -> None:
    buckets, farthest = found.sizes(
        "relative_attention_num_buckets", "relative_attention_max_distance"
    )
    if not 4 <= buckets < 2**16 or farthest <= buckets // 2:
        raise BadCheckpoint(
            "Positions need at least 4 buckets and a largest distance beyond half their number; "
            "the configuration gives "
            f"{buckets} and {farthest}."
        )


def _activation(config: Config) -> tuple[bool, str]:
    """Whether the units are gated, and their activation."""
    words = str(config["feed_forward_proj"]).split("-")
    gated, act = words[0] == "gated" and len(words) == 2, words[-1]
    if act not in POINTWISE or len(words) != 1 + gated:
        raise BadCheckpoint(
            f"T5 with feed_forward_proj {config['feed_forward_proj']!r} is not supported; 'relu' "
            "and 'gated-gelu' are examples."
        )
    return gated, "gelu_new" if gated and act == "gelu" else act


def _from_disk(tensors: dict[str, Tensor], config: Config, kind: Kin) -> dict[str, Tensor]:
    """Copies of the token table and what no layer reads are dropped; a head of its own that is
    missing is the table.
    """
    head, alone = kind.head(config), kind.end(config) in ALONE
    found = {}
    for name, tensor in tensors.items():
        bare = name.removeprefix("transformer.")
        left_over = bare.startswith(HEADS) and not (
            head.name and bare.startswith(f"{head.name.split('.')[0]}.")
        )
        if (
            bare == UNUSED
            or (alone and bare.startswith("decoder."))
            or (left_over and head.predicts != "continuation")
        ):
            continue
        found[bare] = tensor
    for copy in COPIES:
        hf.drop_copy(
            found, copy, TABLE, "both stacks of a T5 read one table, so fetch the checkpoint again"
        )
    if head.predicts == "continuation" and config["tie_word_embeddings"]:
        hf.drop_copy(found, HEAD, TABLE)
    elif head.predicts == "continuation" and HEAD not in found and TABLE in found:
        found[HEAD] = found[TABLE].clone()
    return {
        f"{head.body}{name}" if name.startswith(PARTS) else name: tensor
        for name, tensor in found.items()
    }


def _build(config: Config, kind: Kin) -> nn.Module:
    """A module of the class that the configuration names, randomly initialised, in float32."""
    cls = f"{kind.classes_begin}{kind.end(config)}"
    module = hf.build(
        config, f"{kind.classes_begin}Config", cls, dropout_rate=0.0, classifier_dropout=0.0
    )
    # the class ties it whatever its configuration says
    if not config.get("tie_word_embeddings", True):
        own = torch.empty_like(module.get_parameter("shared.weight")).normal_()
        module.get_submodule("lm_head").weight = nn.Parameter(own)
    return module


def outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """What a class computes of tokens `[n, length]`.

    Logits `[n, length - half, vocabulary]` of the second half given the first, half = length // 2:
    the encoder reads the first half; the decoder reads the second one moved right by one place,
    behind its start token. Of a model without a head the streams of both, `[n, length, width]`, and
    of an encoder its own. Logits of a text are read at the token that ends it, which is put behind
    it.
    """
    config: Any = module.config
    name = type(module).__name__
    if name.endswith("ForSequenceClassification"):
        ended = torch.cat([inputs, torch.full_like(inputs[:, :1], config.eos_token_id)], 1)
        # one of its own number of ends
        return torch.cat([module(text, use_cache=False).logits for text in ended.split(1)])
    if name.endswith("ForQuestionAnswering"):
        found = module(inputs, use_cache=False)
        return torch.stack([found.start_logits, found.end_logits], -1)
    if name.endswith(ALONE):
        found = module(inputs)
        return found.logits if "logits" in found else found.last_hidden_state
    return continue_half(module, inputs, config.decoder_start_token_id)


def reached(buckets: int, farthest: int, both_ways: bool) -> int:
    """How many buckets of distances any distance falls into.

    The first half of the buckets of a direction have one distance each, the others grow by a
    constant factor up to `farthest`; what is further shares the last one.

    Args:
        buckets: how many there are.
        farthest: distance at which the last one ends.
        both_ways: half of them are for places ahead, as in an encoder.
    """
    n = buckets // 2 if both_ways else buckets
    exact = n // 2
    factor = (farthest / exact) ** (1 / (n - exact))
    edges = [exact * factor**j for j in range(n - exact)]
    wide = sum(math.ceil(edge - 1e-9) < edge * factor - 1e-9 for edge in edges[:-1]) + 1
    return (exact + wide) * (2 if both_ways else 1) - int(both_ways)  # ahead there is no distance 0


def _feed_forward(s: Structure, config: Config, on: str, at: str, number: int) -> None:
    gated, act = _activation(config)
    tag, size = on.removeprefix("blocks."), config.size("d_ff")
    u = (gated_units if gated else units)(s, tag, size, act)
    at = f"{at}.layer.{number}"
    readers = [
        s.linear(
            f"{on}.up",
            f"{at}.DenseReluDense.{'wi_1' if gated else 'wi'}",
            f"+{u}",
            "-residual",
            False,
        )
    ]
    if gated:
        readers.append(
            s.linear(f"{on}.gate", f"{at}.DenseReluDense.wi_0", f"={u}", "-residual", False)
        )
    s.linear(f"{on}.down", f"{at}.DenseReluDense.wo", "+residual", f"-{u}", False)
    units_product(s, u, on, gate=act if gated else None)
    s.norm(f"{on}.norm{number + 1}", f"{at}.layer_norm", readers, offset=False, centred=False)


NO_BIASES = (False, False, False, False)


def _table(s: Structure, config: Config, stack: str, block: str, at: str, space: str) -> None:
    """A table of one number for each distance and head."""
    heads, buckets = config.sizes("num_heads", "relative_attention_num_buckets")
    s.parameter(
        block,
        f"{at}.layer.0.SelfAttention.relative_attention_bias.weight",
        f"* ={space}",
        (buckets, heads),
    )
    seen = reached(buckets, config.size("relative_attention_max_distance"), stack == "encoder")
    s.freedom("position numbers that a softmax does not see", heads)
    s.freedom("distances that do not occur", (buckets - seen) * heads)


def _stack(
    s: Structure, config: Config, stack: str, depth: int, own_tables: bool
) -> list[tuple[str, str | None]]:
    """Write a stack down; returns what in it reads the encoder's last norm."""
    heads, plane = config.sizes("num_heads", "d_kv")
    shared: str | None = None
    if not own_tables:
        reason = (
            f"each head has a softmax of its own; all self-attentions of the {stack} share "
            "one table of positions by head"
        )
        shared = s.space(f"heads.{stack}", "heads", heads, PERMUTATIONS, reason)
        _table(s, config, stack, f"{stack}.position.table", f"{stack}.block.0", shared)
    across: list[tuple[str, str | None]] = []
    for i in range(depth):
        on, at = f"blocks.{stack}.{i}", f"{stack}.block.{i}"
        a = attention(s, f"{stack}.{i}", heads, plane, shared_heads=shared)
        if own_tables:
            _table(s, config, stack, f"{on}.position.table", at, f"heads.{stack}.{i}")
        names = tuple(f"{at}.layer.0.SelfAttention.{part}" for part in "qkvo")
        readers = separate_attention(s, a, on, names, NO_BIASES, scaled=False)
        s.norm(f"{on}.norm1", f"{at}.layer.0.layer_norm", readers, offset=False, centred=False)
        if stack == "decoder":
            a = attention(s, f"{stack}.{i}.across", heads, plane)
            names = tuple(f"{at}.layer.1.EncDecAttention.{part}" for part in "qkvo")
            readers = separate_attention(s, a, f"{on}.across", names, NO_BIASES, scaled=False)
            query, *others = readers
            s.norm(f"{on}.norm2", f"{at}.layer.1.layer_norm", [query], offset=False, centred=False)
            across += others
        _feed_forward(s, config, on, at, 2 if stack == "decoder" else 1)
    return across


def _end(s: Structure, config: Config, head: Head) -> list[tuple[str, str | None]] | None:
    """What reads the last norm in a class without a score for every token; None where its output is
    the model's.
    """
    width = config.size("d_model")
    if head.predicts == "features":
        return None
    if head.predicts == "label":
        tanh_pooled(s, width)
        s.linear(
            "head", head.name, "*", "-pooled", rows=config.size("num_labels"), ignores_mean_over=0
        )
        return [s.linear("pooler", "classification_head.dense", "+pooled", "-residual")]
    if head.predicts in ("token-label", "span"):
        rows, over = (2, None) if head.predicts == "span" else (config.size("num_labels"), 0)
        return [s.linear("head", head.name, "*", "-residual", rows=rows, ignores_mean_over=over)]
    raise ValueError(f"{head.predicts!r} is no head of a T5's kind.")


def _structure(config: Config, kind: Kin) -> Structure:
    """The spaces and blocks of a T5 of that configuration."""
    head, alone = kind.head(config), kind.end(config) in ALONE
    width, vocabulary = config.sizes("d_model", "vocab_size")
    s = Structure(kind.name)
    # one stream: both stacks begin with the rows of one table
    rms_norm_stream(s, width, output=head.predicts == "features")
    s.parameter("token.table", TABLE, "* +residual", (vocabulary, width))
    _stack(s, config, "encoder", config.size("num_layers"), kind.own_tables)
    if alone:
        s.norm(
            "encoder.norm",
            "encoder.final_layer_norm",
            _end(s, config, head),
            offset=False,
            centred=False,
        )
    else:
        across = _stack(s, config, "decoder", config.size("num_decoder_layers"), kind.own_tables)
        shown = head.predicts == "features"
        s.norm(
            "encoder.norm",
            "encoder.final_layer_norm",
            None if shown else across,
            offset=False,
            centred=False,
        )
        tied = head.predicts == "continuation" and config["tie_word_embeddings"]
        last = (
            None
            if shown
            else [("head.weight", None)]
            if head.predicts == "continuation"
            else _end(s, config, head)
        )
        s.norm("norm", "decoder.final_layer_norm", last, offset=False, centred=False)
        if tied:
            s.tie(Tied(HEAD, TABLE, scale=width**-0.5 if kind.scaled else 1.0))
        elif head.predicts == "continuation":
            s.parameter(
                "head.weight", HEAD, "* -residual", (vocabulary, width), ignores_mean_over=0
            )
    for part in PARTS:
        s.rename(part, f"{head.body}{part}")
    return s


def save(module: nn.Module, config: Config, folder: Path, shard: int = SHARD) -> None:
    """Write `config.json` and `model.safetensors` as transformers does, and whether the head is
    tied for any version of it.
    """
    hf.save(module, config, folder, shard)
    path = folder / "config.json"
    content = json.loads(path.read_text())
    content.pop("scale_decoder_outputs", None)  # follows from the next
    if "tie_word_embeddings" in config:
        content["tie_word_embeddings"] = config["tie_word_embeddings"]
    path.write_text(json.dumps(content, indent=2) + "\n")


SMALL = {
    "model_type": "t5",
    "architectures": ["T5ForConditionalGeneration"],
    "vocab_size": 37,
    # scores have no scale: a wider random model has attention so sharp that rounding is large
    "d_model": 12,
    "d_kv": 3,
    "d_ff": 10,
    "num_layers": 1,
    "num_heads": 3,
    "relative_attention_num_buckets": 6,
    "relative_attention_max_distance": 5,
    "n_positions": 12,
}


def _sizes(config: Config) -> dict[str, int]:
    found = {
        "width": config.size("d_model"),
        "depth": config.size("num_layers"),
        "decoder depth": config.size("num_decoder_layers"),
        "heads": config["num_heads"],
        "units": config.size("d_ff"),
        "tokens": config.size("vocab_size"),
        "context": config.size("n_positions"),
    }
    return found | ({"classes": config.size("num_labels")} if "num_labels" in config else {})


def _family(
    kind: Kin, sentence: str, reference: str, examples: Mapping[str, Mapping[str, Json]]
) -> Family:
    return Family(
        name=kind.name,
        sentence=sentence,
        reference=reference,
        takes="text",
        recognises=lambda config: config.get("model_type") == kind.name,
        build=lambda config: _build(config, kind),
        outputs=outputs,
        sizes=_sizes,
        structure=lambda config: _structure(config, kind),
        predicts=lambda config: kind.head(config).predicts,
        save=save,
        config=lambda raw: _config(raw, kind),
        from_disk=lambda tensors, config: _from_disk(tensors, config, kind),
        classes=tuple(kind.classes),
        examples=examples,
    )


T5 = _family(
    Kin("t5", "T5", "T5", DEFAULTS, aliases=("T5WithLMHeadModel",)),
    "Encoder and decoder with tables of distances, RMSNorm before each layer, ReLU or gated GELU "
    "units.",
    "Raffel et al., Exploring the Limits of Transfer Learning with a Unified Text-to-Text "
    "Transformer, 2019, arXiv 1910.10683",
    {
        "t5": SMALL | {"num_layers": 2, "num_decoder_layers": 1},
        "t5-1.1": SMALL | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
        "t5-gated-tied": SMALL | {"feed_forward_proj": "gated-silu"},
        "t5-encoder": SMALL | {"architectures": ["T5EncoderModel"]},
    },
)

_LARGER = Config(vocab_size=250112, d_ff=1024, num_layers=8, num_heads=6) | dict(
    feed_forward_proj="gated-gelu"
)


def _small(name: str, classes: str, **changes: Json) -> Config:
    own = Config(model_type=name, architectures=[f"{classes}{USUAL}"]) | dict(
        feed_forward_proj="gated-gelu"
    )
    return Config(SMALL) | own | changes


MT5 = _family(
    Kin("mt5", "mT5", "MT5", DEFAULTS | _LARGER | {"model_type": "mt5"}, scaled=False),
    "T5 of version 1.1 for many languages.",
    "Xue et al., mT5: A massively multilingual pre-trained text-to-text transformer, 2020, arXiv "
    "2010.11934",
    {"mt5": _small("mt5", "MT5", tie_word_embeddings=False), "mt5-tied": _small("mt5", "MT5")},
)
UMT5 = _family(
    Kin("umt5", "UMT5", "UMT5", DEFAULTS | _LARGER | {"model_type": "umt5"}, own_tables=True),
    "T5 of version 1.1 whose layers have a table of distances each.",
    "Chung et al., UniMax: Fairer and more Effective Language Sampling for Large-Scale "
    "Multilingual Pretraining, 2023, "
    "arXiv 2304.09151",
    {"umt5": _small("umt5", "UMT5", tie_word_embeddings=False, num_layers=2, num_decoder_layers=2)},
)
