"""References: what they mean, the hub's cache on disk, downloads from a server that answers as the
hub does, no connection.
"""

from __future__ import annotations

import json
import shutil
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lmc_core.errors import BadCheckpoint, BadInput, UnknownName
from lmc_core.models.files import hub
from lmc_core.models.files.references import Reference, allowing_pickle, parse
from lmc_core.models.load import file_notes, find_folders, full_reference, load
from lmc_core.runs.kinds.barrier import make_request
from tests.models.fake_hub import COMMIT, cached, server

Pair = tuple[Path, Path]
CLOSED = "http://127.0.0.1:9"  # no server answers there


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, and a hub that cannot be reached."""
    for name in (
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
        "HF_HOME",
        "HUGGINGFACE_HUB_CACHE",
        "http_proxy",
        "HTTP_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", CLOSED)
    return tmp_path / "hub"


@pytest.fixture
def plain(tiny_gpt2_pair: Pair, tmp_path: Path) -> Path:
    """A tiny GPT-2 without a card, as a repository has it."""
    copy = shutil.copytree(tiny_gpt2_pair[0], tmp_path / "source")
    (copy / "card.json").unlink()
    return copy


# --- grammar
# ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "expected", "label"), [
    ("zoo:one", Reference("zoo", "one"), "one"),
    ("one", Reference("zoo", "one"), "one"),
    ("hf:org/name", Reference("hf", "org/name"), "name"),
    ("hf:gpt2", Reference("hf", "gpt2"), "gpt2"),
    ("hf:org/name-1.5_x@refs/pr/3", Reference("hf", "org/name-1.5_x", "refs/pr/3"), "name-1.5_x@refs/pr/3"),
    ("timm:vit_small_patch16_224.augreg_in1k", Reference("timm", "vit_small_patch16_224.augreg_in1k"), None),
    ("path:some/folder", Reference("path", "some/folder"), "folder"),
    ("./folder", Reference("path", "folder"), "folder"),
    ("/a/b", Reference("path", "/a/b"), "b"),
    ("pickle:hf:org/name", Reference("hf", "org/name", None, True), "name"),
    ("pickle:one", Reference("zoo", "one", None, True), "one"),
    ("path:one", Reference("path", "one"), "one"),
])  # fmt: skip
def test_references_and_back(text: str, expected: Reference, label: str | None) -> None:
    found = parse(text, ["one"])
    assert found == expected and found.label == (label or text.partition(":")[2])
    assert parse(str(found), ["one"]) == found
    assert (
        parse(allowing_pickle(text), ["one"]).allow_pickle
        and allowing_pickle("pickle:x") == "pickle:x"
    )


@pytest.mark.parametrize(("text", "kind", "words"), [
    ("hf:", BadInput, "ORG/NAME"),
    ("hf:../secret", BadInput, "ORG/NAME"),
    ("hf:a/b/c", BadInput, "ORG/NAME"),
    ("hf:a/..", BadInput, "ORG/NAME"),
    ("hf:/etc/passwd", BadInput, "ORG/NAME"),
    ("hf:a--b/c", BadInput, "ORG/NAME"),
    ("hf:org/name@", BadInput, "after @"),
    ("hf:org/name@../../x", BadInput, "after @"),
    ("hf:" + "x" * 5000, BadInput, "ORG/NAME"),
    ("timm:", BadInput, "timm:NAME"),
    ("timm:../x", BadInput, "timm:NAME"),
    ("timm:a.b.c", BadInput, "timm:NAME"),
    ("path:", BadInput, "path:FOLDER"),
    ("zoo:two", UnknownName, "one"),
    ("two", UnknownName, "one"),
    ("s3:bucket", UnknownName, "hf:ORG/NAME"),
    ("", UnknownName, "one"),
])  # fmt: skip
def test_names_that_are_none(text: str, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        parse(text, ["one"])
    assert len(str(caught.value)) < 300


def test_a_name_of_the_hub_typed_as_a_path_gets_a_hint() -> None:
    with pytest.raises(BadCheckpoint, match="hf:openai-community/gpt2"):
        load("openai-community/gpt2")


def test_full_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert full_reference("path:x") == full_reference("./x") == f"path:{tmp_path / 'x'}"
    assert full_reference("pickle:./x") == f"pickle:path:{tmp_path / 'x'}"
    for same in ("hf:org/name@v1", "timm:vit_tiny_patch16_224", "pickle:hf:org/name"):
        assert full_reference(same) == same


# --- the cache
# -------------------------------------------------------------------------------------------------------


def test_a_model_in_the_cache(plain: Path, cache: Path) -> None:
    snapshot = cached(cache, "org/tiny", plain)
    model = load("hf:org/tiny")
    assert model.name == "tiny" and model.digest == load(plain).digest
    assert find_folders("hf:org/tiny") == [snapshot] == [model.folder]
    assert load(f"hf:org/tiny@{COMMIT}").name == f"tiny@{COMMIT}"


def test_revisions_are_different_models(tiny_gpt2_pair: Pair, cache: Path) -> None:
    cached(cache, "org/tiny", tiny_gpt2_pair[0])
    cached(cache, "org/tiny", tiny_gpt2_pair[1], revision="step1000", commit="f" * 40)
    first, second = load("hf:org/tiny"), load("hf:org/tiny@step1000")
    assert first.digest != second.digest and second.digest == load(tiny_gpt2_pair[1]).digest
    with pytest.raises(BadInput, match="hf download org/tiny --revision step2"):
        load("hf:org/tiny@step2")


def test_requests_keep_the_reference(tiny_gpt2_pair: Pair, cache: Path) -> None:
    for name, source in zip(("org/a", "org/b"), tiny_gpt2_pair, strict=True):
        cached(cache, name, source)
    request = make_request("hf:org/a", "hf:org/b", task="plays", device="cpu", examples=4)
    assert request.models == ("hf:org/a", "hf:org/b")


def test_timm_names_mean_repositories(tiny_vit_pair: Pair, cache: Path) -> None:
    default = "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k"
    source = shutil.copytree(tiny_vit_pair[0], cache.parent / "vit")
    (source / "card.json").unlink()
    cached(cache, default, source)
    assert hub.timm_repository("vit_tiny_patch16_224") == default
    model = load("timm:vit_tiny_patch16_224")
    assert model.name == "vit_tiny_patch16_224" and model.digest == load(source).digest
    assert load("timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k").digest == model.digest
    for unknown in ("vit_tiny_patch16_224.nothing", "vit_tiny_patch16_225", "nothing"):
        with pytest.raises(UnknownName, match="nearest names") as caught:
            load(f"timm:{unknown}")
        assert len(str(caught.value)) < 300


def test_a_cache_without_the_weights(plain: Path, cache: Path) -> None:
    snapshot = cached(cache, "org/tiny", plain)
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(BadInput, match="hf download org/tiny"):
        load("hf:org/tiny")


def test_a_cache_whose_blob_is_gone(plain: Path, cache: Path) -> None:
    snapshot = cached(cache, "org/tiny", plain)
    (snapshot / "model.safetensors").resolve().unlink()
    with pytest.raises(BadInput, match="hf download org/tiny"):
        load("hf:org/tiny")


def test_a_cache_with_pickles(plain: Path, cache: Path) -> None:
    before = load(plain).digest
    torch.save(load_file(plain / "model.safetensors"), plain / "pytorch_model.bin")
    (plain / "model.safetensors").unlink()
    cached(cache, "org/tiny", plain)
    with pytest.raises(BadCheckpoint, match="--allow-pickle"):
        load("hf:org/tiny")
    assert (
        load("hf:org/tiny", allow_pickle=True).digest == load("pickle:hf:org/tiny").digest == before
    )


@pytest.mark.parametrize(("variables", "place"), [
    ({"HF_HUB_CACHE": "/a/b"}, "/a/b"),
    ({"HF_HOME": "/a"}, "/a/hub"),
    ({"XDG_CACHE_HOME": "/a"}, "/a/huggingface/hub"),
    ({"HUGGINGFACE_HUB_CACHE": "/a/c"}, "/a/c"),
])  # fmt: skip
def test_where_the_cache_is(
    variables: dict[str, str], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_CACHE")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert hub.cache() == Path(place)


# --- no connection
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variables", [
    {"HF_ENDPOINT": CLOSED},
    # reserved for documentation: nothing answers, not even with a refusal
    {"HF_ENDPOINT": "http://192.0.2.1"},
    {"HF_ENDPOINT": "https://hub.invalid"},
    {"HF_ENDPOINT": "https://hub.invalid:many"},
    {"HF_HUB_OFFLINE": "1"},
    {"TRANSFORMERS_OFFLINE": "yes"},
    {"HTTP_PROXY": CLOSED, "HF_ENDPOINT": "http://hub.invalid"},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("reference", ["hf:org/nothing", "timm:vit_small_patch16_224.augreg_in1k"])
def test_without_a_connection_the_answer_comes_within_a_second(
    reference: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub  # noqa: F401
    import timm  # noqa: F401

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    begin = time.perf_counter()
    with pytest.raises(BadInput, match="hf download .* give a folder") as caught:
        load(reference)
    assert time.perf_counter() - begin < 1.0
    assert "\n" not in str(caught.value) and str(caught.value).count(". ") <= 1


def test_a_slow_look_up_of_names_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **__: object) -> None:
        time.sleep(2)
        raise OSError("no such name")

    monkeypatch.setattr(socket, "create_connection", slow)
    begin = time.perf_counter()
    assert hub.no_connection() and time.perf_counter() - begin < 1.0


# --- a connection
# ----------------------------------------------------------------------------------------------------


def test_a_download_goes_into_the_cache_and_is_not_repeated(
    plain: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (plain / "tokenizer.json").write_text("{}")
    (plain / "modeling_own.py").write_text("raise SystemExit")
    (plain / "pytorch_model.bin").write_bytes(b"a copy that is not needed")
    with server({"org/tiny": plain}) as (address, asked):
        monkeypatch.setenv("HF_ENDPOINT", address)
        model = load("hf:org/tiny")
        assert model.name == "tiny" and model.digest == load(plain).digest
        fetched = {path.rpartition("/")[2] for path in asked if "/resolve/" in path}
        assert fetched == {
            "config.json",
            "generation_config.json",
            "model.safetensors",
            "tokenizer.json",
        }
        asked.clear()
        assert load("hf:org/tiny").digest == model.digest and asked == []
    monkeypatch.setenv("HF_ENDPOINT", CLOSED)
    assert load("hf:org/tiny").digest == model.digest
    assert (cache / "models--org--tiny" / "refs" / "main").read_text() == COMMIT


def test_downloads_of_shards_and_pickles(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import GPT2LMHeadModel

    before = load(plain).digest
    GPT2LMHeadModel.from_pretrained(plain).save_pretrained(plain, max_shard_size="12KB")
    (plain / "model.safetensors").unlink(missing_ok=True)
    old = shutil.copytree(
        plain, plain.parent / "old", ignore=shutil.ignore_patterns("*safetensors*")
    )
    tensors: dict[str, Any] = {}
    for path in plain.glob("*.safetensors"):
        tensors |= load_file(path)
    torch.save(tensors, old / "pytorch_model.bin")
    with server({"org/shards": plain, "org/old": old}) as (address, asked):
        monkeypatch.setenv("HF_ENDPOINT", address)
        assert load("hf:org/shards").digest == before
        with pytest.raises(BadCheckpoint, match=r"pytorch_model.bin.*--allow-pickle"):
            load("hf:org/old")
        assert not any("pytorch_model.bin" in path for path in asked)
        assert load("hf:org/old", allow_pickle=True).digest == before


def test_what_is_not_supported_is_refused_before_its_weights_are_fetched(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = json.loads((plain / "config.json").read_text())
    (plain / "config.json").write_text(json.dumps(content | {"model_type": "xlnet"}))
    bare = shutil.copytree(
        plain, plain.parent / "bare", ignore=shutil.ignore_patterns("config.json")
    )
    with server({"org/tiny": plain, "org/bare": bare}) as (address, asked):
        monkeypatch.setenv("HF_ENDPOINT", address)
        with pytest.raises(BadCheckpoint, match="'xlnet'"):
            load("hf:org/tiny")
        assert not any("safetensors" in path for path in asked)
        with pytest.raises(UnknownName, match="org/none"):
            load("hf:org/none")
        with pytest.raises(UnknownName, match="'v9'"):
            load("hf:org/tiny@v9")
        with pytest.raises(BadCheckpoint, match="no config.json"):
            load("hf:org/bare")


# --- caches carried by hand
# ------------------------------------------------------------------------------------------


def test_a_ref_with_a_newline(plain: Path, cache: Path) -> None:
    snapshot = cached(cache, "org/tiny", plain)
    (cache / "models--org--tiny" / "refs" / "main").write_text(f"{COMMIT}\n")
    model = load("hf:org/tiny")
    assert model.digest == load(plain).digest and model.folder == snapshot and model.notes == ()
    assert hub.in_cache(Reference("hf", "org/tiny"))


def test_a_single_snapshot_without_refs_is_taken_and_that_is_said(plain: Path, cache: Path) -> None:
    cached(cache, "org/tiny", plain)
    shutil.rmtree(cache / "models--org--tiny" / "refs")
    model = load("hf:org/tiny")
    assert (
        model.digest == load(plain).digest
        and "does not say which revision of org/tiny" in model.notes[0]
    )
    assert file_notes("hf:org/tiny") == model.notes
    assert load(f"hf:org/tiny@{COMMIT}").notes == ()
    assert hub.in_cache(Reference("hf", "org/tiny"))
    with pytest.raises(BadInput, match="hf download org/tiny --revision v1"):
        load("hf:org/tiny@v1")


def test_several_snapshots_without_refs_are_named(tiny_gpt2_pair: Pair, cache: Path) -> None:
    for number, source in enumerate(tiny_gpt2_pair):
        cached(cache, "org/tiny", source, revision=f"v{number}", commit=str(number) * 40)
    shutil.rmtree(cache / "models--org--tiny" / "refs")
    assert not hub.in_cache(Reference("hf", "org/tiny"))
    with pytest.raises(
        BadInput, match=rf"2 snapshots of org/tiny .*name one, such as hf:org/tiny@{'0' * 40}"
    ):
        load("hf:org/tiny")
    assert load(f"hf:org/tiny@{'1' * 40}").digest == load(tiny_gpt2_pair[1]).digest


def test_a_ref_that_leads_out_of_the_cache(plain: Path, cache: Path) -> None:
    cached(cache, "org/tiny", plain)
    for words in ("../../../source", str(plain), "\x00", ""):
        (cache / "models--org--tiny" / "refs" / "main").write_text(words)
        with pytest.raises(BadInput, match="hf download org/tiny"):
            load("hf:org/tiny")
