"""Compiling: everything a run needs, into Numba's cache on disk, ahead of the run."""

import importlib
import time
from typing import Any, Final

import numpy as np

from configs.scenario import Scenario

TINY: Final[dict[str, Any]] = {
    "title": "One period of a thousand people: enough to compile every kernel.",
    "periods": 1,
    "market_members": 1000,
    "age_edges": [0, 60],
    "plans": {
        "main": {
            "max_age": 59,
            "benefit": [{"from_age": 0, "benefit_yuan": 100_000}],
            "advertised_share_yuan": 1.0,
        }
    },
    "motives": {"any": {}},
}
"""What the kernels compile for are types, which are the same for every scenario."""


def import_kernels() -> None:
    """Import what a worker runs: half a second that need not wait for another's compiling."""
    importlib.import_module("flows.shard")


def compile_kernels() -> float:
    """Simulate one tiny path; the seconds it took, with the imports.

    The first call on a machine compiles and writes Numba's cache; later ones read it.
    """
    started = time.perf_counter()
    from flows import shard
    from kernels import cohort
    from kernels.dtypes import PATH_ROW, PERIOD_ROW

    parameters = shard.parameters(Scenario.model_validate(TINY))
    rows = np.zeros((1, 1), PERIOD_ROW)
    seed: Any = np.uint64(0)
    cohort.simulate_path(parameters, seed, 0, rows, np.zeros(1, PATH_ROW))
    return time.perf_counter() - started
