"""Step 6 for individuals: who leaves, and why (MODEL section 6).

A member's intensities are those of `kernels.lapse`, at his own tenure, with his own charge, and
against what he himself expects where members learn from their own bills. Each class is walked under
the probability of somebody who has the worst of everything in it.

Law: lapses = sum over causes; no cause without intensity takes anybody.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kernels.compiling import borrowing_kernel, inlined_kernel
from kernels.draws import Purpose, stream
from kernels.individuals import Individuals
from kernels.lapse import (
    COMPETING,
    Reaction,
    attention,
    bill_gap,
    burden_of,
    forget_bills,
    leaving_probability,
    set_intensities,
)
from kernels.parameters import Float64, Parameters
from kernels.roster import (
    AHEAD,
    ARREARS_BIT,
    GROUP_MASK,
    Roster,
    Walk,
    arrears_of,
    balance_of,
    class_address,
    debt_of,
    fetch,
    group_now,
    group_of,
    log_none,
    new_walk,
    note,
    vacate,
    walk_back,
    whole,
)
from kernels.state import BILL_SHOCK, BURDEN, DIED, NOBODY, State, write_off


class Mood(NamedTuple):
    """How members of one motive are disposed to leave this period.

    common : float64[9], intensity of each cause per period, alike for all
    own : float64[9], the same of the member at hand: with his burden, mortality and surprise
    mix : float64[9], probability of each cause given that he leaves
    reader : float64[1], 0..1, probability of reconsidering
    is_billed : bool[1]
    """

    common: Float64
    own: Float64
    mix: Float64
    reader: Float64
    is_billed: npt.NDArray[np.bool_]


@inlined_kernel
def lapse_individually(
    parameters: Parameters,
    individuals: Individuals,
    state: State,
    roster: Roster,
    when: tuple[int, int, int],
    plan: int,
) -> None:
    """Draw the lapses of one plan, class by class.

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    state : State, changed
    roster : Roster, changed
    when : seed, path, period
    plan : int64
    """
    motives = parameters.motives.size
    billed = np.zeros((motives, COMPETING), np.float64)
    attentive = np.zeros(motives, np.float64)
    for motive in range(motives):
        set_intensities(parameters, state, plan, motive, when[2], billed[motive])
        attentive[motive] = attention(parameters, state, plan, motive)
    waiting = billed.copy()
    forget_bills(waiting)
    walk = new_walk()
    mood = Mood(
        np.zeros(COMPETING, np.float64), np.zeros(COMPETING, np.float64),
        np.zeros(COMPETING, np.float64), np.zeros(1, np.float64), np.zeros(1, np.bool_),
    )  # fmt: skip
    for number in range(roster.size[0]["classes"]):
        here = roster.classes[number]
        if roster.vintages[here["vintage"]]["plan"] == plan and here["members"] > 0:
            set_mood(parameters, roster, number, billed, waiting, attentive, mood)
            worst = worst_plight(parameters, state, roster, number)
            bound = probability_in(parameters, roster, number, worst, mood)
            if bound > 0.0:
                lapse_class(parameters, individuals, state, roster, when, number, bound, mood, walk)


@borrowing_kernel
def set_mood(
    parameters: Parameters,
    roster: Roster,
    number: int,
    billed: Float64,
    waiting: Float64,
    attentive: Float64,
    mood: Mood,
) -> None:
    """Fill in how the members of a class are disposed.

    Parameters
    ----------
    parameters : Parameters
    roster : Roster, read
    number : int64, the class
    billed, waiting : float64[C, 9], intensity of each cause, on who is billed and who is not
    attentive : float64[C], probability of reconsidering
    mood : Mood, changed
    """
    here = roster.classes[number]
    vintage = roster.vintages[here["vintage"]]
    settings = parameters.plans[vintage["plan"]]
    first_billed = 0 if settings["waiting_members_pay"] else settings["wait"]
    mood.is_billed[0] = vintage["stage"] >= first_billed
    common = billed if mood.is_billed[0] else waiting
    for cause in range(COMPETING):
        mood.common[cause] = common[here["motive"], cause]
        mood.own[cause] = mood.common[cause]
    mood.reader[0] = attentive[here["motive"]]


@inlined_kernel
def highest_gap(parameters: Parameters, state: State, roster: Roster, number: int) -> float:
    """Find the highest gap between own bill and own expectation in a class (float64).

    Parameters
    ----------
    parameters : Parameters
    state : State, read, as charged
    roster : Roster, read; members learn from their own bills
    number : int64, the class
    """
    here = roster.classes[number]
    vintage = roster.vintages[here["vintage"]]
    highest = 0.0
    for group in range(parameters.groups.size - 2 * vintage["years"]):
        if roster.people[here["vintage"], group] > 0:
            highest = max(highest, own_gap(parameters, state, roster, number, group))
    return highest


@inlined_kernel
def own_gap(parameters: Parameters, state: State, roster: Roster, number: int, group: int) -> float:
    """Compute by how much a member's bill exceeds what he expected, relative to it (float64).

    Parameters
    ----------
    parameters : Parameters
    state : State, read, as charged
    roster : Roster, read; members learn from their own bills
    number, group : int64, the class, his group at joining
    """
    here = roster.classes[number]
    vintage = roster.vintages[here["vintage"]]
    charge = state.charge[vintage["plan"], vintage["stage"], group_now(vintage, group)]
    expected = roster.expected[here["vintage"], here["motive"], group]
    return bill_gap(max(0.0, charge), max(0.0, expected), parameters.market[0])


@inlined_kernel
def pick_cause(mix: Float64, v: float) -> int:
    """Find the cause (int64) of a uniform v, by inversion of float64[9] probabilities."""
    last = NOBODY
    for cause in range(COMPETING):
        if mix[cause] > 0.0:
            last = whole(cause)
            v -= mix[cause]
            if v < 0.0:
                break
    return last


class Plight(NamedTuple):
    """What makes a member leave that is not alike for all of his class, each field a float64.

    charge : yuan, this period
    gap : >= 0, own bill over own expectation, where members learn from their own bills
    mortality : intensity of death, per period
    lapse_ratio : >= 0, intensities relative to the motive's, by health
    """

    charge: float
    gap: float
    mortality: float
    lapse_ratio: float


@borrowing_kernel
def probability_in(
    parameters: Parameters, roster: Roster, number: int, plight: Plight, mood: Mood
) -> float:
    """Compute the probability that a member leaves, and of each cause given that he does.

    Parameters
    ----------
    parameters : Parameters
    roster : Roster, read
    number : int64, his class
    plight : Plight, his own
    mood : Mood, of the class; own intensities and mix filled

    Returns
    -------
    float64, 0..1
    """
    here = roster.classes[number]
    vintage, motive = roster.vintages[here["vintage"]], here["motive"]
    mood.own[DIED] = plight.mortality
    if mood.is_billed[0]:
        mood.own[BURDEN] = burden_of(parameters, motive, plight.charge)
        if roster.expected.size > 0:
            mood.own[BILL_SHOCK] = parameters.lapse[motive, BILL_SHOCK] * plight.gap
    unbilled = vintage["unbilled"] - vintage["free"]
    ratio = vintage["loyalty"] * plight.lapse_ratio
    return leaving_probability(mood.own, Reaction(unbilled, mood.reader[0], ratio), mood.mix)


@borrowing_kernel
def worst_plight(parameters: Parameters, state: State, roster: Roster, number: int) -> Plight:
    """Give the plight of somebody who has the worst of everything in a class.

    Parameters
    ----------
    parameters : Parameters
    state : State, read, as charged
    roster : Roster, read
    number : int64, the class
    """
    vintage = roster.vintages[roster.classes[number]["vintage"]]
    gap = highest_gap(parameters, state, roster, number) if roster.expected.size > 0 else 0.0
    return Plight(vintage["charge"], gap, vintage["mortality"], vintage["lapse_ratio"])


@borrowing_kernel
def own_plight(
    parameters: Parameters, state: State, roster: Roster, number: int, group: int
) -> Plight:
    """Give the plight of a member.

    Parameters
    ----------
    parameters : Parameters
    state : State, read, as charged
    roster : Roster, read
    number, group : int64, his class, his group at joining
    """
    vintage = roster.vintages[roster.classes[number]["vintage"]]
    now = group_now(vintage, group)
    known = parameters.groups[now]
    charge = state.charge[vintage["plan"], vintage["stage"], now]
    gap = own_gap(parameters, state, roster, number, group) if roster.expected.size > 0 else 0.0
    return Plight(charge, gap, known["mortality"], known["lapse_ratio"])


@inlined_kernel
def is_alike(parameters: Parameters, roster: Roster, number: int, mood: Mood) -> bool:
    """Tell whether all members of a class leave with the same probability.

    Parameters
    ----------
    parameters : Parameters
    roster : Roster, read
    number : int64, the class
    mood : Mood, of the class
    """
    market = parameters.market[0]
    vintage = roster.vintages[roster.classes[number]["vintage"]]
    same_bill = roster.expected.size == 0 and vintage["charge"] == vintage["lowest_charge"]
    same_bill = same_bill or not mood.is_billed[0]
    return same_bill and not market["mortal"] and not market["selective"]


@borrowing_kernel
def lapse_class(
    parameters: Parameters,
    individuals: Individuals,
    state: State,
    roster: Roster,
    when: tuple[int, int, int],
    number: int,
    bound: float,
    mood: Mood,
    walk: Walk,
) -> None:
    """Draw the lapses of one class.

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    state : State, changed
    roster : Roster, changed
    when : seed, path, period
    number : int64, the class
    bound : float64, probability that nobody in the class exceeds, > 0
    mood : Mood, of the class
    walk : Walk, to be used
    """
    seed, path, period = when
    place = stream(seed, path, Purpose.LAPSE, period)
    lottery = stream(seed, path, Purpose.SAMPLE, 0)
    alike = is_alike(parameters, roster, number, mood)
    here = roster.classes[number]
    vintage = roster.vintages[here["vintage"]]
    cells = state.members[vintage["plan"], vintage["stage"], :, here["motive"]]
    address, rest = class_address(here), log_none(bound)
    turn, found, position = 0, AHEAD, here["members"]
    while found == AHEAD:
        found = walk_back(place, address, turn, position, rest, walk)
        fetch(roster.slots, here["start"], found, walk)
        for i in range(found):
            position, traits = walk.position[i], walk.traits[i]
            group, late = traits & GROUP_MASK, traits >> ARREARS_BIT
            chance = bound
            if not alike:
                plight = own_plight(parameters, state, roster, number, group)
                chance = probability_in(parameters, roster, number, plight, mood)
            if walk.v[i] * bound < chance:
                slot = here["start"] + position
                cause = pick_cause(mood.mix, walk.v[i] * bound / chance)
                debt = forgive(state, roster, number, slot) if late > 0 else 0.0
                money = (debt, balance_of(roster, here["vintage"], group))
                note(individuals, roster, lottery, (number, slot), (period, cause), money)
                cells[late, group + 2 * vintage["years"]] -= 1
                state.left[vintage["plan"], cause] += 1
                vacate(roster, number, slot)
        turn += found


@borrowing_kernel
def forgive(state: State, roster: Roster, number: int, slot: int) -> float:
    """Write off what a member owes who leaves.

    Parameters
    ----------
    state : State, changed; he is still counted in his cell
    roster : Roster, read
    number, slot : int64, his class and slot; he is in arrears

    Returns
    -------
    float64, yuan
    """
    here = roster.classes[number]
    vintage = roster.vintages[here["vintage"]]
    traits = roster.slots[slot]["traits"]
    group, late = group_of(traits), arrears_of(traits)
    debt = debt_of(roster, here["vintage"], group, late)
    plan, now = vintage["plan"], group_now(vintage, group)
    write_off(state, plan, debt)
    owing = (plan, vintage["stage"], late - 1, here["motive"], now)
    state.debt[owing] = max(0.0, state.debt[owing] - debt)
    return debt
