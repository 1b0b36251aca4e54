"""What a path of the member engine costs, beside going through every member every period."""

import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks.cohort import SEED, run_path
from benchmarks.record import Figure, benchmark
from configs.arrays import individuals, parameters
from configs.catalogue import locate
from configs.load import load
from configs.scenario import Scenario
from kernels.dtypes import MEMBER_ROW
from kernels.events import Outcome, new_outcome
from kernels.individuals import Individuals, individuals_from_fields
from kernels.member import simulate_path
from kernels.parameters import Parameters, from_fields

PERIODS = 72
A_YEAR = 24
YOUNGEST = 30
AGES = 10
CLASSES = 2 * AGES
LAPSE = 0.01
MEMBERS = 1_000_000
MEBI = 2**20

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a baseline as the kernels are compiled, without keeping it."""
    return cast(Function, numba.njit(error_model="numpy", nogil=True)(function))


def closed_pool(members: int, lapse: float = LAPSE, periods: int = PERIODS) -> Scenario:
    """Describe a pool that nobody joins, and that members leave by a claim or a lapse.

    There are as many members of either sex at each age of 30 to 39: 20 classes, which stay
    classes when everybody turns a year older, with other hazards.

    Parameters
    ----------
    members : persons, a multiple of 20
    lapse : intensity, per period
    periods : length of the path
    """
    oldest = YOUNGEST + AGES - 1 + periods // A_YEAR
    return Scenario.model_validate({
        "title": "closed pool",
        "engine": "member",
        "periods": periods,
        "periods_per_year": A_YEAR,
        "market_members": members,
        "age_edges": range(YOUNGEST, oldest + 2),
        "plans": {
            "main": {
                "max_age": oldest,
                "benefit": [{"from_age": 0, "benefit_yuan": 300_000}],
                "advertised_share_yuan": 1,
            }
        },
        "motives": {"all": {"lapse": {"base": lapse}}},
        "initial_members": [
            {"age": age, "sex": sex, "motive": "all", "health": "standard",
             "members": members // CLASSES}
            for age in range(YOUNGEST, YOUNGEST + AGES) for sex in ("male", "female")
        ],
    })  # fmt: skip


def xianghubao(market: int) -> Scenario:
    """Describe Xianghubao in a smaller market, with the shares and the news of the whole of it.

    The floor shrinks with the market; the cap a case and the news of a dispute grow as cases and
    disputes become fewer.
    """
    whole = load(locate("xianghubao")).scenario
    fields = whole.model_dump(mode="json") | {"engine": "member", "market_members": market}
    scale = market / whole.market_members
    fields["closure"]["floor_members"] = int(scale * fields["closure"]["floor_members"])
    fields["plans"]["main"]["caps"]["per_case_yuan"] /= scale
    fields["news"]["per_dispute"] /= scale
    return Scenario.model_validate(fields)


class Ready(NamedTuple):
    """What the member engine needs of a scenario."""

    parameters: Parameters
    individuals: Individuals


def ready(scenario: Scenario, sample: float = 0.0) -> Ready:
    """Turn a scenario into what the member engine needs; `sample` of the members get a row."""
    return Ready(
        from_fields(parameters(scenario)), individuals_from_fields(individuals(scenario, sample))
    )


def run_members(pool: Ready, path: int, seed: Any = SEED) -> tuple[Outcome, int]:
    """Simulate one path and count the members' rows, which are not kept."""
    outcome, rows = new_outcome(pool.parameters), 0
    for batch in simulate_path(*pool, seed, path, outcome):
        rows += batch.size
    return outcome, rows


class Closed(NamedTuple):
    """The closed pool for those who go through its members: what can happen to one in a period.

    claim : float64[T, CLASSES], probability
    lapse : float64, probability of who has no claim
    benefit : float64, yuan
    """

    claim: NDArray[np.float64]
    lapse: float
    benefit: float


def closed(pool: Parameters) -> Closed:
    """Work out the probabilities of the closed pool."""
    birthdays = np.arange(pool.periods.size) // A_YEAR
    hazard = pool.groups["hazard"][2 * birthdays[:, None] + np.arange(CLASSES)]
    lapse = -np.expm1(-pool.lapse[0, 0])
    return Closed(-np.expm1(-hazard), float(lapse), float(pool.benefit[0, 0]))


