"""Write docs/families.md: every family at several configurations, with what was measured of each.

python scripts/families.py                  # all, about two minutes
python scripts/families.py --family llama   # print the rows of one family
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from lmc_core.analysis.audit import audit
from lmc_core.models.config import Config
from lmc_core.models.families import FAMILIES
from lmc_core.models.family import Family
from lmc_core.models.forward import random_inputs
from lmc_core.models.model import Model, untied_state
from lmc_core.symmetry.spaces import KINDS

TARGET = Path(__file__).resolve().parent.parent / "docs" / "families.md"
INTRODUCTION = """# Families

Written by `python scripts/families.py`; every number was measured by it. Each configuration is built small with random weights.

- **float64, float32**: largest relative difference of the outputs after the canonical rewrite and a random element of the
  largest admissible class of every space at once.
- **recovered**: largest relative difference of the parameters after weight matching has brought a moved copy back.
- **control**: the same difference of the outputs in float64 when one reader is left behind, the smallest over all kinds of
  spaces; a layout that forgets a block shows here. The tests of each family have further controls, just outside each class.
- **dimension**: of the continuous symmetry group, counted from the layout; the tests compare it with a numerical nullity.

Three rows need a word. `gpt2-few-tokens` has so few tokens that the first visit of the stream leaves directions open; the cycle
stops a little short of the planted element. `bert-pretraining` has a second head that is not among the outputs compared here,
so a wrong move of what it alone reads does not show; its tests compare that head too. The two towers of `siglip` meet in one
embedding and come nearer to a planted element by a constant factor a round; the cycle ends before it is reached.

What is admissible follows from the configuration; `lmc show MODEL` says it with reasons for any model.
"""


def random_model(family: Family, raw: Config, seed: int = 0) -> Model:
    """A model with gains, offsets and biases far from 1 and 0, in float64."""
    config = family.config(raw)
    torch.manual_seed(seed)
    state = {name: tensor.double() for name, tensor in untied_state(family.build(config)).items()}
    state = {name: tensor + 0.3 * torch.randn_like(tensor) for name, tensor in state.items()}
    return Model("random", family, config, state).check()


def section(family: Family) -> str:
    """The family's heading and table."""
    rows = []
    for name, raw in family.examples.items():
        model = random_model(family, Config(raw))
        found = audit(model, random_inputs(model, dtype=torch.float64))
        classes = ", ".join(
            f"{kind} {found.classes[kind]}" for kind in KINDS if kind in found.classes
        )
        numbers = (
            f"{found.double:.0e} | {found.single:.0e} | {found.recovered:.0e} | "
            f"{found.control:.0e} | {found.dimension:,}"
        )
        rows.append(f"| {name} | {classes} | {numbers} |")
        print(rows[-1], flush=True)
    head = (
        "| configuration | largest classes | float64 | float32 | recovered | control | dimension "
        "|\n" + "|---" * 7 + "|"
    )
    return (
        f"\n## {family.name}\n\n{family.sentence} {family.reference}.\n\n{head}\n"
        + "\n".join(rows)
        + "\n"
    )


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--family", choices=sorted(FAMILIES), help="only this one, printed and not written"
    )
    arguments = parser.parse_args()
    if arguments.family:
        section(FAMILIES[arguments.family])
        return
    TARGET.write_text(
        INTRODUCTION + "".join(section(family) for family in FAMILIES.values()), encoding="utf-8"
    )
    print(TARGET)


if __name__ == "__main__":
    main()
