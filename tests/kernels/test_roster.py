"""The roster has no holes, and whoever is met in a walk is met with the probability stated."""

import inspect
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import roster
from kernels.draws import Purpose, Stream, stream
from kernels.roster import AHEAD, NO_CHANNEL, Roster, Walk
from tests.kernels.members import (
    DISCRETE_LAW,
    QUIET,
    SMALL,
    Market,
    assert_agree,
    assert_orderly,
    begin,
    market,
    members_of,
    newcomers,
    people,
    unfold,
)
from tests.kernels.pools import SEED, scenario
from tests.statistics.checks import assert_binomial, assert_is_zero

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True, database=None)
INTERPRETED = inspect.isfunction(roster.pack)
WALKS = 4_000 if INTERPRETED else 40_000
PATH, PERIOD = 2, 7

Person = tuple[int, int, int, int, float]


def place(purpose: Purpose = Purpose.LAPSE, period: int = PERIOD) -> Stream:
    return stream(SEED, PATH, purpose, period)


def crowd(sizes: list[int], late: list[float]) -> Market:
    """Make classes of some sizes, of two motives and three frailties, a part of each in arrears."""
    kinds = [
        people(size, tenure_periods=tenure, motive=("steady", "bargain")[tenure % 2])
        for tenure, size in enumerate(sizes)
    ]
    small = market(
        {
            "initial_members": kinds,
            "claims.frailty": DISCRETE_LAW,
            "plans.main.grace_failures": 3,
        }
    )
    full = small.roster
    for number, part in zip(range(full.size[0]["classes"]), late * 99, strict=False):
        here = full.classes[number]
        here["clean"] = round((1.0 - part) * here["members"])
        for position in range(here["clean"], here["members"]):
            slot = full.slots[here["start"] + position]
            slot["traits"] = roster.pack(0, NO_CHANNEL, 1 + position % 2)
    return small


def everybody(full: Roster) -> list[Person]:
    """List who is a member, in any order: vintage, group, arrears, number, frailty."""
    here = members_of(full)
    return sorted(
        zip(
            here.vintage.tolist(), here.group.tolist(), here.late.tolist(), here.number.tolist(),
            here.frailty.tolist(), strict=True,
        )
    )  # fmt: skip


crowds = st.builds(
    crowd,
    st.lists(st.integers(0, 30), min_size=1, max_size=5),
    st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=1, max_size=5),
)


# Traits


@EXAMPLES
@given(group=st.integers(0, 2**12 - 1), channel=st.integers(-1, 62), arrears=st.integers(0, 7))
def test_traits_are_unpacked_as_they_were_packed(group: int, channel: int, arrears: int) -> None:
    bits = NO_CHANNEL if channel < 0 else channel
    traits = roster.pack(group, bits, arrears)
    assert 0 <= traits < 2**21
    assert roster.group_of(traits) == group
    assert roster.channel_of(traits) == channel
    assert roster.channel_bits(traits) == bits
    assert roster.arrears_of(traits) == arrears


# Leaving


@EXAMPLES
@given(small=crowds, data=st.data())
def test_whoever_leaves_is_gone_and_the_others_are_there(
    small: Market, data: st.DataObject
) -> None:
    full = small.roster
    left = everybody(full)
    for _ in range(data.draw(st.integers(0, 12))):
        taken = [c for c in range(full.size[0]["classes"]) if full.classes[c]["members"] > 0]
        if not taken:
            return
        number = data.draw(st.sampled_from(taken))
        here = full.classes[number]
        slot = int(here["start"]) + data.draw(st.integers(0, int(here["members"]) - 1))
        gone = int(full.slots[slot]["number"])
        roster.vacate(full, number, slot)
        left = [person for person in left if person[3] != gone]
        assert everybody(full) == left
        assert_orderly(full)


# Room


