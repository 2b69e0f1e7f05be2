"""An ordinary checkpoint written tensor by tensor, as the library of the model's class writes it.

The library itself writes `config.json` and what lies beside the weights, from a module that has
shapes and types and no values. What it would put into the files follows from the same module: the
names of its state, without those that share a tensor, and of transformers the conversions into the
names and forms that files have (the stacked experts of a layer as one matrix each). These are
recorded without values and done again to one parameter at a time, so that no two are ever held that
do not share a matrix.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lmc_core.models.config import Config
from lmc_core.models.family import Family
from lmc_core.models.files.folders import INDEX, SINGLE
from lmc_core.models.files.recorder import Recorder
from lmc_core.models.files.safetensors_writer import Writer, describe_failure, require_room
from lmc_core.models.lazy import State, count_bytes
from lmc_core.models.precision import round_to
from lmc_core.progress import Progress, ignore

Read = Callable[[str], Tensor]


@dataclass(frozen=True)
class DiskForm:
    """What the files of a model hold, without values.

    Attributes:
        tensors: by their names in the files, in the library's order.
        recorder: which knows how each is made from parameters.
        shards: whether the library reads several files with an index.
    """

    tensors: Mapping[str, Tensor]
    recorder: Recorder
    shards: bool

    def sources(self, name: str) -> list[str]:
        """Names of the parameters that a tensor is made from."""
        return self.recorder.sources(self.tensors[name])


def write_streamed(
    module: nn.Module,
    ties: Mapping[str, str],
    family: Family,
    config: Config,
    state: State,
    types: Mapping[str, torch.dtype],
    folder: Path,
    shard: int,
    progress: Progress = ignore,
) -> None:
    """Write a checkpoint, asking for every parameter once.

    Args:
        module: of the model's class, whose parameters are on the device "meta" and have the types
            that are written.
        ties: names that repeat an earlier parameter of it, and that one's name.
        family: of the model.
        config: of the model.
        state: the parameters.
        types: that each is written in.
        folder: to be made.
        shard: bytes above which there are several files and an index, where the library reads such.
        progress: told the share written and a few words; may raise to stop.

    Raises:
        BadInput: if there is no room for it, or a value is too large for float16.
    """
    form = _write_beside(module, ties, family, config, folder, shard)
    files = _assign(form, shard)
    needed = count_bytes(form.tensors)
    require_room(folder, needed)
    read = _make_reader(form, state, types)
    done = 0
    try:
        for file, names in files.items():
            with Writer(folder / file, {name: form.tensors[name] for name in names}) as writer:
                for name in names:
                    writer.put(name, form.recorder.make(form.tensors[name], read))
                    done += count_bytes({name: form.tensors[name]})
                    progress(done / max(1, needed), "writing")
        if len(files) > 1:
            _write_index(folder, module, form, files)
    except OSError as error:
        raise describe_failure(error, needed) from error


def _write_beside(
    module: nn.Module,
    ties: Mapping[str, str],
    family: Family,
    config: Config,
    folder: Path,
    shard: int,
) -> DiskForm:
    """Let the library write all but the weights, and find out what these would be."""
    held: dict[str, Tensor] = {}
    own = module.state_dict

    def empty() -> dict[str, Tensor]:
        held.update(own())
        return {}

    # instead of the tensors that the library would write: none
    module.state_dict = empty  # type: ignore[method-assign, assignment]
    family.save(module, config, folder, shard)
    del module.state_dict
    (folder / SINGLE).unlink(missing_ok=True)
    recorder = Recorder(
        (ties.get(name, name), tensor) for name, tensor in held.items() if tensor.is_meta
    )
    if not hasattr(module, "save_pretrained"):
        kept = {name: tensor for name, tensor in held.items() if name not in ties}
        return DiskForm(kept, recorder, False)
    from transformers.core_model_loading import revert_weight_conversion
    from transformers.modeling_utils import remove_tied_weights_from_state_dict

    ignored = getattr(module, "_keys_to_ignore_on_save", None) or ()
    kept = {name: tensor for name, tensor in held.items() if name not in ignored}
    with recorder:
        kept = revert_weight_conversion(
            module,  # type: ignore[arg-type]
            remove_tied_weights_from_state_dict(kept, module),  # type: ignore[arg-type]
        )
    return DiskForm(kept, recorder, True)


def _assign(form: DiskForm, shard: int) -> dict[str, list[str]]:
    """File -> names of its tensors, divided as the library divides them."""
    if not form.shards:
        return {SINGLE: list(form.tensors)}
    from huggingface_hub import split_torch_state_dict_into_shards

    found = split_torch_state_dict_into_shards(
        # anew: a view, such as one expert of a stack, counts as all that it is a view of
        {name: torch.empty_like(tensor) for name, tensor in form.tensors.items()},
        filename_pattern=SINGLE.replace(".", "{suffix}."),
        max_shard_size=shard,
    )
    return found.filename_to_tensors


def _make_reader(form: DiskForm, state: State, types: Mapping[str, torch.dtype]) -> Read:
    """Name -> parameter in the type that it is written in, made once: one that several tensors of
    the files are cut from is kept until the last of them.
    """
    uses = Counter(name for each in form.tensors for name in form.sources(each))
    kept: dict[str, Tensor] = {}

    def read(name: str) -> Tensor:
        found = kept.get(name)
        if found is None:
            found = round_to(state[name], types[name], name)
        uses[name] -= 1
        if uses[name] > 0:
            kept[name] = found
        else:
            kept.pop(name, None)
        return found

    return read


def _write_index(
    folder: Path, module: nn.Module, form: DiskForm, files: Mapping[str, list[str]]
) -> None:
    """Write which file holds which tensor, as transformers does."""
    content = {
        "metadata": {
            "total_parameters": sum(each.numel() for each in module.parameters()),
            "total_size": count_bytes(form.tensors),
        },
        "weight_map": {name: file for file, names in files.items() for name in names},
    }
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    (folder / INDEX).write_text(text, encoding="utf-8")
