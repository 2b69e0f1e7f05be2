import tomllib

import pytest
from streamlit import config

from lmc_core.errors import BadInput
from lmc_core.folders import app_folder
from lmc_core.server.launch import OPTIONS, command, free_port, launch
from lmc_core.ui.setting import (
    PLAIN,
    Setting,
    all_classes,
    classes_of,
    name_settings,
    only_permutations,
    preset_of,
)

LARGEST = {
    "residual": "orthogonal",
    "units": "permutation",
    "heads": "permutation",
    "query-key": "invertible",
    "value-output": "invertible",
}


BENT = (Setting.of("weight", LARGEST, bend=300), Setting.of("learned", LARGEST, 600, bend=1500))


@pytest.mark.parametrize(
    "setting",
    [
        PLAIN,
        all_classes(LARGEST),
        only_permutations(LARGEST),
        Setting.of("learned", LARGEST, 300),
        Setting.of("learned", LARGEST, seconds=60),
        *BENT,
    ],
)
def test_text_round_trip(setting):
    assert Setting.parse(setting.text) == setting


def test_a_time_is_a_setting_of_the_method_as_on_the_command_line() -> None:
    setting = Setting.of("learned", LARGEST, seconds=60)
    assert setting.settings == {"seconds": 60.0}
    assert setting.text.startswith("learned~60s.residual-orthogonal")
    assert Setting.of("learned", LARGEST, 300).settings == {"steps": 300}


def test_labels():
    assert [
        each.label(LARGEST) for each in (PLAIN, all_classes(LARGEST), only_permutations(LARGEST))
    ] == ["Plain average", "All classes", "Permutations only"]


def test_a_bend_is_named():
    assert [each.label(LARGEST) for each in BENT] == [
        "All classes, bent",
        "All classes, learned, bent",
    ]
    assert BENT[0].text.startswith("weight~b300.") and "learned~600~b1500." in BENT[1].text


def test_presets():
    permuted = classes_of("permutations", LARGEST)
    assert permuted["query-key"] == "none" and permuted["residual"] == "permutation"
    assert preset_of(LARGEST, LARGEST) == "all" and preset_of(permuted, LARGEST) == "permutations"
    assert preset_of({**LARGEST, "units": "none"}, LARGEST) == "custom"


def test_settings_side_by_side_have_names_of_their_own():
    far = {kind: "none" for kind in LARGEST} | {"units": "permutation"}
    settings = [
        Setting.of("learned", LARGEST, 300),
        Setting.of("learned", LARGEST, 600),
        Setting.of("weight", {**LARGEST, "query-key": "none"}),
        Setting.of("weight", {**far, "value-output": "orthogonal"}),
        Setting.of("weight", {**far, "query-key": "orthogonal", "residual": "orthogonal"}),
        Setting.of("weight", {**far, "query-key": "orthogonal", "value-output": "orthogonal"}),
    ]
    assert name_settings(settings, LARGEST) == [
        "All classes, learned, 300 steps",
        "All classes, learned, 600 steps",
        "All classes without query-key",
        "Custom (1)",
        "Custom (2)",
        "Custom (3)",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "weight.units",
        "weight.units-magic",
        "weight.roof-permutation",
        "a b",
        "learned~0",
        "learned~0s",
        "learned~s",
        "learned~60ss",
        "learned~100000s",
        *("weight~b0.units-permutation", "weight~bx", "weight~b1~b2", "learned~1~2"),
    ],
)
def test_nonsense(text):
    with pytest.raises(BadInput):
        Setting.parse(text)


def test_the_command_line_keeps_the_app_private():
    line = command(8765)
    assert "--server.address=127.0.0.1" in line and "--server.port=8765" in line
    assert "--browser.gatherUsageStats=false" in line
    assert OPTIONS["server.enableXsrfProtection"] == "true"


def options_of(table: dict, before: str = "") -> list[str]:
    """The full names of the options in a file of settings."""
    found = []
    for name, value in table.items():
        found += (
            options_of(value, f"{before}{name}.") if isinstance(value, dict) else [before + name]
        )
    return found


def test_streamlit_knows_every_option():
    file = options_of(tomllib.loads((app_folder() / ".streamlit" / "config.toml").read_text()))
    assert {"runner.postScriptGC", "theme.light.primaryColor"} <= set(file)
    for name in (*file, *OPTIONS):
        config.get_option(name)  # raises for a name that this version does not have
    with pytest.raises(RuntimeError):
        config.get_option("runner.noSuchOption")


def test_ports():
    assert free_port() >= 8501
    with pytest.raises(BadInput, match="1 to 65535"):
        launch(port=70000)
