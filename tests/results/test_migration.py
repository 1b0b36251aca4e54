"""Runs of older formats open as those of today do, and nothing of them is changed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from results.many import many
from results.migration import outdated, upgraded
from results.query import ask, query
from results.run import Run, RunError, open_run
from results.schema import RESULTS_FORMAT, TABLES, arrow_schema
from results.store import MANIFEST_NAME, create_run
from tests.results.synthetic import (
    a_manifest,
    a_run,
    compacted,
    filled,
    made_rows,
    write_shards,
)

CELLS = 12


@pytest.fixture
def today(tmp_path: Path) -> Run:
    """A complete run of this format, with rows in `cells`."""
    store = create_run(tmp_path / "run-of-today")
    made = made_rows()
    store.write_manifest(a_manifest(shards=3))
    write_shards(store, made, 2)
    keys = {"point": [0, 1] * (CELLS // 2), "health": ["standard"] * CELLS}
    cells = filled("cells", keys, CELLS, np.random.default_rng(1))
    store.finish_shard(2, [store.write_table("cells", cells, 2)])
    return compacted(store, a_manifest(shards=3))


@pytest.fixture
def format_2(today: Run) -> Run:
    """The same run as format 2 had it: no partitions, `cells` without `uncovered`."""
    rewritten(today, 2, {"cells": ["uncovered"]})
    return open_run(today.folder)


def rewritten(run: Run, written_as: int, dropped: dict[str, Sequence[str]]) -> None:
    """Lay out a run without partitions and without some columns; the manifest says so."""
    folder = Path(str(run.folder))
    path = folder / MANIFEST_NAME
    content = json.loads(path.read_text())
    for entry in content["files"]:
        old = folder / entry["path"]
        if old.suffix != ".parquet":
            continue
        new = folder / old.relative_to(folder).parts[0] / old.name
        data = pq.read_table(old, partitioning=None)
        old.unlink()
        pq.write_table(data.drop_columns(list(dropped.get(new.parent.name, ()))), new)
        raw = new.read_bytes()
        entry |= {
            "path": str(new.relative_to(folder)),
            "bytes": len(raw),
            "sha256": hashlib.sha256(raw).hexdigest(),
        }
    for empty in sorted(folder.glob("*/from_point=*")):
        empty.rmdir()
    path.write_text(json.dumps(content | {"format": written_as}))


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder by its path in it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_column_that_came_later_has_no_values(format_2: Run) -> None:
    arrow = format_2.arrow("cells")
    assert arrow["uncovered"].to_pylist() == [None] * CELLS
    assert arrow.schema.equals(arrow_schema("cells"), check_metadata=True)
    assert format_2.schema("cells").equals(arrow_schema("cells"), check_metadata=True)
    frame = format_2.polars("cells").collect()
    assert frame.columns == arrow.column_names
    assert frame.rows(named=True) == arrow.to_pylist()
    assert frame.schema == open_polars_schema("cells")
    pandas = format_2.pandas("cells")
    assert list(pandas.columns) == arrow.column_names
    assert pandas["uncovered"].isna().all()
    with format_2.duckdb() as connection:
        view = connection.sql("from cells")
        assert view.columns == arrow.column_names
        assert [str(kind) for kind in view.types[-2:]] == ["DOUBLE", "BIGINT"]
        assert view.fetchall() == [tuple(row.values()) for row in arrow.to_pylist()]


def open_polars_schema(table: str) -> Any:
    """Return Polars' schema of a table of today."""
    import polars

    return polars.DataFrame(polars.from_arrow(arrow_schema(table).empty_table())).schema


def test_the_rows_of_an_older_run_are_those_of_today(tmp_path: Path, today: Run) -> None:
    before = {table: today.arrow(table).to_pylist() for table in today.tables}
    rewritten(today, 2, {"cells": ["uncovered"]})
    run = open_run(today.folder)
    assert not list(Path(str(run.folder)).glob("*/from_point=*"))
    for table in run.tables:
        rows = run.arrow(table).to_pylist()
        assert rows == [row | ({"uncovered": None} if table == "cells" else {}) for row in
                        before[table]]  # fmt: skip


