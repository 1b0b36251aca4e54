"""The scenario: every field of the model, defined once.

Each field carries its default, its bounds, its unit, what it means and the section of the model
that uses it; the JSON Schema, the documentation and the error messages all read them from here.
Models are frozen and refuse unknown keys. What can be checked without computing is checked here.
"""

import re
from datetime import date
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from configs.age_sex_table import AgeSexTable
from configs.record import Record, model_field
from configs.text_file import brief

# Limits of the address that a cell's random numbers are drawn at; a scenario beyond them is
# refused here rather than silently sharing random numbers between cells.
MAX_PLANS = 16
MAX_CHANNELS = 32
MAX_MOTIVES = 8
MAX_HEALTH_CLASSES = 7
MAX_AGE_BANDS = 64
MAX_AGES = 128  # told apart one by one, by the member engine
MAX_DELAY_PERIODS = 255
MAX_MEAN_DELAY = 48.0
MAX_FRAILTIES = 8
MAX_TENURE_PERIODS = 1_000_000  # of who is a member before the first period
MAX_WAIT_PERIODS = 128
MAX_TENURE_BANDS = 128
MAX_GRACE_FAILURES = 8
MAX_PERIODS = 4096
MAX_POOLS = 16
MAX_NAME_LENGTH = 60  # of a plan, channel, motive, …
MAX_TITLE_LENGTH = 500
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


def _at_most_one(steps: tuple["Step", ...]) -> tuple["Step", ...]:
    for step in steps:
        if step.value > 1:
            raise ValueError(f"expected values of at most 1, got {step.value:.12g}")
    return steps


def _is_a_name(name: str) -> str:
    if not re.fullmatch(r"[\w-]+", name):
        raise ValueError(f"expected a name of letters, digits, _ and -, got {brief(name)}")
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"expected at most {MAX_NAME_LENGTH} characters, got {len(name)}")
    return name


# Names of classes are parts of dotted paths.
Name = Annotated[str, AfterValidator(_is_a_name)]
Probability = Annotated[float, Field(ge=0, le=1)]
Distribution = Annotated[tuple[Probability, ...], AfterValidator(_sums_to_one)]
Shares = Annotated[dict[str, Probability], AfterValidator(_sums_to_one_by_name)]
Schedule = Annotated[tuple[Step, ...], AfterValidator(_starts_rising)]
ShareSchedule = Annotated[Schedule, AfterValidator(_at_most_one)]
PartsByName = dict[Name, dict[Name, Probability]]


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


class PooledBands(Record):
    """Bands of ages that share with one another in part (rule `pooled_bands`, section 4)."""

    from_ages: tuple[int, ...] = model_field(
        ..., "youngest age of each band, the first of them 0", unit="years", section=4, min_length=1
    )
    quota: float = model_field(
        ...,
        "z: part of its cost that a band cedes to all bands together, which pay it in proportion "
        "to their expected cost",
        section=4,
        ge=0,
        le=1,
    )
    rule: Literal["equal", "table", "expected"] = model_field(
        "equal", "rule inside a band", section=4
    )

    @model_validator(mode="after")
    def _start_at_zero_and_rise(self) -> Self:
        ages = list(self.from_ages)
        if ages[0] != 0 or ages != sorted(set(ages)):
            raise ValueError(f"from_ages: expected ages that start at 0 and rise, got {ages}")
        return self


class Smoothing(Record):
    """A smoothing reserve: charges follow the cost slowly (section 4)."""

    persistence: float = model_field(
        ..., "phi: weight of the charge before, against the cost now", section=4, ge=0, lt=1
    )
    loading_yuan: float = model_field(
        0.0, "put by from every charge", unit="yuan a member and period", section=4, ge=0
    )


