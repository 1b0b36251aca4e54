"""Step 2, and who changes plan in step 1: people enter the roster, or move on in it.

Counts by cell are drawn where the cohort engine draws them (`kernels.joining`); here every one of
them gets a slot. Frailty has mean 1 and belongs to the person: it goes with him into another plan.

Laws: a vintage has as many people as its plan's newcomers; nobody is enrolled twice at a time.
"""

import numpy as np

from kernels.compiling import borrowing_kernel, inlined_kernel
from kernels.draws import Stream, gamma, uniforms
from kernels.individuals import DISCRETE, GAMMA, NO_FRAILTY, Individuals
from kernels.joining import plan_for, welcome
from kernels.parameters import Int64, Parameters, Records
from kernels.roster import (
    FRAILTY_BANDS,
    NO_CHANNEL,
    PADDING_KIND,
    Roster,
    arrears_of,
    balance_of,
    channel_bits,
    debt_of,
    group_now,
    group_of,
    note,
    pack,
    swap_slots,
    vacate,
    whole,
)
from kernels.state import AGED_OUT, ENTRY, MOVED, NOBODY, State, pay_deposits
from kernels.vintages import open_vintage, set_stage


@inlined_kernel
def draw_frailty(individuals: Individuals, place: Stream, number: int) -> float:
    """Draw a person's frailty.

    Parameters
    ----------
    individuals : Individuals
    place : Stream of frailties, of the path as a whole
    number : int64, of the person

    Returns
    -------
    float64, > 0, mean 1
    """
    settings = individuals.settings[0]
    if settings["frailty_law"] == GAMMA:
        variance = settings["frailty_variance"]
        return variance * gamma(place, number, 1.0 / variance)
    left = uniforms(place, number, 0)[0]
    last = individuals.frailty.size - 1
    for i in range(last):
        left -= individuals.frailty_chance[i]
        if left < 0.0:
            return float(individuals.frailty[i])
    return float(individuals.frailty[last])


@inlined_kernel
def frailty_band(individuals: Individuals, frailty: float) -> int:
    """Sort a frailty into a band, within which thinning loses little.

    Bands of the law gamma end at 1/2, 1, 2, 4, ...; of the law discrete each value is one.

    Parameters
    ----------
    individuals : Individuals
    frailty : float64

    Returns
    -------
    int64, below FRAILTY_BANDS
    """
    band = 0
    if individuals.settings[0]["frailty_law"] == DISCRETE:
        while np.float32(individuals.frailty[band]) != np.float32(frailty):
            band += 1
        return band
    edge = 0.5
    while frailty > edge and band < FRAILTY_BANDS - 1:
        band += 1
        edge *= 2.0
    return band


@inlined_kernel
def open_class(roster: Roster, vintage: int, motive: int, kind: int, start: int) -> int:
    """Open an empty class at a slot and give its number.

    Parameters
    ----------
    roster : Roster, changed; has room for a class
    vintage, motive, kind, start : int64
    """
    place = roster.size[0]["classes"]
    roster.size[0]["classes"] += 1
    here = roster.classes[place]
    here["start"] = start
    here["members"] = 0
    here["clean"] = 0
    here["vintage"] = vintage
    here["motive"] = motive
    here["kind"] = kind
    here["frailty"] = 1.0
    return place


@borrowing_kernel
def admit(roster: Roster, place: int, count: int) -> None:
    """Count the people in the next slots in: they are of the class opened last.

    Parameters
    ----------
    roster : Roster, changed; the slots are filled, `people` knows of them
    place, count : int64, the class, persons
    """
    here = roster.classes[place]
    here["members"] += count
    here["clean"] += count
    roster.vintages[here["vintage"]]["people"] += count
    roster.size[0]["members"] += count
    roster.size[0]["slots"] += count


@borrowing_kernel
def fill_slots(slots: Records, first: int, count: int, traits: int, number: int) -> None:
    """Give slots to people with the same traits.

    Parameters
    ----------
    slots : SLOT[N], changed
    first, count : int64, the slots
    traits : int64, packed
    number : int64, of the first of them
    """
    for i in range(count):
        slots[first + i]["traits"] = traits
        slots[first + i]["number"] = number + i
        slots[first + i]["frailty"] = 1.0


