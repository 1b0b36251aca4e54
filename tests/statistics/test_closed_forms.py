"""Ruin, reserves, selection and attention against closed forms, all through the path a run takes.

The false-alarm rate that a docstring states is the chance that a correct program would have
failed under the seed chosen; see `checks`.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from scipy import optimize, stats

from configs.scenario import Scenario
from kernels.platform import CLOSURE_CAUSES
from tests.scenarios import (
    a_scenario,
    channel,
    flat_table,
    parameters,
    people,
    simulate,
    steep_table,
    unfold,
)
from tests.statistics.checks import (
    assert_binomial,
    assert_counts,
    assert_has_mean,
    assert_is_zero,
)
from tests.statistics.engines import simulate_members

pytestmark = pytest.mark.statistical

Floats = npt.NDArray[np.float64]

PER_YEAR = 12

# A closed group so large that nobody misses those who claim, and claims are Poisson.
CROWD = 100_000_000
CLAIMS = 2.0  # a period, on average


@pytest.mark.parametrize("cases", [0.05, 0.1, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("part", [1.0, 1 / 3], ids=["odd yuan", "fractions of a fen"])
def test_the_conditional_mean_charges_small_pools_what_they_cost(cases: float, part: float) -> None:
    """False alarm: 2 z-tests, 1e-6 together, for each of 10 pools, once by both engines.

    E[E[X | S]] = E[X], period by period, whoever is still there: what a group paid less what it was
    expected to cost has the mean 0. Two benefits without a common divisor, 25 people, of whom so
    many have a case in the first period.
    """
    rates = np.array([0.2, 1.0])
    heads = np.array([15, 10])
    level = cases * PER_YEAR / (heads @ rates)
    pool = a_scenario(
        periods=3,
        age_edges=(30, 45, 60),
        plans={
            "main": {
                "rule": "conditional_mean",
                "benefit": (
                    {"from_age": 0, "benefit_yuan": 50_021.0 * part},
                    {"from_age": 45, "benefit_yuan": 30_011.0 * part},
                ),
            }
        },
        claims={
            "incidence": steep_table([rates[int(age >= 45)] for age in range(106)]),
            "level": level,
        },
        initial_members=[people(15, age=40), people(10, age=50)],
    )
    histories = [simulate(pool, 71, 2_000)]
    if (cases, part) == (1.0, 1.0):
        histories.append(simulate_members(pool, 71, 500).history)
    for history in histories:
        cells = history.cells[:, 0][:, history.cells[0, 0]["exposure"] > 0]
        assert cells.shape[1] == 2
        assert_has_mean(cells["paid"] - cells["expected"], np.zeros(2))


UNIT = 500.0  # yuan, a mild case; a severe one is two units
STARTING_UNITS = 4.5  # money at first: between two units, so that rounding decides nothing


def a_crowd(plan: dict[str, Any], **changes: Any) -> Scenario:
    """A hundred million people of whom two a period fall ill, one of them severely."""
    return a_scenario(
        market_members=CROWD,
        plans={"main": {"benefit": ({"from_age": 0, "benefit_yuan": 2 * UNIT},), **plan}},
        claims={
            "incidence": flat_table(CLAIMS / CROWD * PER_YEAR),
            "severity": {
                "severe": {"probability": 0.5, "benefit_fraction": 1.0},
                "mild": {"probability": 0.5, "benefit_fraction": 0.5},
            },
        },
        initial_members=[people(CROWD)],
        **changes,
    )


def claims_in_units(most: int) -> Floats:
    """Law of a period's benefits in units: two for each severe case, one for each mild one."""
    law = np.zeros(most + 1)
    for severe in range(most // 2 + 1):
        mild = stats.poisson(CLAIMS / 2).pmf(np.arange(most + 1 - 2 * severe))
        law[2 * severe :] += stats.poisson(CLAIMS / 2).pmf(severe) * mild
    return law


def ruin_law(periods: int, income: int) -> Floats:
    """Probability of ruin in each period, and of none: money in units is 4.5 + income t - S_t.

    Whoever is not ruined has 0.5, 1.5, ... units left; a period adds the income and takes the
    claims away, and what falls below zero is ruined.
    """
    most = 60
    claims = claims_in_units(most)
    left = np.zeros(most + periods * income + 1)  # [k]: k + 0.5 units
    left[int(STARTING_UNITS)] = 1.0
    law = []
    for _ in range(periods):
        moved = np.zeros_like(left)
        for k in left.nonzero()[0]:
            for units, p in enumerate(claims):
                if k + income >= units:
                    moved[k + income - units] += left[k] * p
        law.append(left.sum() - moved.sum())
        left = moved
    return np.array([*law, left.sum()])


def closures(scenario: Scenario, seed: int, paths: int, cause: str) -> npt.NDArray[np.int64]:
    """Count the paths that close in each period for the cause, and those that do not."""
    ends = simulate(scenario, seed, paths).paths
    assert {CLOSURE_CAUSES[code] for code in ends["closure_cause"]} <= {"none", cause}
    period = np.where(ends["closure_period"] < 0, scenario.periods, ends["closure_period"])
    return np.bincount(period, minlength=scenario.periods + 1)


def test_a_fund_at_a_fixed_price_is_ruined_as_the_recursion_of_its_reserve_says() -> None:
    """False alarm: a chi-square over the period of ruin in 10 000 paths, 1e-6.

    Income of three units a period is what claims cost on average; benefits are whole units, so
    that the fund's recursion is one of whole numbers.
    """
    price = 3 * UNIT / CROWD * PER_YEAR
    plan = {"fixed_price_yuan_per_year": price, "reserve_yuan": STARTING_UNITS * UNIT}
    found = closures(a_crowd(plan), 51, 10_000, "ruin")
    assert_counts(found, ruin_law(12, 3))
    assert found[:-1].sum() > 4_000


def test_a_subsidised_start_up_is_insolvent_once_claims_exceed_its_capital() -> None:
    """False alarm: a chi-square over the period of insolvency in 10 000 paths, 1e-6.

    The platform pays all and nobody stands behind it: ruin without income, that is P(S_t > u) with
    S_t a compound Poisson sum. What the last period lacks is defaulted on, to the fen.
    """
    pool = a_crowd(
        {"platform_pays": [{"from_period": 0, "value": 1.0}]},
        platform={"funding_yuan": STARTING_UNITS * UNIT, "parent": False},
        periods=4,
    )
    law = ruin_law(4, 0)
    # three periods later: the convolution of their claims within 4 units
    claims = claims_in_units(4)
    three = np.convolve(np.convolve(claims, claims)[:5], claims)[:5]
    assert math.isclose(law[:3].sum(), 1.0 - three.sum(), rel_tol=1e-9)
    assert_counts(closures(pool, 52, 10_000, "insolvent"), law)
    history = simulate(pool, 52, 200)
    closed = history.paths["closure_period"] >= 0
    np.testing.assert_allclose(history.paths["platform_cash_end"][closed], 0.0, atol=1e-6)
    paid = history.rows["benefits"].sum((1, 2))[closed]
    np.testing.assert_allclose(paid, STARTING_UNITS * UNIT, rtol=1e-12)
    assert (history.rows["defaulted"].sum((1, 2))[closed] > 0.0).all()


def test_cells_show_what_equal_shares_make_one_group_pay_for_another() -> None:
    """False alarm: 2 z-tests, 1e-6 together.

    In one period n_g members of a group pay n_g m / N on average, m the expected benefits of all;
    what they would cost by themselves, n_g mu_g, is certain and stands beside it.
    """
    young, old, benefit = 3_000, 1_000, 500.0
    pool = a_scenario(
        periods=1,
        age_edges=(30, 45, 60),
        plans={"main": {"benefit": ({"from_age": 0, "benefit_yuan": benefit},)}},
        health={"standard": {"acceptance": 0.8}},
        claims={"incidence": steep_table([0.06 if age < 45 else 0.6 for age in range(106)])},
        initial_members=[people(young, age=40), people(old, age=50)],
    )
    cells = simulate(pool, 53, 4_000).cells[:, 0, [1, 3]]
    heads = np.array([young, old])
    cost = -np.expm1(-np.array([0.06, 0.6]) / PER_YEAR) * 0.8 * benefit
    np.testing.assert_allclose(cells["expected"], np.tile(heads * cost, (4_000, 1)), rtol=1e-12)
    assert (cells["exposure"] == heads).all()
    subsidy = heads * ((heads * cost).sum() / heads.sum() - cost)
    assert_has_mean(cells["paid"] - cells["expected"], subsidy)
    assert math.isclose(subsidy.sum(), 0.0, abs_tol=1e-9)
    assert subsidy[0] > 1_000.0


def test_incidence_rises_as_the_healthy_leave_first() -> None:
    """False alarm: a z-test in each of 12 periods, 7e-6 together.

    A class with the diagnosis probability q and the intensity of lapse r b keeps (1 - q) exp(-r b)
    of its members a period, so that the mean expected cost is known at any time. The mean of a
    ratio of counts is off by less than 1e-4 of it.
    """
    base, benefit, heads = 0.1, 1_000.0, np.array([50_000, 10_000])
    ratio, factor = np.array([1.0, 0.2]), np.array([1.0, 6.0])
    pool = a_scenario(
        market_members=60_000,
        motives={"member": {"lapse": {"base": base}}},
        health={
            name: {"incidence_factor": m, "lapse_ratio": r}
            for name, m, r in zip(("standard", "impaired"), factor, ratio, strict=True)
        },
        claims={"incidence": flat_table(0.03)},
        initial_members=[people(int(heads[0])), people(int(heads[1]), health="impaired")],
    )
    rows = simulate(pool, 54, 300).rows[:, :, 0]
    q = -np.expm1(-0.03 * factor / PER_YEAR)
    for period in range(12):
        here = heads * (1 - q) ** (period + 1) * np.exp(-base * ratio * period)
        mean = (here * q).sum() / here.sum() * benefit
        assert_has_mean(rows["expected_cost"][:, period], mean, slack=1e-4 * mean)
    assert rows["expected_cost"][:, 11].mean() > 1.3 * rows["expected_cost"][:, 0].mean()


# Eight types, the healthier the sooner they find it too dear: each a motive and an age band.
TYPES = 8
TYPE_RISK = 0.00002 * np.arange(1, TYPES + 1)  # probability of a diagnosis a period
TYPE_BURDEN = 4.0 / np.arange(1, TYPES + 1) ** 2


def test_a_pool_of_many_types_unravels_from_its_healthiest() -> None:
    """Tolerance: 10**5 cases a period and more give a share to five standard errors within 1.5e-2.

    With shares equal and intensities beta_i x / y a type keeps (1 - q_i) exp(-beta_i P x / y) of
    itself a period: the price x rises from the mean cost of all towards that of the most ill, the
    last that will stay (Akerlof 1970), and members of a type are fewer the healthier they are.
    """
    income, benefit, heads = 100.0, 10_000.0, 200_000_000
    pool = a_scenario(
        periods=60,
        periods_per_year=366,
        income_yuan_per_year=366.0 * income,
        market_members=TYPES * heads,
        age_edges=tuple(range(30, 31 + TYPES)),
        plans={
            "main": {
                "max_age": 29 + TYPES,
                "benefit": ({"from_age": 0, "benefit_yuan": benefit},),
            }
        },
        motives={
            "member": None,
            **{f"type{i}": {"lapse": {"burden": TYPE_BURDEN[i]}} for i in range(TYPES)},
        },
        claims={
            "incidence": steep_table(
                [*[0.0] * 30, *(-np.log1p(-TYPE_RISK)), *[0.0] * 68], first_age=0
            ),
            "level": 366.0,
        },
        initial_members=[people(heads, age=30 + i, motive=f"type{i}") for i in range(TYPES)],
    )
    *_, (state, _) = unfold(pool, 55, 0)
    rows = simulate(pool, 55).rows[0, :, 0]
    here, price = np.full(TYPES, float(heads)), []
    for _ in range(60):
        price.append((here * TYPE_RISK).sum() / here.sum() * benefit)
        here *= (1.0 - TYPE_RISK) * np.exp(-TYPE_BURDEN * price[-1] / income)
    np.testing.assert_allclose(rows["share"], price, rtol=1.5e-2)
    left = state.members[0].sum((0, 1)).max(1)
    np.testing.assert_allclose(left, here, rtol=1.5e-2)
    assert (np.diff(price) > 0.0).all()
    assert (np.diff(here) > 0.0).all()


class TwoTypes(NamedTuple):
    """People who cost little and dislike a dear share, and people who cost much and stay.

    Joins of a period J_i are steady. Who is well leaves with b + s (x - E)+ / E, who is ill with
    b_ill; x is the mean cost of those present, E what a share is expected to be.
    """

    joins: tuple[float, float] = (200_000.0, 109_000.0)
    risk: tuple[float, float] = (0.001, 0.02)
    base: tuple[float, float] = (0.01, 0.05)
    shock: float = 0.087
    expected: float = 3.0
    benefit: float = 1_000.0

    def leaving(self, price: float) -> tuple[float, float]:
        """Intensities of lapse at a price, per period."""
        gap = min(max(0.0, price / self.expected - 1.0), 5.0)
        return self.base[0] + self.shock * gap, self.base[1]

    def staying(self, price: float) -> Floats:
        """Part of each type that is there a period later."""
        return np.asarray((1.0 - np.array(self.risk)) * np.exp(-np.array(self.leaving(price))))

    def members(self, price: float) -> Floats:
        """Members after joining whom joins and lapses at this price leave unchanged."""
        return np.asarray(np.array(self.joins) / (1.0 - self.staying(price)))

    def mean_cost(self, members: Floats) -> float:
        return float((members * self.risk).sum() / members.sum() * self.benefit)

    def feedback(self, price: float) -> float:
        """AC(x): the mean cost of those who are left at the price x."""
        return self.mean_cost(self.members(price))

    def slope(self, price: float) -> float:
        """dAC/dx."""
        step = 1e-5
        return (self.feedback(price + step) - self.feedback(price - step)) / (2 * step)

    def scenario(self, price: float, periods: int) -> Scenario:
        """A pool that starts with the members that this price leaves."""
        market = 2_000_000_000
        kinds = (("well", "standard"), ("ill", "impaired"))
        # joins come first in a period
        start = self.members(price) - self.joins
        left = market - start.sum()
        return a_scenario(
            periods=periods,
            periods_per_year=366,
            market_members=market,
            plans={
                "main": {
                    "benefit": ({"from_age": 0, "benefit_yuan": self.benefit},),
                    "advertised_share_yuan": self.expected,
                }
            },
            motives={
                "member": None,
                "well": {
                    "education_speed": 0.0,
                    "lapse": {"base": self.base[0], "bill_shock": self.shock},
                },
                "ill": {"education_speed": 0.0, "lapse": {"base": self.base[1]}},
            },
            health={
                "standard": {},
                "impaired": {
                    "incidence_factor": math.log1p(-self.risk[1]) / math.log1p(-self.risk[0])
                },
            },
            claims={
                "incidence": flat_table(-math.log1p(-self.risk[0]) * 100),
                "level": 3.66,
            },
            channels={
                motive: channel(
                    push=[{"from_period": 0, "value": joins / left}],
                    motives={"member": None, motive: 1.0},
                    health={"standard": None, health: 1.0},
                )
                for (motive, health), joins in zip(kinds, self.joins, strict=True)
            },
            initial_members=[
                people(int(count), motive=motive, health=health, tenure_periods=9)
                for (motive, health), count in zip(kinds, start, strict=True)
            ],
        )


def test_a_price_settles_where_the_slope_of_mean_cost_is_below_one() -> None:
    """Tolerance: 5e4 cases a period give a share to 0.5 %, five standard errors are 2.5 %.

    Fixed points solve AC(x) = x. The members who are well follow n' = J - L(x(n)) n, whose slope at
    a fixed point is -L (1 - AC'(x)): it is stable where AC' < 1. Here three: without a shock, at
    the tipping price, and with most of the well gone. A pool started a tenth below or above the
    tipping price goes to the cheap or to the dear one.
    """
    types = TwoTypes()

    def surplus(price: float) -> float:
        return types.feedback(price) - price

    cheap, tipping, dear = (
        float(optimize.brentq(surplus, *bracket)) for bracket in ((2.0, 3.0), (3.05, 4.0), (9, 19))
    )
    assert types.slope(cheap) < 1e-6
    assert types.slope(tipping) > 1.0 > types.slope(dear) > 0.0
    for start, end in ((0.9 * tipping, cheap), (1.1 * tipping, dear)):
        share = simulate(types.scenario(start, 360), 56).rows["share"][0, :, 0]
        np.testing.assert_allclose(share[0], types.feedback(start), rtol=2.5e-2)
        np.testing.assert_allclose(share[-60:], end, rtol=2.5e-2)


def test_the_price_slope_of_a_row_is_that_of_mean_cost_over_a_year_of_leaving() -> None:
    """Tolerance: as above for the share; the slope follows from the counts of members.

    The row's slope P cov(cost, L') lets a dearer share act for a year. In the long run it acts for
    as long as members stay, 1 / L with L the part of the well who go a period: P cov = P L AC'(x)
    up to terms of the order of L. The row is of members whose claimants have left.
    """
    types = TwoTypes()
    for price in (3.2, 6.0, 14.0):
        row = simulate(types.scenario(price, 1), 57).rows[0, 0, 0]
        gone = 1.0 - types.staying(price)[0]
        found = row["price_slope"] / (366.0 * gone)
        # of a step of one period: d(1 - exp(-L)) = exp(-L) dL
        expected = types.slope(price) / types.staying(price)[0]
        before = types.members(price)
        after = before * (1.0 - np.array(types.risk))
        expected *= after.prod() / after.sum() ** 2 / (before.prod() / before.sum() ** 2)
        np.testing.assert_allclose(row["share"], types.feedback(price), rtol=2.5e-2)
        np.testing.assert_allclose(found, expected, rtol=5e-3)


@pytest.mark.parametrize(("eager", "sign"), [("standard", 1.0), ("impaired", -1.0)])
@pytest.mark.parametrize("engine", [simulate, simulate_members])
def test_the_largest_slope_of_a_path_has_the_sign_of_who_reacts(
    engine: Callable[..., Any], eager: str, sign: float
) -> None:
    """No false alarm: half of 20000 members have a case of 1000 yuan a period with probability
    0.0005, the other half with 0.001; all are charged alike. Those of one half leave for a burden
    of 0.1 of twelve shares over an income of 1000: L' = 0.0012. The halves change by less than 2 %
    in six periods, so that the slope is 12 * 0.5 * 0.0012 / 4 to 4 %.
    """
    other = "impaired" if eager == "standard" else "standard"
    pool = a_scenario(
        periods=6,
        income_yuan_per_year=1_000.0,
        motives={"member": None, "eager": {"lapse": {"burden": 0.1}}, "calm": {}},
        health={"standard": {}, "impaired": {"incidence_factor": 2.0}},
        claims={"incidence": flat_table(0.006)},
        initial_members=[
            people(10_000, motive="eager", health=eager),
            people(10_000, motive="calm", health=other),
        ],
    )
    history = engine(pool, 58)
    history = getattr(history, "history", history)
    slopes = history.rows["price_slope"][0, :, 0]
    np.testing.assert_allclose(slopes, sign * 12 * 0.5 * 0.0012 / 4, rtol=4e-2)
    assert history.paths["price_slope_max"][0] == slopes.max()
    assert history.pools["price_slope_max"][0, 0] == slopes.max()


def test_a_cap_per_case_binds_only_in_a_plan_too_small_to_pay_a_case() -> None:
    """No false alarm: a case costs each of n members benefit (1 + fee) / n, above a cap of 2 yuan
    only where n is below 1000 * 1.08 / 2 = 540.
    """
    for members, capped in ((539, True), (540, False), (541, False)):
        pool = a_scenario(
            periods=1,
            plans={"main": {"fee_rate": 0.08, "caps": {"per_case_yuan": 2.0}}},
            claims={"incidence": flat_table(0.06)},
            initial_members=[people(members)],
        )
        rows = simulate(pool, 58, 50).rows[:, 0, 0]
        some = rows["cases"] > 0
        assert 20 < some.sum() < 50
        most = min(2.0, 1080.0 / members)
        np.testing.assert_allclose(rows["share"], most * rows["cases"], rtol=1e-12)
        assert (rows["subsidy"][some] > 1e-9).all() == capped
        assert (rows["subsidy"][some] > 1e-9).any() == capped


def test_smoothing_leaves_a_part_of_the_variance_of_costs() -> None:
    """False alarm: 3 z-tests in each of 2 pools, 4e-6 together.

    y' = f y + (1 - f) x of independent costs x has the variance (1 - f)^2 / (1 - f^2) = (1 - f) /
    (1 + f) times theirs, and f times that as covariance from period to period, as long as the
    reserve lasts; the start has been forgotten up to f^60 < 1e-9. Costs are compound Poisson: the
    variance is the claims' rate times their mean square, 2 * (1 + 4) / 2 units^2.
    """
    periods, unit = 61, UNIT / CROWD
    for f, seed in ((0.7, 59), (0.3, 60)):
        plan = {"smoothing": {"persistence": f}, "reserve_yuan": 1e9, "advertised_share_yuan": unit}
        rows = simulate(a_crowd(plan, periods=periods, periods_per_year=366), seed, 2_000)
        # as many periods a year as there are days: claims are as rare
        year = PER_YEAR / 366
        share = rows.rows["share"][:, :, 0] / unit
        here, last = share[:, -1] - 3.0 * year, share[:, -2] - 3.0 * year
        variance = 5.0 * year * (1.0 - f) / (1.0 + f)
        assert_has_mean(here, 0.0)
        assert_has_mean(here**2, variance)
        assert_has_mean(here * last, f * variance)
        assert rows.rows["reserve"].min() > 0.0


def test_the_common_shock_is_a_stationary_log_normal_of_mean_one() -> None:
    """False alarm: 3 z-tests in each of 4 periods, and one of cases, 8e-6 together.

    log Z is normal with variance v^2 and correlation r from period to period, so that E Z_s Z_t =
    exp(v^2 r^|s-t|): the variance is exp(v^2) - 1, the covariance exp(v^2 r) - 1. Given Z, cases of
    the first period are binomial with q = 1 - exp(-hazard Z).
    """
    v, r, members, rate = 0.5, 0.6, 1_000, 0.6
    pool = a_scenario(
        claims={
            "common_shock": {"volatility": v, "persistence": r},
            "incidence": flat_table(rate),
        },
        initial_members=[people(members)],
    )
    rows = simulate(pool, 61, 8_000).rows[:, :, 0]
    shock = rows["shock"] - 1.0
    for period in (0, 1, 4, 11):
        assert_has_mean(shock[:, period], 0.0)
        assert_has_mean(shock[:, period] ** 2, math.expm1(v * v))
        if period > 0:
            assert_has_mean(shock[:, period] * shock[:, period - 1], math.expm1(v * v * r))
    q = -np.expm1(-rate / PER_YEAR * rows["shock"][:, 0])
    assert_is_zero((rows["cases"][:, 0] - members * q).sum(), (members * q * (1 - q)).sum())


def test_incidence_rises_with_its_trend() -> None:
    """False alarm: a z-test of the cases of 4 years, 2e-6 together.

    (1 + trend)^(t / P): a tenth a year more; who has claimed is gone, below 4e-3 of members.
    """
    members, rate, trend = 100_000, 1e-3, 0.1
    pool = a_scenario(
        periods=48,
        age_edges=tuple(range(30, 61)),
        market_members=members,
        claims={"incidence": flat_table(rate), "trend_per_year": trend},
        initial_members=[people(members, age=35)],
    )
    cases = simulate(pool, 62, 300).rows["cases"][:, :, 0].reshape(300, 4, 12).sum(2)
    within = (1 + trend) ** (np.arange(12) / 12)
    law = members * rate / 12 * within.sum() * (1 + trend) ** np.arange(4)
    assert_has_mean(cases / law, 1.0, slack=5e-3)


@pytest.mark.parametrize(("slope", "heard"), [(0.0, 0.0), (0.8, 1.5)])
def test_only_who_reads_his_bill_leaves_over_it(slope: float, heard: float) -> None:
    """False alarm: 3 chi-squares in each of 2 cases, 6e-6 together.

    Of members with attention a a part A = a + (1 - a)(1 - exp(-alpha news)) reads; of these
    1 - exp(-(b + L)) leave, b the base intensity, L that of the burden, and of the others 1 -
    exp(-b). News of a period are heard in the next.
    """
    a, base, burden, members, paths = 0.3, 0.05, 0.8, 60, 6_000
    pool = a_scenario(
        periods=2,
        attention_slope=slope,
        income_yuan_per_year=1_200.0,
        plans={"main": {"custody_yuan_per_member_year": 1_200.0}},
        motives={"member": {"attention": a, "lapse": {"base": base, "burden": burden}}},
        news={"jumps": [{"period": 0, "size": heard}] if heard else []},
        initial_members=[people(members)],
    )
    rows = simulate(pool, 63, paths).rows[:, :, 0]
    quiet, alert = -math.expm1(-base), -math.expm1(-base - burden)

    def law(reads: float) -> tuple[float, float]:
        """Probabilities of leaving for the burden, and of leaving at all."""
        return reads * alert * burden / (base + burden), reads * alert + (1 - reads) * quiet

    by_burden, at_all = law(a)
    assert_binomial(rows["lapses_burden"][:, 0], members, by_burden)
    assert_binomial(rows["lapses"][:, 0], members, at_all)
    # in the second period members differ from path to path
    by_burden, at_all = law(a - (1 - a) * math.expm1(-slope * heard))
    left = rows["members"][:, 0]
    outcomes = [rows["lapses_burden"], rows["lapses_base"], rows["members"]]
    law_of_one = np.array([by_burden, at_all - by_burden, 1.0 - at_all])
    assert_counts([column[:, 1].sum() for column in outcomes], law_of_one)
    assert left.sum() == sum(column[:, 1].sum() for column in outcomes)


def test_attention_wakes_over_a_jump_of_the_share() -> None:
    """False alarm: a z-test, 6e-7.

    Nobody reads his bill without cause. A share that rises by j wakes 1 - exp(-alpha j), who then
    leave over its growth with 1 - exp(-g ln(1 + j)).
    """
    alpha, growth, wait = 1.2, 0.9, 50
    pool = a_scenario(
        periods=2,
        market_members=3_000,
        attention_slope=alpha,
        plans={"main": {"wait_periods": wait, "custody_yuan_per_member_year": 12.0}},
        motives={"member": {"attention": 0.0, "lapse": {"growth": growth}}},
        channels={"late": channel(push=[{"from_period": 1, "value": 1_000.0}])},
        initial_members=[people(2_000, tenure_periods=wait)],
    )
    rows = simulate(pool, 64, 400).rows[:, :, 0]
    np.testing.assert_allclose(rows["share"], np.tile([1.0, 1.5], (400, 1)), rtol=1e-12)
    assert not rows["lapses"][:, 0].any()
    p = math.expm1(-alpha * 0.5) * math.expm1(-growth * math.log(1.5))
    assert_binomial(rows["lapses_growth"][:, 1], 2_000, p)


def test_a_gap_within_the_dead_zone_moves_nobody() -> None:
    """False alarm: a chi-square, 1e-6: a fifth above what was expected is noticed, or not."""
    shock, members = 2.0, 100
    for dead_zone, moved in ((0.19, True), (0.21, False)):
        pool = a_scenario(
            periods=1,
            dead_zone=dead_zone,
            plans={"main": {"custody_yuan_per_member_year": 14.4}},
            motives={"member": {"lapse": {"bill_shock": shock}}},
            initial_members=[people(members)],
        )
        lapses = simulate(pool, 65, 2_000).rows["lapses_bill_shock"][:, 0, 0]
        if moved:
            assert_binomial(lapses, members, -math.expm1(-shock * 0.2))
        else:
            assert not lapses.any()


def test_loyalty_lets_survival_level_off() -> None:
    """False alarm: 3 chi-squares, 3e-6.

    With intensity b exp(-l t / P) in the t-th period of membership the survival after n periods is
    exp(-b (1 - d^n) / (1 - d)), d = exp(-l / P): a part never leaves.
    """
    base, loyalty, members = 0.2, 3.0, 60
    pool = a_scenario(
        periods=36,
        age_edges=tuple(range(30, 61)),
        loyalty_per_year=loyalty,
        motives={"member": {"lapse": {"base": base}}},
        initial_members=[people(members)],
    )
    rows = simulate(pool, 66, 2_500).rows[:, :, 0]
    d = math.exp(-loyalty / PER_YEAR)
    for n in (1, 10, 36):
        survival = math.exp(-base * (1.0 - d**n) / (1.0 - d))
        assert_binomial(rows["members"][:, n - 1], members, survival)


def test_health_classes_leave_in_the_ratio_of_their_intensities() -> None:
    """False alarm: 2 chi-squares, 2e-6.

    exp(-r b n) of a class are left after n periods.
    """
    base, members, paths = 0.1, 40, 2_000
    pool = a_scenario(
        periods=4,
        motives={"member": {"lapse": {"base": base}}},
        health={"standard": {}, "impaired": {"lapse_ratio": 0.3}},
        initial_members=[people(members), people(members, health="impaired")],
    )
    left = np.zeros((paths, 2), np.int64)
    for path in range(paths):
        *_, (state, _) = unfold(pool, 67, path)
        left[path] = state.members[0].sum((0, 1, 2))[[1, 3]]
    for column, ratio in enumerate((1.0, 0.3)):
        assert_binomial(left[:, column], members, math.exp(-ratio * base * 4))


def test_donors_become_members_and_every_sign_up_is_paid_for() -> None:
    """False alarm: 2 z-tests, 1e-6 together; the ledger follows from the joins.

    Appeals times donors times conversion join in expectation as long as they are few beside the
    market: of M people 1 - exp(-a) with a = appeals donors conversion / M. Of the sign-ups a fifth
    are nobody; they are paid for and given red packets like the others, and leave the market alone.
    """
    market, joins = 1_000_000, 300 * 5.0 * 0.4
    funnel = {
        "appeals": [{"from_period": 0, "value": 300.0}],
        "donors_per_appeal": 5.0,
        "conversion": 0.4,
    }
    pool = a_scenario(
        periods=2,
        market_members=market,
        channels={
            "crowdfunding": channel(
                funnel=funnel, padding=0.2, acquisition_yuan_per_join=12.5, red_packet_yuan=0.25
            )
        },
    )
    rows = simulate(pool, 68, 1_000).rows[:, :, 0]
    assert_has_mean(rows["joins"][:, 0], market * -math.expm1(-joins / market))
    np.testing.assert_array_equal(rows["acquisition"], 12.5 * rows["joins"])
    np.testing.assert_array_equal(rows["red_packets"], 0.25 * rows["joins"])
    spent = np.cumsum(rows["acquisition"] + rows["red_packets"], 1)
    np.testing.assert_array_equal(rows["platform_cash"], -spent)
    people_left = []
    for path in range(100):
        state, row = next(iter(unfold(pool, 68, path)))
        people_left.append((market - state.market["market_left"][0]) - 0.8 * row["joins"][0])
    assert_has_mean(people_left, 0.0)
    assert parameters(pool).push[0, 0] == joins / market


def test_balances_are_topped_up_in_step_by_those_who_joined_together() -> None:
    """False alarm: 2 chi-squares, 2e-6; when, and how much, is certain.

    A deposit of 5 yuan bears three charges of 1 yuan before the fourth takes it below 2: then each
    member tops it up to 5 again with probability u, or leaves with the yuan that is left.
    """
    u, at_first, later = 0.8, 60, 40
    pool = a_scenario(
        periods=8,
        market_members=at_first + later,
        tenure={"bands": 12},
        plans={
            "main": {
                "custody_yuan_per_member_year": 12.0,
                "prepaid": {"deposit_yuan": 5.0, "low_balance_yuan": 2.0, "top_up": u},
            }
        },
        channels={"late": channel(push=[{"from_period": 2, "value": 1_000.0}])},
        initial_members=[people(at_first)],
    )
    rows = simulate(pool, 69, 4_000).rows[:, :, 0]
    gone = rows["lapses_balance_exhausted"]
    assert (rows["joins"] == [0, 0, later, 0, 0, 0, 0, 0]).all()
    assert not gone[:, [0, 1, 2, 4, 6]].any()
    assert_binomial(gone[:, 3], at_first, 1 - u)
    assert_binomial(gone[:, 5], later, 1 - u)
    assert_has_mean(gone[:, 7] - (1 - u) * (at_first - gone[:, 3]), 0.0)
    paid_in = np.zeros(gone.shape)
    paid_in[:, 2] = later * 5.0
    paid_in[:, 3] = (at_first - gone[:, 3]) * 4.0
    paid_in[:, 5] = (later - gone[:, 5]) * 4.0
    paid_in[:, 7] = (at_first - gone[:, 3] - gone[:, 7]) * 4.0
    np.testing.assert_allclose(rows["paid_in"], paid_in, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(rows["paid_back"], gone * 1.0, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(rows["share"], 1.0, rtol=1e-12)


def test_an_order_to_close_comes_after_an_exponential_time() -> None:
    """False alarm: a chi-square over the period of closure, 1e-6: exp(-h t / P) are left."""
    hazard, periods = 1.5, 12
    pool = a_scenario(
        closure={"regulation_hazard": [{"from_period": 2, "value": hazard}]},
        initial_members=[people(10)],
    )
    chance = -math.expm1(-hazard / PER_YEAR)
    law = np.zeros(periods + 1)
    law[2:periods] = chance * (1 - chance) ** np.arange(periods - 2)
    law[periods] = 1.0 - law.sum()
    found = closures(pool, 70, 10_000, "regulation")
    assert not found[:2].any()
    assert_counts(found[2:], law[2:])
