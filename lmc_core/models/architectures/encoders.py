"""Configurations, files and classes that encoders with a LayerNorm after each layer have in common:
BERT and its kin.

One body, and what each class of transformers puts behind it. How the body is written down is in
`postnorm`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lmc_core.errors import BadCheckpoint
from lmc_core.lazy_torch import nn, torch
from lmc_core.models.architectures import hf
from lmc_core.models.architectures.heads import LABELLED
from lmc_core.models.config import Config, Json, require_divides, require_sizes
from lmc_core.models.family import SHARD, Family
from lmc_core.models.parts import POINTWISE
from lmc_core.models.structure import Structure

if TYPE_CHECKING:
    from torch import Tensor

# setting -> its usual value, what any other means
REFUSED: dict[str, tuple[Json, str]] = {
    "add_cross_attention": (False, "with cross-attention"),
    "position_embedding_type": ("absolute", "with other than absolute positions"),
    "pruned_heads": ({}, "with pruned heads"),
}
SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
)
# beginnings of a body's names on disk
BODIES = ("bert.", "roberta.", "distilbert.", "electra.", "mpnet.", "albert.", "deberta.", "model.")
PARTS = tuple(
    "embeddings. encoder. transformer. embeddings_project. pooler. layers. final_norm.".split()
)  # of a body, without these
BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
TOKENS = ("masked", "next")  # what a head with a score for every token predicts


@dataclass(frozen=True)
class Kind:
    """What one class of transformers has.

    Attributes:
        predicts: a key of `PREDICTIONS`.
        pooler: whether it has a pooler.
    """

    predicts: str
    pooler: bool = False


@dataclass(frozen=True)
class TokenHead:
    """Names of a head with a score for every token.

    Attributes:
        dense: its first layer.
        norm: the norm behind that.
        decoder: the layer that may share the token table.
        table: the token table, in the body.
        bias: first name of the last layer's bias.
    """

    dense: str
    norm: str
    decoder: str
    table: str
    bias: str

    @property
    def twice(self) -> bool:
        """Whether the bias has two names."""
        return self.bias != f"{self.decoder}.bias"


Write = Callable[[Structure, Config, Kind, str], None]
Check = Callable[[Config, Config, Kind], None]


def unchecked(raw: Config, found: Config, kind: Kind) -> None:
    """Nothing more to check in a configuration."""


@dataclass(frozen=True)
class Encoder:
    """What is particular to one family of such encoders.

    Attributes:
        name: of the family, and of its kind in a `config.json`.
        title: its name in sentences.
        classes: name of a class of transformers -> what it has; the one with "features" is the
            usual one.
        base: what the body's names begin with in the classes that have a head, e.g. "bert.".
        defaults: settings that the function depends on, with transformers' defaults.
        write: writes the layout down, given what the body's names begin with.
        head: names of the head with a score for every token.
        config_class: name of transformers' class of configurations.
        dropless: names of the shares that are dropped in training.
        own: usual name of a setting -> this family's.
        check: looks at what else a configuration says, and may complete it.
        newer: names of the head of a configuration that says legacy=false, if there is such a one.
        beside: what of `PARTS` this family has beside its body, not in it.
    """

    name: str
    title: str
    classes: Mapping[str, Kind]
    base: str
    defaults: Mapping[str, Json]
    write: Write
    head: TokenHead
    config_class: str
    dropless: tuple[str, ...] = (
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
        "classifier_dropout",
    )
    own: Mapping[str, str] = field(default_factory=dict)
    check: Check = unchecked
    newer: TokenHead | None = None
    beside: tuple[str, ...] = ()

    def token_head(self, config: Config) -> TokenHead:
        """Names of the head with a score for every token."""
        return self.head if self.newer is None or config["legacy"] else self.newer

    def kind(self, config: Config) -> Kind:
        """What the class that a configuration names has."""
        return self.classes[config.class_name()]

    def configured(self, raw: Config) -> Config:
        """The entries of a `config.json` that the function depends on; missing ones get
        transformers' defaults.

        Raises:
            BadCheckpoint: for what is no size, no number, no switch, not supported, or does not fit
                together.
        """
        # files have the family's own names of settings, or the usual ones
        raw = Config({own: raw[usual] for usual, own in self.own.items() if usual in raw} | raw)
        found = hf.chosen(raw, self.defaults)
        plain = next(cls for cls, kind in self.classes.items() if kind.predicts == "features")
        found["architectures"] = [hf.named_class(raw, list(self.classes), self.title, plain)]
        kind = self.kind(found)

        def name(usual: str) -> str:
            return self.own.get(usual, usual)

        # there may be no types of tokens where there usually are none
        types = found.get("type_vocab_size", 0) != 0 or self.defaults.get("type_vocab_size", 0) != 0
        sizes = (*SIZES, "max_position_embeddings", *(("type_vocab_size",) if types else ()))
        require_sizes(found, *(name(key) for key in sizes))
        require_divides(found, name("num_attention_heads"), name("hidden_size"))
        if "layer_norm_eps" in found:
            hf.positive_numbers(found, "layer_norm_eps")
        hf.activation(found, name("hidden_act"), POINTWISE, self.title)
        for key, (usual, what) in REFUSED.items():
            if (raw.get(key) or usual) != usual:
                raise BadCheckpoint(f"A {self.title} {what} ({key}={raw[key]!r}) is not supported.")
        self._require_direction(raw, found, kind)
        hf.switches(found, "tie_word_embeddings")
        hf.special_tokens(found)
        if kind.predicts == "features" and kind.pooler:
            found["add_pooling_layer"] = raw.get("add_pooling_layer", True) is not False
        if kind.predicts in LABELLED:
            found["num_labels"] = hf.labels(raw)
            require_sizes(found, "num_labels")
        if kind.predicts == "span" and hf.labels(raw) != 2:
            raise BadCheckpoint(
                f"The class {found.class_name()} scores where an answer begins and where "
                "it ends, which are 2 labels; "
                f"the configuration gives {hf.labels(raw)!r}."
            )
        self.check(raw, found, kind)
        return found

    def _require_direction(self, raw: Config, found: Config, kind: Kind) -> None:
        """Causal attention belongs to the classes that predict the next token, and a body may have
        it.
        """
        causal = raw.get("is_decoder") or False
        if kind.predicts == "next" and causal is not True:
            raise BadCheckpoint(
                f"The class {found.class_name()} predicts the next token, and its "
                "configuration does not say "
                "is_decoder=true, so that it would see that token; set it if the model was "
                "trained so."
            )
        if causal and (kind.predicts not in ("next", "features") or causal is not True):
            raise BadCheckpoint(
                f"A {self.title} of the class {found.class_name()} with causal attention "
                f"(is_decoder={causal!r}) is not "
                "supported."
            )
        if causal:
            found["is_decoder"] = True

    def standard(self, config: Config) -> Config:
        """The configuration with the usual names of settings."""
        return config | {**{usual: config[own] for usual, own in self.own.items()}}

    def body(self, config: Config) -> str:
        """What the body's names begin with in memory."""
        return "" if self.kind(config).predicts == "features" else self.base

    def structure(self, config: Config) -> Structure:
        """The spaces and blocks of a model of that configuration."""
        s = Structure(self.name)
        self.write(s, self.standard(config), self.kind(config), self.body(config))
        return s

    def build(self, config: Config) -> nn.Module:
        """A module of the class that the configuration names, randomly initialised, in float32."""
        # whether there is a pooler is an argument of the class; a file says it by its parameters
        settings = dict(config)
        arguments = {key: settings.pop(key) for key in ("add_pooling_layer",) if key in settings}
        module = hf.build(
            settings,
            self.config_class,
            config.class_name(),
            arguments,
            **dict.fromkeys(self.dropless, 0.0),
        )
        # first, so that a table that a head shares is called by its name in the body
        if self.body(config):
            for name, part in list(module.named_children()):
                if f"{name}." != self.base:
                    delattr(module, name)
                    setattr(module, name, part)
        head = self.token_head(config)
        if self.kind(config).predicts in TOKENS and head.twice:
            owner = module.get_submodule(head.bias.rpartition(".")[0])
            # torch types what a module holds as a tensor or a module
            owner.bias = module.get_submodule(head.decoder).bias  # type: ignore[assignment]
        return module

    def from_disk(self, tensors: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
        """Names in memory from those that checkpoints since 2018 have.

        Buffers, copies, and heads and poolers that the class does not have are left out.

        Raises:
            BadCheckpoint: if the configuration says that the head shares the table and its weight
                or bias does not.
        """
        base, found = self.body(config), {}
        for name, tensor in tensors.items():
            name = name.replace("LayerNorm.gamma", "LayerNorm.weight").replace(
                "LayerNorm.beta", "LayerNorm.bias"
            )
            bare = next((name.removeprefix(body) for body in BODIES if name.startswith(body)), name)
            if not bare.endswith(BUFFERS):
                inside = bare.startswith(PARTS) and not (
                    self.beside and bare.startswith(self.beside)
                )
                found[base + bare if inside else name] = tensor
        if self.kind(config).predicts in TOKENS:
            self._with_one_head(found, config)
        expected = {_owner(name, base) for name in self.structure(config).layout.shapes}
        heads = self._heads()
        return {
            name: t
            for name, t in found.items()
            if _owner(name, base) in expected or _owner(name, base) not in heads
        }

    def _heads(self) -> set[str]:
        """What owns the parameters of heads and poolers, in all classes of the family."""
        found = {
            "pooler",
            "lm_head",
            "classifier",
            "qa_outputs",
            "cls.predictions",
            "cls.seq_relationship",
            "predictions",
        }
        found |= {"lm_predictions", "mask_predictions"} if self.newer else set()
        return (
            found
            | {_owner(name, "") for name in (self.head.dense, self.head.norm, self.head.decoder)}
            | {
                *(
                    "head",
                    "decoder",
                    "pre_classifier",
                    "sequence_summary",
                    "discriminator_predictions",
                    "sop_classifier",
                )
            }
        )

    def _with_one_head(self, tensors: dict[str, Tensor], config: Config) -> None:
        """Leave out the copies that a head shares: the token table, and the second name of its
        bias.
        """
        head = self.token_head(config)
        decoder, bias = head.decoder, head.bias
        if config["tie_word_embeddings"]:
            hf.drop_copy(tensors, f"{decoder}.weight", head.table)
            if head.twice:
                hf.drop_copy(tensors, f"{decoder}.bias", bias)
        elif head.twice and f"{decoder}.bias" in tensors:
            # the one that is used; the other name is left over
            tensors[bias] = tensors.pop(f"{decoder}.bias")

    def save(self, module: nn.Module, config: Config, folder: Path, shard: int = SHARD) -> None:
        """Write `config.json` and `model.safetensors` as transformers does."""
        head = self.token_head(config)
        if (
            self.kind(config).predicts in TOKENS
            and not config["tie_word_embeddings"]
            and head.twice
        ):
            # two parameters again, as transformers' own class has them where the table is not
            # shared
            bias = module.get_parameter(f"{head.decoder}.bias").detach().clone()
            owner = module.get_submodule(head.bias.rpartition(".")[0])
            owner.bias = nn.Parameter(bias, False)
        hf.save(module, config, folder, shard)

    def sizes(self, config: Config) -> dict[str, int]:
        """Sizes for people."""
        c = self.standard(config)
        found = {
            "width": c.size("hidden_size"),
            "depth": c.size("num_hidden_layers"),
            "heads": c.size("num_attention_heads"),
            "units": c.size("intermediate_size"),
            "tokens": c.size("vocab_size"),
            "context": c.size("max_position_embeddings"),
        }
        return found | ({"classes": c.size("num_labels")} if "num_labels" in c else {})


def _owner(name: str, base: str) -> str:
    """What a parameter belongs to: the first part of its name, without what a body's names begin
    with.
    """
    bare = name.removeprefix(base).split(".")
    return ".".join(bare[: 2 if bare[0] == "cls" else 1])


def outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """What the class computes of tokens `[n, length]`.

    Logits `[n, length, vocabulary]`, `[n, labels]` or `[n, length, labels]`; scores
    `[n, length, 2]` of where an answer begins and ends; scores `[n, 2]` of two choices, each text
    and the same one backwards; or features `[n, length, width]` with the pooled state behind them
    where there is one.
    """
    name = type(module).__name__
    further = {"use_cache": False} if getattr(module.config, "is_decoder", False) else {}
    if name.endswith("ForMultipleChoice"):
        inputs = torch.stack([inputs, inputs.flip(1)], 1)
    found = module(inputs, **further)
    if "start_logits" in found:
        return torch.stack([found.start_logits, found.end_logits], -1)
    if "last_hidden_state" in found:
        pooled = found.get("pooler_output")
        return (
            found.last_hidden_state
            if pooled is None
            else torch.cat([found.last_hidden_state, pooled[:, None]], 1)
        )
    logits = found.prediction_logits if "prediction_logits" in found else found.logits
    return logits[..., None] if name == "ElectraForPreTraining" else logits


def family(
    of: Encoder,
    sentence: str,
    reference: str,
    examples: Mapping[str, Mapping[str, Json]],
    context: Callable[[Config], int] = lambda config: config.size("max_position_embeddings"),
) -> Family:
    """A family of such encoders.

    Args:
        of: what is particular to it.
        sentence: what it is, for lists.
        reference: the paper it comes from, with its year.
        examples: small configurations that take every branch.
        context: how many tokens a model of a configuration reads.
    """
    return Family(
        name=of.name,
        sentence=sentence,
        reference=reference,
        takes="text",
        recognises=lambda config: config.get("model_type") == of.name,
        build=of.build,
        outputs=outputs,
        sizes=lambda config: of.sizes(config) | {"context": context(config)},
        structure=of.structure,
        predicts=lambda config: of.kind(config).predicts,
        save=of.save,
        config=of.configured,
        from_disk=of.from_disk,
        classes=tuple(of.classes),
        examples=examples,
    )
