"""Many sets of parameters through one module, against modules that are built one by one."""

from __future__ import annotations

import pytest
import torch

from lmc_core.errors import BadInput
from lmc_core.paths.line import Line
from lmc_core.tasks import evaluator
from lmc_core.tasks.evaluator import Evaluator, Mode, States, evaluate
from lmc_core.tasks.task import Examples, losses
from tests.networks import random_model
from tests.paths.test_barrier import examples_for


@pytest.mark.parametrize("name", ["gpt2", "vit"])
def test_losses_in_blocks_against_modules_one_by_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of one batch give the same numbers, bit for bit, and no model is written into."""
    a, b = (random_model(name, seed, torch.float32) for seed in (0, 1))
    before = {key: tensor.clone() for key, tensor in a.state.items()}
    line, examples = Line(a, b), examples_for(name)
    points = [0.0, 0.3, 1.0, 0.0]
    whole = evaluate(a, States(line.state, points), examples)
    monkeypatch.setattr(evaluator, "BATCH", 16)
    monkeypatch.setattr(evaluator, "BLOCK", 1)
    parts = evaluate(a, [line.state(x) for x in points], examples)
    for row, x in enumerate(points):
        module = a.with_state(line.state(x)).module()
        with torch.no_grad():
            own = losses(a.family.outputs(module, examples.inputs), examples.targets)
        for which in (0, 1):
            torch.testing.assert_close(whole[which][row], own[which], atol=1e-6, rtol=1e-6)
            torch.testing.assert_close(parts[which][row], whole[which][row], atol=1e-6, rtol=1e-6)
    assert torch.equal(whole[0][0], whole[0][3]) and not torch.equal(whole[0][0], whole[0][2])
    assert all(torch.equal(tensor, before[key]) for key, tensor in a.state.items())


def test_examples_are_read_once_and_small_ones_are_held() -> None:
    model, examples = random_model("vit", 0, torch.float32), examples_for("vit")
    reads: list[int] = []

    class Counted(Examples):
        def rows(self, start: int, stop: int) -> Examples:
            reads.append(stop - start)
            return super().rows(start, stop)

    measured = Evaluator(model, Counted(examples.inputs, examples.targets))
    for _ in range(2):
        measured.losses([model.state] * 3)
    assert sum(reads) == len(examples)


def test_half_precision_is_computed_in_single() -> None:
    model = random_model("gpt2", 0, torch.float32)
    half = model.with_state({name: tensor.bfloat16() for name, tensor in model.state.items()})
    single = model.with_state({name: tensor.float() for name, tensor in half.state.items()})
    examples = examples_for("gpt2")
    found, expected = (evaluate(m, [m.state], examples)[0] for m in (half, single))
    assert torch.equal(found, expected)
    wrong, _ = evaluate(model, [model.state], examples)
    assert not torch.equal(found, wrong)


def test_what_cannot_be_compiled_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object) -> None:
        raise RuntimeError("no compiler\nand more")

    monkeypatch.setattr(torch, "compile", lambda module: fail)
    model = random_model("gpt2", 0, torch.float32)
    with pytest.raises(BadInput, match="no compiler"):
        evaluate(model, [model.state], examples_for("gpt2"), mode=Mode(compiled=True))
