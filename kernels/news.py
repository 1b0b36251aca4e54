"""Step 7: what members expect, and what they hear (MODEL section 7)."""

import numpy as np

from kernels.compiling import inlined_kernel
from kernels.draws import Purpose, poisson, stream
from kernels.parameters import Float64, Int64, Parameters
from kernels.state import State


@inlined_kernel
def learn(parameters: Parameters, state: State, plan: int, payers: int) -> None:
    """Move the expectation of each motive towards the share: E <- E + e (x - E).

    While nobody is billed there is nothing to learn from.

    Parameters
    ----------
    parameters : Parameters
    state : State, `expectation` changed
    plan, payers : int64
    """
    if payers == 0:
        return
    share = state.plan[plan]["share"]
    for motive in range(parameters.motives.size):
        expected = state.expectation[plan, motive]
        education = parameters.motives[motive]["education"]
        state.expectation[plan, motive] = expected + education * (share - expected)


@inlined_kernel
def mean_expectation(state: State, plan: int) -> float:
    """Average the expectation over a plan's members (float64, yuan a period), claimants aside.

    Of a plan without members it is the plain mean over motives.
    """
    total = 0
    weighted = 0.0
    plain = 0.0
    motives = state.expectation.shape[1]
    for motive in range(motives):
        plain += state.expectation[plan, motive] / motives
        members = motive_members(state.members[plan], motive)
        total += members
        weighted += members * state.expectation[plan, motive]
    if total == 0:
        return plain
    return weighted / total


@inlined_kernel
def motive_members(members: Int64, motive: int) -> int:
    """Count the members (int64, persons) of one motive in a plan, int64[S, K, C, G]."""
    count = 0
    for stage in range(members.shape[0]):
        for arrears in range(members.shape[1]):
            for group in range(members.shape[3]):
                count += members[stage, arrears, motive, group]
    return count


@inlined_kernel
def event_intensity(
    parameters: Parameters, pool: int, level: float, disputes: int, rise: float, market_share: float
) -> float:
    """Compute the expected number of news events of a period.

    Parameters
    ----------
    parameters : Parameters
    pool : int64
    level : float64, news now
    disputes : int64, disputed claims of the period
    rise : float64, relative rise of the share, >= 0
    market_share : float64, members over market

    Returns
    -------
    float64, events
    """
    settings = parameters.pool[pool]
    return (
        settings["news_base"]
        + settings["news_per_dispute"] * disputes
        + settings["news_per_share_jump"] * rise
        + settings["news_per_market_share"] * market_share
        + settings["news_echo"] * level
    )


@inlined_kernel
def spread_news(
    parameters: Parameters,
    state: State,
    seed: int,
    path: int,
    period: int,
    disputes: Int64,
    rise: Float64,
) -> None:
    """Let news fade and new ones break out, in every pool, and other pools hear of them.

    news <- rho news + size Poisson(...) + outside, and of what is fresh elsewhere the part that
    spills over.

    Parameters
    ----------
    parameters : Parameters
    state : State, news changed
    seed, path, period : int64
    disputes : int64[Q], disputed claims of the period
    rise : float64[Q], relative rise of the annualised share, >= 0
    """
    pools = state.pool.size
    fresh = np.zeros(pools, np.float64)
    for pool in range(pools):
        if state.pool[pool]["closed"]:
            continue
        level = state.pool[pool]["news"]
        market_share = state.pool[pool]["members"] / max(parameters.market[0]["market"], 1)
        mean = event_intensity(parameters, pool, level, disputes[pool], rise[pool], market_share)
        events = poisson(stream(seed, path, Purpose.NEWS, period), pool, mean)
        fresh[pool] = parameters.pool[pool]["news_size"] * events
        fresh[pool] += parameters.pool_periods[pool, period]["outside_news"]
    for pool in range(pools):
        heard = fresh[pool]
        for other in range(pools):
            heard += parameters.spill[other, pool] * fresh[other]
        persistence = parameters.pool[pool]["news_persistence"]
        state.pool[pool]["news"] = persistence * state.pool[pool]["news"] + heard


@inlined_kernel
def frighten_others(parameters: Parameters, state: State, pool: int) -> None:
    """Let the closure of a pool be news to the others.

    Parameters
    ----------
    parameters : Parameters
    state : State, news changed
    pool : int64, the one that closes
    """
    for other in range(state.pool.size):
        spill = parameters.spill[pool, other]
        state.pool[other]["news"] += spill * parameters.market[0]["closure_jump"]
