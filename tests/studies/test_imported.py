"""What comes out of an archive says so wherever it is shown, and its numbers follow from its own
arrays.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lmc_core.errors import BadInput
from lmc_core.figures.panel import panels
from lmc_core.figures.text import imported_sentence, origin_words
from lmc_core.runs.computation import COMPUTATIONS
from lmc_core.runs.executors import obtain
from lmc_core.runs.store import Store
from lmc_core.studies.archive import write_archive
from lmc_core.studies.gather import gather
from lmc_core.studies.html import study_html
from lmc_core.studies.index import rows
from lmc_core.studies.store import Studies
from lmc_core.studies.study import Entry
from lmc_core.studies.unpack import Imported, read_archive
from tests.studies.conftest import RESULTS, arrays_of, request_of

Place = tuple[Store, Studies]
SENTENCE = "Imported from an archive; not computed here."
TRUE = RESULTS["vit"][1]


def quiet(share: float, words: str) -> None:
    """Report to nobody."""


def imported(
    store: Store,
    studies: Studies,
    elsewhere: Place,
    result: dict[str, Any],
    arrays: dict[str, Any] | None = None,
):
    """Put a result into the first store, export it from there, import it into the second."""
    key = store.put(
        request_of(result), {**result, "key": request_of(result).key}, arrays or arrays_of(result)
    ).key
    buffer = io.BytesIO()
    write_archive(studies.create("Another's", entries=(Entry(keys=(key,)),)), store, buffer)
    return read_archive(buffer, *elsewhere)


@pytest.fixture
def forged(store: Store, studies: Studies, elsewhere: Place) -> Imported:
    """A result whose barrier contradicts its curve, and says that it was not imported."""
    wrong = {
        "barrier": 0.001,
        "barrier_stderr": 1e-5,
        "loss": [0.3] * len(TRUE["loss"]),
        "imported": False,
    }
    return imported(store, studies, elsewhere, {**TRUE, **wrong}, arrays_of(TRUE))


def test_numbers_that_contradict_the_curve_are_recomputed_wherever_they_are_read(
    forged: Imported, elsewhere: Place
):
    there, studies = elsewhere
    assert forged.mended == forged.added and len(forged.added) == 1
    found = there.get(forged.added[0])
    assert found and found.result["imported"] is True
    for name in ("barrier", "barrier_stderr", "loss", "excess", "chord", "midpoint_loss"):
        assert found.result[name] == pytest.approx(TRUE[name], abs=1e-7), name
    (listed,) = there.list()
    assert listed.result["barrier"] == found.result["barrier"]
    (row,) = rows(there)
    assert row.value == found.result["barrier"] and row.imported and row.source == "an archive"


def test_an_imported_result_answers_and_says_so_until_it_is_computed_anew(
    forged: Imported, elsewhere: Place, monkeypatch: pytest.MonkeyPatch
):
    there, _ = elsewhere
    quick = replace(
        COMPUTATIONS["barrier"],
        compute=lambda request, progress, refresh: ({**TRUE, "key": request.key}, arrays_of(TRUE)),
    )
    monkeypatch.setitem(COMPUTATIONS._known, "barrier", quick)
    request = request_of(TRUE)
    answer = obtain(request, quiet, there)
    assert answer.imported and answer.result["imported"] is True
    assert origin_words(answer.result) == " (imported from an archive; not computed here)"
    fresh = obtain(request, quiet, there, fresh=True)
    assert (
        not fresh.imported and "imported" not in fresh.result and origin_words(fresh.result) == ""
    )
    again = there.get(request.key)
    assert again and not again.imported and origin_words(again.result) == " (computed earlier)"


def test_captions_reports_and_tables_name_what_was_imported(forged: Imported, elsewhere: Place):
    there, studies = elsewhere
    found = there.get(forged.added[0])
    assert found is not None
    (panel,) = panels([found])
    assert panel.caption.count(SENTENCE) == 1
    page, _ = study_html(forged.study, there)
    assert SENTENCE in page and '"imported": true' in page
    assert gather(forged.study, there)[0].found[0].imported
    own = replace(found, result={**TRUE, "cached": True})
    assert (
        "2 of the 2" in imported_sentence([own.result, found.result])
        and imported_sentence([own.result]) == ""
    )
    assert SENTENCE not in panels([own])[0].caption


def test_arrays_that_do_not_fit_the_numbers_are_refused(
    store: Store, studies: Studies, elsewhere: Place
):
    with pytest.raises(
        BadInput, match="arrays of the result .* not those that its numbers speak of"
    ):
        imported(
            store,
            studies,
            elsewhere,
            TRUE,
            {name: values[:3] for name, values in arrays_of(TRUE).items()},
        )
    with pytest.raises(BadInput, match="not those that its numbers"):
        imported(
            store,
            studies,
            elsewhere,
            {**TRUE, "lam": [x / 2 for x in TRUE["lam"]]},
            arrays_of(TRUE),
        )
    assert elsewhere[0].list() == [] and elsewhere[1].list() == []


def test_what_other_formulas_wrote_is_recomputed_when_it_is_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    """Such as one that was imported before imports were marked."""
    from lmc_core.runs import store as module

    monkeypatch.setattr(module, "SUMMARY", 0)
    key = store.put(request_of(TRUE), {**TRUE, "barrier": 7.0}, arrays_of(TRUE)).key
    monkeypatch.undo()
    for _ in range(2):  # the second time from what is known of the first
        found = store.get(key)
        assert found and found.result["barrier"] == pytest.approx(TRUE["barrier"])
    # what cannot be recomputed stays readable
    monkeypatch.setattr(module, "SUMMARY", 0)
    other = store.put(
        request_of(TRUE, seed=5), {**TRUE, "barrier": 7.0}, {"losses": np.zeros((2, 2))}
    ).key
    monkeypatch.undo()
    found = store.get(other)
    assert found and found.result["barrier"] == 7.0
