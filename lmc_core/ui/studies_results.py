"""Every stored result as a table that is searched and filtered; the chosen ones on one axis, and
what can be done with them.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from lmc_core.errors import LmcError
from lmc_core.figures.panel import kind_name, label_stored, panels
from lmc_core.figures.text import distinguish
from lmc_core.runs.result import Result, digest
from lmc_core.studies.index import Row, chosen
from lmc_core.studies.study import KEYS, LABEL, Entry
from lmc_core.ui import address, backend, messages
from lmc_core.ui.links import show_link, url
from lmc_core.ui.options import Option
from lmc_core.ui.pages import PAGES
from lmc_core.ui.panels import show_panel, theme
from lmc_core.ui.studies_data import (
    KEY,
    SHORT,
    act,
    delete_results,
    found,
    homes,
    names,
    notes,
    said,
    studies,
)

ANY = "any"
SHOW = f"{KEY}_show"
FILTERS = {"what": "Computation", "models": "Model", "task": "Task", "method": "Method"}
NEW = "a new study"
HEIGHT = 520  # pixels of a figure


def choose_rows(table: list[Row]) -> list[Row]:
    """Search box and filters; returns the rows that fit."""
    address.prepare_text(f"{KEY}_q", "q")
    words = st.text_input(
        "Search", key=f"{KEY}_q", placeholder="models, task, method, notes", max_chars=200
    )
    picked: dict[str, str | None] = {}
    for field, label in FILTERS.items():
        options = [ANY, *sorted({value for row in table for value in _values(row, field) if value})]
        shown = _kind if field == "what" else str
        value = Option(field, label, options, ANY, None, "list", shown).show(KEY)
        picked[field] = None if value == ANY else value
    return chosen(table, words or "", said(), **picked)


def _kind(what: str) -> str:
    return what if what == ANY else kind_name(what)


def _values(row: Row, field: str) -> tuple[str, ...]:
    return row.models if field == "models" else (str(getattr(row, field)),)


def state() -> dict[str, str | list[str] | None]:
    """Return what of this view belongs into the address."""
    picked = {name: st.session_state.get(f"{KEY}_{name}") for name in ("q", *FILTERS)}
    return {
        **{name: value for name, value in picked.items() if value not in (None, "", ANY)},
        "show": [key[:SHORT] for key in st.session_state.get(SHOW, [])] or "none",
    }


def show_results(table: list[Row], fitting: list[Row]) -> None:
    """The table, the chosen results, and what can be done with them."""
    keys = _chosen_keys(table)
    if not table:
        st.info(
            "Nothing is stored yet. Measure a barrier, or import an archive; what is computed "
            "appears here."
        )
        return
    if not fitting:
        st.info(
            "No result fits; take a word out of the search, or set a filter back to "
            "\u201cany\u201d."
        )
    else:
        _table(fitting, keys)
    hidden = [key for key in keys if key not in {row.key for row in fitting}]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(_chosen_sentence(keys, hidden))
        if keys:
            st.button(
                "Choose none",
                key=f"{KEY}_none",
                on_click=_set,
                args=([],),
                type="tertiary",
                icon=":material/close:",
            )
    if not keys:
        return
    try:
        results = found(keys)
        labels = _labels(results)
        for index, panel in enumerate(panels(results, labels, theme(), HEIGHT)):
            show_panel(panel, f"{KEY}_panel_{index}")
    except LmcError as error:
        st.error(messages.sentence(error), icon=":material/error:")
        return
    picked = [row for key in keys for row in table if row.key == key]
    _show_pages(picked)
    if not backend.read_only():
        _actions(picked)


def _labels(results: list[Result]) -> list[str]:
    """What results are called in figures: by their own names, else by what tells them apart."""
    own = names().all()
    usual = label_stored(results)
    named = zip(results, usual, strict=True)
    return distinguish([own.get(each.key, label) for each, label in named])


def _show_pages(picked: list[Row]) -> None:
    """Links to the pages of the chosen results, each page with its models once."""
    pages = homes()
    shown: set[tuple[str, tuple[str, ...]]] = set()
    with st.container(horizontal=True):
        for row in picked:
            page, address = pages.get(row.key, ("", {}))
            if page and (page, row.models) not in shown:
                shown.add((page, row.models))
                label = f"Open on the page {PAGES[page].title}"
                show_link(page, label, address, f"{row.setting}, {row.between}")


def _chosen_keys(table: list[Row]) -> list[str]:
    """The chosen keys that are stored: those of the session, else of the address, else the newest
    pair of models.
    """
    known = [row.key for row in table]
    if SHOW not in st.session_state:
        wanted = st.query_params.get_all("show")
        if wanted:
            keys = [
                key for text in wanted for key in known if len(text) >= 8 and key.startswith(text)
            ]
        else:
            first = next((row for row in table if row.what == "barrier"), None)
            same = [
                row
                for row in table
                if first
                and (row.what, row.models, row.task) == (first.what, first.models, first.task)
            ]
            keys = [row.key for row in sorted(same[:4], key=lambda row: -(row.value or 0))]
        st.session_state[SHOW] = list(dict.fromkeys(keys))[:KEYS]
    st.session_state[SHOW] = [key for key in st.session_state[SHOW] if key in known]
    return st.session_state[SHOW]


def _set(keys: list[str]) -> None:
    st.session_state[SHOW] = keys


def _table(fitting: list[Row], keys: list[str]) -> None:
    """The rows that fit; a choice made under another filter is kept."""
    written, own, pages = notes().all(), names().all(), homes()
    frame = pd.DataFrame(
        {
            "Name": [own.get(row.key, "") for row in fitting],
            "Models": [row.between for row in fitting],
            "Task": [f"{row.task} ({row.split})" if row.split else row.task for row in fitting],
            "Setting": [row.setting for row in fitting],
            "Result": [row.number for row in fitting],
            "Computation": [row.kind for row in fitting],
            "Examples": [row.examples for row in fitting],
            "Computed": [row.date[:16].replace("T", " ") for row in fitting],
            "Page": [url(*pages[row.key]) if row.key in pages else None for row in fitting],
            "Note": [written.get(row.key, "").partition("\n")[0] for row in fitting],
            "From": [row.source for row in fitting],
        }
    )
    shown = [row.key for row in fitting]
    # Another set of rows is another table: a place in the one means nothing in the other.
    name = f"{KEY}_table_{digest(' '.join(shown).encode())[:16]}"

    def select() -> None:
        places = st.session_state[name].selection.rows
        picked = {shown[place] for place in places}
        kept = [key for key in st.session_state[SHOW] if key not in shown or key in picked]
        st.session_state[SHOW] = [
            *kept,
            *(key for key in shown if key in picked and key not in kept),
        ][:KEYS]

    st.dataframe(
        frame,
        key=name,
        hide_index=True,
        height=min(35 * (len(fitting) + 1) + 3, 248),
        on_select=select,
        selection_mode="multi-row",
        selection_default={"selection": {"rows": [shown.index(k) for k in keys if k in shown]}},
        column_config={
            "Page": st.column_config.LinkColumn(
                help="Opens the page that shows the result, in a new tab.", display_text=r"^(\w+)\?"
            )
        },
        alt=f"{len(fitting)} stored results; choose rows to draw them on one axis",
    )


def _chosen_sentence(keys: list[str], hidden: list[str]) -> str:
    if not keys:
        return "Choose rows to draw them; barriers share one axis."
    also = f", {len(hidden)} of them not in the table as filtered" if hidden else ""
    return f"**{len(keys)}** chosen{also}."


def _actions(picked: list[Row]) -> None:
    """Put the chosen results into a study, write a note, delete."""
    with st.container(horizontal=True):
        with st.popover("Put into a study", icon=":material/playlist_add:"):
            _put(picked)
        if len(picked) == 1:
            with st.popover("Name and note", icon=":material/edit_note:"):
                _describe(picked[0])
        with st.popover("Delete", icon=":material/delete:"):
            _delete(picked)


def _put(picked: list[Row]) -> None:
    known = {study.name: study.title for study in studies().list()}
    with st.form(f"{KEY}_put", border=False):
        st.selectbox(
            "Study",
            ["", *known],
            key=f"{KEY}_put_into",
            format_func=lambda name: known.get(name, NEW),
        )
        st.text_input("Title of a new study", key=f"{KEY}_put_name", max_chars=200)
        st.text_input(
            "Title of the picture",
            key=f"{KEY}_put_title",
            placeholder=picked[0].between,
            max_chars=200,
        )
        st.text_area(
            "Note",
            key=f"{KEY}_put_note",
            value=notes().get(picked[0].key) if len(picked) == 1 else "",
        )
        keys = tuple(row.key for row in picked)
        st.form_submit_button("Put in", type=messages.strong(), on_click=_callback(_put_in, keys))


def _put_in(keys: tuple[str, ...]) -> None:
    given = {
        name: st.session_state[f"{KEY}_put_{name}"] or ""
        for name in ("into", "name", "title", "note")
    }
    own = names().all()
    labels = tuple(_labels(found(list(keys)))) if any(key in own for key in keys) else ()
    entry = Entry(
        keys=keys, title=given["title"].strip(), note=given["note"].strip(), labels=labels
    )
    folder = studies()
    if given["into"]:
        study = folder.update(given["into"], lambda study: study.with_entry(entry))
    else:
        study = folder.create(given["name"].strip() or "My study", entries=(entry,))
    st.session_state[f"{KEY}_said"] = (
        f"Put into the study \u201c{study.title}\u201d, which has {len(study.entries)} "
        f"{'picture' if len(study.entries) == 1 else 'pictures'} now."
    )


def _describe(row: Row) -> None:
    """Name a result, in the table and in figures, and write a note on it."""
    name, note = (f"{KEY}_{what}_{row.key[:SHORT]}" for what in ("name", "note"))

    def keep() -> None:
        names().set(row.key, " ".join((st.session_state[name] or "").split()))
        notes().set(row.key, st.session_state[note] or "")

    with st.form(f"{KEY}_describe", border=False):
        st.text_input(
            f"Name of {row.setting}, {row.between}",
            value=names().get(row.key),
            placeholder=row.setting,
            max_chars=LABEL,
            key=name,
        )
        st.text_area("Note", value=notes().get(row.key), key=note)
        st.form_submit_button(
            "Keep", type=messages.strong(), on_click=_callback(keep, said="Kept.")
        )


def _delete(picked: list[Row]) -> None:
    own = [row for row in picked if not row.shipped]
    if not own:
        st.markdown("These came with the app and stay; only your own results can be deleted.")
        return
    used = {study.title for study in studies().list() if set(study.keys) & {row.key for row in own}}
    st.markdown(
        "\n".join(f"- {row.setting}, {row.between}" for row in own[:8])
        + ("\n- \u2026" if len(own) > 8 else "")
    )
    if used:
        titles = ", ".join(f"\u201c{title}\u201d" for title in sorted(used))
        st.markdown(f"Shown in {titles}, which will lack them.")
    if len(own) < len(picked):
        st.markdown(f"The other {len(picked) - len(own)} came with the app and stay.")
    count = f"{len(own)} results" if len(own) > 1 else "this result"
    st.button(
        f"Delete {count}",
        key=f"{KEY}_delete",
        type=messages.strong(),
        on_click=_callback(delete_results, [row.key for row in own]),
    )


def _callback(
    action: Callable[..., object], *arguments: object, said: str = ""
) -> Callable[[], None]:
    return lambda: act(action, *arguments, said=said)
