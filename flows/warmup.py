"""Compiling: everything a run needs, into Numba's cache on disk, ahead of the run."""

import importlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from configs.scenario import Scenario
from flows import environment
from flows.server import end_with_parent

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

SEED: Final[Any] = np.uint64(0)

COMPILING_BYTES: Final = 1_500_000_000
"""Memory that a process needs to compile; measured as 1.04 GB for both engines."""

GIVING_WAY: Final = 10
"""Niceness of a process that others should not wait for."""


def import_kernels() -> None:
    """Import what a worker runs: half a second that need not wait for another's compiling."""
    importlib.import_module("flows.shard")


def compile_kernels(engines: Sequence[str] = ("cohort",)) -> float:
    """Simulate one tiny path of each engine; the seconds it took, with the imports.

    The first call on a machine compiles and writes Numba's cache; later ones read it.

    Parameters
    ----------
    engines : sequence of str
        Those that a run has points of.
    """
    started = time.perf_counter()
    from flows import simulation
    from kernels.events import new_outcome

    for engine in dict.fromkeys(engines):
        scenario = Scenario.model_validate(TINY | {"engine": engine})
        parameters = simulation.parameters(scenario)
        for _ in simulation.engine(scenario, parameters)(SEED, 0, new_outcome(parameters)):
            """Whatever rows of members there are."""
    return time.perf_counter() - started


def warm_up(engines: Sequence[str] = ("cohort",)) -> float:
    """Compile engines in two processes, this one first: the seconds it took, with the imports."""
    with _helper() as process:
        seconds = compile_kernels(engines)
        process.terminate()
    return seconds


def compile_apart(engines: Sequence[str] = ("cohort",)) -> float:
    """Compile as `compile_kernels`, in a process of its own: a small worker would be ended for it.

    Compiling takes more memory than paths do, and is not counted as the worker's. The process ends
    with the worker.
    """
    started = time.perf_counter()
    with _helper(*engines) as process:
        process.wait()
    compile_kernels(engines)
    return time.perf_counter() - started


def help_compiling() -> None:
    """Compile the second half in a process of its own, which gives way to whoever compiles first.

    On two cores the first must not wait: it ends last. A process cannot take back that it gives
    way, so a worker does not do this itself. The helper ends with the worker.
    """
    with _helper() as process:
        import_kernels()
        process.wait()


def _helper(*engines: str) -> subprocess.Popen[bytes]:
    """Start a process that compiles some engines, or without any the second half of a period."""
    command = [sys.executable, __file__, *engines]
    variables = environment.for_children()
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env=variables
    )


def compile_second_half() -> None:
    """Compile what comes last in a period, for another process that compiles from the start.

    A path's kernels are compiled one after another, in the order of a period. While one process
    does so, another that begins at the sharing of a bill and at the lapses leaves them in the cache
    for it: on two cores a cold start takes two thirds of the time.
    """
    from flows import simulation
    from kernels import events, lapse, payment, platform, sharing
    from kernels.cells import Cells
    from kernels.dtypes import PERIOD_ROW
    from kernels.state import new_state

    # in the order in which the first process comes to them; the rest of a bill is its own
    yuan, people = np.ones(1), np.ones(1, np.int64)
    cells = Cells(people, 0.5 * yuan, yuan, yuan, 0 * people, yuan, yuan, yuan)
    sharing.contributions(sharing.CONDITIONAL_MEAN, cells, 0.0, 0.5, np.empty(1))
    parameters = simulation.parameters(Scenario.model_validate(TINY))
    state = new_state(parameters)
    rows = np.zeros((1, 1), PERIOD_ROW)
    payment.collect(parameters, state, SEED, 0, 0, 0, 0.0)
    lapse.price_slope(parameters, state, 0)
    lapse.lapse_members(parameters, state, SEED, 0, 0, 0)
    events.spread_word(parameters, state, rows, SEED, 0, 0)
    events.write_rows(parameters, state, rows, 0)
    platform.closure_cause(parameters, state, rows, (SEED, 0, 0), 0)
    platform.default_on_benefits(parameters, state, rows, 0, 0)
    platform.claims_left_unpaid(parameters, state, SEED, 0, 0, 0)
    events.add_period(parameters, state, rows, events.new_outcome(parameters).path[0], 0, 0)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    if sys.argv[1:]:
        compile_kernels(sys.argv[1:])
    else:
        os.nice(GIVING_WAY)
        compile_second_half()
    os._exit(0)  # the thread may hold standard input, over which an orderly end would stumble
