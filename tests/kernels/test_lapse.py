"""Members leave for competing causes; only who is billed reacts to bills."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import lapse
from kernels.draws import Purpose, stream
from kernels.dtypes import LAPSE_CAUSES, MARKET_PARAMETERS
from kernels.lapse import COMPETING, Reaction
from kernels.state import FIRST_BILL
from tests import oracles, oracles_draws
from tests.kernels.pools import (
    BARGAIN,
    CHANNEL,
    FEMALE,
    IMPAIRED,
    INELIGIBLE,
    LAST_AGE,
    MALE,
    OLD,
    PADDING,
    SEED,
    STAGES,
    STANDARD,
    STEADY,
    WAIT,
    YOUNG,
    Pool,
    group,
    left,
    pool,
)

EXAMPLES = settings(max_examples=150, deadline=None, derandomize=True, database=None)
FEW = settings(max_examples=60, deadline=None, derandomize=True, database=None)

M0, F0 = group(STANDARD, YOUNG, MALE), group(STANDARD, YOUNG, FEMALE)
F1 = group(STANDARD, OLD, FEMALE)
PATH, PERIOD = 7, 3
NAMES = LAPSE_CAUSES[:COMPETING]
BILLS = ("first_bill", "bill_shock", "growth", "burden")
MORTAL = {
    "claims.mortality": {
        "name": "never",
        "first_age": 0,
        "male": [0.0] * LAST_AGE,
        "female": [0.0] * LAST_AGE,
    }
}
# A pool in which each cause with a coefficient has an intensity.
STIRRED = {
    "competitor_pull": [{"from_period": PERIOD, "value": 2.0}],
    "regulator_announcements": [PERIOD],
}

intensities = st.just(0.0) | st.floats(1e-9, 30.0)
# Members who read every bill, all before their first, of the motive's own intensities.
ALERT = Reaction(1.0, 1.0, 1.0)


def market_of(most: float, dead: float = 0.0) -> np.void:
    """A market whose members react to gaps and growth above one number, up to another."""
    market: np.void = np.zeros(1, MARKET_PARAMETERS)[0]
    market["shock_cap"], market["dead_zone"] = most, dead
    return market


def stirred(changes: dict[str, Any] | None = None, share: float = 3.0) -> Pool:
    """Bill every member past waiting three yuan, after two; he expected one."""
    small = pool(STIRRED | (changes or {}))
    small.state.plan["share"][0] = share
    small.state.plan["share_before"][0] = 2.0
    small.state.charge[0, WAIT:] = share
    small.state.pool["news"][0] = 0.5
    return small


def leave(small: Pool, period: int = PERIOD) -> dict[str, int]:
    """Draw a period's lapses; give those by cause."""
    small.state.left[:] = 0
    small.state.payers[0, WAIT:] = small.state.members[0, WAIT:].sum((1, 2))
    lapse.lapse_members(small.parameters, small.state, SEED, PATH, 0, period)
    return left(small.state)


# Intensities


@EXAMPLES
@given(
    values=st.lists(intensities, min_size=9, max_size=9),
    unbilled=st.floats(0, 1),
    attention=st.sampled_from([0.0, 1.0]) | st.floats(1e-6, 1),
    ratio=st.sampled_from([0.0, 1.0]) | st.floats(1e-6, 3),
)
def test_leaving_and_its_causes_have_the_probabilities_of_the_twin(
    values: list[float], unbilled: float, attention: float, ratio: float
) -> None:
    mix = np.zeros(COMPETING)
    reaction = Reaction(unbilled, attention, ratio)
    leaving = lapse.leaving_probability(np.array(values), reaction, mix)
    slow = oracles.leaving(dict(zip(NAMES, values, strict=True)), unbilled, attention, ratio)
    # some thirty roundings of 2**-53; sums of terms of one sign
    assert leaving == pytest.approx(sum(slow.values()), rel=1e-13)
    assert 0.0 <= leaving <= 1.0
    for cause, part in zip(NAMES, mix, strict=True):
        assert leaving * part == pytest.approx(slow[cause], rel=1e-12, abs=1e-300)
    if leaving > 0.0:
        assert mix.sum() == pytest.approx(1.0, rel=1e-13)


def test_nobody_leaves_without_intensity() -> None:
    mix = np.zeros(COMPETING)
    assert lapse.leaving_probability(np.zeros(COMPETING), ALERT, mix) == 0.0
    assert not mix.any()


