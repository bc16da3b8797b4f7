"""How a CLIP is trained, and which model configurations there are; without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from erasekit.errors import UsageError, unknown

CONFIGS = Path(__file__).parent / "configs"


def known_models() -> list[str]:
    """Names of the model configurations that come with the package."""
    return sorted(path.stem for path in CONFIGS.glob("*.json"))


@dataclass(frozen=True)
class TrainSpec:
    """How a CLIP is trained. Everything counts in steps, never in seconds."""

    config: str = "erasekit-small"  #: a file of `models/configs`
    steps: int = 700
    batch: int = 128
    learning_rate: float = 2e-3
    warmup: int = 50  #: steps of linear warm-up; then a cosine down to zero
    weight_decay: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.config not in known_models():
            raise unknown("model", self.config, known_models())
        for name in ("steps", "batch", "learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name} = {getattr(self, name)}: must be above 0, and finite")
