"""Mamba (Gu and Dao 2023, arXiv 2312.00752) and Falcon Mamba (Zuo et al. 2024, arXiv 2410.05355),
as transformers' `MambaForCausalLM` and `FalconMambaForCausalLM`, and their bodies alone.

Each layer reads the stream behind an RMSNorm and splits it into channels, of which everything acts
on each by itself: a short convolution over time, an activation, a recurrence with a few states, a
skip past it, a gate. So their order is free, and the stream rotates. Further freedoms stand between
neighbouring linear maps: one factor for each channel between what it reads and its filter; one for
each state between what is written to it and what is read; any invertible map of the small space
from which all time steps are made. States may change places together with their decays. The
activation and the gate let no factor pass; one factor for a whole layer, of what is read from its
states and of its skips against its output, is counted and not used.

Falcon Mamba divides what is written to the states, what is read and what makes time steps by their
lengths: states change places and signs alone, and the small space rotates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
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
from lmc_core.models.config import Config, Json, require_sizes
from lmc_core.models.family import Family
from lmc_core.models.parts import HOMOGENEOUS, POINTWISE, SQUARED, rms_norm_stream
from lmc_core.models.structure import Structure
from lmc_core.symmetry.rewrite import Tied
from lmc_core.symmetry.spaces import LINEAR, PERMUTATIONS, ROTATIONS, SIGNED, SIGNED_AND_SCALED

if TYPE_CHECKING:
    from torch import Tensor, nn

BODY = "backbone."
HEAD, TABLE = "lm_head.weight", f"{BODY}embeddings.weight"
HEADS = heads(
    BODY, without=("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering")
)
# what the names of a family's classes begin with
CLASSES = {"mamba": "Mamba", "falcon_mamba": "FalconMamba"}
CONTEXT = 2048  # what the published models were trained on; a recurrence has no end
EXPAND = 2  # transformers' default number of channels for each coordinate of the stream

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    Config(model_type="mamba", vocab_size=50280, hidden_size=768, intermediate_size=None)
    | dict(state_size=16, time_step_rank="auto", num_hidden_layers=32, conv_kernel=4)
    | dict(use_bias=False, use_conv_bias=True, hidden_act="silu", layer_norm_epsilon=1e-5)
    | dict(tie_word_embeddings=True, pad_token_id=0, bos_token_id=0, eos_token_id=0)
)
NORMED = {"mixer_rms_eps": 1e-6}  # of the norms inside the layers of Falcon Mamba


def _head(config: Config) -> Head:
    return find_head(config, HEADS)


def _classes(family: str) -> dict[str, Head]:
    return {f"{CLASSES[family]}{end}": head for end, head in HEADS.items()}


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    name = str(raw["model_type"])
    found = hf.chosen(raw, DEFAULTS | (NORMED if name == "falcon_mamba" else {}))
    require_sizes(
        found, "vocab_size", "hidden_size", "state_size", "num_hidden_layers", "conv_kernel"
    )
    if found["intermediate_size"] is None:  # transformers lets it stand before `expand`
        expand = Config(expand=raw.get("expand", EXPAND))
        require_sizes(expand, "expand")
        found["intermediate_size"] = expand.size("expand") * found.size("hidden_size")
    if found["time_step_rank"] == "auto":
        found["time_step_rank"] = math.ceil(found.size("hidden_size") / 16)
    require_sizes(found, "intermediate_size", "time_step_rank")
    if found.size("time_step_rank") > found.size("intermediate_size"):
        raise BadCheckpoint(
            f"The time steps of {found['intermediate_size']} channels are made from a space that "
            "is no larger; the "
            f"configuration gives 'time_step_rank' as {found['time_step_rank']}."
        )
    if raw.get("max_position_embeddings") is not None:
        found["max_position_embeddings"] = raw["max_position_embeddings"]
        require_sizes(found, "max_position_embeddings")
    hf.switches(found, "use_bias", "use_conv_bias", "tie_word_embeddings")
    for key in [key for key in ("layer_norm_epsilon", "mixer_rms_eps") if key in found]:
        hf.positive_numbers(found, key)
        found[key] = float(found.number(key))
    hf.special_tokens(found)
    hf.activation(found, "hidden_act", POINTWISE, name)
    return with_class(found, raw, _classes(name), f"{CLASSES[name]}ForCausalLM", name)


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Names in memory; the table's name of earlier files is read, the copy of a tied table
    dropped.
    """
    old, new = "embedding.", "embeddings."
    now = {
        new + n.removeprefix(old) if n.startswith(old) else n.replace(f".{old}", f".{new}"): t
        for n, t in tensors.items()
    }
    found = with_body(now, _head(config), (BODY,))
    if config.get("tie_word_embeddings"):
        hf.drop_copy(found, HEAD, TABLE)
    return found


