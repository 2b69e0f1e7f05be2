"""Every result that ships: found by its key, read, drawn and exported as it always was.

All of them are put into one study by `lmc report`, and what the study shows is compared with
`golden/shipped.json`: of each result its kind, its headline, the kinds of traces of its figure, and
digests of caption, alternative text and tables. `golden_files.py` says how that is renewed.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lmc_core.cli import main
from tests.pins.golden_files import check, plain

SHIPPED = Path(__file__).parents[2] / "assets" / "results"
STUDIES = Path(__file__).parents[2] / "assets" / "studies"
KEYS = sorted(folder.name for folder in SHIPPED.iterdir())
NEWER = "written by a newer version"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One study of all results: as JSON, text, page and archive."""
    folder = tmp_path_factory.mktemp("shipped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LMC_HOME", str(folder / "home"))
        texts = folder / "out.txt"
        for key in KEYS:  # as JSON, or each would read all that were added before, to name them
            assert _run(texts, "report", "everything", "--add", key, "--json") == 0
        page, archive = folder / "page.html", folder / "all.zip"
        assert _run(texts, "report", "everything", "--html", page, "--archive", archive) == 0
        assert _run(texts, "report", "everything") == 0
        found = {"text": texts.read_text(), "page": page.read_text(), "archive": archive}
        assert _run(texts, "results", "--json") == 0
        found["results"] = json.loads(texts.read_text())
        patch.setenv("LMC_HOME", str(folder / "other"))
        assert _run(texts, "report", "--import", archive, "--json") == 0
        found["imported"] = json.loads(texts.read_text())
    return found


def _run(out: Path, *arguments: object) -> int:
    """Run a command; what it prints goes to a file."""
    import contextlib

    with out.open("w") as file, contextlib.redirect_stdout(file):
        return main([str(argument) for argument in arguments])


def sections(page: str) -> list[str]:
    return re.findall(r'<section id="s\d+">(.*?)</section>', page, re.DOTALL)


def digest(text: str) -> str:
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16]


def told(section: str) -> dict[str, Any]:
    """What a section shows of its one result."""
    (caption,) = re.findall(r"<figcaption>(.*?)</figcaption>", section, re.DOTALL)
    alt = re.findall(r'<figure>\s*<div role="group" aria-label="([^"]*)">', section)
    tables = re.findall(r"<table>.*?</table>", section, re.DOTALL)
    return {
        "title": html.unescape(re.findall(r"<h2>(.*?)</h2>", section)[0]),
        "traces": traces(section),
        "caption": digest(caption),
        "alt": [digest(each) for each in alt],
        "tables": [[each.count("<tr>"), digest(each)] for each in tables],
    }


def traces(section: str) -> str:
    """Kinds of the traces of the figure, with how many there are of each."""
    kinds: dict[str, int] = {}
    for part in section.split("Plotly.newPlot(")[1:]:
        if "[{" in part[:400]:
            content, _ = json.JSONDecoder().raw_decode(part[part.index("[{") :])
            for trace in content:
                kinds[trace["type"]] = kinds.get(trace["type"], 0) + 1
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def test_what_every_result_shows(made: dict[str, Any]) -> None:
    parts = sections(made["page"])
    assert len(parts) == len(KEYS) and NEWER not in made["page"]
    wrong = []
    heads = {
        line.split()[0]: line.strip().partition("  ")[2]
        for line in made["text"].splitlines()
        if re.match(r"   [0-9a-f]{12}  ", line)
    }
    for key, part in zip(KEYS, parts, strict=True):
        request = json.loads((SHIPPED / key / "request.json").read_text())
        found = {"what": request["what"], "headline": heads[key[:12]], **told(part)}
        try:
            check("shipped", key, found)
        except AssertionError as error:
            wrong.append(str(error))
    assert not wrong, "\n".join(wrong)


def test_every_result_is_in_the_page_as_json(made: dict[str, Any]) -> None:
    data = json.loads(made["page"].split('id="results">')[1].split("</script>")[0])
    assert sorted(data["results"]) == KEYS
    for key in KEYS:
        request = json.loads((SHIPPED / key / "request.json").read_text())
        assert data["results"][key]["request"] == request


def test_every_result_is_listed(made: dict[str, Any]) -> None:
    assert {row["key"] for row in made["results"] if row["shipped"]} == set(KEYS)


def test_an_archive_takes_all_and_none_of_their_numbers_is_mended(made: dict[str, Any]) -> None:
    """On the way in every hash is checked, and that the numbers follow from their arrays."""
    with zipfile.ZipFile(made["archive"]) as archive:
        names = archive.namelist()
    assert {name.split("/")[1] for name in names if name.startswith("results/")} == set(KEYS)
    done = made["imported"]
    assert sorted([*done["added"], *done["kept"]]) == KEYS and done["mended"] == []


def test_a_shipped_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in sorted(STUDIES.glob("*.json")):
        assert main(["report", path.stem, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == json.loads(path.read_text())
        assert main(["report", path.stem, "--html", str(tmp_path / "a.html")]) == 0
        page = (tmp_path / "a.html").read_text()
        assert NEWER not in page and "Not stored" not in page
        assert len(sections(page)) == len(json.loads(path.read_text())["entries"])
        capsys.readouterr()
        assert main(["report", path.stem]) == 0
        said = plain(capsys.readouterr().out.splitlines())
        check("studies", path.stem, said)
