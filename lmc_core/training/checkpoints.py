"""Checkpoints kept along a training run: at some of its steps, ordinary models in folders.

FOLDER/checkpoints/step-0000000/    the network as it was initialised
                   step-0000250/    config.json, model.safetensors, card.json with `step`
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from lmc_core.atomic import new_folder
from lmc_core.errors import BadInput
from lmc_core.models.checkpoints import FOLDER
from lmc_core.models.model import Model

FIRST = 0.01  # of the run: where the first checkpoint after the initialisation lies
MOST = 1000


def choose_steps(wanted: int | Sequence[int], steps: int) -> tuple[int, ...]:
    """The steps that are kept of a run.

        0, and evenly in the logarithm from 1 % of the run to before its end

    Args:
        wanted: how many, or which; 0 is the initialisation, `steps` the end.
        steps: of the run.

    Raises:
        BadInput: for fewer than one or more than 1,000, or a step outside of the run.
    """
    if not isinstance(wanted, int):
        found = sorted(set(wanted))
        if not found or found[0] < 0 or found[-1] > steps or len(found) > MOST:
            raise BadInput(
                f"Checkpoints are kept at 1 to {MOST:,} steps between 0 and {steps:,}, the end of "
                f"the run; {', '.join(map(str, found[:5])) or 'none'} came."
            )
        return tuple(found)
    if not 1 <= wanted <= MOST:
        raise BadInput(f"Between 1 and {MOST:,} checkpoints can be kept; {wanted:,} came.")
    later = (steps * FIRST ** (1 - k / (wanted - 1)) for k in range(wanted - 1))
    return tuple(sorted({0, *(max(1, round(step)) for step in later)}))


@dataclass(frozen=True)
class Checkpoints:
    """Which steps of a run are kept, where, and as what.

    Attributes:
        steps: increasing, as `choose_steps` gives them.
        folder: of the model that results.
        make: the model of the network as it stands, with the card of that step.
    """

    steps: tuple[int, ...]
    folder: Path
    make: Callable[[nn.Module, int], Model]

    def place(self, step: int) -> Path:
        """The folder of a step."""
        return self.folder / FOLDER / f"step-{step:07d}"

    def require_own(self) -> None:
        """Refuse a folder with steps that this run does not keep: they would be of another one.

        Raises:
            BadInput: if there are any.
        """
        own = {self.place(step).name for step in self.steps}
        there = {path.name for path in (self.folder / FOLDER).glob("step-*")}
        if strange := sorted(there - own):
            raise BadInput(
                f"{self.folder / FOLDER} holds checkpoints of another run, such as {strange[0]}; "
                "remove them, or choose another folder."
            )

    def complete_to(self, step: int) -> bool:
        """Whether everything up to a step that was to be kept lies there."""
        return all(self.place(each).is_dir() for each in self.steps if each <= step)

    def keep(self, module: nn.Module, step: int) -> None:
        """Write the network as it stands, if this step is kept."""
        if step not in self.steps:
            return
        shutil.rmtree(self.place(step), ignore_errors=True)
        model = self.make(module, step)
        with new_folder(self.place(step)) as draft:
            model.save(draft)
            card = json.dumps(dict(model.card), indent=1)
            (draft / "card.json").write_text(card + "\n", encoding="utf-8")
