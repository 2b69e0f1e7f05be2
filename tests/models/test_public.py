"""The catalogue of public models: names that exist, sizes that are right."""

from __future__ import annotations

import pytest
import timm
import torch
import transformers

from lmc_core.models.hub import timm_repository
from lmc_core.models.load import full_reference
from lmc_core.models.public import MEMORY, public, public_rows
from lmc_core.models.references import parse

CONFIGURATIONS = {
    "PolyPythias 14M": ("GPTNeoX", 128, 6, 4),
    "PolyPythias 31M": ("GPTNeoX", 256, 6, 8),
    "PolyPythias 70M": ("GPTNeoX", 512, 6, 8),
    "PolyPythias 160M": ("GPTNeoX", 768, 12, 12),
    "PolyPythias 410M": ("GPTNeoX", 1024, 24, 16),
    "Mistral GPT-2 small": ("GPT2", 768, 12, 12),
    "Mistral GPT-2 medium": ("GPT2", 1024, 24, 16),
    "MultiBERTs": ("Bert", 768, 12, 12),
}


def test_members_are_references_and_each_is_there_once() -> None:
    members = [member for family in public() for member in family.members]
    assert len(set(members)) == len(members) == 5 * 9 + 2 * 5 + 25 + 3 + 5 + 3
    for member in members:
        assert str(parse(member)) == full_reference(member) == member
    assert [len(family.members) for family in public() if family.name == "MultiBERTs"] == [25]


def test_timm_knows_its_members() -> None:
    known = set(timm.list_pretrained())
    for family in public():
        for member in family.members:
            if member.startswith("timm:"):
                name = member.removeprefix("timm:")
                assert name in known and timm_repository(name) == f"timm/{name}"
                assert timm.get_pretrained_cfg(name).num_classes == 1000


@pytest.mark.parametrize("family", public(), ids=lambda family: family.name)
def test_numbers_of_parameters(family) -> None:
    with torch.device("meta"):
        if family.name in CONFIGURATIONS:
            kind, width, depth, heads = CONFIGURATIONS[family.name]
            config = getattr(transformers, f"{kind}Config")()
            config.hidden_size, config.num_hidden_layers, config.num_attention_heads = width, depth, heads
            config.intermediate_size = 4 * width
            if kind == "GPTNeoX":
                config.vocab_size = 50304
            model = getattr(transformers, family.config["architectures"][0])(config)
        else:
            model = timm.create_model(family.name, num_classes=1000)
            for member in family.members:  # of one shape, though not of one name
                other = timm.create_model(member.removeprefix("timm:").partition(".")[0], num_classes=1000)
                assert {n: p.shape for n, p in other.named_parameters()} == {n: p.shape for n, p in model.named_parameters()}
    assert sum(parameter.numel() for parameter in model.parameters()) == family.parameters
    assert family.bytes == 4 * family.parameters and family.memory == round(MEMORY * family.bytes)


def test_rows_are_plain_and_say_which_family_here() -> None:
    rows = {row["name"]: row for row in public_rows()}
    assert rows["Mistral GPT-2 small"]["family"] == "gpt2" and rows["vit_small_patch16_224"]["family"] == "vit"
    for row in rows.values():
        assert row["models"] == len(row["references"]) and row["sentence"].endswith(".") and row["source"]
