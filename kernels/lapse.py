"""Step 6: who leaves, and why (MODEL section 6).

Causes compete: their intensities add up to L, a member leaves with probability 1 - exp(-L), and
given that he leaves, the cause is i with probability L_i / L. Only who is billed reacts to bills.

Bills are debited unread: a member reconsiders with probability A = a + (1 - a)(1 - exp(-alpha (jump
+ news))), and only then the causes that stand in a bill act on him. Intensities fall with loyalty,
exp(-l years of tenure), and may differ by health; gaps and growth in the dead zone move nobody.

Law: lapses = sum over causes; no cause without intensity takes anybody.
"""

import math
from typing import NamedTuple

import numpy as np

from kernels.claims import expected_benefit
from kernels.compiling import inlined_kernel, kernel
from kernels.draws import Purpose, Stream, multinomial, stream
from kernels.parameters import Float64, Int64, Parameters
from kernels.state import (
    BASE,
    BILL_SHOCK,
    BURDEN,
    COMPETITOR,
    DIED,
    FIRST_BILL,
    GROWTH,
    NEWS,
    NOBODY,
    REGULATION,
    State,
    block_address,
    cell_address,
    draw_cells,
    leave,
)

# Kinds of causes that are told apart cell by cell where members differ; see `kind_of`.
KINDS = 5
REST = KINDS - 1  # the kind of most causes
# Causes that compete here are the first nine; the others are decided in their own steps.
COMPETING = DIED + 1
# More than sums over all cells round, relative to the sum: 2**-53 for each of some thousand terms.
SUM_ROUNDING = 1e-12


@inlined_kernel
def bill_gap(share: float, expectation: float, market: np.void) -> float:
    """Compute by how much a bill exceeds what was expected, relative to it.

    Parameters
    ----------
    share, expectation : float64, yuan, >= 0
    market : MARKET_PARAMETERS; the largest gap that members react to, and the dead zone

    Returns
    -------
    float64, 0..shock_cap, zero in the dead zone
    """
    if share - expectation <= market["dead_zone"] * expectation:
        return 0.0
    if share - expectation >= market["shock_cap"] * expectation:
        return market["shock_cap"]
    return (share - expectation) / expectation


@inlined_kernel
def log_growth(share: float, share_before: float, market: np.void) -> float:
    """Compute the growth of the log share, zero where it fell or there was none before.

    Parameters
    ----------
    share, share_before : float64, yuan, >= 0
    market : MARKET_PARAMETERS; the largest growth that members react to, and the dead zone

    Returns
    -------
    float64, 0..shock_cap, zero in the dead zone
    """
    if share_before <= 0.0 or share <= share_before:
        return 0.0
    growth = math.log(share / share_before)
    if growth <= market["dead_zone"]:
        return 0.0
    return min(growth, market["shock_cap"])


@inlined_kernel
def attention(parameters: Parameters, state: State, plan: int, motive: int) -> float:
    """Compute the probability that a member reconsiders, so that what a bill says can move him.

    Parameters
    ----------
    parameters : Parameters
    state : State, read
    plan, motive : int64

    Returns
    -------
    float64, 0..1
    """
    own = parameters.motives[motive]["attention"]
    market, money = parameters.market[0], state.plan[plan]
    jump = 0.0
    if money["share_before"] > 0.0:
        jump = max(0.0, money["share"] / money["share_before"] - 1.0)
    alarm = min(jump, market["shock_cap"]) + state.pool[parameters.plans[plan]["pool"]]["news"]
    return own - (1.0 - own) * math.expm1(-market["attention_slope"] * alarm)


@inlined_kernel
def set_intensities(
    parameters: Parameters,
    state: State,
    plan: int,
    motive: int,
    period: int,
    intensity: Float64,
) -> None:
    """Fill in the intensity of each competing cause for a motive, as if its members were billed.

    Burden and death are left at zero: they are not the same for all members of the motive, see
    `set_own_intensities`.

    Parameters
    ----------
    parameters : Parameters
    state : State, read
    plan, motive, period : int64
    intensity : float64[9], filled, per period
    """
    factor = parameters.lapse[motive]
    market, now = parameters.market[0], parameters.periods[period]
    share = state.plan[plan]["share"]
    gap = bill_gap(share, state.expectation[plan, motive], market)
    growth = log_growth(share, state.plan[plan]["share_before"], market)
    intensity[BASE] = factor[BASE]
    intensity[FIRST_BILL] = (
        factor[FIRST_BILL] if share > parameters.plans[plan]["trivial_share"] else 0.0
    )
    intensity[BILL_SHOCK] = factor[BILL_SHOCK] * gap
    intensity[GROWTH] = factor[GROWTH] * growth
    intensity[BURDEN] = 0.0
    intensity[NEWS] = factor[NEWS] * state.pool[parameters.plans[plan]["pool"]]["news"]
    intensity[COMPETITOR] = factor[COMPETITOR] * now["competitor"]
    intensity[REGULATION] = factor[REGULATION] * now["announcement"]
    intensity[DIED] = 0.0


