"""Matching through checkpoints: a planted element is followed where the ends alone lose it, each
alignment is the start of the next, functions are kept, and what does not fit is refused.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lmc_core.errors import BadInput, Incompatible
from lmc_core.matching.align import align
from lmc_core.matching.aligned import canonical
from lmc_core.matching.chain import find_way
from lmc_core.matching.pair import align_pair
from lmc_core.matching.weight import WeightSettings
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import choose_classes, permutations_only
from lmc_core.tasks import get_task
from lmc_core.tasks.learning import Learning
from tests import tiny

STEPS, DRIFT = 8, 0.5
Drifting = tuple[list[Model], list[Model], Alignment, dict[str, str]]


def drifting(family: str, permuted: bool, seed: int = 3) -> Drifting:
    """Two runs of one beginning that drift apart independently, the second moved as a whole by one
    random element; the element, and the classes.
    """
    first = tiny.tiny(family, seed)
    generator = torch.Generator().manual_seed(seed)

    def drift(model: Model) -> Model:
        return model.with_state(
            {
                name: tensor
                + DRIFT
                * tensor.std().clamp_min(0.02)
                * torch.randn(tensor.shape, generator=generator)
                for name, tensor in model.state.items()
            }
        )

    a, b = [first], [first]
    for _ in range(STEPS):
        a.append(drift(a[-1]))
        b.append(drift(b[-1]))
    classes = (permutations_only if permuted else choose_classes)(first.layout.spaces)
    forms = [canonical(model, classes) for model in b]
    planted = Alignment.random(forms[0].layout.spaces, classes, generator)
    moved = [form.with_state(planted.apply(form.layout, form.state)) for form in forms]
    return a, moved, planted, {kind: value.value for kind, value in classes.items()}


def recovered(found: Alignment, planted: Alignment, model: Model) -> float:
    """Share of the coordinates of the residual stream that stand where they began."""
    back = found.compose(planted).elements
    parts = [
        (matrix.abs().argmax(-1) == torch.arange(matrix.shape[-1])).double().mean()
        for name, space in model.layout.spaces.items()
        if space.kind == "residual"
        for matrix in [back[name].matrix()]
    ]
    return float(torch.stack(parts).mean())


def test_a_planted_order_is_followed_where_the_ends_alone_lose_it() -> None:
    a, b, planted, classes = drifting("gpt2", permuted=True)
    ends = align(a[-1], b[-1], classes=classes)
    chain = align(a[-1], b[-1], classes=classes, through=(a[:-1], b[:-1]))
    assert recovered(chain.alignment, planted, a[0]) == 1.0
    assert recovered(ends.alignment, planted, a[0]) < 0.8
    assert chain.function_error < 1e-5 and chain.trace.start == "given"
    assert chain.trace.objective[-1] > ends.trace.objective[-1]


def test_the_chain_is_each_alignment_from_the_one_before() -> None:
    a, b, _, classes = drifting("vit", permuted=False)
    inputs = get_task("fashion-mnist").examples("test", 16).inputs
    start = None
    objectives = []
    for one, other in zip(a, b, strict=True):
        pair = align_pair(one, other, inputs, classes, start=start)
        start = pair.alignment
        objectives.append(pair.trace.objective[-1])
    found = align(a[-1], b[-1], classes=classes, through=(a[:-1], b[:-1]))
    assert found.alignment.distance(start) == 0.0
    passed = found.trace.about["through"]
    assert [each["objective"] for each in passed] == objectives[:-1]
    assert passed[0]["models"] == [a[0].name, b[0].name]
    alone = align(a[-1], b[-1], classes=classes)
    assert found.alignment.distance(alone.alignment) > 0.1


def test_a_start_that_nothing_improves_is_returned() -> None:
    a, b, planted, classes = drifting("vit", permuted=True)
    inputs = get_task("fashion-mnist").examples("test", 4).inputs
    still = WeightSettings(max_rounds=0)
    found = align_pair(a[0], b[0], inputs, classes, settings=still, start=planted.inverse())
    assert found.alignment.distance(planted.inverse()) < 1e-12
    assert found.trace.objective == (pytest.approx(1.0, abs=1e-6),)
    on = align_pair(a[0], b[0], inputs, classes, start=planted.inverse())
    assert on.alignment.distance(planted.inverse()) == 0.0


def test_planes_of_heads_are_found_anew_from_the_stream() -> None:
    a, b, planted, classes = drifting("vit", permuted=False)
    inputs = get_task("fashion-mnist").examples("test", 16).inputs
    back = planted.inverse().elements
    kept = {name: back[name] for name in back if a[0].layout.spaces[name].kind != "query-key"}
    kept = {n: e for n, e in kept.items() if a[0].layout.spaces[n].kind != "value-output"}
    start = Alignment.of(a[0].layout.spaces, kept)
    # activations of few examples leave directions that are found to less than rounding
    for method, near in (("weight", 1e-5), ("activation", 2e-2)):
        learning = Learning.split(get_task("fashion-mnist").examples("train", 40))
        found = align_pair(a[0], b[0], inputs, classes, method, start=start, learning=learning)
        assert recovered(found.alignment, planted, a[0]) == 1.0
        for name, tensor in found.a.state.items():
            torch.testing.assert_close(found.b.state[name], tensor, atol=near, rtol=0)


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("activation", {"examples": 16}),
        ("learned", {"steps": 2, "batch": 4, "start": "weight"}),
        ("joint", {"steps": 2, "batch": 4}),
    ],
)
def test_methods_with_data_begin_where_the_checkpoints_end(
    method: str, settings: dict[str, object]
) -> None:
    a, b, _, classes = drifting("vit", permuted=False)
    train = get_task("fashion-mnist").examples("train", 40)
    words = {"method": method, "settings": settings, "classes": classes, "train": train}
    found = align(a[-1], b[-1], through=(a[:2], b[:2]), **words)
    assert found.function_error < 1e-5 and len(found.trace.about["through"]) == 2
    way = find_way(method, settings)
    if way == "weight":
        before = align(a[-1], b[-1], classes=classes, through=(a[:2], b[:2]))
        assert found.trace.objective == before.trace.objective, "learning goes on from the chain"
    else:
        assert way == "activation"


def test_what_does_not_fit_is_refused() -> None:
    one, other = (tiny.tiny("vit", seed) for seed in (0, 1))
    wide = tiny.tiny("vit", embed_dim=24)
    with pytest.raises(BadInput, match="2 of A and 1 of B"):
        align(one, other, through=([one, one], [other]))
    with pytest.raises(BadInput, match="0 of A"):
        align(one, other, through=([], []))
    with pytest.raises(Incompatible, match="another width"):
        align(one, other, through=([one], [wide]))
    with pytest.raises(Incompatible, match="different widths"):
        align(one, wide, through=([one], [wide]))
    with pytest.raises(Incompatible, match="a vit and .* a gpt2"):
        align(one, other, through=([tiny.tiny("gpt2")], [other]))
    with pytest.raises(BadInput, match=r"soft does not start .*learned, dual or joint"):
        align(one, other, method="soft", through=([one], [other]))


def test_folders_are_read_in_the_order_of_their_steps(tmp_path: Path) -> None:
    a, b, _, classes = drifting("gpt2", permuted=True)
    for name, run in (("a", a), ("b", b)):
        for step in (0, 2, 10):
            model = run[min(step, 7)].with_state(
                {n: t.float() for n, t in run[min(step, 7)].state.items()}
            )
            tiny.write(tmp_path / name / f"checkpoint-{step}", model)
    read = align(a[-1], b[-1], classes=classes, through=(tmp_path / "a", str(tmp_path / "b")))
    held = align(a[-1], b[-1], classes=classes, through=([a[0], a[2], a[7]], [b[0], b[2], b[7]]))
    assert read.alignment.distance(held.alignment) < 1e-4
