"""Parts that image transformers of transformers' classes share: square images, names on disk,
embeddings, layers, poolers.

Every layer has a LayerNorm before attention and one before its units; what differs (rotary
positions, biases, gates, a scale on what is written) follows from the configuration. Where a class
gives its stream unasked, the stream is an output.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lmc_core.errors import BadCheckpoint
from lmc_core.lazy_torch import torch
from lmc_core.models.architectures import hf
from lmc_core.models.config import Config, Json, require_divides, require_sizes
from lmc_core.models.parts import (
    OUTPUT,
    Attention,
    attention,
    gated_units,
    separate_attention,
    units,
    units_product,
)
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import NONE, ROTATIONS, Pairs

if TYPE_CHECKING:
    from torch import Tensor, nn

MEANS, CONSTANTS = "means that LayerNorm removes", "constants that no output sees"
Readers = list[tuple[str, str | None]]

# parts of a layer on disk, as they were called up to version 4 -> in memory; the first that fits
OLD_NAMES = (
    (r"attention\.attention\.query\.", "attention.q_proj."),
    (r"attention\.attention\.key\.", "attention.k_proj."),
    (r"attention\.attention\.value\.", "attention.v_proj."),
    (r"attention\.output\.dense\.", "attention.o_proj."),
    (r"intermediate\.dense\.", "mlp.fc1."),
    (r"output\.dense\.", "mlp.fc2."),
)
DROPLESS = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def edge(raw: Config, key: str, default: Any) -> Any:
    """One number for a square, which may be given twice.

    Raises:
        BadCheckpoint: for an oblong.
    """
    value = raw.get(key, default)
    if isinstance(value, list | tuple):
        if len(value) != 2 or value[0] != value[1]:
            raise BadCheckpoint(
                f"Only square images and patches are supported; the configuration gives {key} as "
                f"{value!r}."
            )
        return value[0]
    return value


def configuration(raw: Config, defaults: Mapping[str, Json], *further: str) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get the defaults.

    Args:
        raw: content of the file.
        defaults: of the family, with transformers' names of sizes.
        further: names of further entries that should be positive integers.

    Raises:
        BadCheckpoint: for sizes that make no network.
    """
    found = hf.chosen(raw, defaults)
    found |= {key: edge(raw, key, defaults[key]) for key in ("image_size", "patch_size")}
    sizes = (
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "image_size",
        "patch_size",
        "num_channels",
    )
    require_sizes(found, *sizes, *further)
    require_divides(found, "num_attention_heads", "hidden_size")
    hf.positive_numbers(found, "layer_norm_eps")
    if raw.get("head_dim") not in (
        None,
        found.size("hidden_size") // found.size("num_attention_heads"),
    ):
        raise BadCheckpoint(
            f"A head_dim of its own ({raw['head_dim']!r}) is not supported; heads share the width "
            "evenly."
        )
    return found


def sizes(config: Config) -> dict[str, int]:
    """Sizes for people."""
    found = {
        "width": config.size("hidden_size"),
        "depth": config.size("num_hidden_layers"),
        "heads": config.size("num_attention_heads"),
    }
    if "intermediate_size" in config:
        found["units"] = config.size("intermediate_size")
    if "num_labels" in config:
        found["classes"] = config.size("num_labels")
    return found | {
        "patch": config.size("patch_size"),
        "image": config.size("image_size"),
        "channels": config.size("num_channels"),
    }


def renamed(
    tensors: Mapping[str, Tensor],
    names: Sequence[tuple[str, str]] = OLD_NAMES,
    layers: str = "layers",
) -> dict[str, Tensor]:
    """Names of the layers in memory: `layers.3.`, which older files call `encoder.layer.3.`, and
    the parts of each.

    Args:
        tensors: by their names on disk.
        names: patterns of the parts on disk -> in memory.
        layers: what they are called in memory.
    """
    found = {}
    for name, tensor in tensors.items():
        place = re.match(r"(.*?)(?:encoder\.layer|layers)(\.\d+\.)(.*)$", name)
        if place is None:
            found[name] = tensor
            continue
        beginning, number, rest = place.groups()
        for pattern, replacement in names:
            rest, fits = re.subn(f"^{pattern}", replacement, rest)
            if fits:
                break
        found[f"{beginning}{layers}{number}{rest}"] = tensor
    return found


def with_base(
    tensors: Mapping[str, Tensor], base: str, known: tuple[str, ...], heads: tuple[str, ...] = ()
) -> dict[str, Tensor]:
    """Let the names of the body begin as they do in the class, whatever they begin with on disk.

    Args:
        tensors: by their names on disk.
        base: what they begin with in memory; "" for the body alone.
        known: what classes let them begin with.
        heads: beginnings of names that are not the body's.
    """
    found = {}
    for name, tensor in tensors.items():
        if not name.startswith(heads or ("\n",)):
            bare = next(
                (name.removeprefix(start) for start in known if name.startswith(start)), name
            )
            name = base + bare
        found[name] = tensor
    return found


