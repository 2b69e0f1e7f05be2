"""The words of the lecture and what each step performs: a question, its answer, mostly a
counterexample, and what the speaker may say. Fields in braces are measured numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lmc_core.lecture.controls import Control, Setting, choice, pair, slider, switch
from lmc_core.lecture.measured import ANGLES, SHOWN
from lmc_core.numbers import percent

LAMBDAS = tuple(round(0.1 * k, 1) for k in range(11))
TURNS = tuple(range(0, 181, 10))
STRENGTHS = (1, 1.25, 1.5, 2, 2.5, 3)


def _degrees(angle: float) -> str:
    return f"{angle:g}\u00b0"


@dataclass(frozen=True)
class Act:
    """What one press of *next* performs.

    Attributes:
        words: what is said of it; fields in braces are measured.
        beats: settings that follow each other, each of some controls.
        name: on the button that performs it.
    """

    words: str
    beats: tuple[Setting, ...]
    name: str = "Show the answer"

    def said(self, numbers: Mapping[str, str]) -> str:
        """The words with the measured numbers."""
        return self.words.format_map(numbers)


@dataclass(frozen=True)
class Step:
    """One idea.

    Attributes:
        key: short name, used for its picture.
        name: above the question, in the list of steps.
        question: asked before anything is shown.
        acts: the answer, and mostly a counterexample.
        controls: what can be set by hand.
        notes: for the speaker.
    """

    key: str
    name: str
    question: str
    acts: tuple[Act, ...]
    controls: tuple[Control, ...]
    notes: str

    def spoken(self, numbers: Mapping[str, str]) -> str:
        """The notes with the measured numbers."""
        return self.notes.format_map(numbers)

    def setting(self, place: int) -> dict[str, str]:
        """What all controls are at a place: 0 is the question, 1 the answer, 2 what follows it."""
        found = {control.name: control.start for control in self.controls}
        for act in self.acts[:place]:
            for beat in act.beats:
                found.update(beat)
        return found


STEPS = (
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
    Step(
        "average",
        "The average",
        "Two networks know clothing. Does their average?",
        (
            Act(
                "No: half way only {accuracy} are right. The straight line between the networks "
                "climbs a loss barrier of {barrier} nats.",
                ({"lam": "0.5"},),
            ),
            Act(
                "Further on the answers come back: network B, of another seed, is right on "
                "{end}. Both ends know clothing; what lies between them does not.",
                ({"lam": "1.0"},),
                "Walk on",
            ),
        ),
        (slider("lam", "Weight of network B", LAMBDAS, 0.0),),
        "Two networks of one architecture, trained on the same data from different seeds, each "
        "right on nine of ten images. Watch the answers while the line is walked. The barrier is "
        "the largest excess over the chord between the end losses, measured on 1,000 images of "
        "the test split; the curve here is that of 100.",
    ),
    Step(
        "classes",
        "Symmetries switched on",
        "Which of the symmetries takes most of the barrier away?",
        (
            Act(
                "By weights no single one: the best of them alone leaves {alone} of {plain} nats, "
                "all together leave {all}.",
                (
                    {"units": "1"},
                    {"heads": "1"},
                    {"residual": "permutation"},
                    {"residual": "orthogonal"},
                    {"planes": "1"},
                ),
            ),
            Act(
                "Learned by the gradient of the loss half way, {learned} are left. A low learned "
                "barrier shows a path of low loss, not that units were matched.",
                ({"learned": "1"},),
                "Learn",
            ),
        ),
        (
            switch("units", "Units"),
            switch("heads", "Heads"),
            choice(
                "residual",
                "Residual stream",
                {"none": "fixed", "permutation": "permuted", "orthogonal": "rotated"},
            ),
            switch("planes", "Planes inside heads", help="Queries with keys, values with outputs."),
            switch(
                "learned", "Learned", help="The maps go on by the gradient of the loss half way."
            ),
        ),
        "One class after the other is switched on; then try another order: without a common basis "
        "of the stream the rest finds little. Learned with the rotated stream alone, {turned} nats "
        "are left. The gradient shapes what lies half way, so a low learned barrier does not say "
        "that units were matched. Test split, learned on the training split.",
    ),
    Step(
        "experts",
        "Experts",
        "Two experts change places. What has to follow?",
        (
            Act(
                "Their rows of the router. Between two mixtures the barrier falls from {plain} to "
                "{weight} nats by weights and to {learned} learned.",
                ({"exchange": "1", "follow": "1"},),
            ),
            Act(
                "The rows of the router go back: each character is served by the wrong expert, and "
                "outputs change by up to {half}.",
                ({"follow": "0"},),
                "Without the router",
            ),
        ),
        (
            *pair("Place", 4, (1, 3)),
            switch("exchange", "Exchange the experts"),
            switch("follow", "Router's rows follow", False, needs="exchange"),
        ),
        "A router sends each character to experts; colours say which expert serves it. With its "
        "rows of the router an expert may stand anywhere. Without them each character is served "
        "by the wrong one. Experts are one more space whose order is a name.",
    ),
    Step(
        "remains",
        "What is left",
        "How much of the distance between two trainings was real?",
        (
            Act(
                "Of the plain barrier {low} to {high} are left after learning. Most of what parts "
                "two trainings is a choice of coordinates.",
                (),
            ),
        ),
        (choice("as", "Barrier", {"share": "of plain", "nats": "nats"}),),
        "One line for each family, averaged over all pairs. Images are nearly done; text of this "
        "width keeps a rest, mixtures most. What is left is a bound from above: a better search "
        "may lower it, nothing here can raise it. If two networks share a basin, their weights can "
        "be averaged, compared and merged.",
    ),
    Step(
        "data",
        "The symmetry of the data",
        "Average a network with its turned copies. What is left?",
        (
            Act(
                "Only what it was trained for. Trained freely, the average of all copies says the "
                "same of every position and is right on {free}.",
                ({"share": "1.0"},),
            ),
            Act(
                "Led to symmetry by a constraint during training, it is right on {led}. That "
                "average is the projection on equivariant weights.",
                ({"share": "0.0"}, {"trained": "led"}, {"share": "1.0"}),
                "Led to symmetry",
            ),
        ),
        (
            choice("trained", "Trained", {"free": "freely", "led": "led to symmetry"}),
            slider(
                "share", "How far it is averaged", LAMBDAS, 0.0, lambda value: percent(value, 0)
            ),
        ),
        "So far the function stayed. Data has symmetries of its own: a digit in another position "
        "is the same digit, so the loss stays. Averaged wholly, any network says the same of all "
        "positions, and the free one is wrong. The page Equivariance of the app trains such "
        "networks while one watches.",
    ),
)
BY_KEY = {step.key: step for step in STEPS}
