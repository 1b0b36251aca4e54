"""What must always hold of individuals, on any market: the roster agrees with the cells, and rows
of members with the sums by period (MODEL sections 9 and 10).

The laws of `test_conservation` are the cohort engine's; here the member engine is held to its own
counts by cell, and what members have in common to what each of them went through.
"""

import numpy as np
from hypothesis import given, settings

from configs.scenario import Scenario
from tests.kernels.members import (
    assert_agree,
    assert_rows_add_up,
    individual_scenarios,
    simulate_members,
    unfold,
)
from tests.scenarios import anything, path_numbers

SOME = settings(anything, max_examples=60)
CROWDS = individual_scenarios(market=20_000, each=4_000)


@given(CROWDS, path_numbers)
@SOME
def test_the_roster_and_the_cells_agree_after_every_period(scenario: Scenario, path: int) -> None:
    for period, parameters, pools, full in unfold(scenario, path=path):
        assert_agree(parameters, pools, full, period)


@given(CROWDS, path_numbers)
@SOME
def test_the_rows_of_all_members_add_up_to_the_rows_of_all_periods(
    scenario: Scenario, path: int
) -> None:
    assert_rows_add_up(scenario, simulate_members(scenario, path=path))


@given(CROWDS, path_numbers)
@SOME
def test_who_gets_a_row_changes_nothing_else(scenario: Scenario, path: int) -> None:
    """A sample is a part of all rows, chosen by person; a path without rows is the same path."""
    everybody = simulate_members(scenario, 1.0, path=path)
    some = simulate_members(scenario, 0.3, path=path)
    nobody = simulate_members(scenario, 0.0, path=path)
    for other in (some, nobody):
        for found, expected in zip(other.outcome, everybody.outcome, strict=True):
            np.testing.assert_array_equal(found, expected)
    assert not nobody.batches
    chosen = np.isin(everybody.rows["member"], some.rows["member"])
    np.testing.assert_array_equal(some.rows, everybody.rows[chosen])
