"""Try every class of every family as its own library writes it, and write docs/compatibility.md.

python scripts/compatibility.py                  # everything, a few minutes
python scripts/compatibility.py --family llama   # print the rows of one family
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lmc_core.errors import LmcError
from lmc_core.matching.aligned import canonical
from lmc_core.models.common import in_float32
from lmc_core.models.config import Config
from lmc_core.models.families import FAMILIES
from lmc_core.models.family import Family
from lmc_core.models.files.refusals import REASONS
from lmc_core.models.forward import random_inputs
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.check import relative_difference
from lmc_core.symmetry.spaces import choose_classes

if __package__ in (None, ""):  # run as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from scripts.compatibility_cases import CASES  # noqa: E402

TARGET = Path(__file__).resolve().parent.parent / "docs" / "compatibility.md"
LIMIT = 2e-5  # relative, in float32
BEGINNINGS = ("vit_", "deit", "eva_large", "flexivit")  # of timm's names
PACKAGES = ("torch", "transformers", "timm", "safetensors")

# Classes of transformers that people's checkpoints most often are of, by what they are for: the
# list that is counted.
ASKED: dict[str, tuple[str, ...]] = {
    "encoders": (
        *("BertModel", "BertForMaskedLM", "BertForPreTraining", "BertForSequenceClassification"),
        *(
            "BertForTokenClassification",
            "BertForQuestionAnswering",
            "RobertaModel",
            "RobertaForMaskedLM",
        ),
        *("RobertaForSequenceClassification", "XLMRobertaModel", "XLMRobertaForMaskedLM"),
        *("XLMRobertaForSequenceClassification", "CamembertForMaskedLM", "DistilBertModel"),
        *("DistilBertForMaskedLM", "DistilBertForSequenceClassification", "ElectraForPreTraining"),
        *("ElectraForMaskedLM", "ElectraForSequenceClassification", "AlbertForMaskedLM"),
        *("AlbertForSequenceClassification", "ModernBertForMaskedLM"),
        *("ModernBertForSequenceClassification", "MPNetModel", "DebertaV2Model"),
        "DebertaV2ForSequenceClassification",
    ),
    "decoders": (
        *("GPT2Model", "GPT2LMHeadModel", "GPT2ForSequenceClassification", "GPTNeoForCausalLM"),
        *(
            "GPTNeoXForCausalLM",
            "GPTJForCausalLM",
            "GPTBigCodeForCausalLM",
            "OPTModel",
            "OPTForCausalLM",
        ),
        *(
            "BloomForCausalLM",
            "FalconForCausalLM",
            "MptForCausalLM",
            "LlamaModel",
            "LlamaForCausalLM",
        ),
        *("LlamaForSequenceClassification", "LlamaForTokenClassification", "MistralForCausalLM"),
        *("MistralForSequenceClassification", "Qwen2Model", "Qwen2ForCausalLM"),
        *(
            "Qwen2ForSequenceClassification",
            "Qwen3ForCausalLM",
            "GemmaForCausalLM",
            "Gemma2ForCausalLM",
        ),
        *(
            "Gemma3ForCausalLM",
            "PhiForCausalLM",
            "Phi3ForCausalLM",
            "OlmoForCausalLM",
            "Olmo2ForCausalLM",
        ),
        *("Olmo3ForCausalLM", "SmolLM3ForCausalLM", "GraniteForCausalLM", "Starcoder2ForCausalLM"),
        *("StableLmForCausalLM", "CohereForCausalLM", "NemotronForCausalLM", "Glm4ForCausalLM"),
        *("Exaone4ForCausalLM", "MambaForCausalLM"),
    ),
    "mixtures of experts": (
        *("MixtralForCausalLM", "Qwen2MoeForCausalLM", "Qwen3MoeForCausalLM", "OlmoeForCausalLM"),
        *("DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM", "GptOssForCausalLM"),
    ),
    "encoders with decoders": (
        *("T5ForConditionalGeneration", "T5EncoderModel", "MT5ForConditionalGeneration"),
        *("BartForConditionalGeneration", "WhisperForConditionalGeneration"),
    ),
    "images": (
        *("ViTModel", "ViTForImageClassification", "DeiTForImageClassification", "Dinov2Model"),
        *("Dinov2ForImageClassification", "DINOv3ViTModel", "BeitForImageClassification"),
        *("ViTMAEForPreTraining", "CLIPModel", "CLIPTextModel", "CLIPVisionModel", "SiglipModel"),
        "SwinForImageClassification",
    ),
}


@dataclass(frozen=True)
class Tried:
    """What came of one class.

    Attributes:
        family: here.
        cls: name of the class of transformers.
        read: largest relative difference between its own outputs and those of the model as read
            here.
        moved: the same after the canonical rewrite and a random element of every class, in this
            process.
        reopened: the same of what was written, read by the class itself in a fresh process.
        reason: why it failed; "" if it did not.
    """

    family: str
    cls: str
    read: float = float("nan")
    moved: float = float("nan")
    reopened: float = float("nan")
    reason: str = ""

    @property
    def good(self) -> bool:
        """Whether all three are at the level of rounding."""
        return not self.reason and max(self.read, self.moved, self.reopened) < LIMIT

    @property
    def row(self) -> str:
        """A line of the table."""
        numbers = " | ".join(f"{value:.0e}" for value in (self.read, self.moved, self.reopened))
        return (
            f"| {self.family} | {self.cls} | {numbers} | "
            f"{'works' if self.good else self.reason or 'differs'} |"
        )


def raw_configuration(family: Family, cls: str) -> Config:
    """A small configuration of a class, as a `config.json` has it: the first example of that class,
    or of the family.
    """
    examples = [Config(raw) for raw in family.examples.values()]
    own = [raw for raw in examples if raw.class_name() == cls]
    if own:
        return own[0]
    labels = {
        "num_labels": 2 if cls.endswith(("ForQuestionAnswering", "ForPreTraining")) else 3,
        "pad_token_id": 0,
    }
    further: dict[str, Any] = {}
    if (
        cls.endswith(("CausalLM", "LMHeadModel"))
        and family.predicts(family.config(examples[0])) != "next"
    ):
        further["is_decoder"] = True  # an encoder's class for it
    return Config(examples[0] | labels | {"architectures": [cls]} | further)


def written_by_transformers(family: Family, cls: str, folder: Path) -> nn.Module:
    """A module of the class at random parameters, saved as transformers saves it."""
    import transformers

    raw = raw_configuration(family, cls)
    if "decoder_start_token_id" in family.config(raw):
        raw["decoder_start_token_id"] = 0  # which these classes have no default of
    kind = str(raw.pop("model_type"))
    config = transformers.AutoConfig.for_model(kind, **raw)
    torch.manual_seed(0)
    module = getattr(transformers, cls)(config).eval().requires_grad_(False)
    for parameter in module.parameters():
        parameter.add_(0.2 * torch.randn_like(parameter))
    module.save_pretrained(folder)
    return module


def moved(model: Model) -> Model:
    """The model in another gauge: rewritten, and moved by a random element of every class."""
    classes = choose_classes(model.layout.spaces)
    form = canonical(model, classes)
    element = Alignment.random(form.layout.spaces, classes, torch.Generator().manual_seed(0))
    return in_float32(form.with_state(element.apply(form.layout, form.state)))


def try_class(family: Family, cls: str, folder: Path) -> Tried:
    """Read, move and write one class; what a fresh process makes of it comes later."""
    try:
        own = written_by_transformers(family, cls, folder / "own")
        model = load_folder(folder / "own")
        inputs = random_inputs(model)
        expected = family.outputs(own, inputs)
        read = relative_difference(expected, family.outputs(model.module(), inputs))
        other = moved(model)
        error = relative_difference(expected, family.outputs(other.module(), inputs))
        other.save(folder / "moved")
        torch.save({"inputs": inputs, "expected": expected}, folder / "expected.pt")
        (folder / "class.json").write_text(json.dumps({"family": family.name, "class": cls}))
    except (LmcError, ValueError, TypeError, AttributeError, RuntimeError, KeyError) as error:
        return Tried(
            family.name, cls, reason=" ".join(str(error).split())[:200] or type(error).__name__
        )
    return Tried(family.name, cls, read, error)


def reopen(folder: Path) -> None:
    """In a fresh process: open what was written with the class itself, and print the differences as
    JSON.
    """
    import transformers

    found = {}
    for place in sorted(path.parent for path in folder.glob("*/class.json")):
        said = json.loads((place / "class.json").read_text())
        saved: dict[str, Tensor] = torch.load(place / "expected.pt")
        module, report = getattr(transformers, said["class"]).from_pretrained(
            place / "moved", output_loading_info=True
        )
        outputs = FAMILIES[said["family"]].outputs(
            module.eval().requires_grad_(False), saved["inputs"]
        )
        whole = not any(report.values())
        found[place.name] = (
            relative_difference(saved["expected"], outputs) if whole else float("inf")
        )
    print(json.dumps(found))


def try_classes(pairs: list[tuple[Family, str]], folder: Path) -> list[Tried]:
    """Try classes, and reopen all that was written in one fresh process."""
    first = [
        try_class(family, cls, folder / f"{number:03d}")
        for number, (family, cls) in enumerate(pairs)
    ]
    command = [sys.executable, __file__, "--reopen", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    errors = json.loads(done.stdout.strip().splitlines()[-1])
    return [
        Tried(
            one.family,
            one.cls,
            one.read,
            one.moved,
            errors.get(f"{number:03d}", float("nan")),
            one.reason,
        )
        for number, one in enumerate(first)
    ]


def classes_of(family: Family) -> Iterator[str]:
    """Names of the classes that the installed transformers has."""
    import transformers

    yield from (cls for cls in family.classes if hasattr(transformers, cls))


def refusals(known: set[str], folder: Path) -> dict[str, str]:
    """Kinds of models of transformers that no family here takes -> the sentence that a folder of
    that kind gets.
    """
    from safetensors.torch import save_file
    from transformers.models.auto import modeling_auto as auto

    tables = (
        auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
        auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
    )
    found = {}
    for kind, cls in sorted({kind: cls for table in tables for kind, cls in table.items()}.items()):
        if kind in known:
            continue
        place = folder / kind
        place.mkdir()
        classes = [cls] if isinstance(cls, str) else list(cls)
        (place / "config.json").write_text(
            json.dumps({"model_type": kind, "architectures": classes})
        )
        save_file({"embed.weight": torch.zeros(2, 2)}, place / "model.safetensors")
        try:
            load_folder(place)
            found[kind] = "was read"  # which would be a fault
        except LmcError as error:
            found[kind] = str(error)
    return found


def timm_verdicts() -> tuple[list[str], dict[str, list[str]]]:
    """Of timm's pretrained names of Vision Transformers: those that are supported, and reason ->
    those that are not.
    """
    import timm
    from timm.models import get_pretrained_cfg

    taken, refused = [], defaultdict(list)
    for name in timm.list_pretrained():
        if not name.startswith(BEGINNINGS):
            continue
        pretrained = get_pretrained_cfg(name)
        assert pretrained is not None
        raw = Config(
            architecture=name.partition(".")[0],
            num_classes=pretrained.num_classes,
            pretrained_cfg=json.loads(json.dumps(pretrained.to_dict(), default=str)),
        )
        try:
            family = next(family for family in FAMILIES.values() if family.recognises(raw))
            family.layout(family.config(raw))
            taken.append(name)
        except (LmcError, StopIteration) as error:
            refused[
                str(error).replace(f"timm's {raw['architecture']!r}", "it") or "no family takes it"
            ].append(name)
    return taken, dict(refused)


INTRODUCTION = """# Compatibility

