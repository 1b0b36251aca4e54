"""Step 2: who joins (MODEL section 2).

The channels compete for the people who never joined: intensities (a_j + q_j N/M) A add up, the
number of sign-ups is one binomial of the market, pacing holds back what exceeds it, and each
sign-up came by one channel with probability proportional to that channel's intensity. With one
channel this is MODEL's binomial to the letter.

Law: market left + people who ever joined = M; padding is nobody and leaves the market alone.
"""

import math

import numpy as np

from kernels.compiling import kernel
from kernels.draws import Purpose, Stream, binomial, multinomial, stream
from kernels.parameters import Float64, JoiningParameters, TenureParameters
from kernels.state import State, stage_members


@kernel
def attractiveness(joining: JoiningParameters, share_year: float, news: float) -> float:
    """Compute A = exp(-eta x/y) (1 - nu news)+, what price and news leave of the attraction.

    Parameters
    ----------
    joining : JoiningParameters
    share_year : float64, yuan, the last annualised share
    news : float64, >= 0

    Returns
    -------
    float64, 0..1
    """
    price = math.exp(-joining.price_sensitivity * share_year / joining.income)
    return price * max(0.0, 1.0 - joining.news_sensitivity * news)


@kernel
def channel_intensities(
    joining: JoiningParameters, state: State, period: int, intensity: Float64
) -> float:
    """Fill in the intensity (a_j + q_j N/M) A of each channel and give their sum.

    Parameters
    ----------
    joining : JoiningParameters
    state : State, read
    period : int64
    intensity : float64[J], filled, per period

    Returns
    -------
    float64, per period
    """
    pool = state.pool[0]
    attraction = attractiveness(joining, pool["share_year"], pool["news"])
    spread = pool["members"] / max(joining.market, 1)
    total = 0.0
    for channel in range(intensity.size):
        push = joining.push[channel, period] + joining.word_of_mouth[channel] * spread
        intensity[channel] = push * attraction
        total += intensity[channel]
    return total


@kernel
def paced(joining: JoiningParameters, signups: int, members: int) -> int:
    """Hold sign-ups to the pace the pool allows; the others stay in the market.

    Parameters
    ----------
    joining : JoiningParameters
    signups, members : int64, persons; an empty pool has no relative limit

    Returns
    -------
    int64, persons
    """
    limit = joining.max_joins
    if members > 0 and joining.max_growth < math.inf:
        limit = min(limit, np.int64(math.floor(joining.max_growth * members)))
    return min(signups, limit)


@kernel
def join(
    joining: JoiningParameters,
    tenure: TenureParameters,
    state: State,
    seed: int,
    path: int,
    period: int,
) -> None:
    """Draw the period's sign-ups and place them in their cells.

    Parameters
    ----------
    joining : JoiningParameters
    tenure : TenureParameters
    state : State, changed
    seed, path, period : int64
    """
    channels = joining.word_of_mouth.size
    intensity = np.zeros(channels, np.float64)
    total = channel_intensities(joining, state, period, intensity)
    if total <= 0.0:
        return
    pool = state.pool[0]
    signups = binomial(
        stream(seed, path, Purpose.JOIN, period), 0, pool["market_left"], -math.expm1(-total)
    )
    signups = paced(joining, signups, pool["members"])
    by_channel = np.zeros(channels, np.int64)
    intensity /= total
    multinomial(stream(seed, path, Purpose.CHANNEL, period), 0, signups, intensity, by_channel)
    place = stream(seed, path, Purpose.JOIN_PLACE, period)
    for channel in range(channels):
        if by_channel[channel] > 0:
            place_channel(joining, tenure, state, place, channel, by_channel[channel])


@kernel
def place_channel(
    joining: JoiningParameters,
    tenure: TenureParameters,
    state: State,
    place: Stream,
    channel: int,
    count: int,
) -> None:
    """Place the sign-ups of one channel over motives and groups.

    Parameters
    ----------
    joining : JoiningParameters
    tenure : TenureParameters
    state : State, changed: members, market and the period's joins
    place : Stream of places
    channel, count : int64, count > 0
    """
    motives, groups = state.drawn.shape
    plan = joining.plan[channel]
    welcome(state, plan, tenure.wait[plan], count)
    by_motive = np.zeros(motives, np.int64)
    multinomial(place, channel << 4, count, joining.motives[channel], by_motive)
    for motive in range(motives):
        newcomers = state.drawn[motive]
        # the motive's address has a bit more than any motive, so it is never the channel's own
        where = (channel << 4) | (motive + 1)
        multinomial(place, where, by_motive[motive], joining.groups[channel], newcomers)
        for group in range(groups):
            state.members[plan, 0, 0, motive, group] += newcomers[group]
            if not joining.is_padding[group]:
                state.pool[0]["market_left"] -= newcomers[group]


@kernel
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
