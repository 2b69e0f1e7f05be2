"""Classes of transformers: one body, and what each class puts behind it.

A base model's outputs are its stream itself, so that there the stream does not move. A head is a
linear layer that reads the stream behind the last norm: one label for a whole text or an image, one
for each token, or where an answer begins and ends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lmc_core.lazy_torch import torch
from lmc_core.models.architectures import hf
from lmc_core.models.config import Config, Json, require_sizes
from lmc_core.models.family import Family
from lmc_core.models.structure import Structure

if TYPE_CHECKING:
    from torch import Tensor, nn

Readers = list[tuple[str, str | None]]
LABELLED = ("label", "token-label")  # what has a configuration that says how many labels there are


@dataclass(frozen=True)
class Head:
    """What a class has behind its body.

    Attributes:
        predicts: a key of `PREDICTIONS`.
        name: of its linear layer in the state dict; "" without one, or where the family writes it
            down by itself.
        bias: whether that layer has one.
        body: what the names of the body's parameters begin with; "" for the body alone.
    """

    predicts: str
    name: str = ""
    bias: bool = False
    body: str = "model."


# ends of the names of classes of transformers -> what most decoders have there
STANDARD: dict[str, Head] = {
    "ForCausalLM": Head("next"),
    "Model": Head("features", body=""),
    "ForSequenceClassification": Head("label", "score"),
    "ForTokenClassification": Head("token-label", "score", True),
    "ForQuestionAnswering": Head("span", "qa_outputs", True),
}


def heads(
    body: str, usual: str = "ForCausalLM", token: str = "classifier", without: Collection[str] = ()
) -> dict[str, Head]:
    """What most decoders have behind a body whose names begin with `body`, by the ends of the names
    of their classes.

    Args:
        body: what the names of the body's parameters begin with in all classes but that of the body
            alone.
        usual: the end of the language model's name.
        token: name of the layer that labels each token.
        without: ends of the classes that transformers does not have.
    """
    found = {usual if end == "ForCausalLM" else end: head for end, head in STANDARD.items()}
    found = {end: replace(head, body=body) if head.body else head for end, head in found.items()}
    found["ForTokenClassification"] = replace(found["ForTokenClassification"], name=token)
    return {end: head for end, head in found.items() if end not in without}


def find_head(
    config: Config, heads: Mapping[str, Head] = STANDARD, usual: str = "ForCausalLM"
) -> Head:
    """What the class that a configuration names has behind its body.

    Args:
        config: of the family.
        heads: by the ends of the names of classes.
        usual: the end where the configuration names no class.
    """
    cls = config.class_name(usual)
    return heads[next(end for end in sorted(heads, key=len, reverse=True) if cls.endswith(end))]


def with_class(
    found: Config, raw: Config, classes: Mapping[str, Head], usual: str, family: str
) -> Config:
    """Write the class into a configuration where it is not the family's usual one, and what it
    needs; returns it.

    Args:
        found: the configuration so far.
        raw: content of the file.
        classes: names of the classes that are supported -> what they have.
        usual: the class of a file that names none.
        family: its name, for the sentence.

    Raises:
        BadCheckpoint: for another class, or a number of labels that is none.
    """
    cls = hf.named_class(raw, list(classes), family, usual)
    head = classes[cls]
    if head != classes[usual]:
        found["architectures"] = [cls]
    if head.predicts not in ("next", "masked", "continuation"):
        found.pop("tie_word_embeddings", None)  # there is no head to share the table
    if head.predicts in LABELLED:
        found["num_labels"] = hf.labels(raw)
        require_sizes(found, "num_labels")
    return found


def with_body(
    tensors: Mapping[str, Tensor], head: Head, bodies: tuple[str, ...]
) -> dict[str, Tensor]:
    """Names in memory: the body's begin as its class has them, whatever they begin with on disk.

    Args:
        tensors: by their names on disk.
        head: of the class.
        bodies: what classes of the family let the body's names begin with.
    """
    found = {}
    for name, tensor in tensors.items():
        if name.startswith(("lm_head.", f"{head.name}." if head.name else "lm_head.")):
            found[name] = tensor
            continue
        bare = next((name.removeprefix(body) for body in bodies if name.startswith(body)), name)
        found[f"{head.body}{bare}"] = tensor
    return found


def write_head(
    s: Structure, config: Config, head: Head, norm: Callable[[Readers | None], None]
) -> None:
    """Write down what reads the stream behind the last norm, and that norm.

    Args:
        s: what is being written down.
        config: of the family.
        head: a linear layer, or none: then the outputs are the stream itself.
        norm: writes the last norm down, given its readers; None where the outputs are what it
            gives.
    """
    if head.predicts == "features":
        norm(None)
        return
    rows, over = (2, None) if head.predicts == "span" else (config.size("num_labels"), 0)
    norm(
        [
            s.linear(
                "head", head.name, "*", "-residual", head.bias, rows=rows, ignores_mean_over=over
            )
        ]
    )


def outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """What a class computes of tokens `[n, length]`.

    Logits `[n, length, vocabulary]`, `[n, labels]` or `[n, length, labels]`; scores
    `[n, length, 2]` of where an answer begins and ends; or the stream `[n, length, width]`.
    """
    config: Any = module.config
    if getattr(config, "pad_token_id", 0) is None and type(module).__name__.endswith(
        "ForSequenceClassification"
    ):
        # without a padding token these classes take one text at a time; with one that no token is,
        # they take its last token
        config.pad_token_id = -1
        try:
            return module(inputs, use_cache=False).logits
        finally:
            config.pad_token_id = None
    found = module(inputs, use_cache=False)
    if "start_logits" in found:
        return torch.stack([found.start_logits, found.end_logits], -1)
    return found.logits if "logits" in found else found.last_hidden_state


def continue_half(module: nn.Module, inputs: Tensor, token: int) -> Tensor:
    """What an encoder and its decoder compute of tokens `[n, length]`: logits of the second half
    given the first, or the streams of both where there is no head; the decoder starts with `token`.
    """
    half = inputs.shape[1] // 2
    start = torch.full_like(inputs[:, :1], token)
    shifted = torch.cat([start, inputs[:, half:-1]], 1)
    found = module(input_ids=inputs[:, :half], decoder_input_ids=shifted, use_cache=False)
    if "logits" in found:
        return found.logits
    return torch.cat([found.encoder_last_hidden_state, found.last_hidden_state], 1)


def text_family(
    name: str,
    classes: str,
    sentence: str,
    reference: str,
    config: Callable[[Config], Config],
    structure: Callable[[Config, Head], Structure],
    sizes: Callable[[Config], dict[str, int]],
    from_disk: Callable[[dict[str, Tensor], Config, Head], dict[str, Tensor]],
    own: Mapping[str, Head],
    ends: Mapping[str, Head],
    examples: Mapping[str, Mapping[str, Json]],
    settings: Mapping[str, Json],
) -> Family:
    """A family of transformers' classes for text.

    Args:
        name: of the family, and of its kind in a `config.json`.
        classes: what the names of its classes begin with, e.g. "Llama".
        sentence: see `Family`, as what follows.
        reference: its paper.
        config: reads a `config.json`.
        structure: (configuration, head) -> its layout.
        sizes: for people.
        from_disk: (tensors by their names on disk, configuration, head) -> names in memory.
        own: names of classes -> what they have, the usual one first.
        ends: the same by the ends of these names.
        examples: small configurations, without their kind.
        settings: for building, of speed or training alone.
    """
    usual = next(iter(own))

    def head(config: Config) -> Head:
        return find_head(config, ends, usual)

    return Family(
        name=name,
        sentence=sentence,
        reference=reference,
        takes="text",
        recognises=lambda raw: raw.get("model_type") == name,
        build=lambda config: hf.build(
            config, f"{classes}Config", config.class_name(usual), **settings
        ),
        outputs=outputs,
        sizes=sizes,
        structure=lambda config: structure(config, head(config)),
        predicts=lambda config: head(config).predicts,
        save=hf.save,
        config=lambda raw: with_class(config(raw), raw, own, usual, name),
        from_disk=lambda tensors, config: from_disk(tensors, config, head(config)),
        classes=tuple(own),
        examples={key: {"model_type": name} | dict(raw) for key, raw in examples.items()},
    )
