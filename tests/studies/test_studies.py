"""Studies on disk: what is written is read back, whole, by whoever writes at the same time."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from lmc_core import folders
from lmc_core.errors import BadInput, StoreError, UnknownName
from lmc_core.runs.store import StoreWarning
from lmc_core.studies.notes import Notes
from lmc_core.studies.store import Studies
from lmc_core.studies.study import ENTRIES, Entry, Study, make_name

KEY = "ab" * 32
ENTRY = Entry(keys=(KEY,))


def test_what_is_written_is_read(studies: Studies):
    made = studies.create("Löss & barrier", "Two\nlines", (replace(ENTRY, labels=("one",)),))
    assert (
        studies.list()
        == [made]
        == [studies.get("loss-barrier")]
        == [studies.find("löss & BARRIER")]
    )
    assert Study.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_equal_titles_get_names_of_their_own(studies: Studies):
    names = [studies.create("Same", note).name for note in "abc"]
    assert names == ["same", "same-2", "same-3"] and len(studies.list()) == 3
    with pytest.raises(BadInput, match="3 studies have the title"):
        studies.find("Same")


def test_adding_the_same_study_again_changes_nothing(studies: Studies):
    made = studies.create("Same", "a")
    assert studies.add(made) == made and len(studies.list()) == 1
    assert studies.add(replace(made, note="other")).name == "same-2"


def test_changes(studies: Studies):
    name = studies.create("One", entries=(ENTRY, replace(ENTRY, title="second"))).name
    studies.update(name, lambda study: study.moved(1, -1))
    assert [entry.title for entry in studies.get(name).entries] == ["second", ""]
    studies.update(name, lambda study: study.moved(1, 1).with_changed(1, note="last"))
    studies.update(name, lambda study: study.without_entry(0))
    found = studies.get(name)
    assert [entry.note for entry in found.entries] == ["last"] and found.changed > found.created


def test_delete_and_undo(studies: Studies):
    made = studies.create("Gone", "soon", (ENTRY,))
    deleted = studies.delete(made.name)
    assert deleted == made and studies.list() == [] and studies.delete(made.name) is None
    with pytest.raises(UnknownName, match="no study 'gone'"):
        studies.get("gone")
    assert deleted and studies.add(deleted) == made and studies.list() == [made]


def test_shipped_studies_are_copied_by_a_change_and_stay(studies: Studies):
    shipped = Studies(studies.shipped, studies.shipped / "none").create("Shipped")
    assert studies.is_shipped("shipped") and studies.delete("shipped") is None
    studies.update("shipped", lambda study: replace(study, note="mine"))
    assert studies.get("shipped").note == "mine" and not studies.is_shipped("shipped")
    assert studies.delete("shipped") is not None and studies.get("shipped") == shipped


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"title": ""}, "title is not empty"),
        ({"title": "x" * 300}, "At most 200 characters"),
        ({"name": "../x"}, "lower-case letters"),
        ({"name": "x" * 61}, "At most 60"),
        ({"note": 3}, "A text was expected"),
        ({"entries": {}}, "are a list"),
        ({"entries": [{"keys": [KEY]}]}, "keys, title, note and labels"),
        (
            {"entries": [{"keys": ["../../etc"], "title": "", "note": "", "labels": []}]},
            "by their keys",
        ),
        (
            {"entries": [{"keys": [KEY, KEY], "title": "", "note": "", "labels": []}]},
            "each result once",
        ),
        (
            {"entries": [{"keys": [KEY], "title": "", "note": "", "labels": ["a", "b"]}]},
            "all of them or none",
        ),
        ({"entries": [{"keys": [], "title": "", "note": "", "labels": []}]}, "1 to 60"),
        (
            {"entries": [{"keys": [KEY], "title": "", "note": "", "labels": []}] * (ENTRIES + 1)},
            "at most 200 pictures",
        ),
        ({"more": 1}, "this has not"),
    ],
)
def test_what_is_no_study(content: dict, words: str):
    whole = {"name": "a", "title": "A", "note": "", "entries": [], "created": "", "changed": ""}
    assert Study.from_json(whole).title == "A"
    with pytest.raises(BadInput, match=words):
        Study.from_json({**whole, **content})


@given(some.text(max_size=300))
def test_any_title_gives_a_name(title: str):
    whole = {
        "name": make_name(title),
        "title": "A",
        "note": "",
        "entries": [],
        "created": "",
        "changed": "",
    }
    assert Study.from_json(whole).name == make_name(title)


def test_a_damaged_file_is_left_out_with_a_warning(studies: Studies):
    kept = studies.create("Kept")
    (studies.root / "broken.json").write_text('{"name": "brok')
    with pytest.warns(StoreWarning, match="'broken' is damaged"):
        assert studies.list() == [kept]


def test_a_full_disk_leaves_the_study_as_it_was(studies: Studies, monkeypatch: pytest.MonkeyPatch):
    made = studies.create("Full")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/secret/place")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match="No space is left") as caught:
            studies.update(made.name, lambda study: replace(study, note="more"))
    assert "/secret" not in str(caught.value)
    assert studies.list() == [made]
    assert [path.name for path in studies.root.iterdir()] == ["full.json"]


def test_a_refused_change_writes_nothing(studies: Studies):
    made = studies.create("Small")
    with pytest.raises(BadInput, match="At most"):
        studies.update(made.name, lambda study: replace(study, note="x" * 30_000))
    assert studies.list() == [made]


def test_what_interrupted_writers_left_is_removed(studies: Studies):
    studies.create("One")
    old, young = studies.root / ".tmp-old", studies.root / ".tmp-young"
    for path in (old, young):
        path.write_text("half")
    os.utime(old, (0, 0))
    studies.create("Two")
    assert not old.exists() and young.exists()


def test_two_writers_lose_nothing_of_each_other(studies: Studies):
    """Every one of forty additions by four writers is there; a plain read and write would lose
    some.
    """
    name = studies.create("Shared").name
    start = threading.Barrier(4)

    def write(writer: int) -> None:
        start.wait()
        for count in range(10):
            entry = replace(ENTRY, title=f"{writer}-{count}")
            studies.update(name, lambda study, entry=entry: study.with_entry(entry))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(entry.title for entry in studies.get(name).entries) == sorted(
        f"{w}-{c}" for w in range(4) for c in range(10)
    )


def test_two_processes_and_a_kill(studies: Studies, home: Path):
    """A process that is killed while it writes leaves a whole study, and its lock does not stay."""
    name = studies.create("Shared").name
    code = (
        "from dataclasses import replace\nfrom lmc_core.studies.store import Studies\nstudies = "
        "Studies()\n"
        "while True:\n    studies.update('shared', lambda s: replace(s, note=s.note[-9000:] + 'x' "
        "* 100))\n"
        "    print(flush=True)"
    )
    environment = {**os.environ, "LMC_HOME": str(home), "PYTHONPATH": str(folders.PACKAGE.parent)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process:
        for _ in range(3):
            process.stdout.readline()
            studies.update(name, lambda study: study.with_entry(ENTRY))
        process.kill()
    found = studies.update(name, lambda study: replace(study, title="After"))
    assert len(found.entries) == 3 and set(found.note) == {"x"} and len(found.note) % 100 == 0


def test_notes(home: Path):
    notes = Notes()
    assert notes.all() == {} and notes.get(KEY) == ""
    notes.set(KEY, " Look again. ")
    assert notes.all() == {KEY: "Look again."} == {KEY: Notes(home / "notes").get(KEY)}
    notes.set(KEY, "  ")
    assert notes.all() == {} and notes.get("../../etc/passwd") == ""
    with pytest.raises(BadInput, match="At most"):
        notes.set(KEY, "x" * 30_000)


def test_the_shipped_studies_show_shipped_results(home: Path):
    from lmc_core.runs.store import Store

    known = {entry.key for entry in Store().list()}
    for study in Studies().list():
        assert Studies().is_shipped(study.name) and set(study.keys) <= known and study.note
