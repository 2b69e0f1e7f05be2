"""Shipped results are shown on machines with another device; runs are not answered so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lmc_core.equivariance.request import make_equivariance_request
from lmc_core.runs.computation import COMPUTATIONS
from lmc_core.runs.executors import obtain
from lmc_core.runs.store import Store


def test_a_shipped_result_is_shown_whatever_the_device(tmp_path: Path, monkeypatch) -> None:
    request = make_equivariance_request(steps=1)
    shipped = Store(tmp_path / "shipped", tmp_path / "none")
    shipped.put(request, {"device": "cpu", "loss": 0.5}, {})
    store = Store(tmp_path / "own", tmp_path / "shipped")
    there = replace(request, device="cuda")
    found = store.find_on_any_device(there.key)
    assert (
        there.key != request.key
        and found is not None
        and found.shipped
        and found.result["device"] == "cpu"
    )
    # another request is another result
    assert store.find_on_any_device(replace(request, device="cuda", seed=1).key) is None
    store.put(there, {"device": "cuda", "loss": 0.25}, {})
    # one's own comes first
    assert (own := store.find_on_any_device(there.key)) is not None and own.result["loss"] == 0.25
    quick = replace(
        COMPUTATIONS["equivariance"],
        compute=lambda asked, progress, refresh: ({"device": asked.device}, {}),
    )
    monkeypatch.setitem(COMPUTATIONS._known, "equivariance", quick)
    fresh = Store(tmp_path / "fresh", tmp_path / "shipped")
    # who asks for a device gets it
    assert obtain(there, lambda share, said: None, fresh).result["device"] == "cuda"


def test_what_ships_has_twins_that_differ_in_the_device_alone() -> None:
    from lmc_core.runs.store import _find_twins

    store = Store()
    listed = Store(store.shipped, store.shipped).list()
    assert len(_find_twins(store.shipped)) == 2 * len(listed)
