"""The documented example of a class of one's own runs as it is printed, and what is wrong with a
structure is said.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import lmc_core
from lmc_core.errors import BadCheckpoint, FunctionChanged

TEXT = (Path(__file__).parents[2] / "docs" / "own_model.md").read_text(encoding="utf-8")


def example() -> str:
    code = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[0]
    return code


def run(code: str) -> dict[str, Any]:
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    exec(code, names)
    return names


def test_the_example_runs_and_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(example().splitlines()) <= 50
    names = run(example())
    assert names["pair"].function_error < 1e-5 and "Barrier" in capsys.readouterr().out
    model = names["a"].with_state({n: t.double() for n, t in names["a"].state.items()})
    found = lmc_core.audit(model, names["inputs"].double())
    assert found.double < 1e-10 and found.recovered < 1e-6 and found.control > 1e-2
    assert found.classes == {"residual": "orthogonal", "units": "scaled"}


def test_saved_parameters_fit_the_class(tmp_path: Path) -> None:
    names = run(example())
    names["pair"].b.save(tmp_path)
    module = names["Net"]()
    module.load_state_dict(load_file(tmp_path / "model.safetensors"))
    outputs = module(names["inputs"])
    torch.testing.assert_close(outputs, names["b"].module()(names["inputs"]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("line", "instead", "words"),
    [
        (
            's.linear("down", "down", "+residual", "-units")',
            "pass",
            "says nothing of the parameter 'down.bias'",
        ),
        (
            '"embed.weight", "+residual *", (16, 20)',
            '"embed.weight", "+residual *", (20, 16)',
            "expected with shape",
        ),
        (
            '"embed.bias", "embed.bias"',
            '"embed.bias", "embed.offset"',
            "says nothing of the parameter 'embed.bias'",
        ),
    ],
)
def test_a_structure_that_does_not_fit_names_the_parameter(
    line: str, instead: str, words: str
) -> None:
    assert line in example()
    with pytest.raises(BadCheckpoint, match=words):
        run(example().replace(line, instead))


def test_a_wrong_structure_is_refused() -> None:
    """`down` is said to read nothing, so moving the units would change the function."""
    reads = 's.linear("down", "down", "+residual", "-units")'
    (product,) = re.findall(r"^s\.product\(.*\)\n", example(), re.MULTILINE)
    blind = (
        's.parameter("down.weight", "down.weight", "+residual *", (16, 24)); '
        's.parameter("down.bias", "down.bias", "+residual", (16,))'
    )
    with pytest.raises(FunctionChanged):
        run(example().replace(reads, blind).replace(product, ""))
