"""LoRA adapters (Hu et al. 2021, arXiv 2106.09685) in the format of `peft`, merged into their base
when a model is loaded.

    W + s B A      a linear layer, s = alpha / r, or alpha / sqrt(r) with `use_rslora`
                   (Kalajdzievski 2023, arXiv 2312.03732)
    W + s (B A)^T  where the weight is stored [in, out]: GPT-2's `Conv1D`, and tables of embeddings

Modules that were trained as a whole (`modules_to_save`) and biases replace those of the base. What
is merged otherwise is refused by name. The result is an ordinary model of the base's class.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from lmc_core.errors import BadCheckpoint
from lmc_core.models.config import Json
from lmc_core.models.files import pickle as pickle_file
from lmc_core.models.files import safetensors as safetensors_file
from lmc_core.models.files.error_wrapping import WithLines
from lmc_core.models.files.folders import ADAPTER_WEIGHTS
from lmc_core.models.files.json_files import ADAPTER, read_json
from lmc_core.models.files.plan import Equal, kind
from lmc_core.models.files.references import clip
from lmc_core.models.model import Model, Uninitialised, named_ties

PICKLED = "adapter_model.bin"
FRONT = "base_model.model."
PARTS = {
    ".lora_A.weight": "A",
    ".lora_B.weight": "B",
    ".lora_B.bias": "bias",
    ".lora_embedding_A": "table A",
    ".lora_embedding_B": "table B",
}
# parts of names of what replaces the base's
AROUND = re.compile(r"\.(?:base_layer|modules_to_save(?:\.default)?)(?=\.)")
# names of modules; regular expressions could run for ever
PATTERN = re.compile(r"\^?[\w.]{1,200}\$?")
# entries of a configuration that the formula takes, or that only training needed
KNOWN = set(
    (
        "peft_type r lora_alpha use_rslora "
        "fan_in_fan_out rank_pattern alpha_pattern bias lora_bias "
        "target_modules exclude_modules modules_to_save layers_to_transform layers_pattern "
        "lora_dropout task_type auto_mapping peft_version base_model_name_or_path revision "
        "inference_mode runtime_config megatron_core loftq_config eva_config qalora_group_size "
        "init_lora_weights ensure_weight_tying"
    ).split()
)
# those that leave the base's weights as they are
STARTS = (True, False, None, "gaussian", "orthogonal", "eva")
UNMERGED = tuple(
    (
        "PROMPT_TUNING MULTITASK_PROMPT_TUNING P_TUNING PREFIX_TUNING ADAPTION_PROMPT CPT POLY "
        "XLORA"
    ).split()
)
AUTO = {
    "CAUSAL_LM": "ForCausalLM",
    "SEQ_CLS": "ForSequenceClassification",
    "SEQ_2_SEQ_LM": "ForSeq2SeqLM",
    "TOKEN_CLS": "ForTokenClassification",
    "QUESTION_ANS": "ForQuestionAnswering",
    "FEATURE_EXTRACTION": "ForFeatureExtraction",
}


def files(folder: Path) -> list[Path]:
    """The files that an adapter is read from; those that are not there included."""
    return [folder / ADAPTER, folder / ADAPTER_WEIGHTS, folder / PICKLED]


def merged(model: Model, folder: Path, name: str, allow_pickle: bool = False) -> Model:
    """The model with an adapter merged into it.

    Args:
        model: the base.
        folder: of the adapter, with `adapter_config.json` and its weights.
        name: of the adapter, to be shown behind the model's.
        allow_pickle: whether `adapter_model.bin` may be read.

    Raises:
        BadCheckpoint: for another kind of adapter, or one that does not fit the model.
    """
    if not folder.is_dir():
        raise BadCheckpoint(
            f"There is no folder {clip(str(folder))}; behind the + an adapter is expected."
        )
    config = read_json(folder / ADAPTER)
    _require_plain(config, folder)
    pairs, whole = _parts(_read(folder, allow_pickle), folder)
    place = _Places(model, folder)
    state = dict(model.state)
    place.replace(state, whole)  # first: a table that is saved beside its product is the base's
    for path, parts in pairs.items():
        table = "table A" in parts
        first, second = (parts.get(f"{'table ' * table}{part}") for part in "AB")
        if first is None or second is None:
            raise BadCheckpoint(
                f"The adapter {folder.name} has only one of the two matrices of {clip(path)}; "
                "fetch it again."
            )
        weight, scale = place.of(f"{path}.weight"), _scale(config, path, first.shape[0])
        if table:
            place.require_untied(weight)
        state[weight] = _sum(
            state[weight],
            first,
            second,
            scale,
            table or place.transposed(weight, first, second),
            path,
        )
        if "bias" in parts:
            bias = place.of(f"{path}.bias")
            state[bias] = (state[bias].float() + scale * parts["bias"].float()).to(
                state[bias].dtype
            )
    card = {"task": model.card["task"]} if model.card.get("task") else {}
    return model.with_state(state, name=f"{model.name}+{name}", card=card).check()


def _require_plain(config: Mapping[str, Json], folder: Path) -> None:
    """Refuse whatever is no plain LoRA."""
    found = config.get("peft_type")
    others = [
        key
        for key, value in config.items()
        if key not in KNOWN and value not in (None, False, [], {})
    ]
    start = config.get("init_lora_weights", True)
    if (
        found == "LORA"
        and not others
        and (start in STARTS if not isinstance(start, dict | list) else False)
    ):
        return
    what = (
        f"{clip(str(found), 40)}"
        if found != "LORA"
        else f"LORA with {others[0] if others else 'init_lora_weights'}="
    )
    if found == "LORA":
        what += clip(str(config.get(others[0]) if others else start), 40)
    if found in UNMERGED:
        raise BadCheckpoint(
            f"The adapter {folder.name} is of the type {what}, which has no weights that could be "
            "merged into a base; "
            "a LoRA is expected."
        )
    auto = f"AutoPeftModel{AUTO.get(str(config.get('task_type')), '')}"
    raise WithLines(
        f"The adapter {folder.name} is {what}, and only a plain LoRA is merged here. Merge it "
        "with peft and load the result: "
        f"`from peft import {auto}; model = {auto}.from_pretrained({folder.name!r}); "
        "model.merge_and_unload().save_pretrained('merged')`."
    )


def _read(folder: Path, allow_pickle: bool) -> dict[str, Tensor]:
    if (folder / ADAPTER_WEIGHTS).is_file():
        return safetensors_file.read(folder / ADAPTER_WEIGHTS)
    if not (folder / PICKLED).is_file():
        raise BadCheckpoint(f"The file {ADAPTER_WEIGHTS} is missing from {folder.name}.")
    if not allow_pickle:
        raise BadCheckpoint(
            f"The adapter {folder.name} holds {PICKLED}, which is read only with --allow-pickle "
            "(load(..., "
            "allow_pickle=True)): allow it if you trust its source, or save it with safetensors."
        )
    return pickle_file.read(folder / PICKLED).tensors


def _parts(
    tensors: Mapping[str, Tensor], folder: Path
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Tensor]]:
    """Path of a module -> the parts of its product, and name of a parameter -> what replaces it."""
    pairs: dict[str, dict[str, Tensor]] = {}
    whole: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        bare = (
            AROUND.sub("", name.removeprefix(FRONT)).replace(".default", "")
            if ".lora_" in name
            else name
        )
        ending = next((ending for ending in PARTS if bare.endswith(ending)), None)
        if ending is not None:
            pairs.setdefault(bare.removesuffix(ending), {})[PARTS[ending]] = tensor
        elif ".lora_" in name:
            raise BadCheckpoint(
                f"The adapter {folder.name} holds {clip(name)}, which is no part of a plain LoRA."
            )
        elif ".original_module." not in name:
            whole[AROUND.sub("", name.removeprefix(FRONT))] = tensor
    return pairs, whole


def _scale(config: Mapping[str, Json], path: str, rank: int) -> float:
    """What the product of a module is multiplied by; the first pattern that fits its path counts,
    as in peft.
    """
    patterns = config.get("alpha_pattern") or {}
    if not isinstance(patterns, Mapping):
        raise BadCheckpoint(
            f"{ADAPTER} should give 'alpha_pattern' as an object; it gives "
            f"{clip(repr(patterns), 40)}."
        )
    for key in patterns:
        if not PATTERN.fullmatch(key):
            raise BadCheckpoint(
                f"{ADAPTER} gives {clip(key, 60)} under 'alpha_pattern'; names of modules are "
                "expected there."
            )
    fitting = (key for key in patterns if re.match(rf"(.*\.)?({key})$", path))
    key = next(fitting, None)
    alpha = config.get("lora_alpha", 8) if key is None else patterns[key]
    if isinstance(alpha, bool) or not isinstance(alpha, int | float):
        raise BadCheckpoint(
            f"{ADAPTER} should give 'lora_alpha' as a number; it gives {clip(repr(alpha), 40)}."
        )
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _sum(
    weight: Tensor, first: Tensor, second: Tensor, scale: float, transposed: bool, path: str
) -> Tensor:
    """W + s B A, computed in float32; kernels of a convolution are flattened for it."""
    product = scale * (second.float().flatten(1) @ first.float().flatten(1))
    product = product.t() if transposed else product
    if product.numel() != weight.numel() or product.shape[0] != weight.shape[0]:
        raise BadCheckpoint(
            f"The adapter's product for {clip(path)} has the shape {list(product.shape)}; that of "
            "the model is "
            f"{list(weight.shape)}, so it belongs to another base."
        )
    return (weight.float() + product.reshape(weight.shape)).to(weight.dtype)


class _Places:
    """Where the parameters that an adapter names are in a model."""

    def __init__(self, model: Model, folder: Path):
        self.model, self.adapter = model, folder.name
        self._module: nn.Module | None = None

    @property
    def module(self) -> nn.Module:
        """A module of the model's class, whose values mean nothing."""
        if self._module is None:
            with Uninitialised():
                self._module = self.model.family.build(self.model.config)
        return self._module

    def of(self, name: str) -> str:
        """The parameter of that name, which may be one on disk or lack the first words."""
        found = self.find(name)
        if found is not None:
            return found
        raise BadCheckpoint(
            f"The adapter {self.adapter} changes {clip(name)}, which a "
            f"{kind(self.model.family, self.model.config)} does not "
            "have as a parameter of its own; give the base that it was trained on."
        )

    def find(self, name: str) -> str | None:
        """The same, or None."""
        state = self.model.state
        if name in state:
            return name
        marked = {name: torch.empty(0, device="meta")}
        try:
            with Equal():
                there = [
                    key
                    for key in self.model.family.from_disk(dict(marked), self.model.config)
                    if key in state
                ]
        except Exception:  # of a family whose files hold parts of a parameter
            there = []
        ending = [key for key in state if key.endswith(f".{name}")]
        found = there or ending
        return found[0] if len(found) == 1 else None

    def transposed(self, name: str, first: Tensor, second: Tensor) -> bool:
        """Whether a weight is stored `[in, out]`."""
        shape, product = tuple(self.model.state[name].shape), (second.shape[0], first.shape[1])
        if len(shape) != 2 or product[0] != product[1]:
            return len(shape) == 2 and shape == product[::-1]
        return type(self.module.get_submodule(name.removesuffix(".weight"))).__name__ == "Conv1D"

    def require_untied(self, name: str) -> None:
        """Refuse a change of the token table alone where it is the head as well."""
        if any(first == name for _, first in named_ties(self.module)):
            raise BadCheckpoint(
                f"The adapter {self.adapter} changes {name!r} alone, which is also the head of "
                "this model "
                "(tie_word_embeddings); untie them in the base, and save it, before merging."
            )

    def replace(self, state: dict[str, Tensor], whole: Mapping[str, Tensor]) -> None:
        """Put in what the adapter has as a whole: modules that were trained, biases, tables."""
        copies = dict(named_ties(self.module)) if whole else {}
        changed = set()
        for name, tensor in whole.items():
            place = None if name in copies else self.of(name)
            if place is None:
                continue
            if tensor.shape != state[place].shape:
                raise BadCheckpoint(
                    f"The adapter {self.adapter} replaces {name!r} by a tensor of shape "
                    f"{list(tensor.shape)}; the model's has "
                    f"{list(state[place].shape)}."
                )
            if not torch.equal(tensor.float(), state[place].float()):
                state[place] = tensor.to(state[place].dtype)
                changed.add(place)
        for copy, first in copies.items():
            given = whole.get(copy)
            alike = (
                first not in changed
                if given is None
                else torch.equal(given.to(state[first].dtype), state[first])
            )
            if not alike:
                self.require_untied(first)