@inlined_kernel
def forget_bills(intensity: Float64) -> None:
    """Leave only the causes that act on members who are not billed.

    Parameters
    ----------
    intensity : float64[C, 9], changed
    """
    for motive in range(intensity.shape[0]):
        intensity[motive, FIRST_BILL] = 0.0
        intensity[motive, BILL_SHOCK] = 0.0
        intensity[motive, GROWTH] = 0.0
        intensity[motive, BURDEN] = 0.0


class Reaction(NamedTuple):
    """How members of one cell react to their intensities, each field a float64 number.

    unbilled : 0..1, share who have their first non-trivial bill before them
    attention : 0..1, probability of reconsidering
    ratio : >= 0, intensities relative to the motive's (loyalty, health); deaths apart
    """

    unbilled: float
    attention: float
    ratio: float


@inlined_kernel
def leaving_rate(intensity: float) -> float:
    """Compute (1 - exp(-L)) / L, the probability of leaving per unit of intensity."""
    return -math.expm1(-intensity) / intensity if intensity > 0.0 else 1.0


class Leaving(NamedTuple):
    """How members of one cell leave, each field a float64 number.

    probability : 0..1
    any_rate : probability per unit of the causes that act on everybody
    alert_rate : probability per unit of the causes of a bill
    first : 0..1, probability of leaving because of a first bill
    """

    probability: float
    any_rate: float
    alert_rate: float
    first: float


@kernel
def leave_by(quiet: float, alert: float, first: float, reaction: Reaction) -> Leaving:
    """Compute the probability of leaving, and how it falls to kinds of causes.

    Members are of three kinds: who does not reconsider, on whom the causes of a bill do not act;
    who does; and who does and has his first bill before him.

    Parameters
    ----------
    quiet, alert, first : float64, intensity per period of the causes that act on everybody, of the
        causes of a bill, and of a first bill, as they are for the cell
    reaction : Reaction

    Returns
    -------
    Leaving
    """
    unbilled, attentive, _ = reaction
    # this is computed for every cell where members differ, so nothing is that has no weight
    billed_rate = leaving_rate(quiet + alert)
    first_rate = billed_rate
    if unbilled > 0.0 and first > 0.0:
        first_rate = leaving_rate(quiet + alert + first)
    alert_rate = attentive * (billed_rate + unbilled * (first_rate - billed_rate))
    any_rate = alert_rate
    if attentive < 1.0:
        any_rate += (1.0 - attentive) * leaving_rate(quiet)
    new = attentive * unbilled * first_rate * first
    leaving = min(1.0, any_rate * quiet + alert_rate * alert + new)  # rounding can pass 1
    return Leaving(leaving, any_rate, alert_rate, new)


@inlined_kernel
def quiet_intensity(intensity: Float64) -> float:
    """Sum the causes that act on everybody, deaths apart; float64[9] per period."""
    return intensity[BASE] + intensity[NEWS] + intensity[COMPETITOR] + intensity[REGULATION]


@kernel
def leaving_probability(intensity: Float64, reaction: Reaction, mix: Float64) -> float:
    """Compute the probability of leaving, and of each cause given that one leaves.

    Parameters
    ----------
    intensity : float64[9], per period
    reaction : Reaction
    mix : float64[9], filled, sums to 1 where the result is positive

    Returns
    -------
    float64, 0..1
    """
    ratio = reaction.ratio
    quiet = intensity[DIED] + ratio * quiet_intensity(intensity)
    alert = ratio * (intensity[BILL_SHOCK] + intensity[GROWTH] + intensity[BURDEN])
    leaving = leave_by(quiet, alert, ratio * intensity[FIRST_BILL], reaction)
    if leaving.probability > 0.0:
        for cause in range(DIED):
            rate = leaving.alert_rate if is_of_a_bill(cause) else leaving.any_rate
            mix[cause] = rate * ratio * intensity[cause] / leaving.probability
        mix[FIRST_BILL] = leaving.first / leaving.probability
        mix[DIED] = leaving.any_rate * intensity[DIED] / leaving.probability
    return leaving.probability


