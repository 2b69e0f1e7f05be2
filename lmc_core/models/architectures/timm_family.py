"""What families of timm's Vision Transformers share: building, files, outputs, and configurations
read from a module.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import timm_layout
from lmc_core.models.architectures.timm_body import CLASSES, Body
from lmc_core.models.architectures.timm_reader import read_body
from lmc_core.models.architectures.timm_vit import (
    edge,
    given_arguments,
    probe,
    ratio,
    ratio_is_plausible,
    read_classes,
    source,
    switches,
    without_counters,
)
from lmc_core.models.config import Config, Json, require_divides
from lmc_core.models.family import SHARD, Family

if TYPE_CHECKING:
    from torch import Tensor, nn

COMMON = tuple(
    "embed_dim depth num_heads mlp_ratio img_size patch_size in_chans global_pool".split()
)


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Timm's names on disk are those in memory, without the numbers of batches that batch norms
    have seen.

    Raises:
        BadCheckpoint: if there is a head and the configuration says that there is none.
    """
    head = tensors.get("head.weight")
    if head is not None and not config["num_classes"]:
        raise BadCheckpoint(
            "The configuration gives 'num_classes' as 0, and the file has a head of "
            f"{head.shape[0]} classes; write that "
            "number into its config.json, or remove the head."
        )
    return {
        name: tensor
        for name, tensor in tensors.items()
        if not name.endswith(".num_batches_tracked")
    }


def build(config: Config) -> nn.Module:
    """A module of timm's own class, randomly initialised, in float32."""
    import timm

    args: dict[str, Any] = {**config.part("model_args")} if "model_args" in config else {}
    name, classes = config.text("architecture"), config.size("num_classes")
    return without_counters(timm.create_model(name, num_classes=classes, **args))


def outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """Logits `[n, classes]` of images `[n, channels, height, width]`, or the features of a model
    without a head.
    """
    return module(inputs)


def predicts(config: Config) -> str:
    """Labels, or nothing where there is no head."""
    return "label" if config["num_classes"] else "features"


def save(module: nn.Module, config: Config, folder: Path, shard: int = SHARD) -> None:
    """Write timm's `config.json` and `model.safetensors`, which
    `timm.create_model("local-dir:FOLDER")` reads: one file.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    sizes = {"num_features": module.num_features, "global_pool": module.global_pool}
    args = config.part("model_args") if "model_args" in config else {}
    edge_, channels = args.get("img_size", 224), args.get("in_chans", 3)
    known = config.part("pretrained_cfg") if "pretrained_cfg" in config else {}
    pretrained = {"input_size": [channels, edge_, edge_], "num_classes": config.size("num_classes")}
    content = {**config, **sizes, "pretrained_cfg": {**known, **pretrained}}
    (folder / "config.json").write_text(json.dumps(content, indent=2) + "\n")
    save_file(
        {k: v.contiguous() for k, v in module.state_dict().items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )


@functools.lru_cache(maxsize=64)
def _read(name: str, args: str, classes: int) -> Body:
    return read_body(probe(name, args), name, json.loads(args)["depth"], classes)


def read(config: Config) -> Body:
    """What a model of that configuration is made of, as timm builds it."""
    return _read(
        config.text("architecture"),
        json.dumps(config.part("model_args"), sort_keys=True),
        config.size("num_classes"),
    )


def sizes(config: Config, body: Body) -> dict[str, int]:
    """Sizes for people."""
    args = config.part("model_args")
    return {
        "width": body.width,
        "depth": body.depth,
        "heads": body.attends.heads,
        "units": body.feeds.units,
        "classes": body.classes,
        "patch": args.size("patch_size"),
        "image": args.size("img_size"),
        "channels": args.size("in_chans"),
    }


def family(
    name: str,
    module: str,
    sentence: str,
    reference: str,
    settings: tuple[str, ...],
    choices: tuple[str, ...],
    examples: Mapping[str, Mapping[str, Json]],
) -> Family:
    """A family of timm's whose configuration is its architecture and the arguments that differ.

    Args:
        name: of the family.
        module: of timm in which its architectures are written.
        sentence: what it is, for lists.
        reference: the paper it comes from.
        settings: further arguments that are true or false.
        choices: further arguments of other kinds.
        examples: see `Family`.
    """

    def config(raw: Config) -> Config:
        return _read_config(raw, name, settings, choices)

    return Family(
        name=name,
        sentence=sentence,
        reference=reference,
        takes="images",
        recognises=lambda c: (
            isinstance(c.get("architecture"), str)
            and not c.get("model_type")
            and source(c.text("architecture")) == module
        ),
        build=build,
        outputs=outputs,
        sizes=lambda c: sizes(c, read(c)),
        structure=lambda c: timm_layout.write(name, read(c)),
        predicts=predicts,
        save=save,
        config=config,
        from_disk=from_disk,
        examples=examples,
    )


def _read_config(
    raw: Config, name: str, settings: tuple[str, ...], choices: tuple[str, ...]
) -> Config:
    """What a configuration says, with what timm builds of it."""
    given = given_arguments(raw, {*COMMON, *settings, *choices})
    switches(given, settings)
    if "mlp_ratio" in given:
        ratio_is_plausible(given)
    architecture = str(raw.get("architecture")).partition(".")[0]
    built: Any = probe(architecture, json.dumps(given, sort_keys=True))
    patches = built.patch_embed
    sizes_ = Config(
        img_size=edge(patches.img_size, "images"), patch_size=edge(patches.patch_size, "patches")
    )
    # otherwise pixels at the edge may belong to no patch
    if getattr(built, "dynamic_img_size", False):
        require_divides(sizes_, "patch_size", "img_size")
    body = read_body(built, architecture, 1, 1)
    assert CLASSES[type(built).__name__] == name
    classes = read_classes(raw)
    if classes and not body.last:
        raise BadCheckpoint(
            f"timm's {architecture!r} has no norm before its head; it is supported without "
            "one (num_classes=0)."
        )
    found = {
        "embed_dim": body.width,
        "depth": given.get("depth", len(built.blocks)),
        "num_heads": body.attends.heads,
        "mlp_ratio": ratio(body.width, body.feeds.units),
        **sizes_,
        "in_chans": built.in_chans,
        "global_pool": built.global_pool,
    }
    return Config(architecture=architecture, num_classes=classes, model_args=given | found)
