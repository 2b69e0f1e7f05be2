"""Curves between models that are not held: each part read once for many points, the same losses."""

from __future__ import annotations

import threading
import weakref
from collections import Counter
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from lmc_core.matching.many import align_models
from lmc_core.matching.pair import align_pair
from lmc_core.matching.reference import ReferenceSettings
from lmc_core.matching.weight import WeightSettings
from lmc_core.models import interleaved_forward
from lmc_core.models.forward import random_inputs
from lmc_core.models.lazy import LazyState
from lmc_core.models.mixing import weighted
from lmc_core.models.model import Model
from lmc_core.paths.curve import Curve, curve, measure
from lmc_core.paths.line import Line
from lmc_core.paths.plain_average import plain_losses
from lmc_core.paths.simplex import losses_at
from lmc_core.progress import ignore
from lmc_core.tasks import Examples, losses, streamed_losses
from lmc_core.tasks.evaluator import Mode
from tests.matching.test_lazy_pair import lazily
from tests.networks import random_model
from tests.paths.test_barrier import examples_for

FAMILIES = ("gpt2", "gpt_neox", "llama", "vit")
LAM = torch.tensor([0.0, 0.21, 0.6, 1.0], dtype=torch.float64)
MIXTURES = ((0.0, 1.0, 0.0), (0.0, 0.3, 0.7), (0.5, 0.5, 0.0), (0.2, 0.3, 0.5), (1 / 3,) * 3)


@pytest.fixture(autouse=True)
def no_pass_is_left() -> Iterator[None]:
    """Every thread of a pass ends with it, whatever happens."""
    yield
    assert not [each for each in threading.enumerate() if each.name == "pass"]


