"""The families that have a layout. Adding one: a module with a `Family`, and a line here."""

from __future__ import annotations

from lmc_core.errors import UnknownName
from lmc_core.models.bert import BERT
from lmc_core.models.deepseek_v2 import DEEPSEEK_V2
from lmc_core.models.deepseek_v3 import DEEPSEEK_V3
from lmc_core.models.family import Family
from lmc_core.models.gemma2 import GEMMA2
from lmc_core.models.gpt2 import GPT2
from lmc_core.models.gpt_neox import GPT_NEOX
from lmc_core.models.llama import LLAMA
from lmc_core.models.mistral import MISTRAL
from lmc_core.models.mixtral import MIXTRAL
from lmc_core.models.olmo import OLMO
from lmc_core.models.olmo2 import OLMO2
from lmc_core.models.olmoe import OLMOE
from lmc_core.models.opt import OPT
from lmc_core.models.qwen2 import QWEN2
from lmc_core.models.qwen2_moe import QWEN2_MOE
from lmc_core.models.qwen3 import QWEN3
from lmc_core.models.qwen3_moe import QWEN3_MOE
from lmc_core.models.roberta import ROBERTA
from lmc_core.models.t5 import T5
from lmc_core.models.vit import VIT
from lmc_core.models.vit_hf import VIT_HF

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        BERT,
        DEEPSEEK_V2,
        DEEPSEEK_V3,
        GEMMA2,
        GPT2,
        GPT_NEOX,
        LLAMA,
        MISTRAL,
        MIXTRAL,
        OLMO,
        OLMO2,
        OLMOE,
        OPT,
        QWEN2,
        QWEN2_MOE,
        QWEN3,
        QWEN3_MOE,
        ROBERTA,
        T5,
        VIT,
        VIT_HF,
    )
}


def get_family(name: str) -> Family:
    """Return the family of that name.

    Raises:
        UnknownName: if there is none.
    """
    if name not in FAMILIES:
        raise UnknownName.of("family", name, FAMILIES)
    return FAMILIES[name]
