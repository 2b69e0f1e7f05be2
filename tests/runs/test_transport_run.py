"""A carried fine-tuning as a request: its numbers are those of direct calls and follow from its
arrays, and a fine-tuning carried to the base in other coordinates arrives whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lmc_core.errors import BadInput, Incompatible, UnknownName
from lmc_core.figures.panel import panels
from lmc_core.matching.aligned import canonical
from lmc_core.merging.measure import measure
from lmc_core.merging.transport import move_difference
from lmc_core.models.load import load
from lmc_core.models.model import Model
from lmc_core.runs.cache import aligned_pair
from lmc_core.runs.computation import request_from_json, summarize
from lmc_core.runs.cost import count_aligning, estimate_memory, find_workload
from lmc_core.runs.executors import Inline
from lmc_core.runs.kinds.barrier import make_request
from lmc_core.runs.kinds.carried import carry, find_held
from lmc_core.runs.kinds.transport import compute, make_transport_request
from lmc_core.runs.requests.transport import (
    TransportNumbers,
    TransportRequest,
    choose_shares,
    find_best,
)
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import SymmetryClass, choose_classes
from lmc_core.tasks import get_task
from tests.runs.numbers import misfits
from tests.runs.test_summary import checked
from tests.tiny import tiny, write

FEW = {"task": "austen", "examples": 6, "length": 12, "device": "cpu"}
SHARES = (0.3, 1.0)
Ask = Callable[..., TransportRequest]


def tune(model: Model, name: str, size: float = 0.02) -> Model:
    """The model with every parameter changed a little."""
    generator = torch.Generator().manual_seed(5)
    state = {
        each: tensor + size * torch.randn(tensor.shape, generator=generator)
        for each, tensor in model.state.items()
    }
    return replace(model, name=name, state=state)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A base, its fine-tuning, a target of another seed, and the target fine-tuned itself."""
    root = tmp_path_factory.mktemp("carried")
    base, target = tiny("gpt2", 0), tiny("gpt2", 1)
    made = {"base": base, "tuned": tune(base, "tuned"), "target": target}
    made["itself"] = tune(target, "itself")
    return {name: str(write(root / name, model)) for name, model in made.items()}


@pytest.fixture
def ask(models: dict[str, str]) -> Ask:
    """A request about the models of those names."""

    def make(*names: str, **words: object) -> TransportRequest:
        chosen = [models.get(name, name) for name in names or ("base", "tuned", "target", "itself")]
        return make_transport_request(chosen, **{**FEW, "shares": SHARES, **words})

    return make


def test_a_request_says_what_is_asked(ask: Ask) -> None:
    request = ask()
    assert request_from_json(request.to_json()) == request
    assert (request.shares, request.task, request.other_task) == ((0, 0.3, 1), "austen", "plays")
    assert (request.aligned_on, request.choice, request.chooses) == ("plays", "validation", True)
    assert not ask(split="validation").chooses and not ask(task="plays").other_task
    assert ask("base", "tuned", "target").key != request.key
    # the alignment is that of a barrier between base and target, which is kept for both
    base, target = request.models[0], request.models[2]
    barrier = make_request(base, target, task="plays", examples=6, length=12, device="cpu")
    (folder,) = count_aligning(request, find_workload(request))
    assert [folder] == list(count_aligning(barrier, find_workload(barrier)))
    assert estimate_memory(request).peak > estimate_memory(barrier).peak


def test_models_of_two_tasks_are_aligned_on_that_of_the_fine_tuning(
    ask: Ask, tmp_path: Path
) -> None:
    other = write(tmp_path / "other", tiny("gpt2", 3))
    card = json.loads((other / "card.json").read_text())
    (other / "card.json").write_text(json.dumps(card | {"task": "austen"}))
    request = ask("base", "tuned", str(other), task="plays")
    assert (request.aligned_on, request.task, request.other_task) == ("plays", "plays", "austen")


def test_shares_are_numbers_and_have_the_target_among_them() -> None:
    assert choose_shares((1, 0.5, 0.5, -0.0)) == (0.0, 0.5, 1.0)
    assert choose_shares((-0.5,)) == (-0.5, 0.0)
    for wrong in ((), (0,), (float("nan"),), tuple(range(200))):
        with pytest.raises(BadInput):
            choose_shares(wrong)
    assert find_best((0.0, 0.5, 1.0), (2.0, 1.0, 1.0)) == 1
    assert find_best((0.0, 0.5, 1.0), (1.0, float("nan"), 1.0)) == 0