@kernel
def is_of_a_bill(cause: int) -> bool:
    """Tell whether a cause stands in every bill, so that only who reads his bills feels it."""
    return BILL_SHOCK <= cause <= BURDEN


@inlined_kernel
def reaction_of(
    parameters: Parameters, state: State, attentive: float, cell: tuple[int, int, int]
) -> Reaction:
    """Say how the members of a cell react.

    Parameters
    ----------
    parameters : Parameters
    state : State, read
    attentive : float64, probability of reconsidering
    cell : plan, stage, group
    """
    plan, stage, group = cell
    known = state.stage[plan, stage]
    ratio = known["loyalty"] * parameters.groups[group]["lapse_ratio"]
    # whose first bill the platform has paid has it still before him
    return Reaction(known["unbilled"] - known["free"], attentive, ratio)


@kernel
def lapse_members(
    parameters: Parameters,
    state: State,
    seed: int,
    path: int,
    plan: int,
    period: int,
) -> None:
    """Draw the lapses of one plan, stage by stage.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    seed, path, plan, period : int64
    """
    settings = parameters.plans[plan]
    wait = settings["wait"]
    first_billed = 0 if settings["waiting_members_pay"] else wait
    place = stream(seed, path, Purpose.LAPSE, period)
    split = stream(seed, path, Purpose.LAPSE_CAUSE, period)
    motives = state.members.shape[3]
    intensity = np.zeros((motives, COMPETING), np.float64)
    attentive = np.zeros(motives, np.float64)
    for motive in range(motives):
        set_intensities(parameters, state, plan, motive, period, intensity[motive])
        attentive[motive] = attention(parameters, state, plan, motive)
    # billed stages first: forgetting the bills cannot be undone
    for stage in range(wait + parameters.market[0]["bands"] - 1, -1, -1):
        if stage < first_billed:
            forget_bills(intensity)
        model = model_group(state.charge[plan, stage], state.payers[plan, stage])
        market = parameters.market[0]
        if market["mortal"] or market["selective"] or model < 0:
            own = stream(seed, path, Purpose.OWN_LAPSE_CAUSE, period)
            lapse_by_cell(parameters, state, (place, own, split), plan, stage, intensity, attentive)
        else:
            lapse_together(
                parameters, state, (place, split), (plan, stage, model), intensity, attentive
            )
        if stage >= first_billed and state.plan[plan]["share"] > settings["trivial_share"]:
            state.stage[plan, stage]["unbilled"] = state.stage[plan, stage]["free"]
            state.stage[plan, stage]["free"] = 0.0


@inlined_kernel
def lapse_together(
    parameters: Parameters,
    state: State,
    streams: tuple[Stream, Stream],
    where: tuple[int, int, int],
    intensity: Float64,
    attentive: Float64,
) -> None:
    """Draw the lapses of a stage in which members of one motive have the same intensities.

    Numbers are drawn cell by cell, causes once a motive: given that somebody leaves, the cause
    does not depend on the cell.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    streams : Stream of lapses, of their causes
    where : plan, stage, and a group that stands for all
    intensity : float64[C, 9], per period
    attentive : float64[C], probability of reconsidering
    """
    place, split = streams
    plan, stage, model = where
    _, _, arrears, motives, groups = state.members.shape
    wait = parameters.plans[plan]["wait"]
    mix = np.zeros((motives, COMPETING), np.float64)
    gone = np.zeros(motives, np.int64)
    for motive in range(motives):
        set_own_intensities(parameters, state, plan, stage, motive, model, intensity)
        reaction = reaction_of(parameters, state, attentive[motive], where)
        state.chance[motive, :] = leaving_probability(intensity[motive], reaction, mix[motive])
    # the last block is that of no arrears, where causes are drawn for all
    block = NOBODY
    for late in range(arrears - 1, -1, -1):
        block = block_address(plan, stage, late, wait)
        members = state.members[plan, stage, late]
        draw_cells(place, block, parameters.groups, members, state.chance, state.drawn)
        leave(state, plan, stage, late)
        for motive in range(motives):
            for group in range(groups):
                gone[motive] += state.drawn[motive, group]
    for motive in range(motives):
        address = cell_address(block, motive, NOBODY)
        name_causes(state.left[plan], split, address, gone[motive], mix[motive])


