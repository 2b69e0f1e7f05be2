"""ELECTRA (Clark et al. 2020, arXiv 2003.10555): generator, discriminator, and the encoder with
other heads.

BERT's layers. Embeddings may be of another width than the stream: then a layer stands between,
which reads their norm, so that the embeddings rotate by themselves. The generator's head shares the
token table and has the embeddings' width; the discriminator says of each token whether it was put
in another's place.
"""

from __future__ import annotations

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import postnorm
from lmc_core.models.architectures.encoders import TOKENS, Encoder, Kind, TokenHead, family
from lmc_core.models.config import Config, require_sizes
from lmc_core.models.families import bert
from lmc_core.models.structure import Structure

HEAD = TokenHead(
    "generator_predictions.dense",
    "generator_predictions.LayerNorm",
    "generator_lm_head",
    "electra.embeddings.word_embeddings.weight",
    "generator_lm_head.bias",
)
# What the function depends on, with transformers' defaults.
DEFAULTS = (
    bert.DEFAULTS
    | dict(model_type="electra", embedding_size=128, hidden_size=256, num_attention_heads=4)
    | dict(intermediate_size=1024)
)
CLASSES = {
    "ElectraForPreTraining": Kind("replaced"),
    "ElectraForMaskedLM": Kind("masked"),
    "ElectraForSequenceClassification": Kind("label"),
    "ElectraForTokenClassification": Kind("token-label"),
    "ElectraForQuestionAnswering": Kind("span"),
    "ElectraForMultipleChoice": Kind("choice"),
    "ElectraForCausalLM": Kind("next"),
    "ElectraModel": Kind("features"),
}
SUMMARY = Config(summary_type="first", summary_use_proj=True, summary_activation="gelu") | dict(
    summary_proj_to_labels=False
)


def check(raw: Config, found: Config, kind: Kind) -> None:
    """Refuse a choice between texts that reads them in another way than the published models."""
    require_sizes(found, "embedding_size")
    for key, usual in SUMMARY.items():
        if kind.predicts == "choice" and raw.get(key, usual) != usual:
            raise BadCheckpoint(
                f"A choice between texts with {key}={raw[key]!r} is not supported; published "
                f"models have {usual!r}."
            )


def write(s: Structure, config: Config, kind: Kind, base: str) -> None:
    """Write the spaces and blocks of an ELECTRA of that configuration down."""
    tied = kind.predicts in TOKENS and config.flag("tie_word_embeddings")
    pooler = kind.predicts in ("label", "choice")
    readers = postnorm.last_readers(kind, pooler)
    if config["embedding_size"] == config["hidden_size"]:
        postnorm.encoder(s, config, base, readers, tied=tied)
    else:
        postnorm.stream(s, config.size("hidden_size"), readers)
        postnorm.narrow_embeddings(s, config, base, postnorm.BERT, "embeddings_project")
        postnorm.layers(s, config, base, readers, postnorm.BERT)
    if kind.predicts == "label":
        heads = {"head": ("classifier.out_proj", config.size("num_labels"))}
        postnorm.pooled(s, config, "classifier.dense", heads, "gelu")
    elif kind.predicts == "choice":
        postnorm.pooled(s, config, "sequence_summary.summary", {"score": ("classifier", 1)}, "gelu")
    elif kind.predicts == "replaced":
        at = "discriminator_predictions"
        postnorm.hidden_head(
            s, config, f"{at}.dense", f"{at}.dense_prediction", 1, config.text("hidden_act")
        )
    elif kind.predicts in TOKENS:
        postnorm.token_head(s, config, HEAD, "gelu")
    elif kind.predicts in ("token-label", "span"):
        postnorm.stream_head(s, config, kind)


SMALL = (
    bert.SMALL
    | dict(model_type="electra", architectures=["ElectraForPreTraining"], embedding_size=10)
    | dict(num_hidden_layers=1)
)

ELECTRA = family(
    Encoder(
        "electra",
        "ELECTRA",
        CLASSES,
        "electra.",
        DEFAULTS,
        write,
        HEAD,
        "ElectraConfig",
        check=check,
    ),
    "Encoder whose embeddings may be narrower than its stream, LayerNorm after each layer, GELU "
    "units.",
    "Clark et al., ELECTRA: Pre-training Text Encoders as Discriminators Rather Than Generators, "
    "2020, arXiv 2003.10555",
    {
        "electra": SMALL | {"num_hidden_layers": 2},
        "electra-generator": SMALL | {"architectures": ["ElectraForMaskedLM"]},
        "electra-base": SMALL | {"embedding_size": 24, "architectures": ["ElectraForMaskedLM"]},
    },
)
