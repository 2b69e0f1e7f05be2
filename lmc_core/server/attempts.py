"""Wrong tokens are answered slowly: one a second for each address that they come from, and a few in
a row wait; what comes beyond is turned away unread.

Whoever has the token is let in at once, unless the same address is guessing at that moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable

PAUSE = 1.0  # seconds for each wrong token
MOST = 5  # that wait at once, of one address
CLIENTS = 4096  # addresses that are remembered; beyond, strangers share one


class Attempts:
    """When the next wrong token of each address may be answered.

    Args:
        clock: in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.clock = clock
        self.due: dict[str, float] = {}
        self._first = 0.0  # no address is due before

    def full(self, client: str) -> bool:
        """Whether so many wrong tokens of an address wait that another is not looked at."""
        return self._ahead(self._name(client)) > (MOST - 1) * PAUSE

    def note(self, client: str) -> float:
        """Count a wrong token; returns the seconds until it may be answered."""
        client = self._name(client)
        wait = self._ahead(client) + PAUSE
        self.due[client] = due = self.clock() + wait
        self._first = min(self._first, due)
        return wait

    def _ahead(self, client: str) -> float:
        return max(0.0, self.due.get(client, 0.0) - self.clock())

    def _name(self, client: str) -> str:
        """The address, or "" once there are too many."""
        if client not in self.due and len(self.due) >= CLIENTS:
            now = self.clock()
            if now >= self._first:  # or none can be forgotten, and a guess need not look at all
                self.due = {name: due for name, due in self.due.items() if due > now}
                self._first = min(self.due.values(), default=now)
            return client if len(self.due) < CLIENTS else ""
        return client
