"""Models that are large are merged parameter by parameter into a checkpoint: neither they nor what
comes of them is ever held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import psutil

from lmc_core.merging.checkpoint import write_merged
from lmc_core.merging.ingredients import PIECE, normalised
from lmc_core.merging.merge import merge
from lmc_core.merging.methods import MERGES
from lmc_core.models.lazy import shapes
from lmc_core.models.load import find_files
from lmc_core.models.mixing import shared_card
from lmc_core.models.model import Model
from lmc_core.progress import Progress, ignore

LARGE = 2**32  # bytes of the files of all models above which they are not held
DOUBLE, SINGLE = 8, 4  # bytes of a number
NOWHERE = MappingProxyType({"frame": "none"})  # of models that are merged as they are
KEPT = 2**26  # bytes of pieces that are free again and that the C library keeps for later ones


def is_large(references: Sequence[str]) -> bool:
    """Whether models are merged without being held, by the size of their files."""
    return sum(path.stat().st_size for each in references for path in find_files(each)) > LARGE


def estimate_streamed(models: Sequence[Model], ancestor: Model | None, method: str) -> int:
    """Bytes that this process has at the most while it merges and writes.

    Of the largest parameter there are the models' own, the outcome in float32 (of arcs in float64
    first), and what is written; of a piece of it there are some tensors in float64.

    Args:
        models: with lazy parameters.
        ancestor: of them; None for none.
        method: a name in `MERGES`.
    """
    every = [*models, *([] if ancestor is None else [ancestor])]
    written, count = models[0].types(), len(every)
    at_once = DOUBLE * (len(models) > 1) * (1 + (len(models) > 2)) if method == "slerp" else 0
    largest = max(
        tensor.numel()
        * (
            sum(shapes(each.state)[name].element_size() for each in every)
            + max(SINGLE + at_once, SINGLE + written[name].itemsize)
        )
        for name, tensor in shapes(models[0].state).items()
    )
    pieces = {"ties": 5 * count + 4, "dare": 4 * count + 3}.get(method, 2 * count + 3)
    size = min(PIECE, max(tensor.numel() for tensor in shapes(models[0].state).values()))
    return _held() + largest + pieces * DOUBLE * size + KEPT


def _held() -> int:
    """Bytes of memory that are this process's own, files that it has mapped left out."""
    found = psutil.Process().memory_info()
    return found.rss - getattr(found, "shared", 0)


def write_streamed_merge(
    models: Sequence[Model],
    folder: Path,
    method: str,
    *,
    weights: Sequence[float] = (),
    ancestor: Model | None = None,
    stand_in: str = "mean",
    settings: Mapping[str, object] | None = None,
    dtype: str | None = None,
    about: Mapping[str, object] | None = None,
    progress: Progress = ignore,
    frame: Mapping[str, object] = NOWHERE,
    originals: Sequence[Model] = (),
) -> dict[str, object]:
    """Merge models that are in one frame and write the outcome, whole or not at all.

    Args:
        models: with lazy parameters (`load(..., lazy=True)`), of one seed or aligned before.
        folder: to be made; must not exist. Its name becomes the model's.
        method: a name in `MERGES`, of those that measure nothing.
        weights: as of `merge`.
        ancestor: as of `merge`.
        stand_in: as of `merge`.
        settings: of the method.
        dtype: of the weights; None for the types of the first model.
        about: further entries of its card.
        progress: told the share done and a few words; may raise to stop.
        frame: how they were brought together, for the card.
        originals: the models, and then their ancestor, before they were; by default these.

    Returns:
        The card, as it was written.
    """
    every = originals or [*models, *([] if ancestor is None else [ancestor])]
    chosen = MERGES[method]
    merged = merge(
        models,
        method,
        weights=weights,
        ancestor=ancestor,
        stand_in=stand_in,
        name=folder.name,
        progress=progress,
        **(settings or {}),  # type: ignore[arg-type]  # the method reads and checks them
    )
    own = None if ancestor is None else {"name": every[-1].name, "digest": every[-1].digest}
    origin = {
        "models": _list_shares(every[: len(models)], weights),
        "ancestor": own or ({"stand_in": stand_in} if chosen.ancestor else None),
        "method": chosen.name,
        "title": chosen.title,
        "source": chosen.source,
        "settings": dict(vars(chosen.configured(settings or {}))),
        "about": {},
        **frame,
        "measured": {},
    }
    card = {**shared_card(models), "merged": origin, "scores": {}, **(about or {})}
    written = write_merged(merged, folder, card, dtype, progress=progress)
    return {"written": written, **card}


def _list_shares(models: Sequence[Model], weights: Sequence[float]) -> list[dict[str, object]]:
    """The models with their digests and what each has of the whole."""
    shares = normalised(weights, len(models))
    return [
        {"name": model.name, "digest": model.digest, "weight": share}
        for model, share in zip(models, shares, strict=True)
    ]