def test_half_of_a_stage_at_its_first_bill_mixes_two_exponentials() -> None:
    intensity = np.zeros(COMPETING)
    intensity[0], intensity[FIRST_BILL] = np.log(2), np.log(4)
    leaving = lapse.leaving_probability(intensity, Reaction(0.5, 1.0, 1.0), np.zeros(COMPETING))
    # one half leaves with 1/2, the other with 7/8
    assert leaving == pytest.approx(11 / 16, rel=1e-14)


@EXAMPLES
@given(
    share=st.floats(0, 500),
    expectation=st.floats(1e-3, 500),
    most=st.floats(0.01, 10),
    dead=st.sampled_from([0.0, 0.25]),
)
def test_the_gap_is_relative_to_the_expectation_and_capped(
    share: float, expectation: float, most: float, dead: float
) -> None:
    gap = oracles.bill_gap(share, expectation, most, dead)
    # the difference of two doubles is rounded once, relative to the larger
    close = 1e-15 * (1 + share / expectation)
    found = lapse.bill_gap(share, expectation, market_of(most, dead))
    if dead < most and abs(share / expectation - 1 - dead) > close:
        assert found == pytest.approx(float(gap), abs=close)


def test_a_bill_where_nothing_was_expected_is_the_largest_shock() -> None:
    assert lapse.bill_gap(1.0, 0.0, market_of(5.0)) == 5.0
    assert lapse.bill_gap(0.0, 0.0, market_of(5.0)) == 0.0


def test_a_bill_in_the_dead_zone_moves_nobody_and_one_above_it_counts_in_full() -> None:
    market = market_of(5.0, 0.25)
    assert lapse.bill_gap(1.25, 1.0, market) == 0.0
    assert lapse.bill_gap(1.5, 1.0, market) == 0.5
    assert lapse.log_growth(1.25, 1.0, market) == 0.0  # log 1.25 is 0.223
    assert lapse.log_growth(1.5, 1.0, market) == pytest.approx(np.log(1.5), rel=1e-15)


@EXAMPLES
@given(
    share=st.just(0.0) | st.floats(0.01, 500),
    before=st.just(0.0) | st.floats(0.01, 500),
    most=st.floats(0.01, 10),
)
def test_growth_is_that_of_the_log_share_and_capped(
    share: float, before: float, most: float
) -> None:
    growth = lapse.log_growth(share, before, market_of(most))
    assert growth == pytest.approx(oracles.log_growth(share, before, most), abs=1e-14)
    assert growth >= 0.0


def test_each_cause_has_the_intensity_of_the_model() -> None:
    factors = dict(zip(NAMES[:8], (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8), strict=True))
    deaths = {"name": "flat", "first_age": 0, "male": [0.4] * LAST_AGE, "female": [0.8] * LAST_AGE}
    small = stirred(
        {"motives.bargain.lapse": factors, "claims.mortality": deaths, "shock_cap": 1.75}
    )
    intensity = np.full((2, COMPETING), -1.0)
    lapse.set_intensities(small.parameters, small.state, 0, BARGAIN, PERIOD, intensity[BARGAIN])
    lapse.set_own_intensities(small.parameters, small.state, 0, WAIT, BARGAIN, F1, intensity)
    expected = {
        "base": 0.1,
        "first_bill": 0.2,
        "bill_shock": 0.3 * 1.75,  # (3 - 1) / 1, capped
        "growth": 0.4 * np.log(1.5),
        "burden": 0.5 * 3 * 4 / 1000,
        "news": 0.6 * 0.5,
        "competitor": 0.7 * 2,
        "regulation": 0.8,
        "died": 0.8 / 4,
    }
    assert dict(zip(NAMES, intensity[BARGAIN], strict=True)) == pytest.approx(expected, rel=1e-14)
    lapse.set_intensities(small.parameters, small.state, 0, BARGAIN, PERIOD - 1, intensity[BARGAIN])
    lapse.set_own_intensities(small.parameters, small.state, 0, WAIT, BARGAIN, M0, intensity)
    calm = expected | {"competitor": 0.0, "regulation": 0.0, "died": 0.1}
    assert dict(zip(NAMES, intensity[BARGAIN], strict=True)) == pytest.approx(calm, rel=1e-14)


# One cause alone


