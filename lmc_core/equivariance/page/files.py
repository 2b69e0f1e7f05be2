"""What the page Equivariance gives away: numbers, pictures, and a trained network with the lines
that load it.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import streamlit as st
from safetensors.numpy import save

from lmc_core.equivariance.figures.data import Run
from lmc_core.equivariance.page.pictures import Picture
from lmc_core.figures.export import figure_html, page_html, results_json, svg
from lmc_core.figures.style import Theme
from lmc_core.figures.tables import Table
from lmc_core.numbers import estimate, number, percent, seconds
from lmc_core.ui.panels import File, show_files, show_numbers, svg_files, theme

COLUMNS = {
    "Network": "Its form of the constraint, and whatever else differs between the runs.",
    "Loss (nats)": "Mean cross-entropy of the held-out examples at the end, ± one standard error "
    "(an orbit counts as one).",
    "Projected (nats)": "The same of the projection, γ = 0: every weight is averaged over the "
    "group, nothing is trained again.",
    "Accuracy": "Share of the held-out examples that the network gets right at the end.",
    "Projected": "The same of the projection, γ = 0.",
    "Equivariance error": "Root mean square change of the outputs when the input is moved, as a "
    "share of how far outputs of "
    "different inputs are apart. No unit; 0 is equivariant.",
    "Time": "To train and to measure, on the machine that computed it.",
}
HELP = {
    "csv": "One row for every network.",
    "json": "Everything that is known about these runs, without arrays.",
    "html": "One file with the pictures, their captions and numbers that opens in any browser, "
    "offline.",
    "svg": "The lesson's picture for a paper.",
    "safetensors": "The weights at the end, an ordinary state dict.",
}
WEIGHTS = "weights."


def show_summary(runs: Sequence[Run], key: str) -> None:
    """Show one row for every finished run; the heads of the columns say on hover what they mean."""
    if not runs:
        return
    rows = [
        (
            run.label,
            *(estimate(run.score(name), run.score(name, "stderr")) for name in ("on", "off")),
            *(percent(run.score(name, "accuracy")) for name in ("on", "off")),
            number(run.facts["error_on"], digits=2),
            seconds(sum(run.facts["seconds"].values())),
        )
        for run in runs
    ]
    configs = {name: st.column_config.TextColumn(help=told) for name, told in COLUMNS.items()}
    st.dataframe(
        pd.DataFrame(rows, columns=list(COLUMNS)),
        hide_index=True,
        key=f"{key}_summary",
        column_config=configs,
        alt=f"What {len(rows)} networks reach",
    )


def summary_table(runs: Sequence[Run]) -> Table:
    """One row for every run, numbers in full."""
    scores = [
        f"{branch}_{value}" for branch in ("on", "off") for value in ("loss", "stderr", "accuracy")
    ]
    asked = (
        "source",
        "kind",
        "group",
        "network",
        "form",
        "augmented",
        "price",
        "primal_rate",
        "dual_rate",
        "steps",
        "examples",
    )
    header = ("run", *asked, "split", "seed", *scores, "error_on", "error_off")
    return Table.of(
        header,
        (
            (
                run.label,
                *(run.facts[name] for name in (*asked, "split", "seed")),
                *(
                    run.facts[branch][value]
                    for branch in ("on", "off")
                    for value in ("loss", "stderr", "accuracy")
                ),
                run.facts["error_on"],
                run.facts["error_off"],
            )
            for run in runs
        ),
    )


def show_tables(pictures: Sequence[Picture], key: str) -> None:
    """Show the table behind one of the pictures."""
    known = {picture.name: picture for picture in pictures}
    name = f"{key}_table"
    if st.session_state.get(name) not in known:
        st.session_state[name] = next(iter(known))
    st.selectbox(
        "Behind the picture", list(known), format_func=lambda each: known[each].title, key=name
    )
    chosen = known[st.session_state[name]]
    show_numbers(chosen.table, f"{key}_behind", f"equivariance-{chosen.name}")


def show_downloads(runs: Sequence[Run], pictures: Sequence[Picture], key: str) -> None:
    """Offer the runs as CSV, JSON, a page that opens offline, and SVG where a browser can draw
    it.
    """
    current = theme()
    results = [dict(run.facts) for run in runs]
    files = [
        File("CSV", "csv", lambda: summary_table(runs).csv(), HELP["csv"]),
        File("JSON", "json", lambda: results_json(results), HELP["json"]),
        File("HTML", "html", lambda: page(pictures, results, current), HELP["html"]),
        *svg_files(File("SVG", "svg", lambda: svg(pictures[0].draw("paper")), HELP["svg"])),
    ]
    show_files(files, "equivariance", key)


def page(
    pictures: Sequence[Picture], results: Sequence[Mapping[str, object]], ground: Theme
) -> str:
    """Return a page with all pictures, their captions and the results."""
    parts = []
    for place, picture in enumerate(pictures):
        drawn = figure_html(picture.draw(ground), library=place == 0, name=picture.name)
        said = html.escape(picture.caption)
        parts.append(
            f"<h2>{html.escape(picture.title)}</h2>\n<figure>\n{drawn}\n"
            f"<figcaption>{said}</figcaption>\n</figure>"
        )
    return page_html("Equivariance", "\n".join(parts), results, ground)


def show_network(run: Run, key: str) -> None:
    """Offer the trained network of a run, with the lines that load it."""
    st.caption(
        f"One network, {run.label}, in its own class with its weights at the end, and the lines "
        "that load it:"
    )
    st.download_button(
        "Network",
        lambda: network_file(run.arrays),
        file_name(run),
        "application/octet-stream",
        on_click="ignore",
        key=f"{key}_safetensors",
        icon=":material/download:",
        help=HELP["safetensors"],
    )
    # colours lack contrast; what scrolls, no key reaches
    st.code(loading_code(run), language=None, wrap_lines=True)


def file_name(run: Run) -> str:
    """What the file of a network is called."""
    parts = [run.facts[name] for name in ("network", "source", "kind", "group", "form")]
    return f"{'-'.join(map(str, parts))}-s{run.facts['seed']}.safetensors"


def network_file(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The weights at the end as a safetensors file."""
    return save(
        {
            name.removeprefix(WEIGHTS): np.ascontiguousarray(a)
            for name, a in arrays.items()
            if name.startswith(WEIGHTS)
        }
    )


def loading_code(run: Run) -> str:
    """Lines of Python that make the network of a run from its file."""
    facts = run.facts
    return (
        "from safetensors.torch import load_file\n"
        "from lmc_core.equivariance.data import domain_of\n"
        "from lmc_core.equivariance.groups import group\n"
        "from lmc_core.equivariance.networks import build\n\n"
        f'network, _ = build("{facts["network"]}", domain_of("{facts["source"]}", '
        f'group("{facts["group"]}")), seed=0)\n'
        f'network.load_state_dict(load_file("{file_name(run)}"))'
    )
