"""The flow in this process, on a real cluster, with the session's Prefect server."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast
from urllib.request import Request, urlopen

import pandas as pd
import pyarrow as pa
import pytest
from prefect.exceptions import ParameterTypeError

from configs.load import ConfigError
from flows import layout, server, session, shard
from flows import plan as planning
from flows.shard import ShardError
from flows.sweep import sweep
from kernels import cohort
from results.run import open_run

pytestmark = pytest.mark.end_to_end

KEYS = {
    "points": "point",
    "paths": "point, path",
    "periods": "point, path, period, plan",
    "summary": "point, period, plan, quantity",
}

Swept = Callable[[int, int], Path]


@pytest.fixture(scope="module", autouse=True)
def _prefect(prefect_server: server.Server) -> Iterator[None]:
    with server.used(prefect_server):
        yield


@pytest.fixture(scope="module")
def swept(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """Return a function that sweeps in some shards, on some workers, once each."""
    done: dict[tuple[int, int], Path] = {}

    def run(shards: int, workers: int) -> Path:
        if (shards, workers) not in done:
            folder = tmp_path_factory.mktemp(f"runs-{shards}-{workers}")
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(layout, "_shard_count", lambda scenario, pairs: shards)
                done[shards, workers] = Path(sweep(str(small), str(folder), workers=workers))
        return done[shards, workers]

    return run


def tables(run: Path) -> dict[str, pa.Table]:
    """Return every table of a run in the order of its keys."""
    with open_run(run).duckdb() as connection:
        return {
            name: connection.sql(f"select * from {name} order by {keys}").to_arrow_table()
            for name, keys in KEYS.items()
        }


@pytest.mark.parametrize(("shards", "workers"), [(7, 2), (7, 1)])
def test_results_depend_on_neither_shards_nor_workers(
    swept: Swept, shards: int, workers: int
) -> None:
    expected, found = tables(swept(1, 1)), tables(swept(shards, workers))
    assert open_run(swept(shards, workers)).manifest.shards == shards
    for name in KEYS:
        assert found[name].equals(expected[name]), name


def test_points_may_be_of_either_engine(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = ["market_members=4000", "claims.level=40", "sweep.paths=2"]
    few.append("sweep.axes.engine=[cohort, member]")
    monkeypatch.setattr(layout, "_shard_count", lambda scenario, pairs: 5)
    run = open_run(sweep(str(small), str(tmp_path), overrides=few, workers=2))
    members, paths = run.pandas("members"), run.pandas("paths")
    engines = run.pandas("points")["engine"]
    assert set(members["point"]) == set(engines.index[engines == "member"]) == {1, 3, 5, 7}
    one = planning.plan(small, tmp_path / "one", overrides=few)
    planning.begin(one)
    shard.run(str(one.folder), layout.Shard(0, 0, 16))
    for table, found in (("members", members), ("paths", paths)):
        expected = open_run(one.folder).pandas(table)
        pd.testing.assert_frame_equal(found.astype(str), expected.astype(str))


def test_the_flow_run_is_named_after_the_folder_and_leaves_artifacts(
    swept: Swept, prefect_server: server.Server
) -> None:
    def ask(what: str, given: dict[str, Any] | None = None) -> Any:
        """Return what the server's API answers; Prefect's own client needs an older FastAPI."""
        request = Request(
            f"{prefect_server.address}/{what}",
            data=None if given is None else json.dumps(given).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urlopen(request) as answer:
            return json.load(answer)

    folder = swept(7, 2)
    runs = ask("flow_runs/filter", {"limit": 100})
    assert folder.name in [run["name"] for run in runs]
    digest = folder.name.rpartition("-")[2]
    assert ask(f"artifacts/progress-{digest}/latest")["data"] == 100
    assert "A small pool" in ask(f"artifacts/summary-{digest}/latest")["data"]


def test_the_flow_finds_a_whole_run_and_leaves_it_alone(swept: Swept, small: Path) -> None:
    folder = swept(7, 2)
    before = (folder / "manifest.json").read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "_shard_count", lambda scenario, pairs: 7)
        assert sweep(str(small), str(folder.parent)) == str(folder)
    assert (folder / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    "wrong", [{"workers": 0}, {"seed": -1}, {"results": "runs"}, {"overrides": 3}]
)
def test_parameters_are_checked_as_prefect_checks_them(small: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises((ParameterTypeError, TypeError), match=next(iter(wrong))):
        sweep(str(small), **wrong)


def test_a_bad_configuration_fails_the_flow_with_its_message(small: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"plans\.main\.fee_rate: expected .* got -1"):
        sweep(str(small), str(tmp_path / "runs"), overrides=["plans.main.fee_rate=-1"])
    assert not (tmp_path / "runs").exists()


def test_progress_reaches_whoever_opened_the_session(small: Path, tmp_path: Path) -> None:
    seen: list[session.Progress] = []
    with session.opened(1, seen.append) as here:
        assert here.workers == 1
        sweep(str(small), str(tmp_path), seed=99)
    assert seen[0] == session.Progress("compiling", 0, 40)
    assert session.Progress("simulating", 40, 40) in seen
    assert [step.stage for step in seen[-2:]] == ["summarising", "drawing"]


def _break_kernels() -> None:
    """Have this worker's kernel fail at once."""

    def fail(*_: Any) -> None:
        raise ZeroDivisionError("no members")

    cohort.simulate_path = cast(Any, fail)


def test_a_path_that_fails_ends_the_flow_and_is_named(small: Path, tmp_path: Path) -> None:
    message = r"point 0 \(.*\), path 0, seed 5: ZeroDivisionError: no members"
    with session.opened(1) as here:
        session.wait_for_kernels(here)
        here.client.run(_break_kernels)
        with pytest.raises(ShardError, match=message):
            sweep(str(small), str(tmp_path), seed=5)
    (folder,) = tmp_path.iterdir()
    assert open_run(folder).manifest.status == "running"
    assert not (folder / "shards").exists()
