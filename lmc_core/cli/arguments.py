"""What can be typed after each command of `lmc`, as data; the standard library alone."""

from __future__ import annotations

from pathlib import Path

from lmc_core.cli.options import (
    DATA,
    DEVICE,
    EXAMPLES,
    LEARN,
    MODEL,
    PAIR,
    PERMISSIONS,
    RUN,
    THROUGH,
    argument,
    change,
    count,
    decimal,
    file,
    json,
    method,
    places,
    seed,
    settings,
    switch,
    whole,
)

STAND_INS = ("mean", "first")  # of a common ancestor
READ_ONLY = (
    "open the app for an audience: it shows what is stored, starts nothing and changes nothing"
)
HOST = (
    "also answer browsers that see the app at this address: NAME, NAME:PORT or "
    "https://NAME[:PORT], such as that of a proxy "
    "(which must pass on the header Host) or 127.0.0.1:9000 at the near end of a tunnel; "
    "repeatable, also LMC_HOSTS=NAME,NAME. "
    "All others are refused, so that no foreign page can reach it"
)
ADDRESS = (
    "where to listen: a number or a name of this machine, 0.0.0.0 for all of its networks "
    "(default: 127.0.0.1, or LMC_ADDRESS). Where other machines reach it the app asks for a "
    "token: that of --token-file or LMC_TOKEN, else one that is made and printed with the address"
)
BASE_PATH = (
    "path below which the pages lie, such as /lmc, as a proxy passes it on (default: none, or "
    "LMC_BASE_PATH)"
)
TOKEN_FILE = "file with the token to ask for, of 16 characters or more (also LMC_TOKEN_FILE)"
NO_TOKEN = "ask for no token; with --read-only alone (also LMC_NO_TOKEN=1)"
PAGE = "write the figure as a page that needs nothing else"
CPU = argument("--device", default="cpu", help="cpu, cuda or mps (default: cpu)")
# argument of `make_equivariance_request` -> its type and help
NETWORK: dict[str, tuple[type, str]] = {
    "source": (str, "digits or fashion (default: digits)"),
    "kind": (str, "of the data: symmetric, orbit, partly, upright or broken (default: orbit)"),
    "group": (str, "C4, D4, mirror, S3 or S4 (default: C4)"),
    "network": (str, "perceptron, convolution or transformer (default: perceptron)"),
    "form": (str, "of the constraint: free, strict, equality or resilient (default: equality)"),
    "primal_rate": (float, "of gamma (default: 0.02)"),
    "dual_rate": (float, "of the multiplier (default: 0.02)"),
    "augmented": (float, "c of the equality form; 0 lets gamma ring (default: 2)"),
    "price": (float, "rho of the resilient form (default: 0.1)"),
    "steps": (int, "of training (default: the network's own)"),
    "rate": (float, "learning rate of the weights (default: the network's own)"),
    "decay": (float, "of the weights (default: the network's own)"),
    "batch": (int, "examples a step, 0 for all (default: the network's own)"),
    "examples": (int, "to train on, before they are moved (default: 400)"),
    "split": (str, "that losses are measured on, validation or test (default: validation)"),
    "seed": (int, "of data, start and batches (default: 0)"),
    "device": (str, "cpu, cuda or mps (default: cpu, which is faster for networks this small)"),
}
KEPT = 8  # checkpoints, where nothing else is said


def kept_steps(text: str) -> int | tuple[int, ...]:
    """How many checkpoints, or with commas between them, at which steps."""
    if "," not in text:
        return whole(text)
    return tuple(whole(part.strip()) for part in text.split(",") if part.strip())


KINDS = {int: ("N", whole), float: ("X", decimal), str: ("NAME", str)}

