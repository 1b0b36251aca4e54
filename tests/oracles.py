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


def common_shocks(normals: Sequence[float], volatility: float, persistence: float) -> list[float]:
    """Z = exp(v x - v^2 / 2) of each period: each x a sum over all normal numbers so far.

    The first number is drawn from the stationary law; each later one weighs sqrt(1 - rho^2), and
    all fade by rho a period, so that every x is standard normal.
    """
    fresh = math.sqrt(1 - persistence**2)
    shocks = []
    for now in range(len(normals)):
        deviate = normals[0] * persistence**now
        for then in range(1, now + 1):
            deviate += normals[then] * fresh * persistence ** (now - then)
        shocks.append(math.exp(volatility * deviate - volatility**2 / 2))
    return shocks


def standard_normal(first: float, second: float) -> float:
    """Box and Muller: the abscissa of a point whose distance and direction are two uniforms."""
    return math.sqrt(2 * math.log(1 / first)) * math.cos(2 * math.pi * second)


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


class Reserve:
    """A smoothing reserve: what one payer was charged last, and what is left in it."""

    def __init__(self, held: Fraction, charge: Fraction) -> None:
        self.held = held
        self.charge = charge

    def settle(
        self, cost: Fraction, payers: int, persistence: Fraction, loading: Fraction
    ) -> Fraction:
        """Give what all payers are charged: never negative, and never overdrawing the reserve."""
        smoothed = persistence * self.charge + (1 - persistence) * cost / payers + loading
        self.charge = max(smoothed, (cost - self.held) / payers, Fraction(0))
        self.held += self.charge * payers - cost
        return self.charge * payers


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


CAUSES_IN_A_BILL = ("first_bill", "bill_shock", "growth", "burden")


def leaving(
    intensities: Mapping[str, float],
    unbilled: float,
    attention: float = 1.0,
    ratio: float = 1.0,
) -> dict[str, float]:
    """The probability of leaving for each cause, to fifty digits.

    Of the members the part `attention` reads the bill, and only who does feels the causes in it;
    of those the part `unbilled` also feels the cause `first_bill`. All intensities, deaths apart,
    are `ratio` times those given.
    """
    with localcontext() as context:
        context.prec = DIGITS
        reading, new = Decimal(attention), Decimal(unbilled)
        kinds = {
            (): 1 - reading,
            CAUSES_IN_A_BILL[1:]: reading * (1 - new),
            CAUSES_IN_A_BILL: reading * new,
        }
        chances = dict.fromkeys(intensities, Decimal(0))
        for feels, part in kinds.items():
            felt = {
                cause: Decimal(value) * (1 if cause == "died" else Decimal(ratio))
                for cause, value in intensities.items()
                if cause in feels or cause not in CAUSES_IN_A_BILL
            }
            total = sum(felt.values(), Decimal(0))
            for cause, value in felt.items():
                if value > 0:
                    chances[cause] += part * (1 - (-total).exp()) * value / total
        return {cause: float(chance) for cause, chance in chances.items()}


def bill_gap(share: float, expectation: float, most: float, dead: float = 0.0) -> Fraction:
    """max(0, (x - E) / E), at most `most`, and none up to `dead`."""
    gap = (Fraction(share) - Fraction(expectation)) / Fraction(expectation)
    return min(gap, Fraction(most)) if gap > max(Fraction(0), Fraction(dead)) else Fraction(0)


def log_growth(share: float, before: float, most: float, dead: float = 0.0) -> float:
    """max(0, ln(x / x before)), at most `most`, none up to `dead`, nor without a share before."""
    if before == 0 or share == 0:
        return 0.0
    with localcontext() as context:
        context.prec = DIGITS
        growth = (Decimal(share) / Decimal(before)).ln()
        return float(min(growth, Decimal(most))) if growth > max(Decimal(0), Decimal(dead)) else 0.0


class Payer(NamedTuple):
    """Payers who are alike: how many, what one costs, and what makes them leave when bills rise.

    The factors are those of `bill_shock`, `growth` and `burden`; `own` is their charge over the
    share, `ratio` their intensities over the motive's.
    """

    people: int
    cost: float
    expectation: float
    factors: tuple[float, float, float]
    attention: float = 1.0
    own: float = 1.0
    ratio: float = 1.0


class Bill(NamedTuple):
    """The share of a period and of the one before, and how people look at them."""

    share: float
    before: float
    most: float
    dead: float
    burden_per_yuan: float


def mean_cost_at(payers: Sequence[Payer], bill: Bill, periods: int, more: float) -> float:
    """What a payer costs on average after a year of shares dearer by `more` yuan."""
    left = cost = 0.0
    for payer in payers:
        rise = 0.0
        for share, sign in ((bill.share + more, 1), (bill.share, -1)):
            shock, growth, burden = payer.factors
            gap = bill_gap(share, payer.expectation, bill.most, bill.dead)
            growing = log_growth(share, bill.before, bill.most, bill.dead)
            felt = shock * float(gap) + growth * growing
            felt += burden * bill.burden_per_yuan * payer.own * share
            rise += sign * payer.attention * payer.ratio * felt
        staying = payer.people * math.exp(-periods * rise)
        left += staying
        cost += staying * payer.cost
    return cost / left


def price_slope(payers: Sequence[Payer], bill: Bill, periods: int, step: float) -> float:
    """dAC/dP by a central difference."""
    dearer, cheaper = (mean_cost_at(payers, bill, periods, more) for more in (step, -step))
    return (dearer - cheaper) / (2 * step)


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
