"""Configurations, files and classes that transformers' decoders with rotary positions have in
common: Llama and its kin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import hf
from lmc_core.models.architectures.decoder import HEAD, TABLE, head_dim, sizes
from lmc_core.models.architectures.heads import STANDARD, Head, text_family, with_body
from lmc_core.models.architectures.rotary import rope, rope_by_type
from lmc_core.models.config import Config, Json, require_divides, require_sizes
from lmc_core.models.family import Family
from lmc_core.models.parts import POINTWISE
from lmc_core.models.structure import Structure

if TYPE_CHECKING:
    from torch import Tensor

WINDOWS = ("full_attention", "sliding_attention")

# Transformers' defaults of most of these families; each gives what differs.
DEFAULTS = (
    Config(vocab_size=32000, hidden_size=4096, intermediate_size=11008)
    | dict(num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=None)
    | dict(head_dim=None, hidden_act="silu", max_position_embeddings=2048)
    | dict(rms_norm_eps=1e-6, tie_word_embeddings=False, pad_token_id=None)
    | dict(bos_token_id=None, eos_token_id=None)
)

SMALL = Config(vocab_size=37, hidden_size=24, intermediate_size=20, num_hidden_layers=2) | dict(
    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=12
)


def configuration(
    raw: Config,
    defaults: Mapping[str, Json],
    even: bool = False,
    act: str = "hidden_act",
    theta: float = 10000.0,
    partial: float | None = None,
    bases: Mapping[str, Json] | None = None,
) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.

    Args:
        raw: the content of the file.
        defaults: of the family, with names of sizes; without "head_dim" where the size of a head
            follows from them.
        even: whether the number of heads has to divide the width even where the size of a head is
            given.
        act: name of the setting for the activation of gates.
        theta: the family's default base of rotary positions.
        partial: the family's default share of a head that is rotated; None where it cannot be
            chosen.
        bases: type of layer -> its base, where rotary positions differ by the type of layer.

    Raises:
        BadCheckpoint: for what is no size, no number, no switch, or does not fit together.
    """
    rotary = rope(raw, theta, partial) if bases is None else rope_by_type(raw, bases)
    found = hf.chosen(raw, defaults) | {"rope_parameters": rotary}
    if found["num_key_value_heads"] is None:
        found["num_key_value_heads"] = found["num_attention_heads"]
    require_sizes(
        found,
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
    )
    require_sizes(found, "num_key_value_heads", "max_position_embeddings")
    if even or found.get("head_dim") is None:
        require_divides(found, "num_attention_heads", "hidden_size")
    require_divides(found, "num_key_value_heads", "num_attention_heads")
    if "head_dim" in found:
        if found["head_dim"] is None:
            found["head_dim"] = head_dim(found)
        require_sizes(found, "head_dim")
    for each in [rotary] if bases is None else map(rotary.part, rotary):
        _check_pairs(head_dim(found), each)
    hf.switches(found, "tie_word_embeddings", "attention_bias", "mlp_bias", "use_sliding_window")
    if "rms_norm_eps" in found:
        hf.positive_numbers(found, "rms_norm_eps")
        found["rms_norm_eps"] = float(found.number("rms_norm_eps"))
    hf.special_tokens(found)
    hf.activation(found, act, POINTWISE, str(defaults["model_type"]))
    return found


def _check_pairs(size: int, rotary: Config) -> None:
    """Raise `BadCheckpoint` unless rotary positions turn pairs of a head of that size, with a
    factor for each if any.
    """
    share = rotary.optional_number("partial_rotary_factor", 1.0)
    half, odd = divmod(int(size * share), 2)
    if share == 1.0 and odd:
        raise BadCheckpoint(
            f"Rotary positions need heads of even size; the configuration gives {size}."
        )
    if odd or not 0 < 2 * half <= size:
        raise BadCheckpoint(
            f"Rotary positions need an even share of {size} coordinates; {share} of them is none."
        )
    factors = [rotary.get(key) for key in ("short_factor", "long_factor")]
    if any(
        factor is not None and (not isinstance(factor, list) or len(factor) != half)
        for factor in factors
    ):
        raise BadCheckpoint(
            f"Rotary positions of the type 'longrope' need lists of {half} factors here, one for "
            "each pair."
        )


