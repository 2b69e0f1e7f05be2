"""A merged model on disk: whole or not at all, with what its parents had beside their weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lmc_core.errors import BadInput
from lmc_core.merging.checkpoint import require_name, write_merged
from tests import tiny


def test_the_tokenizer_of_its_parents_and_a_card_lie_beside_it(tmp_path: Path) -> None:
    parent = tiny.write(tmp_path / "parent", tiny.tiny("gpt2"))
    (parent / "tokenizer.json").write_text('{"version": "1.0"}')
    model = replace(tiny.tiny("gpt2", 1), folder=parent)
    write_merged(model, tmp_path / "models" / "merged", {"merged": {"method": "average"}})
    written = tmp_path / "models" / "merged"
    assert (written / "tokenizer.json").read_bytes() == (parent / "tokenizer.json").read_bytes()
    card = json.loads((written / "card.json").read_text())
    assert card["digest"] == model.digest and card["merged"] == {"method": "average"}
    assert [path.name for path in written.parent.iterdir()] == ["merged"]


def test_what_cannot_be_written_leaves_nothing_and_what_is_there_stays(tmp_path: Path) -> None:
    model, folder = tiny.tiny("gpt2"), tmp_path / "merged"
    with pytest.raises(TypeError):
        write_merged(model, folder, {"of no kind": object()})
    assert list(tmp_path.iterdir()) == []
    write_merged(model, folder, {})
    before = (folder / "card.json").read_bytes()
    with pytest.raises(BadInput, match="already"):
        write_merged(tiny.tiny("gpt2", 1), folder, {})
    assert (folder / "card.json").read_bytes() == before


@pytest.mark.parametrize("name", ["", "../merged", "a/b", ".hidden", "dot.", "x" * 81])
def test_a_name_is_that_of_one_folder(name: str) -> None:
    with pytest.raises(BadInput, match="at most 80"):
        require_name(name)
    assert require_name("m" * 80) == "m" * 80