APP = (
    argument(
        "--port", type=whole, help="port to listen on; the first free one from 8501 when left out"
    ),
    argument("--address", metavar="ADDRESS", help=ADDRESS),
    argument("--base-path", metavar="PATH", help=BASE_PATH),
    file("--token-file", TOKEN_FILE),
    switch("--no-token", NO_TOKEN),
    switch("--no-browser", "print the address only"),
    switch("--read-only", READ_ONLY),
    argument("--allow-host", action="append", default=[], metavar="NAME", help=HOST),
    argument(
        "--executor",
        metavar="NAME[:SETTING=VALUE,...]",
        help="who computes what the app asks for: local, slurm or ray, with settings as in "
        "`lmc barrier --help` (default: LMC_EXECUTOR, else local)",
    ),
)
MODELS = (
    switch("--public", "list public families of independently trained models", alone=True),
    switch("--families", "list the families that are supported, with their classes", alone=True),
    json("print a list of objects"),
)
METHODS = (json("print a list of objects"),)
SHOW = (argument("model", metavar="MODEL", help=MODEL), *PERMISSIONS, json("print one object"))
DIFF = (
    argument("a", metavar="A", help=MODEL),
    argument("b", metavar="B", help="the other model; named like A"),
    *PERMISSIONS,
    argument(
        "--ranks",
        type=whole,
        default=1024,
        metavar="N",
        help="shorter side of the matrices whose effective rank is found, which takes longest; 0 "
        "for none (default: 1024)",
    ),
    switch("--tensors", "list every tensor, not layers"),
    json("print one object"),
)
ALIGN = (
    *PAIR,
    argument(
        "more",
        metavar="C",
        nargs="*",
        help="more models, for the methods reference and universe; named like A",
    ),
    *method(None, "weight for two models, universe for more", none=False),
    THROUGH,
    argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder to write: B, with A in DIR/reference; of more models a folder for each, with "
        "their mean in DIR/merged",
    ),
    switch("--force", "replace DIR if it is not empty"),
    argument(
        "--dtype",
        metavar="TYPE",
        help="of the weights that are written: float32, bfloat16 or float16 (default: as they "
        "were)",
    ),
    seed("of the draw of examples and of learning"),
    argument(
        "--device",
        help="cpu, cuda or mps, for methods that use data (default: LMC_DEVICE, else cuda if there "
        "is one, else cpu)",
    ),
    json("print the report as one object"),
)
BEND = (
    argument(
        "--bend",
        type=whole,
        nargs="?",
        const=300,
        default=0,
        metavar="STEPS",
        help="along a quadratic curve between the aligned models in place of the straight line, "
        "whose bend is trained for that many steps (300)",
    ),
    argument(
        "--bend-seconds", type=decimal, metavar="SECONDS", help="in place of the steps of --bend"
    ),
)
BARRIER = (
    *PAIR,
    *method("weight", "weight"),
    THROUGH,
    *EXAMPLES,
    count("--points", "of the grid, ends included", 25),
    count("--refine", "more points around the maximum", 4),
    seed("of the draw of examples, of masked positions and of learning"),
    switch("--temperature", "also at the softmax temperature that fits training examples best"),
    switch("--repair", "renormalise in between; for networks without norms"),
    switch("--reroute", "fit the routers in between to the routing of the ends; for mixtures"),
    *BEND,
    argument(
        "--stderr",
        type=decimal,
        metavar="NATS",
        help="take examples, at most --examples, until the standard error of the barrier is that",
    ),
    argument(
        "--precision",
        default="float32",
        metavar="TYPE",
        help="of the evaluation: float32, or bfloat16, which is faster and off by 1e-3 to 4e-3 "
        "nats (default: float32)",
    ),
    switch("--compile", "compile the network first, for many examples; takes up to a minute"),
    DEVICE,
    *RUN,
    json("print one object"),
    file("--csv", "write the curve as a table"),
    file("--html", PAGE),
)
ALONG = (
    *PAIR,
    *method("weight", "weight"),
    *EXAMPLES,
    argument(
        "--quantities",
        metavar="NAME,...",
        help="sharpness, spectra, calibration, other-task (default: all, other-task where one is "
        "named)",
    ),
    argument(
        "--other-task",
        metavar="TASK",
        help="measure the loss on that task too; one of the same alphabet, or as many classes",
    ),
    count("--points", "evenly spaced, ends included (default: 5, of calibration and tasks 11)"),
    argument(
        "--at",
        type=places,
        default=(),
        metavar="X,...",
        help="points in place of these, such as 0.25,0.5, besides both ends",
    ),
    count(
        "--curvature-examples",
        "examples that sharpness is measured on (default: 16 windows or 128 images)",
    ),
    count("--probes", "random vectors for the trace of the Hessian", 8),
    *BEND,
    seed("of the draw of examples, of learning, and of random vectors"),
    DEVICE,
    *RUN,
    json("print a list of objects, one for every quantity and setting"),
    file("--csv", "write the points as tables"),
    file("--html", "write the figures as a page that needs nothing else"),
)
GROUP = (
    argument("models", metavar="MODEL", nargs="+", help=f"two to eight; {MODEL}"),
    *DATA,
    *method("universe", "universe"),
    *EXAMPLES,
    count("--resolution", "of the grid on the simplex", 6),
    seed("of the draw of examples and of learning"),
    DEVICE,
    *RUN,
    json("print one object"),
)
EQUIVARIANCE = (
    *(
        argument(
            f"--{name.replace('_', '-')}", metavar=KINDS[kind][0], type=KINDS[kind][1], help=words
        )
        for name, (kind, words) in NETWORK.items()
    ),
    *RUN,
    json("print one object, with every recorded step"),
    file("--html", PAGE),
    file("--out", "write the trained network's weights as safetensors"),
)
PLANE = (
    argument(
        "models", metavar="MODEL", nargs="+", help=f"one (random directions), two or three; {MODEL}"
    ),
    *DATA,
    *method("weight", "weight"),
    switch("--random", "filter-normalised random directions around one model"),
    switch(
        "--bend", "the plane of a curve between two models whose bend is trained, not of aligned B"
    ),
    switch("--curves", "also train curves, and compare them with the straight lines"),
    count("--steps", "that train a bend", 300),
    argument(
        "--span",
        type=decimal,
        default=1.0,
        metavar="X",
        help="of random directions, in norms (default: 1)",
    ),
    *EXAMPLES,
    count("--resolution", "points along a side", 25),
    seed("of directions, of the draw of examples, of learning"),
    DEVICE,
    *RUN,
    json("print one object"),
    file("--csv", "write every point as a table"),
    file("--html", "write the map as a page that needs nothing else"),
)
MERGE = (
    argument(
        "models", metavar="MODEL", nargs="+", help=f"two to eight of one family and size; {MODEL}"
    ),
    *DATA,
    argument(
        "--method",
        dest="methods",
        action="append",
        metavar="NAME",
        help="how to merge: average, weighted, slerp, task-arithmetic, ties, dare, soup or "
        "ensemble; repeatable (default: all)",
    ),
    argument(
        "--frame",
        dest="frames",
        action="append",
        metavar="NAME",
        help="how they are brought together first: none, reference (onto one model), universe "
        "(onto the mean of the others, by "
        "weights) or learned (a universe refined on training examples); repeatable (default: none "
        "and universe)",
    ),
    settings(
        "a setting of the methods that have it, such as density=0.2, or of one, such as "
        "ties.density=0.2; repeatable"
    ),
    argument(
        "--weights",
        type=decimal,
        nargs="+",
        metavar="W",
        help="one for each model, 0 or more (default: equal)",
    ),
    argument(
        "--base",
        default="mean",
        metavar="MODEL",
        help="the common ancestor that task arithmetic, TIES and DARE assume; without one, mean "
        "(of the models) or first "
        "stands in for it (default: mean)",
    ),
    argument(
        "--onto",
        type=whole,
        default=0,
        metavar="N",
        help="for the frame reference: the model that stays, the first is 1 (default: 0, the one "
        "that matches best)",
    ),
    count("--steps", "of learning, for the frame learned (default: 300)"),
    LEARN,
    *EXAMPLES,
    count("--points", "inside of each line between two", 3),
    count("--resolution", "of the grid on the simplex", 6),
    seed("of the draw of examples and of learning"),
    DEVICE,
    *RUN,
    file("--out", "folder to write the merged model to, with one --method and one --frame", "DIR"),
    argument(
        "--dtype",
        metavar="TYPE",
        help="of the weights that --out writes: float32, bfloat16 or float16 (default: as those "
        "of the first model)",
    ),
    json("print a list of results, or with --out one object"),
)
TRANSPORT = (
    argument("base", metavar="BASE", help=MODEL),
    argument(
        "finetuned",
        metavar="FINETUNED",
        help="what came of BASE by fine-tuning: a model, or the folder of a LoRA adapter",
    ),
    argument("target", metavar="TARGET", help="the model that the fine-tuning is carried to"),
    argument(
        "--tuned", metavar="MODEL", help="TARGET fine-tuned itself, to measure beside the result"
    ),
    argument(
        "--share",
        type=decimal,
        default=0.5,
        metavar="X",
        help="of the moved difference that is added to TARGET and written (default: 0.5)",
    ),
    argument(
        "--shares",
        type=places,
        default=(),
        metavar="X,...",
        help="that are measured beside it, moved and unmoved (default: 0,0.1,0.2,0.3,0.5,0.75,1)",
    ),
    *DATA,
    argument(
        "--on",
        metavar="TASK",
        help="what BASE and TARGET are aligned on (default: the task that both were trained on, or "
        "the fine-tuning's where these are two)",
    ),
    *method("weight", "weight", none=False),
    *EXAMPLES,
    seed("of the draw of examples and of learning"),
    DEVICE,
    *RUN,
    argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder to write the result to"
    ),
    argument(
        "--dtype",
        metavar="TYPE",
        help="of the weights that are written: float32, bfloat16 or float16 (default: as they "
        "were)",
    ),
    json("print the report as one object"),
)
SWEEP = (
    argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="a sweep file (see docs/sweeps.md), or with --only-stored the name of a sweep that "
        "was run",
    ),
    switch("--dry-run", "list the cells with expected time and memory; compute and fetch nothing"),
    switch("--only-stored", "show what is stored; compute nothing"),
    argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="only this set of models, or this method beside the plain average, of the file; "
        "repeatable",
    ),
    argument(
        "--with",
        dest="changes",
        type=change,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="in place of an entry of the file, such as examples=500 or "
        "methods.learned.steps=300; repeatable",
    ),
    argument(
        "--table",
        choices=("results", "cells"),
        default="results",
        help="print means over pairs, or every cell (default: results)",
    ),
    switch("--interval", "half a 95 %% interval behind the ± in place of a standard error"),
    switch("--list", "list the sweeps that were run"),
    *RUN,
    json("print one object"),
    file("--csv", "write every number of the table"),
    file("--cells", "write every cell as a table"),
    file("--latex", "write the table for a paper (booktabs)"),
    file("--markdown", "write the table in Markdown"),
    file("--figure", "write the matrices of barriers, as .svg, .pdf, .png or .html"),
)
LECTURE = (
    file("--html", "write the whole lecture as one page that opens without a network"),
    json("print the slides as an object"),
)
RESULTS = (
    json("print a list of objects"),
    argument(
        "--delete", metavar="KEY", help="delete one result; the first digits of its key are enough"
    ),
)
REPORT = (
    argument("study", nargs="?", metavar="STUDY", help="name or title of a study; see --list"),
    file("--html", "write one page that opens offline, figures interactive"),
    file("--folder", "write SVG, PDF, PNG, CSV and captions into a new folder", "DIR"),
    file("--archive", "write an archive that another installation imports"),
    argument(
        "--theme", choices=("light", "dark"), default="light", help="of the page (default: light)"
    ),
    argument(
        "--add",
        nargs="+",
        default=[],
        metavar="KEY",
        help="first put these results on one axis into the study, which is begun if it is not "
        "there; see `lmc results`",
    ),
    argument("--note", default="", metavar="TEXT", help="of what --add puts in"),
    argument(
        "--import",
        dest="source",
        type=Path,
        metavar="FILE",
        help="take in an archive, every hash checked",
    ),
    switch("--list", "list the studies"),
    json("print JSON"),
)
TRAIN = (
    argument("name", nargs="?", metavar="NAME", help="of the recipe; see --list"),
    argument(
        "--from",
        dest="start",
        metavar="MODEL",
        help=f"in place of a recipe, fine-tune this one on --task; {MODEL}",
    ),
    argument("--task", metavar="NAME", help="shipped task that --from is fine-tuned on"),
    argument("--rate", type=decimal, metavar="X", help="peak rate of --from (default: 0.001)"),
    switch("--all", "train every model of the zoo"),
    switch("--list", "list the recipes"),
    file("--out", "folder of the checkpoint (in a checkout: assets/zoo/NAME)", "DIR"),
    switch("--subset", "train images on the shipped subset alone"),
    CPU,
    count("--steps", "optimiser steps, in place of the recipe's"),
    argument("--seed", type=whole, help="in place of the recipe's"),
    count("--threads", "of the processor (default: all cores)"),
    argument(
        "--keep-checkpoints",
        dest="keep",
        type=kept_steps,
        nargs="?",
        const=KEPT,
        metavar="N",
        help="keep checkpoints of the run in DIR/checkpoints, a folder each: how many (8: the "
        "initialisation, and evenly in the logarithm from 1 %% of the run), or the steps with "
        "commas, such as 0,100,1000",
    ),
)
WORKER = (
    CPU,
    argument(
        "--idle",
        type=decimal,
        default=600.0,
        metavar="SECONDS",
        help="end after so long without a job",
    ),
)
