"""The documents name only what exists, and keep the form that they promise."""

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    [
        *(
            ROOT / name
            for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "assets/README.md")
        )
    ]
    + [*(ROOT / "docs").rglob("*.md")]
)
LOG = sorted((ROOT / "docs" / "log").glob("*.md"))
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FILE = re.compile(
    r"(?<![\w./-])((?:tests|scripts|benchmarks|pages|assets|docs|lmc_core)/[\w./-]+\.\w+)"
)
STATUS = re.compile(r"^Status: (closed|open|superseded)\b.*\b\d{4}-\d\d-\d\d", re.MULTILINE)


def name(path: Path) -> str:
    """The path of a document, as the id of its test."""
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    """A document without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(path: Path) -> set[str]:
    """The anchors that the usual hosts give to the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_to_files_and_headings(document):
    for link in LINK.findall(prose(document)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_files_that_are_named_exist(document):
    text = document.read_text(encoding="utf-8")
    missing = [each for each in FILE.findall(text) if not ((ROOT / each).exists() or "/X." in each)]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_names_of_the_package_exist(document):
    for dotted in re.findall(r"`(lmc_core(?:\.\w+)+)`", prose(document)):
        target = import_module("lmc_core")
        for part in dotted.split(".")[1:]:
            if not hasattr(target, part):
                import_module(f"{target.__name__}.{part}")
            target = getattr(target, part)


@pytest.mark.parametrize("document", LOG, ids=name)
def test_each_finding_has_one_status_with_a_date(document):
    parts = re.split(r"^### ", document.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert parts
    for part in parts:
        assert len(STATUS.findall(part)) == 1, part.partition("\n")[0]


def test_the_log_lists_every_subject():
    links = LINK.findall((ROOT / "docs" / "LOG.md").read_text(encoding="utf-8"))
    assert {f"log/{each.name}" for each in LOG} <= set(links)


def test_readme_and_changelog_are_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 110
    entry = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("## [0.1.0]")[1]
    assert len(entry.strip().splitlines()) <= 40


def test_pictures_in_documents_are_light():
    for document in DOCUMENTS:
        for link in re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", prose(document)):
            assert (document.parent / link).stat().st_size < 300_000, link
