"""The roster: every member of the market, standing together with those of his class.

A class holds members of one vintage (who entered the same plan in the same period) and one motive,
whose frailties lie in one band. Its members stand side by side, those with failed bills last:

    slot   start ........ start + clean ........ start + members
           | no bill failed   | in arrears           | free, until the roster is compacted

What members of a vintage have in common (tenure, what they were billed, by group) stands once, in
the vintage's record and in the accounts. A slot holds the rest, in twelve bytes: group, channel,
arrears, number and frailty.

To leave is to change places with the last of the class, so a class never has holes, and walking it
from its end meets nobody twice. `step_back` walks it event by event.

Law: a roster and the counts of `kernels.state` agree, cell by cell, after every step.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from kernels.compiling import borrowing_kernel, inlined_kernel, kernel
from kernels.draws import Stream, uniforms
from kernels.dtypes import (
    CLASS_STATE,
    MEMBER_ROW,
    PENDING_ROW,
    ROSTER_STATE,
    SLOT,
    VINTAGE_STATE,
)
from kernels.individuals import Individuals
from kernels.parameters import Float64, Int64, Parameters, Records
from kernels.state import NOBODY, State

Int32 = npt.NDArray[np.int32]

# An int64 of a narrower number, as a kernel's Python int.
whole = cast("Callable[[Any], int]", np.int64)

# Bits of a member's traits: group 0..11, channel 12..17, arrears 18..20.
CHANNEL_BIT = 12
ARREARS_BIT = 18
GROUP_MASK = (1 << CHANNEL_BIT) - 1
CHANNEL_MASK = (1 << (ARREARS_BIT - CHANNEL_BIT)) - 1
NO_CHANNEL = CHANNEL_MASK

# Classes of one vintage and motive: bands of frailty, and people who are nobody.
FRAILTY_BANDS = 8
PADDING_KIND = FRAILTY_BANDS

# Events of a walk that are drawn ahead.
AHEAD = 256

FIRST_SLOTS = 1 << 10
SPARE = 8  # a part of 1/SPARE more slots than members when the roster grows


class Roster(NamedTuple):
    """Every member, and what is known of members of one kind; axes as in `kernels.parameters`.

    Further axes: slots N, classes L, vintages V, groups at joining G (a member's group now is 2
    further for each year since).

    slots : SLOT[N]
    classes : CLASS_STATE[L], in the order of their slots
    vintages : VINTAGE_STATE[V]
    people : int32[V, G], persons in classes
    charged : float64[V, G], yuan, billed to a member so far
    bills : int32[V, G], bills other than zero that a member had so far
    recent : float64[V, G, K], yuan, a member's last bills that could fail, the latest first
    balance : float64[V, G], yuan, a member's prepaid balance; empty without such plans
    expected : float64[V, C, G], yuan, share a member expects; empty unless of own bills
    claim_charged : float64[P, G], yuan, billed to a claimant of a group since the path began
    claim_bills : int64[P, G], bills other than zero likewise
    pending : PENDING_ROW[], members whose claim is being assessed
    rows : MEMBER_ROW[], of members who left and have not been handed out
    size : ROSTER_STATE[1], how much of each is in use
    """

    slots: Records
    classes: Records
    vintages: Records
    people: Int32
    charged: Float64
    bills: Int32
    recent: Float64
    balance: Float64
    expected: Float64
    claim_charged: Float64
    claim_bills: Int64
    pending: Records
    rows: Records
    size: Records


@kernel
def pack(group: int, channel: int, arrears: int) -> int:
    """Pack a member's traits into one number below 2**21.

    Parameters
    ----------
    group : int64, 0..2**12 - 1, at joining
    channel : int64, 0..62, or `NO_CHANNEL`
    arrears : int64, 0..7, failed bills in succession
    """
    return group | (channel << CHANNEL_BIT) | (arrears << ARREARS_BIT)


@inlined_kernel
def group_of(traits: int) -> int:
    """Give the group at joining of packed traits."""
    return whole(traits) & GROUP_MASK


@inlined_kernel
def arrears_of(traits: int) -> int:
    """Give the number of failed bills in packed traits."""
    return whole(traits) >> ARREARS_BIT


@kernel
def channel_bits(traits: int) -> int:
    """Give the channel of packed traits, `NO_CHANNEL` for none."""
    return (whole(traits) >> CHANNEL_BIT) & CHANNEL_MASK


@kernel
def channel_of(traits: int) -> int:
    """Give the channel of packed traits, -1 for none."""
    channel = channel_bits(traits)
    return channel - (NO_CHANNEL + 1) * (channel == NO_CHANNEL)


@inlined_kernel
def group_now(vintage: np.void, group: int) -> int:
    """Give the group today of who joined with a vintage in a group (one-year age bands)."""
    return group + 2 * vintage["years"]


@kernel
def new_roster(parameters: Parameters, individuals: Individuals) -> Roster:
    """Make an empty roster.

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    """
    plans = parameters.plans.size
    motives, groups = parameters.failure.shape
    deepest = 0
    accounts = 0
    for plan in range(plans):
        if parameters.plans[plan]["deposit"] >= 0.0:
            accounts = 1
        for group in range(groups):
            deepest = max(deepest, parameters.grace[plan, group])
    learning = 1 if individuals.settings[0]["own_bills"] else 0
    vintages = 16
    return Roster(
        slots=np.zeros(FIRST_SLOTS, SLOT),
        classes=np.zeros(64, CLASS_STATE),
        vintages=np.zeros(vintages, VINTAGE_STATE),
        people=np.zeros((vintages, groups), np.int32),
        charged=np.zeros((vintages, groups), np.float64),
        bills=np.zeros((vintages, groups), np.int32),
        recent=np.zeros((vintages, groups, deepest), np.float64),
        balance=np.zeros((accounts * vintages, groups), np.float64),
        expected=np.zeros((learning * vintages, motives, groups), np.float64),
        claim_charged=np.zeros((plans, groups), np.float64),
        claim_bills=np.zeros((plans, groups), np.int64),
        pending=np.zeros(64, PENDING_ROW),
        rows=np.zeros(0, MEMBER_ROW),
        size=np.zeros(1, ROSTER_STATE),
    )


@borrowing_kernel
def swap_slots(slots: Records, one: int, other: int) -> None:
    """Let two members change places."""
    traits, number, frailty = slots[one]["traits"], slots[one]["number"], slots[one]["frailty"]
    slots[one] = slots[other]
    slots[other]["traits"] = traits
    slots[other]["number"] = number
    slots[other]["frailty"] = frailty


@inlined_kernel
def vacate(roster: Roster, place: int, slot: int) -> None:
    """Take a member out of his class: the last of those like him takes his slot.

    Parameters
    ----------
    roster : Roster, changed
    place, slot : int64, the class, the slot in it
    """
    here = roster.classes[place]
    vintage = here["vintage"]
    roster.people[vintage, group_of(roster.slots[slot]["traits"])] -= 1
    clean = here["clean"]
    hole = slot
    if slot < here["start"] + clean:
        clean -= 1
        hole = here["start"] + clean
        roster.slots[slot] = roster.slots[hole]
    roster.slots[hole] = roster.slots[here["start"] + here["members"] - 1]
    resize(roster, place, here["members"] - 1, clean)


@inlined_kernel
def resize(roster: Roster, place: int, members: int, clean: int) -> None:
    """Write down how many members of a class are left.

    Parameters
    ----------
    roster : Roster, changed
    place : int64, the class
    members, clean : int64, persons, all and those without failed bills
    """
    here = roster.classes[place]
    gone = here["members"] - members
    roster.vintages[here["vintage"]]["people"] -= gone
    roster.size[0]["members"] -= gone
    here["members"] = members
    here["clean"] = clean


@borrowing_kernel
def compact(roster: Roster) -> None:
    """Close the gaps between classes, and forget the classes in which nobody is left.

    Parameters
    ----------
    roster : Roster, changed
    """
    size = roster.size[0]
    kept = NOBODY
    cursor = NOBODY
    for place in range(size["classes"]):
        members = roster.classes[place]["members"]
        if members > 0:
            start = roster.classes[place]["start"]
            if start > cursor:
                for slot in range(members):
                    roster.slots[cursor + slot] = roster.slots[start + slot]
            roster.classes[kept] = roster.classes[place]
            roster.classes[kept]["start"] = cursor
            cursor += members
            kept += 1
    size["classes"] = kept
    size["slots"] = cursor


def with_room(roster: Roster, members: int, vintages: int, motives: int) -> Roster:
    """Make room for newcomers: gaps are closed first, then what is too short grows.

    Where most slots stand empty they are given back.

    Parameters
    ----------
    roster : Roster
    members, vintages : int, who will enter, of how many vintages
    motives : int, C

    Returns
    -------
    Roster
        The same where it has the room.
    """
    size = roster.size[0]
    slots = roster.slots.size
    needed = int(size["members"]) + members
    if size["slots"] + members > slots or 4 * needed < slots > FIRST_SLOTS:
        compact(roster)
        # nearly full is too full: gaps would have to be closed again every period
        if not needed + needed // (2 * SPARE) <= slots < 4 * needed:
            slots = max(FIRST_SLOTS, needed + needed // SPARE)
    classes = int(size["classes"]) + vintages * motives * (FRAILTY_BANDS + 1)
    many = int(size["vintages"]) + vintages
    # each of them, and each claimant, may leave before rows are handed out
    rows = int(size["rows"] + size["pending"]) + needed if roster.rows.size else 0
    return roster._replace(
        slots=_of_length(roster.slots, slots),
        classes=_at_least(roster.classes, classes),
        vintages=_at_least(roster.vintages, many),
        people=_at_least(roster.people, many),
        charged=_at_least(roster.charged, many),
        bills=_at_least(roster.bills, many),
        recent=_at_least(roster.recent, many),
        balance=_at_least(roster.balance, many) if roster.balance.size else roster.balance,
        expected=_at_least(roster.expected, many) if roster.expected.size else roster.expected,
        rows=_rows_for(roster, rows),
    )


def _rows_for(roster: Roster, length: int) -> Records:
    """Return the rows, with room for `length`; only those written are copied, or touched."""
    if roster.rows.size >= length:
        return roster.rows
    longer = np.empty(length + length // 2, MEMBER_ROW)
    written = int(roster.size[0]["rows"])
    longer[:written] = roster.rows[:written]
    return longer


def _at_least(array: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    """Return an array, grown by half or more where it is shorter than `length`."""
    if array.shape[0] >= length:
        return array
    return _of_length(array, max(length, array.shape[0] * 3 // 2))


def _of_length(array: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    """Return an array with a first axis of `length`; pages never used take no memory."""
    if array.shape[0] == length:
        return array
    copy = np.empty((length, *array.shape[1:]), array.dtype)
    kept = min(length, array.shape[0])
    copy[:kept] = array[:kept]
    return copy


@kernel
def step_back(
    place: Stream, address: int, turn: int, position: int, log_none: float
) -> tuple[int, float]:
    """Go back through a class to the next member to whom something may happen.

    The gaps between events of equal chance are geometric; so one draw an event finds how many
    there are and whom they meet, at once and in the order of memory (Devroye 1986, ch. X.2).

    Parameters
    ----------
    place : Stream
    address : int64, a `class_address`
    turn : int64, 0..2**30 - 1, which event of the class it is
    position : int64, the members before it are still to be passed
    log_none : float64, log(1 - chance), < 0, may be -inf

    Returns
    -------
    (position, v) : int64, -1 where nobody is left; float64, an independent uniform in (0, 1)
    """
    u, v = uniforms(place, address | (turn << 32), 0)
    passed = math.log(u) / log_none
    if passed >= position:
        return -1, v
    return position - 1 - int(passed), v


class Walk(NamedTuple):
    """Some events of a walk through a class, drawn ahead.

    position : int64[AHEAD], in the class, falling
    v : float64[AHEAD], an independent uniform each
    traits : int64[AHEAD], of the members who stand there
    """

    position: Int64
    v: Float64
    traits: Int64


@kernel
def new_walk() -> Walk:
    """Make room for the events of a walk."""
    return Walk(np.empty(AHEAD, np.int64), np.empty(AHEAD, np.float64), np.empty(AHEAD, np.int64))


@borrowing_kernel
def walk_back(
    place: Stream, address: int, turn: int, position: int, log_none: float, walk: Walk
) -> int:
    """Go back through a class to the next members to whom something may happen.

    Positions before those found stay as they are while what happens there is worked off, so some
    events can be drawn ahead, and the members fetched all at once instead of one after another.

    Parameters
    ----------
    place : Stream
    address : int64, a `class_address`
    turn : int64, events of the class drawn before
    position : int64, the members before it are still to be passed
    log_none : float64, log(1 - chance), < 0, may be -inf
    walk : Walk, filled

    Returns
    -------
    int64, how many were found; below AHEAD where the walk is at its end
    """
    positions, vs = walk.position, walk.v
    found = 0
    while found < AHEAD:
        position, v = step_back(place, address, turn + found, position, log_none)
        if position < 0:
            return found
        positions[found] = position
        vs[found] = v
        found += 1
    return found


@borrowing_kernel
def fetch(slots: Records, start: int, found: int, walk: Walk) -> None:
    """Look up the traits of the members that a walk has found.

    Parameters
    ----------
    slots : SLOT[N]
    start, found : int64, the class's first slot, how many were found
    walk : Walk, traits filled
    """
    positions, traits = walk.position, walk.traits
    for i in range(found):
        traits[i] = slots[start + positions[i]]["traits"]


@inlined_kernel
def log_none(chance: float) -> float:
    """Compute log(1 - chance), -inf for a chance of 1 and more (float64)."""
    return math.log1p(-chance) if chance < 1.0 else -math.inf


@inlined_kernel
def class_address(here: np.void) -> int:
    """Give the address of a class's draws, below 2**32: vintage 25 bits, motive 3, kind 4."""
    return (here["vintage"] << 7) | (here["motive"] << 4) | here["kind"]


