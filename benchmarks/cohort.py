"""How long one path of the cohort engine takes, and what common random numbers save."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.record import Figure, benchmark
from configs.arrays import parameters
from configs.scenario import Scenario
from kernels.cohort import simulate_path
from kernels.events import Outcome, new_outcome
from kernels.parameters import Parameters, from_fields

SEED: Any = np.uint64(20181016)
PERIODS = 72
MARKET = 130_000_000
PATHS = 15
MOTIVES = ("bargain", "altruist", "protection", "inactive")


def pool(market: int, **changes: Any) -> Scenario:
    """Describe the pool that is timed.

    12 age bands x 2 sexes x 4 motives x 3 health classes x 7 stages of tenure (six waiting periods
    and the time past them) are 2016 cells; a market of 130 million makes some 90 million members.

    Parameters
    ----------
    market : people who could join
    changes : fields of the only plan, in place of these
    """
    lapse = {
        "base": 0.002,
        "first_bill": 0.02,
        "bill_shock": 0.002,
        "growth": 0.001,
        "burden": 0.5,
        "news": 0.002,
    }
    plan = {
        "max_age": 59,
        "wait_periods": 6,
        "fee_rate": 0.08,
        "advertised_share_yuan": 0.5,
        "benefit": [
            {"from_age": 0, "benefit_yuan": 300_000},
            {"from_age": 40, "benefit_yuan": 100_000},
        ],
    }
    channel = {
        "push": [{"from_period": 0, "value": 0.05}],
        "word_of_mouth": 0.1,
        "ages": [{"from_age": 0, "to_age": 59, "male": 0.5, "female": 0.5}],
        "motives": dict.fromkeys(MOTIVES, 0.25),
        "health": {"standard": 0.9, "impaired": 0.07, "ineligible": 0.03},
    }
    return Scenario.model_validate({
        "title": "benchmark",
        "periods": PERIODS,
        "market_members": market,
        "plans": {"main": {**plan, **changes}},
        "motives": {name: {"education_speed": 0.05, "lapse": lapse} for name in MOTIVES},
        "health": {
            "standard": {},
            "impaired": {"incidence_factor": 3},
            "ineligible": {
                "incidence_factor": 5, "acceptance": 0.1, "leaves_on_rejection": True
            },
        },
        "channels": {"platform": channel},
        "claims": {
            "level": 0.3, "selection_start": 0.3, "dispute_probability": 0.1,
            "report_delay": [0, 0, 0.1, 0.2, 0.3, 0.2, 0.1, 0.1],
            "severity": {
                "severe": {"probability": 0.8, "benefit_fraction": 1},
                "mild": {"probability": 0.2, "benefit_fraction": 0.2},
            },
        },
        "news": {"persistence": 0.8, "base": 0.1, "per_dispute": 0.01},
    })  # fmt: skip


EVERYTHING: dict[str, Any] = {
    "joining": {"price_sensitivity": 20, "news_sensitivity": 0.02, "max_growth": 0.5},
    "attention_slope": 0.5,
    "dead_zone": 0.01,
    "loyalty_per_year": 0.05,
    "competitor_pull": [{"from_period": 20, "value": 0.5}],
    "regulator_announcements": [30, 50],
    "platform": {
        "funding_yuan": 1e9,
        "sales_yuan_per_member_year": 10,
        "commission_rate": 0.1,
        "interest_rate": 0.03,
        "investigation_yuan_per_claim": 1_000,
        "operating_yuan_per_member_year": 0.1,
    },
    "closure": {
        "floor_members": 1_000,
        "share_limit_yuan": 1e6,
        "profit_deadline_period": 70,
        "regulation_hazard": [{"from_period": 70, "value": 0.001}],
    },
}
"""Mechanisms of the pool as a whole, all of them at work."""

EVERYTHING_OF_A_PLAN: dict[str, Any] = {
    "rule": "conditional_mean",
    "caps": {"per_case_yuan": 1, "per_year_yuan": 500, "excess_to": "next_period"},
    "rounding": "next_fen",
    "smoothing": {"persistence": 0.8, "loading_yuan": 0.01},
    "first_bill_free": True,
    "platform_pays": [{"from_period": 0, "value": 0.05}],
    "benefit_limit_yuan_per_payer": 1,
    "custody_yuan_per_member_year": 0.1,
}
"""Mechanisms of the plan."""


def everything(market: int) -> Scenario:
    """Describe the pool that is timed with every mechanism at work that such a plan can have.

    A prepaid balance or a fixed price would take the place of collecting bills or of sharing.
    """
    fields = pool(market, **EVERYTHING_OF_A_PLAN).model_dump(mode="json")
    for motive in fields["motives"].values():
        motive |= {"attention": 0.6, "payment_failure": 0.002}
        motive["lapse"] |= {"competitor": 0.001, "regulation": 0.002}
    fields["health"]["impaired"]["lapse_ratio"] = 0.7
    fields["channels"]["platform"] |= {"padding": 0.05, "red_packet_yuan": 1}
    fields["claims"] |= {
        "mortality": "mortality_cn_2010_2013_nonpension_1",
        "trend_per_year": 0.02,
        "common_shock": {"volatility": 0.1, "persistence": 0.9},
    }
    return Scenario.model_validate({**fields, **EVERYTHING})


def run_path(ready: Parameters, path: int, seed: Any = SEED) -> Outcome:
    """Simulate one path."""
    outcome = new_outcome(ready)
    simulate_path(ready, seed, path, outcome)
    return outcome


def median_ms(call: Callable[[int], object]) -> float:
    """Time a call for successive paths, milliseconds of processor time, the median of them."""
    times = []
    for path in range(PATHS):
        start = time.process_time()
        call(path)
        times.append(1e3 * (time.process_time() - start))
    return statistics.median(times)


def path_ms(market: int) -> tuple[float, float]:
    """Time a path, milliseconds; with it the mean number of members."""
    ready = from_fields(parameters(pool(market)))
    members = float(run_path(ready, 0).periods["members"].mean())
    return median_ms(lambda path: run_path(ready, path)), members


def numpy_ms(members: float) -> float:
    """Time NumPy's own binomials for two decisions a cell and period, and nothing else."""
    cells = 12 * 2 * 4 * 3 * 7
    counts = np.full(cells, int(members / cells))
    generator = np.random.default_rng(1)

    def draw(_: int) -> None:
        for _period in range(PERIODS):
            generator.binomial(counts, 2e-5)
            generator.binomial(counts, 0.01)

    return median_ms(draw)