@pytest.mark.parametrize("mortal", [False, True])
@pytest.mark.parametrize("cause", NAMES[:8])
def test_a_cause_that_is_certain_takes_everybody_it_acts_on_and_names_itself(
    cause: str, mortal: bool
) -> None:
    small = stirred({f"motives.steady.lapse.{cause}": 1e6} | (MORTAL if mortal else {}))
    small.state.members[0, :, 0, :, F1] = 5
    gone = leave(small)
    stages = STAGES - WAIT if cause in BILLS else STAGES
    assert gone == {cause: 5 * stages}
    assert small.state.members[0, WAIT:, 0, STEADY].sum() == 0
    assert small.state.members[0, :WAIT, 0, STEADY].sum() == 5 * (STAGES - stages)
    assert small.state.members[0, :, 0, BARGAIN].sum() == 5 * STAGES


@pytest.mark.parametrize("cause", BILLS)
def test_members_who_wait_react_to_bills_where_they_are_billed(cause: str) -> None:
    small = stirred({f"motives.steady.lapse.{cause}": 1e6, "plans.main.waiting_members_pay": True})
    small.state.charge[0] = 3.0
    small.state.members[0, :, 0, STEADY, F1] = 5
    assert leave(small) == {cause: 5 * STAGES}


def test_deaths_take_members_of_their_age_and_sex_waiting_or_not() -> None:
    rates = [0.0] * 30 + [1.0] * 50
    deaths = {"name": "old men", "first_age": 0, "male": rates, "female": [0.0] * LAST_AGE}
    small = stirred({"claims.mortality": deaths, "channels.hollow": CHANNEL | {"padding": 0.5}})
    small.parameters.groups["mortality"][:] *= 1e6
    small.state.members[0, :, 0, BARGAIN] = 2
    gone = leave(small)
    assert gone == {"died": 2 * 3 * STAGES}  # of three health classes, but not of the padding
    after = small.state.members[0, :, 0, BARGAIN]
    assert (after[:, [group(h, OLD, MALE) for h in range(3)]] == 0).all()
    assert (after[:, group(PADDING, OLD, MALE)] == 2).all()


def test_who_waits_for_his_assessment_does_not_leave() -> None:
    small = stirred({"motives.steady.lapse.base": 1e6})
    small.state.pending_members[0, M0] = 4
    assert leave(small) == {}
    assert small.state.pending_members[0, M0] == 4


def test_what_leavers_owe_is_written_off() -> None:
    for mortal in ({}, MORTAL):
        small = stirred({"motives.steady.lapse.base": 1e6, "plans.main.grace_failures": 2} | mortal)
        small.state.members[0, WAIT, 1, STEADY, F1] = 4
        small.state.debt[0, WAIT, 0, STEADY, F1] = 10.0
        small.state.plan["outstanding"][0] = 10.0
        assert leave(small) == {"base": 4}
        assert (small.state.plan["outstanding"][0], small.state.plan["written_off"][0]) == (0, 10)
        assert small.state.debt.sum() == 0.0


# The first bill


def test_a_first_bill_is_felt_once() -> None:
    small = stirred({"motives.steady.lapse.first_bill": 1e6})
    small.state.stage["unbilled"][0, STAGES - 1] = 0.0
    small.state.members[0, WAIT:, 0, STEADY, F1] = 5
    assert leave(small) == {"first_bill": 5 * (STAGES - WAIT - 1)}
    assert list(small.state.stage["unbilled"][0]) == [1.0] * WAIT + [0.0] * (STAGES - WAIT)
    assert leave(small) == {}
    assert small.state.members.sum() == 5


@pytest.mark.parametrize(("trivial", "felt"), [(2.99, True), (3.0, False), (4.0, False)])
def test_a_trivial_bill_is_no_first_bill(trivial: float, felt: bool) -> None:
    small = stirred(
        {"motives.steady.lapse.first_bill": 1e6, "plans.main.trivial_share_yuan": trivial}
    )
    small.state.members[0, WAIT, 0, STEADY, F1] = 5
    assert leave(small) == ({"first_bill": 5} if felt else {})
    assert small.state.stage["unbilled"][0, WAIT] == (0.0 if felt else 1.0)
    assert small.state.stage["unbilled"][0, 0] == 1.0


# Own burdens


def test_each_cell_bears_its_own_burden() -> None:
    small = stirred({"motives.steady.lapse.burden": 1e6})
    small.state.members[0, WAIT, 0, STEADY, [M0, F1]] = 5
    small.state.charge[0, WAIT, F1] = 0.0
    assert leave(small) == {"burden": 5}
    assert small.state.members[0, WAIT, 0, STEADY, F1] == 5


