"""Checkpoints along a run: the chosen steps, ordinary models, also of a run that was killed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lmc_core.errors import BadInput
from lmc_core.models.checkpoints import list_checkpoints
from lmc_core.models.families import FAMILIES
from lmc_core.models.load import load, load_folder
from lmc_core.models.model import untied_state
from lmc_core.training import trainer
from lmc_core.training.checkpoints import Checkpoints, choose_steps
from lmc_core.training.finetune import finetune
from lmc_core.training.produce import make_checkpoints, produce
from lmc_core.training.recipes import Recipe
from lmc_core.training.trainer import train
from tests.training.test_trainer import module_for, tiny

OUTPUTS = FAMILIES["gpt2"].outputs


def digests(folder: Path) -> dict[str, str]:
    return {path.name: load_folder(path).digest for path in list_checkpoints(folder)}


def kept(recipe: Recipe, folder: Path, *steps: int) -> Checkpoints:
    return make_checkpoints(recipe, folder, steps)


def test_steps_are_even_in_the_logarithm() -> None:
    assert choose_steps(8, 1000) == (0, 10, 19, 37, 72, 139, 268, 518)
    assert choose_steps(1, 1000) == (0,) and choose_steps(2, 1000) == (0, 10)
    assert choose_steps(8, 5) == (0, 1, 3), "fewer where the run is too short for as many"
    assert choose_steps([7, 0, 7], 7) == (0, 7)


@pytest.mark.parametrize("wanted", [0, 1001, (), (-1,), (3, 8), range(1002)])
def test_steps_outside_of_the_run_are_refused(wanted: int | tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match=r"1 (to|and) 1,000"):
        choose_steps(wanted, 7)


def test_a_run_keeps_ordinary_models_and_is_no_other_run(tmp_path: Path) -> None:
    recipe = tiny("gpt2", steps=6)
    plain, keeping = module_for(recipe), module_for(recipe)
    train(recipe, plain, OUTPUTS)
    train(recipe, keeping, OUTPUTS, checkpoints=kept(recipe, tmp_path, 0, 4, 6))
    for one, other in zip(plain.parameters(), keeping.parameters(), strict=True):
        assert torch.equal(one, other)
    paths = list_checkpoints(tmp_path)
    assert [path.name for path in paths] == ["step-0000000", "step-0000004", "step-0000006"]
    for path, module in ((paths[0], module_for(recipe)), (paths[2], plain)):
        model = load(str(path))
        assert all(
            torch.equal(model.state[name].float(), tensor.half().float())
            for name, tensor in untied_state(module).items()
        )
    cards = [load(str(path)).card for path in paths]
    assert [card["step"] for card in cards] == [0, 4, 6]
    assert [card["digest"] for card in cards] == [load(str(path)).digest for path in paths]
    assert not any("scores" in card for card in cards), "nothing was measured of them"


def test_a_killed_run_keeps_what_it_would_have_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "CHECKPOINT_EVERY", 10)
    recipe, steps = tiny("gpt2", steps=30), (0, 7, 13, 22)
    train(recipe, module_for(recipe), OUTPUTS, checkpoints=kept(recipe, tmp_path / "whole", *steps))
    state_file, folder = tmp_path / "state.pt", tmp_path / "killed"
    checkpoints, calls = kept(recipe, folder, *steps), 0

    class Killed(Exception):
        pass

    def killed(module: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls > 16:
            raise Killed
        return OUTPUTS(module, inputs)

    with pytest.raises(Killed):
        train(recipe, module_for(recipe), killed, state_file=state_file, checkpoints=checkpoints)
    assert len(digests(folder)) == 3 and state_file.exists()
    before = (checkpoints.place(7) / "card.json").stat().st_mtime_ns
    train(recipe, module_for(recipe), OUTPUTS, state_file=state_file, checkpoints=checkpoints)
    assert digests(folder) == digests(tmp_path / "whole")
    assert (checkpoints.place(7) / "card.json").stat().st_mtime_ns == before, "it went on from 10"


def test_a_run_that_kept_nothing_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "CHECKPOINT_EVERY", 5)
    recipe, state_file = tiny("gpt2", steps=8), tmp_path / "state.pt"

    def stop(line: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "REPORT_EVERY", 6)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, module_for(recipe), OUTPUTS, state_file=state_file, report=stop)
    assert state_file.exists()
    checkpoints = kept(recipe, tmp_path, 0, 3, 7)
    train(recipe, module_for(recipe), OUTPUTS, state_file=state_file, checkpoints=checkpoints)
    assert len(list_checkpoints(tmp_path)) == 3


def test_steps_of_another_run_are_not_mixed_in(tmp_path: Path) -> None:
    recipe = tiny("gpt2", steps=3)
    train(recipe, module_for(recipe), OUTPUTS, checkpoints=kept(recipe, tmp_path, 1))
    with pytest.raises(BadInput, match="another run, such as step-0000001"):
        train(recipe, module_for(recipe), OUTPUTS, checkpoints=kept(recipe, tmp_path, 0, 2))


def test_produced_and_fine_tuned_models_lie_beside_their_checkpoints(tmp_path: Path) -> None:
    made = produce(tiny("gpt2", steps=4), tmp_path / "made", keep=(0, 4))
    assert load(str(tmp_path / "made")).digest == made.digest
    assert digests(tmp_path / "made")["step-0000004"] == made.digest
    tuned = finetune(made, "austen", tmp_path / "tuned", steps=3, batch=2, keep=[0, 3])
    found = digests(tmp_path / "tuned")
    assert found == {"step-0000000": made.digest, "step-0000003": tuned.digest}


def test_checkpoints_are_listed_by_step_not_by_name(tmp_path: Path) -> None:
    for name in ("checkpoint-20", "checkpoint-100", "checkpoint-3", "runs", "checkpoint-x"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / "checkpoint-7").mkdir()  # nothing in it
    assert [path.name for path in list_checkpoints(tmp_path)] == [
        "checkpoint-3", "checkpoint-20", "checkpoint-100",
    ]  # fmt: skip
    (tmp_path / "checkpoint-x" / "card.json").write_text('{"step": 20}')
    with pytest.raises(BadInput, match="of one step, 20"):
        list_checkpoints(tmp_path)
    with pytest.raises(BadInput, match="holds no checkpoints"):
        list_checkpoints(tmp_path / "runs")
    with pytest.raises(BadInput, match="no folder"):
        list_checkpoints(tmp_path / "nowhere")