@inlined_kernel
def debt_of(roster: Roster, vintage: int, group: int, failed: int) -> float:
    """Sum a member's last bills that failed (float64, yuan).

    Parameters
    ----------
    roster : Roster, read
    vintage, group : int64, group at joining
    failed : int64, bills in succession, the latest included
    """
    debt = 0.0
    for bill in range(failed):
        debt += roster.recent[vintage, group, bill]
    return debt


@inlined_kernel
def balance_of(roster: Roster, vintage: int, group: int) -> float:
    """Give a member's prepaid balance (float64, yuan), 0 where there is none."""
    return roster.balance[vintage, group] if roster.balance.size > 0 else 0.0


@inlined_kernel
def take_out(state: State, cell: tuple[int, int, int, int, int], debt: float, heads: int) -> None:
    """Change the counts of a cell by one member and what he owes.

    Parameters
    ----------
    state : State, changed
    cell : plan, stage, arrears, motive, group now
    debt : float64, yuan, of the member
    heads : int64, -1 to take him out, 1 to put him in
    """
    plan, stage, arrears, motive, group = cell
    state.members[cell] += heads
    if arrears > 0:
        owing = (plan, stage, arrears - 1, motive, group)
        # an empty cell owes nothing, whatever rounding left
        state.debt[owing] = state.debt[owing] + heads * debt if state.members[cell] > 0 else 0.0


