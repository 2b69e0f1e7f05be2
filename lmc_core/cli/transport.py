"""`lmc transport BASE FINETUNED TARGET --out DIR`: carry a fine-tuning from one model to another.

DIR/config.json, model.safetensors   the target with a share of the moved difference, a model of its
                                     own class
    card.json                        where it came from
    alignment.safetensors            what moved the target onto the base
    report.json                      what was measured
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict, cast

from lmc_core import __version__
from lmc_core.cli.computing import Run, announce, choose_classes
from lmc_core.cli.folder import (
    check_folder,
    check_type,
    replacing,
    require_apart,
    write_json,
    write_model,
)
from lmc_core.cli.output import facts, print_json, table
from lmc_core.figures.text import classes_sentence, origin_words
from lmc_core.figures.transport import change_at, choice_sentence, recovered_words
from lmc_core.limits import require_numbers
from lmc_core.models.files.json_files import ADAPTER
from lmc_core.models.written import Outputs
from lmc_core.numbers import describe_change, seconds
from lmc_core.progress import part
from lmc_core.runs.inputs import CHECKED
from lmc_core.runs.kinds.carried import Carried, carry
from lmc_core.runs.kinds.transport import make_transport_request
from lmc_core.runs.requests.transport import (
    SHARES,
    ChoiceNumbers,
    CurveNumbers,
    TaskNumbers,
    TransportNumbers,
    TransportRequest,
)
from lmc_core.tasks.unmeasured import RANDOM

ALIGNED = 0.5  # of the progress, when the difference is moved


class Row(TypedDict):
    """One model on one task."""

    title: str
    loss: float  # nats
    loss_stderr: float
    change: float  # from the target, of the same examples
    change_stderr: float


class Measured(TypedDict):
    """One task."""

    task: str
    unit: str
    split: str
    examples: int
    rows: list[Row]  # with the share that is written
    moved: CurveNumbers  # with every share
    unmoved: CurveNumbers


class Report(TypedDict):
    """What `report.json` holds, and --json prints."""

    base: str
    finetuned: str
    target: str
    digests: list[str]
    share: float
    method: str
    settings: dict[str, object]
    classes: dict[str, str]
    aligned_on: str
    function_error: float
    length: float  # of the difference
    cosine: float | None  # between the moved and the unmoved difference
    tasks: list[Measured]
    seconds: float
    dtype: str
    rounding: float
    versions: dict[str, str]
    date: str
    key: str  # of the stored numbers
    shares: list[float]
    best: float | None  # of them; None where nothing was measured
    choice: ChoiceNumbers | None
    recovered: float | None  # of what the target gains by being fine-tuned itself
    recovered_stderr: float | None


def run(arguments: argparse.Namespace) -> None:
    """Align, move the difference, measure, write."""
    require_numbers(share=arguments.share)
    tuned = adapted(arguments.base, arguments.finetuned)
    out: Path = arguments.out.absolute()
    check_folder(out, False)
    check_type(arguments.dtype)
    references = [arguments.base, tuned, arguments.target]
    further = [] if arguments.tuned is None else [arguments.tuned]
    require_apart(out, [*references, *further])
    with Run(arguments) as bar:
        request = ask(arguments, [*references, *further])
        announce(bar, [request])
        carried = carry(request, part(bar.report, 0.0, ALIGNED), bar.fresh)
        numbers: TransportNumbers | None = None
        if request.task != RANDOM:
            result = bar.compute(request, part(bar.report, ALIGNED, 1.0)).result
            numbers = cast(TransportNumbers, result)
        report = make_report(request, carried, numbers, arguments.share)
        moved = carried.difference.at(arguments.share)
        outputs = Outputs.of([moved], carried.checked.first(CHECKED).inputs)
        with replacing(out) as draft:
            write_model(moved, draft, moved.name, arguments.dtype)
            carried.pair.alignment.save(draft / "alignment.safetensors")
            report["rounding"], report["dtype"] = outputs.error_as_written(0, draft)
            write_json(draft / "report.json", report)
    if arguments.json:
        return print_json({**report, "out": str(out)})
    print(summarize(report, numbers, out))


def adapted(base: str, finetuned: str) -> str:
    """The reference of a fine-tuned model: of a folder that holds an adapter, the base with it."""
    folder = Path(finetuned.removeprefix("path:"))
    is_adapter = (folder / ADAPTER).is_file() and not (folder / "config.json").is_file()
    return f"{base}+{finetuned}" if is_adapter else finetuned


def ask(arguments: argparse.Namespace, references: Sequence[str]) -> TransportRequest:
    """The request of the command; without a task nothing is measured.

    Args:
        arguments: of the command.
        references: of the base, the fine-tuned model, the target, and the target fine-tuned itself
            where it was named.
    """
    return make_transport_request(
        references,
        task=arguments.task,
        on=arguments.on,
        shares=[*(arguments.shares or SHARES), arguments.share],
        split=arguments.split,
        examples=arguments.examples,
        seed=arguments.seed,
        length=arguments.length,
        method=arguments.method,
        classes=choose_classes(references[2], arguments.classes),
        settings=dict(arguments.settings),
        device=arguments.device,
        learn=arguments.learn,
        measured=False,
    )


def make_report(
    request: TransportRequest, carried: Carried, numbers: TransportNumbers | None, share: float
) -> Report:
    """The report but for what writing tells.

    Args:
        request: what was asked.
        carried: the fine-tuning in the coordinates of the target.
        numbers: what was measured; None where no task is known.
        share: of the difference that is written.
    """
    names, pair = [model.name for model in carried.models], carried.pair
    places = request.shares.index(0.0), request.shares.index(share + 0.0)
    titles = f"{names[2]} + {share:g}", f"{names[-1]}, fine-tuned itself"
    return {
        "base": names[0],
        "finetuned": names[1],
        "target": names[2],
        "digests": [model.digest for model in carried.models],
        "share": share,
        "method": request.method,
        "settings": dict(request.settings),
        "classes": dict(request.classes),
        "aligned_on": carried.aligned_on.name,
        "function_error": pair.function_error,
        "length": carried.difference.length,
        "cosine": carried.difference.cosine,
        "tasks": [
            _measured(each, (names[2], *titles), places)
            for each in (numbers["tasks"] if numbers else [])
        ],
        "seconds": pair.seconds,
        "dtype": "",
        "rounding": 0.0,
        "versions": {"lmc": __version__},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "key": request.key,
        "shares": list(request.shares),
        "best": numbers and numbers["best"],
        "choice": numbers and numbers["choice"],
        "recovered": numbers and numbers["recovered"],
        "recovered_stderr": numbers and numbers["recovered_stderr"],
    }


def _measured(task: TaskNumbers, titles: tuple[str, str, str], places: tuple[int, int]) -> Measured:
    """One task, with the rows of the share that is written.

    Args:
        task: what was measured on it.
        titles: of the target, of the target with that share, and fine-tuned itself.
        places: of 0 and of that share among all shares.
    """
    zero, place = places
    rows = [
        _row(titles[0], task["moved"], zero),
        _row(f"{titles[1]} unmoved", task["unmoved"], place),
        _row(f"{titles[1]} moved", task["moved"], place),
    ]
    if tuned := task["tuned"]:
        rows.append({"title": titles[2], **tuned})
    return {
        "task": task["name"],
        "unit": task["unit"],
        "split": task["split"],
        "examples": task["examples"],
        "rows": rows,
        "moved": task["moved"],
        "unmoved": task["unmoved"],
    }


def _row(title: str, curve: CurveNumbers, place: int) -> Row:
    """A curve at the share of a place."""
    return {
        "title": title,
        "loss": curve["loss"][place],
        "loss_stderr": curve["loss_stderr"][place],
        "change": curve["change"][place],
        "change_stderr": curve["change_stderr"][place],
    }


def summarize(report: Report, numbers: TransportNumbers | None, out: Path) -> str:
    """The report in words with units."""
    cosine = "nothing was learned" if report["cosine"] is None else f"{report['cosine']:.3f}"
    pairs = [
        ("carried", f"{report['base']} to {report['finetuned']}"),
        ("onto", f"{report['target']}, a share of {report['share']:g}"),
        ("classes", classes_sentence(report["classes"])),
        ("function", describe_change(report["function_error"])),
        ("length", f"{report['length']:.4g} (Euclidean, of the whole difference)"),
        ("cosine", f"{cosine} (moved difference with unmoved)"),
    ]
    parts = [facts(pairs)]
    for each in report["tasks"]:
        rows = [
            (
                row["title"],
                f"{row['loss']:.4f} ± {row['loss_stderr']:.4f}",
                f"{row['change']:+.4f} ± {row['change_stderr']:.4f}",
            )
            for row in each["rows"]
        ]
        head = f"{each['task']}, {each['split']} split, {each['examples']:,} examples"
        shown = table(("model", "loss", "change"), rows, left=1)
        parts.append(f"{head}\n{shown}\nLoss in {each['unit']}.")
    if numbers is not None:
        parts += [_tabulate(numbers), choice_sentence(numbers)]
    words = f"outputs changed by {report['rounding']:.1e} (relative) in {report['dtype']}"
    last = [
        ("rounding", words),
        ("time", f"{seconds(report['seconds'])} to align"),
        ("written", str(out)),
    ]
    if numbers is not None:
        last.insert(0, ("key", numbers["key"] + origin_words(numbers)))
        if numbers["recovered"] is not None:
            gained = f"{recovered_words(numbers)} of the gain of fine-tuning the target itself"
            last.insert(0, ("recovered", gained))
    return "\n\n".join([*parts, facts(last)])


def _tabulate(numbers: TransportNumbers) -> str:
    """The change of the loss with every share, moved and unmoved, on every task."""
    header = ["share"]
    columns = []
    for task in numbers["tasks"]:
        for name in ("moved", "unmoved"):
            header.append(f"{task['name']}, {name}")
            columns.append([change_at(task, name, k) for k in range(len(numbers["shares"]))])
    shares = [f"{share:g}" for share in numbers["shares"]]
    return f"Change of the loss\n{table(header, list(zip(shares, *columns, strict=True)), left=1)}"
