"""One measured figure, and the registry of all of them."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

Benchmark = Callable[[], "Figure"]
BENCHMARKS: dict[str, Benchmark] = {}


@dataclass(frozen=True)
class Figure:
    """One figure of a benchmark.

    Attributes
    ----------
    name : str
        Name of the figure, which does not change between versions.
    value : float
        What was measured.
    unit : str
        Its unit.
    baseline : float
        What it is held against, measured in the same run, in the same unit.
    ratio : float
        value / baseline.
    goal : str
        What the figure should be.
    meets : bool
        Whether it is.
    against : str
        What the baseline is.
    """

    name: str
    value: float
    unit: str
    baseline: float
    ratio: float
    goal: str
    meets: bool
    against: str

    def as_json(self) -> str:
        """Give the figure as one line of JSON."""
        return json.dumps(asdict(self))


def benchmark(name: str) -> Callable[[Benchmark], Benchmark]:
    """Register a function that measures the figure of this name."""

    def register(measure: Benchmark) -> Benchmark:
        BENCHMARKS[name] = measure
        return measure

    return register
