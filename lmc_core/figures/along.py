"""What changes along a path besides the loss: its pictures, captions and tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from lmc_core.figures.along_drawing import along_figure, find_middle, relative_rows
from lmc_core.figures.panel import Picture, every
from lmc_core.figures.tables import Table
from lmc_core.figures.text import Result, label_results, notes, version_sentence
from lmc_core.numbers import estimate, number, percent

NAMES = {
    "sharpness": "Sharpness",
    "spectra": "Spectra of the matrices",
    "calibration": "Calibration",
    "other-task": "Loss on another task",
}
CANONICAL = (
    "Every network on the path is brought into its canonical form first (gains and means folded, "
    "invertible planes balanced), so that networks of equal function have equal values, however "
    "they were aligned."
)
EXPLAINED = {
    "sharpness": f"{CANONICAL} Eigenvalues by Lanczos' method with full reorthogonalisation (a "
    "lower bound of the largest, bars: how far the nearest eigenvalue can be), trace by "
    "Hutchinson's estimator with the Lanczos vectors left out (bars: one standard error over "
    "probes), of the mean loss on a fixed batch. Curvature is no property of a function alone "
    "(Dinh et al. 2017); relative: a step by shares of each parameter's norm (Kwon et al. 2021).",
    "spectra": f"{CANONICAL} Effective rank: exponential of the entropy of the normalised singular "
    "values (Roy and Vetterli 2007); norm: Frobenius. Thin lines: one matrix each; thick: their "
    "mean. Independent matrices lose norm when they are averaged, and gain rank.",
    "calibration": "Expected calibration error over bins of equally many predictions (Naeini et "
    "al. 2015; Nixon et al. 2019), bars: one standard error by a bootstrap over examples. "
    "Temperature: what logits have to be divided by to fit the same examples (Guo et al. 2017), "
    "above 1 where the network is too sure, below 1 where it is too unsure.",
    "other-task": "The same networks on both tasks, on as many examples of the same split; bars: "
    "one standard error over examples.",
}
Row = tuple[object, ...]


def along_caption(results: Sequence[Result], labels: Sequence[str] | None = None) -> str:
    """Return a caption that would stand in a paper, in plain text."""
    if not results:
        return "No result yet."
    first = results[0]
    quantity, (a, b) = first["quantity"], first["models"]
    count = first["sharpness"]["examples"] if quantity == "sharpness" else first["examples"]
    where = (
        ""
        if quantity == "spectra"
        else f", on {count:,} examples of the {first['split']} split of {first['task']}"
    )
    path = "trained curve" if first.get("bent") else "path"
    head = f"{NAMES[quantity]} along the {path} from {a} to {b}{where}."
    said = [head, EXPLAINED[quantity], *notes(results)]
    return f"{' '.join(said)} {version_sentence(first)}"


def along_finding(results: Sequence[Result], labels: Sequence[str]) -> str:
    """Return what the middle of the path says, in one sentence with numbers."""
    names = list(labels or label_results(results))
    said = [f"{name}: {along_headline(each)[0]}" for name, each in zip(names, results, strict=True)]
    return f"{'; '.join(said)}."


def along_headline(result: Result) -> tuple[str, float]:
    """Return the quantity half way, against the larger of both ends."""
    return HEADLINES[result["quantity"]](result, find_middle(result))


def _say_sharpness(result: Result, middle: int) -> tuple[str, float]:
    found = result["sharpness"]
    top = [row[0] for row in found["largest"]]
    ends = number(max(top[0], top[-1]))
    return f"largest eigenvalue {number(top[middle])} nats half way, {ends} at the ends", top[
        middle
    ]


def _say_spectra(result: Result, middle: int) -> tuple[str, float]:
    rank, norm = (
        fmean(row[middle] for row in relative_rows(result, field))
        for field in ("effective", "norm")
    )
    words = f"effective rank {percent(rank, 0)} and norm {percent(norm, 0)} of the ends half way"
    return words, rank


def _say_calibration(result: Result, middle: int) -> tuple[str, float]:
    found = result["calibration"]
    error = found["error"][middle]
    words = estimate(100 * error, 100 * found["error_stderr"][middle], "%")
    heat = estimate(found["temperatures"][middle], found["temperatures_stderr"][middle])
    return f"calibration error {words} half way, temperature {heat}", error


def _say_other(result: Result, middle: int) -> tuple[str, float]:
    found = result["other"]
    both = []
    for head, task in (("", result["task"]), ("other_", found["task"])):
        above, error = (found[f"{head}{name}"][middle] for name in ("excess", "excess_stderr"))
        both.append(f"{estimate(above, error)} on {task}")
    return f"{' and '.join(both)} above the chord half way (nats)", found["other_excess"][middle]


HEADLINES: dict[str, Callable[[Result, int], tuple[str, float]]] = {
    "sharpness": _say_sharpness,
    "spectra": _say_spectra,
    "calibration": _say_calibration,
    "other-task": _say_other,
}


def _rows_of_sharpness(result: Result) -> list[Row]:
    found = result["sharpness"]
    columns = zip(
        result["at"],
        [row[0] for row in found["largest"]],
        found["largest_error"],
        found["relative"],
        found["relative_error"],
        found["smallest"],
        found["negative"],
        found["trace"],
        found["trace_stderr"],
        strict=True,
    )
    return list(columns)


def _rows_of_spectra(result: Result) -> list[Row]:
    found = result["spectra"]
    return [
        (point, *(fmean(row[k] for row in relative_rows(result, field)) for field in FIELDS))
        for k, point in enumerate(result["at"])
        if found["matrices"]
    ]


def _rows_of_calibration(result: Result) -> list[Row]:
    found = result["calibration"]
    names = ("error", "error_stderr", "temperatures", "temperatures_stderr")
    return list(zip(result["at"], *(found[name] for name in names), strict=True))


def _rows_of_other(result: Result) -> list[Row]:
    found = result["other"]
    return list(zip(result["at"], *(found[name] for name in OTHER), strict=True))


FIELDS = ("effective", "stable", "norm", "top")
OTHER = (
    *("loss", "loss_stderr", "excess", "excess_stderr"),
    *("other_loss", "other_stderr", "other_excess", "other_excess_stderr"),
)
COLUMNS: dict[str, tuple[tuple[str, ...], Callable[[Result], list[Row]]]] = {
    "sharpness": (
        (
            "largest eigenvalue (nats)",
            "residual",
            "relative (nats)",
            "relative residual",
            "smallest Ritz value (nats)",
            "negative",
            "trace (nats)",
            "trace stderr",
        ),
        _rows_of_sharpness,
    ),
    "spectra": (
        (
            "effective rank of ends",
            "stable rank of ends",
            "norm of ends",
            "largest singular value of ends",
        ),
        _rows_of_spectra,
    ),
    "calibration": (
        ("calibration error", "stderr", "temperature", "temperature stderr"),
        _rows_of_calibration,
    ),
    "other-task": (
        (
            *("loss (nats)", "stderr", "excess (nats)", "excess stderr"),
            *("other loss (nats)", "other stderr", "other excess (nats)", "other excess stderr"),
        ),
        _rows_of_other,
    ),
}


def along_table(results: Sequence[Result], labels: Sequence[str]) -> Table:
    """Return one row for every point of every setting."""
    header, list_rows = COLUMNS[results[0]["quantity"]]
    rows = [
        (label, *row)
        for label, result in zip(labels, results, strict=True)
        for row in list_rows(result)
    ]
    return Table.of(("setting", "lam", *header), rows)


def along_numbers(results: Sequence[Result], labels: Sequence[str]) -> Table:
    """Return every number: of spectra each matrix at each point, of calibration each bin; of others
    as `along_table`.
    """
    quantity = results[0]["quantity"]
    rows: list[Row] = []
    pairs = list(zip(labels, results, strict=True))
    if quantity == "spectra":
        for label, result in pairs:
            found = result["spectra"]
            for k, name in enumerate(found["matrices"]):
                rows += [
                    (label, name, point, *(found[field][k][place] for field in FIELDS))
                    for place, point in enumerate(result["at"])
                ]
        names = ("effective rank", "stable rank", "norm", "largest singular value")
        return Table.of(("setting", "matrix", "lam", *names), rows)
    if quantity == "calibration":
        for label, result in pairs:
            found = result["calibration"]
            for place, point in enumerate(result["at"]):
                bins = zip(found["confidence"][place], found["accuracy"][place], strict=True)
                rows += [(label, point, number, *each) for number, each in enumerate(bins)]
        return Table.of(("setting", "lam", "bin", "confidence", "accuracy"), rows)
    return along_table(results, labels)


def label_along(results: Sequence[Result]) -> list[str]:
    """Return what tells the settings of each quantity apart."""
    found: dict[int, str] = {}
    for quantity in dict.fromkeys(result["quantity"] for result in results):
        places = [k for k, result in enumerate(results) if result["quantity"] == quantity]
        found |= zip(places, label_results([results[k] for k in places]), strict=True)
    return [found[k] for k in range(len(results))]


PICTURE = Picture(
    name="Along the path",
    draw=lambda found, labels, theme, height: along_figure(
        [each.result for each in found], labels, theme, height
    ),
    caption=every(along_caption),
    summary=every(along_table),
    numbers=every(along_numbers),
    headline=along_headline,
    finding=along_finding,
    labels=label_along,
    together=True,
    share=lambda result: f"{result['quantity']} {result.get('other', {}).get('task', '')}",
)
