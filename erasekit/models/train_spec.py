"""Training parameters of a CLIP, and the available model configurations; without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from erasekit.errors import unknown
from erasekit.settings import check, default

CONFIGS = Path(__file__).parent / "configs"


def known_models() -> list[str]:
    """Names of the package's model configurations."""
    return sorted(path.stem for path in CONFIGS.glob("*.json"))


@dataclass(frozen=True)
class TrainSpec:
    """Training parameters of a CLIP. Durations are in steps."""

    config: str = default("model")  #: name of a file in `models/configs`
    steps: int = default("train_steps")
    batch: int = default("train_batch")
    learning_rate: float = default("train_learning_rate")
    warmup: int = 50  #: linear warm-up steps, before a cosine down to zero
    weight_decay: float = 0.1
    optimizer: str = default("train_optimizer")  #: muon or adamw
    seed: int = default("seed")

    def __post_init__(self) -> None:
        if self.config not in known_models():
            raise unknown("model", self.config, known_models())
        for name in ("steps", "batch", "learning_rate", "optimizer"):
            check(f"train_{name}", getattr(self, name))
