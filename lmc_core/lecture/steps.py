"""The words of the lecture: for each step a question, its answer, and what the speaker may say.
Numbers are filled in live.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One idea.

    Attributes:
        key: short name, used for its picture.
        name: above the question, in the list of steps.
        question: asked before anything is shown.
        answer: shown on demand; fields in braces are measured.
        notes: for the speaker.
    """

    key: str
    name: str
    question: str
    answer: str
    notes: str

    def answered(self, numbers: Mapping[str, str]) -> str:
        """The answer with the measured numbers."""
        return self.answer.format_map(numbers)

    def spoken(self, numbers: Mapping[str, str]) -> str:
        """The notes with the measured numbers."""
        return self.notes.format_map(numbers)


STEPS = (
    Step(
        "units",
        "Two hidden units",
        "Two hidden units change places. What has to follow?",
        "Their outgoing weights. Exchange rows of the first matrix and columns of the second, and "
        "no output moves: a sum does not care about the order of its terms.",
        "A feed-forward layer is a sum over units: each listens through a row of W_in and speaks "
        "through a column of W_out. Exchange the rows alone and let the hall see the outputs move; "
        "then the columns alone; then both. The number is measured on the live network in double "
        "precision.",
    ),
    Step(
        "permutations",
        "A hundred permutations",
        "How far apart can two copies of one function lie?",
        "As far as anything else: new numbers for units, heads and coordinates alone make "
        "10{orders} networks that compute the same.",
        "Each square is the same network with its units, heads and stream coordinates renumbered; "
        "each circle moved just as far in a random direction and is broken. Distance between "
        "weights therefore says nothing about distance between functions. Draw more to show that "
        "no renumbering ever hurts.",
    ),
    Step(
        "stream",
        "The residual stream",
        "Turn the residual stream. What has to turn with it?",
        "All weights that write to it or read from it; the outputs stay. The stream is a space; "
        "its axes are only our convention.",
        "Permutations were only the beginning. The stream is added to and read from by matrices, "
        "never coordinate by coordinate, so its basis is free. Drag the angle slowly: what each "
        "coordinate sees of a patch melts into something else, every weight changes, and the "
        "outputs stay to fifteen digits.",
    ),
    Step(
        "heads",
        "Attention heads",
        "Does it matter which attention head comes first?",
        "No. What heads write is summed, so their numbers are names. The maps change places and "
        "the sum stays.",
        "Exchange two heads and let the hall find them again. If the output matrix does not "
        "follow, each head speaks through the mouth of another, and the outputs are far off.",
    ),
    Step(
        "planes",
        "Queries and keys",
        "Stretch the queries of a head. Can its scores stay?",
        "Yes, if the keys shrink by as much along the same direction. Attention sees inner "
        "products alone, so any invertible map is allowed.",
        "The picture shows two coordinates of the plane in which one head compares tokens. The "
        "queries go through M, the keys through its inverse transpose. Let the keys stay behind "
        "once: the scores break. The same holds between values and outputs.",
    ),
    Step(
        "ones",
        "The all-ones direction",
        "May the stream be turned in every direction?",
        "In all but one. LayerNorm subtracts the mean, which is the part along (1, 1, \u2026, 1): "
        "whatever is turned into that direction is thrown away.",
        "LayerNorm projects on the plane orthogonal to the all-ones vector. A turn within that "
        "plane passes through; a turn out of it loses what is tilted up. Rotations that keep the "
        "ones direction are the whole freedom, and the model remains an ordinary LayerNorm model. "
        "RMSNorm would admit every rotation.",
    ),
    Step(
        "average",
        "The average",
        "Two networks know clothing. Does their average?",
        "No: half way only {accuracy} are right. The straight line between the networks climbs a "
        "loss barrier of {barrier} nats.",
        "Two networks of one architecture, trained on the same data from different seeds, each "
        "right on nine of ten images. Move along the line and watch the answers. The barrier is "
        "the largest excess over the chord between the end losses.",
    ),
    Step(
        "classes",
        "Symmetries switched on",
        "Which of the symmetries takes most of the barrier away?",
        "By weights no single one: the best of them alone leaves {alone} of {plain} nats, all "
        "together leave {all}. Learned, {learned} are left.",
        "Switch on one class at a time, then try another order: without a common basis of the "
        "stream the rest finds little. Then learn with the rotated stream alone: {turned} nats. "
        "The gradient shapes what lies half way, so a low learned barrier does not say that units "
        "were matched. Test split, learned on the training split.",
    ),
    Step(
        "experts",
        "Experts",
        "Two experts change places. What has to follow?",
        "Their rows of the router. Between two mixtures the barrier falls from {plain} to {weight} "
        "nats by weights and to {learned} learned.",
        "A router sends each character to experts; colours say which expert serves it. Exchange "
        "two experts and leave the router's rows behind: each character is served by the wrong "
        "one. Experts are one more space whose order is a name.",
    ),
    Step(
        "remains",
        "What is left",
        "How much of the distance between two trainings was real?",
        "Of the plain barrier {low} to {high} are left after learning. Most of what parts two "
        "trainings is a choice of coordinates.",
        "One line for each family, averaged over all pairs. Images are nearly done; text of this "
        "width keeps a rest, mixtures most. What is left is a bound from above: a better search "
        "may lower it, nothing here can raise it. If two networks share a basin, their weights can "
        "be averaged, compared and merged.",
    ),
    Step(
        "data",
        "The symmetry of the data",
        "Average a network with its turned copies. What is left?",
        "Only what it was trained for. Trained freely it keeps {free} of right answers; led to "
        "symmetry by a constraint, {led}. That average is the projection on equivariant weights.",
        "So far the function stayed. Data has symmetries of its own: a digit in another position "
        "is the same digit, so the loss stays. Move the slider: averaged wholly, any network says "
        "the same of all positions, and the free one says nonsense. The page Equivariance trains "
        "them while one watches.",
    ),
)
BY_KEY = {step.key: step for step in STEPS}