@borrowing_kernel
def is_sampled(part: float, lottery: Stream, number: int) -> bool:
    """Tell whether a person gets a row.

    Parameters
    ----------
    part : float64, 0..1, of the people
    lottery : Stream of samples
    number : int64, of the person
    """
    return part > 0.0 and (part >= 1.0 or uniforms(lottery, number, 0)[0] < part)


@inlined_kernel
def note(
    individuals: Individuals,
    roster: Roster,
    lottery: Stream,
    where: tuple[int, int],
    end: tuple[int, int],
    money: tuple[float, float],
) -> None:
    """Write the row of a member in a class, if he is of the sample.

    Parameters
    ----------
    individuals : Individuals
    roster : Roster, rows added
    lottery : Stream of samples
    where : class, slot
    end : period in which he left, -1 while a member; cause
    money : float64, yuan, billed to him but not paid; returned of his balance
    """
    # hardly anything, unless there are rows: most is passing the roster to `write_row`
    part = individuals.settings[0]["sample"]
    if part > 0.0 and is_sampled(part, lottery, whole(roster.slots[where[1]]["number"])):
        here = roster.classes[where[0]]
        at = roster.size[0]["rows"]
        roster.size[0]["rows"] = at + 1
        write_row(
            roster.rows, at, roster.slots, where[1], here, roster.vintages[here["vintage"]],
            roster.charged, roster.bills, end, money,
        )  # fmt: skip