class Fates(NamedTuple):
    """What a baseline keeps of each member, and of each period.

    left : int64[N], period in which he left, -1 while a member
    paid : float64[N], yuan
    living : int64[T + 1], members at the start of each period and at the end
    """

    left: NDArray[np.int64]
    paid: NDArray[np.float64]
    living: NDArray[np.int64]


def new_fates(pool: Closed, members: int) -> tuple[NDArray[np.int64], Fates]:
    """Make the class of each member, int64[N], and the arrays of a path for a baseline to fill."""
    living = np.full(len(pool.claim) + 1, members, np.int64)
    kind = np.repeat(np.arange(CLASSES), members // CLASSES)
    return kind, Fates(np.full(members, -1, np.int64), np.zeros(members), living)


def by_numpy(pool: Closed, members: int, seed: int) -> Fates:
    """Go through all members every period with whole arrays, as vectorised NumPy is written."""
    generator = np.random.default_rng(seed)
    kind, fates = new_fates(pool, members)
    alive = np.ones(members, bool)
    for period, claim in enumerate(pool.claim):
        ill = alive & (generator.random(members) < claim[kind])
        fates.paid[alive] += ill.sum() * pool.benefit / alive.sum()
        gone = ill | (alive & (generator.random(members) < pool.lapse))
        fates.left[gone] = period
        alive &= ~gone
        fates.living[period + 1] = alive.sum()
    return fates


@compiled
def go_through(
    pool: Closed, kind: NDArray[np.int64], generator: np.random.Generator, fates: Fates
) -> None:
    """Go through all members every period."""
    left, paid = fates.left, fates.paid
    for period in range(pool.claim.shape[0]):
        claim, cases, kept = pool.claim[period], 0, 0
        for member in range(left.size):
            if left[member] < 0 and generator.random() < claim[kind[member]]:
                left[member] = period
                cases += 1
        share = cases * pool.benefit / fates.living[period]
        for member in range(left.size):
            if left[member] < 0 or left[member] == period:
                paid[member] += share
            if left[member] < 0:
                if generator.random() < pool.lapse:
                    left[member] = period
                else:
                    kept += 1
        fates.living[period + 1] = kept


def by_loop(pool: Closed, members: int, seed: int) -> Fates:
    """Go through all members every period with a compiled loop, as it is written."""
    kind, fates = new_fates(pool, members)
    go_through(pool, kind, np.random.default_rng(seed), fates)
    return fates


def median_ns(call: Callable[[int], int], repeats: int) -> float:
    """Time a call that returns member-periods: nanoseconds of processor time each, the median.

    The first call is not counted: it compiles.
    """
    call(0)
    times = []
    for path in range(repeats):
        start = time.process_time()
        lived = call(path)
        times.append(1e9 * (time.process_time() - start) / lived)
    return statistics.median(times)


@cache
def engine_ns() -> float:
    """Time the member engine on the closed pool, nanoseconds a member-period."""
    pool = ready(closed_pool(MEMBERS))
    return median_ns(lambda path: int(run_members(pool, path)[0].periods["members"].sum()), 15)


@benchmark("member_ns_per_member_period")
def member_ns_per_member_period() -> Figure:
    """Nanoseconds a member and period of a million members, 72 periods, two hazards."""
    pool = ready(closed_pool(MEMBERS)).parameters
    value = engine_ns()
    baseline = median_ns(lambda path: int(run_path(pool, path).periods["members"].sum()), 15)
    return Figure(
        "member_ns_per_member_period", value, "ns", baseline, value / baseline, "<= 2.5 ns",
        value <= 2.5, "the cohort engine on the same pool of 20 classes",
    )  # fmt: skip


def against_baseline(
    name: str, baseline: Callable[[Closed, int, int], Fates], faster: float, what: str
) -> Figure:
    """Hold the engine's time a member-period against that of a baseline."""
    pool = closed(ready(closed_pool(MEMBERS)).parameters)
    value = engine_ns()
    slow = median_ns(lambda path: int(baseline(pool, MEMBERS, path).living[1:].sum()), 5)
    ratio = value / slow
    goal = f"ratio <= 1/{faster:g}"
    return Figure(name, value, "ns", slow, ratio, goal, ratio <= 1 / faster, what)


@benchmark("member_vs_numpy_ratio")
def member_vs_numpy_ratio() -> Figure:
    """Nanoseconds a member-period over those of NumPy going through all members."""
    return against_baseline(
        "member_vs_numpy_ratio",
        by_numpy,
        100,
        "NumPy over all members, whole arrays",
    )


@benchmark("member_vs_numba_loop_ratio")
def member_vs_numba_loop_ratio() -> Figure:
    """Nanoseconds a member-period over those of a compiled loop over all members."""
    return against_baseline(
        "member_vs_numba_loop_ratio",
        by_loop,
        25,
        "a compiled loop over all members",
    )


@dataclass(frozen=True)
class Cost:
    """What a path cost: processor seconds, growth of the process at its peak; what it had.

    Attributes
    ----------
    seconds : float
    growth : int
        Bytes above those of the process after a path of a tiny pool.
    peak_members : int
    lived : int
        Member-periods.
    rows : int
        Rows of members that were yielded.
    """

    seconds: float
    growth: int
    peak_members: int
    lived: int
    rows: int


def memory(field: str) -> int:
    """Read a field of this process's memory, bytes (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))


def cost_here(describe: Callable[[int], Scenario], size: int, sample: float) -> Cost:
    """Run a path of a tiny pool, then one of `size`, and tell what it cost this process."""
    run_members(ready(describe(size // 1000), sample), 0)
    pool = ready(describe(size), sample)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from here
    before, start = memory("VmRSS"), time.process_time()
    outcome, rows = run_members(pool, 1)
    seconds = time.process_time() - start
    peak, lived = outcome.path["peak_members"][0], outcome.periods["members"].sum()
    return Cost(seconds, memory("VmHWM") - before, int(peak), int(lived), rows)


def cost(describe: Callable[[int], Scenario], size: int, sample: float = 0.0) -> Cost:
    """Tell what a path costs in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as process:
        return process.submit(cost_here, describe, size, sample).result()


@benchmark("member_bytes_per_member")
def member_bytes_per_member() -> Figure:
    """Bytes by which a process grows at the peak of a path of five million members, a member."""
    size = 5 * MEMBERS
    value, baseline = cost(closed_pool, size).growth / size, MEMBER_ROW.itemsize
    return Figure(
        "member_bytes_per_member", value, "bytes", baseline, value / baseline, "<= 32 bytes",
        value <= 32, "a row of the members' table",
    )  # fmt: skip


XIANGHUBAO_MARKET = 7_150_000


@cache
def xianghubao_costs() -> tuple[Cost, ...]:
    """Tell what paths of Xianghubao with five million members cost, each in its own process."""
    return tuple(cost(xianghubao, XIANGHUBAO_MARKET, 0.1) for _ in range(3))


@benchmark("member_xianghubao_5m_s")
def member_xianghubao_5m_s() -> Figure:
    """Seconds a path of all of Xianghubao with five million members, a tenth of them with rows."""
    costs = xianghubao_costs()
    value = statistics.median(one.seconds for one in costs)
    pool = from_fields(parameters(xianghubao(XIANGHUBAO_MARKET)))
    run_path(pool, 0)
    start = time.process_time()
    run_path(pool, 1)
    baseline = time.process_time() - start
    members = costs[0].peak_members / 1e6
    return Figure(
        "member_xianghubao_5m_s", value, "s", baseline, value / baseline, "<= 3 s on one core",
        value <= 3, f"the cohort engine with ages of one year (peak {members:.2f} m members)",
    )  # fmt: skip


@benchmark("member_xianghubao_5m_mb")
def member_xianghubao_5m_mb() -> Figure:
    """Megabytes by which a process grows at the peak of such a path."""
    costs = xianghubao_costs()
    value = statistics.median(one.growth for one in costs) / MEBI
    baseline = costs[0].rows * MEMBER_ROW.itemsize / MEBI
    return Figure(
        "member_xianghubao_5m_mb", value, "MiB", baseline, value / baseline, "<= 200 MiB",
        value <= 200, f"the {costs[0].rows} rows that the path yields, kept",
    )  # fmt: skip
