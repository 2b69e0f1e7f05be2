"""What follows from the arrays of each quantity along a path."""

from __future__ import annotations

from typing import cast

import torch

from lmc_core.analysis.hessian import is_negative, ritz
from lmc_core.analysis.spectra import describe_spectrum
from lmc_core.intervals.errors import stderr
from lmc_core.runs.computation import Arrays, Entries
from lmc_core.runs.inputs import read_groups, read_tensor
from lmc_core.runs.request import RequestJson
from lmc_core.runs.requests.along import (
    EIGENVALUES,
    AlongNumbers,
    CalibrationNumbers,
    OtherNumbers,
    SharpnessNumbers,
    SpectraNumbers,
)
from lmc_core.tasks.calibration import Calibration


def sharpness_facts(arrays: Arrays, examples: int, parameters: int) -> SharpnessNumbers:
    """The entries that follow from what Lanczos' method and the probes found.

    Args:
        arrays: as `compute` returns them.
        examples: that curvature was measured on.
        parameters: that vary.
    """
    whole, relative = (
        [
            ritz(*(row[row == row] for row in rows))
            for rows in zip(
                read_tensor(arrays, f"{head}diagonal", 2),
                read_tensor(arrays, f"{head}beside", 2),
                strict=True,
            )
        ]
        for head in ("", "relative_")
    )
    probes = read_tensor(arrays, "probes", 2)
    if not len(whole) == len(relative) == len(probes):
        raise ValueError("as many points everywhere are needed")
    return {
        "examples": examples,
        "parameters": parameters,
        "largest": [values[:EIGENVALUES].tolist() for values, _ in whole],
        "largest_error": [float(errors[0]) for _, errors in whole],
        "smallest": [float(values[-1]) for values, _ in whole],
        "negative": [is_negative(values) for values, _ in whole],
        "trace": probes.mean(1).tolist(),
        "trace_stderr": (probes.std(1) / probes.shape[1] ** 0.5).tolist(),
        "relative": [float(values[0]) for values, _ in relative],
        "relative_error": [float(errors[0]) for _, errors in relative],
    }


def spectra_facts(before: SpectraNumbers, arrays: Arrays) -> SpectraNumbers:
    """The entries that follow from the singular values, with the sizes of the matrices."""
    sizes = zip(before["copies"], before["rows"], before["columns"], strict=True)
    shapes = [(copies, min(rows, columns)) for copies, rows, columns in sizes]
    values = read_tensor(arrays, "values", 2)
    if values.shape[1] != sum(copies * short for copies, short in shapes):
        raise ValueError("as many values as the matrices have are needed")
    parts = values.split([copies * short for copies, short in shapes], 1)
    found = [
        [describe_spectrum(row.reshape(shape)) for row in block]
        for block, shape in zip(parts, shapes, strict=True)
    ]
    return {
        **before,
        "effective": [[each.effective for each in row] for row in found],
        "stable": [[each.stable for each in row] for row in found],
        "norm": [[each.norm for each in row] for row in found],
        "top": [[each.top for each in row] for row in found],
    }


def calibration_facts(arrays: Arrays) -> CalibrationNumbers:
    """The entries that follow from the sums over bins; no temperatures."""
    groups = read_groups(arrays)
    points = [
        Calibration(each.double()).of_groups(groups) for each in read_tensor(arrays, "sums", 4)
    ]
    curves = [each.curve() for each in points]
    return {
        "bins": points[0].bins,
        "error": [each.error for each in points],
        "error_stderr": [each.stderr for each in points],
        "confidence": [each["confidence"] for each in curves],
        "accuracy": [each["accuracy"] for each in curves],
        "temperatures": [],
        "temperatures_stderr": [],
    }


def other_facts(arrays: Arrays, at: tuple[float, ...], task: str, unit: str) -> OtherNumbers:
    """The entries that follow from both losses.

    Args:
        arrays: as `compute` returns them.
        at: the points.
        task: name of the other task.
        unit: of its loss.
    """
    lam = torch.tensor(at, dtype=torch.float64)
    found: dict[str, list[float]] = {}
    for head, groups in (("", "groups"), ("other_", "other_groups")):
        rows = read_tensor(arrays, f"{head}losses", 2).double()
        if len(rows) != len(lam):
            raise ValueError("as many points as rows are needed")
        belong = read_tensor(arrays, groups, 1) if groups in arrays else None
        weight = ((lam - lam[0]) / (lam[-1] - lam[0]))[:, None]
        above = rows - ((1 - weight) * rows[0] + weight * rows[-1])
        found[f"{head}loss"] = rows.mean(1).tolist()
        found[f"{head}stderr"] = stderr(rows, belong).tolist()
        found[f"{head}excess"] = above.mean(1).tolist()
        found[f"{head}excess_stderr"] = stderr(above, belong).tolist()
    count = arrays["other_losses"].shape[1]
    renamed = {("loss_stderr" if name == "stderr" else name): each for name, each in found.items()}
    return cast(OtherNumbers, {"task": task, "unit": unit, "examples": count, **renamed})


def summarize(request: RequestJson, numbers: AlongNumbers, arrays: Arrays) -> Entries:
    """The entries that follow from the arrays; see `runs.computation.summarize`."""
    if (sharp := numbers.get("sharpness")) is not None:
        return {"sharpness": sharpness_facts(arrays, sharp["examples"], sharp["parameters"])}
    if (spectra := numbers.get("spectra")) is not None:
        return {"spectra": spectra_facts(spectra, arrays)}
    if (calibration := numbers.get("calibration")) is not None:
        names = ("temperatures", "temperatures_stderr")
        kept = {name: calibration[name] for name in names}
        return {"calibration": {**calibration_facts(arrays), **kept}}
    if (other := numbers.get("other")) is not None:
        at = tuple(numbers["at"])
        return {"other": other_facts(arrays, at, other["task"], other["unit"])}
    return {}