@borrowing_kernel
def fill_class(
    parameters: Parameters,
    individuals: Individuals,
    roster: Roster,
    place: Stream,
    where: tuple[int, int],
    counts: Int64,
    channels: Int64,
) -> None:
    """Give slots to newcomers of one vintage and motive, and sort them into classes.

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    roster : Roster, changed; has the room
    place : Stream of frailties
    where : vintage, motive
    counts : int64[J, G], persons by channel and group
    channels : int64[J], what to write down as the channel of each
    """
    size = roster.size[0]
    for kind in (NOBODY, whole(PADDING_KIND)):
        start = size["slots"]
        slot = start
        for channel in range(counts.shape[0]):
            for group in range(counts.shape[1]):
                count = counts[channel, group]
                if count > 0 and parameters.groups[group]["is_padding"] == (kind > 0):
                    traits = pack(group, channels[channel], 0)
                    fill_slots(roster.slots, slot, count, traits, size["numbers"])
                    roster.people[where[0], group] += count
                    size["numbers"] += count
                    slot += count
        if slot > start and (individuals.settings[0]["frailty_law"] == NO_FRAILTY or kind > 0):
            admit(roster, open_class(roster, where[0], where[1], kind, start), slot - start)
        elif slot > start:
            sort_newcomers(individuals, roster, place, where, slot - start)


@inlined_kernel
def sort_newcomers(
    individuals: Individuals, roster: Roster, place: Stream, where: tuple[int, int], count: int
) -> None:
    """Draw the frailties of newcomers in the next slots, and open the classes they make.

    Parameters
    ----------
    individuals : Individuals
    roster : Roster, changed
    place : Stream of frailties
    where : vintage, motive
    count : int64, persons, > 0
    """
    slots = roster.slots
    start = roster.size[0]["slots"]
    for slot in range(start, start + count):
        number = whole(slots[slot]["number"])
        slots[slot]["frailty"] = draw_frailty(individuals, place, number)
    begin = start
    for band in range(FRAILTY_BANDS):
        end = begin
        highest = 0.0
        for slot in range(begin, start + count):
            frailty = float(slots[slot]["frailty"])
            if frailty_band(individuals, frailty) == band:
                swap_slots(slots, slot, end)
                highest = max(highest, frailty)
                end += 1
        if end > begin:
            opened = open_class(roster, where[0], where[1], band, begin)
            roster.classes[opened]["frailty"] = highest
            admit(roster, opened, end - begin)
        begin = end


@inlined_kernel
def enrol_initial(
    parameters: Parameters, individuals: Individuals, state: State, roster: Roster, frail: Stream
) -> None:
    """Enrol the members before the first period.

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    state : State, read
    roster : Roster, changed; has the room
    frail : Stream of frailties
    """
    channels = np.full(1, NO_CHANNEL, np.int64)
    for initial in range(individuals.vintages.size):
        known = individuals.vintages[initial]
        plan, stage = known["plan"], known["stage"]
        number = open_vintage(parameters, state, roster, plan, -known["tenure"], 0)
        vintage = roster.vintages[number]
        wait = parameters.plans[plan]["wait"]
        vintage["covered_from"] = max(0, wait - stage)
        vintage["first_band"] = max(0, stage - wait)
        vintage["wear"] = known["wear"]
        vintage["loyalty"] = known["loyalty"]
        vintage["free"] = 0.0
        set_stage(parameters, vintage, 0)
        for motive in range(individuals.vintage_members.shape[1]):
            counts = individuals.vintage_members[initial, motive : motive + 1]
            where = (number, whole(motive))
            fill_class(parameters, individuals, roster, frail, where, counts, channels)


@inlined_kernel
def enrol_newcomers(
    parameters: Parameters,
    individuals: Individuals,
    state: State,
    roster: Roster,
    frail: Stream,
    newcomers: Int64,
    period: int,
) -> None:
    """Enrol the period's newcomers, one vintage a plan.

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    state : State, read
    roster : Roster, changed; has the room
    frail : Stream of frailties
    newcomers : int64[J, C, G], persons
    period : int64
    """
    channels, motives, groups = newcomers.shape
    codes = np.arange(channels)
    for plan in range(state.plan.size):
        if state.plan[plan]["joined"] == 0:
            continue
        number = open_vintage(parameters, state, roster, plan, period, period)
        set_stage(parameters, roster.vintages[number], period)
        counts = np.zeros((channels, groups), np.int64)
        for motive in range(motives):
            for channel in range(channels):
                if parameters.channels[channel]["plan"] == plan:
                    counts[channel] = newcomers[channel, motive]
            where = (number, whole(motive))
            fill_class(parameters, individuals, roster, frail, where, counts, codes)


@inlined_kernel
def past_age(parameters: Parameters, roster: Roster, number: int, group: int) -> bool:
    """Tell whether people of a vintage who joined in a group have passed their plan's oldest age.

    Parameters
    ----------
    parameters : Parameters
    roster : Roster, read
    number, group : int64
    """
    if roster.people[number, group] == 0:
        return False
    vintage = roster.vintages[number]
    band = parameters.groups[group]["band"] + vintage["years"]
    return band > parameters.plans[vintage["plan"]]["last_band"]


