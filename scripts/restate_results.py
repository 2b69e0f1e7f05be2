"""Let the numbers of the shipped results follow from their arrays by today's formulas, so that no
page recomputes them.

    python scripts/restate_results.py [--all] [assets/results]

Run it whenever `lmc_core.runs.computation.SUMMARY` was raised or a summary got new entries. Only means
and errors are computed; what a result says already, but for rounding, stays to the digit. Without
--all results that say they are current are passed by.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from lmc_core import folders
from lmc_core.runs.computation import SUMMARY, contradicts, summarize
from lmc_core.runs.result import digest, to_bytes
from lmc_core.runs.store import Store


def main() -> None:
    """Restate every result of a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, nargs="?", default=folders.assets() / "results")
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    for entry in Store(options.folder, options.folder).list():
        if entry.summary == SUMMARY and not options.all:
            continue
        path = entry.folder / "result.json"
        result = json.loads(path.read_bytes())
        found = summarize(entry.request, result, entry.arrays())
        wrong = contradicts(result, found)
        new = {name: value for name, value in found.items() if name in wrong or name not in result}
        manifest = json.loads((entry.folder / "manifest.json").read_bytes())
        if new:
            path.write_bytes(to_bytes({**result, **new}))
            manifest["files"]["result.json"] = digest(path.read_bytes())
        (entry.folder / "manifest.json").write_bytes(to_bytes({**manifest, "summary": SUMMARY}))
        print(f"{entry.key[:12]} {entry.request['what']}: {', '.join(new) or 'as it was'}")


if __name__ == "__main__":
    main()
