"""The sections of the page Equivariance below its lesson, of which one is shown at a time."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from lmc_core.equivariance.figures.data import Run
from lmc_core.equivariance.figures.strip import class_names
from lmc_core.equivariance.page.pictures import Picture, show
from lmc_core.equivariance.page.presets import Preset
from lmc_core.equivariance.page.view import (
    FOLLOW,
    Scene,
    choose_layer,
    choose_run,
    lesson_picture,
    live,
)
from lmc_core.numbers import number, percent
from lmc_core.ui.options import Option

SECTIONS = {
    "training": ("Training", "Training"),
    "way": ("Way to the projection", "The way to the projection"),
    "price": ("Price of symmetry", "What symmetry costs"),
    "positions": ("One input", "One input in all positions"),
    "copies": ("Moved copies", "A merge of moved copies"),
}
"""Name in the address -> on the button, as a heading."""


def show_section(scene: Scene, lesson: Preset, early: int | None, key: str) -> str | None:
    """Show the section that is chosen.

    Args:
        scene: what there is.
        lesson: which pictures it has shown already.
        early: the layer, where it was chosen above; else None.
        key: prefix of the widgets' keys.

    Returns:
        Key of the run that is looked at; None where all are.
    """
    names = list(SECTIONS) if scene.runs else ["training"]
    option = Option(
        "view",
        "Section",
        names,
        lesson.section if scene.runs else "training",
        shape="buttons",
        shown=lambda each: SECTIONS[each][0],
        hidden=True,
    )
    name = option.show(key) if len(names) > 1 else option.prepare(key)
    st.header(SECTIONS[name][1], anchor=False)
    if name == "price":
        for picture in price_pictures(choose_kind(scene, key), lesson):
            show(picture, key)
        return None
    chosen = choose_run(scene, lesson, key)
    run = scene.runs.get(chosen)
    if name == "training" or run is None:
        show_training(scene, chosen, early, key)
    elif name == "way":
        for picture in way_pictures(scene, run, lesson):
            show(picture, key)
    elif name == "positions":
        show(Picture("strip", (run, choose_example(run, key))), key)
    else:
        show_copies(run, key)
    return chosen


def show_training(scene: Scene, chosen: str, early: int | None, key: str) -> None:
    """Show the constraint, the losses and the phase portrait of a run, also while it is trained."""

    def run() -> Run | None:
        return scene.growing() if chosen == FOLLOW else scene.runs[chosen]

    def draw() -> None:
        if (now := run()) is None:
            st.caption("The first pictures come a second after the training has begun.")
            return
        for picture in training_pictures(now):
            show(picture, key)

    def portray() -> None:
        if (now := run()) is not None:
            show(phase_picture(now, layer), key)

    live(draw, scene, chosen == FOLLOW)
    known = run()
    if known is not None and moves(known):
        layer = choose_layer(scene, key) if early is None else early
        live(portray, scene, chosen == FOLLOW)


def moves(run: Run) -> bool:
    """Whether gamma moves; where it does not there is no constraint to show."""
    return run.form in ("equality", "resilient")


def training_pictures(run: Run) -> list[Picture]:
    """The pictures of a training."""
    return [*([Picture("constraint", (run,))] if moves(run) else []), Picture("losses", (run,))]


def phase_picture(run: Run, layer: int) -> Picture:
    """The phase portrait of a layer."""
    return Picture("phase", ([run], min(layer, len(run.layers) - 1)))


def way_pictures(scene: Scene, run: Run, lesson: Preset) -> list[Picture]:
    """The pictures of the way to the projection that the lesson has not shown."""
    return [
        *([Picture("paths", (scene.finished,))] if lesson.picture != "paths" else []),
        Picture("checkpoints", (run,)),
        Picture("plane", (run,)),
    ]


def price_pictures(runs: Sequence[Run], lesson: Preset) -> list[Picture]:
    """The pictures of what symmetry costs that the lesson has not shown, of runs on one kind of
    data.
    """
    priced = sum(run.form == "resilient" for run in runs) > 1
    return [
        *([Picture("prices", (runs,))] if priced and lesson.picture != "prices" else []),
        Picture("tradeoff", (runs,)),
        *([Picture("gauge", (runs,))] if lesson.picture != "gauge" else []),
    ]


def choose_kind(scene: Scene, key: str) -> list[Run]:
    """The runs of one kind of data, chosen where there are several: errors and losses of different
    data do not compare.
    """
    kinds = {str(run.facts["kind"]): str(run.facts["kind_label"]) for run in scene.finished}
    option = Option(
        "shown",
        "Data",
        list(kinds),
        list(kinds)[-1],
        shape="buttons",
        shown=lambda each: kinds[each].partition(":")[0],
    )
    chosen = option.show(key, width="content") if len(kinds) > 1 else option.prepare(key)
    return [run for run in scene.finished if run.facts["kind"] == chosen]


def choose_example(run: Run, key: str) -> int:
    """Which input is shown in all positions."""
    names, labels = class_names(run), [int(label) for label in run.arrays["strip.labels"]]
    return Option(
        "example",
        "Example",
        range(len(labels)),
        0,
        "The first held-out example of some classes.",
        "buttons",
        lambda k: names[labels[k]],
    ).show(key, width="content")


def show_copies(run: Run, key: str) -> None:
    """Show the barrier to the moved copy and the merges, with what they say about the
    projection.
    """
    st.markdown(
        "A **moved copy** does to a moved input what the network does to the upright one; its "
        "weights are the network's own, "
        "moved by an element of the group. **The projection is the uniform merge of all copies "
        "that the group itself aligns**: "
        "what the average over the group costs is what any merge costs that leaves a barrier."
    )
    found = run.copies
    if found is None:
        st.caption(
            "This result is older and does not hold the copies; **Run again** computes them too."
        )
        return
    show(Picture("copies", (run,)), key)
    ways = {
        "Weight matching": found.get("agree"),
        "activation matching": found.get("agree_activation"),
    }
    sent = [f"{name} sends {percent(sum(a.values()) / len(a), 0)}" for name, a in ways.items() if a]
    if sent:
        st.markdown(
            f"{', '.join(sent)} of the hidden units where the group sends them, the mean over the "
            "layers."
        )
    check, merge = st.columns(2)
    check.metric(
        "Function check",
        number(found.get("function_error"), digits=2),
        border=True,
        help="The largest relative difference of an output of a copy from that of the network on "
        "moved inputs. No unit; at "
        "rounding level the copies are the same function, moved.",
    )
    merge.metric(
        "Merge by the group against P(W)",
        number(found.get("group_is_projection"), digits=2),
        border=True,
        help="The largest difference of a weight between the merge of the copies that the group "
        "aligns and the projection, as "
        "a share of the largest weight. No unit.",
    )


def all_pictures(
    scene: Scene, run: Run, lesson: Preset, layer: int, example: int = 0
) -> list[Picture]:
    """Every picture that the page can show of a run and those beside it, the lesson's first."""
    beside = [each for each in scene.finished if each.facts["kind"] == run.facts["kind"]]
    return [
        lesson_picture(scene, lesson, layer),
        *training_pictures(run),
        *([phase_picture(run, layer)] if moves(run) else []),
        *way_pictures(scene, run, lesson),
        *price_pictures(beside, lesson),
        Picture("strip", (run, example)),
        *([Picture("copies", (run,))] if run.copies is not None else []),
    ]