@borrowing_kernel
def write_row(
    rows: Records,
    at: int,
    slots: Records,
    slot: int,
    here: np.void,
    vintage: np.void,
    charged: Float64,
    bills: Int32,
    end: tuple[int, int],
    money: tuple[float, float],
) -> None:
    """Write the row of a member in a class.

    Parameters
    ----------
    rows : MEMBER_ROW[], changed
    at : int64, the row
    slots : SLOT[N]
    slot : int64
    here : CLASS_STATE
    vintage : VINTAGE_STATE
    charged, bills : float64[V, G], int32[V, G]
    end : period in which he left, -1 while a member; cause
    money : float64, yuan, billed to him but not paid; returned of his balance
    """
    traits = whole(slots[slot]["traits"])
    group = traits & GROUP_MASK
    row = rows[at]
    row["member"] = slots[slot]["number"]
    row["joined"] = vintage["joined"]
    row["left"] = end[0]
    row["cause"] = end[1]
    row["bills"] = bills[here["vintage"], group]
    row["group"] = group
    row["plan"] = vintage["plan"]
    row["channel"] = channel_of(traits)
    row["motive"] = here["motive"]
    row["frailty"] = slots[slot]["frailty"]
    row["paid"] = charged[here["vintage"], group] - money[0]
    row["received"] = 0.0
    row["returned"] = money[1]


