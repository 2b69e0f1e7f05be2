"""A study as a folder for a paper: every figure as SVG, PDF and PNG at the width of a page, numbers
as CSV, the captions.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import plotly.graph_objects as go

from lmc_core.errors import BadInput
from lmc_core.figures.drawing import draw as draw_images
from lmc_core.figures.drawing import missing_tools, pixels
from lmc_core.runs.store import Store
from lmc_core.studies.gather import find_missing, gather, list_results
from lmc_core.studies.study import Study, make_name

WIDTH = 170  # millimetres, the text width of an A4 page
DPI = 300  # of the PNG files
Report = Callable[[float, str], None]


def study_files(
    study: Study, store: Store, draw: bool = True, report: Report = lambda share, words: None
) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a folder: name and content.

    Args:
        study: what to show.
        store: where its results lie.
        draw: also the images, which takes about a second for each figure.
        report: called with the share done.

    Raises:
        BadInput: images are wanted and cannot be drawn here.
    """
    if draw and (missing := missing_tools()):
        raise BadInput(missing)
    shown = gather(study, store)
    panels = [(each, panel) for each in shown for panel in each.panels("paper")]
    captions = [f"# {study.title}\n", *([study.note + "\n"] if study.note.strip() else [])]
    figures: list[tuple[str, go.Figure]] = []
    for number, (each, panel) in enumerate(panels, 1):
        name = f"{number:02d}-{make_name(f'{panel.kind} {each.title}')}"
        if panel.figure is not None:
            figures.append((name, panel.figure))
        captions += [f"## {name}: {each.title}\n", f"**Figure {number}.** {panel.caption}\n"]
        captions += [each.entry.note + "\n"] if each.entry.note.strip() else []
        yield f"{name}.csv", panel.numbers.csv().encode()
        yield f"{name}-summary.csv", panel.summary.csv().encode()
    if missing := find_missing(shown):
        captions.append(
            f"Not stored where this was made: {', '.join(key[:12] for key in missing)}.\n"
        )
    content = {"study": study.to_json(), "results": list_results(shown)}
    yield "captions.md", "\n".join(captions).encode()
    yield "results.json", json.dumps(content, indent=1).encode()
    if draw and figures:
        pictures = draw_images(
            [figure for _, figure in figures], ("svg", "pdf", "png"), pixels(WIDTH), DPI, report
        )
        for (name, _), files in zip(figures, pictures, strict=True):
            for ending, data in files.items():
                yield f"{name}.{ending}", data


def write_folder(
    study: Study, store: Store, folder: Path, report: Report = lambda share, words: None
) -> list[str]:
    """Write the files of a study into a folder that is new or empty.

    Returns:
        The names of the files.

    Raises:
        BadInput: the folder holds something, or images cannot be drawn here.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"--folder expects a new or empty folder; {str(folder)!r} is not one.")
    files = list(study_files(study, store, report=report))
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files:
        (folder / name).write_bytes(data)
    return [name for name, _ in files]


def zipped(study: Study, store: Store, draw: bool = True) -> bytes:
    """Return the files of a study as one zip."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in study_files(study, store, draw):
            packed.writestr(f"{study.name}/{name}", data)
    return target.getvalue()
