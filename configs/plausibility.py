"""Warnings: what a configuration may say, but probably by mistake.

A warning refuses nothing. It names the field, the figure, what it was compared with and the remedy.
Each fact is reported once, however many points of a sweep share it. Checks of one scenario stand in
`CHECKS`; a new one is a function from a scenario to its warnings.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from configs.age_sex_table import MAX_AGE, SHIPPED_FOLDER, AgeSexTable, read_table, shipped_tables
from configs.axes import values_of
from configs.cells import CellTable
from configs.messages import ProblemsError
from configs.scenario import SEXES, Scenario
from configs.sweep import Config, Settings, point_count, scenario_with, settings_at

FACTOR: Final = 20.0
"""A rate is implausible above this many times the highest shipped rate of its age and sex.

The shipped tables differ by less than 3 times at any age; rates in per cent are 100 times too high,
rates in per mille 1000 times.
"""

YOUNGEST: Final = 30
"""Age whose shipped rates younger ages are compared with: rates of children are small, and a table
may well have the same rate at all ages."""

DIFFERENCE: Final = 0.05
"""Relative difference of expected cases between ages and bands of ages that is reported."""

MAX_VARIANTS: Final = 200
"""Scenarios of a sweep that are looked at, each with one value of one axis."""

MAX_WARNINGS: Final = 5
"""Warnings that are given; more are counted."""

_RELEVANT = ("age_edges", "engine", "initial_members", "channels", "claims")

Floats = NDArray[np.float64]


def warnings_of(config: Config) -> tuple[str, ...]:
    """Return the warnings of a sweep, each once, at most `MAX_WARNINGS` and a count of the rest.

    Looked at are the first point, the first point of each policy and world, and the first point
    with each listed value of the axes that the checks depend on.
    """
    found = [text for scenario in _variants(config) for text in scenario_warnings(scenario)]
    texts = list(dict.fromkeys(found))
    more = len(texts) - MAX_WARNINGS
    return tuple(texts[:MAX_WARNINGS] + ([f"and {more} more"] if more > 0 else []))


def scenario_warnings(scenario: Scenario) -> tuple[str, ...]:
    """Return the warnings of one scenario."""
    return tuple(text for check in CHECKS for text in check(scenario))


def cell_warnings(cells: CellTable, file: str) -> tuple[str, ...]:
    """Return the warnings of cells of members that were read from a file."""
    highest = _highest("incidence")
    implausible = np.flatnonzero(cells.probability > highest.max())
    if not len(implausible):
        return ()
    first = int(implausible[0])
    age = int(highest.max(axis=1).argmax())
    others = f" and of {len(implausible) - 1} more cells" if len(implausible) > 1 else ""
    return (
        f"{file}: probability: {cells.probability[first]:.4g} of the cell {cells.cell[first]!r}"
        f"{others} is above every yearly rate of the shipped incidence tables (at most "
        f"{highest.max():.4g}, at age {age}); a probability is per period, and 0.5 % is written "
        "0.005, 0.5 per mille 0.0005",
    )


def _variants(config: Config) -> Iterator[Scenario]:
    """Yield the scenarios of a sweep that are looked at; those that make none are left out."""
    count = 0
    for index in _first_points(config):
        yield from _made(config, settings_at(config, index))
    first = settings_at(config, 0)
    for path, axis in config.sweep.axes.items():
        if not path.startswith(_RELEVANT):
            continue
        for setting in values_of(axis)[1:]:
            count += 1
            if count > MAX_VARIANTS:
                return
            yield from _made(config, {**first, path: setting})


def _made(config: Config, settings: Settings) -> Iterator[Scenario]:
    try:
        yield scenario_with(config, settings)
    except ProblemsError:  # this setting alone makes no valid scenario
        return


def _first_points(config: Config) -> Iterator[int]:
    """Yield the number of the first point under each policy and in each world."""
    sweep = config.sweep
    named = (len(sweep.policies) or 1) * (len(sweep.worlds) or 1)
    step = point_count(config) // named
    yield from range(0, min(named, MAX_VARIANTS) * step, step)


class _Excess(NamedTuple):
    """The rate of a table that exceeds the shipped rates of its age and sex by most."""

    sex: str
    age: int
    rate: float
    shipped: float
    ages: int  # with such rates, of either sex
    ratio: float  # typical one of these ages


def _table_warnings(scenario: Scenario) -> Iterator[str]:
    """Find rates far above those of the shipped tables: per cent, per mille, or survivors.

    A level below 1 may turn such rates into probabilities, so it counts.
    """
    claims = scenario.claims
    tables = (
        ("incidence", claims.incidence, min(1.0, claims.level)),
        ("mortality", claims.mortality, 1.0),
    )
    for field, table, level in tables:
        excess = _excess(table, level, _highest(field)) if table is not None else None
        if table is not None and excess is not None:
            at_level = f", times the level {level:.4g}," if level < 1 else ""
            times = level * excess.rate / excess.shipped
            yield (
                f"claims.{field}: {table.name}: {excess.sex}: {excess.rate:.4g} a year at age "
                f"{excess.age}{at_level} is {times:,.0f} times the highest shipped rate "
                f"at age {max(excess.age, YOUNGEST)} ({excess.shipped:.4g}); {excess.ages} of "
                f"{2 * len(table.male)} rates are more than {FACTOR:.0f} times as high; "
                f"{_likely_cause(table, excess.ratio)}"
            )


def _excess(table: AgeSexTable, level: float, highest: Floats) -> _Excess | None:
    """Return the most implausible rate of a table, None where all are plausible."""
    rates = np.array([table.male, table.female]).T
    shipped = highest[table.first_age : table.last_age + 1]
    ratios = rates / shipped
    implausible = ratios * level > FACTOR
    if not implausible.any():
        return None
    row, column = np.unravel_index(np.argmax(np.where(implausible, ratios, 0.0)), ratios.shape)
    return _Excess(
        sex=SEXES[column],
        age=table.first_age + int(row),
        rate=float(rates[row, column]),
        shipped=float(shipped[row, column]),
        ages=int(implausible.sum()),
        ratio=float(np.median(ratios[implausible])),
    )


def _likely_cause(table: AgeSexTable, ratio: float) -> str:
    """Return what such rates probably are, and how to write them."""
    rates = np.array([table.male, table.female]).T
    falls = (np.diff(rates, axis=0) <= 0).all() and (rates[-1] < rates[0]).all()
    if falls and rates[0].min() > 0.5:
        return "are they survivors (lx)? write the probability of a case within the year"
    if ratio < 300:
        return "are they per cent? 0.5 % is written 0.005"
    return "are they per mille? 0.5 per mille is written 0.0005"


@lru_cache(maxsize=2)
def _highest(kind: str) -> Floats:
    """Return the highest rate of the shipped tables of a kind: float64[ages from 0, 2].

    Below `YOUNGEST` it is that of `YOUNGEST`, beyond their last age that of the last age.
    """
    names = [name for name in shipped_tables() if name.startswith(f"{kind}_")]
    tables = [read_table(SHIPPED_FOLDER / f"{name}.csv") for name in names]
    highest = np.max([_by_age(table, 0, MAX_AGE) for table in tables], axis=0)
    highest[:YOUNGEST] = highest[YOUNGEST]
    return np.asarray(highest)


def _by_age(table: AgeSexTable, first: int, last: int) -> Floats:
    """Return the rates of a table by single age, float64[ages, 2]; its ends hold beyond them."""
    rates = np.array([table.male, table.female]).T
    places = np.clip(np.arange(first, last + 1) - table.first_age, 0, len(rates) - 1)
    return np.asarray(rates[places])


def _band_warnings(scenario: Scenario) -> Iterator[str]:
    """Find people whose own ages have other rates than the means of their age bands.

    The cohort engine knows bands of ages alone; the expected cases of a first year without waiting
    period and lapse are compared.
    """
    if scenario.engine == "member":
        return
    for where, people, remedy in _people(scenario):
        for field, table in (
            ("cases", scenario.claims.incidence),
            ("deaths", scenario.claims.mortality),
        ):
            if table is None:
                continue
            exact, banded = _expected(scenario, table, people)
            if exact > 0 and abs(banded / exact - 1) > DIFFERENCE:
                yield (
                    f"{where}: {banded / exact - 1:+.0%} {field} a year by bands of ages: the "
                    f"engine 'cohort' gives everybody the mean rate of their band, "
                    f"{banded / people.sum():.4g} a year on average, where the rates of the stated "
                    f"ages give {exact / people.sum():.4g}; {remedy}"
                )


def _people(scenario: Scenario) -> Iterator[tuple[str, Floats, str]]:
    """Yield groups of people: where they are given, how many of each age and sex, the remedy.

    Ages are single years from the first of the bands on; the initial members count by the factor
    of their health.
    """
    edges = scenario.age_edges
    stated = np.zeros((edges[-1] - edges[0], 2))
    for group in scenario.initial_members:
        factor = scenario.health[group.health].incidence_factor
        stated[group.age - edges[0], SEXES.index(group.sex)] += group.members * factor
    if stated.any():
        remedy = "write age_edges of one year around these ages, or engine: member"
        yield "initial_members", stated, remedy
    for name, channel in scenario.channels.items():
        joining = np.zeros_like(stated)
        for share in channel.ages:
            ages = slice(share.from_age - edges[0], share.to_age + 1 - edges[0])
            joining[ages] += np.array([share.male, share.female]) / (
                share.to_age - share.from_age + 1
            )
        remedy = "let age_edges begin and end with these ages, or write engine: member"
        yield f"channels.{name}.ages", joining, remedy


def _expected(scenario: Scenario, table: AgeSexTable, people: Floats) -> tuple[float, float]:
    """Return the expected cases a year of people: by their single ages, and by their bands."""
    edges: Sequence[int] = scenario.age_edges
    single = _by_age(table, edges[0], edges[-1] - 1)
    banded = np.repeat(table.band_means(edges), np.diff(edges), axis=0)
    level = scenario.claims.level if table is scenario.claims.incidence else 1.0
    return float((people * single).sum() * level), float((people * banded).sum() * level)


CHECKS: tuple[Callable[[Scenario], Iterator[str]], ...] = (_table_warnings, _band_warnings)
"""Checks of one scenario, in the order of their warnings."""
