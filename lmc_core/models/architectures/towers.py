"""A text tower and an image tower side by side, as CLIP and SigLIP have them: configurations,
names, streams, packed inputs.

Each tower has a stream of its own. Their embeddings are compared after both were brought to length
one, so one orthogonal map of both is not seen, nor is a positive factor of either. Images and texts
come in one tensor, a row for each pair: the pixels first, then the tokens as numbers, which
floating-point numbers hold exactly below 2^24.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmc_core.errors import BadCheckpoint
from lmc_core.lazy_torch import torch
from lmc_core.models.architectures import hf, vision
from lmc_core.models.architectures.vision import MEANS, Layer
from lmc_core.models.config import Config, Json, require_divides, require_sizes
from lmc_core.models.parts import OUTPUT, POINTWISE
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import NONE, ROTATIONS

if TYPE_CHECKING:
    from torch import Tensor, nn

KIND = "embedding"
SCALE = "embeddings of one length"
NAMES = {
    "norms": ("layer_norm1", "layer_norm2"),
    "maps": tuple(f"self_attn.{part}_proj" for part in ("q", "k", "v", "out")),
}


@dataclass(frozen=True)
class Part:
    """One tower in a layout.

    Attributes:
        base: what the names of its parameters begin with, "text_model." or "".
        stream: its space.
        prefix: of its blocks and of its other spaces, "text." or "".
    """

    base: str = ""
    stream: str = "residual"
    prefix: str = ""


TEXT, IMAGE = (
    Part(f"{name}_model.", f"residual.{name}", f"{name}.") for name in ("text", "vision")
)


def nested(raw: Config, key: str, defaults: Mapping[str, Json]) -> Config:
    """The part of a configuration that is one tower's; older files have a second one, which counts
    where it is given.

    Raises:
        BadCheckpoint: if it is no object.
    """
    found, none = Config(), Config()
    for name, missing in ((key, none), (f"{key}_dict", defaults)):
        given = raw.get(name)
        if given is None:
            continue
        if not isinstance(given, Mapping):
            raise BadCheckpoint(
                f"The configuration should give {name!r} as an object; it gives {given!r}."
            )
        found |= dict(missing) | dict(given)
    return found


def checked_text(raw: Config, defaults: Mapping[str, Json], *further: str) -> Config:
    """The entries that a text tower depends on.

    Raises:
        BadCheckpoint: for sizes that make no network.
    """
    found = hf.chosen(raw, defaults)
    sizes = (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
    )
    require_sizes(found, *sizes, "max_position_embeddings", *further)
    require_divides(found, "num_attention_heads", "hidden_size")
    hf.positive_numbers(found, "layer_norm_eps")
    hf.activation(found, "hidden_act", POINTWISE, "A text tower")
    return found


def checked_image(raw: Config, defaults: Mapping[str, Json], *further: str) -> Config:
    """The entries that an image tower depends on.

    Raises:
        BadCheckpoint: for sizes that make no network.
    """
    found = vision.configuration(raw, defaults, "intermediate_size", *further)
    hf.activation(found, "hidden_act", POINTWISE, "An image tower")
    if found.size("patch_size") > found.size("image_size"):
        raise BadCheckpoint(
            f"Patches of {found['patch_size']} are larger than images of {found['image_size']}."
        )
    return found


def text_sizes(config: Config) -> dict[str, int]:
    """Sizes of a text tower, for people."""
    return {
        "width": config.size("hidden_size"),
        "depth": config.size("num_hidden_layers"),
        "heads": config.size("num_attention_heads"),
        "units": config.size("intermediate_size"),
        "tokens": config.size("vocab_size"),
        "context": config.size("max_position_embeddings"),
    }


def both_sizes(config: Config) -> dict[str, int]:
    """Sizes of both towers, for people; width, depth, heads and units are those of the images'."""
    return text_sizes(config.part("text_config")) | vision.sizes(config.part("vision_config"))


def layer(config: Config, part: Part) -> Layer:
    """How a layer of a tower is made."""
    return Layer(
        config.size("hidden_size"),
        config.size("num_attention_heads"),
        config.size("intermediate_size"),
        config.text("hidden_act"),
        stream=part.stream,
        prefix=part.prefix,
        **NAMES,
    )


def text_tower(s: Structure, config: Config, part: Part, output: bool) -> None:
    """Write a text tower down, without its last norm.

    Args:
        s: what is being written down.
        config: of the tower.
        part: its place.
        output: whether its stream is an output.
    """
    width, on = config.size("hidden_size"), part.prefix
    vision.norm_stream(s, width, part.stream, output)
    tables = (("token", "vocab_size"), ("position", "max_position_embeddings"))
    for block, rows in tables:
        name = f"{part.base}embeddings.{block}_embedding.weight"
        s.parameter(f"{on}{block}.table", name, f"* +{part.stream}", (config.size(rows), width))
    s.sum(f"{on}token.table", f"{on}position.table")
    for i in range(config.size("num_hidden_layers")):
        layer(config, part).write(s, i, f"{part.base}encoder.layers.{i}")


def embedding_space(s: Structure, size: int, fixes_ones: bool = False) -> None:
    """The space in which both towers' embeddings are compared, once each has length one."""
    reason = "embeddings are compared by their angle, which rotations keep"
    if fixes_ones:
        reason += "; a LayerNorm reads those of images, so the all-ones vector stays"
    s.space("embedding", KIND, size, ROTATIONS, reason, fixes_ones=fixes_ones)
    s.scale(SCALE, SCALE)


def shown_embedding(s: Structure, size: int) -> None:
    """The same space where its coordinates are an output."""
    s.space("embedding", KIND, size, NONE, OUTPUT.replace("stream", "embedding"))


def head_of_outputs(s: Structure, rows: int) -> None:
    """Count what is open in a layer with a bias that reads a norm whose outputs are shown: its
    rows' means.
    """
    s.freedom(MEANS, rows)


def unpacked(config: Any, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Images `[n, channels, height, width]` and tokens `[n, length]` of one tensor
    `[n, pixels + length]`.
    """
    images = config.vision_config
    shape = (images.num_channels, images.image_size, images.image_size)
    pixels = shape[0] * shape[1] * shape[2]
    return inputs[:, :pixels].reshape(-1, *shape), inputs[:, pixels:].round().long()


def pair_outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """How well each image of a batch fits each text `[n, n]`."""
    images, tokens = unpacked(module.config, inputs)
    return module(input_ids=tokens, pixel_values=vision.fitting(module, images)).logits_per_image


def random_tokens(config: Config, count: int, seed: int, end: int | None = None) -> Tensor:
    """Tokens drawn uniformly `[n, context]`; the last one is `end`, where given."""
    generator = torch.Generator().manual_seed(seed)
    shape = (count, config.size("max_position_embeddings"))
    tokens = torch.randint(config.size("vocab_size"), shape, generator=generator)
    if end is not None and 0 <= end < config.size("vocab_size"):
        tokens[:, -1] = end
    return tokens


def random_pairs(
    config: Config, count: int, seed: int, dtype: torch.dtype, end: int | None = None
) -> Tensor:
    """Images of normal noise with random tokens behind them, in one tensor."""
    images, generator = config.part("vision_config"), torch.Generator().manual_seed(seed)
    pixels = images.size("num_channels") * images.size("image_size") ** 2
    noise = torch.randn(count, pixels, generator=generator, dtype=torch.float64).to(dtype)
    return torch.cat(
        [noise, random_tokens(config.part("text_config"), count, seed, end).to(dtype)], 1
    )
