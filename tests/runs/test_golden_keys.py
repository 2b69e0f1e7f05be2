"""One key of every kind of request, literally: whatever changes one makes every stored result of
that kind unfindable.

If a test here fails, the change either was meant to give other numbers (raise `ALGORITHM`, and
write the new keys here), or it must leave the keys alone: a new field may enter a key only with a
value that older requests could not have had.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from lmc_core.equivariance.run import EquivarianceRequest
from lmc_core.runs.computations import REQUESTS, request_from_json
from lmc_core.runs.kinds.alignment import AlignmentRequest
from lmc_core.runs.kinds.barrier import BarrierRequest
from lmc_core.runs.kinds.bend import BendRequest
from lmc_core.runs.kinds.layers import LayersRequest
from lmc_core.runs.kinds.many import GroupRequest
from lmc_core.runs.kinds.merge import MergeRequest
from lmc_core.runs.kinds.orders import OrdersRequest
from lmc_core.runs.kinds.plane import PlaneRequest
from lmc_core.runs.kinds.point import PointRequest
from lmc_core.runs.request import ModelsRequest

PAIR: dict[str, Any] = {
    "models": ("zoo:a", "path:/home/me/b"), "names": ("a", "b"), "digests": ("a" * 64, "b" * 64), "task": "plays",
    "examples": 50, "seed": 3, "length": 64, "method": "weight",
    "classes": (("residual", "orthogonal"), ("units", "permutation")),
    "settings": (("iterations", 9), ("share", 0.5)), "device": "cpu", "algorithm": 2,
}  # fmt: skip
THREE = {
    **PAIR,
    "models": ("1", "2", "3"),
    "names": ("x", "y", "z"),
    "digests": ("1" * 64, "2" * 64, "3" * 64),
}
ONE = {
    **PAIR,
    **{name: PAIR[name][:1] for name in ("models", "names", "digests")},
    "method": "none",
}
LEARNED = {**PAIR, "method": "learned", "settings": (("steps", 40),), "learn": 100, "algorithm": 2}
OWN = {**PAIR, "task": "text:/home/me/letters.txt", "data": "d" * 64, "split": "train"}
REQUESTED: dict[str, ModelsRequest | EquivarianceRequest] = {
    "barrier": BarrierRequest(**PAIR, points=11, refine=2),
    "barrier, plain": BarrierRequest(**{**PAIR, "method": "none", "classes": (), "settings": ()}),
    "barrier, learned": BarrierRequest(**LEARNED, temperature=True, repair=True),
    "barrier, own text": BarrierRequest(**OWN),
    "group": GroupRequest(**{**THREE, "method": "universe"}, resolution=6),
    "layers": LayersRequest(**PAIR),
    "alignment": AlignmentRequest(**PAIR, tokens=256),
    "plane": PlaneRequest(**PAIR, kind="pair", resolution=9),
    "plane, random": PlaneRequest(**ONE, kind="random", span=0.5),
    "point": PointRequest(**PAIR, kind="pair", u=0.25, v=-1.5),
    "bend": BendRequest(**LEARNED, steps=300, points=9),
    "merge": MergeRequest(
        **{**THREE, "method": "reference"}, merges=(("average", ()), ("ties", (("density", 0.5),))), weights=(0.5, 0.5),
        ancestor=True, also=("austen",), resolution=None,
    ),
    "orders": OrdersRequest(**PAIR, points=5, draws=4),
    "equivariance": EquivarianceRequest(primal_rate=0.1, dual_rate=0.2, augmented=2.0, steps=100, algorithm=1),
}  # fmt: skip
KEYS = {
    "barrier": "fe8801b756f2c718dd6c3ef66e04d4d9f23ae92e56c170b2373a3ea709f7ea99",
    "barrier, plain": "6d6d768d1c513b83af64ef0c187d045f24d27f7f658eb36b6ebfa46c44298701",
    "barrier, learned": "295d10dd95c86317d558a6982bb1e8b91d068c5f1e6c73224132ea9f467a1d87",
    "barrier, own text": "0bef4a977886fe0922b252aae2240727791b9ffda4d856d2c4d4ec357ba85c00",
    "group": "0b780318dfd2ca176d34a5cb85399634886ac3117ca63faf9bc782b5377d6a8d",
    "layers": "2054c71d95222a0c434a916d2e78f60ace5e308e702d31bbb820c746dcd4eb3e",
    "alignment": "a0e6de58918553c1724e7c44854b8cf869a0046c633b923964c8ccc00c58772a",
    "plane": "fccbbc90e7fbaa157c03bf3f89d93bd1b91f11c04146747abbe6057d499ec895",
    "plane, random": "8a434f194e5ae9fe7e1fe154180b3c5783e3e35f1ae428d1ae351b332f786898",
    "point": "b46edd2298577e45fc458f81dd04d3eb0a99fe47092e30331ef7907c70e12301",
    "bend": "66c561be75fa300e9ef0e31af72e781af63b54eab61de90a04970d6174752a0b",
    "merge": "80404ffb0d244c710fac9a58b4ce0d64875e5d0355ef5455730206eaa5d3e472",
    "orders": "47fe355d3994f312105a1a66faa58a7598b761ac4c6933eda9a690de93782acd",
    "equivariance": "42a9e96ba6fecf0e97436a11af1cb706271c7a4e79e4375657efca22bc9c1092",
}


def test_every_kind_has_one() -> None:
    assert {request.what for request in REQUESTED.values()} == REQUESTS.keys() - {"fake"}
    assert KEYS.keys() == REQUESTED.keys() and len(set(KEYS.values())) == len(KEYS)


@pytest.mark.parametrize("name", REQUESTED)
def test_the_key_is_what_it_was(name: str) -> None:
    assert REQUESTED[name].key == KEYS[name]


@pytest.mark.parametrize("name", REQUESTED)
def test_the_order_of_what_is_written_does_not_matter(name: str) -> None:
    """Fields, and the members of objects in JSON, in the opposite order; as they come back from a
    file.
    """
    request: Any = REQUESTED[name]
    content = request.to_json()
    backwards = json.loads(json.dumps({field: content[field] for field in reversed(list(content))}))
    assert request_from_json(backwards).key == KEYS[name]
    values = {
        field.name: getattr(request, field.name) for field in reversed(dataclasses.fields(request))
    }
    assert type(request)(**values) == request and type(request)(**values).key == KEYS[name]


@pytest.mark.parametrize(
    "name", [name for name, request in REQUESTED.items() if isinstance(request, ModelsRequest)]
)
def test_names_and_places_do_not_matter_and_all_else_does(name: str) -> None:
    request: Any = REQUESTED[name]
    count = len(request.names)
    other = dataclasses.replace(request, models=("elsewhere",) * count, names=("somebody",) * count)
    if request.data:
        other = dataclasses.replace(other, task="text:/other/place.txt")
    assert other.key == KEYS[name]
    changed = {
        "digests": request.digests[::-1] if count > 1 else ("c" * 64,), "task": "austen", "split": "validation", "examples": 51,
        "seed": 4, "length": 65, "data": "e" * 64, "method": "soft", "classes": (("units", "none"),), "settings": (("x", 1),),
        "precision": "bfloat16", "device": "cuda", "learn": 101, "learn_data": "f" * 64, "algorithm": 99, "what": "fake",
    }  # fmt: skip
    keys = {
        field: dataclasses.replace(request, **{field: value}).key
        for field, value in changed.items()
    }
    assert len({*keys.values(), request.key}) == len(keys) + 1, "some field is not in the key"


def test_classes_and_settings_in_another_order_are_one_request() -> None:
    from lmc_core.models.load import load
    from lmc_core.runs.ask import matching_of

    model = load("zoo:vit-fashion-s0")
    classes, settings = (
        {"units": "permutation", "residual": "orthogonal"},
        {"rounds": 2, "seeds": 1},
    )
    keys = {
        BarrierRequest(**{**PAIR, **matching_of(model, "weight", dict(one), dict(other))}).key
        for one in (classes.items(), reversed(classes.items()))
        for other in (settings.items(), reversed(settings.items()))
    }
    assert len(keys) == 1