class Prepaid(Record):
    """A prepaid balance that charges are drawn from; paid back to who leaves (section 4)."""

    deposit_yuan: float = model_field(
        ..., "b0: paid on joining, and what a top-up fills up to", unit="yuan", section=4, gt=0
    )
    low_balance_yuan: float = model_field(
        0.0, "below it a member tops up or leaves", unit="yuan", section=4, ge=0
    )
    top_up: Probability = model_field(
        1.0, "u: probability that a member tops up (else `balance_exhausted`)", section=4
    )

    @model_validator(mode="after")
    def _deposit_is_not_low(self) -> Self:
        if self.low_balance_yuan > self.deposit_yuan:
            raise ValueError(
                f"low_balance_yuan: expected at most deposit_yuan {self.deposit_yuan:.12g}, "
                f"got {self.low_balance_yuan:.12g}"
            )
        return self


class Plan(Record):
    """One plan: an apportionment group with its own cover and its own rule."""

    pool: str | None = model_field(
        None, "pool it belongs to, where the scenario names pools (the first otherwise)", section=7
    )
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
    rule: Literal[
        "equal",
        "table",
        "expected",
        "linear",
        "minimum_variance",
        "conditional_mean",
        "pooled_bands",
    ] = model_field("equal", "apportionment rule", section=4)
    weights: tuple[WeightStep, ...] = model_field(
        (), "weights by age and sex, for the rule `table`", section=4
    )
    pooled_bands: PooledBands | None = model_field(
        None,
        "bands and what they share, for the rule `pooled_bands`; other rules leave it alone",
        section=4,
    )
    smoothing: Smoothing | None = model_field(None, "smoothing reserve, if any", section=4)
    fixed_price_yuan_per_year: float | None = model_field(
        None,
        "a price instead of shares: paid in equal parts every period into a fund that pays the "
        "cost; the pool is ruined when it is below 0",
        unit="yuan per member-year",
        section=4,
        gt=0,
    )
    reserve_yuan: float = model_field(
        0.0, "what the smoothing reserve or the fund starts with", unit="yuan", section=4, ge=0
    )
    prepaid: Prepaid | None = model_field(
        None, "prepaid balances that shares are drawn from, if any", section=4
    )
    first_bill_free: bool = model_field(
        False, "whether the platform pays a newcomer's first non-trivial bill", section=2
    )
    platform_pays: ShareSchedule = model_field(
        (), "part of the cost that the platform pays, from a period on", section=8
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
        return self

    @model_validator(mode="after")
    def _rule_has_what_it_needs(self) -> Self:
        if self.rule == "pooled_bands" and self.pooled_bands is None:
            raise ValueError("pooled_bands: expected bands with the rule 'pooled_bands', got none")
        # bands may be there unused, so that a sweep can go over rules
        banded = self.pooled_bands if self.rule == "pooled_bands" else None
        inner = self.rule if banded is None else banded.rule
        if inner == "table" and not self.weights:
            raise ValueError("weights: expected weights for the rule 'table', got none")
        if inner != "table" and self.weights:
            raise ValueError(
                f"weights: expected none with the rule {inner!r}, got {len(self.weights)} "
                "steps; write rule: table"
            )
        return self

    @model_validator(mode="after")
    def _is_paid_for_in_one_way(self) -> Self:
        if self.fixed_price_yuan_per_year is not None:
            for name, other in (("smoothing", self.smoothing), ("prepaid", self.prepaid)):
                if other is not None:
                    raise ValueError(f"{name}: expected none with a fixed price, got one")
        elif self.smoothing is None and self.reserve_yuan > 0:
            raise ValueError(
                "reserve_yuan: expected 0 where there is neither smoothing nor a fixed price, "
                f"got {self.reserve_yuan:.12g}"
            )
        return self


class AgeShare(Record):
    """A share of people of one sex spread evenly over the ages from..to (both included)."""

    from_age: int = model_field(..., "youngest age", unit="years", section=2, ge=0)
    to_age: int = model_field(..., "oldest age", unit="years", section=2, ge=0)
    male: Probability = model_field(..., "share who are men of these ages", section=2)
    female: Probability = model_field(..., "share who are women of these ages", section=2)


class Funnel(Record):
    """Crowdfunding: appeals for the sick bring donors, donors become members (section 2)."""

    appeals: Schedule = model_field(
        ..., "appeals per period, from a period on", unit="appeals", section=2, min_length=1
    )
    donors_per_appeal: float = model_field(
        ..., "people who give to one appeal", unit="donors", section=2, ge=0
    )
    conversion: Probability = model_field(..., "share of donors who join", section=2)


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
    funnel: Funnel | None = model_field(
        None, "crowdfunding whose donors join, on top of the push", section=2
    )
    acquisition_yuan_per_join: float = model_field(
        0.0, "what the platform pays for a sign-up", unit="yuan", section=8, ge=0
    )
    red_packet_yuan: float = model_field(
        0.0, "present of the platform to everybody who signs up", unit="yuan", section=2, ge=0
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
    attention: float = model_field(
        1.0,
        "a: probability that a member reads a bill without an alarm; unread it moves nobody",
        section=6,
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
    lapse_ratio: float = model_field(
        1.0,
        "intensities of lapse relative to the motive's: below 1 they stay when others leave",
        section=6,
        ge=0,
    )
    leaves_on_rejection: bool = model_field(
        False, "whether a rejected claimant loses membership (should not have joined)", section=3
    )


class Severity(Record):
    """One category of severity."""

    probability: Probability = model_field(..., "share of diagnoses", section=3)
    benefit_fraction: Probability = model_field(..., "fraction of the benefit it pays", section=3)


class CommonShock(Record):
    """A shock Z to everybody's incidence: log-normal, mean 1, an AR(1) in its log (section 3)."""

    volatility: float = model_field(
        0.0, "standard deviation of log Z; 0 for no shock", section=3, ge=0
    )
    persistence: float = model_field(
        0.0, "correlation of log Z from a period to the next", section=3, ge=0, lt=1
    )


class Frailty(Record):
    """What members of one cell do not share: an own factor on incidence, mean 1 (section 9)."""

    law: Literal["gamma", "discrete"] = model_field(
        ..., "gamma with a variance, or a few values with their probabilities", section=9
    )
    variance: float | None = model_field(
        None, "variance between members, for the law `gamma`", section=9, gt=0
    )
    values: tuple[Annotated[float, Field(ge=0)], ...] = model_field(
        (),
        "factors on incidence, for the law `discrete`; their mean is 1",
        section=9,
        max_length=MAX_FRAILTIES,
    )
    probabilities: tuple[Probability, ...] = model_field(
        (), "probability of each value, for the law `discrete`; they sum to 1", section=9
    )

    @model_validator(mode="after")
    def _law_has_what_it_needs(self) -> Self:
        if self.law == "gamma":
            if self.variance is None:
                raise ValueError("variance: expected one with the law 'gamma', got none")
            for name, given in (("values", self.values), ("probabilities", self.probabilities)):
                if given:
                    raise ValueError(
                        f"{name}: expected none with the law 'gamma', got {len(given)}"
                    )
            return self
        if self.variance is not None:
            raise ValueError(
                f"variance: expected none with the law 'discrete', got {self.variance:.12g}"
            )
        if not self.values:
            raise ValueError("values: expected some with the law 'discrete', got none")
        if len(self.probabilities) != len(self.values):
            raise ValueError(
                f"probabilities: expected one for each of the {len(self.values)} values, "
                f"got {len(self.probabilities)}"
            )
        _sums_to_one_at("probabilities", self.probabilities)
        mean = sum(v * p for v, p in zip(self.values, self.probabilities, strict=True))
        if abs(mean - 1.0) > PROBABILITY_TOLERANCE:
            raise ValueError(f"values: expected a mean of 1, got {mean:.12g}")
        return self


class DelayLaw(Record):
    """A reporting delay by two numbers: a gamma law, rounded to whole periods."""

    mean_periods: float = model_field(
        ..., "mean of the law", unit="periods", section=3, gt=0, le=MAX_MEAN_DELAY
    )
    sd_periods: float = model_field(
        ..., "its standard deviation", unit="periods", section=3, gt=0, le=MAX_MEAN_DELAY
    )


class Claims(Record):
    """Incidence, selection, severity, delay and assessment (section 3)."""

    incidence: AgeSexTable = model_field(
        "incidence_cn_2020_28_diseases",
        "incidence table: a shipped table's name, or a CSV file with columns age, male, female",
        unit="per person-year",
        section=3,
    )
    level: float = model_field(1.0, "experience relative to the table", section=3, ge=0)
    trend_per_year: float = model_field(
        0.0, "growth of incidence from year to year", unit="per year", section=3, gt=-1
    )
    common_shock: CommonShock = model_field(CommonShock, "common shock", section=3)
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
        max_length=MAX_DELAY_PERIODS,
    )
    delay_law: DelayLaw | None = model_field(
        None, "law of the delay, in place of `report_delay`; null: `report_delay`", section=3
    )
    dispute_probability: float = model_field(
        0.0, "delta: probability that a rejected claim is disputed in public", section=3, ge=0, le=1
    )
    mortality: AgeSexTable | None = model_field(
        None, "mortality table, if deaths are to end memberships", unit="per person-year", section=3
    )
    frailty: Frailty | None = model_field(
        None, "how members of one cell differ in incidence, if at all (engine `member`)", section=9
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


class Platform(Record):
    """The platform's own money: what it earns and pays, and who stands behind it (section 8)."""

    funding_yuan: float = model_field(0.0, "cash at the start", unit="yuan", section=8, ge=0)
    parent: bool = model_field(
        True, "whether somebody covers cash below 0; without, the platform is insolvent", section=8
    )
    sales_yuan_per_member_year: float = model_field(
        0.0, "what members buy of it besides", unit="yuan per member-year", section=8, ge=0
    )
    commission_rate: float = model_field(
        0.0, "part of these sales that it keeps", unit="share of sales", section=8, ge=0, le=1
    )
    cannibalisation: float = model_field(
        0.0, "share of members who buy nothing: they are covered already", section=8, ge=0, le=1
    )
    interest_rate: float = model_field(
        0.0, "interest on reserves and prepaid balances", unit="per year", section=8, ge=0
    )
    interest_to: Literal["members", "platform"] = model_field(
        "members", "who has the interest", section=8
    )
    custody_from: Literal["members", "platform"] = model_field(
        "members", "who pays the custodian", section=8
    )
    funds_in_custody: bool = model_field(
        True,
        "whether a custodian holds members' money, which then survives the platform",
        section=8,
    )
    investigation_yuan_per_claim: float = model_field(
        0.0, "assessment of a claim, paid or refused", unit="yuan per claim", section=8, ge=0
    )
    operating_yuan_per_year: float = model_field(
        0.0, "cost of operating, whatever the size", unit="yuan per year", section=8, ge=0
    )
    operating_yuan_per_member_year: float = model_field(
        0.0, "cost of operating by size", unit="yuan per member-year", section=8, ge=0
    )


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

    profit_deadline_period: int | None = model_field(
        None,
        "no_profit: period from which P successive periods without a profit close the pool",
        unit="period",
        section=8,
        ge=0,
    )
    wind_down_periods: int = model_field(
        0,
        "periods in which reported cases are still settled; nobody joins or is covered any more",
        unit="periods",
        section=8,
        ge=0,
    )
    wind_down_by: Literal["members", "platform"] = model_field(
        "members", "who pays for the wind-down", section=8
    )
    returned_contributions: Probability = model_field(
        0.0, "part of all contributions that the platform gives back when it closes", section=8
    )


class Pool(Record):
    """One of several pools in a market; what is left out is as in the scenario (section 7)."""

    joining: Joining | None = model_field(None, "attraction and pacing", section=2)
    news: News | None = model_field(None, "bad news", section=7)
    platform: Platform | None = model_field(None, "the platform's own money", section=8)
    closure: Closure | None = model_field(None, "when the pool closes", section=8)


class Industry(Record):
    """What pools that share a market are to each other (section 7)."""

    spill_over: PartsByName = model_field(
        dict, "by pool and other pool: part of the first one's news that the other hears", section=7
    )
    closure_jump: float = model_field(
        0.0, "news that a closure is, as far as it spills over", unit="news", section=7, ge=0
    )
    migration: PartsByName = model_field(
        dict,
        "by pool and other pool: part of the members who join the other when it ends",
        section=7,
    )


class InitialMembers(Record):
    """People who are members before the first period: an operator's own figures."""

    plan: str | None = model_field(None, "their plan (the first when left out)", section=2)
    age: int = model_field(..., "age", unit="years", section=2, ge=0)
    sex: Literal["male", "female"] = model_field(..., "sex", section=2)
    motive: str = model_field(..., "motive", section=2)
    health: str = model_field(..., "health class", section=2)
    tenure_periods: int = model_field(
        0, "periods since joining", unit="periods", section=2, ge=0, le=MAX_TENURE_PERIODS
    )
    members: int = model_field(..., "how many", unit="persons", section=2, ge=0)


class Scenario(Record):
    """One pool in its market: everything that a path depends on besides its seed."""

    title: str = model_field(
        ..., "what is simulated, in a few words", section=12, max_length=MAX_TITLE_LENGTH
    )
    system: str = model_field(
        "", "the real system, with its own name", section=12, max_length=MAX_TITLE_LENGTH
    )
    sources: tuple[str, ...] = model_field((), "where the figures come from", section=12)
    start_date: date | None = model_field(None, "date of period 0, for labels", section=12)
    periods: int = model_field(
        72, "length of a path", unit="periods", section=1, ge=1, le=MAX_PERIODS
    )
    periods_per_year: int = model_field(
        24, "P: settlements a year", unit="periods per year", section=1, ge=1, le=366
    )
    engine: Literal["cohort", "member"] = model_field(
        "cohort",
        "cohort: members are counted by cell; member: each is simulated, with an age in years",
        section=9,
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
    learns_from: Literal["share", "own_bills"] = model_field(
        "share",
        "what members' expectations follow: the plan's share, or their own bills (engine `member`)",
        section=7,
    )
    shock_cap: float = model_field(
        5.0, "g_max: largest relative gap and log growth that members react to", section=6, gt=0
    )
    dead_zone: float = model_field(
        0.0, "relative gap and log growth up to which nobody moves", section=6, ge=0
    )
    attention_slope: float = model_field(
        0.0,
        "alpha: how a jump of the share and news make members read their bills",
        unit="per unit of relative jump and news",
        section=6,
        ge=0,
    )
    loyalty_per_year: float = model_field(
        0.0,
        "l: intensities of lapse fall by exp(-l years of tenure)",
        unit="per year",
        section=6,
        ge=0,
    )
    competitor_pull: Schedule = model_field((), "pull of competitors", section=6)
    regulator_announcements: tuple[Annotated[int, Field(ge=0)], ...] = model_field(
        (), "periods in which a regulator speaks", unit="period", section=6
    )
    news: News = model_field(News, "bad news", section=7)
    platform: Platform = model_field(Platform, "the platform's own money", section=8)
    closure: Closure = model_field(Closure, "when the pool closes", section=8)
    pools: dict[Name, Pool] = model_field(
        dict,
        "pools by name, where several share the market; without, all plans are of one",
        section=7,
        max_length=MAX_POOLS,
    )
    industry: Industry = model_field(Industry, "what the pools are to each other", section=7)

    @model_validator(mode="after")
    def _names_and_ages_fit(self) -> Self:
        problems = _age_edge_problems(self) or [
            *_engine_problems(self),
            *_plan_problems(self),
            *_channel_problems(self),
            *_initial_member_problems(self),
            *_table_problems(self),
            *_industry_problems(self),
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


def _engine_problems(scenario: Scenario) -> list[str]:
    """Refuse what an engine cannot do: cells have no own history, addresses so many ages."""
    if scenario.engine == "member":
        first, last = scenario.age_edges[0], scenario.age_edges[-1] - 1
        ages = last - first + 1
        if ages <= MAX_AGES:
            return []
        return [
            f"age_edges: expected at most {MAX_AGES} ages with the engine 'member', "
            f"got {ages} ({first} to {last}); narrow them or write engine: cohort"
        ]
    problems = []
    if scenario.learns_from != "share":
        problems.append(
            "learns_from: expected 'share' with the engine 'cohort', "
            f"got {scenario.learns_from!r}; write engine: member"
        )
    if scenario.claims.frailty is not None:
        problems.append(
            "claims.frailty: expected none with the engine 'cohort', "
            f"got the law {scenario.claims.frailty.law!r}; write engine: member"
        )
    return problems


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
        problems += [
            f"plans.{name}.pooled_bands.from_ages[{i}]: expected the first age of a band "
            f"(age_edges {list(edges)}), got {start}"
            for i, start in enumerate(plan.pooled_bands.from_ages if plan.pooled_bands else ())
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


def pool_of(scenario: Scenario, plan: Plan) -> str | None:
    """Return the pool that a plan belongs to: the first unless it says; None without pools."""
    return plan.pool or next(iter(scenario.pools), None)


def _industry_problems(scenario: Scenario) -> list[str]:
    pools = list(scenario.pools)
    known = f"one of {pools}" if pools else "none, for `pools` names none"
    problems = [
        f"plans.{name}.pool: expected {known}, got {plan.pool!r}"
        for name, plan in scenario.plans.items()
        if plan.pool is not None and plan.pool not in pools
    ]
    problems += [
        f"industry.{field}: expected none, for `pools` names none, got some"
        for field in ("spill_over", "migration")
        if getattr(scenario.industry, field) and not pools
    ]
    if problems and not pools:
        return problems
    homes = {name: pool_of(scenario, plan) for name, plan in scenario.plans.items()}
    problems += [
        f"pools.{pool}: expected a plan that belongs to it, got none"
        for pool in pools
        if pool not in homes.values()
    ]
    problems += [
        f"plans.{name}.successor: expected a plan of the same pool {homes[name]!r}, "
        f"got {plan.successor!r} of {homes[plan.successor]!r}"
        for name, plan in scenario.plans.items()
        if plan.successor in homes and homes[plan.successor] != homes[name]
    ]
    for field in ("spill_over", "migration"):
        problems += _part_problems(f"industry.{field}", getattr(scenario.industry, field), pools)
    for source, parts in scenario.industry.migration.items():
        if sum(parts.values()) > 1 + PROBABILITY_TOLERANCE:
            problems.append(
                f"industry.migration.{source}: expected parts that sum to at most 1, "
                f"got {sum(parts.values()):.12g}"
            )
    return problems or _spiral_problems(scenario)


def pools_of(scenario: Scenario) -> list[Pool]:
    """Return the pools, each with what it leaves out as the scenario has it; at least one."""
    own = {name: getattr(scenario, name) for name in Pool.model_fields}
    return [
        Pool(**{name: getattr(pool, name) or own[name] for name in own})
        for pool in scenario.pools.values() or [Pool()]
    ]


def spill_matrix(scenario: Scenario, parts: dict[str, dict[str, float]]) -> list[list[float]]:
    """Return parts by pool and other pool as rows and columns in the order of the pools."""
    names = list(scenario.pools) or [""]
    return [[parts.get(one, {}).get(other, 0.0) for other in names] for one in names]


def _spiral_problems(scenario: Scenario) -> list[str]:
    """Refuse news that explode because pools echo each other."""
    spill = np.array(spill_matrix(scenario, scenario.industry.spill_over))
    news = [pool.news or scenario.news for pool in pools_of(scenario)]
    echo = np.array([item.echo * item.size for item in news])
    fading = np.diag([item.persistence for item in news])
    growth = fading + (np.eye(len(news)) + spill.T) * echo
    radius = float(np.abs(np.linalg.eigvals(growth)).max())
    if radius < 1:
        return []
    return [
        "industry.spill_over: expected news that fade, got pools that echo each other with a "
        f"growth of {radius:.4g} a period"
    ]


def _part_problems(field: str, parts: dict[str, dict[str, float]], pools: list[str]) -> list[str]:
    problems = []
    for source, others in parts.items():
        if source not in pools:
            problems.append(f"{field}: expected names among {pools}, got {source!r}")
        problems += [
            f"{field}.{source}: expected names among {[p for p in pools if p != source]}, "
            f"got {other!r}"
            for other in others
            if other not in pools or other == source
        ]
    return problems
