"""Labels stand beside curves: over no curve, over no other label, inside of the figure."""

import copy
import json
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmc_core.figures.barrier import barrier_figure
from lmc_core.figures.barrier_lines import DIRECT
from lmc_core.figures.export import standalone_html
from lmc_core.figures.layout import spread
from lmc_core.figures.margin import NAME, ROOM, broken, divided, narrow_change, narrowed, text_width
from lmc_core.figures.orders import fan_figure
from tests.figures.experts_result import experts_result
from tests.figures.geometry import Canvas

LONG = "Permuted units; orthogonal residual, learned, 300 steps"
FACTORS = [
    (1,),
    (1, 0.5, 0.1),
    (1, 0.99, 0.98),
    (1, 1, 1, 1, 1),
    (1, 0.9, 0.3, 0.28, 0.25),
    (-1, -0.9, 1),
    (1, 0.99, 0.98, 0.97, 0.02, 0.01, 0.0, 0.0),
]


def scaled(result: dict, factor: float) -> dict:
    """The same result with its excess over the chord multiplied."""
    changed = copy.deepcopy(result)
    pairs = zip(changed["chord"], result["loss"], strict=True)
    changed["loss"] = [c + factor * (v - c) for c, v in pairs]
    changed["barrier"] *= factor
    return changed


def require_clear(figure, width: float, count: int) -> None:
    """No label intersects another or a curve, and all are inside of the figure."""
    canvas = Canvas(figure, width)
    boxes = canvas.labels()
    assert len(boxes) == count
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    for box in boxes:
        assert not any(box.holds(x, y) for x, y in canvas.curves())
        assert box.left >= canvas.width and box.right <= canvas.width + canvas.margin.r
        assert box.bottom >= -1 and box.top <= canvas.foot + canvas.tall + canvas.margin.t


@pytest.mark.parametrize("factors", FACTORS)
@pytest.mark.parametrize(("width", "height"), [(620, 440), (690, 520), (1400, 640)])
def test_labels_of_barriers_are_clear(vit, factors, width, height):
    assert len(factors) <= DIRECT
    results = [scaled(vit[0], factor) for factor in factors]
    names = [f"Curve {k}" for k in range(len(factors) - 1)] + [LONG]
    figure = barrier_figure(results, labels=names, height=height)
    require_clear(figure, width, len(factors))


def test_the_check_of_geometry_finds_a_label_on_a_curve(vit):
    figure = barrier_figure(vit)
    label = next(note for note in figure.layout.annotations if note.name == "label")
    label.x, label.ax = 0.5, 0
    with pytest.raises(AssertionError):
        require_clear(figure, 690, 3)


@pytest.mark.parametrize("index", [0, -1])
def test_labels_of_orders_are_clear(index):
    result = experts_result()
    fan = result["fans"][index]
    figure = fan_figure(result, fan)
    count = sum(note.name == "label" for note in figure.layout.annotations)
    assert count >= 4
    require_clear(figure, 690, count)


def test_a_leader_begins_at_the_barrier_and_ends_at_the_axis(vit):
    figure = barrier_figure(vit)
    leaders = [trace for trace in figure.data if trace.name == "leader"]
    brackets = [trace for trace in figure.data if trace.name == "barrier"]
    assert len(leaders) == len(brackets) == 3
    for leader, result in zip(leaders, vit, strict=True):
        top = max(result["loss"])
        assert leader.x == pytest.approx((result["barrier_lam"], figure.layout.xaxis.range[1]))
        assert leader.y == pytest.approx((top, top), abs=1e-3)


def test_on_a_phone_a_legend_stands_below_in_place_of_labels(vit):
    figure = barrier_figure(vit)
    narrow = narrowed(figure)
    assert not Canvas(narrow, 358).labels() and narrow.layout.showlegend
    entries = [trace.name for trace in narrow.data if trace.showlegend]
    assert entries[0] == "Plain average: 1.83 ± 0.02 nats" and len(entries) == 3
    assert not any(trace.visible for trace in narrow.data if trace.name == "leader")
    assert narrow.layout.height > figure.layout.height
    assert narrow.layout.margin.r < 30 and Canvas(narrow, 358).width > 270
    # the figure itself is unchanged
    assert len(Canvas(figure, 690).labels()) == 3 and not figure.layout.showlegend
    assert narrow_change(barrier_figure([])) is None


