"""Shipped results on machines with another device: the request is the same but for where it runs,
so its key is another.

What ships was computed on a processor. A page that is opened on a machine with a graphics card
would begin empty, although what it asks for is there but for rounding. So pages look a second time,
and the result says on which device it was computed. A run that a person starts is never answered
so: who asks for a device gets that device.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from lmc_core.errors import LmcError
from lmc_core.runs.result import Result
from lmc_core.runs.store import Store

DEVICES = ("cpu", "cuda", "mps")


def shown(key: str, store: Store) -> Result | None:
    """Return what there is to show for a key: its own result, else a shipped one that differs in
    the device alone.

    Raises:
        StoreError: a result is there and may not be read.
    """
    found = store.get(key)
    if found is None and (twin := _twins(store.shipped).get(key)) is not None:
        found = store.get(twin)
    return found


@lru_cache(maxsize=4)
def _twins(shipped: Path) -> dict[str, str]:
    """Keys that shipped requests have on other devices -> their keys."""
    from lmc_core.runs.computations import request_from_json

    found: dict[str, str] = {}
    for entry in Store(shipped, shipped).list():
        try:
            request: Any = request_from_json(entry.request)
        except (LmcError, TypeError):  # of another version
            continue
        found |= {
            replace(request, device=device).key: entry.key
            for device in DEVICES
            if device != request.device
        }
    return found
