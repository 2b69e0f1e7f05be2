import itertools

import pytest

from lmc_core.figures.style import (
    GROUNDS,
    MEANINGS,
    contrast,
    faint,
    find_meaning,
    strokes,
    template,
)
from lmc_core.figures.text import label_setting


@pytest.mark.parametrize("theme", ["light", "dark", "paper"])
@pytest.mark.parametrize("name", MEANINGS)
def test_lines_and_labels_stand_out_from_their_ground(name, theme):
    # lines need 3, labels in their colour 4.5
    assert contrast(MEANINGS[name].colour(theme), GROUNDS[theme].paper) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark", "paper"])
def test_text_stands_out(theme):
    assert contrast(GROUNDS[theme].ink, GROUNDS[theme].paper) >= 7
    assert contrast(GROUNDS[theme].muted, GROUNDS[theme].paper) >= 4.5


def test_contrast_of_black_and_white_is_21():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#0072b2", "#ffffff") == pytest.approx(5.19, abs=0.01)


def test_every_meaning_has_its_own_colour_dash_and_marker():
    for field in ("light", "dark", "dash", "marker"):
        values = [getattr(meaning, field) for meaning in MEANINGS.values()]
        assert len(set(values)) == len(values), field


def test_meaning_follows_method_and_classes(vit):
    assert [find_meaning(result) for result in vit] == ["plain", "permutation", "orthogonal"]
    assert (
        find_meaning({"method": "activation", "classes": {"units": "permutation"}}) == "activation"
    )
    assert (
        find_meaning({"method": "something new", "classes": {"residual": "orthogonal"}})
        == "orthogonal"
    )


def test_soft_curves_have_a_name_and_a_colour_of_their_own(vit):
    soft = {**vit[2], "method": "soft"}
    drawn, matched = strokes([soft, vit[2]], "light")
    assert find_meaning(soft) == "soft" and MEANINGS["soft"].name == "soft matching"
    assert drawn.colour != matched.colour and drawn.dash != matched.dash
    assert label_setting(soft) == "All classes, soft matching"
    assert find_meaning(vit[2]) == "orthogonal"


def test_settings_of_one_meaning_share_the_colour_and_differ_otherwise(vit):
    drawn = strokes([vit[2]] * 4, "light")
    assert len({stroke.colour for stroke in drawn}) == 1
    for one, other in itertools.combinations(drawn, 2):
        assert one.dash != other.dash and one.marker != other.marker


def test_templates_have_their_ground():
    assert template("dark").layout.paper_bgcolor == GROUNDS["dark"].paper
    assert "IBM Plex Sans" in template("paper").layout.font.family


def test_faint():
    assert faint("#0066a6", 0.5) == "rgba(0,102,166,0.5)"
