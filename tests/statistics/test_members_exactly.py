"""The member engine against laws that are known exactly, person by person.

The false-alarm rate that a docstring states is the chance that a correct program would have
failed under the seed chosen; see `checks`.
"""

import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from configs.scenario import Scenario
from kernels.dtypes import LAPSE_CAUSES, MEMBER_ROW, POOL_CLOSED, STILL_MEMBER
from tests.scenarios import (
    Fields,
    History,
    Rows,
    a_scenario,
    changed,
    channel,
    flat_table,
    merged,
    people,
    simulate,
    steep_table,
)
from tests.statistics.checks import (
    LEVEL,
    assert_binomial,
    assert_counts,
    assert_follows,
    assert_has_mean,
)
from tests.statistics.engines import compare, simulate_members
from tests.statistics.enumeration import End as EndOfPool
from tests.statistics.enumeration import in_fen, law_of_the_end
from tests.statistics.lives import Club, End, Life, Person, law_of_lives
from tests.statistics.test_known_answers import POOL_OF_SIX, as_scenario

pytestmark = pytest.mark.statistical

Floats = npt.NDArray[np.float64]


def by_number(people: list[Rows]) -> Rows:
    """Put the rows of each path in the order of persons: MEMBER_ROW[paths, members]."""
    rows = np.array([np.sort(here, order="member") for here in people])
    assert rows.dtype == MEMBER_ROW
    assert (rows["member"] == np.arange(rows.shape[1])).all()
    return rows


def ends_of(people: list[Rows]) -> list[tuple[End | None, ...]]:
    """Say when and why each member left, in the order of persons."""
    rows = by_number(people)
    return [
        tuple(
            None if cause == STILL_MEMBER else End(int(left), LAPSE_CAUSES[cause])
            for left, cause in zip(path["left"], path["cause"], strict=True)
        )
        for path in rows
    ]


# Small pools, enumerated


@pytest.mark.parametrize("periods", [1, 2, 3])
def test_a_pool_of_six_ends_as_enumerated(periods: int) -> None:
    """False alarm: a chi-square of 8 000 paths over members, cases and share, 1e-6, thrice."""
    law = law_of_the_end(POOL_OF_SIX, periods)
    scenario = as_scenario(POOL_OF_SIX, periods)
    rows = simulate_members(scenario, 401, 8_000).history.rows[:, :, 0]
    columns = rows["members"][:, -1], rows["cases"].sum(1), rows["share"][:, -1]
    ends = [EndOfPool(int(m), int(c), in_fen(float(s))) for m, c, s in zip(*columns, strict=True)]
    assert_follows(ends, law)


CLUB = Club(
    people=(
        Person(covered_from=1, hazard=0.6, base=0.1, burden=2.0, failure=0.4),
        Person(covered_from=0, hazard=0.3, base=0.1, burden=2.0, failure=0.4),
        Person(covered_from=0, hazard=0.6, base=0.3, burden=0.0, failure=0.2),
    ),
    frailties=((0.4, 0.625), (2.0, 0.375)),
    acceptance=0.75,
    benefit=10.0,
    custody=1.0,
    income_period=20.0,
    grace=2,
)


def as_members(club: Club, periods: int) -> Scenario:
    """Write the club as a configuration: the first person waits, the third has another motive."""
    first, _, third = club.people
    motives = {
        name: {
            "payment_failure": who.failure,
            "lapse": {"base": who.base, "burden": who.burden},
        }
        for name, who in (("member", first), ("other", third))
    }
    return a_scenario(
        engine="member",
        periods=periods,
        income_yuan_per_year=12 * club.income_period,
        age_edges=(40, 41, 42),
        plans={
            "main": {
                "max_age": 41,
                "wait_periods": 1,
                "benefit": ({"from_age": 0, "benefit_yuan": club.benefit},),
                "custody_yuan_per_member_year": 12 * club.custody,
                "grace_failures": club.grace,
            }
        },
        motives=motives,
        health={"standard": {"acceptance": club.acceptance}},
        claims={
            "incidence": steep_table([0.6, 0.3], 40),
            "level": 12 * first.hazard / 0.6,
            "frailty": {
                "law": "discrete",
                "values": [z for z, _ in club.frailties],
                "probabilities": [p for _, p in club.frailties],
            },
        },
        initial_members=[
            people(1, age=40),
            people(1, age=41, tenure_periods=1),
            people(1, age=40, tenure_periods=1, motive="other"),
        ],
    )


