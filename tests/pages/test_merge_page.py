"""The page Merge in each of its states, with the job layer patched."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.errors import BadInput
from lmc_core.merging.frames import FRAMES
from lmc_core.merging.methods import MERGES
from lmc_core.runs.kinds.merge import MergeRequest
from lmc_core.server.app import script
from lmc_core.ui import backend, merge_work
from lmc_core.ui.merge_save import suggestion
from lmc_core.ui.merge_triangle import shared_out

RESULTS = {
    result["frame"]: result
    for result in json.loads((Path(__file__).parents[1] / "fixtures" / "merge.json").read_text())
}


@pytest.fixture
def asked(layer, monkeypatch):
    """What the page asked for; one request for each frame, whose key is the frame's name."""
    found: list = []

    def requests_of(chosen, classes):
        found.append((chosen, classes))
        if "gpt2-plays-s0" in chosen.names and len(chosen.names) > 2:
            raise BadInput("These cannot be merged; choose others.")
        return [request(chosen, frame) for frame in chosen.frames]

    monkeypatch.setattr(merge_work, "requests_of", requests_of)
    monkeypatch.setattr(merge_work, "is_kept", lambda name: name == "taken")
    return found


class Named(MergeRequest):
    """A request whose key can be read."""

    @property
    def key(self) -> str:
        return f"{self.task}/{self.save}"


def request(chosen, frame: str) -> MergeRequest:
    return Named(
        models=tuple(reference for reference, _ in chosen.models), names=chosen.names,
        digests=tuple(digest for _, digest in chosen.models), task=frame, method=FRAMES[frame].method,
        merges=chosen.merges, weights=(1 / len(chosen.names),) * len(chosen.names),
    )  # fmt: skip


@pytest.fixture
def at(asked) -> AppTest:
    page = AppTest.from_file(str(script("merge")), default_timeout=60)
    page.query_params["frame"] = ["none", "reference", "universe"]
    return page


def fill(layer, *frames: str) -> None:
    for frame in frames or ("none", "reference", "universe"):
        layer.results[f"{frame}/"] = RESULTS[frame]


def words(at: AppTest) -> str:
    parts = [*at.markdown, *at.caption, *at.error, *at.info, *at.success, *at.warning]
    return "\n".join(str(part.value) for part in parts)


def parameter(at: AppTest, name: str) -> list[str]:
    value = at.query_params[name]
    return value if isinstance(value, list) else [value]


def button(at: AppTest, label: str):
    return next(each for each in at.button if each.label == label)


def test_empty(at, asked):
    at.run()
    assert not at.exception
    assert "Not computed yet: As they are, Onto one model, Universe. " in words(at)
    assert "About 40\u00a0s and 345\u00a0MB of memory, as finished runs took here." in words(at)
    assert "Nothing is computed yet for these models" in words(at)
    chosen, classes = asked[-1]
    assert chosen.names == ("vit-fashion-s0", "vit-fashion-s1", "vit-fashion-s2") and classes == {}
    assert [name for name, _ in chosen.merges] == list(MERGES) and chosen.base == "mean"


def test_only_models_of_one_family_and_size_are_offered(at, asked):
    at.run()
    models = at.pills(key="merge_models")
    assert models.options == ["vit-fashion-s0", "vit-fashion-s1", "vit-fashion-s2"]
    assert "4 others are of another family or size" in words(at)
    at.selectbox(key="merge_group").set_value("gpt2-plays-s0").run()
    assert not at.exception
    assert at.pills(key="merge_models").value == [
        "gpt2-plays-s0",
        "gpt2-plays-s1",
        "gpt2-austen-s0",
    ]
    assert at.error[-1].value == "These cannot be merged; choose others."
    at.pills(key="merge_models").set_value(["gpt2-plays-s0"]).run()
    assert "Choose two to eight models" in at.info[0].value


def test_run_submits_one_request_for_each_frame(at, layer):
    fill(layer, "none")
    at.run()
    button(at, "Run").click().run()
    assert layer.submitted == [("reference/", False), ("universe/", False)]


def test_running_and_cancel(at, layer):
    fill(layer, "none")
    layer.job("reference/", "running", 0.5, "measuring: TIES")
    at.run()
    assert at.get("progress")[0].proto.text == "Onto one model: measuring: TIES, 50%"
    button(at, "Cancel").click().run()
    assert layer.cancelled == ["reference/"]


def test_failed(at, layer):
    layer.job(
        "none/",
        "failed",
        error="The memory did not suffice for this run; ask for fewer examples or points.",
    )
    at.run()
    assert at.error[0].value.startswith("As they are was not computed. The memory did not suffice")


def test_done(at, layer):
    fill(layer)
    at.run()
    assert not at.exception
    values = {metric.label: metric.value for metric in at.metric}
    assert (
        values["Function check"].endswith("10\u207b\u2077")
        and "\u00b1" in values["Best merged (nats)"]
    )
    said = words(at)
    for part in (
        "band spans the single models",
        "assumes a common ancestor",
        "Largest excess over the plane",
        "15 bins",
        "kept",
    ):
        assert part in said, part
    assert len(at.get("plotly_chart")) == 1 + 3 + 3  # dots, triangles, matrices
    table = at.table[1].value
    assert list(table["Frame"])[:3] == ["\u2013"] * 3 and len(table) == 3 + 3 * 7 + 1
    assert "SLERP" in table.index and "TIES *" in table.index
    assert {each.label for each in at.get("download_button")} >= {"CSV", "JSON", "HTML"}


