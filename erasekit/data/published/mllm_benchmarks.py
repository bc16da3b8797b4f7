"""Read MLLMU-Bench and CLEAR from their published files into `Questions`.

erasekit includes neither data set, and downloads from the Hugging Face hub only on request.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from erasekit.data.published.benchmark_files import fetched
from erasekit.data.published.clear import CLEAR
from erasekit.data.published.mllmu import MLLMU
from erasekit.data.question_list import Questions
from erasekit.errors import UsageError, unknown

BENCHMARKS = {"mllmu": MLLMU, "clear": CLEAR}
#: Parts of each benchmark that `read_benchmark` reads.
SUBSETS = ("forget", "test", "retain", "real")


def read_benchmark(
    spec: str, subsets: Sequence[str] = SUBSETS, *, percent: int = 5
) -> dict[str, Questions]:
    """Read parts of a benchmark.

    ``forget`` and ``retain`` are the forget and the retain set. ``test`` has questions about the
    forgotten people with other pictures (MLLMU-Bench) or with multiple choices (CLEAR). ``real``
    has questions about the real world: famous people, and for CLEAR other things too.

    Args:
        spec: ``mllmu:FOLDER`` or ``clear:FOLDER`` with a downloaded data set in the folder, or
            ``mllmu:hub`` or ``clear:hub`` to download the required files from the Hugging Face
            hub. CLEAR's retain set then has no names: they are in another copy of the same size.
        subsets: parts to read, from `SUBSETS`. Their encoded pictures are kept in memory.
        percent: percentage of people to forget: 5, 10 or 15 (MLLMU-Bench); 1, 5 or 10 (CLEAR).

    Raises:
        UsageError: for an unknown benchmark, part or share; when files or a package are missing.
        RunError: when a file is damaged or not in the published format.
    """
    name, _, place = spec.partition(":")
    if name not in BENCHMARKS:
        raise unknown("benchmark", name, BENCHMARKS, "It is mllmu:FOLDER or clear:FOLDER")
    if not place:
        raise UsageError(f"say where {name} lies: {name}:FOLDER, or {name}:hub to fetch it")
    for subset in subsets:
        if subset not in SUBSETS:
            raise unknown("part of a benchmark", subset, SUBSETS)
    benchmark = BENCHMARKS[name]
    if percent not in benchmark.percents:
        told = ", ".join(map(str, benchmark.percents))
        raise UsageError(f"{name} has no forget set of {percent} percent: known: {told}")
    folders = benchmark.folders(percent)
    if place == "hub":
        wanted = {*subsets, *(benchmark.beside[s] for s in subsets if s in benchmark.beside)}
        named = [each for part in sorted(wanted) for each in folders[part]]
        folder = fetched(benchmark.repository, named)
    else:
        folder = Path(place).expanduser()
    return {subset: benchmark.read(folder, folders, subset) for subset in subsets}
