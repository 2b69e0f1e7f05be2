"""What the first page says: the shipped picture, three ways in, studies that are kept, what runs
now, the device.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import streamlit as st

from lmc_core import elsewhere
from lmc_core.figures.style import Theme
from lmc_core.figures.text import barrier_words, method_title, setting_label
from lmc_core.numbers import size
from lmc_core.ui import backend
from lmc_core.ui.pages import script
from lmc_core.ui.setting import Setting
from lmc_core.ui.status import describe_place
from lmc_core.ui.still import show_card

if TYPE_CHECKING:
    from lmc_core.runs.requests.barrier import BarrierNumbers

# what the first picture shows
SETTINGS = ("Plain average", "Permutations only", "All classes", "All classes, learned")
CARDS = 6  # studies at the most that are shown as cards
POLL = 2.0  # seconds
# where drivers of graphics cards that torch can use show themselves (NVIDIA, AMD, Windows' Linux)
DRIVERS = ("/dev/nvidiactl", "/proc/driver/nvidia", "/dev/kfd", "/dev/dxg")


@dataclass(frozen=True)
class Way:
    """One way into the app.

    Attributes:
        name: who it is for.
        sentence: what it offers today.
        link: the words of the link.
        icon: beside the link.
        page: that it opens.
        address: query parameters of that page.
    """

    name: str
    sentence: str
    link: str
    icon: str
    page: str
    address: dict[str, str | list[str]] = field(default_factory=dict)


WAYS = (
    Way(
        "Explore",
        "Pick any two models, choose the symmetries and the method that aligns them, and measure "
        "the barrier that is left. Then look at the alignment, the loss landscape and the merged "
        "model.",
        "Measure a barrier",
        ":material/explore:",
        "barrier",
    ),
    Way(
        "Teach",
        "Symmetry in about ten steps on live models, full screen: swap two units, rotate the "
        "residual stream, switch the classes on one by one and see the barrier fall.",
        "Open the lecture",
        ":material/school:",
        "lecture",
    ),
    Way(
        "Present",
        "Collect results in a study with titles and notes, and export it: one HTML file that "
        "opens offline, figures at paper size, or an archive that another installation opens.",
        "Open the studies",
        ":material/present_to_all:",
        "studies",
    ),
)


def one_pair(results: Sequence[BarrierNumbers]) -> list[BarrierNumbers]:
    """Return the results of one pair of models that make the first picture, in the order of
    `SETTINGS`.
    """
    groups: dict[tuple[str, ...], dict[str, BarrierNumbers]] = {}
    for result in sorted(results, key=lambda r: (tuple(r["models"]), -r["examples"])):
        label = setting_label(result["method"], result["classes"], result.get("largest"))
        groups.setdefault(tuple(result["models"]), {}).setdefault(label, result)
    # among equally complete pairs that of most examples, then the last in the alphabet, which is
    # one of images
    best: dict[str, BarrierNumbers] = {}
    most = (0, 0)
    for group in groups.values():
        found = [group[label]["examples"] for label in SETTINGS if label in group]
        if (rank := (len(found), min(found, default=0))) >= most:
            best, most = group, rank
    return [best[label] for label in SETTINGS if label in best]


def lead(results: Sequence[BarrierNumbers]) -> str:
    """Say what the picture shows, with its own numbers."""
    said = (
        "Two transformers trained from different seeds solve the same task, yet the average of "
        "their weights is a broken "
        "model: the straight line between them climbs a **loss barrier**. Much of it is an "
        "illusion. Weights can change in "
        "many ways that leave the function alone; undo these accidental differences first, and "
        "the barrier shrinks."
    )
    if len(results) > 1:
        said += f" Here from **{barrier_words(results[0])}** to **{barrier_words(results[-1])}**."
    return said


def address_of(results: Sequence[BarrierNumbers]) -> dict[str, str | list[str]]:
    """Return the query parameters under which the barrier's page shows these results."""
    first = results[0]
    settings = []
    for each in results:
        if each["method"] != "none":
            steps = each.get("settings", {}).get("steps")
            steps = steps if isinstance(steps, int) else None
            settings.append(Setting.of(each["method"], each["classes"], steps))
    chosen = settings[-1] if settings else None
    return {
        "a": first["models"][0],
        "b": first["models"][1],
        "method": chosen.method if chosen else "none",
        **({"steps": str(chosen.steps)} if chosen and chosen.steps else {}),
        **(dict(chosen.classes) if chosen else {}),
        "split": first["split"],
        "with": [setting.text for setting in settings[:-1]] or "none",
    }


