"""The numbers of every kind of result follow from its arrays: of those that ship, and of small ones
of the other kinds.
"""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmc_core import folders
from lmc_core.progress import ignore
from lmc_core.runs.computation import COMPUTATIONS, SUMMARY, contradicts, summarize
from lmc_core.runs.kinds.curve_facts import curve_facts
from lmc_core.runs.kinds.many import make_group_request
from lmc_core.runs.kinds.plane import make_plane_request
from lmc_core.runs.requests.point import choose_point
from lmc_core.runs.store import Store

SHIPPED = {
    entry.key: entry
    for entry in Store(folders.assets() / "results", folders.assets() / "results").list()
}
FORGED = {  # kind -> a number that its arrays determine
    "barrier": ("barrier",), "layers": ("cost", 1), "plane": ("lowest", "loss"), "point": ("stderr",),
    "along": ("sharpness", "trace", 0), "bend": ("paths", 1, "barrier"), "group": ("centre_excess",), "merge": ("lines", "barrier", 0, 1),
    "orders": ("fans", 0, "barrier", 2), "alignment": ("spaces", 0, "moved"), "equivariance": ("on", "loss"),
    "transport": ("tasks", 0, "moved", "change", 1),
}  # fmt: skip


def test_every_kind_is_covered() -> None:
    assert set(COMPUTATIONS) - {"fake"} == FORGED.keys()
    assert all(COMPUTATIONS[what].summarize is not None for what in FORGED)


