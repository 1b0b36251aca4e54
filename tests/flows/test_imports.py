"""What is imported where: what is heavy is imported only where it is used."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.flows.conftest import environment_of

HEAVY = {"prefect", "dask", "numba", "numpy", "pyarrow", "duckdb", "pydantic", "rich", "yaml"}


def imported_by(statement: str, home: Path) -> set[str]:
    """Return the packages that a fresh interpreter holds after a statement."""
    show = "import json, sys; print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\n{show}"],
        env=environment_of(home),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    assert not imported_by("import flows.cli", tmp_path) & HEAVY


def test_help_answers_in_under_a_second(tmp_path: Path) -> None:
    started = time.perf_counter()
    command = [sys.executable, "-m", "flows.cli", "--help"]
    subprocess.run(command, env=environment_of(tmp_path), capture_output=True, check=True)
    assert time.perf_counter() - started < 1


def test_a_worker_imports_neither_prefect_nor_what_only_reads_results(tmp_path: Path) -> None:
    imported = imported_by("import flows.shard", tmp_path)
    assert {"numba", "pyarrow"} <= imported
    assert not imported & {"prefect", "dask", "distributed", "duckdb", "polars", "pandas", "altair"}


def test_planning_imports_neither_prefect_nor_dask_nor_kernels(tmp_path: Path) -> None:
    imported = imported_by("import flows.plan", tmp_path)
    assert not imported & {"prefect", "dask", "distributed", "numba", "kernels"}


@pytest.mark.parametrize("own", ["huzhu", ""])
def test_settings_never_replace_those_of_the_user(own: str, tmp_path: Path) -> None:
    statement = (
        "import os; os.environ['DO_NOT_TRACK'] = '0'; from flows import environment; "
        "environment.prepare(); print(os.environ['DO_NOT_TRACK'], os.environ['PREFECT_HOME'])"
    )
    variables = environment_of(tmp_path / own)
    done = subprocess.run(
        [sys.executable, "-c", statement], env=variables, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["0", str(tmp_path / own)]
