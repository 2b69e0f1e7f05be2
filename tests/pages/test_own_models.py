"""Models beside those that are shipped: what the page opens, what it refuses, and that it says no
path.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.errors import LmcError, UnknownName
from lmc_core.ui import catalogue, custom_models
from lmc_core.ui.pages import script


@pytest.fixture
def inside(
    tiny_gpt2_pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder that the app may read, with a model in it."""
    root = tmp_path / "allowed"
    shutil.copytree(tiny_gpt2_pair[0], root / "mine")
    monkeypatch.setenv("LMC_ROOTS", str(root))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    return root


def test_a_folder_that_may_be_read(inside: Path) -> None:
    row = custom_models.row_of(f"path:{inside / 'mine'}")
    assert (
        row["family"] == "gpt2" and row["takes"] == "text" and row["reference"].startswith("path:")
    )


def test_a_folder_changed_in_place_is_read_again(
    inside: Path, tiny_gpt2_pair: tuple[Path, Path]
) -> None:
    path = inside / "mine" / "model.safetensors"
    before, was = custom_models.row_of(f"path:{inside / 'mine'}"), path.stat()
    with path.open("r+b") as file:
        file.write((tiny_gpt2_pair[1] / "model.safetensors").read_bytes())
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert path.stat().st_size == was.st_size
    assert custom_models.row_of(f"path:{inside / 'mine'}")["digest"] != before["digest"]


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("path:/etc", "elsewhere"),
        ("path:{outside}", "elsewhere"),
        ("pickle:path:{inside}", "safetensors"),
        ("hf:nobody/nothing", "not in the local cache"),
        ("timm:vit_small_patch16_224.augreg_in1k", "not in the local cache"),
        ("nonsense", "no model"),
        ("ftp:x", "no model"),
        ("path:{inside}/empty", "no folder"),
    ],
)
def test_what_is_refused(
    reference: str, words: str, inside: Path, tiny_gpt2_pair: tuple[Path, Path]
) -> None:
    with pytest.raises(LmcError, match=words) as caught:
        custom_models.row_of(reference.format(outside=tiny_gpt2_pair[0], inside=inside))
    assert str(tiny_gpt2_pair[0]) not in str(caught.value)


def test_a_link_out_of_the_folder_is_not_followed(
    inside: Path, tiny_gpt2_pair: tuple[Path, Path]
) -> None:
    (inside / "link").symlink_to(tiny_gpt2_pair[0])
    with pytest.raises(LmcError, match="elsewhere"):
        custom_models.row_of(f"path:{inside / 'link'}")


