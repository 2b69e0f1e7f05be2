"""What stands around a slide: the bar below it, and how much of the window is left for the
picture.
"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lmc_core.figures.tables import Table
from lmc_core.lecture.page import state
from lmc_core.lecture.steps import STEPS

WORDS = 0.187  # of the window's height, that the words of a slide take
AROUND = 222  # pixels: header, bar and gaps
SPEAKER = 84  # pixels of the notes
SMALLEST = 320  # pixels of a picture


def scale_of(window: int) -> float:
    """Factor on the type of pictures: 1 for a window 800 pixels high."""
    return min(max(window / 800, 0.8), 2.2)


def picture_height(window: int, notes: bool) -> int:
    """Height of the picture in a window, so that nothing has to be scrolled; all in pixels."""
    return max(int(window * (1 - WORDS) - AROUND - notes * (SPEAKER + 16)), SMALLEST)


def show_bar(at: int, answered: bool, notes: str, table: pd.DataFrame) -> None:
    """Show the speaker's notes, if wanted, and the bar with which one goes on, back or anywhere.

    Args:
        at: number of the step, from 0.
        answered: whether its answer is shown.
        notes: of the step.
        table: what its picture shows.
    """
    last = at == len(STEPS) - 1
    forward = (
        f"Next: {STEPS[at + 1].name}"
        if answered and not last
        else "Show the answer"
        if not answered
        else "The end"
    )
    st.session_state["lecture_jump"] = at + 1
    with st.bottom:
        if st.session_state[state.NOTES]:
            with st.container(height=SPEAKER, border=False):
                st.markdown(f":material/speaker_notes: {notes}")
        with st.container(
            horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"
        ):
            st.button(
                "Back",
                key="lecture_back",
                on_click=state.turn,
                args=("back",),
                shortcut="Left",
                disabled=at == 0 and not answered,
            )
            st.segmented_control(
                "Step",
                range(1, len(STEPS) + 1),
                key="lecture_jump",
                on_change=_jump,
                required=True,
                label_visibility="collapsed",
            )
            with st.popover("Numbers", icon=":material/table:", key="lecture_table"):
                st.dataframe(table, height=320, hide_index=True)
                st.download_button(
                    "CSV",
                    _csv(table),
                    f"lecture-{STEPS[at].key}.csv",
                    "text/csv",
                    on_click="ignore",
                    key="lecture_csv",
                    icon=":material/download:",
                )
            st.toggle("Notes", key=state.NOTES)
            st.button(
                forward,
                key="lecture_next",
                on_click=state.turn,
                args=("next",),
                shortcut="Right",
                disabled=last and answered,
            )


def _csv(table: pd.DataFrame) -> str:
    """The numbers as every other CSV of the app is written."""
    return Table.of(
        table.columns, table.astype(object).where(table.notna(), None).to_numpy().tolist()
    ).csv()


def _jump() -> None:
    state.go(2 * (st.session_state["lecture_jump"] - 1))