def pair_of(name: str, dtype: torch.dtype = torch.float32) -> tuple[Model, Model]:
    return random_model(name, 0, dtype), random_model(name, 1, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", FAMILIES)
def test_losses_are_those_of_modules_built_one_by_one(name: str, dtype: torch.dtype) -> None:
    a, b = pair_of(name, dtype)
    examples = examples_for(name, 9)
    found = measure(Line(lazily(a), lazily(b)), LAM, examples)
    for row, correct, lam in zip(found.losses, found.correct, LAM.tolist(), strict=True):
        state = {n: (1 - lam) * t.double() + lam * b.state[n].double() for n, t in a.state.items()}
        module = a.with_state(state).module()
        with torch.no_grad():
            own = losses(a.family.outputs(module, examples.inputs), examples.targets)
        torch.testing.assert_close(row, own[0], atol=0, rtol=1e-5)
        torch.testing.assert_close(correct, own[1])
    # points are told apart far beyond that: neighbours differ, and so does a wrong order of ends
    assert float((found.losses.diff(dim=0).abs() / found.losses[1:]).amax(1).min()) > 1e-3
    swapped = measure(Line(lazily(b), lazily(a)), LAM, examples)
    assert float((swapped.losses / found.losses - 1).abs().amax(1).min()) > 1e-3


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama", "vit"])
def test_an_aligned_pair_that_is_lazily_read(name: str) -> None:
    a, b = pair_of(name)
    settings = WeightSettings(starts=("edges",), max_rounds=1)
    pair = align_pair(lazily(a), lazily(b), random_inputs(a, 2), settings=settings)
    examples = examples_for(name, 8)
    found = measure(Line(pair.a, pair.b), LAM, examples)
    held = Line(*(end.with_state(dict(end.state)) for end in (pair.a, pair.b)))
    torch.testing.assert_close(found.losses, measure(held, LAM, examples).losses, atol=0, rtol=1e-5)
    plain = measure(Line(a, b), LAM, examples).losses
    torch.testing.assert_close(found.losses[[0, -1]], plain[[0, -1]], atol=0, rtol=1e-4)
    assert float((found.losses[1:3] / plain[1:3] - 1).abs().max()) > 1e-3


@pytest.mark.parametrize("name", ["gpt2", "llama", "vit"])
def test_three_aligned_models_that_are_lazily_read(name: str) -> None:
    models = [random_model(name, seed, torch.float32) for seed in range(3)]
    inputs, settings = random_inputs(models[0], 2), ReferenceSettings(1)
    group = align_models([lazily(each) for each in models], inputs, None, "reference", settings)
    examples, rows = examples_for(name, 6), torch.tensor(MIXTURES, dtype=torch.float64)
    found, _ = losses_at(group.models, rows, examples)
    held = [each.with_state(dict(each.state)) for each in group.models]
    torch.testing.assert_close(found, losses_at(held, rows, examples)[0], atol=0, rtol=1e-5)
    plain = losses_at(models, rows, examples)[0]
    torch.testing.assert_close(found[0], plain[0], atol=0, rtol=1e-4)
    assert float((found[1:] / plain[1:] - 1).abs().amax(1).min()) > 1e-3


# classes that hold parameters around their parts, reach into them from outside, call a layer again,
# share a table with the head, or have buffers in their state
@pytest.mark.parametrize(
    "name", ["beit_timm", "whisper", "albert-groups", "bert", "bart", "deepseek_v3", "t5", "swin"]
)
def test_classes_that_are_not_a_row_of_layers(name: str) -> None:
    a, b = pair_of(name)
    inputs = random_inputs(a, 2)
    found: dict[tuple[float, int], Tensor] = {}

    def one(lam: float, row: int) -> interleaved_forward.Pass:
        return interleaved_forward.Pass(
            (1 - lam, lam),
            lambda module: a.family.outputs(module, inputs[row : row + 1]),
            lambda outputs: found.update({(lam, row): outputs}),
        )

    passes = [one(lam, row) for lam in LAM.tolist() for row in (0, 1)]
    ends = lazily(a).state, lazily(b).state
    interleaved_forward.run_interleaved(a.hollow_module(), ends, passes)
    for (lam, row), outputs in found.items():
        module = a.with_state(dict(Line(a, b).state(lam))).module()
        with torch.no_grad():
            own = a.family.outputs(module, inputs[row : row + 1])
        torch.testing.assert_close(outputs, own, atol=1e-5 * float(own.abs().max()), rtol=1e-5)
    assert len(found) == 8


def counting(model: Model, counts: Counter[str]) -> Model:
    def read(name: str) -> Tensor:
        counts[name] += 1
        return model.state[name].clone()

    return model.with_state(LazyState(model.state, read))


def test_every_parameter_is_read_once_for_all_points() -> None:
    a, b = pair_of("gpt_neox")
    counts: Counter[str] = Counter()
    curve(
        Line(counting(a, counts), b.with_state(lazily(b).state)), examples_for("gpt_neox", 9), 7, 0
    )
    assert counts.keys() == a.state.keys() and set(counts.values()) == {1}


def test_what_flows_through_decides_how_much_is_done_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Little room makes more readings, and no other losses."""
    a, b = (lazily(each) for each in pair_of("gpt2"))
    examples = examples_for("gpt2", 9)
    whole = measure(Line(a, b), LAM, examples)
    length = examples.inputs.shape[1]
    each = streamed_losses.flow_each(a.family, a.config, length)
    assert each == 4 * 2 * length * a.config.size("n_embd")
    monkeypatch.setattr(streamed_losses, "OUTPUTS", 2 * length * a.config.size("vocab_size"))
    for pairs, readings in ((1, 36), (4, 12), (9, 4), (20, 2), (36, 1)):
        monkeypatch.setattr(streamed_losses, "FLOW", pairs * each)
        counts: Counter[str] = Counter()
        found = measure(Line(counting(a, counts), b), LAM, examples)
        torch.testing.assert_close(found.losses, whole.losses, atol=0, rtol=1e-5)
        assert counts["transformer.h.0.attn.c_attn.weight"] == readings


def test_no_more_than_a_part_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ends of a part and one mixture of it; of another part nothing."""
    a, b = (lazily(each) for each in pair_of("gpt_neox"))
    most: list[int] = []
    put = interleaved_forward._Mixed.put

    def watched(self: interleaved_forward._Mixed, weights: tuple[float, ...]) -> None:
        put(self, weights)
        if self._places:
            most.append(sum(not each.is_meta for each in seen[0].parameters()))

    seen = [a.hollow_module()]
    monkeypatch.setattr(Model, "hollow_module", lambda self: seen[0])
    monkeypatch.setattr(interleaved_forward._Mixed, "put", watched)
    measure(Line(a, b), LAM, examples_for("gpt_neox", 4))
    layer = sum(1 for name in a.state if ".layers.0." in name)
    assert max(most) == layer
    assert all(each.is_meta for each in seen[0].parameters())


def test_of_several_models_no_more_than_the_largest_part_is_held() -> None:
    """Of each of them, while all mixtures are made."""
    held: list[weakref.ref[Tensor]] = []
    most = 0

    def watching(model: Model) -> Model:
        def read(name: str) -> Tensor:
            nonlocal most
            tensor = model.state[name].clone()
            held.append(weakref.ref(tensor))
            alive = [found for each in held if (found := each()) is not None]
            most = max(most, sum(each.numel() for each in alive))
            return tensor

        return model.with_state(LazyState(model.state, read))

    models = [random_model("gpt_neox", seed, torch.float32) for seed in range(3)]
    rows = torch.tensor(MIXTURES, dtype=torch.float64)
    losses_at([watching(each) for each in models], rows, examples_for("gpt_neox", 4))
    sizes: Counter[str] = Counter()
    for name, tensor in models[0].state.items():
        sizes[".".join(name.split(".")[:3]) if ".layers." in name else name] += tensor.numel()
    assert most == 3 * max(sizes.values()) < 3 * sum(sizes.values()) / 2


def test_rounds_and_refinement_go_on_as_those_of_models_that_are_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b = pair_of("vit")
    examples = examples_for("vit", 200)
    seen: list[Curve] = []
    found = curve(Line(lazily(a), lazily(b)), examples, 9, 2, keep=seen.append)
    expected = curve(Line(a, b), examples, 9, 2)
    assert found.lam.tolist() == expected.lam.tolist()
    torch.testing.assert_close(found.losses, expected.losses, atol=0, rtol=1e-5)
    assert seen[0].losses.shape == (9, 100)  # the grid is read for once
    room = 2 * 100 * streamed_losses.flow_each(a.family, a.config)
    monkeypatch.setattr(streamed_losses, "FLOW", room)
    seen.clear()
    found = curve(Line(lazily(a), lazily(b)), examples, 9, 2, keep=seen.append)
    torch.testing.assert_close(found.losses, expected.losses, atol=0, rtol=1e-5)
    assert [len(each.lam) for each in seen][:5] == [3, 5, 7, 9, 9]
    goal = 1.5 * expected.barrier.stderr
    few = curve(Line(lazily(a), lazily(b)), examples, 9, 2, stderr=goal)
    same = curve(Line(a, b), examples, 9, 2, stderr=goal)
    assert few.losses.shape == same.losses.shape and few.losses.shape[1] < 200
    torch.testing.assert_close(few.losses, same.losses, atol=0, rtol=1e-5)


def test_plain_averages_and_temperatures_too() -> None:
    a, b = pair_of("gpt2")
    examples = examples_for("gpt2", 6)
    for one, other in zip(
        plain_losses((lazily(a), lazily(b)), [0.5, 0.3], examples, "cpu", ignore)[1],
        plain_losses((a, b), [0.5, 0.3], examples, "cpu", ignore)[1],
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=0, rtol=1e-5)
    by = torch.tensor([1.0, 2.0, 0.5, 1.0])
    lazy = measure(Line(lazily(a), lazily(b)), LAM, examples, temperatures=by)
    held = measure(Line(a, b), LAM, examples, temperatures=by)
    torch.testing.assert_close(lazy.losses, held.losses, atol=0, rtol=1e-5)


def test_other_modes_hold_a_mixture() -> None:
    a, b = pair_of("gpt2")
    mode, examples = Mode("bfloat16"), examples_for("gpt2", 4)
    lazy = measure(Line(lazily(a), lazily(b)), LAM, examples, mode=mode)
    held = measure(Line(a, b), LAM, examples, mode=mode)
    torch.testing.assert_close(lazy.losses, held.losses)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", FAMILIES)
def test_mixtures_of_three_are_those_of_modules_built_one_by_one(
    name: str, dtype: torch.dtype
) -> None:
    models = [random_model(name, seed, dtype) for seed in range(3)]
    examples, rows = examples_for(name, 7), torch.tensor(MIXTURES, dtype=torch.float64)
    counts: Counter[str] = Counter()
    watched = [counting(models[0], counts), *(lazily(each) for each in models[1:])]
    found, correct = losses_at(watched, rows, examples)
    assert counts.keys() == models[0].state.keys()
    again = {each for each, count in counts.items() if count > 1}
    assert again <= {"transformer.wte.weight"}  # the head's as well
    for row, weights in enumerate(MIXTURES):
        state = {
            n: sum(w * each.state[n].double() for w, each in zip(weights, models, strict=True))
            for n in models[0].state
        }
        module = models[0].with_state(state).module()
        with torch.no_grad():
            own = losses(models[0].family.outputs(module, examples.inputs), examples.targets)
        torch.testing.assert_close(found[row], own[0], atol=0, rtol=1e-5)
        torch.testing.assert_close(correct[row], own[1])
    swapped, _ = losses_at([*watched[1:], watched[0]], rows, examples)
    assert float((swapped / found - 1).abs().amax(1)[:-1].min()) > 1e-3  # not of the centre


@pytest.mark.parametrize("weights", MIXTURES)
def test_what_is_mixed_in_pieces_is_the_running_mean(
    weights: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit, so that held and lazily read models have the same parameters."""
    monkeypatch.setattr(interleaved_forward, "PIECE", 5)
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float32, torch.float16):
        tensors = [torch.randn(4, 3, generator=generator).to(dtype) for _ in weights]
        found = interleaved_forward.mix(tensors, weights)
        assert torch.equal(found, weighted([each.float() for each in tensors], weights))
    for lam in (0.0, 0.1, 0.25, 1 / 3, 0.7, 1.0):
        line = torch.lerp(tensors[0].float(), tensors[1].float(), lam)
        assert torch.equal(interleaved_forward.mix(tensors[:2], (1 - lam, lam)), line)


class Stopped(Exception):
    """Somebody stops a run."""


def test_a_run_that_is_stopped_leaves_no_thread() -> None:
    a, b = (lazily(each) for each in pair_of("gpt2"))
    shares: list[float] = []

    def stop(share: float) -> None:
        shares.append(share)
        if share > 0.4:
            raise Stopped

    with pytest.raises(Stopped):
        measure(Line(a, b), LAM, examples_for("gpt2", 6), progress=stop)
    assert shares == sorted(shares) and len(shares) > 5


def test_an_error_inside_the_network_is_the_one_that_is_said() -> None:
    a, b = (lazily(each) for each in pair_of("gpt2"))
    examples = examples_for("gpt2", 4)
    beyond = Examples(examples.inputs + a.config.size("vocab_size"), examples.targets)
    with pytest.raises(IndexError, match="out of range"):
        measure(Line(a, b), LAM, beyond)
