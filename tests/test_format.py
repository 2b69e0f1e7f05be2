"""What a terminal obeys, in whatever was not written by us, is shown and not done."""

from __future__ import annotations

import io
import logging
import unicodedata

import pytest

from lmc_core.cli.output import facts, table
from lmc_core.format import Plain, PlainFormatter, plain
from lmc_core.runs.store import Store
from lmc_core.studies.store import Studies
from lmc_core.studies.study import Entry
from tests.cli.conftest import Run, lmc  # noqa: F401  (a fixture)
from tests.studies.conftest import RESULTS, keep

EVIL = "a\x1b[2J\x1b]0;gone\x07b\x9b31m\u202ecod\u2066.exe\u2029c\rd"


def harmless(text: str) -> bool:
    return not any(
        unicodedata.category(each) in ("Cc", "Cf", "Zl", "Zp") and each not in "\n\t"
        for each in text
    )


def test_every_character_that_a_terminal_obeys():
    for number in (*range(0x3000), *range(0xE0000, 0xE0080), 0xFEFF, 0xFFF9):
        text = chr(number)
        if unicodedata.category(text) in ("Cc", "Zl", "Zp") and text not in "\n\t":
            assert plain(text) != text and plain(text).isascii(), hex(number)
    assert plain(EVIL).startswith("a\\x1b[2J") and harmless(plain(EVIL))
    assert plain("a\tb\n") == "a\tb\n" and plain("\r", keep="\r") == "\r"


@pytest.mark.parametrize("text", ["λ → μ ± 0.1", "مرحبا", "שלום", "中文", "é", "👩\u200d🔬", "─ │"])
def test_what_people_write_stays(text):
    assert plain(text) == text


def test_a_stream_and_a_log():
    kept = io.StringIO()
    print(EVIL, file=Plain(kept))  # type: ignore[arg-type]  (print needs no more than `write`)
    Plain(kept).writelines([EVIL, "\n"])
    assert harmless(kept.getvalue()) and kept.getvalue().count("\\x1b") == 4
    record = logging.LogRecord("lmc", logging.INFO, "x", 1, "job of %s", (EVIL,), None)
    assert harmless(PlainFormatter("%(message)s").format(record))


def test_a_row_stays_one_line():
    assert len(table(("name", "title"), [("a\nb", "c\n\nd")]).splitlines()) == 2
    assert len(facts([("name", "a\nb"), ("other", "c")]).splitlines()) == 2


def test_studies_and_their_notes(lmc: Run):  # noqa: F811
    store, studies = Store(), Studies()
    key = keep(store, RESULTS["vit"][0])
    name = studies.create(f"Title {EVIL}", f"Note {EVIL}", (Entry(keys=(key,), note=EVIL),)).name
    for arguments in (("report", "--list"), ("report", name), ("results",)):
        said = lmc(*arguments)
        assert said.code == 0 and harmless(said.out + said.err)
    assert "\\x1b[2J" in lmc("report", name).out


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", EVIL), (EVIL,), ("barrier", EVIL, EVIL), ("barrier", "a", "b", "--method", EVIL),
        ("barrier", "a", "b", f"--points={EVIL}"), ("barrier", "a", "b", "--set", f"{EVIL}=1"), ("report", EVIL),
        ("report", "--import", EVIL), ("results", "--delete", EVIL), ("train", EVIL), ("app", "--allow-host", EVIL),
        ("barrier", "a", "b", "--csv", f"/nowhere/{EVIL}"), ("equivariance", "--group", EVIL),
    ],
)  # fmt: skip
def test_errors_name_what_came_and_do_nothing_with_it(lmc: Run, arguments):  # noqa: F811
    said = lmc(*arguments)
    assert said.code == 2 and harmless(said.out + said.err)
    assert 1 <= len(said.err.strip().splitlines()) <= 2


def test_surprises_and_warnings_too(monkeypatch, lmc: Run):  # noqa: F811
    def stop(arguments: object) -> None:
        raise RuntimeError(EVIL)

    monkeypatch.setattr("lmc_core.cli.methods.run", stop)
    said = lmc("methods")
    assert said.code == 1 and harmless(said.err) and "something unexpected" in said.err


def test_a_page_that_stops_reports_to_the_terminal(monkeypatch, capsys):
    from lmc_core.server import app as server

    monkeypatch.setattr(server.st, "error", lambda *_, **__: None)
    assert server.say_error(RuntimeError(EVIL))
    said = capsys.readouterr().err
    assert "RuntimeError" in said and harmless(said)
