"""Swin (Liu et al. 2021, arXiv 2103.14030): attention in windows, in stages that halve the image
and double the width.

Every stage has a stream of its own. Between two of them one LayerNorm reads four neighbours side by
side, the same map acts on all four, and a layer without a bias writes to the next stream. A norm
stands behind the patches, so its gains act inside the first stream. The last stream is read through
LayerNorms over itself alone and may be rotated; the others change their order here. Rotations that
keep the ones vector would be right for those between, but their gains, one for each neighbour and
coordinate, are not folded: these rotations are counted and not used. Where windows do not fit,
places behind the first norm of a block are filled with zeros, of which keys and values are their
biases alone; what that norm's offset adds is then seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import hf, vision
from lmc_core.models.architectures.vision import MEANS, Layer
from lmc_core.models.config import Config, Json, require_sizes
from lmc_core.models.family import Family
from lmc_core.models.parts import OUTPUT, POINTWISE
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import NONE, PERMUTATIONS

if TYPE_CHECKING:
    from torch import Tensor, nn

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    Config(model_type="swin", embed_dim=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24])
    | dict(window_size=7, mlp_ratio=4.0, hidden_act="gelu", layer_norm_eps=1e-5)
    | dict(image_size=224, patch_size=4, num_channels=3, qkv_bias=True)
    | dict(use_absolute_embeddings=False)
)
CLASSES = ("SwinForImageClassification", "SwinModel")
PLAIN = Layer(0, 1, 0, "gelu")
TABLE = "attention.relative_position_bias.relative_position_bias_table"
OLD_TABLE = r"attention\.self\.relative_position_bias_table"
OLD_NAMES = (
    (OLD_TABLE, TABLE),
    *(
        (rf"attention\.self\.{part}\.", f"attention.{part[0]}_proj.")
        for part in ("query", "key", "value")
    ),
    *vision.OLD_NAMES[3:],
)
FIRST = "gains of the norm behind the patches act on its coordinates one by one"
MERGED = (
    "the norm that reads four neighbours side by side has a gain for each of their coordinates, "
    "and gains are folded only into "
    "what reads one place"
)


@dataclass(frozen=True)
class Stage:
    """One stage: its number, the number of its first block, and its sizes."""

    number: int
    first: int
    depth: int
    width: int
    heads: int
    grid: int  # places along one edge
    last: bool

    @property
    def stream(self) -> str:
        """The name of its space."""
        return "residual" if self.last else f"residual.{self.number}"


def _shown(config: Config) -> bool:
    return bool(config.class_name() == "SwinModel")


def _stages(config: Config) -> list[Stage]:
    grid, first, found = -(-config.size("image_size") // config.size("patch_size")), 0, []
    depths, all_heads = config.entries("depths", int), config.entries("num_heads", int)
    for i, (depth, heads) in enumerate(zip(depths, all_heads, strict=True)):
        last = i == len(depths) - 1
        found.append(Stage(i, first, depth, config.size("embed_dim") * 2**i, heads, grid, last))
        grid, first = (grid + 1) // 2, first + depth
    return found


def configuration(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.

    `add_pooling_layer` is none of them: transformers does not read it there, and pooling by the
    mean has no parameters.
    """
    found = hf.chosen(raw, DEFAULTS)
    found |= {key: vision.edge(raw, key, DEFAULTS[key]) for key in ("image_size", "patch_size")}
    require_sizes(found, "embed_dim", "window_size", "image_size", "patch_size", "num_channels")
    hf.positive_numbers(found, "layer_norm_eps", "mlp_ratio")
    hf.activation(found, "hidden_act", POINTWISE, "swin")
    hf.switches(found, "qkv_bias", "use_absolute_embeddings")
    found["mlp_ratio"] = float(found.number("mlp_ratio"))
    depths = found["depths"] = _per_stage(found["depths"], "depths")
    heads = found["num_heads"] = _per_stage(found["num_heads"], "num_heads")
    if len(depths) != len(heads):
        raise BadCheckpoint(
            "The configuration should give as many 'num_heads' as 'depths', one for each stage; "
            "it gives "
            f"{len(heads)} and {len(depths)}."
        )
    _fitting(found)
    found["architectures"] = [hf.named_class(raw, CLASSES, "swin", CLASSES[0])]
    if not _shown(found):
        found["num_labels"] = hf.labels(raw)
        require_sizes(found, "num_labels")
    return found


def _per_stage(value: Json, key: str) -> list[int]:
    """One positive number for each stage, of which there are not many: each halves the image."""
    given = value if isinstance(value, list | tuple) else ()
    found = [n for n in given if isinstance(n, int) and not isinstance(n, bool) and 0 < n < 2**16]
    if not 0 < len(given) <= 12 or len(found) < len(given):
        raise BadCheckpoint(
            f"The configuration should give {key!r} as one positive integer for each of at most "
            "12 stages; it gives "
            f"{str(value)[:60]}."
        )
    return found


