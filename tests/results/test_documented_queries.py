"""The queries that the documentation gives are answered."""

import re
from pathlib import Path

import pytest

from results.query import query
from results.run import Run
from tests.results.synthetic import a_run, made_rows

DOCUMENT = Path(__file__).parents[2] / "docs" / "queries.md"
QUERIES = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return a_run(tmp_path_factory.mktemp("runs") / "run", made_rows(plans=("main", "elder")))


def test_there_are_queries_to_try() -> None:
    assert len(QUERIES) == 11


@pytest.mark.parametrize("sql", QUERIES, ids=range(len(QUERIES)))
def test_a_documented_query_is_answered(run: Run, sql: str) -> None:
    answer = query(run, sql, "csv")
    assert "," in answer.splitlines()[0]
