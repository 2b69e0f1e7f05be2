"""Public families of independently trained models, for people who are online: data, nothing is fetched here.

Names are as the hub and timm spell them. Those of timm are in timm's own registry. Those of the hub were compared with model
cards and published code, not with the hub itself; whether a repository holds safetensors by now may differ from `pickle`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MEMORY = 2.5  # times the float32 weights of one model: those of both, 20 % more, and one layer in float64


@dataclass(frozen=True)
class PublicFamily:
    """Models of one architecture and size that were trained independently of each other.

    Attributes:
        name: how the family is called.
        sentence: what the models are.
        source: paper or page, with its year.
        members: references of the models.
        parameters: of each.
        config: what their `config.json` says of their class, by which a family here recognises them.
        takes: ``text`` or ``images``.
        data: what to measure them on.
        pickle: whether `--allow-pickle` is needed; None where it is not known.
    """

    name: str
    sentence: str
    source: str
    members: tuple[str, ...]
    parameters: int
    config: Mapping[str, Any]
    takes: str
    data: str
    pickle: bool | None

    @property
    def bytes(self) -> int:
        """To download for each model: its weights in float32; half of that where they are stored in half precision."""
        return 4 * self.parameters

    @property
    def memory(self) -> int:
        """Bytes of memory that aligning a pair takes, about."""
        return round(MEMORY * self.bytes)


SEEDS = (("alias", 21), ("battlestar", 49), ("caprica", 81), ("darkmatter", 343), ("expanse", 777))
MEDIUM_SEEDS = (("arwen", 21), ("beren", 49), ("celebrimbor", 81), ("durin", 343), ("eowyn", 777))
PYTHIAS = {"14m": 14_067_712, "31m": 30_494_720, "70m": 70_426_624, "160m": 162_322_944, "410m": 405_334_016}
GPT2 = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}
NEOX = {"model_type": "gpt_neox", "architectures": ["GPTNeoXForCausalLM"]}
BERT = {"model_type": "bert", "architectures": ["BertForPreTraining"]}
MISTRAL = "Karamcheti et al., Mistral: A Journey towards Reproducible Language Model Training, Stanford CRFM 2021"
POLYPYTHIAS = "van der Wal et al., PolyPythias, ICLR 2025, arXiv 2503.09543"
AUGREG = "Steiner et al., How to train your ViT?, 2021, arXiv 2106.10270, and others; weights in timm"
IMAGENET = "images:FOLDER of ImageNet-1k's validation images"
TEXT = "text:FILE, such as a part of the Pile or of OpenWebText"


def _timm(name: str, parameters: int, *members: str) -> PublicFamily:
    sentence = "Vision Transformers of one architecture, trained for ImageNet-1k by different recipes and groups."
    references = tuple(f"timm:{member}" for member in members)
    return PublicFamily(name, sentence, AUGREG, references, parameters, {"architecture": name}, "images", IMAGENET, False)


def public() -> tuple[PublicFamily, ...]:
    """The catalogue, small models first within each kind."""
    small, base, coarse = "vit_small_patch16_224", "vit_base_patch16_224", "vit_base_patch32_224"
    return (
        *(
            PublicFamily(
                f"PolyPythias {size.upper()}",
                "Pythia language models trained nine times with different seeds.",
                POLYPYTHIAS,
                tuple(f"hf:EleutherAI/pythia-{size}-seed{seed}" for seed in range(1, 10)),
                parameters,
                NEOX,
                "text",
                TEXT,
                None,
            )
            for size, parameters in PYTHIAS.items()
        ),
        PublicFamily(
            "Mistral GPT-2 small",
            "GPT-2 small trained five times with different seeds on OpenWebText.",
            MISTRAL,
            tuple(f"hf:stanford-crfm/{name}-gpt2-small-x{seed}" for name, seed in SEEDS),
            124_439_808,
            GPT2,
            "text",
            TEXT,
            True,
        ),
        PublicFamily(
            "Mistral GPT-2 medium",
            "GPT-2 medium trained five times with different seeds on OpenWebText.",
            MISTRAL,
            tuple(f"hf:stanford-crfm/{name}-gpt2-medium-x{seed}" for name, seed in MEDIUM_SEEDS),
            354_823_168,
            GPT2,
            "text",
            TEXT,
            True,
        ),
        PublicFamily(
            "MultiBERTs",
            "BERT base, uncased, trained 25 times with different seeds.",
            "Sellam et al., The MultiBERTs, ICLR 2022, arXiv 2106.16163",
            tuple(f"hf:google/multiberts-seed_{seed}" for seed in range(25)),
            110_106_428,
            BERT,
            "text",
            TEXT,
            True,
        ),
        _timm(small, 22_050_664, f"{small}.augreg_in1k", f"{small}.augreg_in21k_ft_in1k", "deit_small_patch16_224.fb_in1k"),
        _timm(
            base,
            86_567_656,
            f"{base}.augreg_in1k",
            f"{base}.augreg_in21k_ft_in1k",
            f"{base}.orig_in21k_ft_in1k",
            f"{base}.sam_in1k",
            "deit_base_patch16_224.fb_in1k",
        ),
        _timm(coarse, 88_224_232, f"{coarse}.augreg_in1k", f"{coarse}.augreg_in21k_ft_in1k", f"{coarse}.sam_in1k"),
    )


def public_rows() -> list[dict[str, Any]]:
    """The catalogue as plain values, with the family here that each belongs to; None where there is none."""
    from lmc_core.models.families import FAMILIES

    rows = []
    for entry in public():
        family = next((name for name, family in FAMILIES.items() if family.recognises(entry.config)), None)
        row = {"name": entry.name, "sentence": entry.sentence, "source": entry.source, "family": family, "takes": entry.takes}
        row |= {"models": len(entry.members), "references": list(entry.members), "parameters": entry.parameters}
        row |= {"bytes": entry.bytes, "memory": entry.memory, "data": entry.data, "pickle": entry.pickle}
        rows.append(row)
    return rows