def marginal(law: dict[tuple[Life, ...], float], what: Any) -> dict[Any, float]:
    """Add up a law by what is looked at of each outcome."""
    found: dict[Any, float] = {}
    for lives, chance in law.items():
        found[what(lives)] = found.get(what(lives), 0.0) + chance
    return found


def test_three_members_leave_as_enumerated() -> None:
    """False alarm: 3 chi-squares of 16 000 paths, 3e-6.

    When and why each of three leaves who share their costs, who fall ill with frailties of their
    own, wait, fail to pay and are moved by what claims cost: jointly, and with their frailties.
    """
    periods = 3
    law = law_of_lives(CLUB, periods)
    assert math.isclose(sum(law.values()), 1.0, rel_tol=1e-12)
    found = simulate_members(as_members(CLUB, periods), 402, 16_000, sample=1.0).people
    ends = ends_of(found)
    assert_follows(ends, marginal(law, lambda lives: tuple(life.end for life in lives)))
    frailties = by_number(found)["frailty"].astype(np.float64).round(3).tolist()
    causes = [tuple(end and end.cause for end in path) for path in ends]
    seen = [(tuple(z), why) for z, why in zip(frailties, causes, strict=True)]
    drawn = marginal(
        law,
        lambda lives: (
            tuple(life.frailty for life in lives),
            tuple(life.end and life.end.cause for life in lives),
        ),
    )
    assert_follows(seen, drawn)
    # the first to leave weighs on the others
    firsts = [min((end for end in path if end), default=None) for path in ends]
    first = marginal(law, lambda lives: min((x.end for x in lives if x.end), default=None))
    assert_follows(firsts, first)


# Frailty


HAZARD = 0.15


def a_frail_pool(**frailty: Any) -> Scenario:
    return a_scenario(
        engine="member",
        periods=10,
        claims={"incidence": flat_table(0.6), "level": 20 * HAZARD, "frailty": frailty},
        initial_members=[people(40)],
    )


@pytest.mark.parametrize("variance", [0.3, 1.0, 4.0])
def test_who_has_not_claimed_is_pareto_where_frailty_is_gamma(variance: float) -> None:
    """False alarm: 3 chi-squares of 2 000 paths and one of those who are left, 4e-6, thrice.

    No claim in n periods has the probability E exp(-z n h) = (1 + v n h)^(-1/v), and the frailty of
    who has none is gamma of the same shape with the mean 1 / (1 + v n h).
    """
    pool = a_frail_pool(law="gamma", variance=variance)
    found = simulate_members(pool, 403, 2_000, sample=1.0)
    members = found.history.rows["members"][:, :, 0]
    for n in (1, 4, 10):
        stays = (1.0 + variance * n * HAZARD) ** (-1.0 / variance)
        assert_binomial(members[:, n - 1], 40, stays)
    rows = by_number(found.people)
    left = rows["frailty"][rows["cause"] == STILL_MEMBER].astype(np.float64)
    scale = variance / (1.0 + variance * 10 * HAZARD)
    assert_by_tenths(stats.gamma(1.0 / variance, scale=scale).cdf(left))
    everybody = rows["frailty"].astype(np.float64).ravel()
    assert_by_tenths(stats.gamma(1.0 / variance, scale=variance).cdf(everybody))


def assert_by_tenths(ranks: Floats) -> None:
    """Hold numbers to the uniform law on 0 to 1, by tenths."""
    assert_counts(np.histogram(ranks, bins=10, range=(0.0, 1.0))[0], np.full(10, 0.1))


FRAILTIES, CHANCES = (0.0, 0.5, 3.0), (0.3, 0.44, 0.26)


def test_who_has_not_claimed_is_a_mixture_where_frailty_is_discrete() -> None:
    """False alarm: 3 chi-squares of 2 000 paths and one of those who are left, 4e-6."""
    pool = a_frail_pool(law="discrete", values=FRAILTIES, probabilities=CHANCES)
    found = simulate_members(pool, 404, 2_000, sample=1.0)
    members = found.history.rows["members"][:, :, 0]
    for n in (1, 4, 10):
        left = np.array(CHANCES) * np.exp(-np.array(FRAILTIES) * n * HAZARD)
        assert_binomial(members[:, n - 1], 40, left.sum())
    rows = by_number(found.people)
    who = rows["frailty"][rows["cause"] == STILL_MEMBER]
    assert_counts([(who == np.float32(z)).sum() for z in FRAILTIES], left / left.sum())