def test_quantities(at, layer):
    fill(layer)
    at.run()
    for value in ("score", "ece"):
        at.segmented_control(key="merge_quantity").set_value(value).run()
        assert not at.exception


def test_read_only_shows_what_is_stored_and_no_button(at, layer, monkeypatch):
    monkeypatch.setattr(backend, "read_only", lambda: True)
    fill(layer, "none", "reference")
    at.run()
    assert not at.exception
    assert "Not stored on this server, which only shows what is: Universe." in words(at)
    assert not [each for each in at.button if each.label in ("Run", "Save", "Run again")]
    assert "Keep one" not in [each.value for each in at.header]


def test_saving(at, layer):
    fill(layer)
    at.run()
    which = at.selectbox(key="merge_save_which")
    assert len(which.options) == 3 * 7 and not any("ensemble" in each for each in which.options)
    # the best; a soup that kept one model is no merge
    assert which.value == "SLERP, Onto one model"
    name = at.text_input[0]
    name.set_value("mine").run()
    button(at, "Save").click().run()
    assert layer.submitted[-1][0].endswith("/mine")
    layer.job(layer.submitted[-1][0], "running", 0.2, "measuring vit-fashion-s0")
    at.run()
    assert "Stop saving" in [each.label for each in at.button]
    at.text_input[0].set_value("taken").run()
    assert "There is a model named taken already" in words(at)
    layer.results[layer.submitted[-1][0].replace("mine", "taken")] = {"date": "2026-11-21"}
    at.run()
    assert "Saved as **taken**" in words(at) and "/" not in at.success[0].value.replace("`", "")
    at.text_input[0].set_value("../up").run()
    assert "letters, digits" in at.error[-1].value


def test_the_address_restores_everything_and_is_written(at, asked):
    at.query_params.update(
        {
            "models": ["vit-fashion-s2", "vit-fashion-s0"], "frame": ["learned"], "merge": ["ties", "average"], "steps": "600",
            "set": ["ties.density=0.5", "ties.scale=oops"], "weights": "0.25,0.75", "base": "zoo:vit-fashion-s1",
            "symmetries": "permutations", "split": "validation", "examples": "200",
        }
    )  # fmt: skip
    at.run()
    assert not at.exception
    chosen, classes = asked[-1]
    assert (
        chosen.names == ("vit-fashion-s2", "vit-fashion-s0")
        and chosen.frames == ("learned",)
        and chosen.steps == 600
    )
    assert chosen.merges == (("average", ()), ("ties", (("density", 0.5),))) and chosen.weights == (
        0.25,
        0.75,
    )
    assert (chosen.base, chosen.split, chosen.examples) == ("zoo:vit-fashion-s1", "validation", 200)
    assert classes["residual"] == "permutation" and classes["query-key"] == "none"
    assert parameter(at, "set") == ["ties.density=0.5"] and parameter(at, "weights") == [
        "0.25,0.75"
    ]
    assert parameter(at, "models") == ["vit-fashion-s2", "vit-fashion-s0"]


def test_what_an_address_may_not_hold_is_dropped(at, asked):
    at.query_params.update(
        {
            "models": ["nobody", "gpt2-plays-s0"],
            "frame": ["sky"],
            "merge": ["blend"],
            "weights": "x",
        }
    )
    at.run()
    assert not at.exception
    chosen, _ = asked[-1]
    assert chosen.frames == tuple(FRAMES) and len(chosen.merges) == len(MERGES)


def test_without_models(at, monkeypatch):
    from lmc_core.ui import catalogue

    monkeypatch.setattr(catalogue, "models", dict)
    at.run()
    assert "Merging needs two models" in at.info[0].value


def test_sliders_share_what_is_left():
    assert shared_out([0.2, 0.2, 0.6], 0, 0.6) == [0.6, 0.1, 0.3]
    assert shared_out([1.0, 0.0, 0.0], 0, 0.5) == [0.5, 0.25, 0.25]
    for changed in range(3):
        for value in (0.0, 0.01, 0.33, 1.0):
            found = shared_out([0.34, 0.33, 0.33], changed, value)
            assert found[changed] == value and sum(found) == pytest.approx(1) and min(found) >= 0


def test_the_readout_is_exact_at_measured_points():
    from lmc_core.ui.merge_triangle import readout

    result = RESULTS["none"]
    table = readout([result], [1.0, 0.0, 0.0])
    row = table.iloc[0]
    assert (
        row["Loss between the points (nats)"] == row["Loss there (nats)"]
        and row["Nearest measured weights"] == "1.00, 0.00, 0.00"
    )


def test_names_that_are_proposed():
    names = ("vit-fashion-s0", "vit-fashion-s2")
    made = SimpleNamespace(names=names, count=2)
    assert suggestion(made, "ties", "universe") == "vit-fashion-ties-universe"
    assert (
        suggestion(SimpleNamespace(names=("alpha", "beta"), count=2), "average", "none")
        == "average"
    )