@benchmark("cohort_path_ms")
def cohort_path_ms() -> Figure:
    """Milliseconds a path of 2016 cells, 72 periods and some 90 million members."""
    value, members = path_ms(MARKET)
    baseline = numpy_ms(members)
    goal = "<= 25 ms on one core"
    return Figure(
        "cohort_path_ms", value, "ms", baseline, value / baseline, goal, value <= 25,
        f"the binomials of as many cells by NumPy's generator ({members / 1e6:.0f} m members)",
    )  # fmt: skip


@benchmark("cohort_path_ms_all_mechanisms")
def cohort_path_ms_all_mechanisms() -> Figure:
    """Milliseconds a path of the same cells and members with every mechanism at work."""
    baseline, _ = path_ms(MARKET)
    ready = from_fields(parameters(everything(MARKET)))
    ran = int(run_path(ready, 0).path["periods_run"][0])
    value = median_ms(lambda path: run_path(ready, path))
    ratio = value / baseline
    return Figure(
        "cohort_path_ms_all_mechanisms", value, "ms", baseline, ratio, "ratio <= 2",
        ratio <= 2, f"the pool of cohort_path_ms, which uses few (this one ran {ran} periods)",
    )  # fmt: skip


@benchmark("cohort_path_ms_small_members")
def cohort_path_ms_small_members() -> Figure:
    """Milliseconds a path of the same cells at a hundredth of the members."""
    baseline, _ = path_ms(MARKET)
    value, members = path_ms(MARKET // 100)
    ratio = value / baseline
    return Figure(
        "cohort_path_ms_small_members", value, "ms", baseline, ratio, "ratio 0.5 to 1",
        0.5 <= ratio <= 1, f"a hundred times the members (here {members / 1e6:.2f} m)",
    )  # fmt: skip


@benchmark("crn_variance_ratio")
def crn_variance_ratio() -> Figure:
    """Variance of the paired difference of two fees over that of independent runs."""
    paths = 400
    outcomes = {
        (fee, first): _members_and_shares(fee, first, paths)
        for fee in (0.0, 0.08)
        for first in (0, paths)
    }
    paired = outcomes[0.08, 0] - outcomes[0.0, 0]
    independent = outcomes[0.08, 0] - outcomes[0.0, paths]
    # the worse of the two outcomes: members at the end, and the sum of all shares
    ratios = paired.var(0, ddof=1) / independent.var(0, ddof=1)
    worse = int(ratios.argmax())
    value, baseline = paired[:, worse].var(ddof=1), independent[:, worse].var(ddof=1)
    return Figure(
        "crn_variance_ratio", float(value), "variance", float(baseline), float(value / baseline),
        "ratio <= 0.1", bool(value / baseline <= 0.1),
        f"independent runs ({('members_end', 'share_total')[worse]}, {paths} paths)",
    )  # fmt: skip


def _members_and_shares(fee: float, first: int, paths: int) -> Any:
    """Outcomes of paths first .. first + paths - 1 of a pool of a million: float64[paths, 2]."""
    ready = from_fields(parameters(pool(MARKET // 100, fee_rate=fee)))
    ends = (run_path(ready, path).path[0] for path in range(first, first + paths))
    return np.array([(end["members_end"], end["share_total"]) for end in ends], np.float64)
