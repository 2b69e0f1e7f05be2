"""Studies: as cards, each with its first picture, and one of them with its pictures in order, what
is written about them, and what can be changed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from lmc_core.errors import BadInput, LmcError
from lmc_core.numbers import count_words
from lmc_core.runs.store import Store, StoreWarning
from lmc_core.studies.gather import Shown, gather
from lmc_core.studies.study import Entry, Study
from lmc_core.ui import backend, messages
from lmc_core.ui.panels import show_panel, show_thumbnail, theme
from lmc_core.ui.studies_actions import show_exports
from lmc_core.ui.studies_data import KEY, act, delete_study, studies

COLUMNS = 3


def show_cards() -> None:
    """Show every study as a card with its picture; the last changed first."""
    with warnings.catch_warnings():
        # of a damaged file; the others are still shown
        warnings.simplefilter("ignore", StoreWarning)
        known = studies().list()
    if not known:
        st.info(
            "There is no study yet. Choose results in the table and add them to a study"
            + ("." if backend.read_only() else ", or import an archive.")
        )
    for start in range(0, len(known), COLUMNS):
        for column, study in zip(st.columns(COLUMNS), known[start : start + COLUMNS], strict=False):
            with column.container(border=True, height="stretch"):
                _card(study)
    if not backend.read_only():
        with st.popover("New study", icon=":material/add:"):
            _show_new()


def _card(study: Study) -> None:
    st.header(study.title, anchor=False)
    if study.note:
        st.markdown(messages.plain(study.note.partition("\n")[0]))
    try:
        shown = next(
            iter(gather(Study(name="a", title="a", entries=study.entries[:1]), Store())), None
        )
        panels = shown.panels(theme()) if shown and shown.found else []
        if panels:
            show_thumbnail(panels[0], f"{KEY}_card_{study.name}")
    except LmcError as error:
        st.caption(messages.sentence(error))
    pictures = count_words(len(study.entries), "picture")
    results = count_words(len(study.keys), "result")
    st.caption(f"{pictures}, {results}; changed {study.changed[:10]}")
    st.button("Open", key=f"{KEY}_open_{study.name}", on_click=open_study, args=(study.name,))


def open_study(name: str | None) -> None:
    """Show one study, or the cards for None."""
    st.session_state[f"{KEY}_study"] = name


def _show_new() -> None:
    with st.form(f"{KEY}_new", border=False):
        st.text_input("Title", key=f"{KEY}_new_title", max_chars=200)
        st.text_area("Description", key=f"{KEY}_new_note")
        st.form_submit_button("Begin", type=messages.strong(), on_click=lambda: act(_begin))


def _begin() -> None:
    title = (st.session_state[f"{KEY}_new_title"] or "").strip() or "My study"
    study = studies().create(title, (st.session_state[f"{KEY}_new_note"] or "").strip())
    open_study(study.name)


def show_study(study: Study) -> None:
    """Show a study with everything in it."""
    st.button(
        "All studies",
        key=f"{KEY}_back",
        icon=":material/arrow_back:",
        type="tertiary",
        on_click=open_study,
        args=(None,),
    )
    st.header(study.title, anchor=False)
    if study.note:
        st.markdown(messages.plain(study.note))
    try:
        shown = gather(study, Store())
    except LmcError as error:
        st.error(messages.sentence(error), icon=":material/error:")
        return
    writes = not backend.read_only()
    with st.container(horizontal=True):
        show_exports(study, shown)
        if writes:
            with st.popover("Edit", icon=":material/edit:"):
                _edit(study)
            with st.popover("Delete", icon=":material/delete:"):
                _delete(study)
    if not shown:
        st.info("The study is empty. Choose results in the table and add them.")
    for index, each in enumerate(shown):
        _show_entry(study, index, each, writes)


def _show_entry(study: Study, index: int, shown: Shown, writes: bool) -> None:
    st.subheader(shown.title, anchor=False, divider="gray")
    if shown.entry.note:
        st.markdown(messages.plain(shown.entry.note))
    if shown.missing:
        count = len(shown.missing)
        st.warning(
            f"{count} of its results {'is' if count == 1 else 'are'} not stored here any more "
            f"({', '.join(key[:12] for key in shown.missing[:5])}); compute again, or import an "
            "archive that has them.",
            icon=":material/warning:",
        )
    for number, panel in enumerate(shown.panels(theme(), 520)):
        show_panel(panel, f"{KEY}_{study.name}_{index}_{number}")
    if writes:
        with st.popover("Change this picture", icon=":material/tune:"):
            _change(study, index, shown)


def _change(study: Study, index: int, shown: Shown) -> None:
    """Title, note, labels and place of a picture; a change of one who looked at another version of
    it is refused.
    """
    name = f"{KEY}_{study.name}_{index}_{study.changed}"
    entry = shown.entry
    labels = dict(zip(entry.keys, entry.labels, strict=True)) if entry.labels else {}
    usual = {found.key: label for found, label in zip(shown.found, shown.labels, strict=True)}
    with st.form(name, border=False):
        st.text_input(
            "Title", value=entry.title, placeholder=shown.title, key=f"{name}_title", max_chars=200
        )
        st.text_area("Note", value=entry.note, key=f"{name}_note")
        for key in entry.keys:
            own = labels.get(key, "")
            st.text_input(
                f"Label of {usual.get(key, key[:12])}",
                value=own,
                placeholder=usual.get(key, ""),
                key=f"{name}_{key[:12]}",
                max_chars=200,
            )

        def keep() -> None:
            given = [(st.session_state[f"{name}_{key[:12]}"] or "").strip() for key in entry.keys]
            title = (st.session_state[f"{name}_title"] or "").strip()
            note = (st.session_state[f"{name}_note"] or "").strip()
            named = zip(entry.keys, given, strict=True)
            labels = tuple(label or usual.get(key, key[:12]) for key, label in named)
            if not any(given):
                labels = ()
            _update(
                study,
                index,
                entry,
                lambda now, place: now.with_changed(place, title=title, note=note, labels=labels),
            )

        st.form_submit_button("Keep", type=messages.strong(), on_click=lambda: act(keep))
    _move(study, index, entry, name)


def _move(study: Study, index: int, entry: Entry, name: str) -> None:
    """Buttons that move a picture, or take it out."""
    with st.container(horizontal=True):
        moves: list[tuple[str, str, Callable[[Study, int], Study], bool]] = [
            (
                "Earlier",
                ":material/arrow_upward:",
                lambda now, place: now.moved(place, -1),
                index == 0,
            ),
            (
                "Later",
                ":material/arrow_downward:",
                lambda now, place: now.moved(place, 1),
                index == len(study.entries) - 1,
            ),
            ("Take out", ":material/close:", lambda now, place: now.without_entry(place), False),
        ]
        for label, icon, move, off in moves:
            st.button(
                label,
                key=f"{name}_{label}",
                icon=icon,
                disabled=off,
                on_click=act,
                args=(_update, study, index, entry, move),
            )


def _update(study: Study, index: int, entry: Entry, change: Callable[[Study, int], Study]) -> None:
    """Change a picture wherever it is by now; another person may have moved it meanwhile."""

    def fresh(now: Study) -> Study:
        places = [place for place, each in enumerate(now.entries) if each == entry]
        if not places:
            raise BadInput(
                "Somebody else changed this picture meanwhile; look at it again before you change "
                "it."
            )
        return change(now, index if index in places else places[0])

    studies().update(study.name, fresh)


def _edit(study: Study) -> None:
    name = f"{KEY}_edit_{study.name}_{study.changed}"
    with st.form(name, border=False):
        st.text_input("Title", value=study.title, key=f"{name}_title", max_chars=200)
        st.text_area("Description", value=study.note, key=f"{name}_note")

        def keep() -> None:
            title = (st.session_state[f"{name}_title"] or "").strip() or study.title
            note = (st.session_state[f"{name}_note"] or "").strip()
            studies().update(study.name, lambda now: replace(now, title=title, note=note))

        st.form_submit_button("Keep", type=messages.strong(), on_click=lambda: act(keep))


def _delete(study: Study) -> None:
    if studies().is_shipped(study.name):
        st.markdown("This study came with the app and stays.")
        return
    st.markdown("The study with its titles and notes is deleted; its results stay.")
    st.button(
        "Delete this study",
        key=f"{KEY}_delete_study",
        type=messages.strong(),
        on_click=act,
        args=(delete_study, study.name),
    )
