"""Step 2: who joins (MODEL section 2).

The channels compete for the people who never joined: intensities (a_j + q_j N/M) A add up, the
number of sign-ups is one binomial of the market, pacing holds back what exceeds it, and each
sign-up came by one channel with probability proportional to that channel's intensity. With one
channel this is MODEL's binomial to the letter.

Law: market left + people who ever joined = M; padding is nobody and leaves the market alone.
"""

import math

import numpy as np

from kernels.compiling import inlined_kernel, kernel
from kernels.draws import Purpose, Stream, binomial, multinomial, stream
from kernels.parameters import Float64, Parameters
from kernels.state import WHOLE_POOL, State, stage_members


@inlined_kernel
def attractiveness(parameters: Parameters, share_year: float, news: float) -> float:
    """Compute A = exp(-eta x/y) (1 - nu news)+, what price and news leave of the attraction.

    Parameters
    ----------
    parameters : Parameters
    share_year : float64, yuan, the last annualised share
    news : float64, >= 0

    Returns
    -------
    float64, 0..1
    """
    pool = parameters.pool[0]
    price = math.exp(-pool["price_sensitivity"] * share_year / pool["income_year"])
    return price * max(0.0, 1.0 - pool["news_sensitivity"] * news)


@inlined_kernel
def channel_intensities(
    parameters: Parameters, state: State, period: int, intensity: Float64
) -> float:
    """Fill in the intensity (a_j + q_j N/M) A of each channel and give their sum.

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
    pool = state.pool[0]
    attraction = attractiveness(parameters, pool["share_year"], pool["news"])
    spread = pool["members"] / max(parameters.pool[0]["market"], 1)
    total = 0.0
    for channel in range(intensity.size):
        push = parameters.push[channel, period]
        push += parameters.channels[channel]["word_of_mouth"] * spread
        intensity[channel] = push * attraction
        total += intensity[channel]
    return total


@inlined_kernel
def paced(parameters: Parameters, signups: int, members: int) -> int:
    """Hold sign-ups to the pace the pool allows; the others stay in the market.

    Parameters
    ----------
    parameters : Parameters
    signups, members : int64, persons; an empty pool has no relative limit

    Returns
    -------
    int64, persons
    """
    limit = parameters.pool[0]["max_joins"]
    growth = parameters.pool[0]["max_growth"]
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
) -> None:
    """Draw the period's sign-ups and place them in their cells.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    seed, path, period : int64
    """
    channels = parameters.channels.size
    intensity = np.zeros(channels, np.float64)
    total = channel_intensities(parameters, state, period, intensity)
    if total <= 0.0:
        return
    pool = state.pool[0]
    signups = binomial(
        stream(seed, path, Purpose.JOIN, period),
        WHOLE_POOL,
        pool["market_left"],
        -math.expm1(-total),
    )
    signups = paced(parameters, signups, pool["members"])
    by_channel = np.zeros(channels, np.int64)
    intensity /= total
    multinomial(
        stream(seed, path, Purpose.CHANNEL, period), WHOLE_POOL, signups, intensity, by_channel
    )
    place = stream(seed, path, Purpose.JOIN_PLACE, period)
    for channel in range(channels):
        if by_channel[channel] > 0:
            place_channel(parameters, state, place, channel, by_channel[channel])


@inlined_kernel
def place_channel(
    parameters: Parameters,
    state: State,
    place: Stream,
    channel: int,
    count: int,
) -> None:
    """Place the sign-ups of one channel over motives and groups.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed: members, market and the period's joins
    place : Stream of places
    channel, count : int64, count > 0
    """
    motives, groups = state.drawn.shape
    plan = parameters.channels[channel]["plan"]
    welcome(state, plan, parameters.plans[plan]["wait"], count)
    by_motive = np.zeros(motives, np.int64)
    multinomial(place, channel << 4, count, parameters.channel_motives[channel], by_motive)
    for motive in range(motives):
        newcomers = state.drawn[motive]
        # the motive's address has a bit more than any motive, so it is never the channel's own
        where = (channel << 4) | (motive + 1)
        multinomial(place, where, by_motive[motive], parameters.channel_groups[channel], newcomers)
        for group in range(groups):
            state.members[plan, 0, 0, motive, group] += newcomers[group]
            if not parameters.groups[group]["is_padding"]:
                state.pool[0]["market_left"] -= newcomers[group]


@inlined_kernel
def welcome(state: State, plan: int, wait: int, count: int) -> None:
    """Note newcomers in what is known of the stage they enter, before they are placed.

    Parameters
    ----------
    state : State, changed
    plan, wait, count : int64, count > 0
    """
    part = count / (count + stage_members(state.members[plan, 0]))
    state.unbilled[plan, 0] += part * (1.0 - state.unbilled[plan, 0])
    state.wear[plan, 0] += part * (1.0 - state.wear[plan, 0])
    if wait == 0:
        # newcomers were charged nothing this year
        for group in range(state.charged_year.shape[2]):
            state.charged_year[plan, 0, group] *= 1.0 - part
    state.joined[plan] += count
