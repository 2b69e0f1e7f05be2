"""The table of jobs: requests that wait, run, or have run, in one SQLite file that all processes of
a machine share.

SQLite's write-ahead log needs memory that its processes share, which file systems of a network do
not have: there the older journal is used, which is slower. Either way several machines must not
share this file. Every call opens and closes its own connection, so a table can be used from any
thread.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmc_core import folders
from lmc_core.errors import LmcError, StoreError
from lmc_core.locks import ELSEWHERE, NO_SPACE, holder
from lmc_core.runs.partial import prune
from lmc_core.runs.request import Request

VERSION = 1
ENDED = "('done', 'failed', 'cancelled')"
# seconds that ended jobs stay, and what they left unfinished; results stay in the store
REMEMBERED = 30 * 24 * 3600.0
HEARTBEAT_LIMIT = 60.0  # seconds without a sign of life after which a running job counts as dead
PATIENCE = 10.0  # seconds to go on trying while other processes hold the file
ROOM = 2**16  # bytes without which SQLite cannot write
ACTIVE = ("queued", "running")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, device TEXT NOT NULL, fresh INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    progress REAL NOT NULL DEFAULT 0, message TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '', kind TEXT NOT NULL DEFAULT '',
    worker TEXT NOT NULL DEFAULT '', pid INTEGER, cancel INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL, started REAL, heartbeat REAL, finished REAL)
"""


class OlderOrNewer(sqlite3.DatabaseError):
    """The table has another layout than this version's."""


@dataclass(frozen=True)
class Job:
    """A row of the table; times are seconds since 1970.

    Attributes:
        key: of the request, and of the result once it is done.
        request: as JSON values.
        device: kind of device it waits for.
        fresh: compute although there is a result.
        state: ``queued``, ``running``, ``done``, ``failed`` or ``cancelled``.
        progress: share done, in [0, 1].
        message: what is being done.
        error: why it failed, in a sentence or two.
        kind: name of the exception's class in `lmc_core.errors`.
        worker: who runs it, "<device>:<unique>".
        pid: process number of the worker.
        cancel: whether somebody asked for it to stop.
        created: when it was asked for.
        started: when a worker took it.
        heartbeat: last sign of life.
        finished: when it ended.
    """

    key: str
    request: dict[str, Any] = field(repr=False)
    device: str
    fresh: bool
    state: str
    progress: float
    message: str
    error: str
    kind: str
    worker: str
    pid: int | None
    cancel: bool
    created: float
    started: float | None
    heartbeat: float | None
    finished: float | None

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ACTIVE


