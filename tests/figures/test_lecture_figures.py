import numpy as np
import pytest

from lmc_core.figures.style import GROUNDS, contrast
from lmc_core.lecture.figures import exchange as lecture_exchange
from lmc_core.lecture.figures import experts as lecture_experts
from lmc_core.lecture.figures import lines as lecture_lines
from lmc_core.lecture.figures import stream as lecture_stream
from lmc_core.lecture.figures.canvas import Look
from lmc_core.lecture.measured import (
    Averages,
    Heads,
    Positions,
    Routed,
    Stretched,
    Tilted,
    Turned,
    Units,
    Wander,
)

RANDOM = np.random.default_rng(0)
NAMES = [f"class {k}" for k in range(10)]
SHOWN, HIDDEN = Look(), Look(revealed=False)


def named(figure, name):
    return [trace for trace in figure.data if trace.name == name]


def words(figure) -> list[str]:
    return [str(each.text) for each in figure.layout.annotations]


@pytest.fixture
def units() -> Units:
    before = RANDOM.normal(size=10)
    return Units(
        RANDOM.normal(size=(20, 30)), RANDOM.normal(size=(20, 30)), before, before + 1, 0.1
    )


def test_units(units):
    shown = [3, 5, 9, 11]
    figure = lecture_exchange.units_figure(units, SHOWN, shown, (1, 2), (False, False), NAMES)
    first, second = figure.data[0].z, figure.data[1].z
    np.testing.assert_array_equal(first, units.incoming[shown, :24])
    np.testing.assert_array_equal(second, units.outgoing[shown, :24].T)
    np.testing.assert_array_equal(named(figure, "now")[0].x, units.after)
    np.testing.assert_array_equal(named(figure, "before")[0].x, units.before)
    assert figure.layout.shapes[0].y0 == 0.5  # unit A stands in row 1
    moved = lecture_exchange.units_figure(units, SHOWN, shown, (1, 2), (True, False), NAMES)
    # its row moved, its column did not
    assert moved.layout.shapes[0].y0 == 1.5 and moved.layout.shapes[1].x0 == 0.5


def test_the_answer_is_not_in_a_picture_that_asks(units):
    figure = lecture_exchange.units_figure(units, HIDDEN, [0, 1], (0, 1), (False, False), NAMES)
    assert not named(figure, "now") and "?" in words(figure)
    data = Wander([0.5, 1.0], [1e-15, 0.0], [0.5, 2.0])
    assert not named(lecture_exchange.wander_figure(data, HIDDEN), "permuted")
    # zero can be drawn
    assert list(named(lecture_exchange.wander_figure(data, SHOWN), "permuted")[0].y) == [
        1e-15,
        1e-16,
    ]


def test_heads():
    maps = RANDOM.random((4, 5, 5))
    data = Heads(maps[[3, 1, 2, 0]], maps, 0.0)
    figure = lecture_exchange.heads_figure(data, SHOWN, (0, 3), True)
    np.testing.assert_array_equal(figure.data[4].z, maps[3] ** 0.5)
    assert len(figure.data) == 8 and len(figure.layout.shapes) == 4
    dashes = [shape.line.dash for shape in figure.layout.shapes]
    assert dashes == ["solid", "4px,3px", "4px,3px", "solid"]  # a frame goes with its head


def test_turned_stream():
    data = Turned(
        RANDOM.normal(size=(10, 3, 3)), np.arange(5.0), np.arange(5.0) + 1, 0.5, np.zeros(3), 0.0
    )
    figure = lecture_stream.turned_figure(data, SHOWN)
    assert figure.data[0].z.shape == (7, 31)  # two rows of eight filters with gaps
    np.testing.assert_array_equal(figure.data[0].z[:3, :3], data.filters[0])
    assert np.isnan(figure.data[0].z[3]).all()
    np.testing.assert_array_equal(named(figure, "weights")[0].y, data.after)


def test_tilted_stream():
    data = Tilted(
        [0.0, 45.0, 90.0],
        [0.0, 1e-15, 1e-15],
        [0.0, 0.1, 1.0],
        [1, 1, 1],
        np.array([[1.0, 0.5, 0.0]]),
    )
    figure = lecture_stream.tilted_figure(data, SHOWN, True, 1)
    states = named(figure, "states")[0]
    assert states.x[0] == pytest.approx(0.5**0.5) and states.y[0] == pytest.approx(0.5**0.5)
    within = named(lecture_stream.tilted_figure(data, SHOWN, False, 2), "states")[0]
    assert within.y[0] == 0 and within.x[0] == pytest.approx(-0.5)
    asked = lecture_stream.tilted_figure(data, HIDDEN, True, 1)
    # only what was tried
    assert len(named(asked, "tilts it")[0].x) == 2 and not len(named(asked, "keeps it")[0].x)


def test_plane():
    bent = np.array([[2.0, 0.0], [0.0, 0.5]])
    data = Stretched(
        np.ones((3, 2)), np.ones((3, 2)), np.eye(3), bent, np.linalg.inv(bent).T, 0.0, 0.0
    )
    figure = lecture_stream.plane_figure(data, SHOWN, True)
    x, y = (np.array(named(figure, "grid of queries")[0][axis], dtype=float) for axis in "xy")
    # a square grid, stretched by 2 and shrunk by 2
    assert np.nanmax(x) / np.nanmax(y) == pytest.approx(4)
    assert "q<sup>\u22a4</sup>k / \u221ad" in words(figure)
    assert "k \u2192 k" in words(lecture_stream.plane_figure(data, SHOWN, False))


