"""Public families of independently trained models, for people who are online: data, nothing is
fetched here.

Names are as the hub and timm spell them. Those of timm are in timm's own registry. Those of the hub
were compared with model cards and published code, not with the hub itself; whether a repository
holds safetensors by now may differ from `pickle`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

from lmc_core.models.config import Config

# times the float32 weights of one model: those of both, 20 % more, and one layer in float64
MEMORY = 2.5


@dataclass(frozen=True)
class PublicFamily:
    """Models of one architecture and size that were trained independently of each other.

    Attributes:
        name: how the family is called.
        sentence: what the models are.
        source: paper or page, with its year.
        members: references of the models.
        parameters: of each.
        config: what their `config.json` says, as far as the function depends on it.
        config_source: where that is from.
        verified: whether it is the content of what the models are published with; otherwise it was
            put together from what the authors published of the training, and the files themselves
            were not at hand.
        takes: ``text`` or ``images``.
        data: what to measure them on.
        pickle: whether `--allow-pickle` is needed; None where it is not known.
    """

    name: str
    sentence: str
    source: str
    members: tuple[str, ...]
    parameters: int
    config: Config
    config_source: str
    verified: bool
    takes: str
    data: str
    pickle: bool | None

    @property
    def family(self) -> str:
        """Name of the family here that takes them; all of timm's in the catalogue are plain Vision
        Transformers.
        """
        return str(self.config.get("model_type", "vit"))

    @property
    def bytes(self) -> int:
        """To download for each model: its weights in float32; half of that where they are stored in
        half precision.
        """
        return 4 * self.parameters

    @property
    def memory(self) -> int:
        """Bytes of memory that aligning a pair takes, about."""
        return round(MEMORY * self.bytes)


SEEDS = (("alias", 21), ("battlestar", 49), ("caprica", 81), ("darkmatter", 343), ("expanse", 777))
MEDIUM_SEEDS = (("arwen", 21), ("beren", 49), ("celebrimbor", 81), ("durin", 343), ("eowyn", 777))
PYTHIAS = {
    "14m": 14_067_712,
    "31m": 30_494_720,
    "70m": 70_426_624,
    "160m": 162_322_944,
    "410m": 405_334_016,
}
# Both stability switches are in the training configurations of all ten models.
GPT2 = (
    Config(model_type="gpt2", architectures=["GPT2LMHeadModel"], vocab_size=50257)
    | dict(n_positions=1024, n_inner=None, activation_function="gelu_new")
    | dict(layer_norm_epsilon=1e-5, scale_attn_weights=True)
    | dict(scale_attn_by_inverse_layer_idx=True, reorder_and_upcast_attn=True)
    | dict(bos_token_id=50256, eos_token_id=50256)
)
SMALL, MEDIUM = (
    Config(n_embd=w, n_layer=n, n_head=h) for w, n, h in ((768, 12, 12), (1024, 24, 16))
)
NEOX = (
    Config(model_type="gpt_neox", architectures=["GPTNeoXForCausalLM"], vocab_size=50304)
    | dict(hidden_act="gelu", max_position_embeddings=2048, layer_norm_eps=1e-5)
    | dict(rotary_pct=0.25, rotary_emb_base=10000, use_parallel_residual=True)
    | dict(tie_word_embeddings=False, bos_token_id=0, eos_token_id=0)
)
PYTHIA_SIZES = {
    "14m": (128, 6, 4),
    "31m": (256, 6, 8),
    "70m": (512, 6, 8),
    "160m": (768, 12, 12),
    "410m": (1024, 24, 16),
}
BERT = (
    Config(model_type="bert", architectures=["BertForPreTraining"], vocab_size=30522)
    | dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12)
    | dict(intermediate_size=3072, hidden_act="gelu", max_position_embeddings=512)
    | dict(type_vocab_size=2, layer_norm_eps=1e-12, pad_token_id=0)
)
TRAINED = "sizes and switches of the authors' training configurations"
REGISTRY = "timm's own registry"
MISTRAL = (
    "Karamcheti et al., Mistral: A Journey towards Reproducible Language Model Training, "
    "Stanford CRFM 2021"
)
POLYPYTHIAS = "van der Wal et al., PolyPythias, ICLR 2025, arXiv 2503.09543"
AUGREG = (
    "Steiner et al., How to train your ViT?, 2021, arXiv 2106.10270, and others; weights in timm"
)
IMAGENET = "images:FOLDER of ImageNet-1k's validation images"
TEXT = "text:FILE, such as a part of the Pile or of OpenWebText"


def _timm(name: str, parameters: int, *members: str) -> PublicFamily:
    sentence = (
        "Vision Transformers of one architecture, trained for ImageNet-1k by different "
        "recipes and groups."
    )
    references = tuple(f"timm:{member}" for member in members)
    config = Config(architecture=name, num_classes=1000)
    return PublicFamily(
        name,
        sentence,
        AUGREG,
        references,
        parameters,
        config,
        REGISTRY,
        True,
        "images",
        IMAGENET,
        False,
    )


def _neox(width: int, depth: int, heads: int) -> dict[str, int]:
    sizes = {"hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": heads}
    return sizes | {"intermediate_size": 4 * width}


def public() -> tuple[PublicFamily, ...]:
    """The catalogue, small models first within each kind."""
    return (*_list_text_models(), *_list_image_models())


def _list_text_models() -> tuple[PublicFamily, ...]:
    return (
        *(
            PublicFamily(
                f"PolyPythias {size.upper()}",
                "Pythia language models trained nine times with different seeds.",
                POLYPYTHIAS,
                tuple(f"hf:EleutherAI/pythia-{size}-seed{seed}" for seed in range(1, 10)),
                parameters,
                NEOX | _neox(*PYTHIA_SIZES[size]),
                f"{TRAINED} (EleutherAI, pythia, models/); the table's rows follow from the count",
                False,
                "text",
                TEXT,
                None,
            )
            for size, parameters in PYTHIAS.items()
        ),
        _mistral("small", SEEDS, 124_439_808, SMALL),
        _mistral("medium", MEDIUM_SEEDS, 354_823_168, MEDIUM),
        PublicFamily(
            "MultiBERTs",
            "BERT base, uncased, trained 25 times with different seeds.",
            "Sellam et al., The MultiBERTs, ICLR 2022, arXiv 2106.16163",
            tuple(f"hf:google/multiberts-seed_{seed}" for seed in range(25)),
            110_106_428,
            BERT,
            "the paper: architecture and vocabulary of BERT base, uncased",
            False,
            "text",
            TEXT,
            True,
        ),
    )


def _mistral(
    size: str, seeds: Iterable[tuple[str, int]], parameters: int, sizes: Config
) -> PublicFamily:
    return PublicFamily(
        f"Mistral GPT-2 {size}",
        f"GPT-2 {size} trained five times with different seeds on OpenWebText.",
        MISTRAL,
        tuple(f"hf:stanford-crfm/{name}-gpt2-{size}-x{seed}" for name, seed in seeds),
        parameters,
        GPT2 | sizes,
        f"{TRAINED} (stanford-crfm, mistral, conf/models/)",
        False,
        "text",
        TEXT,
        True,
    )


def _list_image_models() -> tuple[PublicFamily, ...]:
    small, base, coarse = "vit_small_patch16_224", "vit_base_patch16_224", "vit_base_patch32_224"
    return (
        _timm(
            small,
            22_050_664,
            f"{small}.augreg_in1k",
            f"{small}.augreg_in21k_ft_in1k",
            "deit_small_patch16_224.fb_in1k",
        ),
        _timm(
            base,
            86_567_656,
            f"{base}.augreg_in1k",
            f"{base}.augreg_in21k_ft_in1k",
            f"{base}.orig_in21k_ft_in1k",
            f"{base}.sam_in1k",
            "deit_base_patch16_224.fb_in1k",
        ),
        _timm(
            coarse,
            88_224_232,
            f"{coarse}.augreg_in1k",
            f"{coarse}.augreg_in21k_ft_in1k",
            f"{coarse}.sam_in1k",
        ),
    )


class PublicRow(TypedDict):
    """A public family of models, as `lmc models --public --json` prints it."""

    name: str
    sentence: str
    source: str
    takes: str
    family: str | None
    config: dict[str, object]
    config_source: str
    verified: bool
    models: int
    references: list[str]
    parameters: int
    bytes: int
    memory: int
    data: str
    pickle: bool | None


def public_rows() -> list[PublicRow]:
    """The catalogue as plain values, with the family here that each belongs to."""
    return [
        {
            "name": entry.name,
            "sentence": entry.sentence,
            "source": entry.source,
            "takes": entry.takes,
            "family": entry.family,
            "config": dict(entry.config),
            "config_source": entry.config_source,
            "verified": entry.verified,
            "models": len(entry.members),
            "references": list(entry.members),
            "parameters": entry.parameters,
            "bytes": entry.bytes,
            "memory": entry.memory,
            "data": entry.data,
            "pickle": entry.pickle,
        }
        for entry in public()
    ]
