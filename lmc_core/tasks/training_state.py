"""What a training has so far, in a file that a later run goes on from."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import torch

from lmc_core.atomic import look_anew, new_file


def save_state(path: Path, state: Mapping[str, object]) -> None:
    """Write what there is, whole or not at all; a full disk is no reason to stop training.

    Args:
        path: of the file.
        state: tensors and plain values, with the ``fingerprint`` of what is trained.
    """
    with contextlib.suppress(OSError, RuntimeError), new_file(path) as draft:
        torch.save(dict(state), draft)  # says a full disk by a RuntimeError


def read_state(
    path: Path | None, fingerprint: str, device: str | torch.device | None = None
) -> dict[str, object] | None:
    """What was written for the same training; None where there is nothing of it.

    Args:
        path: of the file; None for none.
        fingerprint: of what is trained.
        device: that tensors are brought to; by default the one they were written from.
    """
    if path is None:
        return None
    if not path.is_file():
        look_anew(path.parent)
    if not path.is_file():
        return None
    try:
        state = torch.load(path, weights_only=True, map_location=device)
    except Exception:  # a file that cannot be read is one that is not there
        return None
    return state if state.get("fingerprint") == fingerprint else None
