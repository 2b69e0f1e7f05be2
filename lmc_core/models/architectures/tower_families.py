"""What the families of models with two towers share: a text tower, an image tower, both, and a
classifier on the tower of images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lmc_core.models.architectures import hf, vision
from lmc_core.models.architectures.towers import both_sizes, text_sizes
from lmc_core.models.config import Config, Json
from lmc_core.models.family import Family, Kind
from lmc_core.models.structure import Structure

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Parts = Literal["text", "image", "both", "classifier"]
TAKES: dict[Parts, Kind] = {
    "text": "text",
    "image": "images",
    "both": "images and text",
    "classifier": "images",
}


def kept(tensors: dict[str, Tensor], *dropped: str) -> dict[str, Tensor]:
    """Without the numbers of positions, which old files hold, and without what belongs to other
    parts.

    Args:
        tensors: by their names.
        dropped: what the names of other parts begin with.
    """
    return {
        name: tensor
        for name, tensor in tensors.items()
        if not name.endswith("position_ids") and not name.startswith(dropped)
    }


@dataclass(frozen=True)
class Kin:
    """A kind of model with two towers, of which transformers has classes of either, of both, and
    of a classifier on the tower of images.

    Attributes:
        name: of the kind in a `config.json`, "clip".
        begin: what the names of its classes begin with, "CLIP".
        reference: its paper.
        unread: special tokens on which no output depends.
    """

    name: str
    begin: str
    reference: str
    unread: tuple[str, ...]

    @property
    def classifier(self) -> str:
        """The class of the classifier."""
        return f"{self.begin}ForImageClassification"

    def type(self, part: Parts) -> str:
        """The kind that the `config.json` of one of its parts gives."""
        return self.name + {"text": "_text_model", "image": "_vision_model"}.get(part, "")

    def chosen(self, raw: Config, part: Parts, classes: tuple[str, ...]) -> Config:
        """Kind and class of a configuration."""
        kind = self.type(part)
        named = hf.named_class(raw, classes, kind, classes[0])
        return Config(model_type=kind, architectures=[named])

    def family(
        self,
        part: Parts,
        sentence: str,
        classes: tuple[str, ...],
        config: Callable[[Config], Config],
        structure: Callable[[Config], Structure],
        from_disk: Callable[[dict[str, Tensor], Config], dict[str, Tensor]],
        outputs: Callable[[nn.Module, Tensor], Tensor],
        examples: Mapping[str, Mapping[str, Json]],
        probe: Callable[[Config, int, int, torch.dtype], Tensor] | None = None,
    ) -> Family:
        """The family of one of its parts.

        Args:
            part: which.
            sentence: see `Family`, as what follows.
            classes: the usual one first.
            config: reads a `config.json`.
            structure: writes its layout down.
            from_disk: names in memory.
            outputs: what it computes.
            examples: small configurations, without their kind.
            probe: random inputs where they are not as usual.
        """
        end, kind = {"text": "Text", "image": "Vision"}.get(part, ""), self.type(part)

        def recognises(config: Config) -> bool:
            named = config.get("architectures") in ([self.classifier], (self.classifier,))
            return config.get("model_type") == kind and (
                named == (part == "classifier") or bool(end)
            )

        def build(config: Config) -> nn.Module:
            unread, settings = Config.fromkeys(self.unread), Config(config)
            if part == "both":
                settings["text_config"] = config.part("text_config") | unread
            further = unread if part == "text" else {}
            return hf.build(settings, f"{self.begin}{end}Config", config.class_name(), **further)

        sizes = {"text": text_sizes, "image": vision.sizes, "both": both_sizes}
        return Family(
            name=self.name
            + {"text": "_text", "image": "_vision", "both": ""}.get(part, "_" + part),
            sentence=sentence,
            reference=self.reference,
            takes=TAKES[part],
            recognises=recognises,
            build=build,
            outputs=outputs,
            sizes=sizes.get(part, classifier_sizes),
            structure=structure,
            predicts=lambda config: {"both": "pairs", "classifier": "label"}.get(part, "features"),
            save=hf.save,
            config=config,
            from_disk=from_disk,
            classes=classes,
            examples={key: {"model_type": kind} | dict(raw) for key, raw in examples.items()},
            probe=probe,
        )


def classifier_sizes(config: Config) -> dict[str, int]:
    """Sizes of a classifier for people."""
    return vision.sizes(config.part("vision_config")) | {"classes": config.size("num_labels")}