def test_a_column_that_may_not_be_missing_today_may_be_in_an_older_run(today: Run) -> None:
    rewritten(today, 2, {"paths": ["lost_deposits", "closure_cause"]})
    run = open_run(today.folder)
    assert not arrow_schema("paths").field("lost_deposits").nullable
    assert run.schema("paths").field("lost_deposits").nullable
    assert run.schema("paths").field("lost_deposits").metadata[b"unit"] == b"yuan"
    assert run.arrow("paths", ["closure_cause"])["closure_cause"].to_pylist() == [None] * 10
    assert set(run.polars("paths").collect()["closure_cause"]) == {None}
    sql = "select count(*) as n, count(lost_deposits) as d, count(closure_cause) as c from paths"
    assert ask(run, sql).to_pylist() == [{"n": 10, "d": 0, "c": 0}]


def test_runs_of_two_formats_are_asked_together(tmp_path: Path, format_2: Run) -> None:
    new = a_run(tmp_path / "new", made_rows())
    with many([format_2, new]) as connection:
        paths = connection.sql("select run, count(*) from paths group by run order by run")
        assert paths.fetchall() == [("new", 10), ("run-of-today", 10)]
        cells = connection.sql("select distinct run, uncovered from cells").fetchall()
        assert cells == [("run-of-today", None)]


def test_points_keep_their_swept_columns_and_say_todays_format(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    path = tmp_path / "run" / "points" / "points.parquet"
    data = pq.read_table(path)
    pq.write_table(data.replace_schema_metadata({"results_format": "2"}), path)
    schema = open_run(run.folder).schema("points")
    assert schema.metadata == {b"results_format": str(RESULTS_FORMAT).encode()}
    assert list(schema) == list(data.schema)


def test_reading_an_older_run_changes_nothing(format_2: Run) -> None:
    folder = Path(str(format_2.folder))
    before = contents(folder)
    for table in TABLES:
        format_2.arrow(table)
        format_2.polars(table).collect()
    query(format_2, "select count(*) from cells")
    assert contents(folder) == before
    assert format_2.manifest.format == 2


# Format 1: the shards' own files, a manifest with less in it


def as_format_1(run: Run, **changes: Any) -> None:
    """Write a run's manifest as format 1 did; None takes an entry out."""
    path = Path(str(run.folder)) / MANIFEST_NAME
    content = json.loads(path.read_text()) | {"format": 1, "shard_pairs": None} | changes
    kept = {name: value for name, value in content.items() if value is not None}
    path.write_text(json.dumps(kept))


def test_a_run_of_format_1_opens(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    expected = {table: run.arrow(table).to_pylist() for table in run.tables}
    for record in (tmp_path / "run" / "shards").iterdir():
        content = json.loads(record.read_text())
        del content["failures"]
        record.write_text(json.dumps(content))
    as_format_1(run, failures=[{"point": 1, "error": "it broke"}])
    old = open_run(run.folder)
    assert {table: old.arrow(table).to_pylist() for table in old.tables} == expected
    assert old.manifest.shard_pairs is None
    assert old.manifest.failures[0].told() == "point 1, seed 7: it broke"
    assert dataclasses.replace(old.manifest, failures=(), format=3) == run.manifest


def test_what_a_manifest_of_format_1_does_not_say_has_a_default(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    as_format_1(run, failures=None, axes=None, plans=None, scenario_title=None)
    old = open_run(run.folder)
    assert old.manifest.plans == ("main",)
    assert old.manifest.scenario_title == "small"
    assert old.arrow("points").column_names == run.arrow("points").column_names


@pytest.mark.parametrize("gone", ["points", "digest", "config", "seed"])
def test_a_manifest_of_format_1_that_says_too_little_is_refused(tmp_path: Path, gone: str) -> None:
    run = a_run(tmp_path / "run")
    as_format_1(run, **{gone: None})
    with pytest.raises(
        RunError,
        match=rf"manifest\.json: written in results format 1 .* \(format {RESULTS_FORMAT}\) needs "
        rf"\(.*'{gone}'.*\); read it with the huzhu that wrote it",
    ) as caught:
        open_run(run.folder)
    assert "\n" not in str(caught.value)


def test_a_manifest_of_today_gets_no_defaults(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    as_format_1(run, failures=None, format=RESULTS_FORMAT)
    with pytest.raises(RunError, match=r"not a readable manifest \('failures'\)"):
        open_run(run.folder)
    with pytest.raises(KeyError, match="config"):
        upgraded({"format": 1})


def test_a_run_of_an_older_format_is_not_gone_on_with() -> None:
    assert outdated(RESULTS_FORMAT, {}) is None
    told = outdated(2, {"huzhu": "0.1.0"})
    assert told is not None
    assert told.startswith(f"begun in results format 2, this huzhu writes {RESULTS_FORMAT}; ")
    assert "(0.1.0), or start over with --fresh" in told