class Jobs:
    """The table of jobs.

    Args:
        path: of the file; default `jobs.sqlite` in `places.home()`. Created by the first use.
    """

    def __init__(self, path: Path | None = None):
        self.path = Path(path) if path is not None else folders.home() / "jobs.sqlite"

    def submit(self, request: Request, *, fresh: bool = False) -> Job:
        """Ask for a computation; an equal one that waits or runs is joined.

        Look into the store first: a job that is done is queued again, because its result may have
        been deleted. The worker looks there too, so asking once too often costs nothing.

        Args:
            request: what to compute.
            fresh: compute although there is a result.
        """
        self._run(
            f"DELETE FROM jobs WHERE state IN {ENDED} AND finished < ?", (time.time() - REMEMBERED,)
        )
        prune(self.path.parent / "unfinished", REMEMBERED)
        values = (
            request.key,
            json.dumps(request.to_json()),
            request.device,
            int(fresh),
            time.time(),
        )
        self._run(
            """
            INSERT INTO jobs (key, request, device, fresh, created, state)
            VALUES (?, ?, ?, ?, ?, 'queued')
            ON CONFLICT (key) DO UPDATE SET
                request = excluded.request, device = excluded.device, fresh = excluded.fresh,
                created = excluded.created, state = 'queued', progress = 0, message = '',
                error = '', kind = '', worker = '', pid = NULL, cancel = 0,
                started = NULL, heartbeat = NULL, finished = NULL
            WHERE state NOT IN ('queued', 'running')
            """,
            values,
        )
        # Whoever asks again for a run that was being cancelled wants it after all.
        rows = self._run(
            "UPDATE jobs SET cancel = 0, fresh = CASE WHEN state = 'queued' THEN max(fresh, ?) "
            "ELSE fresh END"
            " WHERE key = ? RETURNING *",
            (int(fresh), request.key),
        )
        return rows[0]

    def claim(self, worker: str, device: str, pid: int) -> Job | None:
        """Take the oldest waiting job of a kind of device, or None; no two workers get the same
        one.
        """
        now = time.time()
        rows = self._run(
            """
            UPDATE jobs SET state = 'running', worker = ?, pid = ?, started = ?, heartbeat = ?,
                progress = 0, message = ''
            WHERE key = (
                SELECT key FROM jobs WHERE state = 'queued' AND device = ?
                ORDER BY created, rowid LIMIT 1
            )
            RETURNING *
            """,
            (worker, pid, now, now, device),
        )
        return rows[0] if rows else None

    def report(self, key: str, worker: str, share: float, message: str) -> bool:
        """Record progress and a sign of life.

        Returns:
            Whether to stop: somebody asked for it, or the job is no longer this worker's.
        """
        return self._sign(
            "progress = ?, message = ?,", (min(max(float(share), 0.0), 1.0), message), key, worker
        )

    def beat(self, key: str, worker: str) -> bool:
        """Record a sign of life; returns the same as `report`."""
        return self._sign("", (), key, worker)

    def finish(self, key: str, worker: str) -> None:
        """Mark a job as done; its result must be in the store already."""
        self._end(key, worker, "done", "", "", progress="1")

    def fail(self, key: str, worker: str, error: LmcError) -> None:
        """Mark a job as failed, with the reason."""
        self._end(key, worker, "failed", str(error), type(error).__name__)

    def stopped(self, key: str, worker: str) -> None:
        """Mark a job as cancelled, or put it back if somebody asked for it again meanwhile."""
        self._run(
            """
            UPDATE jobs SET state = CASE WHEN cancel THEN 'cancelled' ELSE 'queued' END,
                finished = ?, worker = ''
            WHERE key = ? AND worker = ? AND state = 'running'
            """,
            (time.time(), key, worker),
        )

    def cancel(self, key: str) -> None:
        """Ask for a job to stop: a waiting one is cancelled at once, a running one at its next
        report.
        """
        self._run(
            """
            UPDATE jobs SET cancel = 1,
                finished = CASE WHEN state = 'queued' THEN ? ELSE finished END,
                state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END
            WHERE key = ? AND state IN ('queued', 'running')
            """,
            (time.time(), key),
        )

    def refuse(self, device: str, error: LmcError) -> None:
        """Mark every waiting job of a kind of device as failed: no worker can be had for them."""
        self._run(
            "UPDATE jobs SET state = 'failed', error = ?, kind = ?, finished = ? WHERE state = "
            "'queued' AND device = ?",
            (str(error), type(error).__name__, time.time(), device),
        )

    def sweep(self, limit: float = HEARTBEAT_LIMIT) -> list[Job]:
        """Mark running jobs of dead workers as failed, with a reason.

        A worker is dead when nobody, or somebody else, holds its lock file, or when it gave no sign
        of life for `limit` seconds.

        Returns:
            The jobs that were marked.
        """
        swept = []
        for job in self._run("SELECT * FROM jobs WHERE state = 'running'"):
            lock = lock_path(job.worker.partition(":")[0], self.path.parent)
            silence = time.time() - (job.heartbeat or job.created)
            if holder(lock) != job.worker:
                reason = (
                    f"The worker (process {job.pid}) ended in the middle of this run: it was "
                    "killed, crashed, or ran out "
                    "of memory. Start the run again."
                )
            elif silence > limit:
                reason = (
                    f"The worker (process {job.pid}) gave no sign of life for {silence:.0f} "
                    "s. Start the run again."
                )
            else:
                continue
            swept += self._run(
                """
                UPDATE jobs SET state = CASE WHEN cancel THEN 'cancelled' ELSE 'failed' END,
                    error = ?, kind = 'LmcError', finished = ?
                WHERE key = ? AND worker = ? AND state = 'running' AND heartbeat = ? RETURNING *
                """,
                (reason, time.time(), job.key, job.worker, job.heartbeat),
            )
        return swept

    def get(self, key: str) -> Job | None:
        """Return the job of a key, or None."""
        rows = self._run("SELECT * FROM jobs WHERE key = ?", (key,))
        return rows[0] if rows else None

    def active(self) -> list[Job]:
        """Return the jobs that run or wait, in the order in which they are done."""
        return self._run(
            "SELECT * FROM jobs WHERE state IN ('running', 'queued') ORDER BY state = 'queued', "
            "created, rowid"
        )

    def recent(self, limit: int = 20) -> list[Job]:
        """Return the jobs that ended, the last one first."""
        return self._run(
            "SELECT * FROM jobs WHERE state NOT IN ('running', 'queued') ORDER BY finished DESC "
            "LIMIT ?",
            (limit,),
        )

    def position(self, key: str) -> int | None:
        """Return how many jobs of the same device come before this waiting one; None when it does
        not wait.
        """
        job = self.get(key)
        if job is None or job.state != "queued":
            return None
        before = [other.key for other in self.active() if other.device == job.device]
        return before.index(key) if key in before else None

    def _sign(self, fields: str, values: tuple[Any, ...], key: str, worker: str) -> bool:
        rows = self._run(
            f"UPDATE jobs SET {fields} heartbeat = ? WHERE key = ? AND worker = ? AND state = "
            "'running' RETURNING *",
            (*values, time.time(), key, worker),
        )
        return not rows or rows[0].cancel

    def _end(
        self, key: str, worker: str, state: str, error: str, kind: str, progress: str = "progress"
    ) -> None:
        self._run(
            f"UPDATE jobs SET state = ?, error = ?, kind = ?, finished = ?, progress = {progress}"
            " WHERE key = ? AND worker = ? AND state = 'running'",
            (state, error, kind, time.time(), key, worker),
        )

    def _run(self, statement: str, values: tuple[Any, ...] = ()) -> list[Job]:
        """Execute one statement, trying again while another process holds the file."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with self._connect() as connection:
                    rows = connection.execute(statement, values).fetchall()
                break
            except (sqlite3.Error, OSError) as error:
                if _is_busy(error) and time.monotonic() < end:
                    time.sleep(0.02)
                    continue
                raise StoreError(
                    f"The table of jobs {self.path} cannot be used ({error}); "
                    f"{self._advice(error)}."
                ) from error
        return [_job(row) for row in rows]

    def _advice(self, error: Exception) -> str:
        """What to do about an error."""
        if getattr(error, "errno", None) in NO_SPACE or "full" in str(error) or self._is_full():
            return f"no space is left there: {ELSEWHERE}"
        if isinstance(error, OlderOrNewer):
            return "update LMC Explorer, or set LMC_HOME to another folder"
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(
            error, sqlite3.OperationalError
        ):  # its content is broken
            return "delete the file (results are kept elsewhere)"
        return "make its folder writable, or set LMC_HOME to a folder on a disk of this machine"

    def _is_full(self) -> bool:
        """Whether there is no room for a page of the table; SQLite then also speaks of errors of
        the disk.
        """
        try:
            return shutil.disk_usage(self.path.parent).free < ROOM
        except OSError:
            return False

    @contextlib.contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=1.0, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                _choose_journal(connection)
                connection.execute(_SCHEMA)
                connection.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise OlderOrNewer("it was written by another version")
            connection.execute("PRAGMA synchronous = NORMAL")
            yield connection
        finally:
            connection.close()


def _choose_journal(connection: sqlite3.Connection) -> None:
    """The write-ahead log, and where the file system has no shared memory for it, the journal that
    needs none.
    """
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if _is_busy(error):
            raise
        connection.execute("PRAGMA journal_mode = DELETE")


def _is_busy(error: Exception) -> bool:
    return isinstance(error, sqlite3.OperationalError) and (
        "locked" in str(error) or "busy" in str(error)
    )


def lock_path(device: str, home: Path | None = None) -> Path:
    """Return the lock file of a device's worker; its log lies beside it, with the ending `.log`."""
    return (home if home is not None else folders.home()) / "workers" / f"{device}.lock"


def _job(row: sqlite3.Row) -> Job:
    values: dict[str, Any] = {name: row[name] for name in row.keys()}  # noqa: SIM118
    values["request"] = json.loads(values["request"])
    values["fresh"], values["cancel"] = bool(values["fresh"]), bool(values["cancel"])
    return Job(**values)