def _fitting(found: Config) -> None:
    """Refuse sizes of which transformers' class computes nothing."""
    window = found.size("window_size")
    if window == 1:
        raise BadCheckpoint(
            "Windows of one place, where attention does nothing, are not supported; window_size "
            "should be 2 or more."
        )
    for stage in _stages(found):
        if stage.width % stage.heads:
            raise BadCheckpoint(
                f"Stage {stage.number} has {stage.width} coordinates, which {stage.heads} heads "
                "should divide."
            )
        if int(found.number("mlp_ratio") * stage.width) < 1:
            raise BadCheckpoint(
                f"mlp_ratio = {found['mlp_ratio']} leaves stage {stage.number} no units."
            )
        if stage.grid < window:
            raise BadCheckpoint(
                f"Stage {stage.number} has {stage.grid} x {stage.grid} places, fewer than its "
                f"windows ({window} x {window}), "
                "whose table of positions would not fit; a larger image_size or a smaller "
                "window_size is expected."
            )
    if found["use_absolute_embeddings"] and found.size("image_size") % found.size("patch_size"):
        raise BadCheckpoint(
            f"With a table of positions patch_size = {found['patch_size']} should divide "
            f"image_size = {found['image_size']}."
        )


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Names in memory; indices of positions, and what only another class uses, are dropped."""
    found = {}
    for name, tensor in tensors.items():
        if name.endswith(("relative_position_index", "embeddings.mask_token")) or name.startswith(
            "decoder."
        ):
            continue
        place = re.match(r"(.*\.blocks\.\d+\.)(.*)$", name)
        if place is not None:
            beginning, rest = place.groups()
            renamed = (re.subn(f"^{old}", new, rest) for old, new in OLD_NAMES)
            name = beginning + next((new for new, fits in renamed if fits), rest)
        found[name] = tensor
    if _shown(config):
        bare = {
            name: tensor for name, tensor in found.items() if not name.startswith("classifier.")
        }
        return vision.with_base(bare, "", ("swin.",))
    return vision.with_base(found, "swin.", ("swin.",), ("classifier.",))


def build(config: Config) -> nn.Module:
    """A module of the class that the configuration names, randomly initialised, in float32."""
    return hf.build(
        config, "SwinConfig", config.class_name(), drop_path_rate=0.0, **vision.DROPLESS
    )


def sizes(config: Config) -> dict[str, int]:
    """Sizes for people; width, heads and units are those of the last stage, depth is that of all
    stages together.
    """
    last = _stages(config)[-1]
    found = {"width": last.width, "depth": last.first + last.depth, "heads": last.heads}
    found["units"] = int(config.number("mlp_ratio") * last.width)
    if "num_labels" in config:
        found["classes"] = config.size("num_labels")
    return found | {
        "patch": config.size("patch_size"),
        "image": config.size("image_size"),
        "channels": config.size("num_channels"),
    }


def structure(config: Config) -> Structure:
    """The spaces and blocks of a model of that configuration."""
    shown, stages = _shown(config), _stages(config)
    base = "" if shown else "swin."
    s = Structure("swin")
    for stage in stages:
        _stream(s, config, stage, shown)
    _embeddings(s, config, stages[0], base)
    for stage in stages:
        for i in range(stage.depth):
            _block(s, config, stage, i, f"{base}encoder.layers.{stage.number}.blocks.{i}")
        if not stage.last:
            _merge(
                s,
                stage,
                stages[stage.number + 1],
                f"{base}encoder.layers.{stage.number}.downsample",
            )
    if shown:
        vision.output_norm(s, "layernorm")
    else:
        rows = config.size("num_labels")
        readers = [s.linear("head", "classifier", "*", "-residual", rows=rows, ignores_mean_over=0)]
        s.norm("norm", f"{base}layernorm", readers)
    return s


def _stream(s: Structure, config: Config, stage: Stage, shown: bool) -> None:
    """The stream of a stage, with what stays open of it.

    Before a merge the mean of what is the same at all places is not seen, unless zeros are put
    beside an odd number of places: then the sum of these means is. Of the last stream no mean is
    seen at all.
    """
    width, first = stage.width, stage.number == 0
    if stage.last and not first:
        vision.norm_stream(s, width, output=shown)
        return
    s.scale("residual stream")
    if not (stage.last and shown):
        s.space(stage.stream, "residual", width, PERMUTATIONS, FIRST if first else MERGED)
        if not first:
            s.freedom("rotations between stages", (width - 1) * (width - 2) // 2)
        elif stage.last:
            s.freedom("gains against a rotation", 1)
    else:
        s.space(stage.stream, "residual", width, NONE, OUTPUT)
    if stage.last:
        s.freedom(MEANS, 1 + stage.depth * (width + int(config.number("mlp_ratio") * width) + 2))
    else:
        s.freedom(MEANS, 1 + 2 * stage.depth - stage.grid % 2)


def _embeddings(s: Structure, config: Config, stage: Stage, base: str) -> None:
    """Patches, the norm behind them, and positions where there is a table."""
    at, stream = f"{base}embeddings", stage.stream
    vision.patches(
        s, config | {"hidden_size": stage.width}, f"{at}.patch_embeddings.projection", stream=stream
    )
    s.freedom(MEANS, 1 + config.size("num_channels") * config.size("patch_size") ** 2)
    s.scale("embeddings of patches")
    s.norm("patch.norm", f"{at}.norm", None, stream)
    if config["use_absolute_embeddings"]:
        shape = (1, stage.grid**2, stage.width)
        s.parameter("position.table", f"{at}.position_embeddings", f"* +{stream}", shape)
        if stage.last:  # nothing sees the mean at any place
            s.freedom(MEANS, stage.grid**2)
            s.freedom("sums of constants", stage.width - 1)
        else:
            alike = (stage.grid // 2) ** 2  # of four neighbours the same mean is not seen
            s.freedom(MEANS, alike - 1 + stage.grid % 2)
            s.freedom("sums of constants", stage.width)


def _block(s: Structure, config: Config, stage: Stage, i: int, at: str) -> None:
    """One block with its table of positions."""
    bias, window, number = config.flag("qkv_bias"), config.size("window_size"), stage.first + i
    rows, shift = (2 * window - 1) ** 2, window // 2 if i % 2 and stage.grid > window else 0
    distances, zeros = _windows(stage.grid, window, shift)
    layer = replace(
        PLAIN,
        width=stage.width,
        heads=stage.heads,
        hidden=int(config.number("mlp_ratio") * stage.width),
        act=config.text("hidden_act"),
        biases=(bias, bias, bias, True),
        stream=stage.stream,
        zeros=zeros,
    )
    layer.write(s, number, at)
    s.parameter(
        f"blocks.{number}.relative.table",
        f"{at}.{TABLE}",
        f"* =heads.{number}",
        (rows, stage.heads),
    )
    unused = rows - distances**2
    s.freedom("constants that a softmax removes", stage.heads)
    s.freedom("positions that are never used", unused * stage.heads)


def _windows(grid: int, window: int, shift: int) -> tuple[int, bool]:
    """What places of the image see along one edge: how many distances, and whether there are places
    of zeros among it.
    """
    padded = -(-grid // window) * window
    distances, zeros = set(), False
    for start in range(0, padded, window):
        places = range(start, start + window)
        parts = [
            (place >= padded - window) + (place >= padded - shift) if shift else 0
            for place in places
        ]
        for j, query in enumerate(places):
            if (query + shift) % padded < grid:
                seen = [k for k in range(window) if parts[j] == parts[k]]
                distances |= {j - k for k in seen}
                zeros = zeros or any((start + k + shift) % padded >= grid for k in seen)
    return len(distances), zeros


def _merge(s: Structure, stage: Stage, after: Stage, at: str) -> None:
    """The norm over four neighbours side by side, and the layer that writes what it gives to the
    next stream.
    """
    size, block = 4 * stage.width, f"merge.{stage.number}"
    s.parameter(f"{block}.gain", f"{at}.norm.weight", f"* ={stage.stream}", (size,))
    s.parameter(f"{block}.offset", f"{at}.norm.bias", f"* ={stage.stream}", (size,))
    s.parameter(
        f"{block}.weight",
        f"{at}.reduction.weight",
        f"+{after.stream} * -{stage.stream}",
        (after.width, size),
    )
    s.freedom("gains of norms", size)
    s.freedom("offsets of norms", size)


SMALL = Config(
    model_type="swin", embed_dim=12, depths=[2, 1], num_heads=[3, 2], window_size=2
) | dict(mlp_ratio=2.0, image_size=16, patch_size=4, num_channels=1)

SWIN = Family(
    name="swin",
    sentence="Image transformer in stages: attention in shifted windows, four neighbours merged "
    "between stages.",
    reference="Liu et al., Swin Transformer: Hierarchical Vision Transformer using Shifted "
    "Windows, 2021, arXiv 2103.14030",
    takes="images",
    recognises=lambda config: config.get("model_type") == "swin",
    build=build,
    outputs=vision.outputs,
    sizes=sizes,
    structure=structure,
    predicts=lambda config: "features" if _shown(config) else "label",
    save=hf.save,
    config=configuration,
    from_disk=from_disk,
    classes=CLASSES,
    examples={
        "swin": SMALL | {"architectures": ["SwinForImageClassification"], "num_labels": 5},
        "swin-features": SMALL
        | dict(architectures=["SwinModel"], image_size=20, qkv_bias=False)
        | dict(hidden_act="relu", use_absolute_embeddings=True),
    },
)
