"""How a model wants its images, as its own files say.

`preprocessor_config.json` is what transformers writes, `pretrained_cfg` in `config.json` what timm
writes. A model of a shipped image task is prepared for as that task's images are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lmc_core.errors import BadInput, Incompatible
from lmc_core.models.model import Model
from lmc_core.tasks.preparation import RESAMPLING, Preparation
from lmc_core.tasks.shipped import find_shipped

REFUSED = ("do_pad", "do_flip_channel_order", "do_split_image", "do_grayscale")


class NoPreparation(BadInput):
    """A model's files say nothing of how images are prepared."""


def common_preparation(models: Sequence[Model]) -> tuple[Preparation, tuple[str, ...]]:
    """Return the preparation that the models agree on in size and normalisation, and notes on it.

    A model whose files do not say how takes the preparation of the first that does, which a note
    says.

    Args:
        models: that will see the same pixels.

    Raises:
        BadInput: if no model's files say how to prepare images, or one's cannot be read.
        Incompatible: if two models differ.
    """
    found: list[tuple[Model, Preparation]] = []
    missing: list[tuple[Model, NoPreparation]] = []
    for model in models:
        try:
            found.append((model, find_preparation(model)))
        except NoPreparation as error:
            missing.append((model, error))
    if not found:
        raise missing[0][1]
    first, chosen = found[0]
    for model, other in found[1:]:
        _require_alike(first, chosen, model, other)
    for model, _ in missing:
        _require_size(first, chosen, model)
    return chosen, tuple(
        f"The files of {model.name} do not say how its images are prepared; they are prepared as "
        f"{first.name} takes them."
        for model, _ in missing
    )


def _require_alike(first: Model, chosen: Preparation, model: Model, other: Preparation) -> None:
    for what in ("channels", "edge", "scale", "mean", "std"):
        left, right = getattr(chosen, what), getattr(other, what)
        if left != right:
            raise Incompatible(
                f"{first.name} and {model.name} prepare images differently ({what} {left} and "
                f"{right}); "
                "choose two models that see the same pixels."
            )


def _require_size(first: Model, chosen: Preparation, model: Model) -> None:
    sizes = model.family.sizes(model.config)
    for what, left, right in (
        ("channels", chosen.channels, sizes["channels"]),
        ("edge", chosen.edge, sizes["image"]),
    ):
        if left != right:
            raise Incompatible(
                f"{first.name} and {model.name} take images of other sizes ({what} {left} and "
                f"{right}); "
                "choose two models that see the same pixels."
            )


def find_preparation(model: Model) -> Preparation:
    """Return how a model's own files say that images are prepared.

    Raises:
        BadInput: if they do not say, or say something that is not supported.
    """
    shipped = find_shipped(model)
    if shipped is not None and shipped.preparation is not None:
        return shipped.preparation
    sizes = model.family.sizes(model.config)
    channels, edge = sizes["channels"], sizes["image"]
    if model.folder is not None:
        where = f"{model.folder.name}/preprocessor_config.json"
        if (model.folder / "preprocessor_config.json").is_file():
            return _from(
                where,
                _transformers,
                _read(model.folder / "preprocessor_config.json"),
                channels,
                edge,
            )
        raw = _read(model.folder / "config.json")
        if "architecture" in raw and not raw.get("pretrained_cfg") and "mean" not in raw:
            raise NoPreparation(
                f"{model.folder.name}/config.json does not say 'mean', 'std' and 'interpolation', "
                "which preparing images "
                "needs; add them under 'pretrained_cfg', as timm does."
            )
        if "architecture" in raw or "pretrained_cfg" in raw:
            return _from(
                f"{model.folder.name}/config.json",
                _timm,
                raw.get("pretrained_cfg") or raw,
                channels,
                edge,
            )
    raise NoPreparation(
        f"How {model.name} wants its images prepared is not known; put the "
        "preprocessor_config.json that belongs to it "
        "beside its weights."
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path.parent.name}/{path.name} cannot be read ({type(error).__name__}); fetch it "
            "again."
        ) from error
    return content if isinstance(content, dict) else {}


def _from(
    where: str,
    read: Callable[[dict[str, Any], int, int], Preparation],
    content: dict[str, Any],
    channels: int,
    edge: int,
) -> Preparation:
    """Read the content of a file; what it lacks is named."""
    try:
        return read(content, channels, edge)
    except KeyError as error:
        raise BadInput(
            f"{where} does not say {error.args[0]!r}, which preparing images needs; add it."
        ) from None
    except (TypeError, ValueError, IndexError) as error:
        raise BadInput(
            f"{where} says how to prepare images in a way that is not supported "
            f"({str(error)[:100]})."
        ) from error


def _transformers(given: dict[str, Any], channels: int, edge: int) -> Preparation:
    for name in REFUSED:
        if given.get(name):
            raise ValueError(f"{name} is true")
    resize: tuple[int, int] | int | None = None
    if given.get("do_resize", True):
        size = given["size"]
        if isinstance(size, dict) and "shortest_edge" in size and "longest_edge" not in size:
            resize = int(size["shortest_edge"])
        elif isinstance(size, dict) and {"height", "width"} <= size.keys():
            resize = (int(size["height"]), int(size["width"]))
        elif isinstance(size, int):
            resize = (size, size)
        else:
            raise ValueError(f"size is {size!r}")
    crop = bool(given.get("do_center_crop", given.get("crop_size")))
    if crop:
        size = given["crop_size"]
        if size not in (edge, {"height": edge, "width": edge}):
            raise ValueError(f"crop_size is {size!r} and the model takes {edge}")
    scale = float(given.get("rescale_factor", 1 / 255)) if given.get("do_rescale", True) else 1.0
    normalised = given.get("do_normalize", True)
    mean, std = (given["image_mean"], given["image_std"]) if normalised else (0.0, 1.0)
    resampling = RESAMPLING[int(given["resample"])] if resize is not None else "bilinear"
    return Preparation(
        channels,
        edge,
        resize,
        resampling,
        crop,
        scale,
        _by_channel(mean, channels),
        _by_channel(std, channels),
        False,
    )


def _timm(given: dict[str, Any], channels: int, edge: int) -> Preparation:
    share = float(given.get("crop_pct") or 0.875)  # timm's own default
    mode = given.get("crop_mode") or "center"
    if mode not in ("center", "squash"):
        raise ValueError(f"crop_mode is {mode!r}")
    larger = math.floor(edge / share)
    resampling = given.get("interpolation") or "bicubic"
    if resampling not in RESAMPLING:
        raise ValueError(f"interpolation is {resampling!r}")
    resize = larger if mode == "center" else (larger, larger)
    mean, std = _by_channel(given["mean"], channels), _by_channel(given["std"], channels)
    return Preparation(channels, edge, resize, resampling, True, 1 / 255, mean, std)


def _by_channel(values: float | Sequence[float], channels: int) -> tuple[float, ...]:
    """One number for each channel; a single one, or equal ones, serve any number of channels."""
    several = [values] if isinstance(values, int | float) else values
    numbers = [float(value) for value in several]
    if len(numbers) != channels:
        if len(set(numbers)) != 1:
            raise ValueError(f"{numbers} are not {channels} numbers")
        numbers = numbers[:1] * channels
    return tuple(numbers)
