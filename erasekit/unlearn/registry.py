"""Every unlearning method by its name."""

from __future__ import annotations

from erasekit.errors import unknown
from erasekit.unlearn.cliperase import CLIPErase
from erasekit.unlearn.cliperase_infonce import CLIPEraseInfoNCE
from erasekit.unlearn.delete import DELETE
from erasekit.unlearn.fine_tune import FineTune
from erasekit.unlearn.gradient_ascent import GradientAscent
from erasekit.unlearn.gradient_difference import GradientDifference
from erasekit.unlearn.kl_minimization import KLMinimization
from erasekit.unlearn.lip import Lip
from erasekit.unlearn.method import Method
from erasekit.unlearn.multidelete import MultiDelete
from erasekit.unlearn.munba import MUNBa
from erasekit.unlearn.never_seen import NeverSeen
from erasekit.unlearn.npo import NPO
from erasekit.unlearn.null_space import NullSpace
from erasekit.unlearn.random_label import RandomLabel
from erasekit.unlearn.salun import SalUn
from erasekit.unlearn.scrub import SCRUB
from erasekit.unlearn.slug import SLUG
from erasekit.unlearn.ssd import SSD
from erasekit.unlearn.task_negation import TaskNegation

METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (
        CLIPErase,
        CLIPEraseInfoNCE,
        FineTune,
        GradientAscent,
        GradientDifference,
        KLMinimization,
        NPO,
        RandomLabel,
        SCRUB,
        DELETE,
        MultiDelete,
        SalUn,
        SSD,
        Lip,
        NullSpace,
        SLUG,
        TaskNegation,
        MUNBa,
        NeverSeen,
    )
}


def get_method(name: str) -> type[Method]:
    """The method called `name`.

    Raises:
        UsageError: for a name that is not registered, with the nearest that is.
    """
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return METHODS[name]
