"""One mechanism at a time against its law, through the path a run takes.

The false-alarm rate that a docstring states is the chance that a correct program would have
failed under the seed chosen; see `checks`.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from configs.scenario import Scenario
from kernels.platform import CLOSURE_CAUSES
from tests.scenarios import (
    Fields,
    Rows,
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

pytestmark = pytest.mark.statistical

Floats = npt.NDArray[np.float64]

COMPETING = (
    *("base", "first_bill", "bill_shock", "growth", "burden"),
    *("news", "competitor", "regulation", "died"),
)
PRICE_CAUSES = ("first_bill", "bill_shock", "growth", "burden")
STRENGTH = {
    "base": 0.02,
    "first_bill": 0.05,
    "bill_shock": 0.03,
    "growth": 0.1,
    "burden": 0.4,
    "news": 0.03,
    "competitor": 0.02,
    "regulation": 0.06,
}
DEATHS = 0.24
PER_YEAR, INCOME, ADVERTISED, EDUCATION = 12, 1200.0, 6.0, 0.4


def a_pool_that_leaves(mortality: Fields | None) -> Scenario:
    """A pool whose only cost is custody, so that what every cause acts on stands in the rows.

    In period 3 the rest of the market joins and waits: custody and share rise.
    """
    return a_scenario(
        periods=6,
        market_members=5_000,
        income_yuan_per_year=INCOME,
        plans={
            "main": {
                "wait_periods": 30,
                "custody_yuan_per_member_year": 120.0,
                "advertised_share_yuan": ADVERTISED,
            }
        },
        motives={"member": {"education_speed": EDUCATION, "lapse": STRENGTH}},
        claims={"mortality": mortality},
        channels={"late": channel(push=[{"from_period": 3, "value": 1000.0}])},
        competitor_pull=[{"from_period": 1, "value": 1.5}],
        regulator_announcements=[2, 4],
        news={"base": 0.5, "persistence": 0.5, "size": 1.0},
        initial_members=[people(3_000, tenure_periods=40)],
    )


class Expected(NamedTuple):
    """Lapses of one period expected given the rows, and their variance: float64[paths, 9]."""

    mean: Floats
    variance: Floats


def intensities(rows: Rows, period: int, mortality: float) -> dict[str, Floats]:
    """Intensity of each cause on those billed, from what the rows say of the past: [paths]."""
    zero = np.zeros(len(rows))
    share = rows["share"][:, period]
    before = rows["share"][:, period - 1] if period > 0 else zero
    expected = rows["expectation"][:, period - 1] if period > 0 else zero + ADVERTISED
    heard = rows["news"][:, period - 1] if period > 0 else zero
    growth = np.log(share / before) if period > 0 else zero
    drivers = {
        "base": zero + 1.0,
        "first_bill": zero + float(period == 0),
        "bill_shock": np.maximum(0.0, share / expected - 1.0),
        "growth": np.maximum(0.0, growth),
        "burden": share * PER_YEAR / INCOME,
        "news": heard,
        "competitor": zero + 1.5 * float(period >= 1),
        "regulation": zero + float(period in (2, 4)),
    }
    by_cause = {cause: STRENGTH[cause] * driver for cause, driver in drivers.items()}
    return {**by_cause, "died": zero + mortality}


def leaving(members: Floats, by_cause: dict[str, Floats]) -> Expected:
    """Compete: leave with 1 - exp(-L), for cause i with L_i / L."""
    rates = np.array([by_cause[cause] for cause in COMPETING]).T
    total = rates.sum(1, keepdims=True)
    p = -np.expm1(-total) * rates / total
    return Expected(members[:, None] * p, members[:, None] * p * (1.0 - p))


@pytest.mark.parametrize("mortality", [0.0, DEATHS], ids=["nobody dies", "some die"])
def test_causes_of_lapse_compete_in_proportion_to_their_intensities(mortality: float) -> None:
    """False alarm: 9 causes in 6 periods, 54 z-tests, 4e-5 together, for each of 2 pools.

    Given the rows so far, the lapses of a period by cause are multinomial, so observed less
    expected adds up over paths with the variances.
    """
    table = flat_table(mortality) if mortality else None
    rows = simulate(a_pool_that_leaves(table), 21, 400).rows[:, :, 0]
    for period in range(6):
        now = rows[:, period]
        observed = np.array([now[f"lapses_{cause}"] for cause in COMPETING], np.float64).T
        waiting = now["members"] + now["lapses"] - now["payers"]
        by_cause = intensities(rows, period, mortality / PER_YEAR)
        billed = leaving(now["payers"].astype(np.float64), by_cause)
        unbilled = {cause: rate * (cause not in PRICE_CAUSES) for cause, rate in by_cause.items()}
        others = leaving(waiting.astype(np.float64), unbilled)
        surplus = (observed - billed.mean - others.mean).sum(0)
        assert_is_zero(surplus, (billed.variance + others.variance).sum(0))
    assert rows["share"][:, 3].min() > rows["share"][:, 2].max()


@pytest.mark.parametrize("trivial_share", [0.0, 100.0])
def test_a_first_bill_is_felt_once_by_those_who_have_waited(trivial_share: float) -> None:
    """False alarm: a z-test in each of 8 periods, 5e-6 together; none where bills are trivial.

    Who joined `wait` periods ago is billed for the first time, among the others of his stage.
    """
    wait, strength = 2, 0.7
    pool = a_scenario(
        periods=8,
        plans={
            "main": {
                "wait_periods": wait,
                "custody_yuan_per_member_year": 120.0,
                "trivial_share_yuan": trivial_share,
            }
        },
        motives={"member": {"lapse": {"first_bill": strength}}},
        market_members=20_000,
        channels={"organic": channel(push=[{"from_period": 0, "value": 0.02}])},
        initial_members=[people(300, tenure_periods=wait)],
    )
    rows = simulate(pool, 37, 500).rows[:, :, 0]
    if trivial_share > rows["share"].max():
        assert not rows["lapses"].any()
        return
    p = -math.expm1(-strength)
    for period in range(8):
        new = rows["joins"][:, period - wait] * float(period >= wait) + 300.0 * (period == 0)
        surplus = rows["lapses_first_bill"][:, period] - new * p
        # drawn as so many of the whole stage: a binomial's variance is below its mean
        assert_is_zero(surplus.sum(), (new * p).sum())


def test_joins_are_deterred_by_price_and_news_and_drawn_by_members() -> None:
    """False alarm: a z-test in each of 7 periods, 4e-6 together.

    Given the rows so far, joins are binomial of the market that is left.
    """
    market, push, imitation, eta, nu = 20_000, 0.01, 0.3, 3.0, 0.15
    pool = a_scenario(
        periods=8,
        market_members=market,
        income_yuan_per_year=1_000.0,
        joining={"price_sensitivity": eta, "news_sensitivity": nu},
        channels={
            "push": channel(push=[{"from_period": 0, "value": push}]),
            "word": channel(word_of_mouth=imitation),
        },
        claims={"incidence": flat_table(0.2)},
        news={"base": 1.0, "persistence": 0.5},
        initial_members=[people(2_000)],
    )
    rows = simulate(pool, 38, 800).rows[:, :, 0]
    left = market - 2_000 - np.cumsum(rows["joins"], 1)
    for period in range(1, 8):
        before = rows[:, period - 1]
        price = np.exp(-eta * before["billed"] / before["payers"] * PER_YEAR / 1_000.0)
        attraction = price * np.maximum(0.0, 1.0 - nu * before["news"])
        intensity = (push + imitation * before["members"] / market) * attraction
        p = -np.expm1(-intensity)
        mean = left[:, period - 1] * p
        assert_is_zero((rows["joins"][:, period] - mean).sum(), (mean * (1 - p)).sum())


def test_each_channel_brings_its_own_people() -> None:
    """False alarm: a chi-square over 2 plans, 2 motives, 2 classes and 2 bands, 1e-6."""
    young = {"from_age": 30, "to_age": 44, "male": 0.0, "female": 1.0}
    grown = {"from_age": 40, "to_age": 49, "male": 0.4, "female": 0.6}
    pool = a_scenario(
        periods=1,
        age_edges=(30, 45, 60),
        plans={
            "other": {
                "max_age": 59,
                "benefit": ({"from_age": 0, "benefit_yuan": 1.0},),
                "advertised_share_yuan": 1.0,
            }
        },
        motives={"second": {}},
        health={"standard": {}, "impaired": {}},
        channels={
            "one": channel(
                push=[{"from_period": 0, "value": 0.03}],
                ages=(young,),
                motives={"member": 0.2, "second": 0.8},
                health={"standard": 0.7, "impaired": 0.3},
            ),
            "two": channel(
                plan="other",
                push=[{"from_period": 0, "value": 0.01}],
                ages=(grown,),
                motives={"member": 1.0},
                health={"standard": 0.1, "impaired": 0.9},
            ),
        },
    )
    (state, rows), *_ = unfold(pool, 39, 0)
    law = np.zeros((2, 2, 2, 2, 2))  # plan, motive, health, band, sex
    for motive, p in ((0, 0.2), (1, 0.8)):
        for health, q in ((0, 0.7), (1, 0.3)):
            law[0, motive, health, 0, 1] = 0.75 * p * q
    for health, q in ((0, 0.1), (1, 0.9)):
        law[1, 0, health] = 0.25 * q * 0.5 * np.array([0.4, 0.6])
    found = state.members.sum((1, 2)).reshape(law.shape)
    assert not found[law == 0.0].any()
    assert_counts(found[law > 0.0], law[law > 0.0])
    assert_is_zero(rows["joins"].sum() - 1e6 * -math.expm1(-0.04), 1e6 * 0.04)


def test_expectations_learn_a_fixed_part_of_the_gap() -> None:
    """No false alarm: each row follows from the one before, to rounding."""
    rows = simulate(a_pool_that_leaves(None), 22, 5).rows[:, :, 0]
    before = np.column_stack([np.full(5, ADVERTISED), rows["expectation"][:, :-1]])
    learnt = before + EDUCATION * (rows["share"] - before)
    np.testing.assert_allclose(rows["expectation"], learnt, rtol=1e-14)


def test_self_exciting_news_has_the_moments_of_its_recursion() -> None:
    """False alarm: 3 z-tests in each of 5 periods, 1e-5 together.

    With X' = r X + s K + o, K Poisson(m + e X), f = r + s e: the mean moves by f x + s m + o and
    the variance by f^2 v + s^2 (m + e x); in the long run x = (s m + o)/(1 - f), v = s^2 (m + e x)/
    (1 - f^2). Successive values have the covariance f v.
    """
    r, s, m, e = 0.5, 0.7, 0.4, 0.3
    f, jump, when = r + s * e, 3.0, 10
    pool = a_scenario(
        periods=40,
        news={
            **{"persistence": r, "size": s, "base": m, "echo": e},
            "jumps": [{"period": when, "size": jump}],
        },
    )
    news = simulate(pool, 23, 6_000).rows["news"][:, :, 0]
    mean, variance = 0.0, 0.0
    for period in range(40):
        last_mean, last_variance = mean, variance
        variance = f * f * variance + s * s * (m + e * mean)
        mean = f * mean + s * m + (jump if period == when else 0.0)
        if period in (1, 10, 11, 20, 39):
            here, last = news[:, period] - mean, news[:, period - 1] - last_mean
            assert_has_mean(here, 0.0)
            assert_has_mean(here**2, variance)
            assert_has_mean(here * last, f * last_variance)
    assert math.isclose(mean, s * m / (1 - f), rel_tol=1e-3)
    assert math.isclose(variance, s * s * (m + e * mean) / (1 - f * f), rel_tol=1e-3)


def test_news_breaks_out_over_disputes_jumps_of_the_share_and_success() -> None:
    """False alarm: a z-test in each of 5 periods, 3e-6 together.

    Given the rows, the events of a period are Poisson.
    """
    pool = a_scenario(
        periods=6,
        market_members=10_000,
        health={"standard": {"acceptance": 0.5}},
        claims={"incidence": flat_table(0.2), "dispute_probability": 0.5},
        initial_members=[people(2_000)],
        news={"per_dispute": 0.2, "per_share_jump": 0.5, "per_market_share": 2.0},
    )
    rows = simulate(pool, 24, 2_000).rows[:, :, 0]
    for period in range(1, 6):
        now, before = rows[:, period], rows[:, period - 1]
        rise = np.maximum(0.0, now["share"] / before["share"] - 1.0)
        success = now["members"] / 10_000
        mean = 0.2 * now["disputes"] + 0.5 * np.minimum(rise, 5.0) + 2.0 * success
        assert_is_zero((now["news"] - mean).sum(), mean.sum())


def a_pool_of_two_ages(rule: str) -> Scenario:
    """Young members who seldom fall ill, older ones who often do and get less."""
    return a_scenario(
        periods=5,
        age_edges=(30, 45, 60),
        plans={
            "main": {
                "rule": rule,
                "benefit": (
                    {"from_age": 0, "benefit_yuan": 300.0},
                    {"from_age": 45, "benefit_yuan": 100.0},
                ),
            }
        },
        health={"standard": {"acceptance": 0.9}},
        claims={
            "incidence": steep_table([0.12 if age < 45 else 0.9 for age in range(106)]),
            "severity": {
                "severe": {"probability": 0.6, "benefit_fraction": 1.0},
                "mild": {"probability": 0.4, "benefit_fraction": 0.3},
            },
        },
        initial_members=[people(80, age=40), people(40, age=50)],
    )


def gains(pool: Scenario, seed: int, paths: int) -> Floats:
    """What each group paid less what it received in a period, yuan: float64[paths, T, G]."""
    benefit = parameters(pool).benefit[0]
    fraction = parameters(pool).fraction
    found = np.zeros((paths, pool.periods, benefit.size))
    for path in range(paths):
        for period, (state, _) in enumerate(unfold(pool, seed, path)):
            paid = (state.payers[0] * state.charge[0]).sum(0)
            received = (state.accepted[0] * fraction).sum(1) * benefit
            found[path, period] = paid - received
    return found


def test_the_expected_rule_is_fair_to_every_group() -> None:
    """False alarm: a z-test for each of 2 groups in 5 periods, 6e-6 together.

    Without fee and delay each group pays, in expectation and given the past, what it receives.
    """
    paid_in_excess = gains(a_pool_of_two_ages("expected"), 25, 400)[:, :, [1, 3]]
    assert_has_mean(paid_in_excess, 0.0)


def test_equal_shares_subsidise_by_the_mean_cost_less_one_s_own() -> None:
    """False alarm: 2 z-tests, 1e-6 together.

    In the first period, before anybody has left, a group of n_g members pays n_g (m/N - mu_g)
    too much: m is the expected cost of all, mu_g that of a member.
    """
    size = 0.6 + 0.4 * 0.3
    young = -math.expm1(-0.12 / 12) * 0.9 * 300.0 * size
    old = -math.expm1(-0.9 / 12) * 0.9 * 100.0 * size
    mean = (80 * young + 40 * old) / 120
    paid_in_excess = gains(a_pool_of_two_ages("equal"), 26, 600)[:, 0, [1, 3]]
    assert_has_mean(paid_in_excess, [80 * (mean - young), 40 * (mean - old)])
    assert paid_in_excess.mean(0)[0] > 50.0


def digits_of(benefits: Floats) -> npt.NDArray[np.int64]:
    """Read cases by severity off a sum of benefits of 10**6, 10**3 and 1 yuan."""
    whole = np.round(benefits).astype(np.int64)
    return np.stack([whole // 10**6, whole // 10**3 % 10**3, whole % 10**3], axis=-1)


def test_cases_fall_into_severities_by_their_probabilities() -> None:
    """False alarm: a chi-square, 1e-6; the benefits of a period name its cases."""
    chances = {"severe": (0.5, 1.0), "moderate": (0.3, 1e-3), "mild": (0.2, 1e-6)}
    pool = a_scenario(
        periods=4,
        plans={"main": {"benefit": ({"from_age": 0, "benefit_yuan": 1e6},)}},
        claims={
            "incidence": flat_table(0.6),
            "severity": {
                name: {"probability": p, "benefit_fraction": fraction}
                for name, (p, fraction) in chances.items()
            },
        },
        initial_members=[people(500)],
    )
    rows = simulate(pool, 27, 1_000).rows[:, :, 0]
    cases = digits_of(rows["benefits"])
    np.testing.assert_array_equal(cases.sum(-1), rows["cases"])
    assert_counts(cases.sum((0, 1)), [0.5, 0.3, 0.2])


def test_reports_come_in_after_their_delay() -> None:
    """False alarm: a chi-square, 1e-6: everybody is diagnosed in the first period."""
    delay = (0.1, 0.0, 0.4, 0.3, 0.2)
    pool = a_scenario(
        periods=8,
        claims={"incidence": flat_table(1.0), "level": 1e4, "report_delay": delay},
        initial_members=[people(100)],
    )
    rows = simulate(pool, 28, 500).rows[:, :, 0]
    assert (rows["diagnoses"][:, 0] == 100).all()
    assert not rows["cases"][:, 5:].any()
    reported = rows["cases"].sum(0)[:5]
    assert_counts(reported[[0, 2, 3, 4]], [0.1, 0.4, 0.3, 0.2])
    assert reported[1] == 0


def test_claims_are_rejected_and_disputed_by_their_probabilities() -> None:
    """False alarm: 2 chi-squares, 2e-6."""
    pool = a_scenario(
        periods=1,
        health={"standard": {"acceptance": 0.7, "leaves_on_rejection": True}},
        claims={"incidence": flat_table(1.0), "level": 1e4, "dispute_probability": 0.4},
        initial_members=[people(50)],
    )
    rows = simulate(pool, 29, 5_000).rows[:, 0, 0]
    assert_binomial(rows["rejections"], 50, 0.3)
    assert_binomial(rows["disputes"], 50, 0.3 * 0.4)
    np.testing.assert_array_equal(rows["lapses_rejected"], rows["rejections"])


def test_bills_fail_and_members_go_after_their_grace() -> None:
    """False alarm: a chi-square in each of 5 periods, 5e-6.

    A member is gone once three bills in succession have failed: a Markov chain of four states.
    """
    fails, members, grace = 0.4, 40, 3
    pool = a_scenario(
        periods=7,
        plans={"main": {"custody_yuan_per_member_year": 12.0, "grace_failures": grace}},
        motives={"member": {"payment_failure": fails}},
        initial_members=[people(members)],
    )
    rows = simulate(pool, 30, 4_000).rows[:, :, 0]
    late = np.array([1.0, 0.0, 0.0])
    for period in range(7):
        late = np.array([(1 - fails) * late.sum(), fails * late[0], fails * late[1]])
        if period >= grace - 1:
            assert_binomial(rows["members"][:, period], members, late.sum())
    assert (rows["members"][:, : grace - 1] == members).all()


def test_an_order_to_close_comes_at_a_constant_hazard() -> None:
    """False alarm: a chi-square, 1e-6: the period of closure is geometric from the start on."""
    hazard, start, periods, paths = 1.2, 3, 40, 12_000
    pool = a_scenario(
        periods=periods,
        closure={"regulation_hazard": [{"from_period": start, "value": hazard}]},
    )
    ends = simulate(pool, 31, paths).paths
    p = -math.expm1(-hazard / 12)
    law = [p * (1 - p) ** (t - start) for t in range(start, periods)]
    closed = ends["closure_period"][ends["closure_period"] >= 0]
    assert (closed >= start).all()
    seen = np.bincount(closed - start, minlength=periods - start)
    assert_counts([*seen, paths - closed.size], [*law, (1 - p) ** (periods - start)])
    causes = {CLOSURE_CAUSES[code] for code in ends["closure_cause"]}
    assert causes == {"none", "regulation"}


HAZARD, LEAVING, START, DECAY = 0.02 / 24, 0.01, 0.1, math.exp(-1.0 / 12.0)


def a_growing_pool(wait: int, tenure: dict[str, int]) -> Scenario:
    """Members join throughout, selection wears off in half a year, a few leave evenly."""
    return a_scenario(
        periods=24,
        periods_per_year=24,
        market_members=200_000,
        tenure=tenure,
        plans={"main": {"wait_periods": wait}},
        motives={"member": {"lapse": {"base": LEAVING}}},
        claims={
            "incidence": flat_table(24 * HAZARD),
            "selection_start": START,
            "selection_years": 0.5,
        },
        channels={"organic": channel(push=[{"from_period": 0, "value": 0.03}])},
    )


def expected_cases(joins: npt.NDArray[np.int64], wait: int) -> Floats:
    """Cases of each period expected from who joined when: float64[paths, T].

    Who joined d periods ago is past waiting for d - wait of them.
    """
    cases = np.zeros(joins.shape)
    present = 1.0
    for since in range(joins.shape[1]):
        served = max(0, since - wait)
        sigma = START + (1.0 - START) * (1.0 - DECAY**served)
        ill = -math.expm1(-HAZARD * sigma)
        if since >= wait:
            cases[:, since:] += joins[:, : joins.shape[1] - since] * present * ill
        present *= (1.0 - ill) * math.exp(-LEAVING)
    return cases


@pytest.mark.parametrize("wait", [0, 3])
@pytest.mark.parametrize("bands", [(24, 1), (1, 1), (4, 3)])
def test_selection_wears_off_alike_in_stages_of_any_width(
    bands: tuple[int, int], wait: int
) -> None:
    """False alarm: 24 z-tests, 1e-5 together, for each of 6 pools.

    A stage keeps the mean wear of selection of its members. Stages of one period are exact; in
    wider ones only who leaves by diagnosis is not: below 2e-3 of the cases here.
    """
    tenure = {"bands": bands[0], "band_periods": bands[1]}
    rows = simulate(a_growing_pool(wait, tenure), 33, 300).rows[:, :, 0]
    mean = expected_cases(rows["joins"], wait)
    # given the joins, cases are a sum of many rare events: Poisson to within its mean
    error = np.abs((rows["cases"] - mean).sum(0)) - 2e-3 * mean.sum(0)
    assert_is_zero(np.maximum(error, 0.0), mean.sum(0))
    assert rows["cases"].sum() > 100_000


def cases_by_age_bands(edges: tuple[int, ...], seed: int) -> Floats:
    """Cases a year of a closed group of ages 30 to 49, incidence rising by 10 % a year of age."""
    group: list[Any] = [people(20_000, age=age) for age in range(30, 50)]
    pool = a_scenario(
        periods=10,
        periods_per_year=2,
        age_edges=edges,
        plans={"main": {"max_age": 79}},
        claims={"incidence": steep_table([2e-4 * 1.1 ** (age - 30) for age in range(106)])},
        initial_members=group,
    )
    cases = simulate(pool, seed, 200).rows["cases"][:, :, 0]
    return np.asarray(cases.reshape(200, 5, 2).sum(2), np.float64)


def test_age_bands_of_five_years_age_a_group_by_a_fifth_of_a_band_a_year() -> None:
    """False alarm: 10 z-tests, 6e-6 together.

    Incidence that rises by 10 % a year of age rises by 1.1 a year in single ages and, as a fifth of
    each band moves on, by 0.8 + 0.2 * 1.1**5 = 1.122 in bands: 2 % a year too fast for a group that
    nobody joins. Who has claimed is gone: below 5e-3 of the cases in five years.
    """
    at_first = sum(20_000 * 2e-4 * 1.1 ** (age - 30) for age in range(30, 50))
    for width, growth, seed in ((1, 1.1, 35), (5, 0.8 + 0.2 * 1.1**5, 36)):
        cases = cases_by_age_bands(tuple(range(30, 81, width)), seed)
        law = at_first * growth ** np.arange(5)
        assert_has_mean(cases / law, 1.0, slack=5e-3)
