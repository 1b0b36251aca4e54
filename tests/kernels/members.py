"""Markets of individuals for tests: how to make them, to follow them and to hold them to the laws.

What the roster says of its members is counted here once more, from nothing but its slots.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from configs import arrays
from configs.scenario import Scenario
from kernels import events, member, roster, state
from kernels.dtypes import LAPSE_CAUSES, MEMBER_ROW, POOL_CLOSED, STILL_MEMBER
from kernels.events import Outcome
from kernels.individuals import Individuals, individuals_from_fields
from kernels.parameters import Parameters, from_fields
from kernels.roster import Roster
from kernels.state import ACCEPTED, REFUSED, State
from tests.kernels.pools import BASE, CHANNEL, HEALTHY, SEED, scenario, with_changes
from tests.kernels.pools import people as people_of_20
from tests.scenarios import Rows, scenarios

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Sums of at most some 10**5 numbers, each rounded by 2**-53 relative.
RELATIVE = 1e-9

# The small pool of four ages, 28 to 31; people of 31 have a year left in it.
SMALL = with_changes(
    BASE,
    {
        "engine": "member",
        "age_edges": [28, 30, 32],
        "plans.main.max_age": 31,
        "plans.main.wait_periods": 0,
    },
)
FIRST_AGE, AGES = 28, 4
# A yuan a member and period is all it costs.
A_YUAN = {"plans.main.custody_yuan_per_member_year": 4.0}


QUIET: dict[str, Any] = HEALTHY | A_YUAN | {"periods": 6}


def newcomers(count: int, **more: Any) -> dict[str, Any]:
    """Let so many men of 28 join in every period."""
    joining = CHANNEL | {
        "push": [{"from_period": 0, "value": 1e9}],
        "ages": [{"from_age": 28, "to_age": 28, "male": 1.0, "female": 0.0}],
        "health": {"standard": 1.0},
        "motives": {"steady": 1.0},
    }
    return {"channels.all": joining | more, "joining.max_joins": count}


def people(members: int, **more: Any) -> dict[str, Any]:
    """Describe men of 28 who are past everything a newcomer has before him."""
    return people_of_20(members, **{"age": 28, **more})


def group(health: int, age: int, sex: int) -> int:
    """Number a group of the small market of individuals."""
    return (health * AGES + age - FIRST_AGE) * 2 + sex


GAMMA_LAW: dict[str, Any] = {"law": "gamma", "variance": 0.5}
DISCRETE_LAW: dict[str, Any] = {
    "law": "discrete",
    "values": [0.5, 0.0, 4.0],
    "probabilities": [0.4, 0.4, 0.2],
}


class Market(NamedTuple):
    """What the steps of the member engine are called with."""

    parameters: Parameters
    individuals: Individuals
    state: State
    roster: Roster


class Path(NamedTuple):
    """What a path leaves behind.

    outcome : Outcome
    batches : MEMBER_ROW[], as they were handed out
    """

    outcome: Outcome
    batches: list[Rows]

    @property
    def rows(self) -> Rows:
        """All rows of members: MEMBER_ROW[]."""
        return np.concatenate([np.zeros(0, MEMBER_ROW), *self.batches])

    def column(self, name: str, plan: int = 0) -> list[Any]:
        """Give one column of a plan's periods, as far as they were run."""
        run = int(self.outcome.path[0]["periods_run"])
        return [value.item() for value in self.outcome.periods[name][:run, plan]]

    def distinct(self, *names: str) -> list[tuple[Any, ...]]:
        """Give the different values that some columns of the rows take together."""
        return sorted({tuple(row[name].item() for name in names) for row in self.rows})

    def causes(self, plan: int = 0) -> dict[str, int]:
        """Count the rows of a plan by cause."""
        names = {STILL_MEMBER: "still", POOL_CLOSED: "pool_closed", **dict(enumerate(LAPSE_CAUSES))}
        causes = self.rows["cause"][self.rows["plan"] == plan].tolist()
        return {names[cause]: causes.count(cause) for cause in sorted(set(causes))}


