"""The scenario: every field of the model, defined once.

Each field carries its default, its bounds, its unit, what it means and the section of the model
that uses it; the JSON Schema, the documentation and the error messages all read them from here.
Models are frozen and refuse unknown keys. What can be checked without computing is checked here.
"""

import re
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from configs.age_sex_table import AgeSexTable
from configs.record import Record, model_field

# Limits of the address that a cell's random numbers are drawn at; a scenario beyond them is
# refused here rather than silently sharing random numbers between cells.
MAX_PLANS = 16
MAX_CHANNELS = 32
MAX_MOTIVES = 8
MAX_HEALTH_CLASSES = 7
MAX_AGE_BANDS = 64
MAX_WAIT_PERIODS = 128
MAX_TENURE_BANDS = 128
MAX_GRACE_FAILURES = 8
MAX_PERIODS = 4096
SEXES = ("male", "female")
PROBABILITY_TOLERANCE = 1e-9


def _sums_to_one(weights: tuple[float, ...]) -> tuple[float, ...]:
    total = sum(weights)
    if abs(total - 1.0) > PROBABILITY_TOLERANCE:
        raise ValueError(f"expected probabilities that sum to 1, got a sum of {total:.12g}")
    return weights


def _sums_to_one_at(field: str, weights: tuple[float, ...]) -> None:
    try:
        _sums_to_one(weights)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from None


def _sums_to_one_by_name(weights: dict[str, float]) -> dict[str, float]:
    _sums_to_one(tuple(weights.values()))
    return weights


def _starts_rising(steps: tuple["Step", ...]) -> tuple["Step", ...]:
    starts = [step.from_period for step in steps]
    if starts != sorted(set(starts)):
        raise ValueError(f"expected steps in rising order of from_period, each once, got {starts}")
    return steps


class Step(Record):
    """One step of a schedule: the value that holds from a period on, until the next step."""

    from_period: int = model_field(..., "first period of the step", unit="period", section=2, ge=0)
    value: float = model_field(..., "what holds from then on", section=2, ge=0)


def _is_a_name(name: str) -> str:
    if not re.fullmatch(r"[\w-]+", name):
        raise ValueError(f"expected a name of letters, digits, _ and -, got {name!r}")
    return name


# Names of classes are parts of dotted paths.
Name = Annotated[str, AfterValidator(_is_a_name)]
Probability = Annotated[float, Field(ge=0, le=1)]
Distribution = Annotated[tuple[Probability, ...], AfterValidator(_sums_to_one)]
Shares = Annotated[dict[str, Probability], AfterValidator(_sums_to_one_by_name)]
Schedule = Annotated[tuple[Step, ...], AfterValidator(_starts_rising)]


class BenefitStep(Record):
    """The benefit of a full (severe) case for members from an age on."""

    from_age: int = model_field(..., "lowest age at diagnosis", unit="years", section=3, ge=0)
    benefit_yuan: float = model_field(
        ..., "benefit of a case of fraction 1", unit="yuan", section=3, ge=0
    )


class WeightStep(Record):
    """The apportionment weight of members from an age on (rule `table`)."""

    from_age: int = model_field(..., "lowest age", unit="years", section=4, ge=0)
    male: float = model_field(1.0, "weight of a man", section=4, ge=0)
    female: float = model_field(1.0, "weight of a woman", section=4, ge=0)


class Caps(Record):
    """The most a member is charged, and who bears what exceeds it (section 4)."""

    per_case_yuan: float | None = model_field(
        None, "most a member pays for one case", unit="yuan", section=4, gt=0
    )
    per_period_yuan: float | None = model_field(
        None, "most a member pays for one period", unit="yuan", section=4, gt=0
    )
    per_year_yuan: float | None = model_field(
        None,
        "most a member pays in P successive periods counted from the start",
        unit="yuan",
        section=4,
        gt=0,
    )
    excess_to: Literal["platform", "next_period", "benefits"] = model_field(
        "platform",
        "who bears what exceeds a cap: the platform (a subsidy), the next period's "
        "cost, or the claimants (benefits cut pro rata)",
        section=4,
    )