def norm_stream(s: Structure, width: int, name: str = "residual", output: bool = False) -> None:
    """A stream of that name that is read through LayerNorms alone; `output` where what the last
    norm gives is shown.
    """
    s.centre(name)
    s.scale("residual stream")
    if output:
        s.space(name, "residual", width, NONE, OUTPUT)
        return
    reason = (
        "LayerNorm divides by the length of the stream, which rotations that keep the "
        "all-ones vector leave alone"
    )
    s.space(name, "residual", width, ROTATIONS, reason, fixes_ones=True)


def raw_stream(s: Structure, width: int, depth: int, name: str = "residual") -> str:
    """A stream that is an output as it is, without a norm: neither its length nor its mean is free.

    What adds the same to all tokens may have another mean where the next such bias takes it back:
    no norm between sees it.

    Args:
        s: what is being written down.
        width: of the stream.
        depth: number of layers, with two such biases each.
        name: of its space.
    """
    s.freedom(MEANS, 2 * depth)
    return s.space(name, "residual", width, NONE, OUTPUT)


def output_norm(s: Structure, name: str, stream: str = "residual", block: str = "norm") -> None:
    """A last norm whose outputs are the class's own: its offset is added behind the stream, so it
    is none of its writers.
    """
    size = (s.spaces[stream].size,)
    s.parameter(f"{block}.gain", f"{name}.weight", f"={stream}", size)
    s.parameter(f"{block}.offset", f"{name}.bias", f"={stream}", size)


def patches(
    s: Structure,
    config: Config,
    name: str,
    bias: bool = True,
    stream: str = "residual",
    on: str = "",
) -> None:
    """Write the embedding of patches down."""
    width, patch = config.sizes("hidden_size", "patch_size")
    shape = (width, config.size("num_channels"), patch, patch)
    s.parameter(f"{on}patch.weight", f"{name}.weight", f"+{stream} *", shape)
    if bias:
        s.parameter(f"{on}patch.bias", f"{name}.bias", f"+{stream}", (width,))


def unseen_token(
    s: Structure, block: str, name: str, shape: tuple[int, ...], stream: str = "residual"
) -> None:
    """A token for masked patches that the outputs of the class do not show; it moves with the
    stream.
    """
    s.parameter(block, name, f"* +{stream}", shape)
    s.freedom(CONSTANTS, s.spaces[stream].size - int(stream in s.rewrite.centred))


@dataclass(frozen=True)
class Layer:
    """How one layer is made and what its parts are called in the state dict, behind the layer's own
    name.

    Attributes:
        width: of its stream.
        heads: number of heads.
        hidden: number of units.
        act: the activation.
        biases: of queries, keys, values and of what attention writes.
        unit_bias: whether the layers of units have biases.
        gated: whether the units have a gate.
        pairs: of rotary positions.
        scaled: whether a vector scales what attention and units write.
        names: of norms, of the four maps of attention, of the layers of units (a gate first), of
            the scales.
        stream: the space it reads and writes.
        prefix: of the names of its blocks and spaces, "" or "text.".
        zeros: whether keys and values are also made of places of zeros behind the first norm: what
            its offset adds to others is not added there, so that it cannot go into their biases.
    """

    width: int
    heads: int
    hidden: int
    act: str
    biases: tuple[bool, bool, bool, bool] = (True, True, True, True)
    unit_bias: bool = True
    gated: bool = False
    pairs: Pairs | None = None
    scaled: bool = False
    norms: tuple[str, str] = ("layernorm_before", "layernorm_after")
    maps: tuple[str, ...] = tuple(f"attention.{part}_proj" for part in "qkvo")
    mlp: tuple[str, ...] = ("mlp.fc1", "mlp.fc2")
    scales: tuple[str, str] = ("layer_scale1.lambda1", "layer_scale2.lambda1")
    stream: str = "residual"
    prefix: str = ""
    shared_heads: str | None = field(default=None)
    zeros: bool = False

    def write(self, s: Structure, i: int, at: str) -> Attention:
        """Write the layer number `i` down, whose parameters' names begin with `at`; returns its
        attention.
        """
        tag, on = f"{self.prefix}{i}", f"{self.prefix}blocks.{i}"
        reads, writes = f"-{self.stream}", f"+{self.stream}"
        a = attention(
            s,
            tag,
            self.heads,
            self.width // self.heads,
            pairs=self.pairs,
            shared_heads=self.shared_heads,
        )
        names = tuple(f"{at}.{name}" for name in self.maps)
        readers = separate_attention(s, a, on, names, self.biases, reads, writes=writes)
        if self.zeros:
            readers = [readers[0], *((weight, None) for weight, _ in readers[1:])]
        s.norm(f"{on}.norm1", f"{at}.{self.norms[0]}", readers, self.stream)
        if not self.zeros:
            unseen_constants(s, a, self.biases, self.stream)
        parts = [f"{at}.{name}" for name in self.mlp]
        make = gated_units if self.gated else units
        u = make(s, tag, self.hidden, self.act)
        found: Readers = []
        for part, name in zip(("gate", "up") if self.gated else ("up",), parts, strict=False):
            role = "=" if part == "gate" else "+"  # a gate has the signs and scales of none
            found.append(s.linear(f"{on}.{part}", name, f"{role}{u}", reads, self.unit_bias))
        s.linear(f"{on}.down", parts[-1], writes, f"-{u}", self.unit_bias)
        units_product(s, u, on, self.unit_bias, self.act if self.gated else None)
        s.norm(f"{on}.norm2", f"{at}.{self.norms[1]}", found, self.stream)
        if self.scaled:
            for number, part, bias in ((1, "output", self.biases[3]), (2, "down", self.unit_bias)):
                scale = f"{on}.scale{number}"
                s.parameter(
                    scale, f"{at}.{self.scales[number - 1]}", f"={self.stream}", (self.width,)
                )
                writers = (f"{on}.{part}.weight", f"{on}.{part}.bias" if bias else None)
                s.layer_scale(scale, writers, self.stream)
        return a


