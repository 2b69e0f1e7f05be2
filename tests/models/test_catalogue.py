"""The catalogue of public models: names that exist, sizes that are right."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch

from lmc_core.matching.pair import canonical
from lmc_core.models.architectures import hf
from lmc_core.models.catalogue import MEMORY, PublicFamily, public, public_rows
from lmc_core.models.families import FAMILIES
from lmc_core.models.family import Family
from lmc_core.models.files.hub import timm_repository
from lmc_core.models.files.references import parse
from lmc_core.models.forward import function_error, random_inputs
from lmc_core.models.load import full_reference
from lmc_core.models.model import Model, Uninitialised, untied_state
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import choose_classes


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


def module_of(entry: PublicFamily) -> tuple[Family, dict[str, Any], torch.nn.Module]:
    """The family here that reads an entry's configuration, that configuration, and the module, on
    no device.
    """
    family = next(family for family in FAMILIES.values() if family.recognises(entry.config))
    assert family.name == entry.family
    config = family.config(entry.config)
    with torch.device("meta"), Uninitialised():
        return family, config, family.build(config)


@pytest.mark.parametrize("entry", public(), ids=lambda entry: entry.name)
def test_every_entry_is_opened_at_its_published_configuration(entry: PublicFamily) -> None:
    """Its family takes it, the layout is that of the ordinary class, and the parameters are as many
    as the entry says.
    """
    family, config, module = module_of(entry)
    if family.classes:
        assert hf.named_class(entry.config, family.classes, family.name) == type(module).__name__
    state = untied_state(module)
    family.layout(config).check(state)
    assert sum(tensor.numel() for tensor in state.values()) == entry.parameters
    assert entry.bytes == 4 * entry.parameters and entry.memory == round(MEMORY * entry.bytes)


def test_members_of_timm_have_one_shape() -> None:
    for entry in public():
        if not entry.members[0].startswith("timm:"):
            continue
        with torch.device("meta"), Uninitialised():
            first, *others = [
                timm.create_model(member.removeprefix("timm:").partition(".")[0], num_classes=1000)
                for member in entry.members
            ]
        for other in others:  # not of one name
            assert {n: p.shape for n, p in other.named_parameters()} == {
                n: p.shape for n, p in first.named_parameters()
            }


DEPTHS = {"gpt2": "n_layer", "gpt_neox": "num_hidden_layers", "bert": "num_hidden_layers"}
SHORT = {
    "gpt2": "n_positions",
    "gpt_neox": "max_position_embeddings",
    "bert": "max_position_embeddings",
}


@pytest.mark.parametrize("name", ["PolyPythias 14M", "Mistral GPT-2 small", "MultiBERTs"])
def test_two_layers_of_an_entry_are_moved_without_a_change(name: str) -> None:
    entry = next(entry for entry in public() if entry.name == name)
    family = next(family for family in FAMILIES.values() if family.recognises(entry.config))
    assert family.name == entry.family
    config = family.config(
        dict(entry.config) | {DEPTHS[family.name]: 2, SHORT[family.name]: 8, "vocab_size": 512}
    )
    torch.manual_seed(0)
    state = {
        key: tensor + 0.05 * torch.randn_like(tensor)
        for key, tensor in untied_state(family.build(config)).items()
    }
    model = Model(name, family, config, state)
    classes = choose_classes(model.layout.spaces)
    form = canonical(model, classes)
    element = Alignment.random(form.layout.spaces, classes, torch.Generator().manual_seed(0))
    moved = form.with_state(element.apply(form.layout, form.state))
    assert function_error(model, moved, random_inputs(model, 2), torch.float64) < 1e-10


def test_rows_are_plain_and_say_which_family_here() -> None:
    rows = {row["name"]: row for row in public_rows()}
    assert (
        rows["Mistral GPT-2 small"]["family"] == "gpt2"
        and rows["vit_small_patch16_224"]["family"] == "vit"
    )
    for row in rows.values():
        assert (
            row["models"] == len(row["references"])
            and row["sentence"].endswith(".")
            and row["source"]
        )
        assert row["config_source"] and row["verified"] is (row["takes"] == "images")
