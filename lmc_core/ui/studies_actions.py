"""What is done with stored results and studies: results are named, noted, put into a study and
deleted; a study is taken away as files, and an archive is taken in.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import streamlit as st

from lmc_core.figures.drawing import missing_tools
from lmc_core.figures.panel import label_stored
from lmc_core.figures.text import distinguish
from lmc_core.numbers import count_words
from lmc_core.runs.result import Result
from lmc_core.runs.store import Store
from lmc_core.studies.archive import LIMITS, write_archive
from lmc_core.studies.gather import Shown
from lmc_core.studies.html import study_html
from lmc_core.studies.index import Row
from lmc_core.studies.paper import zipped
from lmc_core.studies.study import LABEL, Entry, Study
from lmc_core.studies.unpack import read_archive
from lmc_core.ui import backend, messages
from lmc_core.ui.panels import theme
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


def show_exports(study: Study, shown: Sequence[Shown]) -> None:
    """Offer the study as a page, as files for a paper, and as an archive; made when they are asked
    for.
    """
    current = theme()
    off = not any(each.found for each in shown)
    missing = missing_tools()

    def page() -> str:
        return study_html(study, Store(), current)[0]

    def archive() -> bytes:
        buffer = io.BytesIO()
        write_archive(study, Store(), buffer)
        return buffer.getvalue()

    files = [
        (
            "Page",
            page,
            f"{study.name}.html",
            "text/html",
            "One HTML file that opens offline, data inside.",
        ),
        (
            "For a paper",
            lambda: zipped(study, Store(), draw=not missing),
            f"{study.name}.zip",
            "application/zip",
            f"{missing} CSV and captions can be had without."
            if missing
            else "SVG, PDF and PNG at the width of a page, CSV and captions; about a second for "
            "each figure.",
        ),
        (
            "Archive",
            archive,
            f"{study.name}.lmc.zip",
            "application/zip",
            "For another installation, which imports it and checks the hash of every file.",
        ),
    ]
    for label, make, name, mime, words in files:
        st.download_button(
            label,
            make,
            name,
            mime,
            on_click="ignore",
            key=f"{KEY}_{label}_{study.name}",
            icon=":material/download:",
            help=words,
            disabled=off,
        )
    if missing:
        st.caption(missing)


def show_import() -> None:
    """Take in an archive that was exported elsewhere; refused with a sentence when anything in it
    is not as exported.
    """
    if backend.read_only():
        return
    with st.expander("Import a study"):
        count = st.session_state.setdefault(f"{KEY}_uploads", 0)
        file = st.file_uploader(
            "Archive of a study",
            type="zip",
            key=f"{KEY}_upload_{count}",
            max_upload_size=LIMITS.archive >> 20,
            help="As written by Archive on a study's page or by `lmc report STUDY --archive "
            "FILE`. The hash of every file is "
            "checked: it says that nothing was changed since, not who computed it.",
        )
        st.button(
            "Import",
            key=f"{KEY}_import",
            disabled=file is None,
            on_click=lambda: act(_take_in, file),
        )


def _take_in(file: io.BytesIO) -> None:
    done = read_archive(file, Store(), studies())
    st.session_state[f"{KEY}_uploads"] += 1  # an empty box in the place of the full one
    st.session_state[f"{KEY}_view"], st.session_state[f"{KEY}_study"] = "studies", done.study.name
    kept = f"; {len(done.kept)} were here already" if done.kept else ""
    mended = (
        f" In {len(done.mended)} the numbers did not follow from the arrays; they do now."
        if done.mended
        else ""
    )
    st.session_state[f"{KEY}_said"] = (
        f"Imported {len(done.added)} new results{kept}. Every hash was right.{mended}"
    )
