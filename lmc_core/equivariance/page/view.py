"""What the page Equivariance shows first: the lesson's picture, what every network reaches, which
one is looked at closer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from lmc_core.equivariance.figures.data import Run, layer_title
from lmc_core.equivariance.page import files as equivariance_files
from lmc_core.equivariance.page.pictures import Picture, show
from lmc_core.equivariance.page.presets import Preset
from lmc_core.ui import backend, status
from lmc_core.ui.options import Option

if TYPE_CHECKING:
    from lmc_core.equivariance.numbers import EquivarianceNumbers

EVERY = 1.5  # seconds between two pictures while a network is trained
MOST = 4  # layers that stand side by side
FOLLOW = "now"  # in place of a run: the one that is being trained


@dataclass(frozen=True)
class Scene:
    """What there is to show.

    Attributes:
        lines: all runs that are asked for.
        runs: those that are finished, by key.
        running: keys of those that are being computed or wait.
    """

    lines: Sequence[status.Line[EquivarianceNumbers]]
    runs: dict[str, Run]
    running: tuple[str, ...]

    @classmethod
    def read(cls, lines: Sequence[status.Line[EquivarianceNumbers]]) -> Scene:
        """Read the arrays of what is finished, and look at the jobs."""
        runs = {}
        for line in lines:
            if line.result is not None and (arrays := backend.arrays(line.key)):
                runs[line.key] = Run(line.label, line.result, arrays)
        jobs = backend.jobs([line.key for line in lines])
        return cls(lines, runs, tuple(key for key, job in jobs.items() if job.active))

    @property
    def finished(self) -> list[Run]:
        """The finished runs."""
        return list(self.runs.values())

    def growing(self) -> Run | None:
        """The run that is being trained now, with what it has so far."""
        jobs = backend.jobs(self.running)
        for line in self.lines:
            if (
                line.key in jobs
                and jobs[line.key].state == "running"
                and (found := backend.unfinished(line.key))
            ):
                return Run(line.label, *found)
        return None


def live(draw: Callable[[], None], scene: Scene, grows: bool = True) -> None:
    """Draw something, again and again while networks are trained if it grows then."""
    st.fragment(draw, run_every=EVERY if scene.running and grows else None)()


def choose_layer(scene: Scene, key: str) -> int:
    """A choice of the layer whose gamma some pictures show; returns its number."""
    known = next(iter(scene.runs.values()), None) or scene.growing()
    layers = list(known.facts["layers"]) if known is not None else []
    if not layers:
        return 0
    shape = "list" if len(layers) > MOST else "buttons"
    option = Option("layer", "Layer", layers, layers[0], None, shape, layer_title)
    if len(layers) == 1:
        return layers.index(option.prepare(key))
    return layers.index(option.show(key, width="content"))


def show_lesson(scene: Scene, lesson: Preset, layer: int, key: str) -> None:
    """Show the picture of the lesson, and what every network reaches."""

    def draw() -> None:
        grown = scene.growing() if scene.running and lesson.picture == "gammas" else None
        show(lesson_picture(scene, lesson, layer, grown), key, whole=True)

    live(draw, scene)
    if not scene.runs and not scene.running and not backend.read_only():
        st.caption(
            "Nothing is trained yet with these settings. **Run** trains them one after the other; "
            "pictures grow meanwhile."
        )
    equivariance_files.show_summary(scene.finished, key)


def lesson_picture(
    scene: Scene, lesson: Preset, layer: int = 0, grown: Run | None = None
) -> Picture:
    """The picture of a lesson."""
    runs = [*scene.finished, *([grown] if grown is not None else [])]
    return Picture(lesson.picture, (runs, layer) if lesson.picture == "gammas" else (runs,))


def first_run(scene: Scene, lesson: Preset) -> str:
    """Key of the finished run that a lesson is about; of the first one where it is not there."""
    about = [
        key
        for key, run in scene.runs.items()
        if all(run.facts[name] == value for name, value in lesson.shown.items())
    ]
    return next(iter([*about, *scene.runs]))


def choose_run(scene: Scene, lesson: Preset, key: str) -> str:
    """Which run is looked at closer; returns its key, or `FOLLOW`."""
    options = [FOLLOW] * bool(scene.running) + list(scene.runs)
    state = f"{key}_closer"
    if st.session_state.get(state) not in options:
        asked = _asked(scene) if state not in st.session_state else None
        st.session_state[state] = asked or (FOLLOW if scene.running else first_run(scene, lesson))
    names = {line.key: line.label for line in scene.lines} | {
        FOLLOW: "The one that is being trained"
    }
    return str(
        st.selectbox(
            "Network that is looked at",
            options,
            key=state,
            format_func=names.__getitem__,
            help="One of those above; each of these pictures is of one network.",
        )
    )


def looked_at(scene: Scene, lesson: Preset, key: str) -> Run:
    """The finished run that is looked at, or that the lesson is about."""
    chosen = st.session_state.get(f"{key}_closer")
    return scene.runs[chosen if chosen in scene.runs else _asked(scene) or first_run(scene, lesson)]


def _asked(scene: Scene) -> str | None:
    """The finished run that the address names."""
    wanted = st.query_params.get("run")
    return next((key for key in scene.runs if wanted and key.startswith(wanted)), None)