def test_a_stage_that_is_charged_nothing_for_the_year_has_no_burden() -> None:
    small = stirred({"motives.steady.lapse.burden": 1e6})
    small.state.members[0, WAIT:, 0, STEADY, F1] = 5
    small.state.charge[0, WAIT] = 0.0
    assert leave(small) == {"burden": 5 * (STAGES - WAIT - 1)}
    assert small.state.members[0, WAIT, 0, STEADY, F1] == 5


# Draws

MIXED = {
    "motives.steady.lapse": {"base": 0.05, "news": 0.3, "first_bill": 0.2, "burden": 9.0},
    "motives.bargain.lapse": {"base": 0.1, "growth": 0.4, "competitor": 0.05},
}


@pytest.mark.parametrize("mortal", [False, True])
def test_lapses_of_each_cell_are_the_twins_binomial(mortal: bool) -> None:
    small = stirred(MIXED | {"plans.main.grace_failures": 2} | (MORTAL if mortal else {}))
    rng = np.random.default_rng(1)
    members = rng.integers(0, 40, small.state.members.shape)
    small.state.members[:] = members
    small.state.stage["unbilled"][0, WAIT] = 0.25
    leave(small)
    steady = {"base": 0.05, "news": 0.15, "first_bill": 0.2, "burden": 9.0 * 12 / 1000}
    bargain = {"base": 0.1, "growth": 0.4 * np.log(1.5), "competitor": 0.1}
    for number in (0, 5, 11):
        code = int(small.parameters.groups["code"][number])
        for motive, causes in ((STEADY, steady), (BARGAIN, bargain)):
            for late in (0, 1):
                chance = sum(oracles.leaving(causes, 0.25).values())
                cell = oracles.cell_number(0, WAIT, WAIT, late, motive, code)
                where = oracles_draws.Address(int(SEED), PATH, Purpose.LAPSE, PERIOD, cell)
                before = int(members[0, WAIT, late, motive, number])
                gone = oracles_draws.binomial(where, before, chance)
                assert small.state.members[0, WAIT, late, motive, number] == before - gone


@FEW
@given(seed=st.integers(0, 2**32), arrears=st.integers(1, 3), unbilled=st.floats(0, 1))
def test_both_ways_of_drawing_agree_where_members_are_charged_alike(
    seed: int, arrears: int, unbilled: float
) -> None:
    together = stirred(MIXED | {"plans.main.grace_failures": arrears})
    by_cell = stirred(MIXED | {"plans.main.grace_failures": arrears} | MORTAL)
    assert list(by_cell.parameters.market["mortal"]) == [True]
    assert list(together.parameters.market["mortal"]) == [False]
    members = np.random.default_rng(seed).integers(0, 60, together.state.members.shape)
    before = int(members.sum())
    for small in (together, by_cell):
        small.state.members[:] = members
        small.state.stage["unbilled"][:] = unbilled
    lapses = leave(together)
    assert (together.state.members < members).any()
    others = leave(by_cell)
    assert (together.state.members == by_cell.state.members).all()
    after = before - int(together.state.members.sum())
    assert sum(lapses.values()) == sum(others.values()) == after
    assert (together.state.stage["unbilled"] == by_cell.state.stage["unbilled"]).all()


@pytest.mark.statistical
@pytest.mark.parametrize("mortal", [False, True])
def test_causes_are_named_in_proportion_to_their_intensities(mortal: bool) -> None:
    """Every cause within 5 standard deviations of its mean: false alarm below 1e-5."""
    factors = {"base": 0.02, "first_bill": 0.05, "bill_shock": 0.01, "burden": 2.0, "news": 0.06}
    small = stirred({"motives.steady.lapse": factors} | (MORTAL if mortal else {}))
    members = 100_000
    small.state.members[0, WAIT, 0, STEADY, [M0, F1]] = members
    small.state.stage["unbilled"][0, WAIT] = 0.5
    if mortal:
        small.parameters.groups["mortality"][F1] = 0.04
    gone = leave(small)
    felt = {
        "base": 0.02,
        "first_bill": 0.05,
        "bill_shock": 0.02,
        "burden": 0.024,
        "news": 0.03,
        "died": 0.0,
    }
    mean = dict.fromkeys(felt, 0.0)
    for dying in (0.0, 0.04 if mortal else 0.0):
        for cause, chance in oracles.leaving(felt | {"died": dying}, 0.5).items():
            mean[cause] += members * chance
    assert set(gone) == {cause for cause, count in mean.items() if count > 0}
    for cause, count in gone.items():
        assert abs(count - mean[cause]) <= 5 * np.sqrt(mean[cause])