Written by `python scripts/compatibility.py`; every number was measured by it, with {versions}.

Each class of transformers is built small with random parameters and saved by transformers itself. Then

- **read**: largest relative difference between the outputs of the class and those of the model as read here;
- **moved**: the same after the canonical rewrite and a random element of the largest admissible class of every space at once;
- **reopened**: the same of what was written, opened by the class itself in a fresh process, with nothing missing or left over.

All in float32; a class works where each is below 2e-5. What may be done to a model follows from its configuration:
`lmc show MODEL` says it, and [families.md](families.md) has the symmetries of each family.
"""


def cases(folder: Path) -> list[str]:
    """The rows of what people bring, each built and tried."""
    found = []
    for number, case in enumerate(CASES.values()):
        right, came = case.verdict(folder / f"case-{number}")
        came = came.replace(str(folder), "").replace(f"case-{number}", "FOLDER").replace("|", "/")
        found.append(
            f"| {case.sentence} | {'as it should' if right else 'NOT AS IT SHOULD'} | {came} |"
        )
    return found


def document(rows: list[Tried], tried: list[str], refused: dict[str, str]) -> str:
    """The whole page."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    good = {row.cls for row in rows if row.good}
    asked = [(what, cls) for what, names in ASKED.items() for cls in names]
    works = sum(cls in good for _, cls in asked)
    parts = [INTRODUCTION.format(versions=versions)]
    parts.append(f"\n## The {len(asked)} classes that are asked for most: {works} work\n")
    for what, names in ASKED.items():
        missing = [cls for cls in names if cls not in good]
        words = f"not {', '.join(missing)}" if missing else "all"
        parts.append(f"- {what}: {len(names) - len(missing)} of {len(names)}, {words}")
    head = "| family | class | read | moved | reopened | verdict |\n" + "|---" * 6 + "|"
    parts.append(
        f"\n## All {len(rows)} classes of {len({row.family for row in rows})} families\n\n{head}"
    )
    parts += [row.row for row in rows]
    parts.append("\n## What people bring\n\n| folder | verdict | what came |\n|---|---|---|")
    parts += tried
    taken, others = timm_verdicts()
    total = len(taken) + sum(map(len, others.values()))
    parts.append(f"\n## timm: {len(taken)} of {total} pretrained names\n")
    parts.append(
        f"Of `timm.list_pretrained()`, those that begin with {', '.join(BEGINNINGS)}. Refused "
        "are:\n"
    )
    parts += [
        f"- {len(names)}, {names[0]} among them: {reason}"
        for reason, names in sorted(others.items())
    ]
    reasons = {kind: words.removesuffix(".") for kind, words in refused.items() if kind in REASONS}
    parts.append(f"\n## {len(refused)} other kinds of transformers are refused\n")
    parts.append("With the reason, where it is one of their own:\n")
    parts += [f"- {kind}: {sentence}" for kind, sentence in reasons.items()]
    parts.append(
        "\nThe others have no layout yet: "
        f"{', '.join(kind for kind in refused if kind not in reasons)}."
    )
    return "\n".join(parts) + "\n"


def main() -> None:
    """Try, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--family", choices=sorted(FAMILIES), help="only this one, printed and not written"
    )
    parser.add_argument("--reopen", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.reopen:
        return reopen(arguments.reopen)
    chosen = [FAMILIES[arguments.family]] if arguments.family else list(FAMILIES.values())
    pairs = [(family, cls) for family in chosen for cls in classes_of(family)]
    with tempfile.TemporaryDirectory() as folder:
        rows = try_classes(pairs, Path(folder))
        known = {
            str(raw.get("model_type"))
            for family in FAMILIES.values()
            for raw in family.examples.values()
        }
        refused = {} if arguments.family else refusals(known, Path(folder))
        tried = [] if arguments.family else cases(Path(folder))
    print("\n".join(row.row for row in rows))
    if not arguments.family:
        TARGET.write_text(document(rows, tried, refused), encoding="utf-8")
        print(TARGET)


if __name__ == "__main__":
    main()
