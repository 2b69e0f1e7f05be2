"""Experts: all orders of the experts of two mixtures, what pairs of experts cost, and where the
tokens go.
"""

import streamlit as st

from lmc_core.figures.orders import named_table
from lmc_core.runs.requests.orders import OrdersNumbers, OrdersRequest
from lmc_core.ui import (
    address,
    catalogue,
    controls,
    cost,
    experts_controls,
    experts_view,
    links,
    messages,
)
from lmc_core.ui.panels import show_table
from lmc_core.ui.requests import make_barrier
from lmc_core.ui.status import Line, find_missing, show_status

KEY = "experts"

known = experts_controls.find_mixtures(catalogue.models())
st.title("Orders of experts", anchor=False)
st.markdown(
    "Experts are numbered at random: the same function can be stored in any order. **The gap "
    "between \u201cas numbered\u201d and \u201cexact\u201d** is what sorting them gains."
)
if len(known) < 2:
    st.info(
        "This page compares two mixtures of experts, and there are fewer than two. `lmc train "
        "--list` names the recipes that "
        "make them; models without experts belong on the page Barrier."
    )
    address.stop()

places = controls.divide_sidebar()
with places.first:
    pair = controls.choose_pair(known, KEY)
    with messages.refusing():
        rest, setting = experts_controls.choose_rest(pair, KEY)
with places.more:
    task = controls.choose_task(pair, known, KEY)
    split, examples, points = controls.choose_accuracy(
        KEY, experts_controls.EXAMPLES, experts_controls.POINTS, experts_controls.SPLIT
    )

with messages.refusing():
    alone = make_barrier(pair, setting, split, examples, points, task)
    line: Line[OrdersNumbers] = Line.read("All orders", OrdersRequest.of(alone, points=points))
    note = cost.note(find_missing([line]), experts_controls.amount(pair[0], points))
    show_status([line], KEY, note, noun="result", button=places.run)

state = {
    "a": pair[0]["name"],
    "b": pair[1]["name"],
    "rest": rest,
    "method": setting.method,
    "task": task,
    "split": split,
    "examples": str(examples or "all"),
    "points": str(points),
}
result = line.result
if result is None:
    address.write(state | {name: st.query_params.get(name) for name in ("layer", "order")})
    experts_view.show_empty([row["name"] for row in pair], split, KEY)
    address.stop()

fan = experts_controls.choose_fan(result, KEY)
experts_view.show_fan(result, fan, KEY)
links.show_views(KEY, pair, setting, {"task": task, "split": split})
experts_view.show_facts(result)
st.header("Every order", anchor=False)
experts_view.show_ranks(result, KEY)
st.header("Cost of matching two experts", anchor=False)
experts_view.show_costs(result, fan, KEY)
st.header("Routing of tokens", anchor=False)
experts_view.show_routing(result, fan, KEY)
with st.expander("Numbers"):
    show_table(named_table(result), columns=2)
experts_view.show_downloads(result, fan, KEY)
address.write(
    state | {"layer": st.session_state[f"{KEY}_layer"], "order": st.session_state[f"{KEY}_order"]}
)
