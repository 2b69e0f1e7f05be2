"""Small models are kept in memory between runs."""

from __future__ import annotations

from functools import lru_cache

from lmc_core.models.files.stamp import HASHED, stamp
from lmc_core.models.handover import Loaded
from lmc_core.models.load import find_files, load
from lmc_core.models.model import Model

# Bytes of a model's files up to which it is kept. Every model that is aligned in place is larger,
# even in half precision (2 bytes x matching.problem.HELD), so that no model that is kept is ever
# written into. Their content is compared before they are taken again.
WARM = HASHED


@lru_cache(maxsize=8)
def _load_once(reference: str, content: tuple[str, ...]) -> Model:
    return load(reference)


def load_warm(reference: str) -> Model:
    """Load a model, or take the one kept warm if its files hold what they held then; large ones are
    not kept.
    """
    if not is_warm(reference):
        return load(reference)
    return _load_once(reference, stamp(find_files(reference)))


def loaded(reference: str, model: Model) -> Loaded | None:
    """A large model with the state of its files, to be handed over; None for one that is kept."""
    if is_warm(reference):
        return None
    files = tuple(find_files(reference))
    return Loaded(model, files, stamp(files))


def is_warm(reference: str) -> bool:
    """Whether a model is small enough to be kept between runs; others are this run's own."""
    return sum(path.stat().st_size for path in find_files(reference)) <= WARM
