"""Shipped results are shown on machines with another device; runs are not answered so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lmc_core.equivariance.request import make_equivariance_request
from lmc_core.runs.computations import obtain
from lmc_core.runs.elsewhere import shown
from lmc_core.runs.store import Store


def test_a_shipped_result_is_shown_whatever_the_device(tmp_path: Path, monkeypatch) -> None:
    request = make_equivariance_request(steps=1)
    shipped = Store(tmp_path / "shipped", tmp_path / "none")
    shipped.put(request, {"device": "cpu", "loss": 0.5}, {})
    store = Store(tmp_path / "own", tmp_path / "shipped")
    there = replace(request, device="cuda")
    found = shown(there.key, store)
    assert (
        there.key != request.key
        and found is not None
        and found.shipped
        and found.result["device"] == "cpu"
    )
    # another request is another result
    assert shown(replace(request, device="cuda", seed=1).key, store) is None
    store.put(there, {"device": "cuda", "loss": 0.25}, {})
    # one's own comes first
    assert (own := shown(there.key, store)) is not None and own.result["loss"] == 0.25
    monkeypatch.setattr(
        "lmc_core.runs.computations.compute_function",
        lambda what: lambda asked, report: ({"device": asked.device}, {}),
    )
    fresh = Store(tmp_path / "fresh", tmp_path / "shipped")
    # who asks for a device gets it
    assert obtain(there, lambda share, said: None, fresh).result["device"] == "cuda"


def test_what_ships_has_twins_that_differ_in_the_device_alone() -> None:
    from lmc_core.runs.elsewhere import _twins

    store = Store()
    listed = Store(store.shipped, store.shipped).list()
    assert len(_twins(store.shipped)) == 2 * len(listed)
