from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lmc_core.errors import BadInput, Cancelled, StoreError, UnknownName
from lmc_core.runs import Inline, Local, Result, get_executor
from lmc_core.runs.computation import COMPUTATIONS, request_from_json
from lmc_core.runs.executors.own_jobs import find_models
from lmc_core.runs.jobs import lock_path
from tests.runs.conftest import python, until
from tests.runs.fakes import FakeRequest

Ask = Callable[..., FakeRequest]


def test_inline_computes_once(home: Path, ask: Ask) -> None:
    inline = Inline(home)
    first, second = inline.run(ask()), inline.run(ask())
    assert (first.result["cached"], second.result["cached"]) == (False, True)
    assert first.written == second.written
    assert ask().runs() == 1
    assert inline.submit(ask()) == ask().key


def test_fresh_computes_again(home: Path, ask: Ask) -> None:
    inline = Inline(home)
    first, second = inline.run(ask()), inline.run(ask(), fresh=True)
    assert second.result["cached"] is False
    assert second.written > first.written
    found = inline.store.get(ask().key)
    assert found is not None and found.written == second.written
    assert ask().runs() == 2


def test_fresh_through_the_worker(local: Local, ask: Ask) -> None:
    first = Inline(local.home).run(ask())
    second = local.run(ask(), fresh=True)
    assert second.written > first.written
    assert second.result["cached"] is False
    assert ask().runs() == 2


