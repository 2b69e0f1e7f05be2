"""A small installation in the place of the shipped one: tiny models, a store and a table of jobs of
the test's own, and a worker that works when it is told to.

Requests, jobs, results and figures are the real ones. A result is computed once in a session and
then given to every test that asks for it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lmc_core import folders
from lmc_core.errors import LmcError
from lmc_core.locks import FileLock
from lmc_core.runs.computation import request_from_json
from lmc_core.runs.executors import Inline, Local
from lmc_core.runs.jobs import Job, Jobs, lock_path
from lmc_core.runs.request import Request
from lmc_core.runs.store import Store
from lmc_core.runs.worker import Worker
from tests import tiny
from tests.pages.reading import button

SEEDS = {"vit-fashion": 3, "gpt2-plays": 2, "gpt2-austen": 1, "mixtral-plays": 2}
SIZES = {"vit-fashion-narrow-s0": {"embed_dim": 8}, "vit-fashion-wide-s0": {"embed_dim": 24}}
SCORES = {"vit": {"accuracy": 0.893, "loss": 0.3}}
TEXT = {"perplexity": 4.12, "loss": 1.4}
WORKER = "cpu:test"


@dataclass
class Computed:
    """What this session has computed.

    Attributes:
        home: folder of its results.
        keys: what the buttons of a page at an address asked for.
    """

    home: Path
    keys: dict[str, list[str]] = field(default_factory=dict)

    def compute(self, request: Request) -> Path:
        """The folder of a result, computed when it is asked for first."""
        return Inline(self.home).run(request).folder


@dataclass
class Installation:
    """What the tests of pages do with jobs and results besides the pages.

    Attributes:
        home: folder of jobs and results.
        assets: what came with the app: models and data; at first no results.
        computed: in this session.
    """

    home: Path
    assets: Path
    computed: Computed
    lock: FileLock = field(init=False)

    def __post_init__(self) -> None:
        self.lock = FileLock(lock_path("cpu", self.home), note=WORKER)

    @property
    def jobs(self) -> Jobs:
        return Jobs(self.home / "jobs")

    @property
    def store(self) -> Store:
        return Store(self.home / "results")

    def waiting(self) -> list[Job]:
        """What pages asked for and nobody computes yet, the oldest first."""
        return [job for job in self.jobs.active() if job.state == "queued"]

    def requests(self) -> list[Any]:
        """The requests of those."""
        return [request_from_json(job.request) for job in self.waiting()]

    def states(self) -> set[str]:
        """States of all jobs."""
        return {job.state for job in (*self.jobs.active(), *self.jobs.recent(None))}

    def give(self, keys: Iterable[str]) -> None:
        """Put results of this session into the store."""
        for key in keys:
            target = self.home / "results" / key
            if not target.exists():
                shutil.copytree(self.computed.home / "results" / key, target, copy_function=os.link)

    def store_results(self, requests: Iterable[Request]) -> list[str]:
        """Compute, or take over, the results of requests; returns their keys."""
        keys = [self.computed.compute(request).name for request in requests]
        self.give(keys)
        return keys

    def ship(self, keys: Iterable[str]) -> None:
        """Let results of the store be among those that came with the app."""
        for key in keys:
            shutil.move(self.home / "results" / key, self.assets / "results" / key)

    def work(self) -> list[str]:
        """Do what waits, as the worker does it; returns the keys."""
        self.lock.release()
        jobs = self.waiting()
        self.store_results(request_from_json(job.request) for job in jobs if not job.fresh)
        Worker("cpu", idle=-1.0, home=self.home, threads=1).serve()
        return [job.key for job in jobs]

    def begin(self, share: float = 0.0, message: str = "") -> Job:
        """Let the worker begin with what waits longest."""
        self.lock.acquire()
        job = self.jobs.claim(WORKER, "cpu", os.getpid())
        assert job is not None
        self.jobs.report(job.key, WORKER, share, message)
        return job

    def fail(self, reason: str) -> None:
        """Let what waits longest fail."""
        self.jobs.fail(self.begin().key, WORKER, LmcError(reason))

    def fail_running(self, reason: str) -> None:
        """Let what is computed fail."""
        for job in self.jobs.active():
            self.jobs.fail(job.key, WORKER, LmcError(reason))

    def finish(self, at: AppTest, label: str = "Run") -> list[str]:
        """Store what a button of a page asks for; returns the keys. The page is run only by the
        first test of a session that asks for this.
        """
        parameters = {name: at.query_params[name] for name in at.query_params}
        name = json.dumps([at._script_path, label, parameters], sort_keys=True)
        if name not in self.computed.keys:
            with pytest.MonkeyPatch.context() as patch:
                patch.delenv("LMC_READ_ONLY", raising=False)
                other = AppTest.from_file(at._script_path, default_timeout=60)
                other.query_params.update(parameters)
                button(other.run(), label).click().run()
                assert not other.exception
                self.computed.keys[name] = self.work()
        self.give(self.computed.keys[name])
        return self.computed.keys[name]


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny models that have the names of shipped ones."""
    folder = tmp_path_factory.mktemp("small") / "zoo"
    names = [f"{kind}-s{seed}" for kind, count in SEEDS.items() for seed in range(count)]
    for name in (*names, *SIZES):
        family, task, seed = name.split("-")[0], name.split("-")[1], int(name[-1])
        model = replace(tiny.tiny(family, seed, **SIZES.get(name, {})), name=name)
        tiny.write(folder / name, model, card=False)
        card = {
            "name": name,
            "family": family,
            "task": "fashion-mnist" if task == "fashion" else task,
            "seed": seed,
            "parameters": model.parameters,
            "scores": {"test": SCORES.get(family, TEXT)},
            "digest": model.digest,
        }
        (folder / name / "card.json").write_text(json.dumps(card))
    return folder


@pytest.fixture(scope="session")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Computed:
    return Computed(tmp_path_factory.mktemp("computed"))


@pytest.fixture
def app(
    zoo: Path, computed: Computed, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """A small installation whose worker works when it is told to."""
    assets, shipped = tmp_path / "app" / "assets", folders.assets()
    (assets / "results").mkdir(parents=True)
    for name in ("data", "fonts", "lecture"):
        (assets / name).symlink_to(shipped / name)
    (assets / "zoo").symlink_to(zoo)
    monkeypatch.setattr(folders, "app_folder", lambda: assets.parent)
    monkeypatch.setattr(Local, "ensure_worker", lambda self, device="cpu": False)
    found = Installation(home, assets, computed)
    yield found
    found.lock.release()


@pytest.fixture
def no_models(app: Installation) -> None:
    """An installation without models."""
    (app.assets / "zoo").unlink()


@pytest.fixture
def audience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that only shows what is stored."""
    monkeypatch.setenv("LMC_READ_ONLY", "1")
