"""The barrier's page, second half: which part of the network costs what, setting by setting."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from lmc_core.figures.export import CONFIG
from lmc_core.figures.layers import layers_caption, layers_figure
from lmc_core.numbers import estimate, number
from lmc_core.ui import backend, cost, curves, status

FIELDS = {"cost": "Averaged", "swap": "Replaced"}


def show_parts(lines: Sequence[status.Curve], key: str) -> None:
    """Show bars for every part of the network, one for each setting of the figure, with the button
    that computes them.

    Args:
        lines: the curves of the page.
        key: prefix of the widgets' keys.
    """
    name = f"{key}_parts"
    found = []
    for line in lines:
        request = backend.layers_of(line.request)
        found.append(status.Curve(line.label, request, backend.stored(request)))
    missing = [each.request for each in found if each.result is None]
    status.show_status(
        found,
        name,
        cost.note(missing),
        noun="setting",
        verbs=("Measure the parts", "Stop measuring"),
    )
    results = [each.result for each in found if each.result is not None]
    labels = [each.label for each in found if each.result is not None]
    if not results:
        st.caption(
            "One part at a time goes half way to the other model while all others stay: the "
            "input, attention and feed-forward "
            "of each layer, the output."
        )
        return
    st.segmented_control(
        "Each part is",
        list(FIELDS),
        format_func=FIELDS.__getitem__,
        default="cost",
        required=True,
        key=f"{name}_field",
        help="Averaged with the other model's part, or replaced by it.",
    )
    field = st.session_state[f"{name}_field"]
    worst = [max(zip(r[field], r["parts"], strict=True)) for r in results]
    spoken = "; ".join(
        f"{label}: most for {part}, {number(value)} nats"
        for label, (value, part) in zip(labels, worst, strict=True)
    )
    st.plotly_chart(
        layers_figure(results, curves.theme(), labels, field=field),
        theme=None,
        config=CONFIG,
        key=f"{name}_figure",
        alt=f"Rise of the loss part by part. {spoken}.",
    )
    st.caption(layers_caption(results, labels))
    with st.expander("Numbers"):
        parts = list(dict.fromkeys(part for result in results for part in result["parts"]))
        columns = {}
        for label, result in zip(labels, results, strict=True):
            values = zip(result["parts"], result[field], result[f"{field}_stderr"], strict=True)
            known = {part: estimate(value, error) for part, value, error in values}
            columns[f"{label} (nats)"] = [known.get(part, "the same in both") for part in parts]
        st.table(pd.DataFrame(columns, index=pd.Index(parts, name="Part")), border="horizontal")