def unseen_constants(
    s: Structure, a: Attention, biases: tuple[bool, bool, bool, bool], stream: str
) -> None:
    """Count what stays open where maps of attention without biases read a norm that has an offset
    o.

    W o is a constant then, like a bias. The key's is not seen on coordinates that are not rotated;
    the value's reaches the output as a constant, which a bias behind it takes. Without such a bias
    only that remains which becomes a mean, or nothing.
    """
    plane, values = s.spaces[a.product_name], s.spaces[a.value_name]
    _, key, value, output = biases
    constants, count = values.copies * values.size, 0
    if not key:
        count += plane.copies * (plane.size - (plane.pairs.rotated if plane.pairs else 0))
    if not (value and output):
        count += constants if output else max(0, constants - s.spaces[stream].size + 1)
    if count:
        s.freedom(CONSTANTS, count)


def tanh_pooler(s: Structure, rows: int) -> None:
    """A pooler whose state is an output: its layer reads the last norm, whose own outputs are
    others'.
    """
    s.space("pooled", "pooled", rows, NONE, "the pooled state is an output itself")
    s.linear("pooler", "pooler.dense", "+pooled", "-residual", rows=rows)
    s.freedom(MEANS, rows)


def two_readers(s: Structure, name: str, labels: int, width: int) -> Readers:
    """A head that reads the class token and the mean of the patches side by side; returns its
    readers.
    """
    parts = [
        (f"head.{part}.weight", f"* {i}/2 -residual") for i, part in enumerate(("class", "patches"))
    ]
    s.fused(f"{name}.weight", (labels, 2 * width), parts, ignores_mean_over=0)
    s.parameter("head.bias", f"{name}.bias", "*", (labels,), ignores_mean_over=0)
    return [(block, "head.bias") for block, _ in parts]


def fitting(module: nn.Module, inputs: Tensor) -> Tensor:
    """Images in the precision of the module; not every class brings them there by itself."""
    return inputs.to(next(module.parameters()).dtype)


def outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """What a class computes of images: logits, or its stream with the pooled state behind it where
    that is no part of it.
    """
    found = module(fitting(module, inputs))
    if "logits" in found:
        return found.logits
    return with_pooled(
        found.last_hidden_state, found.pooler_output if "pooler_output" in found else None
    )


def with_pooled(stream: Tensor, pooled: Tensor | None) -> Tensor:
    """A stream `[n, tokens, width]` and a pooled state behind it; in one row `[n, numbers]` if that
    has another width.
    """
    if pooled is None:
        return stream
    if pooled.shape[-1] == stream.shape[-1]:
        return torch.cat([stream, pooled[:, None]], 1)
    return torch.cat([stream.flatten(1), pooled], 1)


def chessboard(inputs: Tensor, patch: int, odd: bool) -> Tensor:
    """Every second patch of images `[n, channels, height, width]`, true or false `[n, patches]`:
    what is masked.
    """
    rows, columns = (length // patch for length in inputs.shape[-2:])
    places = torch.arange(rows)[:, None] + torch.arange(columns)[None]
    return (places % 2 == int(odd)).flatten().expand(len(inputs), -1).to(inputs.device)


def twice_masked(module: nn.Module, inputs: Tensor, read: Callable[[Any], Tensor]) -> Tensor:
    """What a class that fills masked patches in makes of images twice `[n, 2, ...]`, every second
    patch masked each time.
    """
    settings: Any = module.config
    inputs, patch = fitting(module, inputs), settings.patch_size
    boards: Iterable[Tensor] = (chessboard(inputs, patch, odd) for odd in (False, True))
    return torch.stack([read(module(inputs, bool_masked_pos=board)) for board in boards], 1)
