"""Functions that are called in a helper process answer, raise, and survive its end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from lmc_core import elsewhere
from lmc_core.elsewhere import Helper
from lmc_core.errors import BadCheckpoint, LmcError


@pytest.fixture
def helper() -> Iterator[Helper]:
    made = Helper()
    yield made
    made.end()


def test_it_answers_in_another_process_which_it_keeps(helper: Helper) -> None:
    number = helper.call("os:getpid")
    assert number != os.getpid() and helper.call("os:getpid") == number
    assert helper.call("json:dumps", {"a": 1}, indent=None) == '{"a": 1}'


def test_what_is_raised_there_is_raised_here(helper: Helper) -> None:
    with pytest.raises(BadCheckpoint, match="The file no.json is missing"):
        helper.call("tests.test_elsewhere:refuse")
    with pytest.raises(ZeroDivisionError):
        helper.call("operator:truediv", 1, 0)
    with pytest.raises(LmcError, match="_Odd: two words"):
        helper.call("tests.test_elsewhere:fail_oddly")
    assert helper.call("tests.test_elsewhere:say_aloud") == 7  # what is printed is no answer


def test_a_helper_that_ended_is_started_again(helper: Helper) -> None:
    number = helper.call("os:getpid")
    assert isinstance(number, int)
    os.kill(number, signal.SIGKILL)
    assert helper.call("os:getpid") != number
    with pytest.raises(LmcError, match="ended before it answered"):
        helper.call("os:_exit", 1)
    assert helper.call("operator:add", 1, 1) == 2


def test_it_ends_when_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    idle = Helper(idle=0.05)
    number = idle.call("os:getpid")
    assert isinstance(number, int)
    for _ in range(200):
        time.sleep(0.05)
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            break
    else:
        pytest.fail("it is still there")


def test_without_a_helper_functions_are_called_here() -> None:
    assert elsewhere.call("os:getpid") == os.getpid()


class _Odd(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def refuse() -> None:
    raise BadCheckpoint("The file no.json is missing from here.")


def fail_oddly() -> None:
    raise _Odd("two", "words")


def say_aloud() -> int:
    print("a word of a library")
    return 7