@borrowing_kernel
def note_claimant(
    individuals: Individuals,
    roster: Roster,
    lottery: Stream,
    claim: np.void,
    end: tuple[int, int],
    money: tuple[float, int, float],
) -> None:
    """Write the row of a member whose claim was being assessed, if he is of the sample.

    Parameters
    ----------
    individuals : Individuals
    roster : Roster, rows added
    lottery : Stream of samples
    claim : PENDING_ROW
    end : period in which he left, -1 while a member; cause
    money : yuan and number of the bills of a claimant of his group so far, those he did not have
        taken off; yuan he received
    """
    part = individuals.settings[0]["sample"]
    if not is_sampled(part, lottery, whole(claim["number"])):
        return
    size = roster.size[0]
    row = roster.rows[size["rows"]]
    size["rows"] += 1
    row["member"] = claim["number"]
    row["joined"] = claim["joined"]
    row["left"] = end[0]
    row["cause"] = end[1]
    row["bills"] = claim["bills"] + money[1]
    row["group"] = claim["group_joined"]
    row["plan"] = claim["plan"]
    row["channel"] = claim["channel"]
    row["motive"] = claim["motive"]
    row["frailty"] = claim["frailty"]
    row["paid"] = claim["paid"] + money[0]
    row["received"] = money[2]
    row["returned"] = claim["returned"]
