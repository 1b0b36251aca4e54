"""Step 7: what members expect, and what they hear (MODEL section 7)."""

from kernels.compiling import inlined_kernel
from kernels.draws import Purpose, poisson, stream
from kernels.parameters import Int64, Parameters
from kernels.state import WHOLE_POOL, State


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
    for motive in range(parameters.education.size):
        expected = state.expectation[plan, motive]
        state.expectation[plan, motive] = expected + parameters.education[motive] * (
            share - expected
        )


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
    parameters: Parameters, level: float, disputes: int, rise: float, market_share: float
) -> float:
    """Compute the expected number of news events of a period.

    Parameters
    ----------
    parameters : Parameters
    level : float64, news now
    disputes : int64, disputed claims of the period
    rise : float64, relative rise of the share, >= 0
    market_share : float64, members over market

    Returns
    -------
    float64, events
    """
    pool = parameters.pool[0]
    return (
        pool["news_base"]
        + pool["news_per_dispute"] * disputes
        + pool["news_per_share_jump"] * rise
        + pool["news_per_market_share"] * market_share
        + pool["news_echo"] * level
    )


@inlined_kernel
def spread_news(
    parameters: Parameters,
    state: State,
    seed: int,
    path: int,
    period: int,
    disputes: int,
    rise: float,
) -> None:
    """Let news fade and new ones break out: news <- rho news + size Poisson(...) + outside.

    Parameters
    ----------
    parameters : Parameters
    state : State, `news` changed
    seed, path, period : int64
    disputes : int64, disputed claims of the period
    rise : float64, relative rise of the share, >= 0
    """
    pool = parameters.pool[0]
    level = state.pool[0]["news"]
    market_share = state.pool[0]["members"] / max(pool["market"], 1)
    mean = event_intensity(parameters, level, disputes, rise, market_share)
    events = poisson(stream(seed, path, Purpose.NEWS, period), WHOLE_POOL, mean)
    fresh = pool["news_size"] * events + parameters.periods[period]["outside_news"]
    state.pool[0]["news"] = pool["news_persistence"] * level + fresh
