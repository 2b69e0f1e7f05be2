"""`lmc app`, or `lmc` alone: open the app."""

from __future__ import annotations

import argparse

from lmc_core.server.entrance import Asked
from lmc_core.server.launch import launch


def run(arguments: argparse.Namespace) -> int:
    """Serve the app until Ctrl-C, on this machine alone unless an address is named; returns the
    exit code.
    """
    return launch(
        port=arguments.port,
        browser=not arguments.no_browser,
        read_only=arguments.read_only or arguments.audience,
        hosts=arguments.allow_host,
        executor=arguments.executor,
        asked=Asked(
            address=arguments.address,
            base_path=arguments.base_path,
            token_file=arguments.token_file,
            no_token=arguments.no_token,
        ),
    )
