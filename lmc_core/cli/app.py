"""`lmc app`, or `lmc` alone: open the app."""

from __future__ import annotations

import argparse

from lmc_core.server.launch import launch


def run(arguments: argparse.Namespace) -> int:
    """Serve the app on 127.0.0.1 until Ctrl-C; returns the exit code."""
    return launch(
        port=arguments.port,
        browser=not arguments.no_browser,
        read_only=arguments.read_only or arguments.audience,
        hosts=arguments.allow_host,
        executor=arguments.executor,
    )
