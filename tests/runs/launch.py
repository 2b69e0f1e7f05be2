"""Starts a worker that also knows the fake computation."""

from lmc_core.runs import worker
from tests.runs import fakes

fakes.register()
raise SystemExit(worker.main())
