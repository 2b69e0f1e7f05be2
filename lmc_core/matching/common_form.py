"""The form in which two models have the same parameters."""

from __future__ import annotations

from lmc_core.models.common import alike_untied, in_float32, require_compatible, untied
from lmc_core.models.fits import wider
from lmc_core.models.model import Model
from lmc_core.models.rows import in_shared_rows
from lmc_core.models.widen import widen
from lmc_core.tasks.class_order import find_order, in_order_of


def require_common_form(a: Model, b: Model) -> None:
    """Raise what `common_form` raises, without making anything.

    Raises:
        Incompatible: if they have no common layout, and neither holds the other; or if they tell
            other classes apart.
    """
    require_compatible(a, b)
    find_order(a, b)


def common_form(a: Model, b: Model) -> tuple[Model, Model]:
    """Both models, untied if either is, so that they have the same parameters, with the classes in
    the order of the first.

    Of tables with unequal numbers of rows they have those that both have. Of unequal widths the
    narrower is widened by appending zeros to what it has, as coordinates, units and heads are
    numbered; nothing is matched.

    Raises:
        Incompatible: if they have no common layout, and neither holds the other; or if they tell
            other classes apart.
    """
    require_compatible(a, b)
    b = in_order_of(a, b)
    if (second := wider(a, b)) is not None:
        narrow, wide = (a, b) if second else (b, a)
        widened, wide = in_float32(widen(narrow, wide.config)), untied(wide)
        return (widened, wide) if second else (wide, widened)
    a, b = in_shared_rows(alike_untied((a, b)))
    return a, b
