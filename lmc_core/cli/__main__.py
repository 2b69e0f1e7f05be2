"""`python -m lmc_core.cli`, the same as `lmc`."""

from lmc_core.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
