"""What the page Equivariance shows: the lesson, the training while it goes on, the way to the projection, the price."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from lmc_core.figures.equivariance_data import Run, layer_title
from lmc_core.figures.numbers import estimate, number, percent
from lmc_core.ui import address, equivariance_files, status, work
from lmc_core.ui.equivariance_pictures import Picture, show
from lmc_core.ui.equivariance_presets import Preset

EVERY = 1.5  # seconds between two pictures while a network is trained
FOLLOW = "now"  # in place of a run: the one that is being trained
CHECK = "the largest relative difference of an output from that of the network on moved inputs."


@dataclass(frozen=True)
class Scene:
    """What there is to show.

    Attributes:
        lines: all runs that are asked for.
        runs: those that are finished, by key.
        running: keys of those that are being computed or wait.
    """

    lines: Sequence[status.Curve]
    runs: dict[str, Run]
    running: tuple[str, ...]

    @classmethod
    def of(cls, lines: Sequence[status.Curve]) -> Scene:
        """Read the arrays of what is finished, and look at the jobs."""
        runs = {}
        for line in lines:
            if line.result is not None and (arrays := work.arrays(line.key)):
                runs[line.key] = Run(line.label, line.result, arrays)
        jobs = work.jobs([line.key for line in lines])
        return cls(lines, runs, tuple(key for key, job in jobs.items() if job.active))

    @property
    def finished(self) -> list[Run]:
        """The finished runs."""
        return list(self.runs.values())

    def growing(self) -> Run | None:
        """The run that is being trained now, with what it has so far."""
        jobs = work.jobs(self.running)
        for line in self.lines:
            if line.key in jobs and jobs[line.key].state == "running" and (found := work.unfinished(line.key)):
                return Run(line.label, *found)
        return None


def live(draw: Callable[[], None], scene: Scene) -> None:
    """Draw something, again and again while networks are trained."""
    st.fragment(draw, run_every=EVERY if scene.running else None)()


def choose_layer(scene: Scene, key: str) -> int:
    """A choice of the layer whose gamma some pictures show; returns its number."""
    known = next(iter(scene.runs.values()), None) or scene.growing()
    layers = list(known.facts["layers"]) if known is not None else []
    if not layers:
        return 0
    address.prepare(f"{key}_layer", "layer", layers, layers[0])
    if len(layers) > 1:
        st.segmented_control("Layer", layers, key=f"{key}_layer", format_func=layer_title, required=True)
    return layers.index(st.session_state[f"{key}_layer"])


def show_lesson(scene: Scene, lesson: Preset, layer: int, key: str) -> None:
    """Show the picture of the lesson, and what every network reaches."""

    def draw() -> None:
        grown = scene.growing() if scene.running and lesson.picture == "gammas" else None
        show(lesson_picture(scene, lesson, layer, grown), key)

    live(draw, scene)
    if not scene.runs and not scene.running and not work.read_only():
        st.caption(
            "Nothing is trained yet with these settings. **Run** trains them one after the other; pictures grow meanwhile."
        )
    equivariance_files.show_summary(scene.finished, key)


def lesson_picture(scene: Scene, lesson: Preset, layer: int = 0, grown: Run | None = None) -> Picture:
    """The picture of a lesson."""
    runs = [*scene.finished, *([grown] if grown is not None else [])]
    return Picture(lesson.picture, (runs, layer) if lesson.picture == "gammas" else (runs,))


def choose_run(scene: Scene, lesson: Preset, key: str) -> str:
    """Which run is looked at closer; returns its key, or `FOLLOW`."""
    options = [FOLLOW] * bool(scene.running) + list(scene.runs)
    first = next((k for k, run in scene.runs.items() if all(run.facts[n] == v for n, v in lesson.shown.items())), options[0])
    short = {option: option[:8] for option in options}
    state = f"{key}_closer"
    wanted = st.query_params.get("run") if state not in st.session_state else None
    if wanted is not None or st.session_state.get(state) not in options:
        asked = next((option for option, name in short.items() if name == wanted), None)
        st.session_state[state] = asked or (FOLLOW if scene.running else first)
    names = {line.key: line.label for line in scene.lines} | {FOLLOW: "The one that is being trained"}
    return str(st.selectbox(
        "Look closer at", options, key=state, format_func=names.__getitem__,
        help="The pictures from here on are of this one, those of prices of all.",
    ))  # fmt: skip


def show_training(scene: Scene, chosen: str, layer: int, key: str) -> None:
    """Show the constraint, the losses and the phase portrait of a run, also while it is trained."""

    def draw() -> None:
        run = scene.growing() if chosen == FOLLOW else scene.runs[chosen]
        if run is None:
            st.caption("The first pictures come a second after the training has begun.")
            return
        for picture in training_pictures(run, layer):
            show(picture, key)

    live(draw, scene) if chosen == FOLLOW else draw()


def training_pictures(run: Run, layer: int) -> list[Picture]:
    """The pictures of a training; where gamma does not move there is no constraint to show."""
    moves = run.form in ("equality", "resilient")
    return [
        *([Picture("constraint", (run,)), Picture("phase", ([run], min(layer, len(run.layers) - 1)))] if moves else []),
        Picture("losses", (run,)),
    ]


def way_pictures(scene: Scene, run: Run, lesson: Preset) -> list[Picture]:
    """The pictures of the way to the projection that the lesson has not shown."""
    return [
        *([Picture("paths", (scene.finished,))] if lesson.picture != "paths" else []),
        Picture("checkpoints", (run,)),
        Picture("plane", (run,)),
    ]


def price_pictures(runs: Sequence[Run], lesson: Preset) -> list[Picture]:
    """The pictures of what symmetry costs that the lesson has not shown, of runs on one kind of data."""
    priced = any(run.form == "resilient" for run in runs)
    return [
        *([Picture("prices", (runs,))] if priced and lesson.picture != "prices" else []),
        Picture("tradeoff", (runs,)),
        *([Picture("gauge", (runs,))] if lesson.picture != "gauge" else []),
    ]


def choose_kind(scene: Scene, key: str) -> list[Run]:
    """The runs of one kind of data, chosen where there are several: errors and losses of different data do not compare."""
    kinds = {str(run.facts["kind"]): str(run.facts["kind_label"]) for run in scene.finished}
    address.prepare(f"{key}_shown", "shown", list(kinds), list(kinds)[-1])
    if len(kinds) > 1:
        st.segmented_control(
            "Data", list(kinds), key=f"{key}_shown", format_func=lambda k: kinds[k].partition(":")[0], required=True
        )
    return [run for run in scene.finished if run.facts["kind"] == st.session_state[f"{key}_shown"]]


def choose_example(run: Run, key: str) -> int:
    """Which input is shown in all positions."""
    labels = [int(label) for label in run.arrays["strip.labels"]]
    options = list(range(len(labels)))
    address.prepare(f"{key}_example", "example", options, 0)
    st.segmented_control(
        "Example", options, key=f"{key}_example", format_func=lambda k: f"{k + 1}: class {labels[k]}", required=True,
        help="The first held-out example of some classes.",
    )  # fmt: skip
    return int(st.session_state[f"{key}_example"])


def show_copies(run: Run, key: str) -> None:
    """Show the barrier to the moved copy and the merges, with what they say about the projection."""
    st.markdown(
        "A network that read a moved input as it reads the upright one is a **moved copy**: the same network, its weights "
        "moved by an element of the group. **The projection is the uniform merge of all copies that the group itself aligns**, "
        "so what averaging costs is a barrier, and matching the copies is another way to lower it."
    )
    found = run.copies
    if found is None:
        st.caption("This result is older and does not hold the copies; **Run again** computes them too.")
        return
    show(Picture("copies", (run,)), key)
    names = {"naive": "Barrier, unmatched", "matched": "Barrier, matched", "group": "Barrier, by the group"}
    told = {
        "naive": "Inputs are moved and hidden units left where they are.",
        "matched": "Hidden units are permuted by weight matching.",
        "group": "Hidden units are permuted as the group acts on them.",
    }
    columns = st.columns(4)
    for column, (name, label) in zip(columns, names.items(), strict=False):
        curve = found["curves"].get(name)
        if curve is not None:
            column.metric(
                f"{label} (nats)", estimate(curve["barrier"], curve.get("barrier_stderr")), border=True,
                help=f"{told[name]} The largest excess of the loss over the chord on the line from the network to its copy.",
            )  # fmt: skip
    agree = found.get("agree") or {}
    columns[3].metric(
        "Matched as the group does", percent(sum(agree.values()) / len(agree), 0) if agree else "\u2013", border=True,
        help="Share of the hidden units that weight matching sends where the group sends them, the mean over the layers.",
    )  # fmt: skip
    st.caption(
        f"Function check of the copies: {number(found.get('function_error'), digits=2)}, {CHECK} The merge of the copies that "
        f"the group aligns differs from the projection by {number(found.get('group_is_projection'), digits=2)} of its weights."
    )