def test_causes_drawn_together_are_the_twins_multinomial() -> None:
    left_by_cause = np.zeros(len(LAPSE_CAUSES), np.int64)
    mix = np.array([0.4, 0.0, 0.1, 0.2, 0.0, 0.3, 0.0, 0.0, 0.0])
    split = stream(SEED, PATH, Purpose.LAPSE_CAUSE, PERIOD)
    lapse.name_causes(left_by_cause, split, 77, 21, mix)
    where = oracles_draws.Address(int(SEED), PATH, Purpose.LAPSE_CAUSE, PERIOD, 77)
    assert list(left_by_cause[:9]) == oracles_draws.multinomial(where, 21, list(mix))
    assert left_by_cause.sum() == 21
    lapse.name_causes(left_by_cause, split, 77, 0, mix)
    assert left_by_cause.sum() == 21


def test_causes_of_a_kind_are_kept_in_their_ratio_and_the_others_left_out() -> None:
    intensity = np.array([1.0, 5.0, 2.0, 6.0, 7.0, 1.0, 0.0, 2.0, 9.0])
    mix = np.full(COMPETING, -1.0)
    # half of them have their first bill before them, half of them read it, burdens are their own
    reaction = Reaction(0.5, 0.5, 1.0)
    lapse.keep_kind(intensity, reaction, False, 4, mix)
    assert list(mix) == [0.25, 0.0, 0.0, 0.0, 0.0, 0.25, 0.0, 0.5, 0.0]
    lapse.keep_kind(intensity, reaction, False, 3, mix)
    assert list(mix) == [0.0, 0.0, 0.25, 0.75, 0.0, 0.0, 0.0, 0.0, 0.0]
    lapse.keep_kind(np.where(np.isin(range(9), (2, 3)), 0.0, intensity), reaction, False, 3, mix)
    assert not mix.any()


def kinds_of(unbilled: float, attention: float, same_burden: bool) -> dict[str, int]:
    reaction = Reaction(unbilled, attention, 1.0)
    return {
        name: int(lapse.kind_of(cause, reaction, same_burden)) for cause, name in enumerate(NAMES)
    }


@pytest.mark.parametrize("unbilled", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("attention", [0.5, 1.0])
@pytest.mark.parametrize("same_burden", [True, False])
def test_causes_of_one_kind_stand_in_one_ratio_in_every_cell_of_a_motive(
    unbilled: float, attention: float, same_burden: bool
) -> None:
    kinds = kinds_of(unbilled, attention, same_burden)
    assert max(kinds.values()) < lapse.KINDS
    factors = dict.fromkeys(NAMES, 0.0) | dict(
        zip(NAMES, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8), strict=False)
    )
    # cells differ in deaths, in their ratio, and in their burden unless it is the same
    cells = [
        oracles.leaving(
            factors | {"died": died, "burden": 0.5 if same_burden else burden},
            unbilled,
            attention,
            ratio,
        )
        for died, burden, ratio in ((0.0, 0.5, 1.0), (2.0, 0.0, 1.0), (0.5, 3.0, 0.25))
    ]
    for one, other in itertools.combinations(NAMES, 2):
        if kinds[one] == kinds[other]:
            for cell in cells[1:]:
                product = cell[one] * cells[0][other]
                assert product == pytest.approx(cell[other] * cells[0][one], rel=1e-12, abs=1e-15)
    assert kinds["died"] not in {kinds[name] for name in NAMES[:8]}


# Attention and the dead zone

READING = {"motives.steady.attention": 0.25, "attention_slope": 2.0}


@pytest.mark.parametrize(
    ("share", "before", "alarm"),
    [(3.0, 2.0, 1.0), (2.0, 2.0, 0.5), (1.0, 2.0, 0.5), (3.0, 0.0, 0.5), (90.0, 2.0, 1.5)],
)
def test_a_jump_of_the_share_and_news_make_members_read_their_bills(
    share: float, before: float, alarm: float
) -> None:
    small = stirred(READING | {"shock_cap": 1.0}, share)
    small.state.plan["share_before"][0] = before
    # a + (1 - a)(1 - exp(-alpha alarm)), the news being 1/2
    expected = 0.25 + 0.75 * (1 - np.exp(-2.0 * alarm))
    found = lapse.attention(small.parameters, small.state, 0, STEADY)
    assert found == pytest.approx(expected, rel=1e-14)
    assert lapse.attention(small.parameters, small.state, 0, BARGAIN) == 1.0


