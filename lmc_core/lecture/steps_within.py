"""The steps on one network: what can be done to its weights while its function stays.

Fields in braces are measured numbers.
"""

from __future__ import annotations

from lmc_core.lecture.controls import choice, pair, slider, switch
from lmc_core.lecture.measured import ANGLES, SHOWN
from lmc_core.lecture.step import Act, Step

TURNS = tuple(range(0, 181, 10))
STRENGTHS = (1, 1.25, 1.5, 2, 2.5, 3)


def _degrees(angle: float) -> str:
    return f"{angle:g}\u00b0"


WITHIN = (
    Step(
        "units",
        "Two hidden units",
        "Two hidden units change places. What has to follow?",
        (
            Act(
                "Their outgoing weights. Exchange rows of the first matrix and columns of the "
                "second, and no output moves: a sum does not care about the order of its terms.",
                ({"rows": "1", "columns": "1"},),
            ),
            Act(
                "The columns go back, the rows stay: each unit now speaks with the weights of the "
                "other, and outputs change by up to {half}.",
                ({"columns": "0"},),
                "Only the rows",
            ),
        ),
        (
            *pair("Unit", SHOWN, (3, 8)),
            switch(
                "rows", "Exchange the rows", help="What both units listen to, in the first matrix."
            ),
            switch(
                "columns", "Exchange the columns", help="What both units say, in the second matrix."
            ),
        ),
        "A feed-forward layer is a sum over units: each listens through a row of W_in and speaks "
        "through a column of W_out. Let the hall watch both change places, then only the rows. "
        "All numbers were measured on a small Vision Transformer in double precision; any other "
        "two units behave alike.",
    ),
    Step(
        "permutations",
        "A hundred permutations",
        "How far apart can two copies of one function lie?",
        (
            Act(
                "As far as two unrelated networks: new numbers for units, heads and coordinates "
                "alone make 10{orders} networks that compute the same.",
                ({"moves": "100"},),
            ),
            Act(
                "Moved just as far in a random direction, the network is broken. The distance "
                "between weights says nothing about the distance between functions.",
                ({"random": "1"},),
                "Random moves",
            ),
        ),
        (
            slider("moves", "Permutations", tuple(range(10, 101, 10)), 10),
            switch("random", "Random moves as well", help="Of the same lengths, in any direction."),
        ),
        "Each square is the same network with its units, heads and stream coordinates renumbered; "
        "each circle moved just as far in a random direction and is broken. No renumbering ever "
        "hurts. Note the logarithmic axis: the squares lie at the rounding of double precision.",
    ),
    Step(
        "stream",
        "The residual stream",
        "Turn the residual stream. What has to turn with it?",
        (
            Act(
                "All weights that write to it or read from it; the outputs stay. The stream is a "
                "space; its axes are only our convention.",
                ({"angle": "90"},),
            ),
            Act(
                "What reads the stream is turned back, what writes stays turned: the layers no "
                "longer speak of the same axes, and outputs change by up to {half}.",
                ({"follow": "0"},),
                "Turn only what writes",
            ),
        ),
        (
            slider("angle", "Angle", TURNS, 0, _degrees),
            switch(
                "follow",
                "Reading weights follow",
                True,
                "They turn with the weights that write to the stream.",
            ),
        ),
        "Permutations were only the beginning. The stream is added to and read from by matrices, "
        "never coordinate by coordinate, so its basis is free. While it turns, what each "
        "coordinate sees of a patch becomes something else, every weight changes, and the "
        "outputs stay to fifteen digits.",
    ),
    Step(
        "heads",
        "Attention heads",
        "Does it matter which attention head comes first?",
        (
            Act(
                "No. What heads write is summed, so their numbers are names. The maps change "
                "places and the sum stays.",
                ({"exchange": "1"},),
            ),
            Act(
                "Without the output matrix: each of the two writes with the weights of the other, "
                "and outputs change by up to {half}.",
                ({"follow": "0"},),
                "Without the output matrix",
            ),
        ),
        (
            *pair("Head", 4, (1, 4)),
            switch("exchange", "Exchange them"),
            switch(
                "follow",
                "Output matrix follows",
                True,
                "Its columns are moved with their heads.",
                "exchange",
            ),
        ),
        "Let the hall follow the two heads. Below each map stand some of the weights with which "
        "that head writes into the stream; the whole head has to move, its output weights "
        "included. The same holds for the experts later on.",
    ),
    Step(
        "planes",
        "Queries and keys",
        "Stretch the queries of a head. Can its scores stay?",
        (
            Act(
                "Yes, if the keys shrink by as much along the same direction. Attention sees inner "
                "products alone, so any invertible map is allowed.",
                ({"strength": "2.5"},),
            ),
            Act(
                "The keys stay as they were: the scores change by up to {scores}, the outputs by "
                "up to {half}.",
                ({"follow": "0"},),
                "Without the keys",
            ),
        ),
        (
            slider("strength", "Stretch the queries by", STRENGTHS, 1),
            switch(
                "follow",
                "Keys follow",
                True,
                "By the inverse transpose of what the queries go through.",
            ),
        ),
        "The picture shows two coordinates of the plane in which one head compares tokens. The "
        "queries go through M, the keys through its inverse transpose. When the keys stay behind "
        "the scores break. The same holds between values and outputs.",
    ),
    Step(
        "ones",
        "The all-ones direction",
        "May the stream be turned in every direction?",
        (
            Act(
                "In all but one. LayerNorm subtracts the mean, which is the part along "
                "(1, 1, \u2026, 1); a turn that keeps this direction passes through, and the "
                "outputs stay.",
                ({"angle": "60"},),
            ),
            Act(
                "Tilted into that direction: LayerNorm throws the tilted part away, and outputs "
                "change by up to {half}.",
                ({"angle": "0"}, {"turn": "tilts"}, {"angle": "60"}),
                "Tilt it",
            ),
        ),
        (
            choice(
                "turn",
                "What it does to the ones direction",
                {"keeps": "keeps it", "tilts": "tilts it"},
            ),
            slider("angle", "Angle", tuple(int(angle) for angle in ANGLES), 0, _degrees),
        ),
        "LayerNorm projects on the plane orthogonal to the all-ones vector. A turn within that "
        "plane passes through; a turn out of it loses what is tilted up. Rotations that keep the "
        "ones direction are the whole freedom, and the model remains an ordinary LayerNorm model. "
        "RMSNorm would admit every rotation.",
    ),
)
"""In their order."""
