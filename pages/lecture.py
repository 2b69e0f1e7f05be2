"""Lecture: eleven steps for a hall, one idea each, a question before the answer, a picture that can
be touched.
"""

import pandas as pd
import streamlit as st

from lmc_core.errors import LmcError
from lmc_core.lecture.figures.canvas import Look
from lmc_core.lecture.page import state
from lmc_core.lecture.page.frame import picture_height, scale_of, show_bar
from lmc_core.lecture.page.pictures import PICTURES, Picture
from lmc_core.lecture.page.slide import show_fact, show_slide
from lmc_core.lecture.steps import STEPS
from lmc_core.ui import messages
from lmc_core.ui.panels import show_figure, theme

state.prepare()
at, answered = state.where()
step, controls = STEPS[at], state.Controls(STEPS[at].key)
words = st.container()
left, right = st.columns([1.2, 4], gap="medium")
picture: Picture | None = None
try:
    with left:
        picture = PICTURES[step.key](controls)
        for number, (label, value) in enumerate(picture.facts):
            show_fact(label, value if answered else "?", f"{step.key}_{number}")
except LmcError as error:
    right.error(messages.sentence(error), icon=":material/error:")
with words:
    name = f"{at + 1} of {len(STEPS)}  \u00b7  {step.name}"
    answer = step.answered(picture.numbers) if picture and answered else ""
    window = show_slide(name, step.question, answer, state.turn)
if picture:
    look = Look(
        theme(),
        scale_of(window),
        picture_height(window, bool(st.session_state[state.NOTES])),
        answered,
    )
    key = f"lecture_{step.key}_figure"
    show_figure(picture.draw(look), key, picture.alt, right, bar=False)
show_bar(
    at,
    answered,
    step.spoken(picture.numbers) if picture else "",
    pd.DataFrame(picture.table if picture else []),
)
state.remember(controls.values)
