"""The cookbook: every question is answered alike in SQL, with Polars and with pandas."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas
import polars
import pyarrow as pa
import pytest

from results.query import ask
from results.run import Run
from results.schema import points_table
from results.store import create_run
from tests.results.synthetic import FEE, a_manifest, compacted, filled

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "cookbook.md"
BLOCKS: Final = "```sql\n(.*?)```\n\n```python\n(.*?)```\n\n```python\n(.*?)```"
QUESTIONS: Final = re.findall(
    rf"### (\d+)\. ([^\n]*)\n\n[^#]*?{BLOCKS}", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL
)
"""Number, question, SQL, Polars, pandas."""

POINTS, PATHS, PERIODS, A_YEAR = 3, 8, 60, 24
PLANS: Final = ("main", "elder")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small run with rows in every table, in which something happens to every question."""
    rng = np.random.default_rng(20)
    store = create_run(tmp_path_factory.mktemp("runs") / "run")
    periods = made_periods(rng)
    tables = {
        "paths": made_paths(periods, rng),
        "pools": made_pools(rng),
        "periods": periods,
        "cells": made_cells(rng),
        "members": made_members(rng),
    }
    points = store.write_table("points", points_table([{FEE: 0.08 * i} for i in range(POINTS)]))
    manifest = a_manifest(
        points=POINTS, paths_per_point=PATHS, periods=PERIODS, periods_per_year=A_YEAR,
        plans=PLANS, shards=1, files=(points,),
    )  # fmt: skip
    store.write_manifest(manifest)
    store.finish_shard(0, [store.write_table(name, rows, 0) for name, rows in tables.items()])
    return compacted(store, manifest)


def made_periods(rng: np.random.Generator) -> pa.Table:
    """Return pools that grow and shrink, some of which close; the share rises, the cash falls."""
    keys = [
        (point, path, period, plan)
        for point in range(POINTS)
        for path in range(PATHS)
        for period in range(closing(point, path) or PERIODS)
        for plan in PLANS
    ]
    point, path, period = (np.array([key[i] for key in keys]) for i in range(3))
    n = len(keys)
    members = (1e6 * np.exp(-(((period - 20) / (8 + path)) ** 2)) * rng.uniform(0.9, 1, n)).astype(
        int
    )
    cases = rng.poisson(members * 5e-5)
    billed = cases * 3e5 * rng.uniform(1, 1.1, n)
    given = {
        "point": point,
        "path": path,
        "period": period,
        "plan": [key[3] for key in keys],
        "pool": [key[3] for key in keys],
        "members": members,
        "payers": members * 9 // 10,
        "cases": cases,
        "benefits": cases * 3e5,
        "billed": billed,
        "collected": billed * rng.uniform(0.8, 1, n),
        "platform_cash": 1e6 * (30 + 3 * path - period) * rng.uniform(0.9, 1.1, n),
        "price_slope": 0.02 * period * rng.uniform(-1, 1, n) * (path < 6),
    }
    return filled("periods", given, n, rng)


def closing(point: int, path: int) -> int | None:
    """Return how many periods a path ran before it closed, None where it did not."""
    return 30 + 3 * path if (point + path) % 3 == 1 else None


