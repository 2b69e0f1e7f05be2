"""`lmc worker`: compute what is waiting in the job table, in this process."""

from __future__ import annotations

import argparse

from lmc_core.errors import BadInput, UnknownName
from lmc_core.limits import require_numbers
from lmc_core.runs.request import DEVICES
from lmc_core.runs.worker import main


def run(arguments: argparse.Namespace) -> int:
    """Work until nothing came for a while; returns the exit code."""
    if arguments.device not in DEVICES:
        raise UnknownName.of("device", arguments.device, DEVICES)
    require_numbers(idle=arguments.idle)
    if arguments.idle < 0:
        raise BadInput(f"--idle expects 0 seconds or more; {arguments.idle:g} came.")
    return main(["--device", arguments.device, "--idle", str(arguments.idle)])
