"""The course of a point: its fans are those of the summary, its means those of the outcomes."""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from results.analysis import courses, outcomes
from results.analysis.courses import Course, Values
from results.run import Run, RunError
from results.schema import LAPSE_CAUSES
from tests.results.synthetic import a_run, made_rows

PATHS = 9
PERIODS = 7
PLANS = ("main", "elder")
RELATIVE = 1e-12  # sums of nine figures of one sign, in another order


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    made = made_rows(points=3, paths=PATHS, periods=PERIODS, plans=PLANS, closing=0.7, seed=3)
    return a_run(tmp_path_factory.mktemp("run"), made, paths_per_point=PATHS, periods=PERIODS)


@pytest.fixture(scope="module")
def course(run: Run) -> Course:
    return courses.course(run, 1)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("quantity", ["share", "members", "cases", "price_slope"])
def test_a_fan_is_that_of_the_summary(run: Run, course: Course, quantity: str, plan: str) -> None:
    summary = run.polars("summary").collect().to_dicts()
    told = {
        row["period"]: [row[name] for name in ("q05", "q25", "q50", "q75", "q95")]
        for row in summary
        if (row["point"], row["quantity"], row["plan"]) == (1, quantity, plan)
    }
    fan = courses.fan(course, quantity, plan)
    assert fan.shape == (5, PERIODS)
    for period, figures in told.items():
        expected = [np.nan if figure is None else figure for figure in figures]
        np.testing.assert_allclose(fan[:, period], expected, rtol=RELATIVE)
    assert len(told) == PERIODS


def test_means_and_errors_are_those_of_the_outcomes(run: Run, course: Course) -> None:
    names = ("share_max", "cases", "survived", "uncovered_members")
    found = courses.estimates(courses.outcomes(course, names))
    for row in outcomes.estimates(run, names).to_pylist():
        if row["point"] == 1:
            one = found[row["outcome"]]
            told = [one.mean, one.standard_error]
            np.testing.assert_allclose(told, [row["mean"], row["standard_error"]], rtol=RELATIVE)
            assert one.paths == row["paths"] == PATHS


def made_course(
    closures: list[int | None], *, horizon: int = 4, plan: str = "main", left: int = 6
) -> Course:
    """Return a course of paths that close, or do not; `left` members leave by `base` a period."""
    last = [horizon if closed is None else closed + 1 for closed in closures]
    keys = [(path, period) for path, periods in enumerate(last) for period in range(periods)]
    columns: dict[str, object] = {
        "path": [path for path, _ in keys],
        "period": [period for _, period in keys],
        "plan": [plan] * len(keys),
        "pool": [plan] * len(keys),
        **{f"lapses_{cause}": [0] * len(keys) for cause in LAPSE_CAUSES},
        "lapses_base": [left] * len(keys),
    }
    paths = pa.table(
        {
            "path": pa.array(range(len(closures)), pa.int32()),
            "closure_period": pa.array(closures, pa.int32()),
        }
    )
    pools = paths.append_column("pool", pa.array([plan] * len(closures)))
    return Course(paths, pools, pa.table(columns), pa.table({}), (plan,), horizon, 2)


def test_survival_falls_in_the_period_of_a_closure() -> None:
    survival = courses.survival(made_course([None, 2, 0, None]), "main")
    np.testing.assert_array_equal(survival, [0.75, 0.75, 0.5, 0.5])


def test_an_open_pool_survives_throughout() -> None:
    np.testing.assert_array_equal(courses.survival(made_course([None]), "main"), [1.0] * 4)


def test_a_plans_pool_closes_by_itself() -> None:
    first, last = made_course([1, None]), made_course([None, 2], plan="elder")
    both = dataclasses.replace(
        first,
        paths=last.paths,
        pools=pa.concat_tables([first.pools, last.pools]),
        periods=pa.concat_tables([first.periods, last.periods]),
    )
    np.testing.assert_array_equal(courses.survival(both, "main"), [1.0, 0.5, 0.5, 0.5])
    np.testing.assert_array_equal(courses.survival(both, "elder"), [1.0, 1.0, 0.5, 0.5])


def test_lapses_are_means_over_all_paths_closed_ones_counting_zero() -> None:
    found = courses.lapses(made_course([None, 1, 0]), "main")
    assert list(found) == ["base"]
    np.testing.assert_array_equal(found["base"], [6.0, 4.0, 2.0, 2.0])


def test_another_plan_has_lapses_of_its_own() -> None:
    assert courses.lapses(made_course([None], plan="elder"), "main") == {}


def values(*pairs: tuple[int, float]) -> Values:
    return Values(np.array([path for path, _ in pairs]), np.array([value for _, value in pairs]))


def test_a_difference_is_taken_on_the_paths_that_both_have() -> None:
    """By hand: 1, 2 and 6 have mean 3 and sd sqrt(7); t of 97.5 % with 2 degrees is 4.302653."""
    changed = {"x": values((1, 11.0), (2, 22.0), (3, 36.0), (9, 1e9))}
    base = {"x": values((0, -1e9), (1, 10.0), (2, 20.0), (3, 30.0))}
    found = courses.differences(changed, base)["x"]
    error = (7 / 3) ** 0.5
    assert (found.mean, found.paths) == (3.0, 3)
    assert found.standard_error == pytest.approx(error, rel=1e-15)
    assert found.low == pytest.approx(3 - 4.30265272974946 * error, rel=1e-12)
    assert found.high == pytest.approx(3 + 4.30265272974946 * error, rel=1e-12)


def test_the_same_paths_do_not_differ() -> None:
    one = {"x": values((0, 0.1), (1, 1e9), (2, -3.0))}
    found = courses.differences(one, one)["x"]
    assert (found.mean, found.low, found.high, found.paths) == (0.0, 0.0, 0.0, 3)


@pytest.mark.parametrize("paths", [0, 1])
def test_too_few_paths_have_no_interval(paths: int) -> None:
    one = {"x": values(*[(0, 5.0)][:paths])}
    found = courses.estimates(one)["x"]
    assert found.paths == paths
    assert np.isnan([found.standard_error, found.low, found.high]).all()


def test_an_outcome_that_only_one_has_is_left_out() -> None:
    assert courses.differences({"x": values((0, 1.0))}, {"y": values((0, 1.0))}) == {}


def test_finished_paths_are_counted_by_point(run: Run) -> None:
    assert courses.finished_paths(run) == {0: PATHS, 1: PATHS, 2: PATHS}


def test_a_course_has_the_rows_of_its_point_only(run: Run, course: Course) -> None:
    every = run.arrow("periods")
    assert course.periods.num_rows == pc.sum(pc.equal(every["point"], 1)).as_py()
    assert course.horizon == PERIODS


def test_a_point_without_paths_is_told(run: Run) -> None:
    with pytest.raises(RunError, match="no path of point 7 is finished"):
        courses.course(run, 7)


def test_a_quantity_that_there_is_none_of_is_told(course: Course) -> None:
    with pytest.raises(RunError, match="no quantity 'shares'; there are members, payers"):
        courses.fan(course, "shares", "main")


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    damaged = a_run(tmp_path / "run")
    for file in damaged.files("periods"):
        (damaged.folder / file).write_bytes(b"PAR1 and no more")
    with pytest.raises(RunError, match="run"):
        courses.course(damaged, 0)