def test_models_that_were_kept_are_listed(
    tiny_gpt2_pair: tuple[Path, Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert custom_models.kept() == {}
    shutil.copytree(tiny_gpt2_pair[0], home / "models" / "merged")
    assert list(custom_models.kept()) == ["merged"]
    assert "merged" in catalogue.models()
    monkeypatch.setenv("LMC_READ_ONLY", "1")
    assert "merged" not in catalogue.models()


def test_a_damaged_one_is_left_out(home: Path) -> None:
    (home / "models" / "broken").mkdir(parents=True)
    (home / "models" / "broken" / "config.json").write_text("{")
    assert "broken" not in catalogue.models()


def test_the_page_adds_a_model_and_says_why_it_does_not(inside: Path) -> None:
    app = AppTest.from_file(str(script("barrier")), default_timeout=120).run()
    app.text_input(key="barrier_add").set_value("path:/etc").run()
    assert (
        not app.exception and "elsewhere" in app.error[0].value and "/etc" not in app.error[0].value
    )
    app.text_input(key="barrier_add").set_value(f"path:{inside / 'mine'}").run()
    assert not app.exception and not app.error
    assert app.success[0].value.startswith("**mine**: gpt2, width 16, ")
    assert "add a second of the same sizes" in app.success[0].value
    options = app.selectbox(key="barrier_a").options
    assert [option for option in options if option.startswith("mine")] == ["mine"]


def test_added_models_are_listed_by_their_whole_names(
    inside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "a-name-that-is-longer-than-the-lists-of-the-sidebar-can-show"
    paths = [f"path:{inside / name}" for name in (long, "one/model", "two/model")]
    monkeypatch.setattr(custom_models, "remembered", lambda: paths)
    app = AppTest.from_file(str(script("barrier")), default_timeout=120).run()
    listed = [app.button(key=f"barrier_forget_{k}").label.replace("\\", "") for k in range(3)]
    for label, name in zip(listed, (long, "one/model", "two/model"), strict=True):
        assert label.startswith(f"![Take {name} out of the lists](")


def test_the_second_of_a_pair_is_chosen_with_the_first(
    inside: Path, tiny_gpt2_pair: tuple[Path, Path]
) -> None:
    shutil.copytree(tiny_gpt2_pair[1], inside / "other")
    names = [f"path:{inside / name}" for name in ("mine", "other")]
    app = AppTest.from_file(str(script("barrier")), default_timeout=120).run()
    for name in names:
        app.text_input(key="barrier_add").set_value(name).run()
    assert not app.exception and not app.error
    assert app.success[0].value.endswith("It is model B now.")
    assert [app.selectbox(key=f"barrier_{place}").value for place in "ab"] == names
    later = AppTest.from_file(str(script("barrier")), default_timeout=120).run()  # another session
    listed = later.selectbox(key="barrier_a").options
    assert listed[-2:] == ["mine", "other"]
    assert "![Take mine out of the lists](" in later.button(key="barrier_forget_0").label
    later.button(key="barrier_forget_0").click().run()
    assert custom_models.remembered() == names[1:]
    assert "mine" not in later.selectbox(key="barrier_a").options
    assert (inside / "mine" / "config.json").exists()


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("path:/home/me/models/mine", "mine"),
        ("extra:path:/home/me/mine", "mine (extra tensors left out)"),
        ("path:/home/me/base+path:/home/me/adapter", "base + adapter"),
        ("hf:org/name", "hf:org/name"),
        ("vit-fashion-s0", "vit-fashion-s0"),
    ],
)
def test_a_model_is_called_by_its_folder(name: str, title: str) -> None:
    assert custom_models.title(name) == title


def test_a_damaged_list_is_an_empty_one(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / custom_models.FILE).write_text("{")
    assert custom_models.remembered() == []
    (home / custom_models.FILE).write_text('["path:/gone", 3]')
    assert custom_models.remembered() == ["path:/gone"]
    assert "path:/gone" not in catalogue.models()


def test_no_sentence_lists_nothing() -> None:
    assert "expected one of" not in str(UnknownName.of("model", "mine", []))


def test_a_server_for_an_audience_offers_no_such_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMC_READ_ONLY", "1")
    app = AppTest.from_file(str(script("barrier")), default_timeout=120).run()
    assert not app.exception
    assert "barrier_add" not in [field.key for field in app.text_input]
    assert not {"Run", "Run again", "Cancel", "Measure the parts"} & {
        button.label for button in app.button
    }


def test_extra_tensors_are_left_out_where_that_is_ticked(inside: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    path = inside / "mine" / "model.safetensors"
    save_file(load_file(path) | {"v_head.weight": torch.ones(1, 16)}, path)
    reference = f"path:{inside / 'mine'}"
    app = AppTest.from_file(str(script("barrier")), default_timeout=120).run()
    app.text_input(key="barrier_add").set_value(reference).run()
    assert (
        not app.exception
        and "v_head.weight" in app.error[0].value
        and "--ignore-extra" in app.error[0].value
    )
    app.checkbox(key="barrier_add_extra").check().run()
    assert not app.exception and not app.error
    assert app.session_state[custom_models.NAME] == [f"extra:{reference}"]
    app.selectbox(key="barrier_a").set_value(f"extra:{reference}").run()
    assert not app.exception and any("v_head.weight" in warning.value for warning in app.warning)


def test_an_adapter_has_to_lie_where_the_app_may_read_too(inside: Path, tmp_path: Path) -> None:
    for place, words in ((tmp_path / "outside", "elsewhere"), (inside / "none", "no folder")):
        with pytest.raises(LmcError, match=words):
            custom_models.row_of(f"path:{inside / 'mine'}+path:{place}")
    with pytest.raises(LmcError, match="not in the local cache"):
        custom_models.row_of(f"path:{inside / 'mine'}+hf:nobody/adapter")
    with pytest.raises(LmcError, match="safetensors"):
        custom_models.row_of(f"path:{inside / 'mine'}+pickle:path:{inside / 'mine'}")
