"""One literal key for every kind of request: a key that changes makes every stored result of that
kind unfindable.

`golden/keys.json` holds requests as they lie in `request.json` of a result, each with its key. A
test that fails here says that either the same request gives other numbers now (raise the version
of the algorithm, and write the new key into the golden file by hand), or that a change must leave
the keys alone: a new field may enter a key only with a value that older requests could not have
had.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.pins.reach import kinds_of_computation, request_from_json

GOLDEN: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "golden" / "keys.json").read_text()
)
SHIPPED = sorted((Path(__file__).parents[2] / "assets" / "results").iterdir())
OF_MODELS = [name for name, each in GOLDEN.items() if "models" in each["request"]]
# (a field of a request of models, another value): each must give another key
CHANGES: dict[str, Any] = {
    "task": "austen",
    "split": "validation",
    "examples": 51,
    "seed": 4,
    "length": 65,
    "data": "e" * 64,
    "method": "soft",
    "classes": [["units", "none"]],
    "settings": [["x", 1]],
    "precision": "bfloat16",
    "device": "cuda",
    "learn": 101,
    "learn_data": "f" * 64,
    "algorithm": 99,
    "orders": ["9" * 64],
    "through_digests": [["8" * 64], ["7" * 64]],
}


def golden(name: str) -> tuple[dict[str, Any], str]:
    return dict(GOLDEN[name]["request"]), GOLDEN[name]["key"]


def test_every_kind_of_computation_has_a_golden_request() -> None:
    assert {each["request"]["what"] for each in GOLDEN.values()} == kinds_of_computation()
    assert len({each["key"] for each in GOLDEN.values()}) == len(GOLDEN) == 16


@pytest.mark.parametrize("name", GOLDEN)
def test_a_request_has_its_key_and_is_written_as_it_was_read(name: str) -> None:
    content, key = golden(name)
    request = request_from_json(content)
    assert request.key == key
    assert request.what == content["what"] and request.device == content["device"]
    assert request.to_json() == content
    assert list(request.to_json()) == list(content), "the order of the fields in request.json"


@pytest.mark.parametrize("name", GOLDEN)
def test_the_order_of_fields_does_not_matter(name: str) -> None:
    content, key = golden(name)
    backwards = {field: content[field] for field in reversed(content)}
    request = request_from_json(backwards)
    assert request.key == key and request == request_from_json(content)


@pytest.mark.parametrize("name", OF_MODELS)
def test_names_and_places_do_not_matter(name: str) -> None:
    content, key = golden(name)
    count = len(content["names"])
    content |= {"models": ["elsewhere"] * count, "names": ["somebody"] * count}
    content |= {"through": [["path:/some/place"], ["path:/another"]]}
    if content["data"]:
        content["task"] = "text:/other/place.txt"
    assert request_from_json(content).key == key


@pytest.mark.parametrize("name", OF_MODELS)
def test_every_other_field_does(name: str) -> None:
    content, key = golden(name)
    digests = content["digests"]
    other = digests[::-1] if len(digests) > 1 else ["c" * 64]
    keys = {
        field: request_from_json({**content, field: value}).key
        for field, value in {**CHANGES, "digests": other}.items()
    }
    assert len({*keys.values(), key}) == len(keys) + 1, "some field is not in the key"


@pytest.mark.parametrize("name", [name for name in GOLDEN if name not in OF_MODELS])
def test_every_field_of_an_experiment_does(name: str) -> None:
    content, key = golden(name)
    for field, value in content.items():
        if field != "what":
            other = f"{value}x" if isinstance(value, str) else (value or 0) + 1
            assert request_from_json({**content, field: other}).key != key, field


@pytest.mark.parametrize("name", OF_MODELS)
def test_fields_of_its_own_do(name: str) -> None:
    """What one kind of request has beside what all requests of models have."""
    content, key = golden(name)
    shared = {*CHANGES, "models", "names", "digests", "what"}
    for field, value in content.items():
        if field not in shared:
            other: Any = {"kind": "three"}.get(field, 7)
            if isinstance(value, bool):
                other = not value
            elif isinstance(value, list):
                other = value[1:] or [["average", []]]
            assert request_from_json({**content, field: other}).key != key, field


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name[:12])
def test_a_shipped_request_has_the_key_of_its_folder(folder: Path) -> None:
    """Also those that older versions wrote, which had fewer fields."""
    content = json.loads((folder / "request.json").read_text())
    request = request_from_json(content)
    assert request.key == folder.name
    written = request.to_json()
    assert {name: written[name] for name in content} == content
    assert request_from_json(written).key == folder.name


def test_an_unknown_kind_is_refused() -> None:
    content, _ = golden("barrier")
    with pytest.raises(Exception, match=r"(?s)nothing.*barrier.*equivariance"):
        request_from_json({**content, "what": "nothing"})