@pytest.mark.parametrize("mortal", [False, True])
@pytest.mark.parametrize("cause", NAMES[:8])
def test_an_unread_bill_moves_nobody_and_other_causes_act_unread(cause: str, mortal: bool) -> None:
    certain = {f"motives.steady.lapse.{cause}": 1e6, "motives.steady.attention": 0.0}
    small = stirred(certain | (MORTAL if mortal else {}))
    small.state.members[0, :, 0, STEADY, F1] = 5
    assert leave(small) == ({} if cause in BILLS else {cause: 5 * STAGES})


@pytest.mark.parametrize("cause", ["bill_shock", "growth"])
@pytest.mark.parametrize(("dead_zone", "felt"), [(0.0, True), (0.4, True), (2.5, False)])
def test_who_is_in_the_dead_zone_does_not_leave(cause: str, dead_zone: float, felt: bool) -> None:
    # two yuan more than expected are twice the expectation; the log share grew by 0.405
    small = stirred({f"motives.steady.lapse.{cause}": 1e6, "dead_zone": dead_zone})
    small.state.members[0, WAIT, 0, STEADY, F1] = 5
    assert leave(small) == ({cause: 5} if felt else {})


# Loyalty and health

MILD: dict[str, Any] = {
    "motives.steady.lapse": {
        "base": 0.05,
        "news": 0.3,
        "first_bill": 0.2,
        "bill_shock": 0.1,
        "growth": 0.4,
        "burden": 9.0,
        "competitor": 0.1,
    },
    "motives.steady.attention": 0.4,
}
FELT = {
    "base": 0.05,
    "news": 0.15,
    "first_bill": 0.2,
    "bill_shock": 0.2,
    "growth": 0.4 * float(np.log(1.5)),
    "burden": 9.0 * 12 / 1000,
    "competitor": 0.2,
}


@pytest.mark.parametrize("mortal", [False, True])
def test_members_leave_with_the_twins_chance_for_their_attention_and_loyalty(mortal: bool) -> None:
    small = stirred(MILD | (MORTAL if mortal else {}))
    small.state.members[0, WAIT, 0, STEADY, F1] = 400
    small.state.stage["unbilled"][0, WAIT] = 0.5
    small.state.stage["loyalty"][0, WAIT] = 0.625
    leave(small)
    chance = sum(oracles.leaving(FELT, 0.5, 0.4, 0.625).values())
    code = int(small.parameters.groups["code"][F1])
    cell = oracles.cell_number(0, WAIT, WAIT, 0, STEADY, code)
    where = oracles_draws.Address(int(SEED), PATH, Purpose.LAPSE, PERIOD, cell)
    gone = oracles_draws.binomial(where, 400, chance)
    assert 0 < gone < 400
    assert small.state.members[0, WAIT, 0, STEADY, F1] == 400 - gone


def test_lapse_may_differ_by_health() -> None:
    ratios = {"health.standard.lapse_ratio": 0.0, "health.impaired.lapse_ratio": 0.5}
    small = stirred({"motives.steady.lapse.base": 0.6} | ratios)
    assert small.parameters.market["selective"][0]
    impaired, ineligible = group(IMPAIRED, OLD, FEMALE), group(INELIGIBLE, OLD, FEMALE)
    small.state.members[0, WAIT, 0, STEADY, [F1, impaired, ineligible]] = 90
    left_over = []
    leave(small)
    for number, ratio in ((F1, 0.0), (impaired, 0.5), (ineligible, 1.0)):
        code = int(small.parameters.groups["code"][number])
        cell = oracles.cell_number(0, WAIT, WAIT, 0, STEADY, code)
        where = oracles_draws.Address(int(SEED), PATH, Purpose.LAPSE, PERIOD, cell)
        left_over.append(90 - oracles_draws.binomial(where, 90, 1 - np.exp(-0.6 * ratio)))
    assert small.state.members[0, WAIT, 0, STEADY, [F1, impaired, ineligible]].tolist() == left_over
    assert left_over[0] == 90 > left_over[1] > left_over[2]