@borrowing_kernel
def count_travellers(
    parameters: Parameters, state: State, roster: Roster, period: int
) -> tuple[int, int]:
    """Count who may enter another plan this period, and of how many vintages they would be.

    Parameters
    ----------
    parameters : Parameters
    state : State, read
    roster : Roster, read
    period : int64

    Returns
    -------
    (persons, vintages) : int64
    """
    travellers = NOBODY
    vintages = NOBODY
    for number in range(roster.size[0]["vintages"]):
        vintage = roster.vintages[number]
        if has_ended(parameters, state, vintage["plan"], period):
            travellers += vintage["people"]
            vintages += state.plan.size
        elif parameters.plans[vintage["plan"]]["successor"] >= 0:
            moving = 0
            for group in range(parameters.groups.size):
                if past_age(parameters, roster, number, group):
                    moving += roster.people[number, group]
            travellers += moving
            vintages += 1 if moving > 0 else 0
    return travellers, vintages


@inlined_kernel
def has_ended(parameters: Parameters, state: State, plan: int, period: int) -> bool:
    """Tell whether a plan's pool ended in the period before."""
    pool = state.pool[parameters.plans[plan]["pool"]]
    return pool["closed"] and pool["ended"] == period - 1


@inlined_kernel
def retire(
    parameters: Parameters,
    individuals: Individuals,
    state: State,
    roster: Roster,
    lottery: Stream,
    period: int,
) -> None:
    """Let those leave who have passed their plan's oldest age, or move into its successor.

    The counts by cell have been changed already, by `ageing.advance_age`.

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    state : State, read
    roster : Roster, changed; has room for who moves
    lottery : Stream of samples
    period : int64
    """
    classes = roster.size[0]["classes"]
    heirs = np.full(roster.size[0]["vintages"], -1, np.int64)
    for place in range(classes):
        number = roster.classes[place]["vintage"]
        plan = roster.vintages[number]["plan"]
        if state.pool[parameters.plans[plan]["pool"]]["closed"]:
            continue
        due = False
        for group in range(parameters.groups.size):
            due = due or past_age(parameters, roster, number, group)
        if not due:
            continue
        heir = parameters.plans[plan]["successor"]
        if heir >= 0 and heirs[number] < 0:
            heirs[number] = inherit(parameters, state, roster, number, heir, period)
        retire_class(parameters, individuals, roster, lottery, place, heirs[number], period)


@inlined_kernel
def inherit(
    parameters: Parameters, state: State, roster: Roster, source: int, heir: int, period: int
) -> int:
    """Open the vintage of those who move from a vintage into their plan's successor.

    Their waiting period is served and their tenure goes on.

    Parameters
    ----------
    parameters : Parameters
    state : State, read
    roster : Roster, changed
    source, heir, period : int64, the vintage, the plan

    Returns
    -------
    int64, the vintage
    """
    left = roster.vintages[source]
    number = open_vintage(parameters, state, roster, heir, left["joined"], period)
    vintage = roster.vintages[number]
    vintage["covered_from"] = period
    vintage["first_band"] = parameters.market[0]["bands"] - 1
    vintage["wear"] = left["wear"]
    vintage["loyalty"] = left["loyalty"]
    vintage["free"] = left["free"] if parameters.plans[heir]["first_bill_free"] else 0.0
    set_stage(parameters, vintage, period)
    return number


@borrowing_kernel
def retire_class(
    parameters: Parameters,
    individuals: Individuals,
    roster: Roster,
    lottery: Stream,
    place: int,
    heir: int,
    period: int,
) -> None:
    """Take those of a class who are past their plan's age out, or into the vintage they move to.

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    roster : Roster, changed
    lottery : Stream of samples
    place : int64, the class
    heir : int64, vintage in the successor, -1 without one
    period : int64
    """
    here = roster.classes[place]
    number = here["vintage"]
    cause = AGED_OUT if heir < 0 else MOVED
    opened = whole(-1)
    for slot in range(here["start"] + here["members"] - 1, here["start"] - 1, -1):
        group = group_of(roster.slots[slot]["traits"])
        if not past_age(parameters, roster, number, group):
            continue
        debt = debt_of(roster, number, group, arrears_of(roster.slots[slot]["traits"]))
        money = (debt, balance_of(roster, number, group))
        note(individuals, roster, lottery, (place, slot), (period, cause), money)
        if heir >= 0:
            if opened < 0:
                start = roster.size[0]["slots"]
                opened = open_class(roster, heir, here["motive"], here["kind"], start)
                roster.classes[opened]["frailty"] = here["frailty"]
            grown = group + 2 * roster.vintages[number]["years"]
            enter(roster, slot, opened, grown, channel_bits(roster.slots[slot]["traits"]))
        vacate(roster, place, slot)