@kernel
def model_group(charge: Float64, payers: Int64) -> int:
    """Find a group whose charge is that of all who are billed in a stage.

    Parameters
    ----------
    charge : float64[G], yuan a member
    payers : int64[G], persons

    Returns
    -------
    int64, the group; -1 where charges differ
    """
    model = -1
    for group in range(charge.size):
        if payers[group] > 0:
            if model >= 0 and charge[group] != charge[model]:
                return -1
            model = group if model < 0 else model
    return max(model, 0)


@inlined_kernel
def lapse_by_cell(
    parameters: Parameters,
    state: State,
    streams: tuple[Stream, Stream, Stream],
    plan: int,
    stage: int,
    intensity: Float64,
    attentive: Float64,
) -> None:
    """Draw the lapses of a stage in which members differ in charge, health or mortality.

    Deaths weigh differently from cell to cell, and are drawn cell by cell; so are whatever other
    kinds of causes do, see `kind_of`. Which cause of its kind it was depends on the motive alone.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    streams : Stream of lapses, of kinds drawn cell by cell, of causes drawn together
    plan, stage : int64
    intensity : float64[C, 9], per period; burden and deaths are set here
    attentive : float64[C], probability of reconsidering
    """
    place, own, split = streams
    _, _, arrears, motives, _ = state.members.shape
    wait = parameters.plans[plan]["wait"]
    mix = np.zeros((motives, parameters.groups.size, KINDS), np.float64)
    model = model_group(state.charge[plan, stage], state.payers[plan, stage])
    same = model >= 0
    for motive in range(motives):
        set_kinds(parameters, state, (plan, stage, motive), intensity, attentive, same, mix)
    by_kind = np.zeros((motives, KINDS), np.int64)
    block = NOBODY
    for late in range(arrears - 1, -1, -1):
        block = block_address(plan, stage, late, wait)
        members = state.members[plan, stage, late]
        if draw_cells(place, block, parameters.groups, members, state.chance, state.drawn) > 0:
            leave(state, plan, stage, late)
            name_kinds(parameters, state, own, block, mix, by_kind)
    causes = np.zeros(COMPETING, np.float64)
    for motive in range(motives):
        where = cell_address(block, motive, NOBODY)
        reaction = reaction_of(parameters, state, attentive[motive], (plan, stage, 0))
        if same:
            # all who are there are charged like the model, who need not be the last group
            set_own_intensities(parameters, state, plan, stage, motive, model, intensity)
        for kind in range(KINDS):
            keep_kind(intensity[motive], reaction, same, kind, causes)
            name_causes(state.left[plan], split, where | kind, by_kind[motive, kind], causes)


@inlined_kernel
def set_kinds(
    parameters: Parameters,
    state: State,
    where: tuple[int, int, int],
    intensity: Float64,
    attentive: Float64,
    same: bool,
    mix: Float64,
) -> None:
    """Fill in how likely members of each group of a motive leave, and for what kind of cause.

    Parameters
    ----------
    parameters : Parameters
    state : State, `chance` changed
    where : plan, stage, motive
    intensity : float64[C, 9], per period; burden and deaths are set here
    attentive : float64[C], probability of reconsidering
    same : bool, whether all members of the stage are charged alike
    mix : float64[C, G, KINDS], filled, sums to 1 over the kinds where anybody leaves
    """
    plan, stage, motive = where
    own = intensity[motive]
    quiet = quiet_intensity(own)
    bill = own[BILL_SHOCK] + own[GROWTH]
    common = reaction_of(parameters, state, attentive[motive], (plan, stage, 0))
    burden_kind = kind_of(BURDEN, common, same)
    first_kind = kind_of(FIRST_BILL, common, same)
    bill_kind = kind_of(GROWTH, common, same)
    for group in range(parameters.groups.size):
        set_own_intensities(parameters, state, plan, stage, motive, group, intensity)
        reaction = reaction_of(parameters, state, attentive[motive], (plan, stage, group))
        ratio = reaction.ratio
        leaving = leave_by(
            own[DIED] + ratio * quiet,
            ratio * (bill + own[BURDEN]),
            ratio * own[FIRST_BILL],
            reaction,
        )
        state.chance[motive, group] = leaving.probability
        kinds = mix[motive, group]
        if leaving.probability > 0.0:
            scale = ratio / leaving.probability
            kinds[0] = leaving.any_rate * own[DIED] / leaving.probability
            kinds[REST] = leaving.any_rate * quiet * scale
            kinds[bill_kind] += leaving.alert_rate * bill * scale
            kinds[burden_kind] += leaving.alert_rate * own[BURDEN] * scale
            kinds[first_kind] += leaving.first / leaving.probability


