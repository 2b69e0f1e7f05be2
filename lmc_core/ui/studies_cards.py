"""Studies as cards, each with its first picture."""

from __future__ import annotations

import warnings

import streamlit as st

from lmc_core.errors import LmcError
from lmc_core.runs.store import Store, StoreWarning
from lmc_core.studies.gather import gather
from lmc_core.studies.study import Study
from lmc_core.ui import backend, messages
from lmc_core.ui.panels import show_thumbnail, theme
from lmc_core.ui.studies_data import KEY, act, studies

COLUMNS = 3


def show_cards() -> None:
    """Show every study as a card with its picture; the last changed first."""
    with warnings.catch_warnings():
        # of a damaged file; the others are still shown
        warnings.simplefilter("ignore", StoreWarning)
        known = studies().list()
    if not known:
        st.info(
            "There is no study yet. Choose results in the table and put them into a study"
            + ("." if backend.read_only() else ", or import an archive.")
        )
    for start in range(0, len(known), COLUMNS):
        for column, study in zip(st.columns(COLUMNS), known[start : start + COLUMNS], strict=False):
            with column.container(border=True, height="stretch"):
                _card(study)
    if not backend.read_only():
        with st.popover("New study", icon=":material/add:"):
            _new()


def _card(study: Study) -> None:
    st.header(study.title, anchor=False)
    if study.note:
        st.markdown(plain(study.note.partition("\n")[0]))
    try:
        shown = next(
            iter(gather(Study(name="a", title="a", entries=study.entries[:1]), Store())), None
        )
        panels = shown.panels(theme()) if shown and shown.found else []
        if panels:
            show_thumbnail(panels[0], f"{KEY}_card_{study.name}")
    except LmcError as error:
        st.caption(messages.sentence(error))
    pictures = f"{len(study.entries)} picture{'s' if len(study.entries) != 1 else ''}"
    results = f"{len(study.keys)} result{'s' if len(study.keys) != 1 else ''}"
    st.caption(f"{pictures}, {results}; changed {study.changed[:10]}")
    st.button("Open", key=f"{KEY}_open_{study.name}", on_click=open_study, args=(study.name,))


def open_study(name: str | None) -> None:
    """Show one study, or the cards for None."""
    st.session_state[f"{KEY}_study"] = name


def _new() -> None:
    with st.form(f"{KEY}_new", border=False):
        st.text_input("Title", key=f"{KEY}_new_title", max_chars=200)
        st.text_area("What it is about", key=f"{KEY}_new_note")
        st.form_submit_button("Begin", type=messages.strong(), on_click=lambda: act(_begin))


def _begin() -> None:
    title = (st.session_state[f"{KEY}_new_title"] or "").strip() or "My study"
    study = studies().create(title, (st.session_state[f"{KEY}_new_note"] or "").strip())
    open_study(study.name)


def plain(text: str) -> str:
    """A person's text as itself: nothing in it is markup, a link or an icon."""
    for sign in "\\`*_{}[]()#+-.!|<>:$~&":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("\n", "  \n")
