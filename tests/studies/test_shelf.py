"""The table of results: what rows say, what a search finds, and deletions that can be undone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lmc_core.runs.store import Store
from lmc_core.studies import index as shelf
from tests.studies.conftest import RESULTS, keep


def test_rows_say_what_results_are(store: Store, keys: list[str]):
    table = {row.key: row for row in shelf.rows(store)}
    row = table[keys[2]]
    assert (row.kind, row.between, row.setting, row.method) == (
        "Barrier",
        "vit-fashion-s0 \u2192 vit-fashion-s1",
        "All classes",
        "weight",
    )
    assert (row.task, row.split, row.examples, row.number, row.value) == (
        "fashion-mnist",
        "test",
        20,
        "0.171 \u00b1 0.009 nats",
        pytest.approx(0.1712, abs=1e-6),
    )
    assert not row.shipped and len(table) == 5


def test_search_and_filters(store: Store, keys: list[str]):
    table = shelf.rows(store)
    assert {row.key for row in shelf.chosen(table, "FASHION average")} == {keys[0]}
    assert {
        row.key for row in shelf.chosen(table, "", method="weight", models="gpt2-plays-s1")
    } == {keys[4]}
    assert {row.key for row in shelf.chosen(table, "again", {keys[3]: "look again"})} == {keys[3]}
    assert shelf.chosen(table, "resnet") == [] and len(shelf.chosen(table)) == 5
    assert {row.key for row in shelf.chosen(table, keys[1][:12])} == {keys[1]}


def test_shipped_results_are_rows_that_stay(store: Store):
    key = keep(Store(store.shipped, store.shipped / "none"), RESULTS["vit"][0])
    assert [row.shipped for row in shelf.rows(store)] == [True]
    assert shelf.remove(store, key) is False and store.get(key) is not None
    assert shelf.remove(store, "../../etc") is False and shelf.remove(store, "f" * 64) is False


def test_delete_and_restore_to_the_byte(store: Store, keys: list[str]):
    before = {path.name: path.read_bytes() for path in (store.root / keys[0]).iterdir()}
    assert shelf.remove(store, keys[0]) and store.get(keys[0]) is None
    assert keys[0] not in {row.key for row in shelf.rows(store)}
    assert shelf.restore(store, keys[0]) and not shelf.restore(store, keys[0])
    assert {path.name: path.read_bytes() for path in (store.root / keys[0]).iterdir()} == before


def test_a_result_that_was_computed_again_is_not_replaced_by_the_deleted_one(
    store: Store, keys: list[str]
):
    shelf.remove(store, keys[0])
    keep(store, {**RESULTS["vit"][0], "barrier": 5.0})
    assert not shelf.restore(store, keys[0])
    found = store.get(keys[0])
    assert found and found.result["barrier"] == 5.0


def test_what_was_deleted_goes_for_good_after_an_hour(store: Store, keys: list[str]):
    for key in keys[:2]:
        shelf.remove(store, key)
    old = store.root / ".deleted" / keys[0]
    os.utime(old, (0, 0))
    shelf.remove(store, keys[2])
    assert not old.exists() and shelf.restore(store, keys[1]) and not shelf.restore(store, keys[0])


def test_the_stamp_changes_with_the_store_and_with_nothing_else(store: Store, keys: list[str]):
    before = shelf.stamp(store)
    shelf.rows(store)
    assert shelf.stamp(store) == before
    shelf.remove(store, keys[0])
    after = shelf.stamp(store)
    shelf.restore(store, keys[0])
    assert after != before and shelf.stamp(store) != after


def test_the_size(store: Store, keys: list[str]):
    expected = sum(path.stat().st_size for path in store.root.glob("[0-9a-f]*/*"))
    assert (
        shelf.measure_size(store) == expected > 0
        and shelf.measure_size(Store(Path("/nowhere"), Path("/nowhere"))) == 0
    )
