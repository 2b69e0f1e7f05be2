"""What `lmc align` and `lmc barrier` share: classes as they are typed."""

from __future__ import annotations

from collections.abc import Sequence


def chosen_classes(reference: str, choices: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Turn repeated SPACE=CLASS into kind of space -> class.

    `all` lowers every space to at most its class; a space that is named wins over it, and the last
    choice over earlier ones.

    Args:
        reference: of a model whose spaces are meant.
        choices: as they were typed.
    """
    from lmc_core.models.load import load
    from lmc_core.symmetry.spaces import SymmetryClass, at_most

    named = {space: chosen for space, chosen in choices if space != "all"}
    lowered = [SymmetryClass.parse(chosen) for space, chosen in choices if space == "all"]
    if not lowered:
        return named
    classes = at_most(load(reference).layout.spaces, lowered[-1])
    return {kind: value.value for kind, value in classes.items()} | named
