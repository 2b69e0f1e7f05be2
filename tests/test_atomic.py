"""Files and folders are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lmc_core.atomic import look_anew, new_file, new_folder, write_file


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


@pytest.mark.skipif(os.name == "nt", reason="no folder is opened there")
def test_looking_anew_opens_the_folder_or_the_first_one_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    real = os.open

    def watched(path: Path, *rest: int) -> int:
        handle = real(path, *rest)
        opened.append(path)
        return handle

    monkeypatch.setattr(os, "open", watched)
    look_anew(tmp_path)
    look_anew(tmp_path / "not" / "there")
    assert opened == [tmp_path, tmp_path]
    (tmp_path / "file").touch()
    look_anew(tmp_path / "file" / "below")  # no folder: nothing to see, and no error
