"""What results hold is what their `TypedDict`s declare: every entry, and no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmc_core import folders
from lmc_core.equivariance.numbers import EquivarianceNumbers
from lmc_core.runs.requests.alignment import AlignmentNumbers
from lmc_core.runs.requests.along import AlongNumbers
from lmc_core.runs.requests.barrier import BarrierNumbers
from lmc_core.runs.requests.bend import BendNumbers
from lmc_core.runs.requests.layers import LayersNumbers
from lmc_core.runs.requests.many import ManyNumbers
from lmc_core.runs.requests.merge import MergeNumbers
from lmc_core.runs.requests.orders import OrdersNumbers
from lmc_core.runs.requests.plane import PlaneNumbers
from lmc_core.runs.requests.point import PointNumbers
from lmc_core.runs.requests.transport import TransportNumbers
from tests.runs.numbers import misfits

NUMBERS = {
    "alignment": AlignmentNumbers,
    "along": AlongNumbers,
    "barrier": BarrierNumbers,
    "bend": BendNumbers,
    "equivariance": EquivarianceNumbers,
    "group": ManyNumbers,
    "layers": LayersNumbers,
    "merge": MergeNumbers,
    "orders": OrdersNumbers,
    "plane": PlaneNumbers,
    "point": PointNumbers,
    "transport": TransportNumbers,
}
SHIPPED = sorted(Path(folders.assets()).glob("**/result.json"))


def test_results_ship() -> None:
    assert len(SHIPPED) > 40


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name[:12])
def test_shipped_results_are_of_their_types(path: Path) -> None:
    request = json.loads((path.parent / "request.json").read_text())
    found = json.loads(path.read_text())
    assert not list(misfits(found, NUMBERS[request["what"]], request["what"]))


def test_a_stray_entry_is_noticed() -> None:
    found = json.loads(SHIPPED[0].read_text()) | {"stray": 1}
    what = json.loads((SHIPPED[0].parent / "request.json").read_text())["what"]
    assert any("stray" in each for each in misfits(found, NUMBERS[what]))
