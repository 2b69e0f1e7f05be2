"""Compute what every page shows on a first visit, as a person would: open it, press its buttons,
wait; then ship the results.

    python scripts/ship_results.py [--only PAGE] [--out assets/results] [--home DIR]

Needs the extra `test` and a chromium. With --home an interrupted run goes on where it was. Old
shipped results of the same keys are replaced; what no page asks for any more is left, and has to be
removed by hand.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lmc_core.equivariance.page.presets import PRESETS
from lmc_core.runs.store import Store
from lmc_core.server.launch import ADDRESS, answers, command, free_port

ROOT = Path(__file__).resolve().parents[1]
VISITS = {  # page -> addresses whose first view should not be empty
    "barrier": ["/barrier", "/barrier?method=learned"],
    "alignment": ["/alignment"],
    "landscape": ["/landscape"],
    "merge": ["/merge"],
    "experts": ["/experts"],
    "widths": ["/widths"],
    "equivariance": [f"/equivariance?preset={name}" for name in PRESETS],
}
LIMIT = 600_000  # milliseconds that one computation may take


def main() -> int:
    """Start a server, visit the pages, copy what was computed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", choices=VISITS, action="append")
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "results")
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = options.home or Path(temporary)
        port = free_port(8750)
        environment = {**os.environ, "LMC_HOME": str(home)}
        server = subprocess.Popen(command(port), env=environment, stdout=subprocess.DEVNULL)
        try:
            while not answers(f"http://{ADDRESS}:{port}"):
                if server.poll() is not None:
                    print("The server ended before it answered.", file=sys.stderr)
                    return 1
                time.sleep(0.2)
            for page in options.only or VISITS:
                for path in VISITS[page]:
                    compute(f"http://{ADDRESS}:{port}{path}")
        finally:
            server.terminate()
            server.wait()
        copy(home, options.out)
    return 0


def compute(address: str) -> None:
    """Press every button that computes something and wait until nothing is missing."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--headless", "--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=arguments
        )
        page = browser.new_page(viewport={"width": 1280, "height": 2000})
        page.set_default_timeout(LIMIT)
        page.goto(address)
        while True:
            page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
            page.wait_for_selector("h1")
            page.wait_for_timeout(1500)
            running = page.get_by_role("progressbar").count()
            wanted = page.locator("[data-testid=stBaseButton-primary]:not([disabled])")
            if running:
                page.wait_for_timeout(2000)
            elif wanted.count():
                print(f"{address}: {wanted.first.inner_text()}", flush=True)
                wanted.first.click()
            else:
                break
        browser.close()


def copy(home: Path, out: Path) -> None:
    """Copy every result of a home into the folder of shipped ones."""
    for entry in Store(home / "results").list():
        if not entry.shipped:
            target = out / entry.key
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(entry.folder, target)
            total = sum(file.stat().st_size for file in target.iterdir())
            print(f"{entry.request['what']:10} {entry.key[:12]} {total / 1e6:6.2f} MB")


if __name__ == "__main__":
    raise SystemExit(main())
