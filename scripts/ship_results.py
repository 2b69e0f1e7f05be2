"""Compute what every page shows on a first visit, as a person would: open it, press its buttons,
wait; then ship the results.

    python scripts/ship_results.py [--only PAGE] [--out assets/results] [--home DIR]
    python scripts/ship_results.py --early [--out assets/early] [--home DIR]

With --early the first answers of the page Barrier are shipped for the first pair of every family
of the zoo: its curves on the first examples, with which a run goes on.

Needs the extra `test` and a chromium. With --home an interrupted run goes on where it was. Old
shipped results of the same keys are replaced; what no page asks for any more is left, and has to be
removed by hand.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import numpy as np

from lmc_core.analysis.block_means import block_edge, block_means
from lmc_core.equivariance.page.presets import PRESETS
from lmc_core.errors import Paused
from lmc_core.models.listing import listing
from lmc_core.runs.computation import COMPUTATIONS
from lmc_core.runs.kinds.barrier import make_request
from lmc_core.runs.partial import Unfinished, ship
from lmc_core.runs.remembered import read_kinds
from lmc_core.runs.requests.barrier import BarrierRequest
from lmc_core.runs.result import Result, digest, encode, to_bytes
from lmc_core.runs.store import Store
from lmc_core.server.launch import ADDRESS, answers, command, free_port
from lmc_core.ui.setting import PLAIN, Setting, all_classes, only_permutations

if __package__ in (None, ""):  # run as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from scripts.shrink_results import shrink, size  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
OTHERS = (  # a pair of every family, beside the one that pages show at first
    "vit-hf-fashion",
    "gpt2-plays",
    "llama-plays",
    "neox-plays",
    "mixtral-plays",
    "qwen-moe-plays",
)
VISITS = {  # page -> addresses whose first view should not be empty
    "barrier": ["/barrier", "/barrier?method=learned"],
    "alignment": ["/alignment", *[f"/alignment?a={each}-s0&b={each}-s1" for each in OTHERS]],
    "landscape": ["/landscape"],
    "merge": ["/merge"],
    "experts": ["/experts"],
    "widths": ["/widths"],
    "equivariance": [f"/equivariance?preset={name}" for name in PRESETS],
}
ACROSS = {  # pairs across optimisers, with examples that are measured on
    ("vit-fashion-s0", "vit-fashion-with-adamw-s1"): 1000,
    ("gpt2-plays-s0", "gpt2-plays-with-muon-s1"): 500,
}
STEPS = 400  # of learning between these
POINTS = 9  # of a first answer that is shipped
FIRST = ["vit-fashion-s0", "vit-fashion-s1"]  # its alignment keeps every coordinate
ROWS = 80  # of a heatmap of other pairs; at full size these would take 15 MB
LEVELS = 64  # between 0 and 1, of a cosine that is shipped: halves the files
LIMIT = 600_000  # milliseconds that one computation may take


def main() -> int:
    """Start a server, visit the pages, copy what was computed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", choices=VISITS, action="append")
    parser.add_argument("--early", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    out = options.out or ROOT / "assets" / ("early" if options.early else "results")
    if options.early:
        with tempfile.TemporaryDirectory() as temporary:
            os.environ["LMC_HOME"] = str(options.home or temporary)
            ship_early(out)
        return 0
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
                across = find_across() if page == "barrier" else []
                for path in [*VISITS[page], *across]:
                    compute(f"http://{ADDRESS}:{port}{path}")
        finally:
            server.terminate()
            server.wait()
        copy(home, out)
    return 0


class First:
    """A progress that stops a run once `POINTS` were measured on the first examples.

    Args:
        request: of the run.
    """

    def __init__(self, request: BarrierRequest):
        self._request = request

    def __call__(self, share: float, words: str) -> None:
        """Go on."""

    def pause(self) -> None:
        """Stop where enough points are there."""
        found = Unfinished(self._request.key).read()
        if found is not None and len(found[0]["lam"]) >= POINTS:
            raise Paused("The first answer is there.", "")


def ship_early(out: Path) -> None:
    """Compute and copy the first answers of one pair of every family, task and size."""
    kinds: dict[tuple[str, str, str], list[str]] = {}
    for row in listing():
        kinds.setdefault((row["family"], row["task"] or "", str(row["sizes"])), []).append(
            row["name"]
        )
    pairs = [first_requests(*names[:2]) for names in kinds.values() if len(names) > 1]
    for request in itertools.chain.from_iterable(itertools.zip_longest(*pairs)):
        if request is None or Store().get(request.key) is not None:
            continue
        if not (out / f"{request.key}.npz").exists():
            with contextlib.suppress(Paused):
                COMPUTATIONS["barrier"].compute(request, First(request), False)
            print(*request.names, request.method, ship(request.key, out), "bytes", flush=True)


def first_requests(a: str, b: str) -> list[BarrierRequest]:
    """What the page Barrier asks about a pair at first."""
    largest = {kind: space["largest"] for kind, space in read_kinds(a).items()}
    settings = dict.fromkeys([PLAIN, only_permutations(largest), all_classes(largest)])
    return [
        make_request(a, b, method=each.method, classes=dict(each.classes) or None, device="cpu")
        for each in settings
    ]


def find_across() -> list[str]:
    """Addresses of the page Barrier that show four curves of every pair across optimisers."""
    found = []
    for (a, b), examples in ACROSS.items():
        largest = {kind: space["largest"] for kind, space in read_kinds(a).items()}
        learned = Setting.of("learned", largest, STEPS)
        settings = [PLAIN, only_permutations(largest), all_classes(largest), learned]
        shown = [("with", each.text) for each in settings]
        counts = [("points", "11"), ("examples", str(examples))]
        found.append(f"/barrier?{urlencode([('a', a), ('b', b), *counts, *shown])}")
    return found


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
            page.wait_for_timeout(4000)  # the sidebar comes last
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
            if entry.request["what"] == "alignment":
                coarsen(entry, target)
            shrink(replace(entry, folder=target))
            print(f"{entry.request['what']:10} {entry.key[:12]} {size(target) / 1e6:6.2f} MB")


def coarsen(found: Result, folder: Path) -> None:
    """Write an alignment whose heatmaps take less room: rounded, and of pairs beside the first with
    at most `ROWS` rows, as means over blocks. Its numbers stay.
    """
    numbers, arrays = dict(found.result), found.arrays()
    numbers["cached"] = False  # as it was written
    numbers["spaces"] = [{**space} for space in numbers["spaces"]]
    for space in numbers["spaces"]:
        edge = 1 if found.request["names"] == FIRST else block_edge(space["size"], ROWS)
        rows, levels = -(-space["size"] // edge), LEVELS * min(edge, 4)
        for name in (f"{space['name']}/before", f"{space['name']}/after"):
            values = arrays[name].astype(np.float64)
            if space["edge"] == 1:
                values = block_means(values, rows)
            arrays[name] = (np.round(values * levels) / levels).astype(np.float16)
        space["edge"] = max(space["edge"], edge)
    manifest = json.loads((found.folder / "manifest.json").read_bytes())
    files = encode(found.request, numbers, arrays, found.log())
    manifest["files"] = {name: digest(content) for name, content in files.items()}
    for name, content in {**files, "manifest.json": to_bytes(manifest)}.items():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    raise SystemExit(main())