class Plan(Record):
    """One plan: an apportionment group with its own cover and its own rule."""

    max_age: int = model_field(
        ...,
        "oldest age of a member; who passes it leaves or moves on",
        unit="years",
        section=1,
        ge=0,
    )
    successor: str | None = model_field(
        None,
        "plan that takes over members past max_age (they keep their served waiting period)",
        section=1,
    )
    wait_periods: int = model_field(
        0, "waiting period", unit="periods", section=3, ge=0, le=MAX_WAIT_PERIODS
    )
    waiting_members_pay: bool = model_field(
        False, "whether members still in the waiting period are charged", section=4
    )
    claimants_pay: bool = model_field(
        True, "whether the period's claimants still owe their share of it", section=1
    )
    benefit: tuple[BenefitStep, ...] = model_field(
        ..., "benefit by age at diagnosis", unit="yuan", section=3, min_length=1
    )
    benefit_limit_yuan_per_payer: float | None = model_field(
        None, "a case pays at most this times the number of payers", unit="yuan", section=3, gt=0
    )
    fee_rate: float = model_field(
        0.0, "management fee on benefits", unit="share of benefits", section=4, ge=0, lt=1
    )
    custody_yuan_per_member_year: float = model_field(
        0.0, "custodian's charge", unit="yuan per member-year", section=4, ge=0
    )
    rule: Literal["equal", "table", "expected"] = model_field(
        "equal", "apportionment rule", section=4
    )
    weights: tuple[WeightStep, ...] = model_field(
        (), "weights by age and sex, for the rule `table`", section=4
    )
    caps: Caps = model_field(Caps, "caps on the charge", section=4)
    rounding: Literal["exact", "next_fen", "largest_remainder"] = model_field(
        "exact",
        "charges exact; up to the next fen (the surplus goes to the next period); or in "
        "fen by largest remainder",
        section=4,
    )
    trivial_share_yuan: float = model_field(
        0.0, "a bill up to this is not noticed as a first bill", unit="yuan", section=6, ge=0
    )
    advertised_share_yuan: float = model_field(
        ...,
        "share a period that the plan advertises; expectations start here",
        unit="yuan",
        section=7,
        gt=0,
    )
    grace_failures: int = model_field(
        1,
        "consecutive failed bills after which a member is removed",
        unit="bills",
        section=5,
        ge=1,
        le=MAX_GRACE_FAILURES,
    )
    uncollected_to: Literal["next_period", "platform"] = model_field(
        "platform",
        "who bears bills written off: the next period's payers or the platform",
        section=5,
    )

    @model_validator(mode="after")
    def _steps_start_at_zero_and_rise(self) -> Self:
        for name, starts in (
            ("benefit", [step.from_age for step in self.benefit]),
            ("weights", [step.from_age for step in self.weights]),
        ):
            if starts and (starts[0] != 0 or starts != sorted(set(starts))):
                raise ValueError(
                    f"{name}: expected steps whose from_age starts at 0 and rises, got {starts}"
                )
        if self.rule == "table" and not self.weights:
            raise ValueError("weights: expected weights for the rule 'table', got none")
        if self.rule != "table" and self.weights:
            raise ValueError(
                f"weights: expected none with the rule {self.rule!r}, got {len(self.weights)} "
                "steps; write rule: table"
            )
        return self


class AgeShare(Record):
    """A share of people of one sex spread evenly over the ages from..to (both included)."""

    from_age: int = model_field(..., "youngest age", unit="years", section=2, ge=0)
    to_age: int = model_field(..., "oldest age", unit="years", section=2, ge=0)
    male: Probability = model_field(..., "share who are men of these ages", section=2)
    female: Probability = model_field(..., "share who are women of these ages", section=2)