def test_average():
    answers = np.array([[0, 1, 2], [0, 0, 0]])
    data = Averages(
        [0.0, 1.0], [0.3, 0.4], [1.0, 0.3], answers, np.array([0, 1, 2]), RANDOM.random((3, 4, 4))
    )
    said = [
        each.text for each in lecture_lines.average_figure(data, SHOWN, 1, NAMES).layout.annotations
    ]
    assert "\u2713 class 0" in said and said.count("\u2717 <s>class 0</s>") == 2
    assert named(lecture_lines.average_figure(data, HIDDEN, 0, NAMES), "loss")[0].mode == "markers"


def test_classes():
    lam = [0.0, 0.5, 1.0]
    plain = {"loss": [0.2, 3.0, 0.4], "barrier": 2.7, "barrier_lam": 0.5}
    now = {"loss": [0.2, 1.0, 0.4], "barrier": 0.7, "barrier_lam": 0.5, "residual": "orthogonal"}
    ladder = [("nothing", 2.7, 0.1), ("units", 2.0, 0.1), ("learned", 0.02, 0.01)]
    figure = lecture_lines.classes_figure(lam, plain, now, ladder, SHOWN)
    # from the chord to the curve
    np.testing.assert_allclose(named(figure, "barrier")[0].y, [0.3, 1.0])
    assert "<b>0.700 nats</b>" in words(figure)
    bar = named(figure, "ladder")[0]
    assert list(bar.x) == [2.7, 2.0, 0.02] and list(bar.marker.color) == [
        "#666666",
        "#996600",
        "#b84a00",
    ]
    assert not named(lecture_lines.classes_figure(lam, plain, now, ladder, HIDDEN), "ladder")


@pytest.mark.parametrize(
    ("choice", "meaning"),
    [({}, "plain"), ({"units": True}, "permutation"), ({"residual": "permutation"}, "permutation"),
     ({"planes": True}, "orthogonal"), ({"residual": "orthogonal"}, "orthogonal"), ({"learned": True}, "learned")],
)  # fmt: skip
def test_meaning_of_a_choice(choice, meaning):
    assert lecture_lines.meaning_of_choice(choice) == meaning


def test_remains():
    share = {"plain": 1.0, "permutations": 0.9, "weight": 0.3, "learned": 0.05}
    rows = [
        {"name": "one", "pairs": 2, "nats": {k: 3 * v for k, v in share.items()}, "shares": share}
    ]
    figure = lecture_lines.remains_figure(rows, SHOWN, True)
    assert [trace.x[0] for trace in figure.data[1:]] == list(share.values())
    assert lecture_lines.remains_figure(rows, SHOWN, False).data[1].x[0] == 3
    assert [trace.name for trace in lecture_lines.remains_figure(rows, HIDDEN, True).data] == [
        "plain average"
    ]


def test_experts():
    data = Routed(
        np.array([0, 1, 2]), np.array([2, 1, 0, 3]), RANDOM.normal(size=(4, 40)), 1.0, 0.0
    )
    figure = lecture_experts.experts_figure(data, SHOWN, "a b", {"plain": 2.0, "learned": 0.2})
    served = figure.data[1].z.ravel()
    assert list(served[:3]) == [2, 1, 0]  # the expert at the place, not the place
    assert np.isnan(served[3:]).all()
    assert figure.data[2].text[1] == "\u00b7"
    assert list(named(figure, "ladder")[0].x) == [2.0, 0.2]
    labels = [note for note in figure.layout.annotations if note.name == "expert"]
    low, high = figure.layout.yaxis.domain
    # each beside its row of the router, none on the heading below
    for row, label in enumerate(labels):
        assert label.yanchor == "middle" and label.y == pytest.approx(
            high - (high - low) * (row + 0.5) / len(labels)
        )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_type_grows_with_the_window_and_can_be_read(theme, units):
    small, large = (
        lecture_exchange.units_figure(
            units, Look(theme, scale), [0, 1], (0, 1), (False, False), NAMES
        )
        for scale in (1, 1.5)
    )
    sizes = [each.font.size for each in small.layout.annotations]
    assert min(sizes) >= 17
    assert [each.font.size for each in large.layout.annotations] == pytest.approx(
        [1.5 * size for size in sizes]
    )
    for each in small.layout.annotations:
        assert contrast(each.font.color, GROUNDS[theme].paper) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("meaning", lecture_experts.EXPERTS)
def test_letters_on_experts_can_be_read(theme, meaning):
    colour = Look(theme).colour(meaning)
    assert contrast(lecture_experts._ink(colour), colour) >= 4.5


def test_positions():
    images, answers = RANDOM.random((2, 4, 8, 8)), np.zeros((3, 2, 4), int)
    answers[2] = 5
    free = Positions(
        [0.0, 0.5, 1.0] * 4,
        [0.2, 1.0, 2.0] * 4,
        [0.9, 0.5, 0.2] * 4,
        images,
        answers,
        np.array([0, 5]),
        1.0,
    )
    led = Positions(
        [0.0, 0.5, 1.0] * 4, [0.3] * 12, [0.9] * 12, images, answers, np.array([0, 5]), 0.0
    )
    figure = lecture_lines.positions_figure({"free": free, "led": led}, "free", SHOWN, 2)
    assert (
        list(named(figure, "free")[0].y) == free.loss
        and list(named(figure, "led")[0].y) == led.loss
    )
    assert named(figure, "here")[0].y == (2.0,)
    said = [text for text in words(figure) if text[0] in "\u2713\u2717"]
    # of an image of class 0, and of one of class 5
    assert said == ["\u2717 <s>5</s>"] * 4 + ["\u2713 5"] * 4
    asked = lecture_lines.positions_figure({"free": free, "led": led}, "free", HIDDEN, 1)
    # only what was tried
    assert len(named(asked, "free")[0].y) == 2 and len(named(asked, "led")[0].y) == 1
    assert "?" in words(asked) and "trained freely" not in words(asked)
