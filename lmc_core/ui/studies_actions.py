"""What can be done with the chosen results: name them, note something, put them into a study,
delete them.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from lmc_core.figures.panel import label_stored
from lmc_core.figures.text import distinguish
from lmc_core.numbers import count_words
from lmc_core.runs.result import Result
from lmc_core.studies.index import Row
from lmc_core.studies.study import LABEL, Entry
from lmc_core.ui import messages
from lmc_core.ui.studies_data import KEY, SHORT, act, delete_results, found, names, notes, studies

NEW = "a new study"


def label_results(results: list[Result]) -> list[str]:
    """What results are called in figures: by their own names, else by what tells them apart."""
    own = names().all()
    usual = label_stored(results)
    named = zip(results, usual, strict=True)
    return distinguish([own.get(each.key, label) for each, label in named])


def show_actions(picked: list[Row]) -> None:
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
    labels = tuple(label_results(found(list(keys)))) if any(key in own for key in keys) else ()
    entry = Entry(
        keys=keys, title=given["title"].strip(), note=given["note"].strip(), labels=labels
    )
    folder = studies()
    if given["into"]:
        study = folder.update(given["into"], lambda study: study.with_entry(entry))
    else:
        study = folder.create(given["name"].strip() or "My study", entries=(entry,))
    st.session_state[f"{KEY}_said"] = (
        f"Put into the study \u201c{study.title}\u201d, which now has "
        f"{count_words(len(study.entries), 'picture')}."
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