def test_two_inline_threads_compute_once(home: Path, ask: Ask) -> None:
    request, start = ask(seconds=0.5), threading.Barrier(3)
    results: list[Result] = []

    def act() -> None:
        start.wait()
        results.append(Inline(home).run(request))

    threads = [threading.Thread(target=act) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert request.runs() == 1
    assert sorted(result.result["cached"] for result in results) == [False, True, True]


def race(request: FakeRequest, home: Path, executor: str) -> list[bytes]:
    """Run the same request in two processes that begin at the same moment; returns what they
    print.
    """
    flag = home.parent / "go"
    code = (
        "import time\nfrom pathlib import Path\nfrom lmc_core.runs import Inline, Local\n"
        "from tests.runs.conftest import LAUNCH\n"
        f"request = fakes.FakeRequest(**{request.to_json()!r})\nprint('ready', flush=True)\n"
        f"while not Path({str(flag)!r}).exists(): time.sleep(0.005)\n"
        f"print({executor}.run(request).written)"
    )
    processes = [python(code, home) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    flag.touch()
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    return said


def test_two_inline_processes_compute_once(home: Path, ask: Ask) -> None:
    request = ask(seconds=0.5)
    first, second = race(request, home, "Inline()")
    assert first == second
    assert request.runs() == 1


def test_two_submitting_processes_compute_once(home: Path, ask: Ask) -> None:
    request = ask(seconds=0.5)
    first, second = race(request, home, "Local(command=[*LAUNCH[:-1], '0.5'])")
    assert first == second
    assert request.runs() == 1
    until(lambda: "ends" in (lock_path("cpu", home).with_suffix(".log")).read_text())


def test_a_killed_process_does_not_block_the_next(home: Path, ask: Ask) -> None:
    request = ask(seconds=60)
    process = python(
        "from lmc_core.runs import "
        f"Inline\nInline().run(fakes.FakeRequest(**{request.to_json()!r}))",
        home,
    )
    with process:
        until(lambda: request.runs() == 1)
        process.kill()
    with pytest.raises(Cancelled):
        Inline(home).run(request, stop_when_running)
    assert request.runs() == 2
    assert Inline(home).store.get(request.key) is None


def stop_when_running(share: float, words: str) -> None:
    if words == "turning the crank":
        raise Cancelled("enough")


def test_an_inline_error_passes_and_leaves_nothing(home: Path, ask: Ask) -> None:
    with pytest.raises(BadInput, match="even number"):
        Inline(home).run(ask(mode="input"))
    with pytest.raises(ZeroDivisionError):
        Inline(home).run(ask(mode="crash"))
    assert [result for result in Inline(home).store.list() if not result.shipped] == []
    assert list((home / "results" / ".locks").iterdir()) == []


def test_an_unwritable_store_is_known_before_the_work(tmp_path: Path, ask: Ask) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="LMC_HOME"):
        Inline(tmp_path / "file").run(ask())
    with pytest.raises(StoreError, match="table of jobs"):
        Local(tmp_path / "file").run(ask())
    assert ask().runs() == 0


def test_local_finds_what_inline_stored(local: Local, ask: Ask) -> None:
    Inline(local.home).run(ask())
    assert local.run(ask()).result["cached"] is True
    assert local.submit(ask()) == ask().key
    assert local.jobs.active() == [] and local.jobs.recent() == []


def test_names(home: Path) -> None:
    assert isinstance(get_executor("inline"), Inline)
    assert isinstance(get_executor("local"), Local)
    with pytest.raises(UnknownName, match="Did you mean 'local'"):
        get_executor("locl")
    with pytest.raises(UnknownName, match="computation 'cake'"):
        COMPUTATIONS["cake"]
    with pytest.raises(UnknownName, match="computation"):
        request_from_json({})


def test_run_all_gives_what_came_of_each(local: Local, home: Path, ask: Ask) -> None:
    """Stored ones first, failures as errors, equal requests once."""
    Inline(home).run(ask("stored"))
    requests = [ask("a"), ask("wrong", mode="input"), ask("stored"), ask("a"), ask("b")]
    shares: list[float] = []
    for executor, first in ((local, 2), (Inline(home), 0)):
        found = list(executor.run_all(requests, lambda share, words: shares.append(share)))
        assert found[0][0] == first and sorted(place for place, _ in found) == list(range(5))
        by_place = dict(found)
        assert isinstance(by_place.pop(1), BadInput)
        assert all(isinstance(each, Result) for each in by_place.values())
        assert all(0 <= share <= 1 for share in shares)
        for place in (0, 4):
            assert ask("ab"[place // 4]).runs() == 1
    assert set(local.states([each.key for each in requests])) == {
        requests[place].key for place in (0, 1, 4)
    }


def test_who_gives_up_many_cancels_what_is_not_done(local: Local, ask: Ask) -> None:
    requests = [ask("quick"), ask("slow", seconds=60), ask("later", seconds=60)]

    def give_up(share: float, words: str) -> None:
        if words.startswith("1 of 3 done, 1 running"):
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        list(local.run_all(requests, give_up))
    until(lambda: not local.jobs.active())
    states = local.states([each.key for each in requests]).values()
    assert [job.state for job in states] == ["done", "cancelled", "cancelled"]


def test_a_job_goes_to_the_executor_that_was_asked_last(local: Local, ask: Ask) -> None:
    """Else it would wait for workers that nobody starts."""
    local.jobs.submit(ask(), executor="elsewhere")
    local.jobs.submit(ask("b"), executor="elsewhere", fresh=True)
    local.tend()
    assert [job.executor for job in local.jobs.active()] == ["elsewhere"] * 2
    assert local.run(ask()).result["cached"] is False and ask().runs() == 1
    job = local.jobs.submit(ask("b"))
    assert (job.executor, job.fresh, len(local.jobs.active())) == ("local", True, 1)


def test_a_model_is_found_by_its_content(tmp_path: Path) -> None:
    digests, here = ["a" * 64, "b" * 64, "c" * 64], tmp_path / "here"
    here.mkdir()
    (tmp_path / "models" / ("b" * 12)).mkdir(parents=True)
    content = {
        "models": ["hf:org/name", "path:/nowhere/b", f"path:{here}"],
        "names": ["name", "b", "here"],
        "digests": digests,
        "seed": 0,
    }
    found = find_models(content, tmp_path)
    moved = f"path:{tmp_path / 'models' / ('b' * 12)}"
    assert found == {**content, "models": ["hf:org/name", moved, f"path:{here}"]}
    with pytest.raises(BadInput, match=f"does not have here: .*/gone.*models/{'c' * 12}"):
        find_models({**content, "models": [*content["models"][:2], "path:/gone"]}, tmp_path)
    assert find_models({"what": "fake"}, tmp_path) == {"what": "fake"}


def test_importing_runs_loads_no_heavy_package() -> None:
    code = (
        "import sys, lmc_core.runs; print(sorted({'torch', 'streamlit', 'transformers', "
        "'timm'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).stdout.strip()
        == b"[]"
    )