class Channel(Record):
    """One acquisition channel: how strongly it draws, and whom."""

    plan: str | None = model_field(
        None, "plan its members join (the scenario's first when left out)", section=2
    )
    push: Schedule = model_field(
        (),
        "external push a(t): share of the market that joins a period",
        unit="per period",
        section=2,
    )
    word_of_mouth: float = model_field(
        0.0,
        "imitation q: joins per market person and period when everyone is a member",
        unit="per period",
        section=2,
        ge=0,
    )
    ages: tuple[AgeShare, ...] = model_field(
        ..., "distribution over age and sex; the shares sum to 1", section=2, min_length=1
    )
    motives: Shares = model_field(..., "distribution over motives", section=2)
    health: Shares = model_field(..., "distribution over health classes", section=2)
    padding: float = model_field(
        0.0,
        "fraction of sign-ups who are nobody: counted, never pay, never claim",
        section=2,
        ge=0,
        le=1,
    )

    @model_validator(mode="after")
    def _ages_sum_to_one(self) -> Self:
        _sums_to_one_at("ages", tuple(share.male + share.female for share in self.ages))
        for i, share in enumerate(self.ages):
            if share.to_age < share.from_age:
                raise ValueError(
                    f"ages[{i}].to_age: expected at least from_age {share.from_age}, "
                    f"got {share.to_age}"
                )
        return self


class Joining(Record):
    """What attracts and what slows joining, for all channels (section 2)."""

    price_sensitivity: float = model_field(
        0.0, "eta: how the last annualised share, relative to income, deters", section=2, ge=0
    )
    news_sensitivity: float = model_field(0.0, "nu: how a unit of bad news deters", section=2, ge=0)
    max_growth: float | None = model_field(
        None,
        "joins of a period at most this share of members (no limit while there are none)",
        unit="per period",
        section=2,
        gt=0,
    )
    max_joins: int | None = model_field(
        None, "joins of a period at most this many", unit="persons", section=2, gt=0
    )


class LapseIntensities(Record):
    """How strongly each cause makes members of one motive leave (section 6)."""

    base: float = model_field(0.0, "b: whatever happens", unit="per period", section=6, ge=0)
    first_bill: float = model_field(
        0.0, "f: in the period of the first non-trivial bill", unit="per period", section=6, ge=0
    )
    bill_shock: float = model_field(
        0.0, "s: per unit of (share - expectation)/expectation", unit="per period", section=6, ge=0
    )
    growth: float = model_field(
        0.0, "r: per unit of growth of the log share", unit="per period", section=6, ge=0
    )
    burden: float = model_field(
        0.0,
        "beta: per unit of own annualised share over income",
        unit="per period",
        section=6,
        ge=0,
    )
    news: float = model_field(0.0, "n: per unit of news", unit="per period", section=6, ge=0)
    competitor: float = model_field(
        0.0, "kappa: per unit of competitor pull", unit="per period", section=6, ge=0
    )
    regulation: float = model_field(
        0.0, "rho: in a period of a regulator's announcement", unit="per period", section=6, ge=0
    )


class Motive(Record):
    """Why people joined, and so how they learn, pay and leave."""

    education_speed: float = model_field(
        0.1,
        "e: share of the gap between bill and expectation learnt in a period",
        unit="per period",
        section=7,
        ge=0,
        le=1,
    )
    payment_failure: float = model_field(
        0.0, "probability that a bill cannot be collected", section=5, ge=0, le=1
    )
    lapse: LapseIntensities = model_field(
        LapseIntensities, "intensity of each cause of lapse", section=6
    )


class Health(Record):
    """A health class: how often its members fall ill and whether they are paid."""

    incidence_factor: float = model_field(
        1.0, "m_h: incidence relative to the table", section=3, ge=0
    )
    acceptance: float = model_field(
        1.0, "alpha_h: probability that a claim is accepted", section=3, ge=0, le=1
    )
    leaves_on_rejection: bool = model_field(
        False, "whether a rejected claimant loses membership (should not have joined)", section=3
    )


class Severity(Record):
    """One category of severity."""

    probability: Probability = model_field(..., "share of diagnoses", section=3)
    benefit_fraction: Probability = model_field(..., "fraction of the benefit it pays", section=3)