def test_what_makes_no_sense_is_refused(ask: Ask, models: dict[str, str], tmp_path: Path) -> None:
    mixture = str(write(tmp_path / "mixture", tiny("mixtral")))
    narrow = str(write(tmp_path / "narrow", tiny("gpt2", 2, n_embd=8)))
    for kind, words, call in (
        (BadInput, "nothing to carry", lambda: ask("base", "base", "target")),
        (BadInput, "did not come of", lambda: ask("base", "target", "target")),
        (BadInput, "2 models came", lambda: ask("base", "tuned")),
        (Incompatible, "one family", lambda: ask("base", "tuned", mixture)),
        (Incompatible, "one width", lambda: ask("base", "tuned", narrow)),
        (UnknownName, "nothing", lambda: ask(task="nothing")),
        (UnknownName, "magic", lambda: ask(method="magic")),
        (BadInput, "2 examples", lambda: ask(examples=1)),
    ):
        with pytest.raises(kind, match=words) as refused:
            call()
        assert len(str(refused.value).splitlines()) == 1


def test_numbers_are_those_of_direct_calls(ask: Ask) -> None:
    request = ask()
    numbers, arrays = compute(request)
    assert not list(misfits(json.loads(json.dumps(numbers)), TransportNumbers))
    base, tuned, target, itself = (load(reference) for reference in request.models)
    asked = make_request(
        *(request.models[k] for k in (0, 2)), task="plays", examples=16, length=12, device="cpu"
    )
    plays, austen = get_task("plays"), get_task("austen")
    checked = plays.examples("test", 16, 0, 12)
    pair = aligned_pair(asked, (base, target), checked, plays, lambda share, words: None)
    difference = move_difference(base, tuned, target, pair)
    assert numbers["norm"] == pytest.approx(difference.length)
    assert numbers["cosine"] == pytest.approx(difference.cosine)
    assert numbers["function_error"] == pair.function_error < 1e-4
    for head, task in (("", austen), ("other_", plays)):
        examples = task.examples("test", 6, 0, 12)

        def losses(model: Model, examples=examples) -> np.ndarray:
            return measure(model, [model.state], examples).losses.numpy()

        for name in ("moved", "unmoved"):
            expected = [losses(difference.at(s, name == "moved")) for s in (0, *SHARES)]
            assert arrays[f"{head}{name}"] == pytest.approx(np.stack(expected), abs=1e-6)
        assert arrays[f"{head}tuned"][0] == pytest.approx(losses(itself), abs=1e-6)
    chosen = austen.examples("validation", 6, 0, 12)
    means = [
        float(measure(difference.at(s), [difference.at(s).state], chosen).losses.mean())
        for s in (0, *SHARES)
    ]
    assert numbers["choice"]["loss"] == pytest.approx(means, abs=1e-6)
    assert numbers["best"] == request.shares[int(np.argmin(means))]


def test_entries_are_means_of_the_arrays_with_errors(ask: Ask) -> None:
    request = ask(split="validation")
    numbers, arrays = compute(request)
    assert "choice_moved" not in arrays and numbers["choice"]["split"] == "validation"
    first = numbers["tasks"][0]
    rows, tuned = arrays["moved"].astype(float), arrays["tuned"][0].astype(float)
    assert numbers["best"] == request.shares[int(rows.mean(1).argmin())]
    assert first["moved"]["loss"] == pytest.approx(rows.mean(1), abs=1e-6)
    assert first["moved"]["change"] == pytest.approx((rows - rows[0]).mean(1), abs=1e-6)
    assert first["moved"]["change"][0] == first["unmoved"]["change"][0] == 0
    # the windows of a book belong together
    groups = arrays["groups"]
    gap = rows[2] - rows[0] - (rows[2] - rows[0]).mean()
    sums = np.array([gap[groups == each].sum() for each in np.unique(groups)])
    count = len(sums) if len(sums) > 1 else len(gap)
    sums = sums if len(sums) > 1 else gap
    error = (count / (count - 1)) ** 0.5 * (sums**2).sum() ** 0.5 / len(gap)
    assert first["moved"]["change_stderr"][2] == pytest.approx(error, rel=1e-5)
    assert first["tuned"] is not None
    assert first["tuned"]["change"] == pytest.approx((tuned - rows[0]).mean(), abs=1e-6)
    place = list(request.shares).index(numbers["best"])
    gain, whole = (rows[0] - rows[place]).mean(), (rows[0] - tuned).mean()
    assert numbers["recovered"] == (pytest.approx(gain / whole, rel=1e-5) if whole > 0 else None)
    assert (numbers["recovered_stderr"] is None) == (whole <= 0)