@kernel
def kind_of(cause: int, reaction: Reaction, same_burden: bool) -> int:
    """Sort a cause with those that it stands to in the same ratio in all cells of a motive.

    Who always reconsiders feels all causes alike, and so does a stage in which everybody, or
    nobody, has his first bill: then they are of one kind. Otherwise how much a kind weighs against
    another depends on a cell's whole intensity.

    Parameters
    ----------
    cause : int64
    reaction : Reaction, of any cell of the motive
    same_burden : bool, whether all are charged alike

    Returns
    -------
    int64, below `KINDS`
    """
    if cause == DIED:
        return 0
    if cause == BURDEN and not same_burden:
        return 1
    if cause == FIRST_BILL and 0.0 < reaction.unbilled < 1.0:
        return 2
    if (cause == FIRST_BILL or is_of_a_bill(cause)) and reaction.attention < 1.0:
        return 3
    return REST


@inlined_kernel
def name_kinds(
    parameters: Parameters,
    state: State,
    own: Stream,
    block: int,
    mix: Float64,
    by_kind: Int64,
) -> None:
    """Draw for what kind of cause those of a block left who did.

    Parameters
    ----------
    parameters : Parameters
    state : State, read; `drawn` says who left
    own : Stream of kinds
    block : a `block_address`
    mix : float64[C, G, KINDS], probability of each kind, sums to 1
    by_kind : int64[C, KINDS], persons, increased
    """
    drawn = np.zeros(KINDS, np.int64)
    for motive in range(mix.shape[0]):
        for group in range(mix.shape[1]):
            lapses = state.drawn[motive, group]
            if lapses == 0:
                continue
            where = cell_address(block, motive, parameters.groups[group]["code"])
            multinomial(own, where, lapses, mix[motive, group], drawn)
            for kind in range(KINDS):
                by_kind[motive, kind] += drawn[kind]


@inlined_kernel
def keep_kind(intensity: Float64, reaction: Reaction, same: bool, kind: int, mix: Float64) -> None:
    """Fill in the probability of each cause of one kind, alike in all cells of a motive.

    Parameters
    ----------
    intensity : float64[9], per period
    reaction : Reaction, of any cell of the motive
    same : bool, whether all members of the stage are charged alike
    kind : int64
    mix : float64[9], filled, sums to 1 unless there is no such cause
    """
    total = 0.0
    for cause in range(COMPETING):
        mix[cause] = intensity[cause] if kind_of(cause, reaction, same) == kind else 0.0
        if kind < 3 and kind_of(cause, reaction, same) == kind:
            mix[cause] = 1.0  # the only cause of its kind, whatever it weighs in the last group
        elif cause == FIRST_BILL:
            mix[cause] *= reaction.unbilled
        total += mix[cause]
    if total > 0.0:
        for cause in range(COMPETING):
            mix[cause] /= total


@inlined_kernel
def set_own_intensities(
    parameters: Parameters,
    state: State,
    plan: int,
    stage: int,
    motive: int,
    group: int,
    intensity: Float64,
) -> None:
    """Set what differs between the cells of one motive: the burden of the own charge, and deaths.

    Parameters
    ----------
    parameters : Parameters
    state : State, read
    plan, stage, motive, group : int64
    intensity : float64[C, 9], changed, per period
    """
    intensity[motive, BURDEN] = burden_of(parameters, motive, state.charge[plan, stage, group])
    intensity[motive, DIED] = parameters.groups[group]["mortality"]


@inlined_kernel
def burden_of(parameters: Parameters, motive: int, charge: float) -> float:
    """Compute the intensity beta (annualised charge) / income of the cause `burden`.

    Parameters
    ----------
    parameters : Parameters
    motive : int64
    charge : float64, yuan, of the member himself; a credit burdens nobody

    Returns
    -------
    float64, per period
    """
    market = parameters.market[0]
    charge_year = max(0.0, charge) * market["periods_per_year"]
    return parameters.lapse[motive, BURDEN] * charge_year / market["income_year"]


