import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.models.families import FAMILIES
from lmc_core.ui.pages import script
from lmc_core.ui.panels import whole_number


@pytest.fixture
def at(app) -> AppTest:
    return AppTest.from_file(str(script("models")), default_timeout=60)


def test_shelves(at):
    at.run()
    assert not at.exception
    zoo, public, families = (table.value for table in at.table)
    assert "vit-fashion-s0" in zoo.index and "89.3% right" in set(zoo["On the test split"])
    assert (
        public.loc["MultiBERTs", "Models"] == "25"
        and "MB" in public.loc["MultiBERTs", "Download of each"]
    )
    assert set(public["Family"]) <= set(FAMILIES), "a family of the catalogue is not supported"
    assert list(families.index) == list(FAMILIES)
    assert any("google/multiberts-seed_24" in code.value for code in at.code)


def test_a_number_and_its_error_stay_in_one_line():
    assert whole_number("2.8 \u00b1 0.4 nats") == "2.8\u00a0\u00b1\u00a00.4 nats"
    assert whole_number("all classes") == "all classes"
