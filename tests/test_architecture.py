"""docs/architecture.md names 25 files to read, and only files and packages that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_it_names_25_files_to_read_in_order():
    section = TEXT.split("\n## The 25 files")[1].split("\n## ")[0]
    numbered = re.findall(r"^(\d+)\. `([^`]+)`: \S.*\.$", section, re.MULTILINE)
    assert [int(number) for number, _ in numbered] == list(range(1, 26))
    assert len({path for _, path in numbered}) == 25
    assert all((ROOT / path).is_file() for _, path in numbered)


def test_every_path_that_it_names_exists():
    paths = re.findall(r"`((?:lmc_core|pages|tests|docs)/[\w./-]*)`", TEXT)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_layer_that_it_lists_is_a_package():
    section = TEXT.split("\n## Layers")[1].split("\n## ")[0]
    layers = [
        name
        for cell in re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", cell)
    ]
    assert [name for name in layers if not (ROOT / "lmc_core" / name).is_dir()] == []
    packages = {path.parent.name for path in (ROOT / "lmc_core").glob("*/__init__.py")}
    assert packages == set(layers)


def test_its_drawing_exists():
    links = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", TEXT)
    assert links and all((ROOT / "docs" / link).is_file() for link in links)