def test_death_knows_neither_loyalty_nor_reading() -> None:
    deaths = {"name": "flat", "first_age": 0, "male": [1.0] * LAST_AGE, "female": [1.0] * LAST_AGE}
    ratios = {"health.standard.lapse_ratio": 0.0, "motives.steady.attention": 0.0}
    small = stirred({"claims.mortality": deaths} | ratios)
    small.parameters.groups["mortality"][:] *= 1e6
    small.state.stage["loyalty"][:] = 0.0
    small.state.members[0, :, 0, STEADY, F1] = 5
    assert leave(small) == {"died": 5 * STAGES}


@pytest.mark.statistical
@pytest.mark.parametrize("way", ["together", "mortal", "selective"])
def test_both_ways_of_naming_causes_have_the_expectation_of_the_twin(way: str) -> None:
    """Every cause within 5 standard deviations of its mean: false alarm below 1e-5."""
    # a class of its own ratio makes cells differ, though nobody of it is there
    more: dict[str, dict[str, Any]] = {
        "together": {},
        "mortal": MORTAL,
        "selective": {"health.ineligible.lapse_ratio": 0.5},
    }
    small = stirred(MILD | more[way])
    assert small.parameters.market["selective"][0] == (way == "selective")
    members = 200_000
    small.state.members[0, WAIT, 0, STEADY, [M0, F1]] = members // 2
    small.state.stage["unbilled"][0, WAIT] = 0.75
    small.state.stage["free"][0, WAIT] = 0.25
    small.state.stage["loyalty"][0, WAIT] = 0.8
    gone = leave(small)
    # whose first bill was free has it still before him, and does not feel it yet
    chances = oracles.leaving(FELT, 0.5, 0.4, 0.8)
    assert set(gone) == set(FELT)
    for cause, count in gone.items():
        mean = members * chances[cause]
        assert abs(count - mean) <= 5 * np.sqrt(mean)


def test_who_had_a_free_first_bill_feels_the_next_one_as_his_first() -> None:
    small = stirred({"motives.steady.lapse.first_bill": 1e6})
    small.state.stage["free"][0, WAIT] = 1.0
    small.state.members[0, WAIT, 0, STEADY, F1] = 5
    assert leave(small) == {}
    known = small.state.stage[0, WAIT]
    assert (known["unbilled"], known["free"]) == (1.0, 0.0)
    assert leave(small) == {"first_bill": 5}


# The slope of the cost against the price


def sensitive(changes: dict[str, Any] | None = None) -> Pool:
    """Two motives and three kinds of risk, in different mixtures; all know their bill."""
    small = stirred(
        {
            "motives.steady.lapse": {"bill_shock": 0.02, "growth": 0.05, "burden": 0.4},
            "motives.bargain.lapse": {"bill_shock": 0.1, "growth": 0.15, "burden": 2.0},
            "motives.bargain.attention": 0.5,
            "plans.main.fee_rate": 0.25,
        }
        | (changes or {})
    )
    state = small.state
    state.incidence[0] = 0.0
    state.incidence[0, WAIT:, M0], state.incidence[0, WAIT:, F1] = 0.5, 0.125
    state.members[0, WAIT, 0, STEADY, M0], state.members[0, WAIT, 0, STEADY, F1] = 30, 10
    state.members[0, 3, 0, BARGAIN, M0], state.members[0, 3, 0, BARGAIN, F1] = 5, 20
    state.members[0, 0, 0, BARGAIN, F1] = 99  # who waits is no payer
    state.stage["loyalty"][0, 3] = 0.75
    state.charge[0, 3, F1] = 1.5
    state.expectation[0] = (2.5, 2.0)
    return small


def found_slope(small: Pool) -> tuple[float, float]:
    cost, slope = lapse.price_slope(small.parameters, small.state, 0)
    return float(cost), float(slope)


STEADILY, EAGERLY = (0.02, 0.05, 0.4), (0.1, 0.15, 2.0)
# 300 yuan with 1/2 and 100 yuan with 1/8, and a quarter of them as fee
DEAR, CHEAP = 1.25 * 150.0, 1.25 * 12.5