@EXAMPLES
@given(small=crowds, data=st.data(), coming=st.integers(0, 6_000), more=st.integers(0, 40))
def test_making_room_keeps_everybody_and_what_is_known_of_them(
    small: Market, data: st.DataObject, coming: int, more: int
) -> None:
    full = small.roster
    for number in range(full.size[0]["classes"]):
        here = full.classes[number]
        for _ in range(data.draw(st.sampled_from([0, 1, int(here["members"])]))):
            if here["members"] > 0:
                roster.vacate(full, number, int(here["start"]))
    count = int(full.size[0]["vintages"])
    full.charged[:count] = np.arange(count)[:, None] + 0.5
    full.recent[:count] = np.arange(count)[:, None, None] + 0.25
    before = everybody(full)
    grown = roster.with_room(full, coming, more, 2)
    size = grown.size[0]
    assert everybody(grown) == before
    assert_orderly(grown)
    assert size["slots"] + coming <= grown.slots.size
    assert size["classes"] + more * 2 * 9 <= grown.classes.size
    assert size["vintages"] + more <= grown.vintages.size
    accounts = (grown.people, grown.charged, grown.bills, grown.recent)
    assert all(size["vintages"] + more <= account.shape[0] for account in accounts)
    np.testing.assert_array_equal(grown.charged[:count], full.charged[:count])
    np.testing.assert_array_equal(grown.recent[:count], full.recent[:count])
    # everybody there and to come may leave with a row
    assert size["rows"] + size["pending"] + size["members"] + coming <= grown.rows.size
    # room for twice as many is no reason to move anybody
    assert roster.with_room(grown, coming, more, 2).slots is grown.slots


def test_slots_that_stand_empty_are_given_back() -> None:
    small = crowd([5_000, 5_000], [0.0])
    full = small.roster
    assert full.slots.size >= 10_000
    for number in range(full.size[0]["classes"]):
        here = full.classes[number]
        while here["members"] > 20:
            roster.vacate(full, number, int(here["start"]))
    before = everybody(full)
    smaller = roster.with_room(full, 0, 1, 2)
    assert smaller.slots.size == roster.FIRST_SLOTS
    assert everybody(smaller) == before
    assert smaller.size[0]["slots"] == len(before)


def test_rows_that_were_written_are_kept_when_there_is_room_for_more() -> None:
    full = begin(scenario({"initial_members": [people(3)]}, SMALL), 1.0).roster
    full.rows[:2]["member"] = 7, 8
    full.size[0]["rows"] = 2
    grown = roster.with_room(full, 500, 1, 2)
    assert grown.rows["member"][:2].tolist() == [7, 8]
    assert grown.rows.size >= 505
    nobody = begin(scenario({"initial_members": [people(3)]}, SMALL), 0.0).roster
    assert roster.with_room(nobody, 500, 1, 2).rows.size == 0


def test_compacting_forgets_classes_in_which_nobody_is_left() -> None:
    full = crowd([9, 9, 9], [0.3]).roster
    classes = int(full.size[0]["classes"])
    for _ in range(int(full.classes[1]["members"])):
        roster.vacate(full, 1, int(full.classes[1]["start"]))
    before = everybody(full)
    roster.compact(full)
    assert full.size[0]["classes"] == classes - 1
    assert full.size[0]["slots"] == full.size[0]["members"] == len(before)
    assert everybody(full) == before
    assert_orderly(full)


def test_numbers_are_never_given_twice() -> None:
    """However many leave and join, and however often the roster is compacted."""
    changes = (
        QUIET
        | newcomers(400)
        | {
            "motives.steady.lapse.base": 0.7,
            "periods": 8,
            "claims.frailty": DISCRETE_LAW,
        }
    )
    seen: dict[int, float] = {}
    for period, parameters, pools, full in unfold(scenario(changes, SMALL)):
        assert_agree(parameters, pools, full, period)
        here = members_of(full)
        for number, frailty in zip(here.number.tolist(), here.frailty.tolist(), strict=True):
            assert seen.setdefault(number, frailty) == frailty
        assert full.slots.size < 4 * 1024
    assert full.size[0]["numbers"] == 3_200


# Samples


