"""Names of models where there is little room: each fits, no two are the same, and what is left out
is said below the list.
"""

from __future__ import annotations

import pytest

from lmc_core.equivariance.page.controls import DATA, GROUP, LESSON, NETWORK
from lmc_core.figures.margin import text_width
from lmc_core.models.listing import Row, listing
from lmc_core.models.zoo import zoo
from lmc_core.ui.catalogue import Known
from lmc_core.ui.landscape_controls import PLANE
from lmc_core.ui.model_labels import ROOM, SIZE, describe_models, label_models
from lmc_core.ui.options import Option
from lmc_core.ui.symmetry_controls import make_method

CLOSED = 226  # pixels of a list above those that are folded


def require_fitting(names: list[str]) -> dict[str, str]:
    labels = label_models(names)
    assert list(labels) == names and len({*labels.values()}) == len(names)
    assert all(text_width(label, SIZE) <= ROOM for label in labels.values()), labels
    return labels


def test_shipped_models_are_called_by_their_whole_names() -> None:
    assert require_fitting([*zoo()]) == {name: name for name in zoo()}


def test_folders_of_one_name_are_told_apart_by_those_above() -> None:
    names = ["path:/a/first/model", "path:/a/second/model", "path:/a/mine", "model"]
    assert [*require_fitting(names).values()] == ["first/model", "second/model", "mine", "model"]
    names = ["path:/model", "path:/a/model"]
    assert [*require_fitting(names).values()] == ["/model", "a/model"]


@pytest.mark.parametrize(
    "names",
    [
        [f"hf:stanford-crfm/{name}-gpt2-medium-x{seed}" for name in "ab" for seed in (21, 343)],
        [f"timm:vit_base_patch{n}_224.augreg_in21k_ft_in1k" for n in (16, 32)],
        [f"timm:vit_{size}_patch16_224.augreg_in21k_ft_in1k" for size in ("small", "base")],
        [f"path:/x/{n}-of-a-name-that-is-long-at-its-beginning" for n in range(3)],
        [f"path:/x/a-name-that-is-long-before-{n}-is-said-and-goes-on-then" for n in range(12)],
        ["extra:path:/x/fine-tuned-for-long+path:/y/adapter", "path:/x/fine-tuned-for-long"],
        [f"{'W' * 40}{end}" for end in ("", "W", "WW")],
    ],
)
def test_what_tells_long_names_apart_stays(names: list[str]) -> None:
    require_fitting([*names, "short"])


def test_names_that_differ_in_many_places_are_numbered() -> None:
    names = ["".join("b" if k == n else "a" for k in range(60)) for n in range(0, 60, 2)]
    assert [*require_fitting(names).values()][1].startswith("2 \u2026")


@pytest.mark.parametrize("option", [LESSON, DATA, GROUP, NETWORK, PLANE, make_method()])
def test_other_lists_of_the_sidebar_fit_too(option: Option[str]) -> None:
    assert all(text_width(option.shown(each), SIZE) <= CLOSED for each in option.choices)


def test_what_is_known_and_left_out_is_said_below() -> None:
    known: Known = {row["name"]: Row(**row, digest="") for row in listing()}
    name = "path:/x/a-long-name-of-a-model-with-adamw-trained-longer"
    first = next(iter(known))
    known = {**known, name: {**known[first], "name": name, "seed": 3, "scores": {}}}
    said = describe_models({"A": first, "B": name}, known).replace("\\", "").split("  \n")
    assert said[0] == f"A: width {known[first]['width']} \u00b7 perplexity 3.55"
    assert (
        said[1]
        == f"B: {name.rpartition('/')[2]} \u00b7 seed 3 \u00b7 width {known[first]['width']}"
    )
