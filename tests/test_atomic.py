"""Files and folders are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmc_core.atomic import new_file, new_folder, write_file


def test_a_file_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "inner" / "a.json"
    write_file(path, b"first")
    write_file(path, b"second")
    assert path.read_bytes() == b"second"
    assert [each.name for each in path.parent.iterdir()] == ["a.json"]


def test_a_file_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_file(path, b"first")
    with pytest.raises(ZeroDivisionError), new_file(path) as draft:
        draft.write_bytes(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"first"
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_is_there_when_it_is_done(tmp_path: Path) -> None:
    path = tmp_path / "many" / "one"
    with new_folder(path) as draft:
        (draft / "a").write_text("1")
        assert not path.exists()
    assert [each.name for each in path.parent.iterdir()] == ["one"]
    with pytest.raises(OSError), new_folder(path) as draft:  # another writer was first
        (draft / "a").write_text("2")
    assert (path / "a").read_text() == "1"
    assert [each.name for each in path.parent.iterdir()] == ["one"]


def test_a_folder_that_fails_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "one") as draft:
        (draft / "a").write_text("1")
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