class Claims(Record):
    """Incidence, selection, severity, delay and assessment (section 3)."""

    incidence: AgeSexTable = model_field(
        "incidence_cn_2020_28_diseases",
        "incidence table: a shipped table's name, or a CSV file with columns age, male, female",
        unit="per person-year",
        section=3,
    )
    level: float = model_field(1.0, "experience relative to the table", section=3, ge=0)
    selection_start: float = model_field(
        1.0,
        "s0: incidence of a member just past the waiting period relative to the ultimate; "
        "above 1 is adverse selection",
        section=3,
        ge=0,
    )
    selection_years: float = model_field(
        1.0, "tau: time over which selection wears off", unit="years", section=3, gt=0
    )
    severity: dict[Name, Severity] = model_field(
        lambda: {"severe": Severity(probability=1, benefit_fraction=1)},
        "categories of severity; the probabilities sum to 1",
        section=3,
        min_length=1,
    )
    report_delay: Distribution = model_field(
        (1.0,),
        "probability that a diagnosis is reported and assessed 0, 1, 2, ... periods later",
        section=3,
        min_length=1,
        max_length=255,
    )
    dispute_probability: float = model_field(
        0.0, "delta: probability that a rejected claim is disputed in public", section=3, ge=0, le=1
    )
    mortality: AgeSexTable | None = model_field(
        None, "mortality table, if deaths are to end memberships", unit="per person-year", section=3
    )

    @model_validator(mode="after")
    def _severities_sum_to_one(self) -> Self:
        _sums_to_one_at(
            "severity", tuple(category.probability for category in self.severity.values())
        )
        return self


class Tenure(Record):
    """How finely time since the waiting period is told apart (section 9: the cells' stages).

    Periods of the waiting period are always told apart one by one. Past it, members stand in
    `bands` stages of `band_periods` each, the last one open; a stage keeps the mean wear of
    selection of its members. Bands of one period, as many as there are periods, are exact.
    """

    bands: int = model_field(
        1,
        "stages past the waiting period, the last one open",
        section=9,
        ge=1,
        le=MAX_TENURE_BANDS,
    )
    band_periods: int = model_field(1, "width of a stage", unit="periods", section=9, ge=1)


class NewsJump(Record):
    """Bad news from outside at a known date, such as the closure of a peer."""

    period: int = model_field(..., "when", unit="period", section=7, ge=0)
    size: float = model_field(..., "how large", unit="news", section=7, gt=0)


class News(Record):
    """Bad news: a self-exciting count of events that fades (section 7)."""

    persistence: float = model_field(
        0.0, "rho_n: share of news that is left a period later", section=7, ge=0, lt=1
    )
    size: float = model_field(1.0, "size of one event", unit="news", section=7, ge=0)
    base: float = model_field(
        0.0, "mu_n: events out of nothing", unit="events per period", section=7, ge=0
    )
    per_dispute: float = model_field(
        0.0, "d: events per disputed claim", unit="events", section=7, ge=0
    )
    per_share_jump: float = model_field(
        0.0, "events per unit of relative rise of the share", unit="events", section=7, ge=0
    )
    per_market_share: float = model_field(
        0.0, "events when the whole market are members", unit="events per period", section=7, ge=0
    )
    echo: float = model_field(
        0.0, "events that a unit of news provokes", unit="events per period", section=7, ge=0
    )
    jumps: tuple[NewsJump, ...] = model_field((), "dated news from outside", section=7)

    @model_validator(mode="after")
    def _is_stationary(self) -> Self:
        branching = self.echo * self.size / (1 - self.persistence)
        if branching >= 1:
            raise ValueError(
                "echo: expected echo * size / (1 - persistence) below 1, "
                f"got {branching:.4g}; otherwise news explodes"
            )
        return self


class Closure(Record):
    """When the pool closes (section 8); the first cause that holds ends the path."""

    floor_members: int = model_field(
        0, "too_small: the pool closes with fewer members", unit="persons", section=8, ge=0
    )
    floor_from_period: int = model_field(
        0,
        "period from which the floor is tested (a pool starts small)",
        unit="period",
        section=8,
        ge=0,
    )
    share_limit_yuan: float | None = model_field(
        None,
        "share_limit: share of a period that the platform does not tolerate",
        unit="yuan",
        section=8,
        gt=0,
    )
    share_limit_periods: int = model_field(
        1, "successive periods above the limit that close the pool", unit="periods", section=8, ge=1
    )
    regulation_hazard: Schedule = model_field(
        (), "hazard of an order to close", unit="per year", section=8
    )


