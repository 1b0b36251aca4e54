"""The summary: its laws, an independent computation, and the same bits for any layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from results import summary
from results.schema import QUANTITIES, arrow_schema
from results.store import RunStore, create_run
from results.summary import summarise
from tests.results.synthetic import Made, made_rows, write_shards

Row = dict[str, Any]


def summarised(folder: Path, made: Made, shards: int = 2, shuffle: int | None = None) -> pa.Table:
    """Write rows as shards and return their summary."""
    store = create_run(folder)
    write_shards(store, made, shards, shuffle)
    return read(store, made)


def read(store: RunStore, made: Made) -> pa.Table:
    """Summarise a run and return the table."""
    import pyarrow.parquet as pq

    files = summarise(store, made.shapes)
    return pa.concat_tables(
        pq.read_table(store.folder / file.path, partitioning=None) for file in files
    ).unify_dictionaries()


def by_key(table: pa.Table) -> dict[tuple[int, int, str, str], Row]:
    """Return the rows of a summary by point, period, plan and quantity."""
    rows = table.to_pylist()
    keyed = {(row["point"], row["period"], row["plan"], row["quantity"]): row for row in rows}
    assert len(keyed) == len(rows)
    return keyed


def values_of(made: Made, key: tuple[int, int, str, str], over: str) -> list[float]:
    """Collect by hand the values that one row of the summary is about."""
    point, period, plan, quantity = key
    found = {
        row["path"]: float(row[quantity])
        for row in made.periods.to_pylist()
        if (row["point"], row["period"], row["plan"]) == (point, period, plan)
    }
    paths = [row["path"] for row in made.paths.to_pylist() if row["point"] == point]
    if over != "all":  # no path of these runs winds down
        return [found[path] for path in paths if path in found]
    return [found.get(path, 0.0) for path in paths]


@pytest.mark.parametrize("seed", range(3))
def test_every_figure_agrees_with_numpy(tmp_path: Path, seed: int) -> None:
    made = made_rows(points=2, paths=7, periods=4, plans=("main", "elder"), seed=seed)
    keyed = by_key(summarised(tmp_path, made))
    over = {quantity.name: quantity.over for quantity in QUANTITIES}
    assert len(keyed) == 2 * 4 * 2 * len(QUANTITIES)
    for key, row in keyed.items():
        values = values_of(made, key, over[key[3]])
        assert row["paths"] == len(values)
        # Sums of at most seven terms: a few roundings, against the largest term.
        error = 1e-12 * max(map(abs, values), default=0.0)
        if values:
            assert row["mean"] == pytest.approx(np.mean(values), abs=error)
            for name, level in (("q05", 5), ("q25", 25), ("q50", 50), ("q75", 75), ("q95", 95)):
                assert row[name] == pytest.approx(np.percentile(values, level), abs=error)
        if len(values) > 1:
            sd = np.std(values, ddof=1)
            assert row["sd"] == pytest.approx(sd, abs=error)
            assert row["standard_error"] == pytest.approx(sd / np.sqrt(len(values)), abs=error)


def test_rows_come_by_point_period_plan_in_its_order_and_quantity(tmp_path: Path) -> None:
    made = made_rows(plans=("main", "elder"), closing=0.0)
    rows = summarised(tmp_path, made).to_pylist()
    order = [quantity.name for quantity in QUANTITIES]
    keys = [
        (r["point"], r["period"], made.plans.index(r["plan"]), order.index(r["quantity"]))
        for r in rows
    ]
    assert keys == sorted(keys)


def test_the_summary_has_the_schema_of_its_table(tmp_path: Path) -> None:
    table = summarised(tmp_path, made_rows())
    assert table.schema.equals(arrow_schema("summary"), check_metadata=True)


@pytest.mark.parametrize("shards", [1, 3, 7])
@pytest.mark.parametrize("shuffle", [None, 1, 2])
def test_shards_and_their_order_do_not_change_a_bit(
    tmp_path: Path, shards: int, shuffle: int | None
) -> None:
    made = made_rows(points=3, paths=50, periods=8, plans=("main", "elder"))
    one = summarised(tmp_path / "one", made, shards=1)
    other = summarised(tmp_path / "other", made, shards, shuffle)
    assert other.equals(one)


@pytest.mark.parametrize("rows", [1, 40, 100, 700])
def test_rows_at_once_do_not_change_a_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    made = made_rows(points=4, paths=9, periods=8)
    whole = summarised(tmp_path / "whole", made)
    monkeypatch.setattr(summary, "ROWS_AT_ONCE", rows)
    parts = summarised(tmp_path / "parts", made)
    assert len(list((tmp_path / "parts" / "summary").iterdir())) > (rows < 288)
    assert parts.equals(whole)


def test_a_closed_path_counts_nought_where_people_and_money_are_summed(tmp_path: Path) -> None:
    made = made_rows(points=1, paths=40, periods=5, closing=0.5)
    keyed = by_key(summarised(tmp_path, made))
    running = sum(run == 5 for run in made.paths["periods_run"].to_pylist())
    assert 0 < running < 40
    assert keyed[0, 4, "main", "members"]["paths"] == 40
    assert keyed[0, 4, "main", "members"]["q05"] == 0.0
    assert keyed[0, 4, "main", "share"]["paths"] == running
    assert keyed[0, 4, "main", "share"]["q05"] > 0.0


def test_where_no_path_runs_prices_are_missing_and_counts_are_nought(tmp_path: Path) -> None:
    made = made_rows(points=1, paths=2, periods=6, closing=1.0, seed=1)
    longest = max(made.paths["periods_run"].to_pylist())
    other = made_rows(points=2, paths=2, periods=6, closing=0.0, seed=2)
    # Point 1 runs to the end, so the summary of point 0 goes on after its last closure.
    point_1 = pa.compute.equal(other.paths["point"], 1)
    both = Made(
        pa.concat_tables([made.paths, other.paths.filter(point_1)]).unify_dictionaries(),
        pa.concat_tables(
            [made.periods, other.periods.filter(pa.compute.equal(other.periods["point"], 1))]
        ).unify_dictionaries(),
        made.plans,
    )
    keyed = by_key(summarised(tmp_path, both))
    assert longest < 6
    share, members = keyed[0, 5, "main", "share"], keyed[0, 5, "main", "members"]
    assert (share["paths"], share["mean"], share["sd"], share["q50"]) == (0, None, None, None)
    assert (members["paths"], members["mean"], members["sd"], members["q95"]) == (2, 0, 0, 0)


def test_one_path_has_no_standard_deviation(tmp_path: Path) -> None:
    made = made_rows(points=1, paths=1, closing=0.0)
    for row in summarised(tmp_path, made, shards=1).to_pylist():
        assert row["sd"] is None
        assert row["standard_error"] is None
        assert row["q05"] == row["mean"] == row["q95"]


def test_quantiles_are_in_order_and_hold_the_mean_of_equal_paths(tmp_path: Path) -> None:
    for row in summarised(tmp_path, made_rows(paths=30, closing=0.1)).to_pylist():
        quantiles = [row[name] for name in ("q05", "q25", "q50", "q75", "q95")]
        assert quantiles == sorted(quantiles)


def test_an_unfinished_shard_is_left_out(tmp_path: Path) -> None:
    made = made_rows(points=2, paths=4, closing=0.0)
    store = create_run(tmp_path)
    write_shards(store, made, shards=2)
    (tmp_path / "shards" / "shard-00001.json").unlink()
    assert set(read(store, made)["point"].to_pylist()) == {0}


def test_a_run_without_shards_has_an_empty_summary(tmp_path: Path) -> None:
    assert read(create_run(tmp_path), made_rows()).num_rows == 0
