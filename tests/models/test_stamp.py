"""Files that are changed in place, with their size and time kept, are noticed wherever something of
them is kept in memory.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lmc_core.models.cache import load_warm
from lmc_core.models.files import stamp as stamps
from lmc_core.models.files.stamp import stamp
from lmc_core.models.load import load
from lmc_core.tasks.encoders import find_encoder
from tests.tasks.makers import model, word_tokenizer

Pair = tuple[Path, Path]


def overwrite(path: Path, content: bytes) -> None:
    """Write into a file what has as many bytes, and give it its time back."""
    before = path.stat()
    assert len(content) == before.st_size and content != path.read_bytes()
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (
        before.st_size,
        before.st_mtime_ns,
        before.st_ino,
    )


@pytest.mark.parametrize("hashed", [2**25, 0])
def test_a_stamp_changes_with_every_file_and_with_nothing_else(
    hashed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamps, "HASHED", hashed)
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_bytes(b"12345678")
    first = stamp(paths)
    assert stamp(paths) == first
    overwrite(paths[1], b"12345679")
    assert stamp(paths) != first


def test_a_model_kept_warm_is_read_again(tiny_gpt2_pair: Pair, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_gpt2_pair[0], tmp_path / "mine")
    first = load_warm(str(folder))
    assert load_warm(str(folder)) is first
    overwrite(folder / "model.safetensors", (tiny_gpt2_pair[1] / "model.safetensors").read_bytes())
    assert load_warm(str(folder)).digest == load(tiny_gpt2_pair[1]).digest != first.digest


def test_a_configuration_or_a_card_changed_in_place_is_read_again(
    tiny_gpt2_pair: Pair, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_gpt2_pair[0], tmp_path / "mine")
    first = load_warm(str(folder))
    overwrite(
        folder / "card.json",
        (folder / "card.json").read_bytes().replace(b"tiny-gpt2-s0", b"tiny-gpt2-s9"),
    )
    assert load_warm(str(folder)).name == "tiny-gpt2-s9" != first.name
    overwrite(
        folder / "config.json",
        (folder / "config.json").read_bytes().replace(b'"gelu_new"', b'"relu"    '),
    )
    assert load_warm(str(folder)).config["activation_function"] == "relu"


def test_a_tokenizer_changed_in_place_is_read_again(tmp_path: Path) -> None:
    word_tokenizer(tmp_path, ["quick", "brown"])
    words = model(folder=tmp_path)
    first = find_encoder(words).encode("quick brown").tolist()
    assert find_encoder(words) is find_encoder(words)
    text = (tmp_path / "tokenizer.json").read_text()
    changed = (
        text.replace('"quick"', '"other"')
        .replace('"brown"', '"quick"')
        .replace('"other"', '"brown"')
    )
    overwrite(tmp_path / "tokenizer.json", changed.encode())
    assert find_encoder(words).encode("quick brown").tolist() == first[::-1]
