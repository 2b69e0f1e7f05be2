"""The steps on two networks and what lies between them, and on the symmetry of data.

Fields in braces are measured numbers.
"""

from __future__ import annotations

from lmc_core.lecture.controls import choice, pair, slider, switch
from lmc_core.lecture.step import Act, Step
from lmc_core.numbers import percent

LAMBDAS = tuple(round(0.1 * k, 1) for k in range(11))

BETWEEN = (
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
        "the largest excess over the chord between the end losses, measured on all 2,000 images of "
        "the test split; the curve here is that of 100.",
    ),
    Step(
        "classes",
        "Symmetries switched on",
        "Which of the symmetries takes most of the barrier away?",
        (
            Act(
                "No single one: by weights the best leaves {alone} of {plain} nats, all together "
                "{all}.",
                (
                    {"units": "1"},
                    {"heads": "1"},
                    {"residual": "permutation"},
                    {"residual": "orthogonal"},
                    {"planes": "1"},
                ),
            ),
            Act(
                "Learned for {steps} steps by the gradient of the loss half way, {learned} are "
                "left. A low learned barrier shows a path of low loss, not that units were "
                "matched.",
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
"""In their order."""
