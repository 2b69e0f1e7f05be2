import json
from pathlib import Path

import pytest


@pytest.fixture
def results() -> dict[str, list[dict]]:
    """Family -> plain average, permutations only, all classes: the shape that
    `runs.kinds.barrier.compute` returns.
    """
    return json.loads((Path(__file__).parents[1] / "fixtures" / "results.json").read_text())


@pytest.fixture
def vit(results) -> list[dict]:
    return results["vit"]


@pytest.fixture
def gpt2(results) -> list[dict]:
    return results["gpt2"]
