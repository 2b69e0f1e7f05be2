"""The families that have a layout, one file each. Adding one: its file, and a line here.

From outside the package `FAMILIES.add(family)` adds one; whatever loads, lists, aligns or writes
models then knows it.
"""

from __future__ import annotations

from lmc_core.models.families.albert import ALBERT
from lmc_core.models.families.bart import BART
from lmc_core.models.families.beit import BEIT, DATA2VEC_VISION
from lmc_core.models.families.beit_timm import BEIT_TIMM
from lmc_core.models.families.bert import BERT
from lmc_core.models.families.bloom import BLOOM
from lmc_core.models.families.clip import CLIP, CLIP_CLASSIFIER, CLIP_TEXT, CLIP_VISION
from lmc_core.models.families.cohere import COHERE
from lmc_core.models.families.cohere2 import COHERE2
from lmc_core.models.families.deberta_v2 import DEBERTA_V2
from lmc_core.models.families.deepseek_v2 import DEEPSEEK_V2
from lmc_core.models.families.deepseek_v3 import DEEPSEEK_V3
from lmc_core.models.families.dinov2 import DINOV2, DINOV2_WITH_REGISTERS
from lmc_core.models.families.dinov3_vit import DINOV3_VIT
from lmc_core.models.families.distilbert import DISTILBERT
from lmc_core.models.families.electra import ELECTRA
from lmc_core.models.families.eva import EVA
from lmc_core.models.families.exaone4 import EXAONE4
from lmc_core.models.families.falcon import FALCON
from lmc_core.models.families.gemma import GEMMA
from lmc_core.models.families.gemma2 import GEMMA2
from lmc_core.models.families.gemma3 import GEMMA3
from lmc_core.models.families.glm import GLM
from lmc_core.models.families.glm4 import GLM4
from lmc_core.models.families.gpt2 import GPT2
from lmc_core.models.families.gpt_bigcode import GPT_BIGCODE
from lmc_core.models.families.gpt_neo import GPT_NEO
from lmc_core.models.families.gpt_neox import GPT_NEOX
from lmc_core.models.families.gpt_oss import GPT_OSS
from lmc_core.models.families.gptj import GPTJ
from lmc_core.models.families.granite import GRANITE
from lmc_core.models.families.granitemoe import GRANITEMOE
from lmc_core.models.families.llama import LLAMA
from lmc_core.models.families.mamba import FALCON_MAMBA, MAMBA
from lmc_core.models.families.mistral import MISTRAL
from lmc_core.models.families.mixtral import MIXTRAL
from lmc_core.models.families.modernbert import MODERNBERT
from lmc_core.models.families.mpnet import MPNET
from lmc_core.models.families.mpt import MPT
from lmc_core.models.families.nemotron import NEMOTRON
from lmc_core.models.families.olmo import OLMO
from lmc_core.models.families.olmo2 import OLMO2
from lmc_core.models.families.olmo3 import OLMO3
from lmc_core.models.families.olmoe import OLMOE
from lmc_core.models.families.opt import OPT
from lmc_core.models.families.phi import PHI
from lmc_core.models.families.phi3 import PHI3
from lmc_core.models.families.qwen2 import QWEN2
from lmc_core.models.families.qwen2_moe import QWEN2_MOE
from lmc_core.models.families.qwen3 import QWEN3
from lmc_core.models.families.qwen3_moe import QWEN3_MOE
from lmc_core.models.families.roberta import CAMEMBERT, ROBERTA, XLM_ROBERTA
from lmc_core.models.families.siglip import SIGLIP, SIGLIP_CLASSIFIER, SIGLIP_TEXT, SIGLIP_VISION
from lmc_core.models.families.smollm3 import SMOLLM3
from lmc_core.models.families.stablelm import STABLELM
from lmc_core.models.families.starcoder2 import STARCODER2
from lmc_core.models.families.swin import SWIN
from lmc_core.models.families.t5 import MT5, T5, UMT5
from lmc_core.models.families.vit import VIT
from lmc_core.models.families.vit_hf import VIT_HF
from lmc_core.models.families.vit_mae import VIT_MAE
from lmc_core.models.families.vit_relpos import VIT_RELPOS
from lmc_core.models.families.whisper import WHISPER
from lmc_core.models.family import Family
from lmc_core.registry import Registry

FAMILIES: Registry[Family] = Registry(
    "family",
    (
        ALBERT,
        BART,
        BEIT,
        BEIT_TIMM,
        BERT,
        BLOOM,
        CAMEMBERT,
        CLIP,
        CLIP_CLASSIFIER,
        CLIP_TEXT,
        CLIP_VISION,
        COHERE,
        COHERE2,
        DATA2VEC_VISION,
        DEBERTA_V2,
        DEEPSEEK_V2,
        DEEPSEEK_V3,
        DINOV2,
        DINOV2_WITH_REGISTERS,
        DINOV3_VIT,
        DISTILBERT,
        ELECTRA,
        EVA,
        EXAONE4,
        FALCON,
        FALCON_MAMBA,
        GEMMA,
        GEMMA2,
        GEMMA3,
        GLM,
        GLM4,
        GPT2,
        GPTJ,
        GPT_BIGCODE,
        GPT_NEO,
        GPT_NEOX,
        GPT_OSS,
        GRANITE,
        GRANITEMOE,
        LLAMA,
        MAMBA,
        MISTRAL,
        MIXTRAL,
        MODERNBERT,
        MPNET,
        MPT,
        MT5,
        NEMOTRON,
        OLMO,
        OLMO2,
        OLMO3,
        OLMOE,
        OPT,
        PHI,
        PHI3,
        QWEN2,
        QWEN2_MOE,
        QWEN3,
        QWEN3_MOE,
        ROBERTA,
        SIGLIP,
        SIGLIP_CLASSIFIER,
        SIGLIP_TEXT,
        SIGLIP_VISION,
        SMOLLM3,
        STABLELM,
        STARCODER2,
        SWIN,
        T5,
        UMT5,
        VIT,
        VIT_HF,
        VIT_MAE,
        VIT_RELPOS,
        WHISPER,
        XLM_ROBERTA,
    ),
)