def inputs(chosen: Scenario, sample: float = 1.0) -> tuple[Parameters, Individuals]:
    """Take a scenario of the engine `member` to the kernels' inputs the way a run does."""
    fields = arrays.individuals(chosen, sample)
    return from_fields(arrays.parameters(chosen)), individuals_from_fields(fields)


def begin(chosen: Scenario, sample: float = 1.0, seed: Any = SEED, path: int = 0) -> Market:
    """Set up the market as it stands before the first period."""
    parameters, individuals = inputs(chosen, sample)
    empty = roster.new_roster(parameters, individuals)
    if sample > 0.0:
        empty = empty._replace(rows=np.zeros(1, MEMBER_ROW))
    counts = individuals.vintage_members
    full = roster.with_room(empty, int(counts.sum()), counts.shape[0], counts.shape[1])
    pools = state.new_state(parameters)
    member.begin(parameters, individuals, pools, full, (seed, path, 0))
    return Market(parameters, individuals, pools, full)


def market(
    changes: Mapping[str, Any] | None = None, base: Any = None, sample: float = 1.0
) -> Market:
    """Set up the small market of individuals, changed at some dotted paths."""
    return begin(scenario(changes, base or SMALL), sample)


def simulate_members(
    chosen: Scenario, sample: float = 1.0, seed: Any = SEED, path: int = 0
) -> Path:
    """Simulate a path of individuals the way a run does."""
    parameters, individuals = inputs(chosen, sample)
    outcome = events.new_outcome(parameters)
    batches = list(member.simulate_path(parameters, individuals, seed, path, outcome))
    return Path(outcome, batches)


def simulate(
    changes: Mapping[str, Any] | None = None, base: Any = None, sample: float = 1.0, path: int = 0
) -> Path:
    """Simulate a path of the small market of individuals, changed at some dotted paths."""
    return simulate_members(scenario(changes, base or SMALL), sample, path=path)


class Moment(NamedTuple):
    """A path at the end of a period."""

    period: int
    parameters: Parameters
    state: State
    roster: Roster


def unfold(chosen: Scenario, seed: Any = SEED, path: int = 0) -> Iterator[Moment]:
    """Go through a path period by period, as `member.simulate_path` does, to look at it."""
    parameters, individuals, pools, full = begin(chosen, 0.0, seed, path)
    outcome = events.new_outcome(parameters)
    plans, motives = parameters.plans.size, parameters.motives.size
    signups = np.zeros((parameters.channels.size, *parameters.failure.shape), np.int64)
    for period in range(chosen.periods):
        when = (seed, path, period)
        travellers, vintages = member.begin_period(parameters, pools, full, when)
        if travellers:
            full = roster.with_room(full, travellers, vintages, plans * motives)
        signups[:] = 0
        member.let_join(parameters, individuals, pools, full, when, signups)
        full = roster.with_room(full, int(signups.sum()), plans, motives)
        running, pending = member.live(parameters, individuals, pools, full, when, signups, outcome)
        full = full._replace(pending=pending)
        yield Moment(period, parameters, pools, full)
        if running == 0:
            break


@st.composite
def individual_scenarios(draw: st.DrawFn, market: int, each: int) -> Scenario:
    """Draw a scenario of the member engine, of so small a market that its members can be counted.

    Parameters
    ----------
    market, each : persons in the market, and most of the initial members of one kind
    """
    fields = draw(scenarios()).model_dump()
    frailties: list[Any] = [None, GAMMA_LAW, {**GAMMA_LAW, "variance": 3.0}, DISCRETE_LAW]
    fields["engine"] = "member"
    fields["market_members"] = market
    fields["learns_from"] = draw(st.sampled_from(["share", "own_bills"]))
    fields["claims"]["frailty"] = draw(st.sampled_from(frailties))
    for kind in fields["initial_members"]:
        kind["members"] = min(kind["members"], each)
    return Scenario.model_validate(fields)


# What a roster says, counted once more


class Slots(NamedTuple):
    """Every member in a class, an array each: his class and vintage, and what his slot says."""

    place: Counts
    vintage: Counts
    group: Counts
    channel: Counts
    late: Counts
    number: Counts
    frailty: Floats