@pytest.mark.parametrize(
    ("most", "dead", "healthy"),
    [(5.0, 0.0, 1.0), (5.0, 0.3, 1.0), (0.3, 0.0, 1.0), (5.0, 0.0, 3.0)],
)
def test_the_price_slope_is_that_of_a_year_of_dearer_shares(
    most: float, dead: float, healthy: float
) -> None:
    changes = {"shock_cap": most, "dead_zone": dead, "health.standard.lapse_ratio": healthy}
    cost, slope = found_slope(sensitive(changes))
    payers = [
        oracles.Payer(30, DEAR, 2.5, STEADILY, ratio=healthy),
        oracles.Payer(10, CHEAP, 2.5, STEADILY, ratio=healthy),
        oracles.Payer(5, DEAR, 2.0, EAGERLY, 0.5, ratio=0.75 * healthy),
        oracles.Payer(20, CHEAP, 2.0, EAGERLY, 0.5, own=0.5, ratio=0.75 * healthy),
    ]
    bill = oracles.Bill(3.0, 2.0, most, dead, 4 / 1000)
    assert cost == pytest.approx(oracles.mean_cost_at(payers, bill, 4, 0.0), rel=1e-14)
    # a central difference is off by the square of its step
    slow = oracles.price_slope(payers, bill, 4, 1e-4)
    assert slope == pytest.approx(slow, rel=1e-6)
    # a cap of 0.3 is below the gap of the eager, most of whom cost little: the others react alone
    assert (slope > 0.0) == (most > 0.3)


@pytest.mark.parametrize(("eager", "sign"), [(F1, 1.0), (M0, -1.0)])
def test_the_sign_says_whether_those_who_cost_less_or_more_react(eager: int, sign: float) -> None:
    """Ten payers who cost 187.50 yuan and ten who cost 15.625; one ten reacts, by burden alone.

    A yuan more on every share raises its intensity of lapse by L' = 2 * 4 / 1000, of which the
    attentive half counts. Within a year of four periods it shrinks by 4 * 0.004 of itself, from a
    half of all payers, so that the mean moves by a quarter of the difference of costs: up where the
    cheap leave.
    """
    small = sensitive({"motives.bargain.lapse": {"burden": 2.0}, "motives.steady.lapse": {}})
    small.state.members[:] = 0
    small.state.members[0, WAIT, 0, BARGAIN, eager] = 10
    small.state.members[0, WAIT, 0, STEADY, F1 if eager == M0 else M0] = 10
    cost, slope = found_slope(small)
    assert cost == pytest.approx((DEAR + CHEAP) / 2, rel=1e-14)
    assert slope == pytest.approx(sign * 4 * 0.004 * (187.5 - 15.625) / 4, rel=1e-12)


def test_the_mean_cost_does_not_move_where_all_react_alike_or_nobody_does() -> None:
    alike: dict[str, Any] = {"motives.bargain.lapse": {}, "motives.steady.lapse": {}}
    cost, slope = found_slope(sensitive(alike))
    assert cost == pytest.approx((35 * DEAR + 30 * CHEAP) / 65, rel=1e-14)
    assert (slope, np.signbit(slope)) == (0.0, False)


def test_the_mean_cost_does_not_move_where_all_cost_alike() -> None:
    small = sensitive()
    small.state.incidence[0, WAIT:, F1] = 1.5  # of a third of the benefit
    small.state.members[0, WAIT, 0, STEADY, M0] = 31  # so that the means are no round numbers
    cost, slope = found_slope(small)
    assert cost == pytest.approx(DEAR, rel=1e-14)
    assert slope == 0.0


def test_without_payers_or_without_a_bill_there_is_no_slope() -> None:
    empty = sensitive()
    empty.state.members[:] = 0
    assert found_slope(empty) == (0.0, 0.0)
    free = sensitive()
    free.state.plan["share"][0] = 0.0
    free.state.charge[:] = 0.0
    assert found_slope(free)[1] == 0.0


def test_burden_is_named_though_the_last_group_is_charged_nothing() -> None:
    small = stirred({"motives.steady.lapse.burden": 1e6})
    small.state.members[0, WAIT, 0, STEADY, [M0, F1]] = 5
    last = group(INELIGIBLE, OLD, FEMALE)
    small.state.members[0, WAIT, 0, STEADY, last] = 1
    small.state.charge[0, WAIT, last] = 0.0
    assert leave(small) == {"burden": 10}


def test_whom_nobody_bills_does_not_make_a_stage_differ() -> None:
    charge, payers = np.array([0.5, 2.0, 2.0, 0.0]), np.array([0, 3, 4, 0])
    assert lapse.model_group(charge, payers) == 1
    assert lapse.model_group(charge, payers + 1) == -1
    assert lapse.model_group(charge, np.zeros(4, np.int64)) == 0
