"""A job layer in memory, in the place of the real one."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from lmc_core.errors import Incompatible
from lmc_core.runs.duration import Expected
from lmc_core.symmetry.spaces import LINEAR, PERMUTATIONS, ROTATIONS
from lmc_core.ui import backend, catalogue, cost

RESULTS = json.loads((Path(__file__).parents[1] / "fixtures" / "results.json").read_text())
TASKS = {"vit": "fashion-mnist", "gpt2": "plays"}
LARGEST = {
    "residual": "orthogonal",
    "units": "permutation",
    "heads": "permutation",
    "query-key": "invertible",
    "value-output": "invertible",
}
CLASSES = {kind: [c.value for c in classes] for kind, classes in {
    "residual": ROTATIONS, "units": PERMUTATIONS, "heads": PERMUTATIONS, "query-key": LINEAR, "value-output": LINEAR
}.items()}  # fmt: skip


def row(name: str, family: str, seed: int, width: int = 96) -> dict:
    score = (
        {"accuracy": 0.893, "loss": 0.3} if family == "vit" else {"perplexity": 4.12, "loss": 1.4}
    )
    sizes = {"width": width}
    task = "austen" if "austen" in name else TASKS[family]
    return {
        "name": name, "reference": f"zoo:{name}", "family": family, "task": task, "takes": family, "seed": seed, "width": width,
        "sizes": sizes, "parameters": 1, "digest": name, "scores": {"test": score},
    }  # fmt: skip


@dataclass
class Layer:
    """What `lmc_core.ui.backend` offers, on dictionaries."""

    results: dict[str, dict] = field(default_factory=dict)
    table: dict[str, SimpleNamespace] = field(default_factory=dict)
    submitted: list[tuple[str, bool]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    requests: list[tuple] = field(default_factory=list)

    def key(self, setting: str, a: str = "vit-fashion-s0", b: str = "vit-fashion-s1") -> str:
        return f"{a}|{b}|{setting}"

    def request_of(self, pair, setting, split, examples, points, task):
        if pair[0]["family"] != pair[1]["family"]:
            raise Incompatible(
                "vit-fashion-s0 is a vit and gpt2-plays-s0 a gpt2; choose two models of one family."
            )
        self.requests.append((setting.text, split, examples, points))
        return SimpleNamespace(
            key=self.key(setting.label(LARGEST), pair[0]["name"], pair[1]["name"])
        )

    def stored(self, request):
        return self.results.get(request.key)

    def layers_of(self, request):
        return SimpleNamespace(key=f"{request.key}|parts")

    def arrays(self, key):
        return {}

    def shipped(self):
        return list(self.results.values())

    def jobs(self, keys):
        return {key: self.table[key] for key in keys if key in self.table}

    def submit(self, requests, fresh=False):
        for request in requests:
            self.submitted.append((request.key, fresh))
            self.job(request.key, "queued")

    def cancel(self, keys):
        for key in keys:
            self.cancelled.append(key)
            self.job(key, "cancelled")

    def job(
        self, key: str, state: str, progress: float = 0.0, message: str = "", error: str = ""
    ) -> None:
        active = state in ("queued", "running")
        self.table[key] = SimpleNamespace(
            key=key,
            state=state,
            progress=progress,
            message=message,
            error=error,
            active=active,
            request={"what": "barrier", "names": key.split("|")[:2], "method": "weight"},
            cancel=False,
            started=None,
        )

    def fill(self) -> None:
        """Store plain, permutations and all classes of the first pair."""
        for label, result in zip(
            ("Plain average", "Permutations only", "All classes"), RESULTS["vit"], strict=True
        ):
            self.results[self.key(label)] = result


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> Layer:
    fake = Layer()
    for name in (
        "request_of",
        "layers_of",
        "stored",
        "arrays",
        "shipped",
        "jobs",
        "submit",
        "cancel",
    ):
        monkeypatch.setattr(backend, name, getattr(fake, name))
    names = [
        ("gpt2-plays-s0", "gpt2", 0),
        ("gpt2-plays-s1", "gpt2", 1),
        ("gpt2-austen-s0", "gpt2", 0),
    ]
    names += [(f"vit-fashion-s{seed}", "vit", seed) for seed in range(3)]
    known = {"vit-fashion-narrow-s0": row("vit-fashion-narrow-s0", "vit", 0, 48)}
    known |= {name: row(name, family, seed) for name, family, seed in names}
    spaces = {
        kind: {
            "what": f"the {kind}",
            "classes": CLASSES[kind],
            "largest": largest,
            "reason": "so it is",
        }
        for kind, largest in LARGEST.items()
    }
    monkeypatch.setattr(
        cost,
        "note",
        lambda requests, what="": cost.sentence(Expected(40.0, True), 345_000_000, what),
    )
    monkeypatch.setattr(backend, "studies", lambda: [])
    monkeypatch.setattr(backend, "store_size", lambda: (0, 0))
    monkeypatch.setattr(backend, "position", lambda key: 2)
    monkeypatch.setattr(
        backend, "running", lambda: [job for job in fake.table.values() if job.active]
    )
    monkeypatch.setattr(catalogue, "models", lambda: known)
    monkeypatch.setattr(catalogue, "spaces", lambda row: spaces)
    return fake
