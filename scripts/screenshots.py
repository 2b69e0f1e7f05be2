"""Take pictures of every page at two sizes, in light and dark, and on a phone, into
docs/screenshots.

    python scripts/screenshots.py [--out DIR] [--only NAME]

Needs the extra `test` and a chromium. Shipped results are shown; nothing is computed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from lmc_core.server.launch import serving
from lmc_core.ui.pages import there

ROOT = Path(__file__).resolve().parents[1]
WITH = (
    "weight.residual-permutation.units-permutation.heads-permutation.query-key-none.value-output-none",
    "weight.residual-orthogonal.units-permutation.heads-permutation.query-key-invertible.value-output-invertible",
)
CHOSEN = {  # what a page shows beside its first state
    "barrier": f"?method=learned&with={WITH[0]}&with={WITH[1]}",
    "lecture": "?step=8&answer=1&units=1&heads=1&residual=orthogonal&planes=1",
}
PAGES = {name: ("/" if name == "start" else f"/{name}") + CHOSEN.get(name, "") for name in there()}
SIZES = {"1280": (1280, 800), "1920": (1920, 1080), "phone": (390, 844)}
MOBILE = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36"
LIMIT = 120_000  # milliseconds until a page is drawn


def main() -> int:
    """Start a server, take the pictures, end the server."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "screenshots")
    parser.add_argument("--only", choices=PAGES)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as home,
        serving({"LMC_HOME": os.environ.get("LMC_HOME", home)}, 8700) as address,
    ):
        take(address, options.out, options.only)
    return 0


def take(address: str, folder: Path, only: str | None) -> None:
    """Visit every page in every size and colour scheme."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = shutil.which("chromium")
        arguments = ["--headless", "--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        for name, page_path in PAGES.items():
            if only not in (None, name):
                continue
            for size, (width, height) in SIZES.items():
                for scheme in ("light", "dark"):
                    context = browser.new_context(
                        viewport={"width": width, "height": height},
                        color_scheme=scheme,
                        user_agent=MOBILE if size == "phone" else None,
                    )
                    page = context.new_page()
                    page.goto(address + page_path)
                    page.wait_for_selector(
                        "[data-testid=stApp][data-test-script-state=notRunning]", timeout=LIMIT
                    )
                    page.wait_for_selector("h1", timeout=LIMIT)
                    page.wait_for_function(
                        "!document.querySelector('[data-testid=stSkeleton]')", timeout=LIMIT
                    )
                    # a chart follows the picture that stands for it
                    page.wait_for_function(
                        "!document.querySelector('.st-key-at_once:not(:has(.main-svg .trace))')",
                        timeout=LIMIT,
                    )
                    page.wait_for_function("document.fonts.ready.then(() => true)")
                    # colours that still fade in are taken to their end
                    file = folder / f"{name}-{size}-{scheme}.png"
                    page.screenshot(path=file, animations="disabled")
                    context.close()
        browser.close()


if __name__ == "__main__":
    raise SystemExit(main())
