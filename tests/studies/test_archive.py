"""An archive that is imported elsewhere is what was exported, to the byte; nothing of this machine
is in it.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lmc_core.errors import BadInput, StoreError
from lmc_core.runs.store import Store
from lmc_core.studies.archive import LIMITS, Limits, write_archive
from lmc_core.studies.index import rows
from lmc_core.studies.store import Studies
from lmc_core.studies.study import Entry, Study
from lmc_core.studies.unpack import read_archive
from tests.studies.conftest import RESULTS, keep
from tests.studies.test_malicious import Parts

SECRET = "/home/somebody/secret project"
Place = tuple[Store, Studies]


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_imported_results_are_the_exported_ones_to_the_byte(
    packed: bytes, study: Study, store: Store, elsewhere: Place
):
    there, studies = elsewhere
    done = read_archive(io.BytesIO(packed), there, studies)
    assert (done.study, sorted(done.added), done.kept, done.mended) == (
        study,
        sorted(study.keys),
        (),
        (),
    )
    assert studies.get(study.name) == study
    ours, theirs = files(there.root), files(store.root)
    assert ours.keys() == theirs.keys()
    assert {name for name in ours if ours[name] != theirs[name]} == {
        f"{key}/manifest.json" for key in study.keys
    }
    for key in study.keys:
        one, other = store.get(key), there.get(key)
        assert (
            one
            and other
            and {**one.result, "imported": True} == other.result
            and one.written == other.written
        )
        np.testing.assert_array_equal(one.arrays()["losses"], other.arrays()["losses"])


def test_an_archive_of_what_was_imported_is_the_same_archive_and_says_so(
    packed: bytes, elsewhere: Place, tmp_path: Path
):
    there, studies = elsewhere
    buffer = io.BytesIO()
    write_archive(read_archive(io.BytesIO(packed), there, studies).study, there, buffer)
    with zipfile.ZipFile(buffer) as again, zipfile.ZipFile(io.BytesIO(packed)) as first:
        assert again.namelist() == first.namelist()
        for name in again.namelist():
            one, other = again.read(name), first.read(name)
            if name.endswith("/manifest.json"):
                assert json.loads(one) == {**json.loads(other), "imported": True}
            elif name != "manifest.json":  # which has the hashes of the others
                assert one == other
    third = Store(tmp_path / "third", tmp_path / "none")
    done = read_archive(buffer, third, Studies(tmp_path / "third studies", tmp_path / "none"))
    assert all((found := third.get(key)) and found.imported for key in done.added)


def equivariance(studies: Studies, shipped: Store) -> tuple[bytes, str]:
    """The archive of a study of a shipped result of equivariance, and its key."""
    key = next(row.key for row in rows(shipped) if row.what == "equivariance")
    study = studies.create("Towards equivariance", entries=(Entry(keys=(key,)),))
    buffer = io.BytesIO()
    assert write_archive(study, shipped, buffer) == []
    return buffer.getvalue(), key


def test_a_result_of_no_models_is_taken_as_it_is(studies: Studies, elsewhere: Place):
    """Equivariance asks for a network by its kind, not for models by their names."""
    shipped = Store()
    packed, key = equivariance(studies, shipped)
    done = read_archive(io.BytesIO(packed), *elsewhere)
    assert done.added == (key,) and done.mended == ()
    there, here = elsewhere[0].get(key), shipped.get(key)
    assert there is not None and here is not None
    assert there.request == here.request and there.result == here.result | {
        name: there.result[name] for name in ("cached", "imported") if name in there.result
    }


@pytest.mark.parametrize(
    ("file", "values", "words"),
    [
        ("result.json", {"models": ["mine"]}, "other models"),
        ("result.json", {"models": 5}, "other models"),
        ("request.json", {"network": "oracle"}, "does not know"),
        ("request.json", {"group": "E8"}, "does not know"),
        ("request.json", {"seed": 7}, "another request"),
    ],
)
def test_a_result_of_no_models_is_checked_too(
    studies: Studies, elsewhere: Place, file: str, values: dict, words: str
):
    parts = Parts(equivariance(studies, Store())[0])
    parts.edit(file, **values)
    with pytest.raises(BadInput, match=words):
        read_archive(io.BytesIO(parts.pack()), *elsewhere)
    assert not list(elsewhere[0].root.glob("*"))


def test_importing_twice_changes_nothing(packed: bytes, elsewhere: Place):
    there, studies = elsewhere
    read_archive(io.BytesIO(packed), there, studies)
    before = files(there.root.parent)
    done = read_archive(io.BytesIO(packed), there, studies)
    assert done.added == () and len(done.kept) == 5 and files(there.root.parent) == before


def test_what_is_here_already_stays_and_another_study_of_the_name_too(
    packed: bytes, study: Study, elsewhere: Place
):
    there, studies = elsewhere
    own = keep(there, {**RESULTS["vit"][0], "memory": 9.0})
    studies.add(replace(study, note="mine"))
    done = read_archive(io.BytesIO(packed), there, studies)
    assert done.kept == (own,) and done.study.name == "two-pairs-2"
    found = there.get(own)
    assert (
        found
        and found.result["memory"] == 9.0
        and not found.imported
        and studies.get("two-pairs").note == "mine"
    )


def test_a_damaged_result_here_is_replaced(packed: bytes, study: Study, elsewhere: Place):
    there, studies = elsewhere
    read_archive(io.BytesIO(packed), there, studies)
    key = study.keys[0]
    (there.root / key / "result.json").write_text("{}")
    with pytest.warns(UserWarning, match="damaged"):
        done = read_archive(io.BytesIO(packed), there, studies)
    assert done.added == (key,) and there.get(key)


def test_what_is_gone_is_left_out_and_said(study: Study, store: Store, elsewhere: Place):
    store.delete(study.keys[1])
    buffer = io.BytesIO()
    assert write_archive(study, store, buffer) == [study.keys[1]]
    done = read_archive(buffer, *elsewhere)
    assert len(done.added) == 4 and done.study.entries[0].labels == ("plain", "all")
    with pytest.raises(BadInput, match="no result that is stored"):
        write_archive(replace(study, entries=(Entry(keys=("f" * 64,)),)), store, io.BytesIO())


@pytest.fixture
def private(studies: Studies, store: Store) -> Study:
    """A study of models and data in folders of this machine."""
    key = keep(
        store,
        {**RESULTS["gpt2"][1], "about": f"{SECRET}/letters.txt, 9,000 characters"},
        log=f"0.00 s  reading {SECRET}/one\n",
        models=(f"path:{SECRET}/one", f"pickle:path:{SECRET}/two"),
        task=f"text:{SECRET}/letters.txt",
        data="d" * 64,
    )
    return studies.create("Private", entries=(Entry(keys=(key,)),))


def test_paths_of_this_machine_stay_here_and_keys_hold(
    private: Study, store: Store, elsewhere: Place
):
    buffer = io.BytesIO()
    write_archive(private, store, buffer)
    with zipfile.ZipFile(buffer) as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist())
    assert b"somebody" not in everything and b"secret project" not in everything
    # what this store has still leads there
    assert "somebody" in "".join(map(str, store.list()[0].request.values()))
    there, studies = elsewhere
    key = read_archive(buffer, there, studies).study.keys[0]
    found = there.get(key)
    assert found and key == private.keys[0]
    assert (
        found.request["models"] == ["path:one", "pickle:path:two"]
        and found.request["task"] == "text:letters.txt"
    )
    assert (
        found.result["about"] == "letters.txt, 9,000 characters"
        and found.log() == "0.00 s  reading one\n"
    )


def test_a_result_that_its_path_belongs_to_cannot_leave(studies: Studies, store: Store):
    key = keep(store, RESULTS["vit"][1], settings=(("start", f"path:{SECRET}/alignment"),))
    study = studies.create("Bound", entries=(Entry(keys=(key,)),))
    with pytest.raises(StoreError, match="belongs to a path"):
        write_archive(study, store, io.BytesIO())


def test_what_packs_too_well_is_stored_plainly_so_that_every_import_takes_it(
    studies: Studies, store: Store, elsewhere: Place
):
    key = keep(store, RESULTS["vit"][0], log="the same line\n" * 200_000)
    study = studies.create("Zeros", entries=(Entry(keys=(key,)),))
    buffer = io.BytesIO()
    write_archive(study, store, buffer)
    assert read_archive(buffer, *elsewhere).added == (key,)


@pytest.mark.parametrize(
    "limits",
    [Limits(results=4), Limits(total=20_000), Limits(sizes={**LIMITS.sizes, "log.txt": 3})],
)
def test_an_archive_that_nobody_could_import_is_not_written(
    limits: Limits, study: Study, store: Store
):
    with pytest.raises(BadInput, match="at most|larger than one may be"):
        write_archive(study, store, io.BytesIO(), limits)


def test_a_failure_at_the_end_takes_back_what_was_moved(
    packed: bytes, elsewhere: Place, monkeypatch: pytest.MonkeyPatch
):
    there, studies = elsewhere

    def fail(study: Study) -> Study:
        raise StoreError("No space is left for studies.")

    monkeypatch.setattr(studies, "add", fail)
    with pytest.raises(StoreError, match="No space"):
        read_archive(io.BytesIO(packed), there, studies)
    assert files(there.root.parent) == {}


def test_the_archive_says_what_it_is(packed: bytes, study: Study):
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert (manifest["format"], manifest["version"], set(manifest["results"])) == (
            "lmc-study",
            1,
            set(study.keys),
        )
        assert len(archive.namelist()) == 2 + 5 * 5
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
