"""ALBERT (Lan et al. 2019, arXiv 1909.11942): BERT's layers, of which one is repeated, behind
embeddings of another width.

A repeated layer's maps move together in all its repetitions, so that it has one set of spaces and
blocks however often it runs. What is less than in a BERT follows from what such a layer reads. Call
*sites* the places where the stream is read: behind the embeddings, and behind each layer of its
own. Sites that one layer reads share one offset and one scale; only a layer with a single site has
rows that may change by 1/g of its norm's gain.
"""

from __future__ import annotations

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import postnorm
from lmc_core.models.architectures.encoders import TOKENS, Encoder, Kind, TokenHead, family
from lmc_core.models.architectures.postnorm import MEANS, OFFSETS
from lmc_core.models.config import Config, require_sizes
from lmc_core.models.families import bert
from lmc_core.models.structure import Structure

HEAD = TokenHead(
    "predictions.dense",
    "predictions.LayerNorm",
    "predictions.decoder",
    "albert.embeddings.word_embeddings.weight",
    "predictions.bias",
)
NAMES = postnorm.Names(
    postnorm.TABLES,
    "embeddings.LayerNorm",
    "encoder.albert_layer_groups.{}",
    ("attention.query", "attention.key", "attention.value", "attention.dense"),
    "attention.LayerNorm",
    "ffn",
    "ffn_output",
    "full_layer_layer_norm",
)
# What the function depends on, with transformers' defaults.
DEFAULTS = (
    bert.DEFAULTS
    | dict(model_type="albert", vocab_size=30000, embedding_size=128, hidden_size=4096)
    | dict(num_hidden_groups=1, inner_group_num=1, num_attention_heads=64)
    | dict(intermediate_size=16384, hidden_act="gelu_new")
)
CLASSES = {
    "AlbertForMaskedLM": Kind("masked"),
    "AlbertForPreTraining": Kind("masked", pooler=True),
    "AlbertForSequenceClassification": Kind("label", pooler=True),
    "AlbertForTokenClassification": Kind("token-label"),
    "AlbertForQuestionAnswering": Kind("span"),
    "AlbertForMultipleChoice": Kind("choice", pooler=True),
    "AlbertModel": Kind("features", pooler=True),
}


def check(raw: Config, found: Config, kind: Kind) -> None:
    """Refuse groups of layers that would never run."""
    require_sizes(found, "embedding_size", "num_hidden_groups", "inner_group_num")
    if found.size("num_hidden_groups") > found.size("num_hidden_layers"):
        raise BadCheckpoint(
            f"An ALBERT with {found['num_hidden_layers']} layers in {found['num_hidden_groups']} "
            "groups has groups that never "
            "run; num_hidden_groups should be at most num_hidden_layers."
        )


def order(config: Config) -> list[int]:
    """Numbers of the layers of their own, in the order in which they run."""
    depth, groups, inner = config.sizes("num_hidden_layers", "num_hidden_groups", "inner_group_num")
    return [int(i / (depth / groups)) * inner + j for i in range(depth) for j in range(inner)]


def _freedom(s: Structure, config: Config, readers: list[str]) -> bool:
    """Count offsets, scales and means of the sites of the stream; returns whether the last norm is
    read at its end alone.
    """
    width, ran, embeddings = config.size("hidden_size"), order(config), -1
    reads: dict[int, set[int]] = {}
    for before, layer in zip([embeddings, *ran], ran, strict=False):
        reads.setdefault(layer, set()).add(before)
    apart = all(ran[-1] not in sites for sites in reads.values())
    classes: list[set[int]] = []
    for linked in reads.values():
        touching = [each for each in classes if each & linked]
        classes = [each for each in classes if not each & linked] + [linked.union(*touching)]
    for each in classes:
        if readers or ran[-1] not in each:  # of an output neither is free
            s.freedom(OFFSETS, width)
            s.scale("norms into the stream")
    for linked in reads.values():
        if linked == {embeddings}:
            k = min(config.size("embedding_size") - 1, width)
            s.freedom(MEANS, k + 3 * width * (width - k))
        elif len(linked) == 1:
            s.freedom(MEANS, 3 * width)
    # x -> x + 1 (a^T x) along 1/g of the only norm that is read with the embeddings
    for each in classes:
        if embeddings in each and len(each) == 2:
            s.freedom(MEANS, 1)
    if len(ran) == 1 and readers:  # gains of a single norm into the stream, as in `vit`
        s.freedom("gains against a rotation", 1)
    return apart


def write(s: Structure, config: Config, kind: Kind, base: str) -> None:
    """Write the spaces and blocks of an ALBERT of that configuration down."""
    pooler = bool(kind.pooler and config.get("add_pooling_layer", True))
    readers = postnorm.last_readers(kind, bool(pooler and base))
    width, size = config.sizes("hidden_size", "intermediate_size")
    postnorm.stream(s, width, readers)
    postnorm.narrow_embeddings(s, config, base, NAMES, "encoder.embedding_hidden_mapping_in")
    apart, inner = _freedom(s, config, readers), config.size("inner_group_num")
    ran = order(config)
    for i in range(max(ran) + 1):
        at = f"{base}{NAMES.layer.format(i // inner)}.albert_layers.{i % inner}"
        postnorm.layer(s, config, at, i, NAMES)
        last = (
            [(f"{reader}.weight", f"{reader}.bias") for reader in readers]
            if i == ran[-1] and apart
            else None
        )
        s.norm(f"blocks.{i}.norm2", f"{at}.{NAMES.norm2}", last or None)
        s.freedom(MEANS, (width + 1) + (size + 1) + size)
    if pooler:
        heads = {
            "masked": {"order": ("sop_classifier.classifier", config.get("num_labels", 2))},
            "label": {"head": ("classifier", config.get("num_labels", 2))},
            "choice": {"score": ("classifier", 1)},
        }
        postnorm.pooled(s, config, f"{base}pooler", heads.get(kind.predicts, {}))
    if kind.predicts in TOKENS:
        postnorm.token_head(s, config, HEAD, config.text("hidden_act"))
    elif kind.predicts in ("token-label", "span"):
        postnorm.stream_head(s, config, kind)
    if not apart:  # of rows along 1/g of the last norm, which is read by a layer as well
        rows = sum(
            s.shapes[block.parameter][0]
            for block in s.blocks
            if block.name in {f"{name}.weight" for name in readers}
        )
        s.freedom(MEANS, rows)


SMALL = (
    bert.SMALL
    | dict(model_type="albert", architectures=["AlbertForMaskedLM"], embedding_size=10)
    | dict(num_hidden_layers=3)
)

ALBERT = family(
    Encoder(
        "albert",
        "ALBERT",
        CLASSES,
        "albert.",
        DEFAULTS,
        write,
        HEAD,
        "AlbertConfig",
        ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout_prob"),
        check=check,
    ),
    "Encoder of one layer that is repeated, LayerNorm after each layer, GELU units, narrow "
    "embeddings.",
    "Lan et al., ALBERT: A Lite BERT for Self-supervised Learning of Language Representations, "
    "2019, arXiv 1909.11942",
    {
        "albert": SMALL,
        "albert-groups": SMALL
        | dict(architectures=["AlbertForTokenClassification"], num_labels=3)
        | dict(num_hidden_groups=2, inner_group_num=2),
        "albert-features": SMALL | {"architectures": ["AlbertModel"]},
    },
)