def test_discrete_frailty_is_as_many_health_classes() -> None:
    """False alarm: 250 comparisons beyond 4.5 standard errors, 2e-3.

    Newcomers of unlike health and newcomers of unlike frailty are as many and leave alike, whatever
    else takes them; only what the engines can know of them to expect is not the same.
    """
    common: Fields = {
        "periods": 5,
        "market_members": 1_000,
        "tenure": {"bands": 6},
        "plans": {"main": {"wait_periods": 1, "grace_failures": 2}},
        "motives": {
            "member": {"payment_failure": 0.2, "lapse": {"base": 0.03, "burden": 2.0}},
        },
        "claims": {
            "incidence": flat_table(0.6),
            "level": 8.0,
            "selection_start": 0.3,
            "selection_years": 0.3,
            "report_delay": (0.5, 0.5),
        },
    }
    push = [{"from_period": 0, "value": 0.05}]
    kinds = [f"kind{i}" for i in range(len(FRAILTIES))]
    classes = {
        kind: {"incidence_factor": z, "acceptance": 0.8}
        for kind, z in zip(kinds, FRAILTIES, strict=True)
    }
    shares = dict(zip(kinds, CHANCES, strict=True))
    by_class = merged(
        common,
        {
            "health": classes,
            "channels": {"push": channel(push=push, health={"standard": None, **shares})},
        },
    )
    frailty = {"law": "discrete", "values": FRAILTIES, "probabilities": CHANCES}
    by_person = merged(
        common,
        {
            "engine": "member",
            "health": {"standard": {"acceptance": 0.8}},
            "claims": {"frailty": frailty},
            "channels": {"push": channel(push=push)},
        },
    )
    cohorts = without_cells(simulate(a_scenario(**by_class), 405, 1_000))
    members = without_cells(simulate_members(a_scenario(**by_person), 406, 1_000).history)
    unknown = ("rows.expected_cost", "rows.price_slope", "pools.price_slope")
    assert not compare(cohorts, members, unknown).beyond()
    alike = changed(a_scenario(**by_person), claims={"frailty": None})
    assert compare(
        cohorts, without_cells(simulate_members(alike, 406, 1_000).history), unknown
    ).beyond()


def without_cells(history: History) -> History:
    return history._replace(cells=history.cells[:, :, :0])


def test_frailty_goes_with_the_person() -> None:
    """No false alarm: who moves to another plan has another row under his number, as frail."""
    older = {
        "max_age": 44,
        "benefit": ({"from_age": 0, "benefit_yuan": 1.0},),
        "advertised_share_yuan": 1.0,
    }
    pool = a_scenario(
        engine="member",
        periods=6,
        periods_per_year=2,
        age_edges=(40, 41, 42, 43, 44, 45),
        plans={"main": {"max_age": 41, "successor": "older"}, "older": older},
        claims={
            "incidence": steep_table([0.2] * 5, 40),
            "frailty": {"law": "gamma", "variance": 1.0},
        },
        initial_members=[people(100, age=40)],
    )
    for rows in simulate_members(pool, 407, 5, sample=1.0).people:
        moved = rows[rows["cause"] == LAPSE_CAUSES.index("moved")]
        assert moved.size > 20
        there = rows[rows["plan"] == 1]
        assert sorted(there["member"]) == sorted(moved["member"])
        here = dict(zip(moved["member"], moved["frailty"], strict=True))
        assert [here[number] for number in there["member"]] == list(there["frailty"])


# Own bills