def build(config: Config) -> nn.Module:
    """A module of the class that the configuration names, randomly initialised, in float32."""
    expand, left = divmod(config.size("intermediate_size"), config.size("hidden_size"))
    beginning = CLASSES[config.text("model_type")]
    cls = config.class_name(f"{beginning}ForCausalLM")
    return hf.build(
        config, f"{beginning}Config", cls, expand=EXPAND if left or not expand else expand
    )


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Mamba of that configuration."""
    s, head = Structure(config.text("model_type")), _head(config)
    width, vocabulary = config.sizes("hidden_size", "vocab_size")
    rms_norm_stream(s, width, head.predicts == "features")

    def norm(block: str, name: str, readers: Readers | None) -> None:
        s.norm(block, BODY + name, readers, offset=False, centred=False)

    s.parameter("token.table", TABLE, "* +residual", (vocabulary, width))
    for i in range(config.size("num_hidden_layers")):
        norm(f"blocks.{i}.norm1", f"layers.{i}.norm", _mixer(s, config, i))
    if head.predicts == "features":
        norm("norm", "norm_f", None)
    else:
        if config["tie_word_embeddings"]:
            s.tie(Tied(HEAD, TABLE))
        else:
            s.parameter(
                "head.weight", HEAD, "* -residual", (vocabulary, width), ignores_mean_over=0
            )
        norm("norm", "norm_f", [("head.weight", None)])
    s.rename(BODY, head.body)
    return s


def _mixer(s: Structure, config: Config, i: int) -> Readers:
    """Write one layer down; returns what reads the norm before it."""
    on, at = f"blocks.{i}", f"{BODY}layers.{i}.mixer"
    inner, states, rank = config.sizes("intermediate_size", "state_size", "time_step_rank")
    kernel, bias = config.size("conv_kernel"), config.flag("use_bias")
    filter_bias = config.flag("use_conv_bias")
    normed = "mixer_rms_eps" in config
    c, f, n, t = _spaces(s, i, inner, states, rank, normed)
    # x and z: what passes through the recurrence, and what gates it
    parts = {"input": f"0/2 +{c} +{f}", "gate": f"1/2 +{c}"}
    weights = [(f"{on}.{part}.weight", f"{pattern} -residual") for part, pattern in parts.items()]
    s.fused(f"{at}.in_proj.weight", (2 * inner, config.size("hidden_size")), weights)
    if bias:
        s.fused(
            f"{at}.in_proj.bias",
            (2 * inner,),
            [(f"{on}.{part}.bias", pattern) for part, pattern in parts.items()],
        )
    s.parameter(f"{on}.filter.weight", f"{at}.conv1d.weight", f"+{c} -{f} *", (inner, 1, kernel))
    if filter_bias:
        s.parameter(f"{on}.filter.bias", f"{at}.conv1d.bias", f"+{c}", (inner,))
    total = rank + 2 * states
    made = [
        (f"{on}.rank.weight", f"0:{rank}/{total}+{t} -{c}"),
        (f"{on}.write.weight", f"{rank}:{rank + states}/{total}+{n} -{c}"),
        (f"{on}.read.weight", f"{rank + states}:{total}/{total}-{n} -{c}"),
    ]
    s.fused(f"{at}.x_proj.weight", (total, inner), made)
    s.linear(f"{on}.step", f"{at}.dt_proj", f"+{c}", f"-{t}")
    s.parameter(f"{on}.decay", f"{at}.A_log", f"+{c} ={n}", (inner, states))
    s.parameter(f"{on}.skip", f"{at}.D", f"+{c}", (inner,))
    s.linear(f"{on}.output", f"{at}.out_proj", "+residual", f"-{c}", bias)
    left = (f"{on}.input.weight", *([f"{on}.input.bias"] if bias else []))
    s.product(f, left, (f"{on}.filter.weight",))
    if normed:
        for _ in range(2):
            s.add_norm(None, None, (), n, centred=False)
        s.add_norm(None, None, ((f"{on}.step.weight", None),), t, centred=False)
        s.scale("what is written to states", "what is read from states", "what makes time steps")
    else:
        s.product(n, (f"{on}.write.weight",), (f"{on}.read.weight",))
        s.product(t, (f"{on}.rank.weight",), (f"{on}.step.weight",))
        s.freedom("scales of what recurrences and skips give", 1)
    # longer filters reach back before the beginning, where there is no bias
    if kernel == 1 and bias and filter_bias:
        s.freedom("biases of inputs against those of filters", inner)
    if config.text("hidden_act") in HOMOGENEOUS | SQUARED:
        s.freedom("scales of filters against what is made from their channels", inner)
    return [(f"{on}.{part}.weight", f"{on}.{part}.bias" if bias else None) for part in parts]


def _spaces(
    s: Structure, i: int, inner: int, states: int, rank: int, normed: bool
) -> tuple[str, str, str, str]:
    """Add the spaces of one layer: its channels, the factor of each of their filters, its states,
    what makes time steps.
    """
    reason = "a convolution over time, a recurrence and a gate act on each channel by itself"
    c = s.space(f"channels.{i}", "channels", inner, PERMUTATIONS, reason)
    reason = "a filter is linear, so that what its channel reads may be scaled against it"
    f = s.space(f"filters.{i}", "filters", 1, SIGNED_AND_SCALED, reason, c)
    if normed:
        reason = (
            "each state decays by itself, and norms divide what is written to all and what "
            "is read by their lengths"
        )
        n = s.space(f"states.{i}", "states", states, SIGNED, reason)
        reason = "a norm divides what makes time steps by its length, which rotations keep"
        return c, f, n, s.space(f"time-step.{i}", "time-step", rank, ROTATIONS, reason)
    reason = (
        "each state decays by itself, and what is written to it may be scaled against what "
        "is read from it"
    )
    n = s.space(f"states.{i}", "states", states, SIGNED_AND_SCALED, reason)
    reason = "only the product of what makes time steps and what they are made from is seen"
    return c, f, n, s.space(f"time-step.{i}", "time-step", rank, LINEAR, reason)


def sizes(config: Config) -> dict[str, int]:
    """Sizes for people."""
    return {
        "width": config.size("hidden_size"),
        "depth": config.size("num_hidden_layers"),
        "channels": config.size("intermediate_size"),
        "states": config.size("state_size"),
        "tokens": config.size("vocab_size"),
        "context": config.optional_size("max_position_embeddings") or CONTEXT,
    }


SMALL = Config(vocab_size=37, hidden_size=12, intermediate_size=20, state_size=4) | dict(
    time_step_rank=3, num_hidden_layers=2, max_position_embeddings=12
)
_UNTIED = {"tie_word_embeddings": False, "num_hidden_layers": 1}


def _family(
    name: str, sentence: str, reference: str, examples: Mapping[str, Mapping[str, Json]]
) -> Family:
    return Family(
        name=name,
        sentence=sentence,
        reference=reference,
        takes="text",
        recognises=lambda config: config.get("model_type") == name,
        build=build,
        outputs=outputs,
        sizes=sizes,
        structure=structure,
        predicts=lambda config: _head(config).predicts,
        save=hf.save,
        config=config,
        from_disk=from_disk,
        classes=tuple(_classes(name)),
        examples={key: {"model_type": name} | dict(raw) for key, raw in examples.items()},
    )


MAMBA = _family(
    "mamba",
    "Recurrence with states that choose what they keep, behind a short convolution; RMSNorm "
    "before each layer.",
    "Gu and Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces, 2023, arXiv "
    "2312.00752",
    {"mamba": SMALL, "mamba-biases": SMALL | _UNTIED | {"use_bias": True, "use_conv_bias": False}},
)
FALCON_MAMBA = _family(
    "falcon_mamba",
    "Mamba with norms of what is written to the states, what is read from them and what makes "
    "time steps.",
    "Zuo et al., Falcon Mamba: The First Competitive Attention-free 7B Language Model, 2024, "
    "arXiv 2410.05355",
    {"falcon_mamba": SMALL | _UNTIED},
)
