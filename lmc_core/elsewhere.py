"""Functions that need torch, called in a process of their own by one that does without.

The app's server draws, reads the store, and hands requests to workers. What it has to ask of models
meanwhile (a request, the classes of their spaces) is computed in one helper, which imports torch
when it is first asked, keeps what it has read, and ends after a while without a question.
Everywhere else the function is called right here.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
from threading import Lock, Thread, Timer
from typing import IO

from lmc_core import folders
from lmc_core.errors import LmcError
from lmc_core.registry import resolve

IDLE = 300.0  # seconds without a question after which the helper ends


class Helper:
    """Answers one question after the other in a process that is started when it is needed.

    Args:
        idle: seconds without a question after which the process is ended.
    """

    def __init__(self, idle: float = IDLE) -> None:
        self._idle = idle
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._timer: Timer | None = None

    def call(self, place: str, *args: object, **named: object) -> object:
        """What a function answers; what it raises is raised here.

        Args:
            place: of the function, "package.module:NAME"; its arguments and its answer have to be
                such as can be pickled.
            args: of the function.
            named: likewise.

        Raises:
            LmcError: the process ended before it answered, twice.
        """
        question = pickle.dumps((place, args, named))
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            try:
                answer = self._ask(question)
                if answer is None:  # it was ended meanwhile, by whomever
                    answer = self._ask(question)
            finally:
                self._timer = Timer(self._idle, self.end)
                self._timer.daemon = True
                self._timer.start()
        if answer is None:
            raise LmcError(
                "The process that reads models ended before it answered; it may have run out of "
                "memory."
            )
        done, value = pickle.loads(answer)
        if done:
            return value
        raise value

    def end(self) -> None:
        """End the process; the next question starts another."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ask(self, question: bytes) -> bytes | None:
        """An answer, None where the process ended before it came."""
        if self._process is None:
            self._process = _start()
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(OSError):
            _send(self._process.stdin, question)
            if (answer := _receive(self._process.stdout)) is not None:
                return answer
        self._end()
        return None


DEVICE = "lmc_core.runs.inputs:find_device"  # imports what most questions need
_HELPER: list[Helper] = []  # the one of this process, if it has one
_WOKEN: list[Thread] = []


def use_helper() -> None:
    """Have functions called elsewhere from now on."""
    if not _HELPER:
        _HELPER.append(Helper())


def wake() -> None:
    """Have the helper of this process started meanwhile, once, so that the first question finds it
    ready.
    """
    if _HELPER and not _WOKEN:
        _WOKEN.append(Thread(target=_HELPER[0].call, args=(DEVICE,), daemon=True))
        _WOKEN[0].start()


def call(place: str, *args: object, **named: object) -> object:
    """What a function answers, called elsewhere if this process is to do without torch; see
    `Helper.call`.
    """
    if _HELPER:
        return _HELPER[0].call(place, *args, **named)
    function = resolve(place)
    assert callable(function)
    return function(*args, **named)


def _start() -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(folders.PACKAGE.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "lmc_core.elsewhere"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)},
    )


def _send(file: IO[bytes], content: bytes) -> None:
    file.write(len(content).to_bytes(8, "little") + content)
    file.flush()


def _receive(file: IO[bytes]) -> bytes | None:
    length = file.read(8)
    content = file.read(int.from_bytes(length, "little"))
    return content if len(length) == 8 and content else None


def _serve() -> None:
    """Answer the questions of the process that started this one, until it ends."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    while (question := _receive(questions)) is not None:
        place, args, named = pickle.loads(question)
        try:
            answer = pickle.dumps((True, call(place, *args, **named)))
        except Exception as error:
            try:
                answer = pickle.dumps((False, error))
                pickle.loads(answer)  # some errors cannot be made again from what they say
            except Exception:
                answer = pickle.dumps((False, LmcError(f"{type(error).__name__}: {error}"[:300])))
        _send(answers, answer)


if __name__ == "__main__":
    _serve()