@borrowing_kernel
def enter(roster: Roster, slot: int, opened: int, group: int, channel: int) -> None:
    """Copy a member into the class opened last, in his group of today and without arrears.

    Parameters
    ----------
    roster : Roster, changed
    slot, opened, group, channel : int64
    """
    here = roster.classes[opened]
    target = here["start"] + here["members"]
    roster.slots[target] = roster.slots[slot]
    roster.slots[target]["traits"] = pack(group, channel, 0)
    roster.people[here["vintage"], group] += 1
    admit(roster, opened, 1)


@inlined_kernel
def migrate_members(
    parameters: Parameters, state: State, roster: Roster, place: Stream, period: int
) -> None:
    """Let members of pools that ended in the period before join the pools that are open.

    They begin anew in the first plan that takes their age; the others are out of the roster.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    roster : Roster, changed; has room for who moves
    place : Stream of migrations
    period : int64
    """
    # a vintage for each that people come from: draws are addressed by vintage, motive and kind
    heirs = np.full((roster.size[0]["vintages"], state.plan.size), -1, np.int64)
    classes = roster.size[0]["classes"]
    for number in range(classes):
        here = roster.classes[number]
        vintage = here["vintage"]
        plan = roster.vintages[vintage]["plan"]
        if has_ended(parameters, state, plan, period) and here["members"] > 0:
            migrate_class(parameters, state, roster, place, number, heirs[vintage], period)


@inlined_kernel
def migrate_class(
    parameters: Parameters,
    state: State,
    roster: Roster,
    place: Stream,
    number: int,
    heirs: Int64,
    period: int,
) -> None:
    """Send the members of a class to other pools, or away.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    roster : Roster, changed
    place : Stream of migrations
    number : int64, the class
    heirs : int64[P], vintage in each plan that takes people over, -1 for none yet; changed
    period : int64
    """
    here = roster.classes[number]
    vintage = roster.vintages[here["vintage"]]
    members = here["members"]
    target = np.full(members, -1, np.int16)
    arriving = np.zeros((state.plan.size, parameters.groups.size), np.int64)
    for i in range(members):
        traits = roster.slots[here["start"] + i]["traits"]
        group = group_now(vintage, group_of(traits))
        person = whole(roster.slots[here["start"] + i]["number"])
        heir = new_plan(parameters, state, vintage["plan"], group, uniforms(place, person, 0)[0])
        if heir >= 0:
            target[i] = heir
            arriving[heir, group] += 1
            late = arrears_of(traits)
            state.members[vintage["plan"], vintage["stage"], late, here["motive"], group] -= 1
    for heir in range(state.plan.size):
        count = arriving[heir].sum()
        if count > 0:
            if heirs[heir] < 0:
                heirs[heir] = open_vintage(parameters, state, roster, heir, period, period)
                set_stage(parameters, roster.vintages[heirs[heir]], period)
            receive(parameters, state, heir, here["motive"], arriving[heir], count)
            start = roster.size[0]["slots"]
            opened = open_class(roster, heirs[heir], here["motive"], here["kind"], start)
            roster.classes[opened]["frailty"] = here["frailty"]
            for i in range(members):
                if target[i] == heir:
                    slot = here["start"] + i
                    group = group_now(vintage, group_of(roster.slots[slot]["traits"]))
                    enter(roster, slot, opened, group, NO_CHANNEL)
    for slot in range(here["start"] + members - 1, here["start"] - 1, -1):
        vacate(roster, number, slot)


@inlined_kernel
def new_plan(parameters: Parameters, state: State, plan: int, group: int, u: float) -> int:
    """Find the plan that a member of a pool that ended joins, or -1.

    Parameters
    ----------
    parameters : Parameters
    state : State, read
    plan, group : int64, the plan he leaves, his group
    u : float64, a uniform
    """
    source = parameters.plans[plan]["pool"]
    for pool in range(state.pool.size):
        heir = plan_for(parameters, pool, group)
        if heir >= 0 and state.pool[pool]["closure_period"] < 0:
            u -= parameters.migration[source, pool]
            if u < 0.0:
                return heir
    return -1


@inlined_kernel
def receive(
    parameters: Parameters, state: State, heir: int, motive: int, arriving: Int64, count: int
) -> None:
    """Put people from another pool into the cells of newcomers.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    heir, motive : int64, the plan they enter
    arriving : int64[G], persons
    count : int64, persons in all
    """
    welcome(parameters, state, heir, count)
    for group in range(arriving.size):
        pay_deposits(parameters, state, heir, ENTRY, group, arriving[group])
        state.members[heir, 0, 0, motive, group] += arriving[group]
    state.plan[heir]["moved_in"] += count
