"""Two settings compared: SciPy's tests of means say the same, and luck that both had falls out."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from scipy import stats

from results.analysis.comparison import Side, are_paired, compare, compare_all, series
from results.run import Run, RunError
from tests.results.synthetic import Made, a_run, made_rows

Float64 = npt.NDArray[np.float64]

# SciPy and we round a sum of some ten terms differently.
RELATIVE = 1e-11
INDEPENDENT = {"sweep": {"random_numbers": "independent"}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return a_run(tmp_path_factory.mktemp("runs") / "run", made_rows(points=3))


def remade(run: Run, **changes: Any) -> Run:
    """Return a run with changes in its manifest."""
    return dataclasses.replace(run, manifest=dataclasses.replace(run.manifest, **changes))


def values_of(made: Made, point: int, name: str) -> Float64:
    """Return a column of `paths` at a point, by path."""
    rows = [row for row in made.paths.to_pylist() if row["point"] == point]
    return np.array([float(row[name]) for row in rows])


def two_points(folder: Path, made: Made, **changes: Any) -> tuple[Side, Side]:
    run = a_run(folder, made, **changes)
    return Side(run, 0), Side(run, 1)


def only(table: pa.Table) -> dict[str, Any]:
    (row,) = table.to_pylist()
    return dict(row)


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_of_common_draws_the_interval_is_that_of_a_paired_t_test(
    tmp_path: Path, confidence: float
) -> None:
    made = made_rows(paths=9)
    found = only(compare(*two_points(tmp_path, made), ["benefits"], confidence))
    first, second = (values_of(made, point, "benefits") for point in (0, 1))
    interval = stats.ttest_rel(second, first).confidence_interval(confidence)
    assert (found["low"], found["high"]) == pytest.approx(interval, rel=RELATIVE)
    assert found["difference"] == pytest.approx((second - first).mean(), rel=RELATIVE)
    assert found["first"] == pytest.approx(first.mean(), rel=RELATIVE)
    assert found["second"] == pytest.approx(second.mean(), rel=RELATIVE)
    assert found["standard_error"] == pytest.approx(stats.sem(second - first), rel=RELATIVE)
    ratio = (first.var(ddof=1) + second.var(ddof=1)) / (second - first).var(ddof=1)
    assert found["variance_ratio"] == pytest.approx(ratio, rel=RELATIVE)
    assert (found["pairs"], found["paired"]) == (9, True)


def test_of_other_draws_the_interval_is_welch_s(tmp_path: Path) -> None:
    made = made_rows(paths=9)
    found = only(compare(*two_points(tmp_path, made, config=INDEPENDENT), ["benefits"]))
    first, second = (values_of(made, point, "benefits") for point in (0, 1))
    interval = stats.ttest_ind(second, first, equal_var=False).confidence_interval(0.95)
    assert (found["low"], found["high"]) == pytest.approx(interval, rel=RELATIVE)
    assert (found["paired"], found["variance_ratio"]) == (False, None)


def test_a_shift_of_every_path_is_known_without_error(tmp_path: Path) -> None:
    made = made_rows(points=1, paths=5)
    point = made.paths.schema.get_field_index("point")
    share = made.paths.schema.get_field_index("share_total")
    moved = made.paths.set_column(point, made.paths.field(point), pa.array([1] * 5, pa.int32()))
    whole = made.paths["share_total"].cast(pa.int64(), safe=False).cast(pa.float64())
    both = [
        made.paths.set_column(share, made.paths.field(share), whole),
        moved.set_column(share, moved.field(share), pa.compute.add(whole, 64.0)),
    ]
    rows = dataclasses.replace(made, paths=pa.concat_tables(both))
    found = only(compare(*two_points(tmp_path, rows), ["share_total"]))
    assert (found["difference"], found["low"], found["high"]) == (64.0, 64.0, 64.0)
    assert (found["standard_error"], found["variance_ratio"]) == (0.0, None)


def test_paths_that_only_one_side_has_are_left_out(tmp_path: Path) -> None:
    made = made_rows(paths=6)
    fewer = made_rows(points=1, paths=4, seed=3)
    first, second = Side(a_run(tmp_path / "a", made), 0), Side(a_run(tmp_path / "b", fewer), 0)
    found = only(compare(first, second, ["benefits"]))
    assert (found["pairs"], found["paired"]) == (4, True)
    apart = values_of(fewer, 0, "benefits") - values_of(made, 0, "benefits")[:4]
    assert found["difference"] == pytest.approx(apart.mean(), rel=RELATIVE)


def test_one_path_has_a_difference_and_no_error(tmp_path: Path) -> None:
    found = only(compare(*two_points(tmp_path, made_rows(paths=1)), ["benefits"]))
    assert (found["pairs"], found["standard_error"], found["low"], found["high"]) == (
        1,
        None,
        None,
        None,
    )
    assert found["difference"] == found["second"] - found["first"]


@pytest.mark.parametrize(
    ("seeds", "config", "points", "paired"),
    [
        ((7, 7), {}, (0, 1), True),
        ((7, 8), {}, (0, 0), False),
        ((7, 7), INDEPENDENT, (0, 1), False),
        ((7, 7), INDEPENDENT, (1, 1), True),
    ],
)
def test_settings_are_paired_where_their_draws_are_the_same(
    run: Run,
    seeds: tuple[int, int],
    config: dict[str, Any],
    points: tuple[int, int],
    paired: bool,
) -> None:
    first, second = (
        Side(remade(run, seed=seed, config=config), point)
        for seed, point in zip(seeds, points, strict=True)
    )
    assert are_paired(first, second) is paired


def test_common_and_own_draws_of_one_seed_are_not_the_same(run: Run) -> None:
    assert not are_paired(Side(run, 1), Side(remade(run, config=INDEPENDENT), 1))


def test_pairs_are_told_in_order_each_with_its_outcomes(run: Run) -> None:
    pairs = [(Side(run, 0), Side(run, 2)), (Side(run, 1), Side(run, 0))]
    found = compare_all(pairs, ["cases", "benefits"]).to_pylist()
    told = [(row["pair"], row["outcome"]) for row in found]
    assert told == [(0, "cases"), (0, "benefits"), (1, "cases"), (1, "benefits")]
    assert found[2]["second"] == found[0]["first"]


def by_hand(made: Made, quantity: str, period: int, closed: float) -> list[Float64]:
    """Collect a quantity of two points in one period, closed paths as given."""
    rows = {
        (r["point"], r["path"], r["period"]): float(r[quantity]) for r in made.periods.to_pylist()
    }
    paths = range(made.paths.num_rows // 2)
    return [np.array([rows.get((p, path, period), closed) for path in paths]) for p in (0, 1)]


@pytest.mark.parametrize(("quantity", "closed"), [("members", 0.0), ("share", np.nan)])
def test_a_series_compares_every_period(tmp_path: Path, quantity: str, closed: float) -> None:
    made = made_rows(paths=12, closing=0.4, seed=2)
    found = series(*two_points(tmp_path, made), quantity).to_pylist()
    assert [row["period"] for row in found] == list(range(6))
    for row in found:
        first, second = by_hand(made, quantity, row["period"], closed)
        apart = (second - first)[~np.isnan(second - first)]
        assert row["pairs"] == apart.size
        interval = stats.ttest_1samp(apart, 0.0).confidence_interval(0.95)
        assert (row["low"], row["high"]) == pytest.approx(interval, rel=RELATIVE)
        assert row["difference"] == pytest.approx(apart.mean(), rel=RELATIVE)
    assert quantity == "members" or found[5]["pairs"] < 12


def test_a_series_ends_at_the_nearer_horizon(tmp_path: Path) -> None:
    """What a path that is open at its horizon did afterwards is unknown, not zero."""
    long, short = made_rows(closing=0.0), made_rows(closing=0.0, periods=4)
    first, second = Side(a_run(tmp_path / "a", long), 0), Side(a_run(tmp_path / "b", short), 0)
    assert series(first, second, "members")["period"].to_pylist() == [0, 1, 2, 3]


def test_what_there_is_none_of_is_refused(run: Run) -> None:
    first, second = Side(run, 0), Side(run, 1)
    with pytest.raises(RunError, match="no outcome 'benefit'; did you mean benefits"):
        compare(first, second, ["benefit"])
    with pytest.raises(RunError, match="no point 5"):
        compare(first, Side(second.run, 5))
    with pytest.raises(RunError, match="confidence: expected a number above 0 and below 1, got 95"):
        compare(first, second, confidence=95)
    with pytest.raises(RunError, match="no quantity 'price'"):
        series(first, second, "price")
    with pytest.raises(RunError, match="no plan 'gold'"):
        series(first, second, "share", "gold")


def test_a_point_without_paths_has_no_rows(tmp_path: Path) -> None:
    begun = a_run(tmp_path, made_rows(points=1), points=2)
    assert compare(Side(begun, 0), Side(begun, 1), ["benefits"]).num_rows == 0
    assert series(Side(begun, 0), Side(begun, 1), "members").num_rows == 0