def checked(request: dict[str, Any], result: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Assert that a result says what follows, that a forged number does not, and that it is put
    right.
    """
    found = summarize(request, result, arrays)
    assert found and found.keys() <= result.keys() and contradicts(result, found) == []
    *where, last = FORGED[request["what"]]
    forged = copy.deepcopy(result)
    inner: Any = forged
    for step in where:
        inner = inner[step]
    before = inner[last]
    inner[last] = before + 0.5 if isinstance(before, float) else [value + 1 for value in before]
    again = summarize(request, forged, arrays)
    assert contradicts(forged, again) == [[*where, last][0]]
    put_right: Any = {**forged, **again}
    for step in (*where, last):
        put_right = put_right[step]
    assert put_right == pytest.approx(before)


@pytest.mark.parametrize(
    "key", SHIPPED, ids=lambda key: f"{SHIPPED[key].request['what']}-{key[:6]}"
)
def test_what_ships_says_what_its_arrays_say(key: str) -> None:
    entry = SHIPPED[key]
    result = json.loads((entry.folder / "result.json").read_text())
    arrays = entry.arrays()
    if not (entry.request["what"] == "alignment" and result["spaces"][0]["moved"] is None):
        return checked(entry.request, result, arrays)
    number = next(k for k, space in enumerate(result["spaces"]) if space["moved"] is not None)
    result["spaces"] = [result["spaces"][number], *result["spaces"]]
    checked(entry.request, result, arrays)


def test_a_group_and_a_point(tiny_vit_pair: tuple[Path, Path], tmp_path: Path) -> None:
    from tests import tiny

    third = tiny.write(tmp_path / "s2", tiny.tiny("vit", 2))
    paths = [str(path) for path in (*tiny_vit_pair, third)]
    group = make_group_request(paths, task="fashion-mnist", examples=8, method="none", resolution=2)
    point = choose_point(
        make_plane_request(paths, "three", 3, task="fashion-mnist", examples=8, method="none"),
        0.3,
        0.1,
    )
    for request in (group, point):
        result, arrays = COMPUTATIONS[request.what].compute(request, ignore, False)
        checked(request.to_json(), json.loads(json.dumps(result)), arrays)


def test_a_line_to_a_soft_end_is_measured_against_b_itself() -> None:
    generator = torch.Generator().manual_seed(0)
    losses, own = torch.rand(5, 7, generator=generator) + 1, torch.rand(7, generator=generator)
    lam = torch.linspace(0, 1, 5, dtype=torch.float64)
    result: dict[str, Any] = {
        "lam": lam.tolist(),
        "score": "perplexity",
        "soft": {"loss_of_b": float(own.double().mean())},
    }
    arrays = {"losses": losses.numpy(), "correct": losses.numpy()}
    whole = summarize({"what": "barrier"}, result, {**arrays, "own": own.numpy()})
    above = losses.double() - (1 - lam)[:, None] * losses[:1].double() - lam[:, None] * own.double()
    top = int(above.mean(1)[1:].argmax()) + 1
    assert whole["excess"] == pytest.approx(above.mean(1).tolist())
    assert (whole["barrier"], whole["barrier_lam"]) == pytest.approx(
        (float(above.mean(1)[top]), float(lam[top]))
    )
    assert whole["barrier_stderr"] == pytest.approx(float(above[top].std() / math.sqrt(7)))
    # of an earlier version, which kept the mean of B's losses alone
    stated = {**result, **{name: whole[name] for name in ("excess_stderr", "barrier_stderr")}}
    earlier = summarize({"what": "barrier"}, stated, arrays)
    assert contradicts({**result, **whole}, {n: v for n, v in earlier.items() if n != "soft"}) == []


def test_the_best_temperatures_have_the_barrier_of_their_own_curve() -> None:
    losses = np.full((3, 4), 1.0, dtype=np.float32)
    tempered = {
        "loss": [1.0, 2.0, 1.0],
        "excess": [0, 0, 0],
        "barrier": 0.0,
        "barrier_lam": 0.0,
        "barrier_stderr": 0.1,
    }
    result = {"lam": [0.0, 0.5, 1.0], "score": "perplexity", "tempered": tempered}
    found = summarize({"what": "barrier"}, result, {"losses": losses, "correct": losses})[
        "tempered"
    ]
    assert (found["barrier"], found["barrier_lam"], found["excess"]) == (1.0, 0.5, [0.0, 1.0, 0.0])
    below = {**tempered, "loss": [1.0, 0.25, 1.0]}
    found = summarize(
        {"what": "barrier"}, {**result, "tempered": below}, {"losses": losses, "correct": losses}
    )["tempered"]
    assert (found["barrier"], found["barrier_lam"]) == (-0.75, 0.5)


def test_the_errors_of_a_curve_against_its_arrays() -> None:
    """Every error that a barrier's result states, by its own formula, on losses of 5 examples at 4
    points.
    """
    from lmc_core.paths.curve import Curve

    generator = torch.Generator().manual_seed(3)
    losses = torch.rand(4, 5, generator=generator)
    losses[2] += 2
    lam = torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=torch.float64)
    stated = curve_facts(Curve(lam, losses, losses.round()), "accuracy")
    rows = losses.double().numpy()
    above = np.array(
        [row - (1 - x) * rows[0] - x * rows[3] for x, row in zip(lam.tolist(), rows, strict=True)]
    )

    def error(values: np.ndarray) -> float:
        return math.sqrt(sum((values - values.mean()) ** 2) / (len(values) - 1) / len(values))

    assert stated["loss_stderr"] == pytest.approx([error(row) for row in rows], rel=1e-9)
    assert stated["excess_stderr"] == pytest.approx(
        [error(row) for row in above], rel=1e-9, abs=1e-12
    )
    assert stated["barrier"] == pytest.approx(above[2].mean()) and stated["barrier_lam"] == 0.5
    assert stated["barrier_stderr"] == pytest.approx(error(above[2]), rel=1e-9)
    areas = (
        0.25 * (above[0] + above[1]) / 2
        + 0.25 * (above[1] + above[2]) / 2
        + 0.5 * (above[2] + above[3]) / 2
    )
    assert stated["area"] == pytest.approx(areas.mean()) and stated["area_stderr"] == pytest.approx(
        error(areas), rel=1e-9
    )


def test_no_page_recomputes_what_ships() -> None:
    """Else run `python scripts/restate_results.py --all`: a first visit should not wait for
    torch.
    """
    assert all(entry.summary == SUMMARY for entry in SHIPPED.values())