def members_of(full: Roster) -> Slots:
    """Read off the slots who is a member, class by class."""
    classes = full.classes[: full.size[0]["classes"]]
    ranges = [np.arange(c["start"], c["start"] + c["members"]) for c in classes]
    slots = full.slots[np.concatenate([np.zeros(0, np.int64), *ranges])]
    place = np.repeat(np.arange(classes.size), classes["members"])
    traits = slots["traits"].astype(np.int64)
    return Slots(
        place,
        classes["vintage"][place],
        traits & 0xFFF,
        (traits >> 12) & 0x3F,
        traits >> 18,
        slots["number"].astype(np.int64),
        slots["frailty"].astype(np.float64),
    )


def recount(pools: State, full: Roster) -> tuple[Counts, Floats]:
    """Count the members of a roster by cell, and sum up what they owe: shapes as in `State`."""
    here = members_of(full)
    vintages = full.vintages
    of = vintages[here.vintage]
    cell = (
        of["plan"], of["stage"], here.late,
        full.classes["motive"][here.place], here.group + 2 * of["years"],
    )  # fmt: skip
    members = np.zeros_like(pools.members)
    np.add.at(members, cell, 1)
    debt = np.zeros_like(pools.debt)
    for late in range(1, pools.members.shape[2]):
        owing = here.late >= late
        bill = full.recent[here.vintage[owing], here.group[owing], late - 1]
        where = [axis[owing] for axis in cell]
        where[2] = where[2] - 1
        np.add.at(debt, tuple(where), bill)
    return members, debt


def running_plans(parameters: Parameters, pools: State, period: int) -> list[int]:
    """Plans whose pools had not ended before a period."""
    pool = pools.pool[parameters.plans["pool"]]
    runs = ~pool["closed"] | (pool["ended"] == period)
    return [int(plan) for plan in runs.nonzero()[0]]


def assert_agree(parameters: Parameters, pools: State, full: Roster, period: int) -> None:
    """Hold a roster to the counts by cell, and to what it says of itself."""
    plans = running_plans(parameters, pools, period)
    members, debt = recount(pools, full)
    np.testing.assert_array_equal(members[plans], pools.members[plans])
    slack = RELATIVE * (1.0 + np.abs(pools.debt[plans]).max(initial=0.0))
    np.testing.assert_allclose(debt[plans], pools.debt[plans], rtol=RELATIVE, atol=slack)
    assert_orderly(full)
    assert_pending(parameters, pools, full, plans, period)