def windows(found: Config, always: bool = False, every: int = 2) -> Config:
    """Write out which layers attend to a sliding window, in a configuration that may say so in
    several ways; returns it.

    Args:
        found: the configuration.
        always: whether all but some layers have a window unless it says otherwise; else those from
            "max_window_layers" on where "use_sliding_window" is true.
        every: of how many layers the last has none, if `always`.

    Raises:
        BadCheckpoint: where it does not say it for each layer, or gives no window.
    """
    kinds, depth = found["layer_types"], found.size("num_hidden_layers")
    if kinds is not None and (
        not isinstance(kinds, list)
        or len(kinds) != depth
        or any(kind not in WINDOWS for kind in kinds)
    ):
        raise BadCheckpoint(
            f"The configuration should give 'layer_types' as one of {', '.join(WINDOWS)} for each "
            "layer."
        )
    first = found.pop("max_window_layers", 0)
    if not isinstance(first, int) or isinstance(first, bool) or first < 0:
        raise BadCheckpoint(
            "The configuration should give 'max_window_layers' as a number of layers; it gives "
            f"{first!r}."
        )
    used = always or bool(found["use_sliding_window"] and found["sliding_window"] is not None)
    if kinds is None:
        sliding = [(i + 1) % every != 0 if always else used and i >= first for i in range(depth)]
        found["layer_types"] = [WINDOWS[each] for each in sliding]
    elif WINDOWS[1] in kinds and not used:
        raise BadCheckpoint(
            "The configuration gives layers of the type 'sliding_attention', and "
            "use_sliding_window=false."
        )
    if not always:
        used = found["use_sliding_window"] = WINDOWS[1] in found.entries("layer_types", str)
    if used:
        require_sizes(found, "sliding_window")
    else:
        found["sliding_window"] = None
    return found


def from_disk(
    tensors: dict[str, Tensor], config: Config, head: Head = STANDARD["ForCausalLM"]
) -> dict[str, Tensor]:
    """Names in memory: with the prefix that the body has in its class, without constant buffers and
    a tied head.

    Raises:
        BadCheckpoint: if a head that should be the token table is another matrix.
    """
    kept = {
        name: tensor for name, tensor in tensors.items() if not name.endswith("rotary_emb.inv_freq")
    }
    found = with_body(kept, head, BODIES)
    if config.get("tie_word_embeddings"):
        hf.drop_copy(found, HEAD, TABLE)
    return found


ALL_HEADS = ("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering")
BODIES = ("model.", "transformer.")


def family(
    name: str,
    classes: str,
    sentence: str,
    reference: str,
    config: Callable[[Config], Config],
    structure: Callable[[Config], Structure],
    examples: Mapping[str, Mapping[str, Json]],
    heads: Sequence[str] = ALL_HEADS,
    span: str = "model.",
    aliases: Mapping[str, str] | None = None,
    stored: Callable[[dict[str, Tensor], Config], dict[str, Tensor]] | None = None,
    language: str = "",
    **further: Json,
) -> Family:
    """A family of transformers' decoders: the language model, the body alone, and what heads there
    are.

    Args:
        name: of the family, and of its kind in a `config.json`.
        classes: what the names of its classes begin with, e.g. "Llama".
        sentence: see `Family`, as what follows.
        reference: its paper.
        config: reads a `config.json`.
        structure: writes its layout down.
        examples: small configurations, without their kind.
        heads: ends of the names of further classes that transformers has.
        span: what the body's names begin with in the class for question answering.
        aliases: earlier names of classes -> their ends.
        stored: (tensors by their names on disk, configuration) -> the same where this family's
            files differ from others'.
        language: the class of the language model where it is not called after the others.
        further: settings for building, of speed or training alone.
    """
    ends = {end: STANDARD[end] for end in ("ForCausalLM", "Model", *heads)}
    if "ForQuestionAnswering" in ends:
        ends["ForQuestionAnswering"] = replace(ends["ForQuestionAnswering"], body=span)
    usual = language or f"{classes}ForCausalLM"
    own = {usual if end == "ForCausalLM" else f"{classes}{end}": head for end, head in ends.items()}
    own |= {alias: ends[end] for alias, end in (aliases or {}).items()}

    def written(config: Config, head: Head) -> Structure:
        found = structure(config)
        found.rename("model.", head.body)
        return found

    def named(tensors: dict[str, Tensor], config: Config, head: Head) -> dict[str, Tensor]:
        return from_disk(stored(tensors, config) if stored else tensors, config, head)

    settings = {"attention_dropout": 0.0, **further}
    described = name, classes, sentence, reference, config, written, sizes, named
    return text_family(*described, own, ends, examples, settings)
