"""What a sweep file can say, and what each mistake in it is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmc_core.errors import BadInput
from lmc_core.matching.methods import MANY_METHODS, METHODS
from lmc_core.settings import explain_settings
from lmc_core.sweeps.patterns import expand_braces, find_models
from lmc_core.sweeps.read import read_content, read_file
from lmc_core.sweeps.read_methods import OWN

ZOO = "vit-fashion-s*"
A, B, C = (f"zoo:vit-fashion-s{k}" for k in range(3))


def test_braces_count_and_list() -> None:
    assert expand_braces("s{8..10}{a,b}") == ["s8a", "s8b", "s9a", "s9b", "s10a", "s10b"]
    assert expand_braces("step{08..10}") == ["step08", "step09", "step10"]


def test_patterns_of_the_zoo_of_folders_and_of_the_hub(seeds: Path) -> None:
    assert find_models([ZOO, "!vit-fashion-s1"], seeds)[:2] == [A, C]
    for pattern in ("s*", "./s*", f"{seeds}/s[0-2]", "path:s?", "s{0..2}", "./s{0,1,2}"):
        assert find_models([pattern], seeds) == [f"path:{seeds}/s{k}" for k in range(3)], pattern
    hub = find_models(["hf:EleutherAI/pythia-160m-seed{1..10}"], seeds)
    assert len(hub) == 10 and hub[9] == "hf:EleutherAI/pythia-160m-seed10"
    assert find_models(["pickle:./s0+./s1"], seeds) == [f"pickle:path:{seeds}/s0+path:{seeds}/s1"]


def test_numbers_in_names_are_in_order(tmp_path: Path) -> None:
    for seed in (10, 9, 1):
        (tmp_path / f"s{seed}").mkdir()
        (tmp_path / f"s{seed}/config.json").write_text("{}")
    (tmp_path / "s11").mkdir()  # no checkpoint
    assert [Path(each).name for each in find_models(["s*"], tmp_path)] == ["s1", "s9", "s10"]


@pytest.mark.parametrize(
    ("content", "units"),
    [
        ({"models": [A, B, C]}, [(A, B), (A, C), (B, C)]),
        ({"models": [A, B, C], "pairs": "consecutive"}, [(A, B), (B, C)]),
        ({"models": [A, B, C], "reference": B}, [(B, A), (B, C)]),
        ({"models": [A, B], "reference": C}, [(C, A), (C, B)]),
        ({"pairs": [[A, C], ["vit-fashion-s1", C]]}, [(A, C), (B, C)]),
        ({"models": [A, B, C], "groups": "all"}, [(A, B, C)]),
        ({"models": [A, B, C], "groups": 2}, [(A, B), (A, C), (B, C)]),
        ({"groups": [[A, B, C]]}, [(A, B, C)]),
    ],
)
def test_pairs_and_groups(content: dict[str, object], units: list[tuple[str, ...]]) -> None:
    (found,) = read_content(content).sets
    assert list(found.units) == units


def test_a_cell_is_every_combination() -> None:
    found = read_content(
        {
            "models": {"small": [A, B], "all": [A, B, C]},
            "methods": {
                "plain": "none",
                "learned": {"steps": [10, 20], "seconds": 60},
                "weight": {"classes": {"all": {"residual": "orthogonal"}, "few": "permutations"}},
            },
            "seeds": [0, 1],
            "examples": [100, "all"],
            "splits": "validation",
        }
    )
    labels = [(each.label, each.classes and each.classes.label) for each in found.methods]
    assert labels == [
        ("plain", None),
        ("learned, steps 10", "all"),
        ("learned, steps 20", "all"),
        ("weight", "all"),
        ("weight", "few"),
    ]
    assert dict(found.methods[1].settings) == {"seconds": 60, "steps": 10}
    assert found.varied == ["examples", "seed"] and found.options[2] == {
        "split": "validation",
        "examples": None,
        "seed": 0,
    }
    assert found.cells == (1 + 3) * 5 * 4


def test_a_file_and_changes_of_it(tmp_path: Path) -> None:
    path = tmp_path / "first.toml"
    path.write_text(f"models = {[A, B]}\nmethods = ['none', 'weight']\n")
    assert read_file(path).name == "first" and read_file(path).source == path
    path.write_text(f"models = {[A, B]}\n[methods]\nlearned = {{ steps = 4 }}\n")
    found = read_file(path, [("methods.learned.steps", 7), ("points", 5), ("title", "T")])
    assert dict(found.methods[0].settings) == {"steps": 7}
    assert found.grid == {"points": (5,)} and found.title == "T"


MISTAKES = {
    "unknown entry": ({"model": ZOO}, "no entry of a sweep file 'model'.*Did you mean 'models'"),
    "no models": ({}, "needs the entry models"),
    "nothing matches": ({"models": "vit-nothing-*"}, "'vit-nothing-\\*' matches no model"),
    "hub by glob": ({"models": "hf:a/b*"}, "names of hf cannot be listed.*braces"),
    "braces": ({"models": "s{1..}"}, r"\{1..\} should be numbers"),
    "counting down": ({"models": "s{3..1}"}, "should count up"),
    "takes away nothing": ({"models": [ZOO, "!gpt2-plays-s0"]}, "takes away nothing"),
    "one model": ({"models": A}, "models should match 2 models or more; it matches 1"),
    "models are numbers": ({"models": 3}, "pattern of models or a list of them; 3 came"),
    "pairs": ({"models": ZOO, "pairs": "some"}, "pairs should be 'all', 'consecutive'"),
    "pair of three": ({"pairs": [[A, B, C]]}, "list of two models"),
    "same model twice": ({"pairs": [[A, A]]}, "different models"),
    "pairs and models": ({"pairs": [[A, B]], "models": ZOO}, "leave the entry models out"),
    "two ways": ({"models": ZOO, "pairs": "all", "groups": 3}, "pairs and groups came"),
    "reference": ({"models": ZOO, "reference": ZOO}, "reference should be one model"),
    "large groups": ({"models": "vit-fashion-s{0..3}", "groups": 9}, "from 2 to 8.*9 came"),
    "groups of more": ({"models": [A, B], "groups": 3}, "match 3 models or more; it matches 2"),
    "points of groups": ({"models": ZOO, "groups": 3, "points": 5}, "points is not for sweeps"),
    "resolution of pairs": ({"models": ZOO, "resolution": 5}, "resolution is not for sweeps"),
    "method": ({"models": ZOO, "methods": ["magic"]}, "methods.magic: There is no method 'magic'"),
    "method of groups": ({"models": ZOO, "groups": 3, "methods": ["weight"]}, "no method 'weight'"),
    "setting": (
        {"models": ZOO, "methods": {"learned": {"stepz": 1}}},
        "methods.learned: There is no setting.*'stepz'.*Did you mean 'steps'",
    ),
    "value of a setting": (
        {"models": ZOO, "methods": {"learned": {"steps": "many"}}},
        "methods.learned: steps should be a whole number",
    ),
    "list in a list": ({"models": ZOO, "methods": {"learned": {"steps": [[1]]}}}, "list of values"),
    "plain with settings": (
        {"models": ZOO, "methods": {"plain": {"method": "none", "steps": 1}}},
        "methods.plain moves nothing",
    ),
    "classes": (
        {"models": ZOO, "methods": {"weight": {"classes": "perm"}}},
        "methods.weight.classes: There is no choice of classes 'perm'",
    ),
    "kind of space": ({"models": ZOO, "classes": {"residul": "none"}}, "Did you mean 'residual'"),
    "class of a kind": ({"models": ZOO, "classes": {"units": "rot"}}, "no symmetry class 'rot'"),
    "seeds": ({"models": ZOO, "seeds": ["a"]}, "seeds should be a whole number; 'a' came"),
    "negative seed": ({"models": ZOO, "seeds": -1}, "seed should be 0 or more"),
    "empty list": ({"models": ZOO, "seeds": []}, "seeds is an empty list"),
    "points": ({"models": ZOO, "points": 10**6}, "points should be at most"),
    "device": ({"models": ZOO, "device": "gpu"}, "no device 'gpu'"),
    "title": ({"models": ZOO, "title": 3}, "title should be a text"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(case: str) -> None:
    content, said = MISTAKES[case]
    with pytest.raises(BadInput, match=said) as caught:
        read_content(content)
    assert len(str(caught.value).splitlines()) == 1


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    with pytest.raises(BadInput, match="cannot be read"):
        read_file(path)
    path.write_text("models = [")
    with pytest.raises(BadInput, match="a.toml is not TOML"):
        read_file(path)


def test_entries_of_a_method_are_no_settings_of_any() -> None:
    for method in (*METHODS.values(), *MANY_METHODS.values()):
        assert not set(OWN) & set(explain_settings(method.settings)), method.name
