"""Try every class of every family as its own library writes it, and write docs/compatibility.md.

python scripts/compatibility.py                  # everything, a few minutes
python scripts/compatibility.py --family llama   # print the rows of one family
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lmc_core.errors import LmcError
from lmc_core.matching.pair import canonical, in_float32
from lmc_core.models.families import FAMILIES
from lmc_core.models.family import Config, Family
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model
from lmc_core.models.probe import random_inputs
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.check import relative_difference
from lmc_core.symmetry.spaces import choose_classes

TARGET = Path(__file__).resolve().parent.parent / "docs" / "compatibility.md"
LIMIT = 2e-5  # relative, in float32
LABELS = {"num_labels": 3, "pad_token_id": 0}
PACKAGES = ("torch", "transformers", "timm", "safetensors")


@dataclass(frozen=True)
class Tried:
    """What came of one class.

    Attributes:
        family: here.
        cls: name of the class of transformers.
        read: largest relative difference between its own outputs and those of the model as read here.
        moved: the same after the canonical rewrite and a random element of every class, in this process.
        reopened: the same of what was written, read by the class itself in a fresh process.
        reason: why it failed; "" if it did not.
    """

    family: str
    cls: str
    read: float = float("nan")
    moved: float = float("nan")
    reopened: float = float("nan")
    reason: str = ""

    @property
    def good(self) -> bool:
        """Whether all three are at the level of rounding."""
        return not self.reason and max(self.read, self.moved, self.reopened) < LIMIT

    @property
    def row(self) -> str:
        """A line of the table."""
        numbers = " | ".join(f"{value:.0e}" for value in (self.read, self.moved, self.reopened))
        return f"| {self.family} | {self.cls} | {numbers} | {'works' if self.good else self.reason or 'differs'} |"


def raw_configuration(family: Family, cls: str) -> dict[str, Any]:
    """A small configuration of a class, as a `config.json` has it: the first example of that class, or of the family."""
    examples = [dict(raw) for raw in family.examples.values()]
    own = [raw for raw in examples if raw.get("architectures", [None])[0] == cls]
    return own[0] if own else examples[0] | LABELS | {"architectures": [cls]}


def written_by_transformers(family: Family, cls: str, folder: Path) -> nn.Module:
    """A module of the class at random parameters, saved as transformers saves it."""
    import transformers

    raw = raw_configuration(family, cls)
    if family.predicts(family.config(raw)) == "continuation":
        raw["decoder_start_token_id"] = 0  # which these classes have no default of
    kind = raw.pop("model_type")
    config = transformers.AutoConfig.for_model(kind, **raw)
    torch.manual_seed(0)
    module = getattr(transformers, cls)(config).eval().requires_grad_(False)
    for parameter in module.parameters():
        parameter.add_(0.2 * torch.randn_like(parameter))
    module.save_pretrained(folder)
    return module


def moved(model: Model) -> Model:
    """The model in another gauge: rewritten, and moved by a random element of every class."""
    classes = choose_classes(model.layout.spaces)
    form = canonical(model, classes)
    element = Alignment.random(form.layout.spaces, classes, torch.Generator().manual_seed(0))
    return in_float32(form.with_state(element.apply(form.layout, form.state)))


def try_class(family: Family, cls: str, folder: Path) -> Tried:
    """Read, move and write one class; what a fresh process makes of it comes later."""
    try:
        own = written_by_transformers(family, cls, folder / "own")
        model = load_folder(folder / "own")
        inputs = random_inputs(model)
        expected = family.outputs(own, inputs)
        read = relative_difference(expected, family.outputs(model.module(), inputs))
        other = moved(model)
        error = relative_difference(expected, family.outputs(other.module(), inputs))
        other.save(folder / "moved")
        torch.save({"inputs": inputs, "expected": expected}, folder / "expected.pt")
        (folder / "class.json").write_text(json.dumps({"family": family.name, "class": cls}))
    except (LmcError, ValueError, TypeError, AttributeError, RuntimeError, KeyError) as error:
        return Tried(family.name, cls, reason=" ".join(str(error).split())[:200] or type(error).__name__)
    return Tried(family.name, cls, read, error)


def reopen(folder: Path) -> None:
    """In a fresh process: open what was written with the class itself, and print the differences as JSON."""
    import transformers

    found = {}
    for place in sorted(path.parent for path in folder.glob("*/class.json")):
        said = json.loads((place / "class.json").read_text())
        saved: dict[str, Tensor] = torch.load(place / "expected.pt")
        module, report = getattr(transformers, said["class"]).from_pretrained(place / "moved", output_loading_info=True)
        outputs = FAMILIES[said["family"]].outputs(module.eval().requires_grad_(False), saved["inputs"])
        whole = not any(report.values())
        found[place.name] = relative_difference(saved["expected"], outputs) if whole else float("inf")
    print(json.dumps(found))


def try_classes(pairs: list[tuple[Family, str]], folder: Path) -> list[Tried]:
    """Try classes, and reopen all that was written in one fresh process."""
    first = [try_class(family, cls, folder / f"{number:03d}") for number, (family, cls) in enumerate(pairs)]
    command = [sys.executable, __file__, "--reopen", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    errors = json.loads(done.stdout.strip().splitlines()[-1])
    return [
        Tried(one.family, one.cls, one.read, one.moved, errors.get(f"{number:03d}", float("nan")), one.reason)
        for number, one in enumerate(first)
    ]


def classes_of(family: Family) -> Iterator[str]:
    """Names of the classes that the installed transformers has."""
    import transformers

    yield from (cls for cls in family.classes if hasattr(transformers, cls))


def other_kinds(known: set[str]) -> list[str]:
    """Kinds of models with text or image classes that the installed transformers has and no family here takes."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    mappings: tuple[Config, ...] = (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )
    return sorted({kind for names in mappings for kind in names} - known)


def main() -> None:
    """Try, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=sorted(FAMILIES), help="only this one, printed and not written")
    parser.add_argument("--reopen", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.reopen:
        return reopen(arguments.reopen)
    chosen = [FAMILIES[arguments.family]] if arguments.family else list(FAMILIES.values())
    pairs = [(family, cls) for family in chosen for cls in classes_of(family)]
    with tempfile.TemporaryDirectory() as folder:
        rows = try_classes(pairs, Path(folder))
    print("\n".join(row.row for row in rows))


if __name__ == "__main__":
    main()
