"""Damaged checkpoints: every one ends in a clear error or in a correct load.

A *clear error* is an `LmcError` of one or two sentences on one line. A *correct load* has the
values that the file says, read here with the standard library and numpy alone. Anything else fails:
another exception, more than a few seconds, a wrong value, or a large allocation (the address space
is bounded while the cases run).
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2LMHeadModel

from lmc_core.errors import LmcError
from lmc_core.models.families import FAMILIES
from lmc_core.models.load import load
from lmc_core.models.model import untied_state
from lmc_core.models.zoo import zoo_folder
from tests import tiny
from tests.models.fuzz import (
    ABSURD,
    OUTCOMES,
    SLOWEST,
    SOURCES,
    each,
    entry,
    first_entry,
    flip,
    header_length,
    judge,
    on_config,
    on_tensors,
    on_weights,
    pick,
    put,
    rename,
    reshape,
    spoil,
    weights_of,
    with_header,
    with_length,
)

ROOM = 4 * 2**30  # bytes of address space that loading may add


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """Let nothing allocate what a header or a configuration merely claims."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of good checkpoints: tiny models in transformers' and timm's format, shards, halves,
    and two of the zoo.
    """
    root = tmp_path_factory.mktemp("good")
    found = {
        family: tiny.write(root / family, tiny.tiny(family), card=False)
        for family in ("gpt2", "vit")
    }
    found["gpt2-sharded"] = shutil.copytree(found["gpt2"], root / "gpt2-sharded")
    tensors = load_file(found["gpt2"] / "model.safetensors")
    names = sorted(tensors)
    placed = {
        name: f"model-{number % 3 + 1:05}-of-00003.safetensors" for number, name in enumerate(names)
    }
    for file in set(placed.values()):
        save_file(
            {n: tensors[n] for n in names if placed[n] == file},
            root / "gpt2-sharded" / file,
            {"format": "pt"},
        )
    index = {"metadata": {"total_size": 1}, "weight_map": placed}
    (root / "gpt2-sharded" / "model.safetensors.index.json").write_text(json.dumps(index))
    (root / "gpt2-sharded" / "model.safetensors").unlink()
    found["gpt2-bfloat16"] = shutil.copytree(found["gpt2"], root / "gpt2-bfloat16")
    halves = {name: tensor.bfloat16() for name, tensor in tensors.items()}
    save_file(halves, root / "gpt2-bfloat16" / "model.safetensors", {"format": "pt"})
    for family, name in (("gpt2", "gpt2-plays-narrow-s0"), ("vit", "vit-fashion-narrow-s0")):
        found[f"zoo-{family}"] = shutil.copytree(zoo_folder() / name, root / f"zoo-{family}")
    for name, folder in found.items():
        assert judge(folder, f"the good checkpoint {name}") == "loaded"
    return found


def test_truncation(sources: dict[str, Path], tmp_path: Path) -> None:
    """Cut off anywhere: in the length, in the header, in the body, by one byte; and with bytes too
    many.
    """

    def cut(share: float) -> Callable[[bytes], bytes]:
        return lambda data: data[: int(share * header_length(data))]

    changes: dict[str, Callable[[Path], Any]] = {
        f"{n} bytes left": on_weights(lambda d, n=n: d[:n]) for n in (0, 1, 7, 8, 9)
    }
    changes |= {
        f"cut at {share} of the header": on_weights(cut(share)) for share in (0.2, 0.5, 0.9, 1.0)
    }
    changes |= {
        f"cut at {share}": on_weights(lambda d, s=share: d[: int(s * len(d))])
        for share in (0.3, 0.6, 0.99)
    }
    changes |= {f"{n} bytes short": on_weights(lambda d, n=n: d[:-n]) for n in (1, 2, 4, 100)}
    changes |= {f"{n} bytes more": on_weights(lambda d, n=n: d + b"\0" * n) for n in (1, 64)}
    changes["doubled"] = on_weights(lambda d: d + d)
    outcomes = each(sources, tmp_path, changes)
    assert outcomes["loaded"] == 0 and outcomes["refused"] == len(changes) * len(SOURCES)


def test_flipped_bytes_in_the_header(sources: dict[str, Path], tmp_path: Path) -> None:
    changes = {f"flip {seed}": on_weights(flip(seed, in_header=True)) for seed in range(30)}
    assert each(sources, tmp_path, changes)["refused"] > 100


def test_flipped_bytes_in_the_body(sources: dict[str, Path], tmp_path: Path) -> None:
    """A flip that stays finite changes a value, which is loaded as the file says; one that does not
    is refused.
    """
    changes = {f"flip {seed}": on_weights(flip(seed, in_header=False)) for seed in range(12)}
    assert each(sources, tmp_path, changes)["loaded"] > 40


def test_absurd_headers(sources: dict[str, Path], tmp_path: Path) -> None:
    lengths = (0, 1, 2, 2**16, 2**31, 2**32, 2**40, 2**63, 2**64 - 1)
    changes: dict[str, Callable[[Path], Any]] = {
        f"length {n}": on_weights(with_length(n)) for n in lengths
    }
    headers: dict[str, Callable[[dict[str, Any]], Any]] = {
        "an empty object": lambda header: {},
        "a list": lambda header: [],
        "no JSON": lambda header: b"{" * 1000,
        "nested without end": lambda header: b"[" * 100_000,
        "not UTF-8": lambda header: b'{"\xff\xfe": 1}',
        "a huge shape": entry(shape=[2**40, 2**40]),
        "a shape of 0 times huge": entry(shape=[0, 2**62]),
        "a negative shape": entry(shape=[-1]),
        "a shape in words": entry(shape="two"),
        "no shape": lambda header: first_entry(header).pop("shape") and None,
        "offsets backwards": entry(data_offsets=[100, 0]),
        "huge offsets": entry(data_offsets=[0, 2**63]),
        "negative offsets": entry(data_offsets=[-8, 8]),
        "three offsets": entry(data_offsets=[0, 1, 2]),
        "overlapping offsets": lambda header: (
            [e.update(data_offsets=[0, 64]) for e in header.values() if "dtype" in e] and None
        ),
        "a type that is none": entry(dtype="F128"),
        "a type of other size": entry(dtype="F64"),
        "a type in numbers": entry(dtype=32),
        "a name with a newline": lambda header: header.update(
            {"two\nlines": header.pop("transformer.wpe.weight", None)}
        ),
        "metadata that is a list": lambda header: header.update(__metadata__=[1]),
        "metadata of numbers": lambda header: header.update(__metadata__={"format": 3}),
    }
    changes |= {what: on_weights(with_header(change)) for what, change in headers.items()}
    assert (
        each(sources, tmp_path, changes, ("gpt2", "gpt2-sharded", "vit", "zoo-gpt2"))["loaded"] == 0
    )


def test_wrong_tensors(sources: dict[str, Path], tmp_path: Path) -> None:
    bad: dict[str, Callable[[dict[str, torch.Tensor], random.Random], Any]] = {
        "missing": lambda tensors, chance: tensors.pop(pick(tensors, chance)),
        "all missing": lambda tensors, chance: tensors.clear(),
        "extra": lambda tensors, chance: tensors.update(adapter=torch.ones(2)),
        "many extra": lambda tensors, chance: tensors.update(
            {f"extra.{i}": torch.ones(1) for i in range(500)}
        ),
        "NaN": spoil(float("nan")),
        "infinity": spoil(float("inf")),
        "minus infinity": spoil(float("-inf")),
        "one row more": reshape(lambda t: torch.cat([t, t[:1]])),
        "one row fewer": reshape(lambda t: t[1:]),
        "flat with an axis": reshape(lambda t: t.reshape(-1, 1, 1, 1, 1)),
        "empty": reshape(lambda t: t[:0]),
        "a scalar": reshape(lambda t: t.sum()),
        "whole numbers": reshape(lambda t: t.long()),
        "yes and no": reshape(lambda t: t > 0),
        "float8": reshape(lambda t: t.to(torch.float8_e4m3fn)),
        "renamed": rename(lambda name: name + "_"),
        "a long name": rename(lambda name: name * 2000),
        "a strange name": rename(lambda name: "\n\u202e\x00" + name),
    }
    changes = {
        f"{what}, {seed}": on_tensors(change, seed)
        for what, change in bad.items()
        for seed in range(2)
    }
    assert each(sources, tmp_path, changes)["loaded"] == 0
    good = {
        "half precision": lambda tensors, chance: tensors.update(
            {n: t.half() for n, t in tensors.items()}
        ),
        "mixed precision": reshape(lambda t: t.bfloat16()),
        "double precision": reshape(lambda t: t.double()),
        "zeros": reshape(torch.zeros_like),
    }
    changes = {
        f"{what}, {seed}": on_tensors(change, seed)
        for what, change in good.items()
        for seed in range(2)
    }
    assert each(sources, tmp_path, changes)["refused"] == 0


def same_as_elsewhere(folder: Path, case: str) -> None:
    """The module of a loaded model computes what transformers or timm computes from the same
    folder, or is refused clearly.
    """
    model = load(folder)
    try:
        module = model.module()
    except LmcError:
        return
    if model.family.name == "gpt2":
        inputs = torch.arange(20)[None]
        other = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32)
    else:
        inputs = torch.ones(1, 1, 28, 28)
        other = timm.create_model(f"local-dir:{folder}", pretrained=True)
    with torch.no_grad():
        assert torch.equal(
            model.family.outputs(module, inputs), model.family.outputs(other.eval(), inputs)
        ), case


@pytest.mark.parametrize(("source", "keys"), [
    ("gpt2", ("model_type", "vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner", "activation_function",
              "layer_norm_epsilon", "tie_word_embeddings", "scale_attn_weights", "quantization_config", "auto_map")),
    ("vit", ("architecture", "num_classes", "global_pool", "model_args", "img_size", "patch_size", "in_chans", "embed_dim",
             "depth", "num_heads", "mlp_ratio", "class_token", "reg_tokens", "init_values", "qkv_bias", "fc_norm")),
])  # fmt: skip
def test_absurd_configurations(
    sources: dict[str, Path], tmp_path: Path, source: str, keys: tuple[str, ...]
) -> None:
    """Every senseless value under every key; what is loaded computes what its own library computes
    from the folder.
    """
    changes = {
        f"{key} is {what}": on_config(put(key, value))
        for key in keys
        for what, value in ABSURD.items()
    }
    changes |= {
        f"{key} left out": on_config(lambda content, key=key: content.pop(key, None) and None)
        for key in keys
    }
    assert (
        each(sources, tmp_path, changes, (source,), same_as_elsewhere)["refused"]
        > len(changes) // 2
    )


def test_configurations_that_are_none(sources: dict[str, Path], tmp_path: Path) -> None:
    texts: dict[str, bytes] = {
        "empty": b"", "a brace": b"{", "a list": b"[]", "a number": b"3", "null": b"null", "a text": b'"gpt2"',
        "twice": b"{}{}",
        "not UTF-8": b'{"model_type": "\xff\xfe"}', "UTF-16": '{"model_type": "gpt2"}'.encode("utf-16"), "zeros": b"\0" * 50,
        "a surrogate": b'{"model_type": "\\ud800"}', "deep": b"[" * 100_000, "deep and closed": b"[" * 50_000 + b"]" * 50_000,
        "huge number": b'{"n_layer": ' + b"9" * 5000 + b"}", "long text": b'{"model_type": "' + b"x" * 10**6 + b'"}',
        "too large": b" " * (2**24 + 1), "empty object": b"{}", "other kinds": b'{"model_type": ["gpt2"], "architecture": ' b'{}}',
        "newlines": b'{"model_type": "a\\nb\\u202ec"}', "many keys": json.dumps({str(i): i for i in range(10**4)}).encode(),
    }  # fmt: skip
    changes: dict[str, Callable[[Path], Any]] = {}
    for what, text in texts.items():
        changes[f"config.json: {what}"] = lambda folder, text=text: (
            folder / "config.json"
        ).write_bytes(text)
    assert each(sources, tmp_path, changes, ("gpt2", "vit"))["loaded"] == 0
    changes = {
        f"index: {w}": lambda f, t=t: (f / "model.safetensors.index.json").write_bytes(t)
        for w, t in texts.items()
    }
    assert each(sources, tmp_path, changes, ("gpt2-sharded",))["loaded"] == 0
    changes = {
        f"card: {what}": lambda f, t=text: (f / "card.json").write_bytes(t)
        for what, text in texts.items()
    }
    each(sources, tmp_path, changes, ("vit",))


def test_damaged_indices(sources: dict[str, Path], tmp_path: Path) -> None:
    def on_index(
        change: Callable[[dict[str, str], random.Random], Any], seed: int
    ) -> Callable[[Path], Any]:
        def apply(folder: Path) -> None:
            path = folder / "model.safetensors.index.json"
            content = json.loads(path.read_text())
            change(content["weight_map"], random.Random(seed))
            path.write_text(json.dumps(content))

        return apply

    def name(placed: dict[str, Any], chance: random.Random) -> str:
        return chance.choice(sorted(placed))

    bad: dict[str, Callable[[dict[str, Any], random.Random], Any]] = {
        "a tensor left out": lambda placed, chance: placed.pop(name(placed, chance)),
        "a tensor too many": lambda placed, chance: placed.update(
            adapter="model-00001-of-00003.safetensors"
        ),
        "a shard that is not there": lambda placed, chance: placed.update(
            {name(placed, chance): "model-7.safetensors"}
        ),
        "outside": lambda placed, chance: placed.update(
            {name(placed, chance): "../gpt2/model.safetensors"}
        ),
        "a folder": lambda placed, chance: placed.update({name(placed, chance): "."}),
        "nothing": lambda placed, chance: placed.update({name(placed, chance): None}),
        "a null character": lambda placed, chance: placed.update(
            {name(placed, chance): "a\0.safetensors"}
        ),
        "a long name": lambda placed, chance: placed.update(
            {name(placed, chance): "a" * 5000 + ".safetensors"}
        ),
        "shuffled": lambda placed, chance: placed.update(
            zip(placed, reversed(list(placed.values())), strict=True)
        ),
        "all in one": lambda placed, chance: placed.update(
            dict.fromkeys(placed, "model-00001-of-00003.safetensors")
        ),
        "no map": lambda placed, chance: placed.clear(),
    }
    changes = {
        f"{what}, {seed}": on_index(change, seed)
        for what, change in bad.items()
        for seed in range(3)
    }
    assert each(sources, tmp_path, changes, ("gpt2-sharded",))["loaded"] == 0


def test_folders_in_place_of_files_and_the_other_way_round(
    sources: dict[str, Path], tmp_path: Path
) -> None:
    def folder_for(name: str) -> Callable[[Path], Any]:
        def apply(folder: Path) -> None:
            path = weights_of(folder) if name == "weights" else folder / name
            path.unlink(missing_ok=True)
            path.mkdir()

        return apply

    def link_for(name: str, target: str) -> Callable[[Path], Any]:
        def apply(folder: Path) -> None:
            path = weights_of(folder) if name == "weights" else folder / name
            path.unlink(missing_ok=True)
            path.symlink_to(target.format(name=path.name))

        return apply

    changes = {f"a folder for {name}": folder_for(name) for name in ("config.json", "weights")}
    for name in ("config.json", "weights"):
        changes |= {
            f"{name} links to {t}": link_for(name, t)
            for t in ("{name}", "/dev/zero", "/nothing", ".", "/etc/hostname")
        }
    assert each(sources, tmp_path, changes)["loaded"] == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family: str, tmp_path: Path) -> None:
    """A sample of senseless values under the keys of each family's own configuration, and of
    damaged tensors.
    """
    chosen = FAMILIES[family]
    config = chosen.config(next(iter(chosen.examples.values())))
    torch.manual_seed(0)
    good = tmp_path / "good"
    module = chosen.build(config)
    right = {name: tensor.numpy() for name, tensor in untied_state(module).items()}
    chosen.save(module, config, good)
    sources = {family: good}
    assert judge(good, family, right) == "loaded"
    raw = json.loads((good / "config.json").read_text())
    keys = sorted(
        {**raw, **raw.get("model_args", {})}.keys()
        - {"transformers_version", "torch_dtype", "dtype"}
    )
    chance = random.Random(family)
    pairs = chance.sample([(key, what) for key in keys for what in ABSURD], 40)
    changes = {f"{key} is {what}": on_config(put(key, ABSURD[what])) for key, what in pairs}
    each(sources, tmp_path, changes, (family,), module_or_refusal, right)
    damages = {
        "missing": lambda tensors, chance: tensors.pop(pick(tensors, chance)),
        "NaN": spoil(float("nan")),
    }
    damages |= {
        "flat": reshape(lambda t: t.reshape(-1, 1, 1, 1, 1)),
        "renamed": rename(lambda name: name + "_"),
    }
    # a head that is not stored is the token table, as transformers has it
    if chosen.predicts(config) == "continuation":
        del damages["missing"]
    changes = {
        f"{what}, {seed}": on_tensors(change, seed)
        for what, change in damages.items()
        for seed in range(3)
    }
    assert each(sources, tmp_path, changes, (family,), right=right)["loaded"] == 0


def module_or_refusal(folder: Path, case: str) -> None:
    """A loaded model becomes a module, or is refused clearly."""
    with suppress(LmcError):
        load(folder).module()


@pytest.mark.parametrize("wrong", [
    lambda model: model.with_state({name: 2 * tensor for name, tensor in model.state.items()}),
    lambda model: 1 / 0,
    lambda model: (_ for _ in ()).throw(LmcError("two\nlines.")),
    lambda model: (_ for _ in ()).throw(LmcError("a sentence without an end")),
    lambda model: time.sleep(SLOWEST + 0.1) or model,
])  # fmt: skip
def test_the_judge_sees_what_is_wrong(
    sources: dict[str, Path], wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of this file: wrong values, other exceptions, messages that are none,
    and waiting all fail.
    """
    judge(sources["vit"], "right")
    model = load(sources["vit"])
    monkeypatch.setattr("tests.models.fuzz.load", lambda folder: wrong(model))
    with pytest.raises(AssertionError):
        judge(sources["vit"], "wrong")


def test_there_were_enough_cases() -> None:
    """Runs last: what the tests above judged."""
    if sum(OUTCOMES.values()):
        assert sum(OUTCOMES.values()) >= 500, OUTCOMES
        assert OUTCOMES["loaded"] >= 50 and OUTCOMES["refused"] >= 400, OUTCOMES