@st.cache_data(max_entries=1, show_spinner="Looking for a device")
def device_sentence() -> str:
    """Say which device this machine offers."""
    found: object = ("cpu", "", "")
    if _may_have_device():
        found = elsewhere.call("lmc_core.runs.inputs:name_device")
    device, card, memory = cast("tuple[str, str, str]", found)
    cores = f"{os.cpu_count() or 1} CPU cores"
    if device == "cuda":
        name = f"**{card}** with {memory} (CUDA), beside {cores}"
    elif device == "mps":
        name = f"the **graphics processor of this Mac** (MPS), beside {cores}"
    elif card == "MPS":
        name = f"**{cores}** ({platform.machine()}); LMC_DEVICE=mps uses the graphics processor"
    else:
        name = f"**{cores}** ({platform.machine()}); no CUDA or MPS device was found"
    return f"On this machine: {name}. Nothing leaves it: models, data and results stay here."


def _may_have_device() -> bool:
    """Whether this machine may have more than its processor, without asking torch, which takes two
    seconds: where no driver of a graphics card is there, Linux has none.
    """
    return sys.platform != "linux" or any(Path(place).exists() for place in DRIVERS)


def store_sentence() -> str:
    """Say how much the folder of results holds."""
    count, held = backend.store_size()
    return (
        f"{count:,} result{'s are' if count != 1 else ' is'} stored, {size(held)}."
        if count
        else "Nothing of your own is stored yet."
    )


def show_studies(theme: Theme) -> None:
    """Show the newest studies as cards with their first picture."""
    cards = backend.studies()[:CARDS]
    if not cards:
        st.caption(
            "A study is a collection of results with titles and notes. There is none yet: add a "
            "result to one on the page Studies."
        )
        return
    for row in range(0, len(cards), 3):
        for column, card in zip(st.columns(3), cards[row : row + 3], strict=False):
            with column.container(border=True, height="stretch"):
                st.subheader(card.title, anchor=False)
                panel = backend.first_panel(card.name, theme)
                if panel is not None and panel.figure is not None:
                    show_card(panel.figure, f"start_study_{card.name}", panel.alt)
                if card.note:
                    st.markdown(card.note if len(card.note) <= 200 else card.note[:197] + "...")
                st.page_link(
                    script("studies"),
                    label="Open",
                    icon=":material/arrow_forward:",
                    query_params={"study": card.name},
                )


def show_running() -> None:
    """Show every run of this installation with how far it is; polls only while something runs."""
    if not backend.running():
        st.caption("Nothing is being computed.")
        return

    @st.fragment(run_every=POLL)
    def poll() -> None:
        jobs = backend.running()
        if not jobs:
            st.rerun()
        for job in jobs:
            said = job.message or ("waiting" if job.state == "queued" else "starting")
            text = f"{run_title(job.request)}: {said}, {job.progress:.0%}{describe_place(job)}"
            st.progress(min(job.progress, 1.0), text=text)
            if log := backend.read_log(job):
                with st.expander(f"Log of {job.executor} {job.task}".rstrip()):
                    st.caption(job.log)
                    st.code(log, language=None)

    poll()


def run_title(request: Mapping[str, object]) -> str:
    """Name a run by what it computes: "Barrier of vit-fashion-s0 and vit-fashion-s1, learned"."""
    names = [str(name) for name in cast("Sequence[object]", request.get("names", ()))]
    method = str(request.get("method", ""))
    listed = " and ".join(names) if len(names) <= 2 else f"{len(names)} models"
    how = "" if method in ("", "none") else f", {method_title(method)}"
    return f"{str(request.get('what', 'run')).capitalize()} of {listed}{how}"
