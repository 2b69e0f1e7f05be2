"""A progress bar on standard error, for what takes longer than a second."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

from lmc_core.numbers import seconds

PATIENCE = 1.0  # seconds before anything is shown
INTERVAL = 10.0  # seconds between lines where standard error is no terminal
EARLY, SURE = 0.1, 5.0  # share done, and seconds, before which the time left is anyone's guess


class ProgressBar:
    """A context whose `report` takes the share done and words; a bar on a terminal, a line now and
    then elsewhere.
    """

    def __init__(self) -> None:
        self.begin = self.last = time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.bar: tqdm | None = None

    def report(self, share: float, words: str) -> None:
        """Show how far the work is.

        Args:
            share: done, in [0, 1].
            words: what is being done.
        """
        now = time.monotonic()
        if now - self.begin < PATIENCE:
            return
        if share > EARLY and now - self.begin > SURE:
            words = f"{words}, about {seconds((now - self.begin) * (1 - share) / share)} left"
        if not self.terminal:
            if now - self.last >= INTERVAL:
                self.last = now
                print(f"{100 * share:3.0f} % {words}", file=sys.stderr, flush=True)
            return
        if self.bar is None:
            form = "{percentage:3.0f} % |{bar:30}| {desc}{elapsed}"
            self.bar = tqdm(desc=words, total=1.0, file=sys.stderr, bar_format=form, leave=False)
            self.bar.start_t -= now - self.begin
        self.bar.set_description(words, refresh=False)
        self.bar.update(max(0.0, share - self.bar.n))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.close()
