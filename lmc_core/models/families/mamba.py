"""Mamba (Gu and Dao 2023, arXiv 2312.00752), as transformers' `MambaForCausalLM`, and its body alone.

Each layer reads the stream behind an RMSNorm and splits it into channels, of which everything acts on each by itself: a short
convolution over time, an activation, a recurrence with a few states, a skip past it, a gate. So their order is free, and the
stream rotates. Further freedoms stand between neighbouring linear maps: one factor for each channel between what it reads and
its filter; one for each state between what is written to it and what is read; any invertible map of the small space from which
all time steps are made. States may change places together with their decays. The activation and the gate let no factor pass;
one factor for a whole layer, of what is read from its states and of its skips against its output, is counted and not used.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from lmc_core.errors import BadCheckpoint
from lmc_core.models import hf
from lmc_core.models.classes import Head, Readers, head_of, heads, outputs, with_body, with_class
from lmc_core.models.family import Config, Family, positive_sizes
from lmc_core.models.parts import HOMOGENEOUS, POINTWISE, SQUARED, rms_norm_stream
from lmc_core.models.structure import Structure
from lmc_core.symmetry.rewrite import Product, Tied
from lmc_core.symmetry.spaces import LINEAR, PERMUTATIONS, SIGNED_AND_SCALED

BODY = "backbone."
HEAD, TABLE = "lm_head.weight", f"{BODY}embeddings.weight"
USUAL = "MambaForCausalLM"
HEADS = heads(BODY, without=("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering"))
CLASSES = {f"Mamba{end}": head for end, head in HEADS.items()}
CONTEXT = 2048  # what the published models were trained on; a recurrence has no end
EXPAND = 2  # transformers' default number of channels for each coordinate of the stream

# What the function depends on, with transformers' defaults.
DEFAULTS: dict[str, Any] = {
    "model_type": "mamba",
    "vocab_size": 50280,
    "hidden_size": 768,
    "intermediate_size": None,
    "state_size": 16,
    "time_step_rank": "auto",
    "num_hidden_layers": 32,
    "conv_kernel": 4,
    "use_bias": False,
    "use_conv_bias": True,
    "hidden_act": "silu",
    "layer_norm_epsilon": 1e-5,
    "tie_word_embeddings": True,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def _head(config: Config) -> Head:
    return head_of(config, HEADS, USUAL)


def config(raw: Config) -> dict[str, Any]:
    """The entries of a `config.json` that the function depends on; missing ones get transformers' defaults."""
    found = hf.chosen(raw, DEFAULTS)
    positive_sizes(found, "vocab_size", "hidden_size", "state_size", "num_hidden_layers", "conv_kernel")
    if found["intermediate_size"] is None:  # transformers lets it stand before `expand`
        expand = {"expand": raw.get("expand", EXPAND)}
        positive_sizes(expand, "expand")
        found["intermediate_size"] = expand["expand"] * found["hidden_size"]
    if found["time_step_rank"] == "auto":
        found["time_step_rank"] = math.ceil(found["hidden_size"] / 16)
    positive_sizes(found, "intermediate_size", "time_step_rank")
    if found["time_step_rank"] > found["intermediate_size"]:
        raise BadCheckpoint(
            f"The time steps of {found['intermediate_size']} channels are made from a space that is no larger; the "
            f"configuration gives 'time_step_rank' as {found['time_step_rank']}."
        )
    if raw.get("max_position_embeddings") is not None:
        found["max_position_embeddings"] = raw["max_position_embeddings"]
        positive_sizes(found, "max_position_embeddings")
    hf.switches(found, "use_bias", "use_conv_bias", "tie_word_embeddings")
    hf.positive_numbers(found, "layer_norm_epsilon")
    found["layer_norm_epsilon"] = float(found["layer_norm_epsilon"])
    hf.special_tokens(found)
    hf.activation(found, "hidden_act", POINTWISE, "Mamba")
    return with_class(found, raw, CLASSES, USUAL, "mamba")


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Names in memory; the table's name of earlier files is read, the copy of a tied table dropped."""
    old, new = "embedding.", "embeddings."
    now = {new + n.removeprefix(old) if n.startswith(old) else n.replace(f".{old}", f".{new}"): t for n, t in tensors.items()}
    found = with_body(now, _head(config), (BODY,))
    if config.get("tie_word_embeddings"):
        hf.drop_copy(found, HEAD, TABLE)
    return found


