"""`lmc report STUDY`: a study as one HTML file, as a folder for a paper, or as an archive for
another installation.
"""

from __future__ import annotations

import argparse
import io
import os
import secrets
import sys
from pathlib import Path

from lmc_core.cli.output import check_target, print_json, table
from lmc_core.cli.progress import ProgressBar
from lmc_core.cli.results import find_result
from lmc_core.errors import BadInput, UnknownName
from lmc_core.figures.panel import headline
from lmc_core.runs.store import Store
from lmc_core.studies.archive import write_archive
from lmc_core.studies.gather import find_missing, gather
from lmc_core.studies.html import study_html
from lmc_core.studies.paper import write_folder
from lmc_core.studies.store import Studies
from lmc_core.studies.study import Entry, Study
from lmc_core.studies.unpack import read_archive


def run(arguments: argparse.Namespace) -> None:
    """List, import, or add to a study and write what was asked for."""
    store, studies = Store(), Studies()
    writes = [arguments.html, arguments.folder, arguments.archive]
    if arguments.source is not None:
        if arguments.study or arguments.add or any(writes):
            raise BadInput("--import stands alone; ask for the report in a second command.")
        return import_archive(arguments.source, store, studies, arguments.json)
    if arguments.list or arguments.study is None:
        if any(writes) or arguments.add:
            raise BadInput("A report needs the name of a study; `lmc report --list` names them.")
        return list_studies(studies, arguments.json)
    check_target(arguments.html, "--html")
    check_target(arguments.archive, "--archive")
    study = (
        add(arguments.study, arguments.add, arguments.note, store, studies)
        if arguments.add
        else None
    )
    study = study or studies.find(arguments.study)
    made = write(study, store, arguments)
    if arguments.json:
        return print_json({**study.to_json(), **made})
    if not any(writes):
        print(contents(study, store))


def write(study: Study, store: Store, arguments: argparse.Namespace) -> dict[str, str]:
    """Write the files that were asked for; says what was written, and what is missing in them, on
    standard error.
    """
    made: dict[str, str] = {}
    absent: list[str] = []
    if arguments.html is not None:
        text, _ = study_html(study, store, arguments.theme)
        put(arguments.html, text.encode())
        made["html"] = str(arguments.html)
    if arguments.folder is not None:
        with ProgressBar() as bar:
            write_folder(study, store, arguments.folder, bar.report)
        made["folder"] = str(arguments.folder)
    if arguments.archive is not None:
        buffer = io.BytesIO()
        absent = write_archive(study, store, buffer)
        put(arguments.archive, buffer.getvalue())
        made["archive"] = str(arguments.archive)
    for place in made.values():
        print(f"Wrote {place}.", file=sys.stderr)
    missing = [*find_missing(gather(study, store)), *absent] if made else []
    if missing:
        left = ", ".join(dict.fromkeys(key[:12] for key in missing))
        print(f"Not stored here, or of a newer version, and left out: {left}.", file=sys.stderr)
    return made


def put(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all."""
    draft = path.with_name(f".{path.name[:60]}-{secrets.token_hex(4)}")
    try:
        draft.write_bytes(data)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def add(name: str, keys: list[str], note: str, store: Store, studies: Studies) -> Study:
    """Put results on one axis into a study, which is begun if there is none of that name or
    title.
    """
    stored = store.list()
    found = [find_result(stored, text).key for text in keys]
    entry = Entry(keys=tuple(dict.fromkeys(found)), note=note)
    try:
        there = studies.find(name)
    except UnknownName:
        return studies.create(name, entries=(entry,))
    return studies.update(there.name, lambda study: study.with_entry(entry))


def import_archive(path: Path, store: Store, studies: Studies, as_json: bool) -> None:
    """Take in an archive, and say what came of it."""
    if not path.is_file():
        raise BadInput(f"--import expects an archive; there is no file {str(path)!r}.")
    with path.open("rb") as file:
        done = read_archive(file, store, studies)
    if as_json:
        return print_json(
            {
                **done.study.to_json(),
                "added": list(done.added),
                "kept": list(done.kept),
                "mended": list(done.mended),
            }
        )
    kept = f"; {len(done.kept)} were here already" if done.kept else ""
    print(
        f"Imported the study {done.study.name!r} with {len(done.added)} new results{kept}. Every "
        "hash was right."
    )
    if done.mended:
        print(
            "Numbers that did not follow from their own arrays were recomputed: "
            f"{', '.join(k[:12] for k in done.mended)}."
        )


def list_studies(studies: Studies, as_json: bool) -> None:
    """Print all studies."""
    found = studies.list()
    if as_json:
        return print_json([study.to_json() for study in found])
    if not found:
        return print(
            'There is no study yet; `lmc report "My title" --add KEY` begins one, or the page '
            "Studies of the app."
        )
    rows = [
        (
            study.name,
            study.title,
            str(len(study.entries)),
            str(len(study.keys)),
            study.changed[:16].replace("T", " "),
        )
        for study in found
    ]
    print(table(("name", "title", "pictures", "results", "changed (UTC)"), rows, left=2))


def contents(study: Study, store: Store) -> str:
    """What a study shows, in words."""
    lines = [study.title, *([study.note] if study.note else [])]
    for index, each in enumerate(gather(study, store), 1):
        lines += [
            "",
            f"{index}. {each.title}",
            *([f"   {each.entry.note}"] if each.entry.note else []),
        ]
        for label, found in zip(each.labels, each.found, strict=True):
            came = " (imported from an archive; not computed here)" if found.imported else ""
            lines.append(
                f"   {found.key[:12]}  {label}: "
                f"{headline(str(found.request.get('what')), found.result)[0]}{came}"
            )
        lines += [f"   {key[:12]}  not stored here" for key in each.missing]
    return "\n".join(lines)
