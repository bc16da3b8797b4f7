"""Pictures: each function takes data first and returns a matplotlib figure.

The numbers in a picture come from a function of the same name with ``_data`` at its
end, in the same file. Packages add pictures by entry points of the group ``erasekit.pictures``.
"""

from typing import Any

from erasekit.plots.audit import audit_values, audit_verdicts
from erasekit.plots.audit_details import (
    collateral,
    language_map,
    readable_layers,
    relearning_curves,
)
from erasekit.plots.curves import loss_terms
from erasekit.plots.embedding import embedding_shift
from erasekit.plots.gallery import retrieval_gallery
from erasekit.plots.method_scores import critical_difference, methods_cost, methods_tradeoff
from erasekit.plots.scores import compare, scorecard_bars
from erasekit.plots.sheets import concept_sheet, contact_sheet
from erasekit.plots.similarity import similarity_distributions, similarity_matrix
from erasekit.plots.tradeoff import forget_retain
from erasekit.plugins import Registry

__all__ = [
    "audit_values",
    "audit_verdicts",
    "collateral",
    "compare",
    "concept_sheet",
    "contact_sheet",
    "critical_difference",
    "embedding_shift",
    "forget_retain",
    "language_map",
    "loss_terms",
    "methods_cost",
    "methods_tradeoff",
    "readable_layers",
    "relearning_curves",
    "retrieval_gallery",
    "scorecard_bars",
    "similarity_distributions",
    "similarity_matrix",
]

PICTURES: Registry[Any] = Registry(
    "picture",
    "erasekit.pictures",
    {name: f"{globals()[name].__module__}:{name}" for name in __all__},
    lambda name, found: found if callable(found) else getattr(found, name),
)


def __getattr__(name: str) -> Any:
    if not name.startswith("_") and name in PICTURES:
        return PICTURES[name]
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