def test_a_page_that_opens_offline_does_the_same_in_a_narrow_window(vit):
    page = standalone_html(barrier_figure(vit, labels=["a</script>", "b", "c"]), "", [])
    script = page[page.index("if (window.innerWidth < 640)") :]
    text = script[script.index("change = ") + 9 : script.index(", figure = document")]
    change = json.loads(text)
    entries = [each["name"] for each in change["traces"].values() if "name" in each]
    assert entries[0] == "a</script>: 1.83 ± 0.02 nats"  # and it did not end the script
    assert change["layout"]["showlegend"] and "a</script>:" not in page


def test_pictures_for_papers_have_no_boxes(vit):
    for theme in ("light", "dark", "paper"):
        notes = barrier_figure(vit, theme).layout.annotations
        assert not [note.text for note in notes if note.bgcolor]


def test_names_are_broken_where_they_are_wide():
    assert broken("Plain average") == ["Plain average"]
    lines = broken(LONG)
    assert " ".join(lines) == LONG and len(lines) > 1
    assert all(text_width(line) <= ROOM for line in lines)
    assert text_width("<b>iii</b><br>WW", 10) == pytest.approx(2 * 9.6)


@given(st.lists(st.tuples(st.floats(0, 400), st.floats(10, 60)), max_size=7), st.floats(400, 600))
def test_labels_of_unequal_height_keep_apart_and_inside(labels, high):
    wanted, sizes = [each[0] for each in labels], [each[1] for each in labels]
    found = spread(wanted, sizes, 0, high)
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    edges = [(found[i] - sizes[i] / 2, found[i] + sizes[i] / 2) for i in order]
    for one, other in zip(edges, edges[1:], strict=False):
        assert other[0] >= one[1] - 1e-6
    if edges and sum(sizes) <= high:
        assert edges[0][0] >= -1e-6 and edges[-1][1] <= high + 1e-6


def test_no_shift_of_a_label_makes_the_moves_smaller():
    wanted, sizes = [50.0, 55.0, 60.0, 200.0], [20.0, 40.0, 20.0, 20.0]
    found = spread(wanted, sizes, 0, 400)
    cost = sum((a - b) ** 2 for a, b in zip(found, wanted, strict=True))
    rest = [(one + other) / 2 for one, other in zip(sizes, sizes[1:], strict=False)]
    for first in range(-200, 400):  # all layouts of three that touch, as brute force
        places = [float(first), first + rest[0], first + rest[0] + rest[1]]
        other = sum((a - b) ** 2 for a, b in zip(places, wanted[:3], strict=True))
        assert cost <= other + 1e-6
    assert found[3] == 200.0


@pytest.mark.parametrize(
    "names",
    [
        ("vit-fashion-s0", "vit-fashion-with-adamw-s1"),
        ("gpt2-plays-with-muon-s1", "gpt2-plays-broad-s0"),
        ("a", "b"),
    ],
)
def test_long_names_of_models_do_not_meet_on_a_phone(vit, names):
    narrow, usual = (
        narrowed(barrier_figure([{**vit[0], "models": list(each)}])) for each in (names, ("a", "b"))
    )
    notes = [note for note in narrow.layout.annotations if note.name == "model"]
    assert [note.text.replace("<br>", "") for note in notes] == [f"<b>{name}</b>" for name in names]
    assert all(text_width(note.text) <= NAME for note in notes)
    assert [note.align for note in notes] == ["left", "right"]
    lines = max(note.text.count("<br>") for note in notes)
    assert (lines > 0) == any(text_width(name) > NAME for name in names)
    # what is broken gets its lines' height above the legend
    assert narrow.layout.height - usual.layout.height == 15 * lines
    assert narrow.layout.margin.b - usual.layout.margin.b == 15 * lines


@given(st.text("ab-", max_size=40), st.integers(20, 200))
def test_a_divided_name_is_the_name_in_lines_as_long_as_fit(name, room):
    lines = divided(name, room)
    assert "".join(lines) == name
    for line, following in zip(lines, lines[1:], strict=False):
        assert line.endswith("-")
        assert text_width(line + following.partition("-")[0] + "-") > room or room < 30
    assert all(text_width(line) <= room or "-" not in line[:-1] for line in lines)