def assert_orderly(full: Roster) -> None:
    """Hold a roster to its own laws: no holes, arrears last, sums that agree, nobody twice."""
    size = full.size[0]
    here = members_of(full)
    classes = full.classes[: size["classes"]]
    ends = classes["start"] + classes["members"]
    assert (ends[:-1] <= classes["start"][1:]).all()
    assert (ends <= size["slots"]).all()
    assert size["slots"] <= full.slots.size
    # draws of a class are addressed by what it is, so no two may be the same
    kinds = classes[["vintage", "motive", "kind"]]
    assert np.unique(kinds).size == classes.size
    sizes: Counts = classes["members"]
    position = np.arange(here.place.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    np.testing.assert_array_equal(here.late > 0, position >= classes["clean"][here.place])
    assert (here.frailty <= classes["frailty"][here.place] * (1.0 + 1e-6)).all()
    count = np.zeros((size["vintages"], full.people.shape[1]), np.int64)
    np.add.at(count, (here.vintage, here.group), 1)
    np.testing.assert_array_equal(full.people[: size["vintages"]], count)
    np.testing.assert_array_equal(full.vintages["people"][: size["vintages"]], count.sum(1))
    assert size["members"] == count.sum() == classes["members"].sum()
    numbers = [*here.number, *full.pending["number"][: size["pending"]]]
    assert len(set(numbers)) == len(numbers)
    assert max(numbers, default=-1) < size["numbers"]


def assert_pending(
    parameters: Parameters, pools: State, full: Roster, plans: list[int], period: int
) -> None:
    """Hold the claims of single members to the counts of claims by group."""
    claims = full.pending[: full.size[0]["pending"]]
    waiting = np.zeros_like(pools.pending_members)
    np.add.at(waiting, (claims["plan"], claims["group"]), 1)
    np.testing.assert_array_equal(waiting[plans], pools.pending_members[plans])
    delays = parameters.delay.size
    due = claims[(claims["severity"] < 0) & np.isin(claims["plan"], plans)]
    assert ((period <= due["due"]) & (due["due"] < period + delays)).all()
    outcome = np.where(due["accepted"], ACCEPTED, REFUSED)
    counts = np.zeros_like(pools.pending)
    np.add.at(counts, (due["plan"], due["due"] % delays, outcome, due["group"]), 1)
    np.testing.assert_array_equal(counts[plans, :, ACCEPTED], pools.pending[plans, :, ACCEPTED])
    # who is refused and stays has no row
    leaves = parameters.groups["leaves_on_rejection"]
    np.testing.assert_array_equal(
        counts[plans, :, REFUSED], pools.pending[plans, :, REFUSED] * leaves
    )
    assessed = claims[claims["severity"] >= 0]
    cases = np.zeros_like(pools.accepted)
    np.add.at(cases, (assessed["plan"], assessed["group"], assessed["severity"]), 1)
    for plan in set(assessed["plan"].tolist()) & set(plans):
        np.testing.assert_array_equal(cases[plan], pools.accepted[plan])


# What rows say


def assert_rows_add_up(chosen: Scenario, path: Path) -> None:
    """Hold the rows of all members to the sums by period: people, bills, benefits and balances."""
    parameters, _ = inputs(chosen)
    rows, periods, ends = path.rows, path.outcome.periods, path.outcome.pools
    for plan in range(parameters.plans.size):
        pool = int(parameters.plans["pool"][plan])
        here, sums = rows[rows["plan"] == plan], periods[: ends[pool]["periods_run"], plan]
        for cause, name in enumerate(LAPSE_CAUSES):
            assert (here["cause"] == cause).sum() == sums[f"lapses_{name}"].sum(), name
        still, closed = (int((here["cause"] == end).sum()) for end in (STILL_MEMBER, POOL_CLOSED))
        assert sorted((still, closed)) == [0, sums["members"][-1]]
        assert closed == 0 or ends[pool]["closure_period"] >= 0
        assert still == 0 or sums.size == chosen.periods
        slack = RELATIVE * (1.0 + sum(np.abs(sums[name]).sum() for name in MONEY))
        assert abs(here["paid"].sum() - sums["collected"].sum()) < slack
        assert abs(here["received"].sum() - sums["benefits"].sum()) < slack
        settings = parameters.pool[pool]
        kept = closed > 0 and (settings["funds_in_custody"] or settings["parent"])
        returned = sums["paid_back"].sum() + (sums["balances"][-1] if kept else 0.0)
        assert abs(here["returned"].sum() - returned) < slack
        assert (here["received"][here["cause"] != LAPSE_CAUSES.index("claimed")] == 0.0).all()
        assert (here["received"] >= 0.0).all()
    assert_biographies(rows, chosen.periods)


MONEY = ("billed", "collected", "benefits", "paid_in", "paid_back", "balances", "written_off")


def assert_biographies(rows: Rows, periods: int) -> None:
    """Hold the rows of each person to one another: a membership ends before the next begins."""
    left = np.where(rows["left"] < 0, periods, rows["left"])
    assert (rows["left"] < periods).all()
    assert ((rows["left"] < 0) == (rows["cause"] == STILL_MEMBER)).all()
    order = np.lexsort((left, rows["member"]))
    ordered, until = rows[order], left[order]
    assert (ordered["joined"] <= until).all()
    same = ordered["member"][1:] == ordered["member"][:-1]
    moved = np.isin(ordered["cause"], (LAPSE_CAUSES.index("moved"), POOL_CLOSED))
    assert moved[:-1][same].all()
    assert (ordered["plan"][1:] != ordered["plan"][:-1])[same].all()
    assert (until[:-1] <= until[1:])[same].all()
    for name in ("motive", "frailty"):
        np.testing.assert_array_equal(ordered[name][1:][same], ordered[name][:-1][same])
    assert ((ordered["bills"] >= 0) & (ordered["frailty"] >= 0.0)).all()
