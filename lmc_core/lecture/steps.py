"""The steps of the lecture in their order."""

from __future__ import annotations

from lmc_core.lecture.steps_between import BETWEEN
from lmc_core.lecture.steps_within import WITHIN

STEPS = (*WITHIN, *BETWEEN)
BY_KEY = {step.key: step for step in STEPS}
