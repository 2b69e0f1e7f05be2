import pytest

from lmc_core.errors import BadInput
from lmc_core.ui.launch import OPTIONS, command, free_port, launch
from lmc_core.ui.setting import PLAIN, Setting, all_classes, only_permutations
from tests.pages.conftest import LARGEST


@pytest.mark.parametrize("setting", [PLAIN, all_classes(LARGEST), only_permutations(LARGEST)])
def test_text_round_trip(setting):
    assert Setting.parse(setting.text) == setting


def test_labels():
    assert [each.label(LARGEST) for each in (PLAIN, all_classes(LARGEST), only_permutations(LARGEST))] == [
        "Plain average",
        "All classes",
        "Permutations only",
    ]


@pytest.mark.parametrize("text", ["", "weight.units", "weight.units-magic", "weight.roof-permutation", "a b"])
def test_nonsense(text):
    with pytest.raises(BadInput):
        Setting.parse(text)


def test_the_command_line_keeps_the_app_private():
    line = command(8765)
    assert "--server.address=127.0.0.1" in line and "--server.port=8765" in line
    assert "--browser.gatherUsageStats=false" in line
    assert OPTIONS["server.enableXsrfProtection"] == "true"


def test_ports():
    assert free_port() >= 8501
    with pytest.raises(BadInput, match="1 to 65535"):
        launch(port=70000)
