"""Every stored result as a table that is searched and filtered; the chosen ones on one axis, and
what can be done with them.
"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lmc_core.errors import LmcError
from lmc_core.figures.panel import kind_name, panels
from lmc_core.runs.result import digest
from lmc_core.studies.index import Row, chosen
from lmc_core.studies.study import KEYS
from lmc_core.ui import address, backend, messages
from lmc_core.ui.links import show_link, url
from lmc_core.ui.options import Option
from lmc_core.ui.pages import PAGES
from lmc_core.ui.panels import show_panel, start_charts, theme
from lmc_core.ui.studies_actions import label_results, show_actions
from lmc_core.ui.studies_data import KEY, SHORT, found, homes, names, notes, said

ANY = "any"
SHOW = f"{KEY}_show"
FILTERS = {"what": "Computation", "models": "Model", "task": "Task", "method": "Method"}
HEIGHT = 400  # pixels of a figure


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
    top = st.container()
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
        start_charts()
        return
    try:
        results = found(keys)
        labels = label_results(results)
        for index, panel in enumerate(panels(results, labels, theme(), HEIGHT)):
            show_panel(panel, f"{KEY}_panel_{index}", top)
    except LmcError as error:
        st.error(messages.sentence(error), icon=":material/error:")
        return
    picked = [row for key in keys for row in table if row.key == key]
    _show_pages(picked)
    if not backend.read_only():
        show_actions(picked)


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
            "Page": [url(*pages[row.key]) if row.key in pages else None for row in fitting],
            **({"Name": [own.get(row.key, "") for row in fitting]} if own else {}),
            "Models": [row.between for row in fitting],
            "Setting": [row.setting for row in fitting],
            "Result": [row.number for row in fitting],
            "Task": [f"{row.task} ({row.split})" if row.split else row.task for row in fitting],
            "Computation": [row.kind for row in fitting],
            "Examples": [row.examples for row in fitting],
            "Computed": [row.date[:16].replace("T", " ") for row in fitting],
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
