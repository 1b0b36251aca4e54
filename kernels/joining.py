"""Step 2: who joins (MODEL section 2).

The channels of all pools compete for the people who never joined: intensities (a_j + q_j N/M) A
add up, the number of sign-ups is one binomial of the market, split over the pools; each pool's pace
holds back what exceeds it, and each sign-up came by one of the pool's channels with probability
proportional to that channel's intensity. With one channel this is MODEL's binomial to the letter.

Members of a pool that has ended join the others first, as far as they go there (section 7).

Law: market left + people who ever joined = M; padding is nobody and leaves the market alone.
"""

import math

import numpy as np

from kernels.compiling import borrowing_kernel, inlined_kernel, kernel
from kernels.draws import Purpose, Stream, binomial, multinomial, stream
from kernels.parameters import Float64, Int64, Parameters
from kernels.state import (
    ENTRY,
    WHOLE_MARKET,
    State,
    block_address,
    draw_cells,
    pay_deposits,
    stage_members,
)


@inlined_kernel
def attractiveness(parameters: Parameters, pool: int, share_year: float, news: float) -> float:
    """Compute A = exp(-eta x/y) (1 - nu news)+, what price and news leave of the attraction.

    Parameters
    ----------
    parameters : Parameters
    pool : int64
    share_year : float64, yuan, the last annualised share
    news : float64, >= 0

    Returns
    -------
    float64, 0..1
    """
    settings = parameters.pool[pool]
    income = parameters.market[0]["income_year"]
    price = math.exp(-settings["price_sensitivity"] * share_year / income)
    return price * max(0.0, 1.0 - settings["news_sensitivity"] * news)


@inlined_kernel
def channel_intensities(
    parameters: Parameters, state: State, period: int, intensity: Float64
) -> float:
    """Fill in the intensity (a_j + q_j N/M) A of each channel and give their sum.

    Pools that are closing draw nobody.

    Parameters
    ----------
    parameters : Parameters
    state : State, read
    period : int64
    intensity : float64[J], filled, per period

    Returns
    -------
    float64, per period
    """
    total = 0.0
    for channel in range(intensity.size):
        place = parameters.plans[parameters.channels[channel]["plan"]]["pool"]
        pool = state.pool[place]
        if pool["closure_period"] >= 0:
            intensity[channel] = 0.0
            continue
        spread = pool["members"] / max(parameters.market[0]["market"], 1)
        push = parameters.push[channel, period]
        push += parameters.channels[channel]["word_of_mouth"] * spread
        attraction = attractiveness(parameters, place, pool["share_year"], pool["news"])
        intensity[channel] = push * attraction
        total += intensity[channel]
    return total


@inlined_kernel
def paced(parameters: Parameters, pool: int, signups: int, members: int) -> int:
    """Hold sign-ups to the pace the pool allows; the others stay in the market.

    Parameters
    ----------
    parameters : Parameters
    pool : int64
    signups, members : int64, persons; an empty pool has no relative limit

    Returns
    -------
    int64, persons
    """
    limit = parameters.pool[pool]["max_joins"]
    growth = parameters.pool[pool]["max_growth"]
    if members > 0 and growth < math.inf:
        limit = min(limit, np.int64(math.floor(growth * members)))
    return min(signups, limit)


@kernel
def join(
    parameters: Parameters,
    state: State,
    seed: int,
    path: int,
    period: int,
    newcomers: Int64,
) -> None:
    """Draw the period's sign-ups and place them in their cells.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    seed, path, period : int64
    newcomers : int64[J, C, G], zeros; filled, persons
    """
    intensity = np.zeros(parameters.channels.size, np.float64)
    total = channel_intensities(parameters, state, period, intensity)
    if total <= 0.0:
        return
    signups = binomial(
        stream(seed, path, Purpose.JOIN, period),
        WHOLE_MARKET,
        state.market[0]["market_left"],
        -math.expm1(-total),
    )
    by_pool = np.zeros(state.pool.size, np.int64)
    weight = np.zeros(state.pool.size, np.float64)
    for channel in range(intensity.size):
        pool = parameters.plans[parameters.channels[channel]["plan"]]["pool"]
        weight[pool] += intensity[channel] / total
    split = stream(seed, path, Purpose.POOL, period)
    multinomial(split, WHOLE_MARKET, signups, weight, by_pool)
    for pool in range(by_pool.size):
        count = paced(parameters, pool, by_pool[pool], state.pool[pool]["members"])
        if count > 0:
            when = (seed, path, period)
            join_pool(parameters, state, when, pool, count, intensity, newcomers)


@inlined_kernel
def join_pool(
    parameters: Parameters,
    state: State,
    when: tuple[int, int, int],
    pool: int,
    count: int,
    intensity: Float64,
    newcomers: Int64,
) -> None:
    """Split a pool's sign-ups over its channels and place them.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    when : seed, path, period
    pool, count : int64, count > 0
    intensity : float64[J], per period
    newcomers : int64[J, C, G], zeros; filled, persons
    """
    seed, path, period = when
    channels = intensity.size
    by_channel = np.zeros(channels, np.int64)
    chance = np.zeros(channels, np.float64)
    total = 0.0
    for channel in range(channels):
        if parameters.plans[parameters.channels[channel]["plan"]]["pool"] == pool:
            chance[channel] = intensity[channel]
            total += intensity[channel]
    chance /= total
    multinomial(stream(seed, path, Purpose.CHANNEL, period), pool, count, chance, by_channel)
    place = stream(seed, path, Purpose.JOIN_PLACE, period)
    for channel in range(channels):
        if by_channel[channel] > 0:
            count = by_channel[channel]
            place_channel(parameters, state, place, channel, count, newcomers[channel])


