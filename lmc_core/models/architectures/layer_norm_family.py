"""Configurations, files and classes that decoders with a LayerNorm before each layer have in
common.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import hf
from lmc_core.models.architectures.heads import Head, text_family, with_body
from lmc_core.models.architectures.layer_norm_decoder import HEAD, Body
from lmc_core.models.config import Config, Json, require_sizes
from lmc_core.models.family import Family
from lmc_core.models.parts import POINTWISE
from lmc_core.models.structure import Structure

if TYPE_CHECKING:
    from torch import Tensor

# constants that older checkpoints hold
BUFFERS = (
    "rotary_emb.inv_freq",
    ".attn.bias",
    ".attn.masked_bias",
    ".attention.bias",
    ".attention.masked_bias",
)
# names that most of these families give their sizes
COUNTS = tuple(
    (
        "vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads "
        "max_position_embeddings"
    ).split()
)
TOKENS = {"pad_token_id": None, "bos_token_id": None, "eos_token_id": None}


def configuration(
    raw: Config,
    defaults: Mapping[str, Json],
    sizes: Collection[str],
    epsilon: str,
    activation: str | None,
    aliases: Mapping[str, str] | None = None,
) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get the defaults.

    What is true or false by default has to be a switch.

    Args:
        raw: the content of the file.
        defaults: of the family.
        sizes: names of entries that are positive integers.
        epsilon: name of the epsilon of its norms.
        activation: name of the activation of its units; None where it cannot be chosen.
        aliases: other names that transformers reads -> its own.

    Raises:
        BadCheckpoint: for what is no size, no number, no switch, or an activation that is not
            known.
    """
    for other, own in (aliases or {}).items():
        if other in raw and own not in raw:
            raw = raw | {own: raw[other]}
    found = hf.chosen(raw, defaults)
    require_sizes(found, *sizes)
    hf.positive_numbers(found, epsilon)
    hf.switches(found, *[key for key, value in defaults.items() if isinstance(value, bool)])
    hf.special_tokens(found)
    if activation:
        hf.activation(found, activation, POINTWISE, str(defaults["model_type"]))
    return found


def rotated(size: int, share: float) -> int:
    """How many of a head's coordinates rotary positions turn, as transformers counts them.

    Raises:
        BadCheckpoint: if that is not an even number of them.
    """
    count = int(size * share)
    if count % 2 or not 0 < count <= size:
        raise BadCheckpoint(
            f"Rotary positions turn an even number of a head's {size} coordinates; the "
            f"configuration asks for {count}."
        )
    return count


def grouped(found: Config, groups: str, heads: str) -> Config:
    """Fill in the number of key and value heads, as many as heads where none is given; returns the
    configuration.

    Raises:
        BadCheckpoint: if it does not divide the number of heads.
    """
    if found[groups] is None:
        found[groups] = found[heads]
    require_sizes(found, groups)
    if found.size(heads) % found.size(groups):
        raise BadCheckpoint(f"{groups} = {found[groups]} should divide {heads} = {found[heads]}.")
    return found


def refuse(raw: Mapping[str, Json], usual: Mapping[str, tuple[Json, str]], family: str) -> None:
    """Raise `BadCheckpoint` where a setting has another value than the one that is supported.

    Args:
        raw: the content of a `config.json`.
        usual: setting -> its supported value, and what any other means, as a clause.
        family: its name, for the sentence.
    """
    for key, (value, why) in usual.items():
        if raw.get(key, value) not in (value, None):
            raise BadCheckpoint(f"A {family} with {key}={raw[key]!r} is not supported: {why}.")


def family(
    name: str,
    classes: str,
    sentence: str,
    reference: str,
    config: Callable[[Config], Config],
    structure: Callable[[Config, Head], Structure],
    sizes: Callable[[Config], dict[str, int]],
    body: Callable[[Config], Body] | Body,
    heads: Mapping[str, Head],
    examples: Mapping[str, Mapping[str, Json]],
    stored: Callable[[dict[str, Tensor], Config], dict[str, Tensor]] | None = None,
    **further: Json,
) -> Family:
    """A family of transformers' decoders: the language model, the body alone, and what heads there
    are.

    Args:
        name: of the family, and of its kind in a `config.json`.
        classes: what the names of its classes begin with, e.g. "Phi".
        sentence: see `Family`, as what follows.
        reference: its paper.
        config: reads a `config.json`.
        structure: (configuration, head) -> its layout.
        sizes: for people.
        body: names of its parameters, which may follow from the configuration.
        heads: by the ends of the names of classes, the language model's first.
        examples: small configurations, without their kind.
        stored: (tensors by their names on disk, configuration) -> the same where this family's
            files differ from others'.
        further: settings for building, of dropout for example.
    """

    def from_disk(tensors: dict[str, Tensor], config: Config, head: Head) -> dict[str, Tensor]:
        parts = body(config) if callable(body) else body
        kept = {key: tensor for key, tensor in tensors.items() if not key.endswith(BUFFERS)}
        prefixes = (parts.prefix, *{each.body for each in heads.values()} - {"", parts.prefix})
        found = with_body(stored(kept, config) if stored else kept, head, prefixes)
        if config.get("tie_word_embeddings"):
            hf.drop_copy(found, f"{HEAD}.weight", parts.token_table)
        return found

    def all_sizes(config: Config) -> dict[str, int]:
        labels = {"classes": config.size("num_labels")} if "num_labels" in config else {}
        return sizes(config) | labels

    own = {f"{classes}{end}": head for end, head in heads.items()}
    described = name, classes, sentence, reference, config, structure, all_sizes, from_disk
    return text_family(*described, own, heads, examples, further)


def sizes_by(
    width: str, depth: str, heads: str, tokens: str, context: str, **others: str
) -> Callable[[Config], dict[str, int]]:
    """Reads the sizes that people see from a configuration, given their names there; `others` by
    what people call them.
    """
    names = {"width": width, "depth": depth, "heads": heads, "tokens": tokens, "context": context}
    names |= {key.replace("_", " "): value for key, value in others.items()}
    return lambda config: {key: config.size(value) for key, value in names.items()}


usual_sizes = sizes_by(
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"),
    "max_position_embeddings",
    key_heads="num_key_value_heads",
    units="intermediate_size",
)
