"""Slow twins of the kernels: whole people, fractions and exact decimals, no arrays.

Each follows the words of MODEL, person by person where it can, and shares no line with the
kernels. The draws have twins of their own in `tests/oracles_draws.py`.
"""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import NamedTuple

DIGITS = 50


# Section 3: claims


def wear(periods_past_waiting: int, years: float, periods_per_year: int) -> float:
    """exp(-d / tau)."""
    return math.exp(-periods_past_waiting / periods_per_year / years)


def diagnosis_probability(yearly: float, periods_per_year: int, start: float, worn: float) -> float:
    """1 - exp(-lambda / P * sigma) to fifty digits, sigma = s0 + (1 - s0)(1 - exp(-d / tau))."""
    with localcontext() as context:
        context.prec = DIGITS
        sigma = Decimal(start) + (1 - Decimal(start)) * (1 - Decimal(worn))
        return float(1 - (-Decimal(yearly) / periods_per_year * sigma).exp())


def paid_benefits(benefits: Sequence[float], limit: float | None, payers: int) -> Fraction:
    """What cases pay one by one, none more than the limit times the payers."""
    total = Fraction(0)
    for benefit in benefits:
        most = Fraction(benefit) if limit is None else Fraction(limit) * payers
        total += min(Fraction(benefit), most)
    return total


# Section 4: apportionment


class Debtors(NamedTuple):
    """People who are charged alike."""

    people: int
    weight: Fraction
    cap: Fraction | None


def split(debtors: Sequence[Debtors], cost: Fraction) -> tuple[list[Fraction], Fraction]:
    """Charge a cost in proportion to weights, nobody above his cap; also what cannot be charged.

    Whose cap is lowest for his weight is full first: one pass in that order.
    """
    charges = [Fraction(0)] * len(debtors)
    if cost <= 0:
        return charges, Fraction(0)
    if not any(d.people and d.weight for d in debtors):
        debtors = [d._replace(weight=Fraction(1)) for d in debtors]
    charged = [i for i, d in enumerate(debtors) if d.people and d.weight]
    charged.sort(key=lambda i: _fullness(debtors[i]))
    rest = cost
    for position, i in enumerate(charged):
        weights = sum(debtors[j].people * debtors[j].weight for j in charged[position:])
        count, weight, cap = debtors[i]
        charges[i] = rest * weight / weights
        if cap is not None:
            charges[i] = min(cap, charges[i])
        rest -= count * charges[i]
    return charges, rest


def _fullness(debtors: Debtors) -> float | Fraction:
    return math.inf if debtors.cap is None else debtors.cap / debtors.weight


# What is charged this close above a whole fen is that fen.
FEN_TOLERANCE = Fraction(1, 10**6)


def next_fen(charge: float) -> int:
    """The fen charged for a charge in yuan."""
    return math.ceil(Fraction(charge) * 100 - FEN_TOLERANCE)


def largest_remainder(counts: Sequence[int], charges: Sequence[float]) -> list[int]:
    """The fen that each group pays together: whole fen each, the rest one by one by remainder."""
    exact = [Fraction(charge) * 100 for charge in charges]
    whole = [math.floor(fen + FEN_TOLERANCE) for fen in exact]
    total = math.floor(sum(n * fen for n, fen in zip(counts, exact, strict=True)) + FEN_TOLERANCE)
    people = [
        (i, max(Fraction(0), exact[i] - whole[i])) for i, n in enumerate(counts) for _ in range(n)
    ]
    people.sort(key=lambda person: -person[1])
    paid = [n * fen for n, fen in zip(counts, whole, strict=True)]
    for i, _ in people[: max(0, total - sum(paid))]:
        paid[i] += 1
    return paid


class Cohort:
    """People who joined together, charged alike, with what they paid in the running year."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.paid = Fraction(0)

    def room(self, yearly_cap: Fraction) -> Fraction:
        """What may still be charged to each of them this year."""
        return max(Fraction(0), yearly_cap - self.paid)


# Section 5: payment


class Debtor:
    """One member with bills that failed one after another."""

    def __init__(self, unpaid: Sequence[Fraction] = ()) -> None:
        self.unpaid = list(unpaid)
        self.removed = False

    def receive(self, bill: Fraction, fails: bool, grace: int) -> Fraction:
        """Give what is collected from him."""
        self.unpaid.append(bill)
        if not fails:
            collected = sum(self.unpaid, Fraction(0))
            self.unpaid.clear()
            return collected
        self.removed = len(self.unpaid) >= grace
        return Fraction(0)


# Section 6: lapse


def leaving(intensities: Mapping[str, float], unbilled: float) -> dict[str, float]:
    """The probability of leaving for each cause, to fifty digits.

    Of the members the part `unbilled` also feels the cause `first_bill`.
    """
    with localcontext() as context:
        context.prec = DIGITS
        chances = dict.fromkeys(intensities, Decimal(0))
        parts = {True: Decimal(unbilled), False: 1 - Decimal(unbilled)}
        for feels_first, part in parts.items():
            felt = {
                cause: Decimal(value)
                for cause, value in intensities.items()
                if feels_first or cause != "first_bill"
            }
            total = sum(felt.values(), Decimal(0))
            for cause, value in felt.items():
                if value > 0:
                    chances[cause] += part * (1 - (-total).exp()) * value / total
        return {cause: float(chance) for cause, chance in chances.items()}


def bill_gap(share: float, expectation: float, most: float) -> Fraction:
    """max(0, (x - E) / E), at most `most`."""
    gap = (Fraction(share) - Fraction(expectation)) / Fraction(expectation)
    return min(max(Fraction(0), gap), Fraction(most))


def log_growth(share: float, before: float, most: float) -> float:
    """max(0, ln(x / x before)), at most `most`; 0 where there was no share before."""
    if before == 0 or share == 0:
        return 0.0
    with localcontext() as context:
        context.prec = DIGITS
        return float(min(max(Decimal(0), (Decimal(share) / Decimal(before)).ln()), Decimal(most)))


# Section 9: who is told apart


class Stage(NamedTuple):
    """Members who are told apart no further: how many, and what is known of each on average."""

    members: int
    wear: Fraction
    unbilled: Fraction


def merged(stages: Sequence[Stage]) -> Stage:
    """Put stages together, person by person."""
    members = sum(stage.members for stage in stages)
    wears = sum((stage.members * stage.wear for stage in stages), Fraction(0))
    unbilled = sum((stage.members * stage.unbilled for stage in stages), Fraction(0))
    return Stage(members, wears / members, unbilled / members)


def cell_number(
    plan: int, stage: int, wait: int, arrears: int, motive: int, group_code: int
) -> int:
    """The number under which a cell's draws are made: five fields of bits side by side."""
    tenure = stage if stage < wait else 128 + (stage - wait)
    number = 0
    for value, bits in ((plan, 4), (tenure, 8), (arrears, 3), (motive, 3), (group_code, 10)):
        assert 0 <= value < 2**bits
        number = number * 2**bits + value
    return number