def build(config: Config) -> nn.Module:
    """A module of the class that the configuration names, randomly initialised, in float32."""
    expand, left = divmod(config["intermediate_size"], config["hidden_size"])
    cls = str(config.get("architectures", [USUAL])[0])
    return hf.build(config, "MambaConfig", cls, expand=EXPAND if left or not expand else expand)


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Mamba of that configuration."""
    s, head = Structure("mamba"), _head(config)
    width, vocabulary = config["hidden_size"], config["vocab_size"]
    rms_norm_stream(s, width, head.predicts == "features")

    def norm(block: str, name: str, readers: Readers | None) -> None:
        s.norm(block, BODY + name, readers, offset=False, centred=False)

    s.parameter("token.table", TABLE, "* +residual", (vocabulary, width))
    for i in range(config["num_hidden_layers"]):
        norm(f"blocks.{i}.norm1", f"layers.{i}.norm", _mixer(s, config, i))
    if head.predicts == "features":
        norm("norm", "norm_f", None)
    else:
        if config["tie_word_embeddings"]:
            s.tie(Tied(HEAD, TABLE))
        else:
            s.parameter("head.weight", HEAD, "* -residual", (vocabulary, width), ignores_mean_over=0)
        norm("norm", "norm_f", [("head.weight", None)])
    s.rename(BODY, head.body)
    return s


def _mixer(s: Structure, config: Config, i: int) -> Readers:
    """Write one layer down; returns what reads the norm before it."""
    on, at = f"blocks.{i}", f"{BODY}layers.{i}.mixer"
    inner, states, rank = config["intermediate_size"], config["state_size"], config["time_step_rank"]
    bias, filter_bias, kernel = config["use_bias"], config["use_conv_bias"], config["conv_kernel"]
    c, f, n, t = _spaces(s, i, inner, states, rank)
    # x and z: what passes through the recurrence, and what gates it
    parts = {"input": f"0/2 +{c} +{f}", "gate": f"1/2 +{c}"}
    weights = [(f"{on}.{part}.weight", f"{pattern} -residual") for part, pattern in parts.items()]
    s.fused(f"{at}.in_proj.weight", (2 * inner, config["hidden_size"]), weights)
    if bias:
        s.fused(f"{at}.in_proj.bias", (2 * inner,), [(f"{on}.{part}.bias", pattern) for part, pattern in parts.items()])
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
    s.add("products", Product(f, left, (f"{on}.filter.weight",)))
    s.add("products", Product(n, (f"{on}.write.weight",), (f"{on}.read.weight",)))
    s.add("products", Product(t, (f"{on}.rank.weight",), (f"{on}.step.weight",)))
    s.add("further", ("scales of what recurrences and skips give", 1))
    if kernel == 1 and bias and filter_bias:  # longer filters reach back before the beginning, where there is no bias
        s.add("further", ("biases of inputs against those of filters", inner))
    if config["hidden_act"] in HOMOGENEOUS | SQUARED:
        s.add("further", ("scales of filters against what is made from their channels", inner))
    return [(f"{on}.{part}.weight", f"{on}.{part}.bias" if bias else None) for part in parts]


def _spaces(s: Structure, i: int, inner: int, states: int, rank: int) -> tuple[str, str, str, str]:
    """Add the spaces of one layer: its channels, the factor of each of their filters, its states, what makes time steps."""
    reason = "a convolution over time, a recurrence and a gate act on each channel by itself"
    c = s.space(f"channels.{i}", "channels", inner, PERMUTATIONS, reason)
    reason = "a filter is linear, so that what its channel reads may be scaled against it"
    f = s.space(f"filters.{i}", "filters", 1, SIGNED_AND_SCALED, reason, c)
    reason = "each state decays by itself, and what is written to it may be scaled against what is read from it"
    n = s.space(f"states.{i}", "states", states, SIGNED_AND_SCALED, reason)
    reason = "only the product of what makes time steps and what they are made from is seen"
    return c, f, n, s.space(f"time-step.{i}", "time-step", rank, LINEAR, reason)


def sizes(config: Config) -> dict[str, int]:
    """Sizes for people."""
    return {
        "width": config["hidden_size"],
        "depth": config["num_hidden_layers"],
        "channels": config["intermediate_size"],
        "states": config["state_size"],
        "tokens": config["vocab_size"],
        "context": config.get("max_position_embeddings", CONTEXT),
    }


SMALL: dict[str, Any] = {
    "model_type": "mamba",
    "vocab_size": 37,
    "hidden_size": 12,
    "intermediate_size": 20,
    "state_size": 4,
    "time_step_rank": 3,
    "num_hidden_layers": 2,
    "max_position_embeddings": 12,
}
_BIASES = {"use_bias": True, "use_conv_bias": False, "tie_word_embeddings": False, "num_hidden_layers": 1}

MAMBA = Family(
    name="mamba",
    sentence="Recurrence with states that choose what they keep, behind a short convolution; RMSNorm before each layer.",
    reference="Gu and Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces, 2023, arXiv 2312.00752",
    takes="text",
    recognises=lambda config: config.get("model_type") == "mamba",
    build=build,
    outputs=outputs,
    sizes=sizes,
    structure=structure,
    predicts=lambda config: _head(config).predicts,
    save=hf.save,
    config=config,
    from_disk=from_disk,
    classes=tuple(CLASSES),
    examples={"mamba": SMALL, "mamba-biases": SMALL | _BIASES},
)