def test_a_part_of_the_people_is_sampled_and_a_smaller_part_is_among_them() -> None:
    lottery = place(Purpose.SAMPLE, 0)
    parts = (0.0, 0.2, 0.6, 1.0)
    chosen = [{n for n in range(500) if roster.is_sampled(p, lottery, n)} for p in parts]
    assert not chosen[0]
    assert chosen[0] < chosen[1] < chosen[2] < chosen[3]
    assert len(chosen[3]) == 500
    assert len(chosen[1]) == pytest.approx(100, abs=5 * np.sqrt(500 * 0.2 * 0.8))


# Walks


def walk(size: int, chance: float, address: int) -> list[tuple[int, float]]:
    """Walk through a class as the kernels do; give whom it met, and the uniform of each."""
    ahead: Walk = roster.new_walk()
    met: list[tuple[int, float]] = []
    turn, found, position = 0, AHEAD, size
    rest = roster.log_none(chance)
    while found == AHEAD:
        found = roster.walk_back(place(), address, turn, position, rest, ahead)
        met += zip(ahead.position[:found].tolist(), ahead.v[:found].tolist(), strict=True)
        position = int(ahead.position[found - 1]) if found else position
        turn += found
    return met


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 300])
def test_a_chance_of_one_meets_everybody_once_from_the_last_to_the_first(size: int) -> None:
    for chance in (1.0, 1.5):
        assert [position for position, _ in walk(size, chance, 5)] == list(range(size))[::-1]


@pytest.mark.parametrize("chance", [1e-300, 1e-18])
def test_next_to_no_chance_meets_nobody(chance: float) -> None:
    assert not any(walk(10**9, chance, address) for address in range(50))


def test_a_walk_is_the_same_when_it_is_walked_again_and_another_in_another_class() -> None:
    assert walk(1_000, 0.1, 5) == walk(1_000, 0.1, 5)
    assert walk(1_000, 0.1, 5) != walk(1_000, 0.1, 6)


def test_a_walk_goes_back_and_stays_inside() -> None:
    for chance in (0.01, 0.5, 0.99):
        for address in range(20):
            met = [position for position, _ in walk(400, chance, address)]
            assert all(a > b for a, b in pairwise(met))
            assert all(0 <= position < 400 for position in met)


@pytest.mark.statistical
@pytest.mark.parametrize("chance", [0.02, 0.3, 0.9])
def test_each_position_is_met_with_the_chance_stated(chance: float) -> None:
    """A chi-square of how many are met, a z-test a position and of neighbours met together, and
    two of the uniforms: false alarm under 3e-5 for each chance.
    """
    size = 20
    met = np.zeros((WALKS, size))
    uniforms: list[float] = []
    for address in range(WALKS):
        for position, v in walk(size, chance, address):
            met[address, position] = 1
            uniforms.append(v)
    assert_binomial(met.sum(1), size, chance)
    variance = chance * (1 - chance) / WALKS
    assert_is_zero(met.mean(0) - chance, np.full(size, variance))
    together = (met[:, 1:] * met[:, :-1]).mean(0)
    assert_is_zero(together - chance**2, np.full(size - 1, chance**2 * (1 - chance**2) / WALKS))
    assert_is_zero(np.mean(uniforms) - 0.5, 1 / 12 / len(uniforms))
    assert_is_zero(np.mean(np.square(uniforms)) - 1 / 3, 4 / 45 / len(uniforms))


def test_fetching_looks_up_the_traits_of_those_met() -> None:
    full = crowd([30], [0.3]).roster
    ahead = roster.new_walk()
    ahead.position[:3] = 4, 2, 0
    roster.fetch(full.slots, 5, 3, ahead)
    assert ahead.traits[:3].tolist() == full.slots["traits"][[9, 7, 5]].tolist()


def test_addresses_of_classes_differ() -> None:
    full = crowd([9, 9, 9, 9], [0.0]).roster
    classes = full.classes[: full.size[0]["classes"]]
    addresses: list[Any] = [int(roster.class_address(here)) for here in classes]
    assert len(set(addresses)) == len(addresses) > 8
    assert all(0 <= address < 2**32 for address in addresses)