class InitialMembers(Record):
    """People who are members before the first period: an operator's own figures."""

    plan: str | None = model_field(None, "their plan (the first when left out)", section=2)
    age: int = model_field(..., "age", unit="years", section=2, ge=0)
    sex: Literal["male", "female"] = model_field(..., "sex", section=2)
    motive: str = model_field(..., "motive", section=2)
    health: str = model_field(..., "health class", section=2)
    tenure_periods: int = model_field(0, "periods since joining", unit="periods", section=2, ge=0)
    members: int = model_field(..., "how many", unit="persons", section=2, ge=0)


class Scenario(Record):
    """One pool in its market: everything that a path depends on besides its seed."""

    title: str = model_field(..., "what is simulated, in a few words", section=12)
    system: str = model_field("", "the real system, with its own name", section=12)
    sources: tuple[str, ...] = model_field((), "where the figures come from", section=12)
    start_date: date | None = model_field(None, "date of period 0, for labels", section=12)
    periods: int = model_field(
        72, "length of a path", unit="periods", section=1, ge=1, le=MAX_PERIODS
    )
    periods_per_year: int = model_field(
        24, "P: settlements a year", unit="periods per year", section=1, ge=1, le=366
    )
    market_members: int = model_field(
        ..., "M: people who could ever join", unit="persons", section=2, ge=0, le=2_000_000_000
    )
    income_yuan_per_year: float = model_field(
        30_000.0, "y: income scale of a member", unit="yuan per year", section=2, gt=0
    )
    age_edges: tuple[int, ...] = model_field(
        tuple(range(0, 65, 5)),
        "edges of the age bands: band i holds ages edges[i] .. "
        "edges[i+1]-1; bands of one year are exact",
        unit="years",
        section=9,
        min_length=2,
        max_length=MAX_AGE_BANDS + 1,
    )
    tenure: Tenure = model_field(Tenure, "stages of tenure", section=9)
    plans: dict[Name, Plan] = model_field(
        ..., "plans by name", section=1, min_length=1, max_length=MAX_PLANS
    )
    joining: Joining = model_field(Joining, "attraction and pacing", section=2)
    channels: dict[Name, Channel] = model_field(
        dict, "acquisition channels by name", section=2, max_length=MAX_CHANNELS
    )
    motives: dict[Name, Motive] = model_field(
        ..., "motives by name", section=2, min_length=1, max_length=MAX_MOTIVES
    )
    health: dict[Name, Health] = model_field(
        lambda: {"standard": Health()},
        "health classes by name",
        section=3,
        min_length=1,
        max_length=MAX_HEALTH_CLASSES,
    )
    initial_members: tuple[InitialMembers, ...] = model_field(
        (), "members before the first period", section=2
    )
    claims: Claims = model_field(Claims, "incidence and claims", section=3)
    shock_cap: float = model_field(
        5.0, "g_max: largest relative gap and log growth that members react to", section=6, gt=0
    )
    competitor_pull: Schedule = model_field((), "pull of competitors", section=6)
    regulator_announcements: tuple[Annotated[int, Field(ge=0)], ...] = model_field(
        (), "periods in which a regulator speaks", unit="period", section=6
    )
    news: News = model_field(News, "bad news", section=7)
    closure: Closure = model_field(Closure, "when the pool closes", section=8)

    @model_validator(mode="after")
    def _names_and_ages_fit(self) -> Self:
        problems = _age_edge_problems(self) or [
            *_plan_problems(self),
            *_channel_problems(self),
            *_initial_member_problems(self),
            *_table_problems(self),
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _age_edge_problems(scenario: Scenario) -> list[str]:
    edges = scenario.age_edges
    if list(edges) != sorted(set(edges)):
        return [f"age_edges: expected rising ages, each once, got {list(edges)}"]
    if edges[0] < 0:
        return [f"age_edges[0]: expected an age of at least 0, got {edges[0]}"]
    return []


def _plan_problems(scenario: Scenario) -> list[str]:
    problems = []
    edges = scenario.age_edges
    for name, plan in scenario.plans.items():
        if plan.max_age + 1 not in edges[1:]:
            problems.append(
                f"plans.{name}.max_age: expected the last age of a band (age_edges {list(edges)}), "
                f"got {plan.max_age}"
            )
        if plan.successor is not None:
            problems += _successor_problems(scenario, name, plan)
        for field, starts in (
            ("benefit", [step.from_age for step in plan.benefit]),
            ("weights", [step.from_age for step in plan.weights]),
        ):
            problems += [
                f"plans.{name}.{field}[{i}].from_age: expected the first age of a band "
                f"(age_edges {list(edges)}), got {start}"
                for i, start in enumerate(starts)
                if start > edges[0] and start not in edges
            ]
    return problems


def _successor_problems(scenario: Scenario, name: str, plan: Plan) -> list[str]:
    where = f"plans.{name}.successor"
    if plan.successor not in scenario.plans:
        return [f"{where}: expected one of {list(scenario.plans)}, got {plan.successor!r}"]
    if scenario.plans[plan.successor].max_age <= plan.max_age:
        return [
            f"{where}: expected a plan with a higher max_age than {plan.max_age}, "
            f"got {plan.successor!r}"
        ]
    return []


def _channel_problems(scenario: Scenario) -> list[str]:
    problems = []
    for name, channel in scenario.channels.items():
        where = f"channels.{name}"
        plan = channel.plan or next(iter(scenario.plans))
        if plan not in scenario.plans:
            problems.append(f"{where}.plan: expected one of {list(scenario.plans)}, got {plan!r}")
            continue
        for field, shares, known in (
            ("motives", channel.motives, scenario.motives),
            ("health", channel.health, scenario.health),
        ):
            problems += [
                f"{where}.{field}: expected names among {list(known)}, got {key!r}"
                for key in shares
                if key not in known
            ]
        lowest, highest = scenario.age_edges[0], scenario.plans[plan].max_age
        problems += [
            f"{where}.ages[{i}]: expected ages {lowest} to {highest} (the plan {plan!r}), "
            f"got {share.from_age} to {share.to_age}"
            for i, share in enumerate(channel.ages)
            if share.from_age < lowest or share.to_age > highest
        ]
    return problems


def _initial_member_problems(scenario: Scenario) -> list[str]:
    problems = []
    for i, group in enumerate(scenario.initial_members):
        where = f"initial_members[{i}]"
        plan = group.plan or next(iter(scenario.plans))
        for field, value, known in (
            ("plan", plan, scenario.plans),
            ("motive", group.motive, scenario.motives),
            ("health", group.health, scenario.health),
        ):
            if value not in known:
                problems.append(f"{where}.{field}: expected one of {list(known)}, got {value!r}")
        if plan in scenario.plans:
            lowest, highest = scenario.age_edges[0], scenario.plans[plan].max_age
            if not lowest <= group.age <= highest:
                problems.append(
                    f"{where}.age: expected {lowest} to {highest} (the plan {plan!r}), "
                    f"got {group.age}"
                )
    total = sum(group.members for group in scenario.initial_members)
    if total > scenario.market_members:
        problems.append(
            f"initial_members: expected at most market_members {scenario.market_members} in all, "
            f"got {total}"
        )
    return problems


def _table_problems(scenario: Scenario) -> list[str]:
    first, last = scenario.age_edges[0], scenario.age_edges[-1] - 1
    tables = {"incidence": scenario.claims.incidence, "mortality": scenario.claims.mortality}
    return [
        f"claims.{field}: expected rates for all ages {first} to {last} (age_edges), "
        f"got {table.name} with ages {table.first_age} to {table.last_age}"
        for field, table in tables.items()
        if table is not None and not table.covers(first, last)
    ]
