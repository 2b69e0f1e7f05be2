from __future__ import annotations

import errno
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lmc_core.errors import StoreError
from lmc_core.runs import store as module
from lmc_core.runs.executors import Inline
from lmc_core.runs.result import FILES, Result
from lmc_core.runs.store import Store, StoreWarning
from tests.runs.fakes import FakeRequest

Ask = Callable[..., FakeRequest]
ARRAYS = {"losses": np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)}


def put(store: Store, request: FakeRequest, **values: object) -> Result:
    return store.put(request, {"barrier": 0.25, **values}, ARRAYS, "a word\n")


def content(store: Store) -> list[str]:
    return sorted(path.name for path in store.root.iterdir()) if store.root.is_dir() else []


def test_round_trip(store: Store, ask: Ask) -> None:
    request = ask()
    assert store.get(request.key) is None
    written = put(store, request, loss=np.float32(0.5), lam=np.array([0.0, 1.0]))
    assert written.result["cached"] is False
    found = store.get(request.key)
    assert found is not None
    assert FakeRequest.from_json(found.request) == request
    assert found.result == {"barrier": 0.25, "loss": 0.5, "lam": [0.0, 1.0], "cached": True}
    np.testing.assert_array_equal(found.arrays()["losses"], ARRAYS["losses"])
    assert found.arrays()["losses"].dtype == np.float32
    assert found.log() == "a word\n"
    assert not found.shipped
    assert content(store) == [request.key]


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_changed_byte_is_noticed(store: Store, ask: Ask, name: str) -> None:
    request = ask()
    file = put(store, request).folder / name
    data = bytearray(file.read_bytes())
    # In the manifest the first hash is hit, so that it stays JSON.
    at = data.index(b'"request.json": "') + 20 if name == "manifest.json" else len(data) // 2
    data[at] ^= 1
    file.write_bytes(data)
    with pytest.warns(StoreWarning, match="damaged.*computed again"):
        assert store.get(request.key) is None
    assert content(store) == []


@pytest.mark.parametrize("name", ["request.json", "result.json", "manifest.json"])
def test_truncated_json_is_noticed(store: Store, ask: Ask, name: str) -> None:
    request = ask()
    file = put(store, request).folder / name
    file.write_bytes(file.read_bytes()[:20])
    with pytest.warns(StoreWarning):
        assert store.get(request.key) is None
    assert content(store) == []


def test_a_missing_file_is_noticed(store: Store, ask: Ask) -> None:
    request = ask()
    (put(store, request).folder / "arrays.npz").unlink()
    with pytest.warns(StoreWarning, match="arrays.npz is missing"):
        assert store.get(request.key) is None


def test_a_result_under_a_foreign_key_is_noticed(store: Store, ask: Ask) -> None:
    put(store, ask("a")).folder.rename(store.root / ask("b").key)
    with pytest.warns(StoreWarning, match="another key"):
        assert store.get(ask("b").key) is None


def test_a_damaged_result_is_computed_again(home: Path, ask: Ask) -> None:
    inline, request = Inline(home), ask()
    file = inline.run(request).folder / "arrays.npz"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.warns(StoreWarning):
        again = inline.run(request)
    assert again.result["cached"] is False
    assert request.runs() == 2
    assert inline.run(request).result["cached"] is True
    assert request.runs() == 2


def test_a_good_result_that_came_meanwhile_is_not_thrown_away(store: Store, ask: Ask) -> None:
    request = ask()
    put(store, request)
    assert not store._discard(store.root / request.key, damaged_only=True)
    assert store.get(request.key) is not None
    assert content(store) == [request.key]


