"""Every history of every member of a tiny pool: the exact law, without the kernels.

A period of such a pool (no delay, shares equal, no fee): who falls ill while he waits is out; past
waiting he claims, or is refused and stays. Custody and benefits are split over all past waiting.
Claimants leave, the others pay or fail, and who is still there may lapse (MODEL sections 3 to 6).
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Person:
    """Somebody of whom the pool knows when his cover begins; rates per period."""

    covered_from: int
    hazard: float
    base: float
    burden: float
    failure: float


@dataclass(frozen=True)
class Club:
    """A pool small enough to follow everybody; money in yuan.

    frailties : factors on the hazard with their probabilities
    """

    people: tuple[Person, ...]
    frailties: tuple[tuple[float, float], ...]
    acceptance: float
    benefit: float
    custody: float
    income_period: float
    grace: int


class End(NamedTuple):
    """When and why somebody left."""

    period: int
    cause: str


class Life(NamedTuple):
    """What the future of a person depends on."""

    frailty: float
    late: int
    end: End | None


Lives = tuple[Life, ...]


def law_of_lives(club: Club, periods: int) -> dict[Lives, float]:
    """Add up the probabilities of all histories by what becomes of everybody."""
    law: dict[Lives, float] = {}
    for drawn in itertools.product(club.frailties, repeat=len(club.people)):
        lives = tuple(Life(frailty, 0, None) for frailty, _ in drawn)
        law[lives] = math.prod(chance for _, chance in drawn)
    for period in range(periods):
        later: dict[Lives, float] = defaultdict(float)
        for lives, probability in law.items():
            for outcome, chance in after(club, lives, period):
                later[outcome] += probability * chance
        law = dict(later)
    return law


def alternatives(
    options: Sequence[list[tuple[Life, float]]],
) -> Iterator[tuple[Lives, float]]:
    """Yield each way in which independent alternatives can fall out, with its probability."""
    for drawn in itertools.product(*options):
        chance = math.prod(p for _, p in drawn)
        if chance > 0.0:
            yield tuple(life for life, _ in drawn), chance


def after(club: Club, lives: Lives, period: int) -> Iterator[tuple[Lives, float]]:
    """Yield each way a period can go, with its probability."""
    ill = [
        diagnosed(club, person, life, period)
        for person, life in zip(club.people, lives, strict=True)
    ]
    for seen, chance in alternatives(ill):
        claim, early = End(period, "claimed"), End(period, "early_diagnosis")
        claims = sum(life.end == claim for life in seen)
        present = sum(
            was.end is None and now.end != early for was, now in zip(lives, seen, strict=True)
        )
        payers = sum(
            was.end is None and person.covered_from <= period
            for person, was in zip(club.people, lives, strict=True)
        )
        cost = club.benefit * claims + club.custody * present
        # custody of those who wait is for the others to pay, of whom there is always one
        share = cost / payers if payers > 0 else 0.0
        answers = [
            answer(club, person, life, period, share)
            for person, life in zip(club.people, seen, strict=True)
        ]
        for outcome, probability in alternatives(answers):
            yield outcome, chance * probability


def diagnosed(club: Club, person: Person, life: Life, period: int) -> list[tuple[Life, float]]:
    """List what may become of a person's health."""
    if life.end is not None:
        return [(life, 1.0)]
    chance = 1.0 - math.exp(-person.hazard * life.frailty)
    cause = "early_diagnosis"
    if period >= person.covered_from:
        chance *= club.acceptance
        cause = "claimed"
    return [(life._replace(end=End(period, cause)), chance), (life, 1.0 - chance)]


def answer(
    club: Club, person: Person, life: Life, period: int, share: float
) -> list[tuple[Life, float]]:
    """List how a person may answer his bill."""
    if life.end is not None:
        return [(life, 1.0)]
    intensity = {"base": person.base, "burden": 0.0}
    ways = [(life, 1.0)]
    if period >= person.covered_from and share > 0.0:
        intensity["burden"] = person.burden * share / club.income_period
        late = life._replace(late=life.late + 1)
        if late.late >= club.grace:
            late = Life(life.frailty, 0, End(period, "arrears"))
        ways = [(life._replace(late=0), 1.0 - person.failure), (late, person.failure)]
    total = sum(intensity.values())
    leaves = 1.0 - math.exp(-total)
    outcomes = []
    for way, chance in ways:
        if way.end is not None:
            outcomes.append((way, chance))
            continue
        outcomes.append((way, chance * (1.0 - leaves)))
        for cause, rate in intensity.items():
            gone = Life(way.frailty, 0, End(period, cause))
            outcomes.append((gone, chance * leaves * rate / total))
    return outcomes
