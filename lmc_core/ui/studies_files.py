"""Taking a study away as files, and taking in an archive."""

from __future__ import annotations

import io
from collections.abc import Sequence

import streamlit as st

from lmc_core.figures.drawing import missing_tools
from lmc_core.runs.store import Store
from lmc_core.studies.archive import LIMITS, write_archive
from lmc_core.studies.gather import Shown
from lmc_core.studies.html import study_html
from lmc_core.studies.paper import zipped
from lmc_core.studies.study import Study
from lmc_core.studies.unpack import read_archive
from lmc_core.ui import backend
from lmc_core.ui.panels import theme
from lmc_core.ui.studies_data import KEY, act, studies


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