def test_a_half_written_folder_is_never_read(
    store: Store, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ask()
    seen: list[list[str]] = []

    def slow_write(path: Path, data: bytes) -> None:
        assert store.get(request.key) is None
        assert store.list() == []
        seen.append(content(store))
        path.write_bytes(data)

    monkeypatch.setattr(module, "_write", slow_write)
    put(store, request)
    assert len(seen) == len(FILES) + 1
    assert all(len(names) == 1 and names[0].startswith(".tmp-") for names in seen)


def test_old_leftovers_are_removed_and_young_ones_kept(store: Store, ask: Ask) -> None:
    for name, age in ((".tmp-old", 2 * 86400), (".tmp-young", 60)):
        (store.root / name).mkdir(parents=True)
        changed = time.time() - age
        os.utime(store.root / name, (changed, changed))
    put(store, ask())
    assert content(store) == [".tmp-young", ask().key]
    assert [entry.key for entry in store.list()] == [ask().key]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, ask: Ask) -> None:
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file" / "results", tmp_path / "shipped")
    with pytest.raises(StoreError, match="LMC_HOME") as caught:
        put(store, ask())
    assert str(store.root) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert store.get(ask().key) is None
    assert store.list() == []
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize("good_writes", [0, 2, 4])
def test_a_full_disk_leaves_nothing(
    store: Store, ask: Ask, monkeypatch: pytest.MonkeyPatch, good_writes: int
) -> None:
    write, left = module._write, good_writes

    def full(path: Path, data: bytes) -> None:
        nonlocal left
        if left == 0:
            path.write_bytes(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left -= 1
        write(path, data)

    monkeypatch.setattr(module, "_write", full)
    with pytest.raises(StoreError, match="No space is left"):
        put(store, ask())
    assert content(store) == []


def test_an_interrupted_write_leaves_nothing(
    store: Store, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: Path, data: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        put(store, ask())
    assert content(store) == []


def test_the_second_writer_loses_quietly(store: Store, ask: Ask) -> None:
    start = threading.Barrier(6)
    given: list[float] = []

    def write(number: int) -> None:
        start.wait()
        given.append(put(store, ask(), barrier=number).result["barrier"])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(given) == 6
    assert len(set(given)) == 1
    assert content(store) == [ask().key]


def test_a_writer_replaces_a_damaged_result(store: Store, ask: Ask) -> None:
    (put(store, ask(), barrier=1).folder / "result.json").write_text("{")
    with pytest.warns(StoreWarning):
        put(store, ask(), barrier=2)
    found = store.get(ask().key)
    assert found is not None and found.result["barrier"] == 2


def test_replace(store: Store, ask: Ask) -> None:
    put(store, ask(), barrier=1)
    store.put(ask(), {"barrier": 2}, ARRAYS, replace=True)
    found = store.get(ask().key)
    assert found is not None and found.result["barrier"] == 2
    assert content(store) == [ask().key]


def test_list_is_newest_first_and_skips_damaged(store: Store, ask: Ask) -> None:
    for name in "abc":
        put(store, ask(name))
    (store.root / ask("b").key / "result.json").write_text("{")
    assert [entry.request["name"] for entry in store.list()] == ["c", "a"]
    assert [entry.request["name"] for entry in store.list(limit=1)] == ["c"]


def test_delete(store: Store, ask: Ask) -> None:
    put(store, ask())
    assert store.delete(ask().key)
    assert store.get(ask().key) is None
    assert not store.delete(ask().key)
    assert content(store) == []


@pytest.mark.parametrize(
    "key", ["", "..", "../results", "0" * 65, "ABCDEF0123", ".tmp-0123456789ab"]
)
def test_what_is_no_key_names_nothing(store: Store, ask: Ask, key: str) -> None:
    put(store, ask())
    assert store.get(key) is None
    assert not store.delete(key)


def test_shipped_results_are_read_second_and_never_touched(store: Store, ask: Ask) -> None:
    own = put(store, ask(), barrier=1)
    shutil.copytree(own.folder, store.shipped / ask().key)
    first = store.get(ask().key)
    assert first is not None and not first.shipped
    assert len(store.list()) == 1
    store.delete(ask().key)
    second = store.get(ask().key)
    assert second is not None and second.shipped and second.result["cached"] is True
    assert [entry.shipped for entry in store.list()] == [True]
    assert not store.delete(ask().key)
    (store.shipped / ask().key / "log.txt").write_text("changed")
    with pytest.warns(StoreWarning):
        assert store.get(ask().key) is None
    assert (store.shipped / ask().key).is_dir()


def test_the_stored_files_are_ordinary(store: Store, ask: Ask) -> None:
    folder = put(store, ask()).folder
    assert json.loads((folder / "result.json").read_text())["barrier"] == 0.25
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, "manifest.json"])
    with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
        assert arrays.files == ["losses"]


def test_arrays_of_a_deleted_result_are_a_clear_error(store: Store, ask: Ask) -> None:
    found = put(store, ask())
    store.delete(ask().key)
    with pytest.raises(StoreError, match="run it again"):
        found.arrays()
    assert found.log() == ""


def test_objects_are_refused_before_anything_is_written(store: Store, ask: Ask) -> None:
    with pytest.raises(TypeError):
        store.put(ask(), {}, {"bad": np.array([{}], dtype=object)})
    with pytest.raises(TypeError):
        store.put(ask(), {"bad": object()}, {})
    assert content(store) == []
