"""The section *Carry a fine-tuning over* of the page Merge in each of its states."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from lmc_core.models.load import load
from lmc_core.models.model import Model
from lmc_core.ui import catalogue, custom_models, links
from tests import tiny
from tests.pages.conftest import Installation
from tests.pages.reading import (
    box,
    buttons,
    charts,
    errors,
    headers,
    page,
    parameter,
    press,
    progress,
    words,
)

HEADER = "Carry a fine-tuning over"
BASE, TARGET = "gpt2-plays-s1", "gpt2-plays-s0"  # which here has the weights of gpt2-austen-s0


def write_tuned(app: Installation, name: str, source: str, says: bool = True) -> Path:
    """A model of a person's own that came of one of the zoo, with a card that may say so."""
    base = load(app.assets / "zoo" / source)
    generator = torch.Generator().manual_seed(len(name))
    state = {
        each: tensor + 0.02 * torch.randn(tensor.shape, generator=generator)
        for each, tensor in base.state.items()
    }
    model = Model(name, base.family, base.config, state)
    folder = app.home / "models" / name
    tiny.write(folder, model, card=False)
    card = {"name": name, "family": "gpt2", "task": "austen"}
    if says:
        card |= {"from": {"name": source, "digest": base.digest}}
    (folder / "card.json").write_text(json.dumps(card))
    return folder


@pytest.fixture
def own(app: Installation) -> Installation:
    """An installation with a fine-tuned base and the target fine-tuned itself."""
    write_tuned(app, "tuned", BASE)
    write_tuned(app, "itself", TARGET)
    return app


def opened(**address: str) -> AppTest:
    few = {"examples": "50", "frame": "none", "merge": "average"}
    return page("merge", **{**few, "carry": "1", **address}).run()


def test_it_is_folded_and_asks_nothing_of_models_at_first(
    own: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lmc_core.ui.transport_view.make_transport", None)
    at = page("merge", examples="50").run()
    assert not at.exception and headers(at)[-1] == HEADER
    assert not at.toggle(key="merge_carry").value and "Carry over" not in buttons(at)
    assert parameter(at, "carry") is None and parameter(at, "from") is None


def test_with_nothing_of_ones_own_it_says_how_to_make_one(
    app: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = opened()
    assert not at.exception and "`lmc train --from MODEL --task NAME" in at.info[-1].value
    assert parameter(at, "carry") == "1" and "Carry over" not in buttons(at)
    monkeypatch.setenv("LMC_ROOTS", str(tmp_path))
    folder = write_tuned(replace(app, home=tmp_path / "elsewhere"), "mine", BASE)
    at.text_input(key="merge_add").set_value(f"path:{folder}").run()
    assert not at.exception and "It is the fine-tuned model now." in at.success[0].value
    assert box(at, "Fine-tuned model").value == f"path:{folder}"
    assert box(at, "Base").value == BASE and "Carry over" in buttons(at)


def test_models_are_proposed_by_their_cards_and_asked_for(own: Installation) -> None:
    at = opened(tuned="tuned")
    found = {label: box(at, label).value for label in ("Base", "Fine-tuned model", "Target")}
    # of the base's own task, not gpt2-austen-s0
    assert found == {"Base": BASE, "Fine-tuned model": "tuned", "Target": TARGET}
    box(at, "Target fine-tuned itself").set_value("itself").run()
    assert not at.exception and "Not computed yet: The carried fine-tuning." in words(at)
    said = {name: parameter(at, name) for name in ("from", "tuned", "to", "itself", "learned")}
    assert said == {
        **{"from": BASE, "tuned": "tuned", "to": TARGET, "itself": "itself"},
        "learned": "austen",
    }
    press(at, "Carry over")
    (request,) = own.requests()
    assert request.names == (BASE, "tuned", TARGET, "itself")
    assert (request.what, request.task, request.other_task) == ("transport", "austen", "plays")
    assert (request.split, request.examples, request.method) == ("test", 50, "weight")
    own.begin(0.4, "measuring 7 shares")
    at.run()
    assert "The carried fine-tuning: measuring 7 shares" in progress(at)
    assert "Stop carrying over" in buttons(at)
    own.fail_running("Not now.")
    assert "The carried fine-tuning was not computed. Not now." in errors(at.run())[-1]
    # the address alone leads to the same request
    again = page("merge", **dict(at.query_params)).run()
    press(again, "Carry over again")
    assert own.requests() == [request]
    # another fine-tuned model brings its own base and another target
    box(at, "Fine-tuned model").set_value("itself").run()
    assert (box(at, "Base").value, box(at, "Target").value) == ("gpt2-austen-s0", BASE)
    assert parameter(at, "from") == "gpt2-austen-s0" and not at.exception


def test_done_it_shows_the_picture_and_is_found_from_a_list(own: Installation) -> None:
    address = {"from": BASE, "tuned": "tuned", "to": TARGET, "itself": "itself"}
    at = opened(**address, symmetries="permutations")
    press(at, "Carry over")
    (key,) = own.work()
    at.run()
    assert not at.exception and "Carry over again" in buttons(at)
    assert charts(at)[-1].startswith(f"Carried fine-tuning, {BASE}, tuned, {TARGET}, itself.")
    assert "of the moved difference" in words(at) and "validation split" in words(at)
    entry = own.store.get(key)
    assert entry is not None
    assert set(dict(entry.request["classes"]).values()) == {"none", "permutation"}
    home = links.find_home(entry.request, catalogue.models(), key)
    assert home is not None and home[0] == "merge"
    linked = page("merge", **home[1]).run()
    assert not linked.exception and charts(linked)[-1] == charts(at)[-1]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ({"to": "mixtral-plays-s0"}, "one family"),
        ({"to": "vit-fashion-s0"}, "one family"),
        ({"from": TARGET}, "did not come of"),
        ({"tuned": "copy"}, "nothing to carry over"),
    ],
    ids=lambda value: next(iter(value.values())) if isinstance(value, dict) else "",
)
def test_bad_choices_are_one_sentence(
    address: dict[str, str], said: str, own: Installation
) -> None:
    base = load(own.assets / "zoo" / BASE)
    tiny.write(own.home / "models" / "copy", replace(base, name="copy"))
    at = opened(**{"from": BASE, "tuned": "tuned", "to": TARGET, **address})
    assert not at.exception and said in errors(at)[-1]
    assert len(errors(at)) == 1 and "\n" not in errors(at)[-1]
    assert "Carry over" not in buttons(at) and str(own.home) not in errors(at)[-1]


def test_an_audience_does_not_see_it(own: Installation, audience: None) -> None:
    at = opened()
    assert not at.exception and HEADER not in headers(at)


def test_a_card_says_what_a_model_was_fine_tuned_from(own: Installation) -> None:
    rows = custom_models.models()
    digest = catalogue.models()[BASE]["digest"]
    assert rows["tuned"].get("origin") == digest
    write_tuned(own, "silent", BASE, says=False)
    assert "origin" not in custom_models.models()["silent"]
    # then models of its sizes are proposed
    at = opened(tuned="silent")
    assert not at.exception and box(at, "Base").value == "gpt2-austen-s0"


def test_what_an_address_may_not_hold_is_dropped(own: Installation) -> None:
    odd = {"from": "../../etc", "tuned": "nobody", "to": "", "itself": "nan", "by": "magic"}
    at = opened(**odd, learned="![x](http://evil.example/x.png)")
    assert not at.exception and not at.error
    assert box(at, "Fine-tuned model").value in ("tuned", "itself")
    assert parameter(at, "by") is None and parameter(at, "learned") == "austen"
