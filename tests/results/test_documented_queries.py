"""The queries and the Python that the documentation gives are answered."""

import re
from pathlib import Path
from typing import Any

import pytest

from results.query import ask, query
from results.run import Run
from results.store import create_run
from tests.results.synthetic import a_manifest, compacted, made_rows, write_shards

DOCUMENT = (Path(__file__).parents[2] / "docs" / "queries.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", DOCUMENT, re.DOTALL)
PYTHON = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    made = made_rows(plans=("main", "elder"))
    store = create_run(tmp_path_factory.mktemp("runs") / "run")
    store.write_manifest(a_manifest(plans=made.plans))
    write_shards(store, made)
    return compacted(store, a_manifest(plans=made.plans))


def done(code: str, run: Run) -> dict[str, Any]:
    """Run Python of the documentation on a run; what it named."""
    folder = Path(str(run.folder))
    names: dict[str, Any] = {}
    exec(code.replace('"RUNS"', f'"{folder.parent}"').replace("RUN", str(folder)), names)
    return names


def test_there_are_queries_to_try() -> None:
    assert len(QUERIES) == 5
    assert len(PYTHON) == 3


@pytest.mark.parametrize("sql", QUERIES, ids=range(len(QUERIES)))
def test_a_documented_query_is_answered(run: Run, sql: str) -> None:
    answer = query(run, sql, "csv")
    assert "," in answer.splitlines()[0]


def test_the_fan_is_that_of_the_summary(run: Run) -> None:
    fan, summary = (ask(run, sql).to_pylist() for sql in QUERIES[:2])
    by_hand = {(row["period"], row["level"]): row["yuan"] for row in fan}
    levels = ("q05", "q25", "q50", "q75", "q95")
    expected = {(row["period"], level): row[level] for row in summary for level in levels}
    assert by_hand == pytest.approx({key: v for key, v in expected.items() if v is not None})


def test_python_of_the_documentation_reads_the_run(run: Run) -> None:
    mean = run.pandas("paths")["share_total"].mean()
    alone = done(PYTHON[0], run)
    assert alone["rows"] == [(10,)]
    assert alone["table"].num_rows == alone["frame"].collect().height == run.rows("periods")
    assert alone["answer"]["yuan"].to_pylist() == pytest.approx([mean])
    several = done(PYTHON[1], run)
    assert several["answer"].column_names == ["run", "point", "yuan"]
    assert several["versions"] == [("0.1.0",)]


def test_python_of_the_documentation_reads_the_files(run: Run) -> None:
    found = done(PYTHON[2], run)
    rows, first = run.rows("periods"), len(run.pandas("periods").query("point == 0"))
    assert 0 < first < rows
    assert found["rows"] == [(rows,)]
    assert found["table"].num_rows == rows
    assert found["lazy"].collect().height == len(found["frame"]) == first
