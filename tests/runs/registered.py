"""What workers import (`LMC_IMPORTS`) to know the fake computation."""

from tests.runs import fakes

fakes.register()