def test_a_stored_result_follows_from_its_arrays_and_is_found_again(ask: Ask) -> None:
    request = ask()
    found = Inline().run(request)
    arrays = found.arrays()
    assert not found.result["cached"] and Inline().run(ask()).result["cached"]
    follows = summarize(found.request, found.result, arrays)
    assert follows.keys() == {
        *("tasks", "choice", "best", "recovered", "recovered_stderr", "examples")
    }
    assert follows == {name: found.result[name] for name in follows}
    written = json.loads((found.folder / "result.json").read_text())
    checked(found.request, written, arrays)  # and a forged number is put right
    changed = {name: array * 1.5 for name, array in arrays.items() if "groups" not in name}
    assert summarize(found.request, found.result, changed)["tasks"] != follows["tasks"]
    for name in ("unmoved", "tuned", "choice_moved"):  # of another number of shares
        with pytest.raises(ValueError, match="as many losses"):
            summarize(found.request, found.result, {**arrays, name: arrays["moved"][:2]})


def test_the_base_in_other_coordinates_takes_the_whole_fine_tuning(tmp_path: Path) -> None:
    """The target is the base after a random alignment, which matching has to find again."""
    own = tiny("gpt2", 3)
    classes = {"residual": "orthogonal", "units": "permutation", "heads": "permutation"}
    chosen = choose_classes(own.layout.spaces, classes)
    base = canonical(own, chosen)
    spaces = base.layout.spaces
    drawn = {
        kind: SymmetryClass.ORTHOGONAL if each is SymmetryClass.INVERTIBLE else each
        for kind, each in chosen.items()
    }
    element = Alignment.random(spaces, drawn, torch.Generator().manual_seed(3))
    moved = replace(base.with_state(element.apply(base.layout, base.state)), name="elsewhere")
    folders = [tmp_path / name for name in ("base", "tuned", "target")]
    for folder, model in zip(folders, (base, tune(base, "tuned", 0.05), moved), strict=True):
        write(folder, model.with_state({n: t.float() for n, t in model.state.items()}))
    request = make_transport_request(
        [str(folder) for folder in folders], **{**FEW, "examples": 16}, shares=(1.0,)
    )
    numbers, arrays = compute(request)
    tuned = load(folders[1])
    examples = get_task("austen").examples("test", 16, 0, 12)
    expected = measure(tuned, [tuned.state], examples).losses.numpy()
    assert arrays["moved"][1].mean() == pytest.approx(expected.mean(), abs=1e-5)
    assert arrays["moved"][1] == pytest.approx(expected, abs=1e-4)
    # the same difference, not moved, gives another function
    assert abs(arrays["unmoved"][1].mean() - expected.mean()) > 1e-3
    assert numbers["cosine"] is not None and abs(numbers["cosine"]) < 0.9


def test_whoever_holds_a_carried_fine_tuning_aligns_once(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ask("base", "tuned", "target")
    assert find_held(request) is None
    carried = carry(request)
    assert find_held(request) is carried
    monkeypatch.setattr("lmc_core.runs.kinds.carried.aligned_pair", None)
    numbers, arrays = compute(request, refresh=True)
    assert numbers["tasks"][0]["tuned"] is None and numbers["recovered"] is None
    assert "tuned" not in arrays
    del carried
    assert find_held(request) is None


def test_its_panel_says_what_was_gained_and_how_it_was_chosen(ask: Ask) -> None:
    found = [Inline().run(ask(split=split)) for split in ("test", "validation")]
    drawn = panels(found, strict=True)
    assert len(drawn) == 2  # each its own
    chosen = "6 examples of the validation split", "these same examples"
    for panel, where in zip(drawn, chosen, strict=True):
        assert f"was chosen on {where}" in panel.caption
        assert "Rinaldi et al. 2025" in panel.caption and "what is forgotten" in panel.caption
        assert "of the moved difference" in panel.finding and "unmoved by" in panel.finding
        assert "on plays, its own task" in panel.finding
        assert panel.alt.startswith("Carried fine-tuning, tiny-gpt2-s0, tuned, tiny-gpt2-s1")
        assert [row[0] for row in panel.summary.rows] == ["austen", "plays"]
        assert len(panel.numbers.rows) == 2 * (2 * 3 + 1)
