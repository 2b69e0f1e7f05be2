"""All of timm's pretrained names that begin like a Vision Transformer: how many are supported, and
why the others are not.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from lmc_core.errors import BadCheckpoint
from lmc_core.models.families import FAMILIES
from lmc_core.models.model import Uninitialised

BEGINNINGS = ("vit_", "deit", "eva_large", "flexivit")
REASONS = (
    "differential attention, in which two softmaxes of a head are subtracted",
    "norms behind its layers, whose gains act inside the stream",
    "Only square images are supported",
)
KIN = (
    "beit_",
    "beitv2_",
    "eva_giant",
    "eva02_tiny",
    "eva02_small",
    "eva02_base_patch14_448",
    "eva02_large_patch14_448",
)


def as_uploaded(name: str) -> dict[str, Any]:
    """What the hub's `config.json` of a name says."""
    import timm

    given = timm.get_pretrained_cfg(name).to_dict()
    known = {key: value for key, value in given.items() if value is not None}
    content = {
        "architecture": name.partition(".")[0],
        "num_classes": known.get("num_classes", 1000),
        "pretrained_cfg": known | {"input_size": list(known["input_size"])},
    }
    return json.loads(json.dumps(content))


@pytest.mark.slow
def test_every_pretrained_name_is_supported_or_refused_with_its_reason() -> None:
    import timm

    names = [name for name in timm.list_pretrained() if name.startswith(BEGINNINGS)]
    assert len(names) >= 387
    refused: dict[str, str] = {}
    for name in names:
        raw = as_uploaded(name)
        family = next(family for family in FAMILIES.values() if family.recognises(raw))
        try:
            config = family.config(raw)
        except BadCheckpoint as error:
            refused[name] = str(error)
            continue
        assert family.config(json.loads(json.dumps(config))) == config, name
        assert config["num_classes"] == raw["num_classes"], name
        assert family.sizes(config)["depth"] > 0 and family.structure(config).layout.shapes, name
    assert len(names) - len(refused) >= 350
    for name, words in refused.items():
        assert any(re.search(reason, words) for reason in REASONS), (name, words)


@pytest.mark.slow
@pytest.mark.parametrize("beginning", KIN)
def test_kin(beginning: str) -> None:
    import timm

    names = [name for name in timm.list_pretrained() if name.startswith(beginning)]
    assert names
    for name in names:
        raw = as_uploaded(name)
        family = next(family for family in FAMILIES.values() if family.recognises(raw))
        config = family.config(raw)
        with_shapes = family.structure(config).layout.shapes
        assert len(with_shapes) > config["model_args"]["depth"]


@pytest.mark.parametrize(
    "architecture",
    [
        *(
            "vit_base_patch16_siglip_224",
            "vit_giant_patch14_reg4_dinov2",
            "vit_pwee_patch16_reg1_gap_256",
            "vit_base_mci_224",
        ),
        *(
            "vit_small_patch16_18x2_224",
            "vit_small_r26_s32_224",
            "vit_so400m_patch14_siglip_384",
            "vit_huge_patch16_radio_v4",
        ),
        *(
            "vit_pe_core_tiny_patch16_384",
            "vit_small_patch16_rope_mixed_ape_224",
            "vit_small_plus_patch16_dinov3",
        ),
        *(
            "eva02_base_patch14_448",
            "eva_giant_patch14_clip_224",
            "beitv2_base_patch16_224",
            "vit_srelpos_small_patch16_224",
        ),
        *(
            "vit_relpos_medium_patch16_cls_224",
            "vit_intern300m_patch14_448",
            "vit_betwixt_patch16_rope_reg4_gap_256",
        ),
    ],
)
def test_the_layout_is_that_of_timm(architecture: str) -> None:
    import timm
    import torch

    classes = 0 if "radio" in architecture or "intern" in architecture else 10
    raw = {"architecture": architecture, "num_classes": classes, "model_args": {"depth": 1}}
    family = next(family for family in FAMILIES.values() if family.recognises(raw))
    config = family.config(raw)
    with torch.device("meta"), Uninitialised():
        module = timm.create_model(architecture, num_classes=classes, depth=1)
    state = {
        name: tuple(t.shape) for name, t in module.state_dict().items() if t.is_floating_point()
    }
    assert family.layout(config).shapes == state
