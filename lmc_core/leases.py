"""Leases: rights that one holder has at a time, on any file system that several machines share.

Locks of the operating system (`locks.py`) do not reach other machines on every file system of a
network. A lease is a folder that holds one file, named after its holder. It is taken by renaming a
finished folder to its name, which succeeds only where there is none or an empty one, and given back
by removing that one file, so that nobody removes the file of another holder however late it comes:
both are single steps of the file server. A holder on this machine is alive while its process is;
one elsewhere, while it touches its file, as told by the clock of whoever waits: no two clocks are
compared.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import threading
import time
from functools import cache
from pathlib import Path
from urllib.parse import quote

from lmc_core.locks import Exclusive, explain_refusal

BEAT = 5.0  # seconds between two touches of a held lease
SILENCE = 60.0  # seconds without a touch after which a holder elsewhere counts as dead


@cache
def find_host() -> str:
    """The name of this machine, and of the process numbers that are seen here, such as those of a
    container.
    """
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        space = 0
    return f"{socket.gethostname()}/{space}"


@cache
def find_machine() -> str:
    """The name of this machine, as part of a file's name."""
    return quote(socket.gethostname(), safe="")


def find_start(pid: int) -> str | None:
    """When a process of this machine began, in a form that only this machine reads; None once it
    ended, also where nobody has reaped it yet.

    A process number alone says nothing: numbers are used again, and a zombie still answers.
    """
    try:
        if Path("/proc/self/stat").exists():  # ticks since the start of the machine
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return None if fields[0] in "ZX" else fields[19]
    except OSError:
        return None
    import psutil  # takes 20 ms, and is needed only where there is no /proc

    try:
        process = psutil.Process(pid)
        dead = process.status() == psutil.STATUS_ZOMBIE
        return None if dead else f"{process.create_time():.2f}"
    except psutil.Error:
        return None


class Silence:
    """Tells how long something has not changed, by the clock of this process."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[object, float]] = {}

    def measure(self, name: str, sign: object) -> float:
        """Seconds since a sign of life was first seen as it is now; 0 for a new one.

        Args:
            name: of what gives it.
            sign: anything that changes while it lives.
        """
        known, since = self._seen.get(name, (None, 0.0))
        now = time.monotonic()
        if known is None or known != sign:
            self._seen[name] = sign, now
            return 0.0
        return now - since

    def forget(self, name: str) -> None:
        """Forget what was seen."""
        self._seen.pop(name, None)


_SILENCE = Silence()


def read_change(path: Path) -> int:
    """When a file was changed last, in nanoseconds by the clock of its file system.

    It is opened for that: a file system of a network then asks its server.

    Raises:
        OSError: it is gone.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        return os.fstat(handle).st_mtime_ns
    finally:
        os.close(handle)


def find_right(results: Path, key: str) -> Path:
    """Where the lease lies whose holder computes the result of a key.

    Args:
        results: folder of the store.
        key: of the request.
    """
    return results / ".locks" / f"{key}.lease"


def take_from(path: Path, host: str, pid: int) -> None:
    """Take a lease from a process that is known to have ended, so that nobody waits until it has
    been silent for long enough.

    Args:
        path: of the lease.
        host: where the process ran, as `find_host` names it.
        pid: its number.
    """
    with contextlib.suppress(OSError):
        for name in os.listdir(path):
            if name.split("~")[:2] == [_quote(host), str(pid)]:
                (path / name).unlink()


class Lease(Exclusive):
    """The right to do something, held by one at a time.

    Args:
        path: of its folder; the folder around it is created.
    """

    def __init__(self, path: Path):
        self.path = path
        self._mine: Path | None = None

    @property
    def _taken(self) -> bool:
        return self._mine is not None

    @property
    def held(self) -> bool:
        """Whether it is held and its folder is there for others to see."""
        return self._mine is not None and self._mine.exists()

    def release(self) -> None:
        """Give the lease back."""
        if self._mine is None:
            return
        _HELD.discard(self._mine)
        with contextlib.suppress(OSError):
            self._mine.unlink()
            self.path.rmdir()  # unless somebody else has it by now
        self._mine = None

    def _take(self) -> bool:
        if self._find_holder() is not None:
            return False
        pid = os.getpid()
        name = "~".join(
            (_quote(find_host()), str(pid), find_start(pid) or "", secrets.token_hex(6))
        )
        draft = self.path.with_name(f".{self.path.name}.{name}")
        try:
            draft.mkdir(parents=True)
            (draft / name).touch()
            with contextlib.suppress(OSError):
                if os.name == "nt":  # where nothing is renamed onto an empty folder
                    self.path.rmdir()
                os.rename(draft, self.path)
        except OSError as error:
            raise explain_refusal(self.path.parent, error) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        # what the server says, also where its answer to the renaming was lost
        if not (self.path / name).exists():
            return False
        self._mine = self.path / name
        _HELD.add(self._mine)
        return True

    def _find_holder(self) -> str | None:
        """The file of a living holder, or None; those of dead ones are removed."""
        try:
            names = [name for name in os.listdir(self.path) if not name.startswith(".")]
        except OSError:
            return None
        for name in names:
            if self._lives(name):
                return name
            with contextlib.suppress(OSError):
                (self.path / name).unlink()
            _SILENCE.forget(str(self.path / name))
        return None

    def _lives(self, name: str) -> bool:
        try:
            host, pid, began, _ = name.split("~")
            if host == _quote(find_host()):
                return find_start(int(pid)) == began
            sign = read_change(self.path / name)
        except ValueError:  # not of a holder
            return False
        except FileNotFoundError:  # given back meanwhile
            return False
        except OSError as error:  # what a server says in passing is no sign of death
            sign = -(error.errno or 1)
        return _SILENCE.measure(str(self.path / name), sign) < SILENCE


def _quote(text: str) -> str:
    return quote(text, safe="").replace("~", "%7E")


class _Held:
    """The leases that this process holds, whose files one thread touches."""

    def __init__(self) -> None:
        self._files: set[Path] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, file: Path) -> None:
        with self._lock:
            self._files.add(file)
            if self._thread is None or not self._thread.is_alive():  # also after a fork
                self._thread = threading.Thread(target=self._beat, name="leases", daemon=True)
                self._thread.start()

    def discard(self, file: Path) -> None:
        with self._lock:
            self._files.discard(file)

    def _beat(self) -> None:
        while True:
            time.sleep(BEAT)
            with self._lock:
                files = list(self._files)
                if not files:
                    self._thread = None
                    return
            for file in files:
                with contextlib.suppress(OSError):  # lost; the holder's result is as good
                    os.utime(file)


_HELD = _Held()