@inlined_kernel
def place_channel(
    parameters: Parameters,
    state: State,
    place: Stream,
    channel: int,
    count: int,
    newcomers: Int64,
) -> None:
    """Place the sign-ups of one channel over motives and groups, and book what they cost.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed: members, market and the period's joins
    place : Stream of places
    channel, count : int64, count > 0
    newcomers : int64[C, G], filled, persons
    """
    motives, groups = newcomers.shape
    plan = parameters.channels[channel]["plan"]
    welcome(parameters, state, plan, count)
    state.plan[plan]["joined"] += count
    state.plan[plan]["acquisition"] += count * parameters.channels[channel]["acquisition"]
    state.plan[plan]["red_packets"] += count * parameters.channels[channel]["red_packet"]
    by_motive = np.zeros(motives, np.int64)
    multinomial(place, channel << 4, count, parameters.channel_motives[channel], by_motive)
    for motive in range(motives):
        # the motive's address has a bit more than any motive, so it is never the channel's own
        where = (channel << 4) | (motive + 1)
        by_group = newcomers[motive]
        multinomial(place, where, by_motive[motive], parameters.channel_groups[channel], by_group)
        for group in range(groups):
            pay_deposits(parameters, state, plan, ENTRY, group, by_group[group])
            state.members[plan, 0, 0, motive, group] += by_group[group]
            if not parameters.groups[group]["is_padding"]:
                state.market[0]["market_left"] -= by_group[group]


@borrowing_kernel
def welcome(parameters: Parameters, state: State, plan: int, count: int) -> None:
    """Note newcomers in what is known of the stage they enter, before they are placed.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    plan, count : int64, count > 0
    """
    settings = parameters.plans[plan]
    entry = state.stage[plan, 0]
    part = count / (count + stage_members(state.members[plan, 0]))
    entry["unbilled"] += part * (1.0 - entry["unbilled"])
    entry["wear"] += part * (1.0 - entry["wear"])
    entry["loyalty"] += part * (1.0 - entry["loyalty"])
    first_free = 1.0 if settings["first_bill_free"] else 0.0
    entry["free"] += part * (first_free - entry["free"])
    if settings["wait"] == 0:
        # newcomers were charged nothing this year
        for group in range(state.charged_year.shape[2]):
            state.charged_year[plan, 0, group] *= 1.0 - part


@kernel
def migrate(parameters: Parameters, state: State, seed: int, path: int, period: int) -> None:
    """Let members of pools that ended in the period before join the pools that are open.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    seed, path, period : int64
    """
    gone = np.zeros(parameters.groups.size, np.float64)
    for plan in range(state.plan.size):
        source = parameters.plans[plan]["pool"]
        if not state.pool[source]["closed"] or state.pool[source]["ended"] != period - 1:
            continue
        gone[:] = 0.0
        for target in range(state.pool.size):
            part = parameters.migration[source, target]
            if part > 0.0 and state.pool[target]["closure_period"] < 0:
                place = stream(seed, path, Purpose.MIGRATION, period | (target << 12))
                move_members(parameters, state, place, plan, target, part, gone)


@inlined_kernel
def move_members(
    parameters: Parameters,
    state: State,
    place: Stream,
    plan: int,
    target: int,
    part: float,
    gone: Float64,
) -> None:
    """Move a part of a plan's members into another pool, where they begin anew.

    They enter the pool's first plan that takes their age; who is too old for all stays without
    cover, and so does whoever is nobody or waits for the assessment of a claim.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    place : Stream of migrations
    plan, target : int64, the plan they leave, the pool they join
    part : float64, 0..1, part of the plan's members
    gone : float64[G], part of them who have gone to other pools, and cannot come here; increased
    """
    _, stages, arrears, motives, groups = state.members.shape
    for group in range(groups):
        takes = plan_for(parameters, target, group) >= 0
        left = max(1.0 - gone[group], part)
        for motive in range(motives):
            state.chance[motive, group] = part / left if takes else 0.0
        gone[group] += part if takes else 0.0
    for stage in range(stages):
        for late in range(arrears):
            block = block_address(plan, stage, late, parameters.plans[plan]["wait"])
            members = state.members[plan, stage, late]
            draw_cells(place, block, parameters.groups, members, state.chance, state.drawn)
            for motive in range(motives):
                for group in range(groups):
                    count = state.drawn[motive, group]
                    if count > 0:
                        heir = plan_for(parameters, target, group)
                        members[motive, group] -= count
                        welcome(parameters, state, heir, count)
                        pay_deposits(parameters, state, heir, ENTRY, group, count)
                        state.members[heir, 0, 0, motive, group] += count
                        state.plan[heir]["moved_in"] += count


@inlined_kernel
def plan_for(parameters: Parameters, pool: int, group: int) -> int:
    """Find the first plan of a pool that takes a group, or -1.

    Parameters
    ----------
    parameters : Parameters
    pool, group : int64

    Returns
    -------
    int64
    """
    if not parameters.groups[group]["is_padding"]:
        for plan in range(parameters.plans.size):
            settings = parameters.plans[plan]
            if (
                settings["pool"] == pool
                and parameters.groups[group]["band"] <= settings["last_band"]
            ):
                return plan
    return -1
