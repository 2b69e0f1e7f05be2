"""One input in all positions of the group, with what the network says of each: columns that are
alike are equivariance.
"""

from __future__ import annotations

import base64
import io

import numpy as np
import plotly.graph_objects as go

from lmc_core.equivariance.figures import axes
from lmc_core.equivariance.figures.data import Run
from lmc_core.equivariance.figures.setting import EMPTY, Drawing, ending, shorten
from lmc_core.figures.heatmap import sequential
from lmc_core.figures.layout import heading, write
from lmc_core.figures.style import GROUNDS, SMALL, Theme, contrast
from lmc_core.figures.tables import Table

MOST = 8  # positions that are shown
PICTURE, CELL, GAP, TOP, FOOT = 84, 17, 34, 30, 42  # pixels
TINY = 10  # pixels of the type below more than 6 positions, which a phone has little room for
ENLARGED = 12  # pixels of the file for a pixel of the image, so that it stays sharp
FASHION = (
    "T-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "boot",
)
BRANCHES = {
    "strip.on": "<b>Branch on</b>: probability of every class",
    "strip.off": "<b>Projected</b>, \u03b3 = 0",
}


def choose_positions(run: Run) -> list[int]:
    """Return which elements of the group are shown: all, or 8 of them spread evenly from the
    identity.
    """
    order = run.arrays["strip.inputs"].shape[1] if "strip.inputs" in run.arrays else 0
    return list(range(order)) if order <= MOST else [k * order // MOST for k in range(MOST)]


def class_names(run: Run) -> list[str]:
    """Return names of the classes."""
    count = run.arrays["strip.on"].shape[2]
    return (
        list(FASHION)
        if run.facts.get("source") == "fashion" and count == len(FASHION)
        else [str(k) for k in range(count)]
    )


def strip_figure(
    run: Run, example: int = 0, theme: Theme = "light", height: int | None = None
) -> go.Figure:
    """Draw one input in every position, and below each the probabilities of all classes with the
    free branch on and off.

    Args:
        run: a finished one; before that the axes are empty and keep their place.
        example: which of the run's inputs.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels; by default what the cells need.
    """
    stack = (
        int(run.facts.get("group", "S3")[1:])
        if run.facts.get("acts") == "set" and "strip.inputs" in run.arrays
        else 1
    )
    classes = class_names(run) if "strip.on" in run.arrays else [str(k) for k in range(10)]
    picture, table = PICTURE + (stack - 1) * 48, CELL * len(classes)
    tall = height or TOP + picture + 2 * (table + GAP) + FOOT
    figure = axes.new(theme, tall)
    if "strip.inputs" not in run.arrays:
        return axes.nothing(
            figure, "Inputs are followed through their positions at the end.", theme
        )
    label = int(run.arrays["strip.labels"][example])
    marked = [f"<b>{name}</b>" if k == label else name for k, name in enumerate(classes)]
    chosen, inner = choose_positions(run), tall - TOP - FOOT
    labels = [str(run.facts["group_labels"][k]).replace("mirror ", "mirror<br>") for k in chosen]
    cell = (inner - picture - 2 * GAP) / 2
    side = axes.label_room(classes, 36)
    figure.update_layout(margin={"l": side, "r": 8, "t": TOP, "b": FOOT, "autoexpand": False})
    tops = {"strip.on": inner - picture - GAP, "strip.off": cell}
    for number, (name, title) in enumerate(BRANCHES.items()):
        ending = "" if number == 0 else "2"
        figure.update_layout(
            {
                f"xaxis{ending}": {
                    "anchor": f"y{ending}",
                    "range": [-0.5, len(chosen) - 0.5],
                    "fixedrange": True,
                    "tickangle": 0,
                    "showticklabels": False,
                },
                f"yaxis{ending}": {
                    "anchor": f"x{ending}",
                    "domain": [max(0.0, (tops[name] - cell) / inner), tops[name] / inner],
                    "fixedrange": True,
                    "tickvals": list(range(len(classes))),
                    "ticktext": marked,
                    "autorange": "reversed",
                    "showgrid": False,
                },
            }
        )
        _heading(figure, title, tops[name] / inner, side, theme)
        _probabilities(figure, run.arrays[name][example][chosen], (classes, labels), ending, theme)
    what = _what(run, classes[label])
    _heading(figure, f"<b>{what}</b> in {_how_many(run, chosen)}", 1.0, side, theme)
    _inputs(figure, run, example, labels, inner, picture, theme)
    return figure


def _inputs(
    figure: go.Figure,
    run: Run,
    example: int,
    labels: list[str],
    inner: float,
    picture: float,
    theme: Theme,
) -> None:
    """The input in every position, with what the position is called."""
    chosen = choose_positions(run)
    for column, place in enumerate(chosen):
        _picture(
            figure,
            run,
            example,
            place,
            (column, len(chosen)),
            (inner - picture) / inner,
            picture / inner,
            theme,
        )
        write(
            figure,
            labels[column],
            ((column + 0.5) / len(chosen), 0),
            (_size(labels), GROUNDS[theme].ink),
            name="position",
            paper="xy",
            anchor="center top",
            shift=(None, -6),
        )


def _what(run: Run, label: str) -> str:
    if run.facts.get("acts") == "set":
        return f"A set with the label {label}"
    return (
        label[:1].upper() + label[1:]
        if run.facts.get("source") == "fashion"
        else f"A {label}".replace("A 8", "An 8")
    )


def _how_many(run: Run, chosen: list[int]) -> str:
    order = len(run.facts.get("group_labels", chosen))
    return (
        f"{len(chosen)} of {order} positions"
        if len(chosen) < order
        else "both positions"
        if order == 2
        else f"all {order} positions"
    )


def _heading(figure: go.Figure, text: str, top: float, side: int, theme: Theme) -> None:
    heading(figure, text, theme, y=top, left=-side + 4, up=6)


def _probabilities(
    figure: go.Figure,
    shares: np.ndarray,
    names: tuple[list[str], list[str]],
    ending: str,
    theme: Theme,
) -> None:
    """Classes as rows, positions as columns; the class that the network takes has its probability
    written into its cell.
    """
    classes, positions = names
    taken, axis = shares.argmax(axis=1), {"xaxis": f"x{ending}", "yaxis": f"y{ending}"}
    figure.add_heatmap(
        z=shares.T,
        zmin=0,
        zmax=1,
        colorscale=sequential(theme),
        showscale=False,
        xgap=3,
        ygap=1,
        **axis,
        name="projected" if ending else "branch on",
        customdata=[[[one, other.replace("<br>", " ")] for other in positions] for one in classes],
        hovertemplate="%{customdata[1]}: class %{customdata[0]} %{z:.1%}<extra></extra>",
    )
    likeliest = shares.max(axis=1)
    figure.add_scatter(
        x=list(range(len(positions))),
        y=taken,
        mode="text",
        text=[f"{share:.0%}" for share in likeliest],
        hoverinfo="skip",
        **axis,
        name="likeliest",
        textfont={
            "size": _size(positions),
            "color": [written_on(float(share), theme) for share in likeliest],
        },
    )


def written_on(share: float, theme: Theme) -> str:
    """Return black or white, whichever is read best on the cell of a probability: never below 4.5
    times its contrast.
    """
    low, high = ([int(str(end[1])[k : k + 2], 16) for k in (1, 3, 5)] for end in sequential(theme))
    cell = "#" + "".join(
        f"{round(a + share * (b - a)):02x}" for a, b in zip(low, high, strict=True)
    )
    return max(("#000000", "#ffffff"), key=lambda colour: contrast(colour, cell))


def _size(positions: list[str]) -> int:
    return SMALL if len(positions) <= 6 else TINY


def _picture(
    figure: go.Figure,
    run: Run,
    example: int,
    place: int,
    column: tuple[int, int],
    floor: float,
    share: float,
    theme: Theme,
) -> None:
    values = run.arrays["strip.inputs"][example]
    figure.add_layout_image(
        source=picture(run, values[place], float(values.min()), float(values.max()), theme),
        xref="paper",
        yref="paper",
        x=(column[0] + 0.5) / column[1],
        xanchor="center",
        y=floor,
        yanchor="bottom",
        sizex=0.94 / column[1],
        sizey=share,
        sizing="contain",
        name="input",
    )


def picture(run: Run, values: np.ndarray, low: float, high: float, theme: Theme = "light") -> str:
    """Return one input as an address that holds a PNG file: an image, or the elements of a set one
    below the other.

    Args:
        run: says what inputs are.
        values: `[inputs]`.
        low: value drawn as the ground.
        high: value drawn as ink.
        theme: of the figure.
    """
    from PIL import Image

    count = int(str(run.facts["group"])[1:]) if run.facts.get("acts") == "set" else 1
    side = round((values.size / count) ** 0.5)
    shade = np.clip((values.reshape(count, side, side) - low) / max(high - low, 1e-9), 0, 1)
    shade = np.kron(shade, np.ones((1, ENLARGED, ENLARGED)))
    ground = GROUNDS[theme]
    paper, ink = (
        np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
        for colour in (ground.grid, ground.ink)
    )
    gap = np.full((6, side * ENLARGED, 3), [int(ground.paper[i : i + 2], 16) for i in (1, 3, 5)])
    parts: list[np.ndarray] = []
    for one in shade:
        parts += [paper + one[..., None] * (ink - paper), gap]
    file = io.BytesIO()
    Image.fromarray(np.concatenate(parts[:-1]).round().astype(np.uint8)).save(
        file, "PNG", optimize=True
    )
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def strip_caption(run: Run, example: int = 0) -> str:
    """Return a caption of `strip_figure` that would stand in a paper."""
    if "strip.inputs" not in run.arrays:
        return "Inputs are followed through their positions at the end of the training."
    order, shown = run.arrays["strip.inputs"].shape[1], len(choose_positions(run))
    part = f"{shown} of {order} positions" if shown < order else f"all {order} positions"
    return (
        f"One input of the {run.facts.get('split')} split in {part} of the group, and the "
        "probability that the network gives every class, with the free branch on and off; the "
        "number is that of the likeliest class, the true class is in bold. Columns that are alike "
        f"mean that the network does not mind the movement. {ending([run])}"
    )


def strip_alt(run: Run, example: int = 0) -> str:
    """Return what `strip_figure` shows in a sentence."""
    if "strip.inputs" not in run.arrays:
        return EMPTY
    classes, chosen = class_names(run), choose_positions(run)
    said = []
    for branch, words in (("strip.on", "with the branch on"), ("strip.off", "projected")):
        taken = [classes[k] for k in run.arrays[branch][example][chosen].argmax(axis=1)]
        said.append(f"{words} {', '.join(taken)}")
    label = classes[int(run.arrays["strip.labels"][example])]
    where = f"One input of class {label} in {len(chosen)} positions"
    return shorten(f"{where}; the network takes it for: {'; '.join(said)}.")


def strip_table(run: Run, example: int = 0) -> Table:
    """Return every number of `strip_figure`, of all positions."""
    if "strip.on" not in run.arrays:
        return Table.of(("position", "class"), ())
    classes, rows = class_names(run), []
    for branch, name in (("strip.on", "branch on"), ("strip.off", "projected")):
        for place, shares in zip(
            run.facts["group_labels"], run.arrays[branch][example].tolist(), strict=True
        ):
            rows.append((name, place, *shares))
    return Table.of(("branch", "position", *(f"probability of {each}" for each in classes)), rows)


STRIP = Drawing("One input in all positions", strip_figure, strip_caption, strip_alt, strip_table)