def test_who_is_billed_like_everybody_learns_like_everybody() -> None:
    """No false alarm: with equal shares of all from the start, own bills are the plan's share."""
    pool = a_scenario(
        engine="member",
        plans={"main": {"wait_periods": 1, "waiting_members_pay": True, "grace_failures": 2}},
        motives={
            "member": {
                "education_speed": 0.3,
                "payment_failure": 0.1,
                "lapse": {"base": 0.01, "bill_shock": 0.1, "growth": 0.05, "burden": 0.5},
            },
            "other": {"education_speed": 0.8, "lapse": {"bill_shock": 0.2}},
        },
        claims={"incidence": flat_table(0.3)},
        initial_members=[people(200), people(100, motive="other"), people(50, tenure_periods=3)],
    )
    shared = simulate_members(pool, 408, 40, sample=1.0)
    own = simulate_members(changed(pool, learns_from="own_bills"), 408, 40, sample=1.0)
    assert shared.history.rows["lapses_bill_shock"].sum() > 500
    assert own.history.rows.tobytes() == shared.history.rows.tobytes()
    for one, other in zip(own.people, shared.people, strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("learns_from", ["share", "own_bills"])
def test_who_waits_learns_of_the_share_but_not_from_bills_of_his_own(learns_from: str) -> None:
    """False alarm: 2 chi-squares of 24 000 members, 2e-6, for each of 2 ways to learn.

    After k lessons, a price of x where a was advertised exceeds what is expected, x + (a - x)
    (1 - e)^k, by a known gap. Who has been billed from the start has had as many lessons as
    periods; who waits has heard of the share, or has had no bill to learn from.
    """
    wait, periods, speed, shock, advertised, price = 2, 5, 0.4, 0.5, 1.0, 3.0
    pool = a_scenario(
        engine="member",
        periods=periods,
        plans={
            "main": {
                "wait_periods": wait,
                "fixed_price_yuan_per_year": 12 * price,
                "advertised_share_yuan": advertised,
            }
        },
        motives={"member": {"education_speed": speed, "lapse": {"bill_shock": shock}}},
        learns_from=learns_from,
        initial_members=[people(20), people(20, tenure_periods=wait)],
    )
    ends = ends_of(simulate_members(pool, 424, 1_200, sample=1.0).people)
    for waits, first in ((wait, 0), (0, 20)):
        unlearnt = waits if learns_from == "own_bills" else 0
        law: dict[End | None, float] = {}
        left = 1.0
        for period in range(waits, periods):
            expected = price + (advertised - price) * (1.0 - speed) ** (period - unlearnt)
            leaves = -math.expm1(-shock * (price - expected) / expected)
            law[End(period, "bill_shock")] = left * leaves
            left *= 1.0 - leaves
        law[None] = left
        assert_follows([end for path in ends for end in path[first : first + 20]], law)


# Lifetimes


def two_ages(rule: str) -> Scenario:
    """Young members who seldom fall ill and older ones who often do; 3 in 4 are young."""
    return a_scenario(
        engine="member",
        periods=8,
        age_edges=(40, 41, 42),
        plans={"main": {"max_age": 41, "rule": rule}},
        motives={"member": {"lapse": {"base": 0.03}}},
        claims={"incidence": steep_table([0.12, 0.6], 40)},
        initial_members=[people(60, age=40), people(20, age=41)],
    )


def gains(people: Iterable[Rows], group: int) -> Floats:
    """Sum by path what members of a group at joining received more than they paid."""
    found = [(rows["received"] - rows["paid"])[rows["group"] == group].sum() for rows in people]
    return np.array(found)


def test_lifetimes_without_a_fee_pay_what_they_receive() -> None:
    """False alarm: 2 z-tests, 1e-6 together, for equal shares; as many for expected ones.

    All together get back what they pay, path by path. Equal shares let the young pay for the old;
    shares by expected cost give everybody back, in the mean, what he pays.
    """
    young, old = 1, 3
    for rule, seed in (("equal", 409), ("expected", 410)):
        found = simulate_members(two_ages(rule), seed, 1_500, sample=1.0).people
        by_age = np.array([gains(found, young), gains(found, old)])
        np.testing.assert_allclose(by_age.sum(0), 0.0, atol=1e-6)
        if rule == "expected":
            assert_has_mean(by_age.T, 0.0)
        else:
            error = by_age.std(1, ddof=1) / math.sqrt(by_age.shape[1])
            assert by_age[0].mean() < -5 * error[0]
            assert by_age[1].mean() > 5 * error[1]


def test_equal_shares_subsidise_over_a_lifetime_by_the_sum_over_its_periods() -> None:
    """False alarm: 2 z-tests, 1e-6 together.

    In a period that starts with n_g members who claim with q_g, a group gets n_g q_g b and, sharing
    equally, pays n_g c / n in the mean: the difference adds up over the periods that it sees.
    """
    pool = changed(two_ages("equal"), periods=1)
    found = simulate_members(pool, 411, 4_000, sample=1.0).people
    young, old = (-math.expm1(-rate / 12) * 1_000.0 for rate in (0.12, 0.6))
    mean = (60 * young + 20 * old) / 80
    by_age = np.array([gains(found, 1), gains(found, 3)]).T
    assert_has_mean(by_age, [60 * (young - mean), 20 * (old - mean)])


# Who it is


def leaving_club(members: int, periods: int, failure: float, grace: int, base: float) -> Scenario:
    """A pool whose bills are all alike, so that its members are independent of each other."""
    return a_scenario(
        engine="member",
        periods=periods,
        plans={"main": {"custody_yuan_per_member_year": 12.0, "grace_failures": grace}},
        motives={"member": {"payment_failure": failure, "lapse": {"base": base}}},
        initial_members=[people(members)],
    )


def law_of_one(periods: int, failure: float, grace: int, base: float) -> dict[End | None, float]:
    """When and why a member of such a pool leaves: a Markov chain over bills failed."""
    law: dict[End | None, float] = {}
    late = [1.0] + [0.0] * (grace - 1)
    stays = math.exp(-base)
    for period in range(periods):
        law[End(period, "arrears")] = failure * late[-1]
        late = [(1.0 - failure) * sum(late), *(failure * p for p in late[:-1])]
        law[End(period, "base")] = sum(late) * (1.0 - stays)
        late = [p * stays for p in late]
    law[None] = sum(late)
    return {end: p for end, p in law.items() if p > 0.0}


@pytest.mark.parametrize(("failure", "grace"), [(0.0, 1), (0.4, 1), (0.4, 2), (0.5, 3)])
def test_members_of_a_class_leave_independently(failure: float, grace: int) -> None:
    """False alarm: a chi-square of 8 000 paths, 1e-6, for each of 4 pools.

    When and why each of four leaves is the product of four equal laws: whom it meets, alone and
    together with others, depends on nobody's number and on nobody's place in the class.
    """
    base, periods = 0.3, 3
    one = law_of_one(periods, failure, grace, base)
    law = {
        drawn: math.prod(one[end] for end in drawn) for drawn in itertools.product(one, repeat=4)
    }
    pool = leaving_club(4, periods, failure, grace, base)
    assert_follows(ends_of(simulate_members(pool, 412 + grace, 8_000, sample=1.0).people), law)


def test_who_comes_from_another_pool_leaves_independently() -> None:
    """False alarm: a chi-square of 6 000 paths, 1e-6.

    Four members of four tenures leave their pool when it closes and are newcomers of one period in
    another: when each leaves is the product of four equal laws.
    """
    base, periods = 0.4, 3
    there = {
        "pool": "there",
        "max_age": 59,
        "benefit": ({"from_age": 0, "benefit_yuan": 1.0},),
        "advertised_share_yuan": 1.0,
    }
    pool = a_scenario(
        engine="member",
        periods=periods,
        plans={"main": {"pool": "here"}, "other": there},
        motives={"member": {"lapse": {"base": base}}},
        pools={"here": {"closure": {"floor_members": 1_000}}, "there": {}},
        industry={"migration": {"here": {"there": 1.0}}},
        initial_members=[people(1, tenure_periods=tenure) for tenure in range(4)],
    )
    ends = []
    for rows in simulate_members(pool, 425, 6_000, sample=1.0).people:
        last = rows[rows["cause"] != POOL_CLOSED]
        ends.append(ends_of([last])[0])
    one = law_of_one(periods, 0.0, 1, base)
    law = {
        drawn: math.prod(one[end] for end in drawn) for drawn in itertools.product(one, repeat=4)
    }
    assert_follows(ends, law)


@pytest.mark.parametrize(("failure", "grace"), [(0.0, 1), (0.35, 1), (0.35, 3)])
def test_each_of_many_and_each_pair_leaves_as_often(failure: float, grace: int) -> None:
    """False alarm: 2 chi-squares in each of 4 looks, 8e-6, for each of 3 pools.

    Of n independent members who leave with p, each is gone on N p of N paths with the variance
    N p (1 - p), and the products of two members' deviations from p add up to nothing with the
    variance N (p (1 - p))^2, uncorrelated from pair to pair. There are more than a walk through
    the class draws ahead at once.
    """
    members, paths, base, periods = 150, 1_500, 0.7, 2
    pool = leaving_club(members, periods, failure, grace, base)
    rows = by_number(simulate_members(pool, 416 + grace, paths, sample=1.0).people)
    one = law_of_one(periods, failure, grace, base)
    for end, p in one.items():
        if end is None:
            continue
        cause = LAPSE_CAUSES.index(end.cause)
        gone = (rows["cause"] == cause) & (rows["left"] == end.period)
        deviation = gone - p
        each = deviation.sum(0) ** 2 / (paths * p * (1.0 - p))
        assert stats.chi2(members).sf(each.sum()) > LEVEL
        pairs = (deviation.T @ deviation)[np.triu_indices(members, 1)]
        together = pairs**2 / (paths * (p * (1.0 - p)) ** 2)
        assert stats.chi2(together.size).sf(together.sum()) > LEVEL
        assert stats.chi2(together.size).cdf(together.sum()) > LEVEL
