"""Encoders with a LayerNorm after each layer: BERT, RoBERTa and their kin, of which transformers has one class per head.

The outputs of every norm go into the stream, so its gains and offsets act there coordinate by coordinate and the stream
admits permutations. What is free beside the spaces, with n norms in all, width d, F units, L layers:

- the offset of a norm moves into the biases behind it (d each), and its scale, with what is added to it, is undone by the next
  norm; the last norm's gain as a whole moves into what reads it;
- a reader W of g * normalised(x) + o may change by c (1/g)^T: the normalised x has mean zero, so the bias takes a constant. One
  direction for each of a reader's outputs: 3 d + F in a layer;
- the mean of what is written before a norm: one for each column and bias, d + F + 2 in a layer, one for each row of a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from lmc_core.errors import BadCheckpoint
from lmc_core.models import hf
from lmc_core.models.family import Config, divides, positive_sizes
from lmc_core.models.parts import HOMOGENEOUS, POINTWISE, attention, post_norm_stream, separate_attention, units, units_product
from lmc_core.models.structure import Structure
from lmc_core.symmetry.rewrite import Tied
from lmc_core.symmetry.spaces import NONE, PERMUTATIONS, SIGNED

# setting -> its usual value, what any other means
REFUSED = {
    "is_decoder": (False, "with causal attention"),
    "add_cross_attention": (False, "with cross-attention"),
    "position_embedding_type": ("absolute", "with other than absolute positions"),
    "pruned_heads": ({}, "with pruned heads"),
}
TABLES = ("word_embeddings", "position_embeddings", "token_type_embeddings")
MEANS, OFFSETS, SUMS = "means that LayerNorm removes", "offsets of norms", "sums of constants"


@dataclass(frozen=True)
class Kind:
    """What one class of transformers has.

    Attributes:
        predicts: a key of `PREDICTIONS`.
        pooler: whether it has a pooler.
    """

    predicts: str
    pooler: bool = False


def config(raw: Config, defaults: Mapping[str, Any], classes: Mapping[str, Kind], name: str) -> dict[str, Any]:
    """The entries of a `config.json` that the function depends on; missing ones get transformers' defaults.

    Args:
        raw: content of the file.
        defaults: of the family.
        classes: name of a class of transformers -> what it has.
        name: of the family, for sentences.
    """
    found = hf.chosen(raw, defaults)
    plain = next(cls for cls, kind in classes.items() if kind.predicts == "features")
    found["architectures"] = [hf.named_class(raw, list(classes), name, plain)]
    kind = classes[found["architectures"][0]]
    sizes = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    positive_sizes(found, *sizes, "max_position_embeddings", "type_vocab_size")
    divides(found, "num_attention_heads", "hidden_size")
    hf.positive_numbers(found, "layer_norm_eps")
    hf.activation(found, "hidden_act", POINTWISE, name)
    for key, (usual, what) in REFUSED.items():
        if (raw.get(key) or usual) != usual:
            raise BadCheckpoint(f"A {name} {what} ({key}={raw[key]!r}) is not supported.")
    hf.switches(found, "tie_word_embeddings")
    hf.special_tokens(found)
    if kind.predicts == "features":
        found["add_pooling_layer"] = raw.get("add_pooling_layer", True) is not False
    if kind.predicts == "label":
        found["num_labels"] = hf.labels(raw)
        positive_sizes(found, "num_labels")
    return found


def build(config: Config, config_class: str) -> nn.Module:
    """A module of the class that the configuration names, randomly initialised, in float32."""
    dropless = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout": 0.0}
    settings = dict(config)  # whether there is a pooler is an argument of the class; a file says it by its parameters
    arguments = {key: settings.pop(key) for key in ("add_pooling_layer",) if key in settings}
    return hf.build(settings, config_class, config["architectures"][0], arguments, **dropless)


def from_disk(tensors: Mapping[str, Tensor], base: str, dropped: tuple[str, ...]) -> dict[str, Tensor]:
    """Names in memory from those that checkpoints since 2018 have.

    Args:
        tensors: by their names on disk.
        base: what the encoder's names begin with in memory, "bert." or "" for the encoder alone.
        dropped: beginnings of names that the class has no use for.
    """
    found = {}
    for name, tensor in tensors.items():
        name = name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
        if name.endswith("embeddings.position_ids") or name.startswith(dropped):
            continue
        found[name if base or not name.startswith(("bert.", "roberta.")) else name.partition(".")[2]] = tensor
    return found


def with_tied_head(tensors: dict[str, Tensor], config: Config, head: str, table: str, bias: str) -> dict[str, Tensor]:
    """Leave out the copies that a masked language model's head shares: the token table, and the second name of its bias.

    Args:
        tensors: by their names in memory.
        config: of the family.
        head: the last layer, without ".weight".
        table: name of the token table.
        bias: first name of the bias.

    Raises:
        BadCheckpoint: if the configuration says that the head shares the table and its weight or bias does not.
    """
    if config["tie_word_embeddings"]:
        hf.drop_copy(tensors, f"{head}.weight", table)
        hf.drop_copy(tensors, f"{head}.bias", bias)
    elif f"{head}.bias" in tensors:
        tensors[bias] = tensors.pop(f"{head}.bias")  # the one that is used; the other name is left over
    return tensors


def encoder(s: Structure, config: Config, base: str, readers: Sequence[str], padding: int | None = None) -> None:
    """Write the encoder down.

    Args:
        s: what is being written down.
        config: with transformers' names of sizes.
        base: what its names begin with, "bert." or "".
        readers: blocks of the layers that read the stream in the end; without any it is the output itself.
        padding: the position that padding tokens have, after which the others come; None where positions start at 0.
    """
    width, size, depth = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    heads, act = config["num_attention_heads"], config["hidden_act"]
    rows = config["vocab_size"], config["max_position_embeddings"], config["type_vocab_size"]
    if readers:
        post_norm_stream(s, width, rms=False)
    else:
        s.space("residual", "residual", width, NONE, "the outputs are the coordinates of the stream themselves")
    at = f"{base}embeddings"
    for block, name, count in zip(("token", "position", "type"), TABLES, rows, strict=True):
        s.parameter(f"{block}.table", f"{at}.{name}.weight", "* +residual", (count, width))
    tied = config.get("tie_word_embeddings") and config["architectures"][0].endswith(("MaskedLM", "PreTraining"))
    # A tied table is seen by the head too: of what the input does not see, each row may move along 1/g of the head's norm, all
    # rows alike, since the logits of a token then change by a constant.
    s.add("further", (MEANS, sum(rows[1:]) if tied else sum(rows)))
    s.add("further", (SUMS, (width - 1) + (1 if tied else width - 1)))
    if padding is not None:
        if rows[2] == 1:
            s.add("scales", "the padding token")  # one vector, which the norm behind it brings to one length
        # the padding token alone has that position, so only their sum is seen; positions before it are not seen at all
        s.add("further", ("positions that are never used", padding * (width - 1)), (SUMS, 1 if tied else width - 1))
    s.add("scales", "embeddings")
    _norm(s, "norm", f"{at}.LayerNorm")
    last = [(f"{reader}.weight", f"{reader}.bias") for reader in readers]
    for i in range(depth):
        on, layer = f"blocks.{i}", f"{base}encoder.layer.{i}"
        a = attention(s, str(i), heads, width // heads)
        names = (*(f"{layer}.attention.self.{part}" for part in ("query", "key", "value")), f"{layer}.attention.output.dense")
        separate_attention(s, a, on, names, (True,) * 4)  # type: ignore[arg-type]  (four names)
        _norm(s, f"{on}.norm1", f"{layer}.attention.output.LayerNorm")
        u = units(s, str(i), size, act)
        s.linear(f"{on}.up", f"{layer}.intermediate.dense", f"+{u}", "-residual")
        s.linear(f"{on}.down", f"{layer}.output.dense", "+residual", f"-{u}")
        units_product(s, u, on, bias=True)
        if i < depth - 1:
            _norm(s, f"{on}.norm2", f"{layer}.output.LayerNorm")
        else:
            s.norm(f"{on}.norm2", f"{layer}.output.LayerNorm", last or None)
        s.add("further", (MEANS, (width + 1) + (size + 1) + 3 * width + size))


def _norm(s: Structure, block: str, name: str) -> None:
    """A norm into the stream, which a layer reads and adds to."""
    s.norm(block, name, None)
    s.add("further", (OFFSETS, s.spaces["residual"].size))
    s.add("scales", "norms into the stream")


def token_head(s: Structure, config: Config, dense: str, norm: str, head: str, table: str, bias: str, act: str) -> None:
    """The head of a masked language model: a layer of its own, a norm, and a score for every token.

    Args:
        s: what is being written down.
        config: with transformers' names of sizes.
        dense: name of the layer in the state dict.
        norm: of its norm.
        head: of the last layer, without ".weight".
        table: of the token table that it may share.
        bias: of the bias of the last layer.
        act: the activation.
    """
    width, vocabulary = config["hidden_size"], config["vocab_size"]
    if act in HOMOGENEOUS:
        s.add("scales", "the head's layer")
    if config["tie_word_embeddings"]:  # the head reads the coordinates that the table writes, so they move together
        s.linear("head.dense", dense, "+residual", "-residual")
        s.norm("head.norm", norm, None)
        s.add("further", (OFFSETS, width))
        s.tie(Tied(f"{head}.weight", table))
    else:
        reason = f"the activation ({act}) acts on each unit by itself, and so do the gains of the norm behind it"
        u = s.space("units.head", "units", width, PERMUTATIONS, reason)
        s.linear("head.dense", dense, f"+{u}", "-residual")
        s.parameter("head.weight", f"{head}.weight", f"* -{u}", (vocabulary, width), ignores_mean_over=0)
        s.norm("head.norm", norm, [("head.weight", "head.bias")], space=u)
    s.parameter("head.bias", bias, "*", (vocabulary,), ignores_mean_over=0)


def pooled(s: Structure, config: Config, dense: str, heads: Mapping[str, tuple[str, int]]) -> None:
    """The pooled state, tanh of a layer on the first token, and what reads it.

    Args:
        s: what is being written down.
        config: with transformers' names of sizes.
        dense: name of the layer in the state dict.
        heads: name of a block -> name of a layer in the state dict, number of its outputs; without any the state is an output.
    """
    width = config["hidden_size"]
    if heads:
        s.space("pooled", "pooled", width, SIGNED, "tanh acts on each coordinate by itself and keeps signs")
    else:
        s.space("pooled", "pooled", width, NONE, "the pooled state is an output itself")
        s.add("further", (MEANS, width))
    s.linear("pooler", dense, "+pooled", "-residual")
    for block, (name, rows) in heads.items():
        s.linear(block, name, "*", "-pooled", rows=rows, ignores_mean_over=0)


def share_bias(module: nn.Module, head: str, owner: str) -> nn.Module:
    """Let both names of the head's bias be one parameter, as they are where the table is shared."""
    module.get_submodule(owner).bias = module.get_submodule(head).bias  # type: ignore[assignment]  (a module's name)
    return module


def separate_bias(module: nn.Module, head: str, owner: str) -> nn.Module:
    """Two parameters again, as transformers' own class has them where the table is not shared."""
    module.get_submodule(owner).bias = nn.Parameter(module.get_submodule(head).bias.detach().clone(), False)  # type: ignore
    return module


def sizes(config: Config) -> dict[str, int]:
    """Sizes for people."""
    found = {
        "width": config["hidden_size"],
        "depth": config["num_hidden_layers"],
        "heads": config["num_attention_heads"],
        "units": config["intermediate_size"],
        "tokens": config["vocab_size"],
        "context": config["max_position_embeddings"],
    }
    return found | ({"classes": config["num_labels"]} if "num_labels" in config else {})