def made_paths(periods: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Return what the paths came to; the first point pays every case."""
    pairs = [(point, path) for point in range(POINTS) for path in range(PATHS)]
    point = np.array([pair[0] for pair in pairs])
    n = len(pairs)
    totals = periods.group_by(["point", "path", "period"]).aggregate([("members", "sum")])
    highest = totals.sort_by([("members_sum", "descending"), ("period", "ascending")]).to_pylist()
    peaks: dict[tuple[int, int], dict[str, int]] = {}
    for row in highest:
        peaks.setdefault((row["point"], row["path"]), row)
    closed = [closing(*pair) for pair in pairs]
    given = {
        "point": point,
        "path": [pair[1] for pair in pairs],
        "periods_run": [runs or PERIODS for runs in closed],
        "closure_cause": ["too_small" if runs else "none" for runs in closed],
        "closure_period": [runs - 1 if runs else None for runs in closed],
        "peak_members": [peaks[pair]["members_sum"] for pair in pairs],
        "peak_period": [peaks[pair]["period"] for pair in pairs],
        "share_total": rng.lognormal(3 + 0.2 * point, 0.3, n),
        "unfunded_benefits": np.where(point == 0, 0.0, 1e5 * rng.integers(0, 2, n)),
    }
    return filled("paths", given, n, rng)


def made_pools(rng: np.random.Generator) -> pa.Table:
    """Return two pools a path, of which the second always closes and the first at times."""
    keys = [(i, path, pool) for i in range(POINTS) for path in range(PATHS) for pool in PLANS]
    causes = [
        ("too_small", "ruin", "regulation")[path % 3] if pool == "elder" or path > 5 else "none"
        for _, path, pool in keys
    ]
    given = {
        "point": [key[0] for key in keys],
        "path": [key[1] for key in keys],
        "pool": [key[2] for key in keys],
        "closure_cause": causes,
        "closure_period": [None if cause == "none" else 7 * key[1] + 3 for cause, key in
                           zip(causes, keys, strict=True)],
    }  # fmt: skip
    return filled("pools", given, len(keys), rng)


def made_cells(rng: np.random.Generator) -> pa.Table:
    """Return cells of three ages, both sexes and three kinds of health."""
    keys = [
        (point, path, age, sex, health)
        for point in range(POINTS)
        for path in range(PATHS)
        for age in (0, 20, 40)
        for sex in ("male", "female")
        for health in ("standard", "impaired", "padding")
    ]
    names = ("point", "path", "from_age", "sex", "health")
    given = dict(zip(names, zip(*keys, strict=True), strict=True))
    return filled("cells", given, len(keys), rng)


def made_members(rng: np.random.Generator) -> pa.Table:
    """Return memberships, some from before the first period, some that never ended."""
    n = 600
    left = rng.random(n) < 0.5
    causes = rng.choice(["claimed", "news", "burden"], n)
    given = {
        "point": np.sort(rng.integers(0, POINTS, n)),
        "path": rng.integers(0, PATHS, n),
        "member": np.arange(n),
        "joined": rng.integers(-30, PERIODS, n),
        "left": pa.array(rng.integers(0, PERIODS, n), mask=~left),
        "cause": [str(cause) if gone else None for cause, gone in zip(causes, left, strict=True)],
        "age": rng.integers(0, 60, n),
        "sex": rng.choice(["male", "female"], n).tolist(),
        "health": rng.choice(["standard", "padding"], n, p=[0.9, 0.1]).tolist(),
        "paid": rng.lognormal(2, 1, n) * (rng.random(n) < 0.9),
        "received": np.where(causes == "claimed", 3e5, 0.0) * left,
    }
    return filled("members", given, n, rng)


def python_answer(run: Run, code: str) -> list[dict[str, Any]]:
    """Run Python of the cookbook; the rows of what it names `answer`."""
    names: dict[str, Any] = {
        "run": run, "pl": polars, "pd": pandas, "a_year": run.manifest.periods_per_year
    }  # fmt: skip
    exec(code, names)  # the documentation's own code
    answer = names["answer"]
    if isinstance(answer, polars.DataFrame):
        return answer.rows(named=True)
    assert isinstance(answer, pandas.DataFrame)
    return [{str(name): value for name, value in row.items()} for row in answer.to_dict("records")]


def missing(value: object) -> bool:
    """Whether a value is missing, as any of the three says it."""
    return value is None or value is pandas.NA or (isinstance(value, float) and math.isnan(value))


def differences(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> list[str]:
    """Return where two answers differ: in their rows, columns or values, a line each."""
    if [list(row) for row in found] != [list(row) for row in expected]:
        shown = [(len(rows), list(rows[0]) if rows else []) for rows in (found, expected)]
        return [f"rows and columns {shown[0]}, expected {shown[1]}"]
    return [
        f"row {number}, {name}: {value!r}, expected {row[name]!r}"
        for number, (other, row) in enumerate(zip(found, expected, strict=True))
        for name, value in other.items()
        if not same(value, row[name])
    ]


def same(value: Any, expected: Any) -> bool:
    """Whether two values are one: numbers but for the order in which they were added up."""
    if missing(value) or missing(expected):
        return missing(value) and missing(expected)
    if isinstance(expected, str):
        return str(value) == expected
    # a few thousand roundings of 2**-53 each, in sums that cancel by less than a thousand
    return math.isclose(float(value), float(expected), rel_tol=1e-9)


def test_there_are_twenty_questions_and_three_answers_to_each() -> None:
    assert [int(number) for number, *_ in QUESTIONS] == list(range(1, 21))
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text.count("```sql\n") == 20
    assert text.count("```python\n") == 40


@pytest.mark.parametrize(("number", "question", "sql", "in_polars", "in_pandas"), QUESTIONS)
def test_the_three_answers_to_a_question_are_one(
    run: Run, number: str, question: str, sql: str, in_polars: str, in_pandas: str
) -> None:
    expected = ask(run, sql).to_pylist()
    assert expected, question
    for column in expected[0]:
        assert not all(missing(row[column]) for row in expected), f"{column} says nothing"
    assert differences(python_answer(run, in_polars), expected) == []
    assert differences(python_answer(run, in_pandas), expected) == []


def test_answers_that_differ_are_told_apart() -> None:
    expected = [{"year": 0, "yuan": 1.0, "cause": "ruin", "gone": None}]
    assert differences(expected, expected) == []
    assert differences([{**expected[0], "yuan": 1.0 + 1e-12}], expected) == []
    for changed in ({"yuan": 1.0001}, {"cause": "none"}, {"gone": 0}, {"year": None}):
        assert len(differences([{**expected[0], **changed}], expected)) == 1
    assert differences([], expected)
    assert differences([{"year": 0}], expected)


def test_every_question_is_answered_of_the_right_figures(run: Run) -> None:
    """Hold a few answers against what they are by hand."""
    answers = {int(number): ask(run, sql).to_pylist() for number, _, sql, *_ in QUESTIONS}
    paths = run.pandas("paths").query("point == 0")
    assert [row["point"] for row in answers[2]] == [0]
    assert answers[11][0]["every_case_paid"] == 1.0
    worst = paths["share_total"].max()  # of eight paths one is above the 95 % quantile
    assert answers[7][0]["tail_mean"] == pytest.approx(worst, rel=1e-12)
    slopes = run.pandas("periods").query("point == 0 and plan == 'main'")["price_slope"]
    first = run.pandas("periods").loc[slopes.index]["period"] < run.manifest.periods_per_year
    assert answers[14][0]["slope"] == pytest.approx(slopes[first].mean(), rel=1e-9)
    assert 0 < answers[14][0]["positive"] < 1
    difference = (
        run.pandas("paths").query("point == 1")["share_total"].mean() - paths["share_total"].mean()
    )
    assert answers[15][0]["difference"] == pytest.approx(difference, rel=1e-9)
    assert sum(row["part"] for row in answers[12]) == pytest.approx(1.0, rel=1e-12)