@kernel
def name_causes(left: Int64, split: Stream, where: int, lapses: int, mix: Float64) -> None:
    """Draw the causes of lapses that have happened.

    Parameters
    ----------
    left : int64[causes], persons, increased
    split : Stream of causes
    where : int64, the address
    lapses : int64, persons
    mix : float64[9], probability of each cause, sums to 1
    """
    if lapses > 0:
        by_cause = np.zeros(COMPETING, np.int64)
        multinomial(split, where, lapses, mix, by_cause)
        for cause in range(COMPETING):
            left[cause] += by_cause[cause]


@inlined_kernel
def bill_sensitivity(
    parameters: Parameters, state: State, plan: int, motive: int
) -> tuple[float, float]:
    """Compute how the intensity of lapse rises with the share, for one motive.

    Parameters
    ----------
    parameters : Parameters
    state : State, read
    plan, motive : int64

    Returns
    -------
    (common, burden) : float64, per yuan of share; the second times a member's charge over the share
    """
    market, factor = parameters.market[0], parameters.lapse[motive]
    share, before = state.plan[plan]["share"], state.plan[plan]["share_before"]
    expectation = state.expectation[plan, motive]
    common = 0.0
    gap = bill_gap(share, expectation, market)
    if 0.0 < gap < market["shock_cap"]:
        common += factor[BILL_SHOCK] / expectation
    growth = log_growth(share, before, market)
    if 0.0 < growth < market["shock_cap"]:
        common += factor[GROWTH] / share
    burden = factor[BURDEN] * market["periods_per_year"] / market["income_year"]
    attentive = attention(parameters, state, plan, motive)
    return attentive * common, attentive * burden


@kernel
def price_slope(parameters: Parameters, state: State, plan: int) -> tuple[float, float]:
    """Compute the mean expected cost of a payer, and its slope against the price over a year.

    One yuan more on every share for a year multiplies the members of cell i by exp(-P L_i'), where
    L_i' is the derivative of their intensity of lapse with respect to the share. The mean cost AC
    of those who stay then changes by -P times the covariance, over the payers, of expected cost
    and L' (MODEL section 11; Akerlof 1970, Einav and Finkelstein 2011). It is positive where the
    payers who cost less react more, so that a dearer year raises the mean cost of those who stay,
    and negative where the payers who cost more react more. Where all payers cost the same, or all
    react the same, there is nobody to select and it is 0.

    Parameters
    ----------
    parameters : Parameters
    state : State, read, as billed and before lapses
    plan : int64

    Returns
    -------
    (mean_cost, slope) : float64, yuan per payer and period, fee included; yuan per yuan, signed
    """
    settings = parameters.plans[plan]
    share = state.plan[plan]["share"]
    motives = state.members.shape[3]
    common = np.zeros(motives, np.float64)
    burden = np.zeros(motives, np.float64)
    for motive in range(motives):
        common[motive], burden[motive] = bill_sensitivity(parameters, state, plan, motive)
    groups = parameters.groups.size
    expected = np.zeros(groups, np.float64)
    own = np.zeros(groups, np.float64)
    ratio = np.zeros(groups, np.float64)
    people, cost, rise, both = 0.0, 0.0, 0.0, 0.0
    for stage in range(settings["wait"], settings["wait"] + parameters.market[0]["bands"]):
        loyalty = state.stage[plan, stage]["loyalty"]
        for group in range(groups):
            benefit = expected_benefit(parameters, plan, group)
            expected[group] = benefit * state.incidence[plan, stage, group]
            ratio[group] = loyalty * parameters.groups[group]["lapse_ratio"]
            if share > 0.0:
                own[group] = max(0.0, state.charge[plan, stage, group]) / share
        for late in range(state.members.shape[2]):
            for motive in range(motives):
                for group in range(groups):
                    count = state.members[plan, stage, late, motive, group]
                    sensitivity = ratio[group] * (common[motive] + burden[motive] * own[group])
                    people += count
                    cost += count * expected[group]
                    rise += count * sensitivity
                    both += count * expected[group] * sensitivity
    if people == 0.0:
        return 0.0, 0.0
    fee = 1.0 + settings["fee_rate"]
    product = (cost / people) * (rise / people)
    selection = product - both / people  # the covariance with the other sign
    if abs(selection) <= SUM_ROUNDING * product:  # a sign that rounding made up
        selection = 0.0
    slope = parameters.market[0]["periods_per_year"] * selection * fee
    return fee * cost / people, slope
