"""A short erasure of a CLIP, which several tests look at."""

from __future__ import annotations

from erasekit.unlearn.engine import EraseSpec, erase
from erasekit.unlearn.method import Method
from erasekit.unlearn.methods.cliperase import CLIPErase

SPEC = EraseSpec(steps=6, forget_batch=4, retain_batch=4, learning_rate=1e-3, stop_at=-1)


def run(experiment, method: Method | None = None, spec: EraseSpec = SPEC, **rest):
    method = method or CLIPErase()
    return erase(experiment.original, experiment.task, method, spec, progress=False, **rest)
