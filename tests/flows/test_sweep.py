"""The flow in this process, on a real cluster, with the session's Prefect server."""

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast
from urllib.request import Request, urlopen

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from distributed import WorkerPlugin
from prefect.exceptions import ParameterTypeError
from prefect.settings import temporary_settings
from scipy import stats

from configs.cluster import Local
from configs.load import ConfigError
from flows import launch, layout, server, session, shard
from flows import plan as planning
from flows.record import Record
from flows.sweep import PointsFailedError, finish, sweep
from kernels import cohort
from results.atomic import StoreError
from results.run import open_run
from results.store import create_run
from tests.flows.processes import contents, free_port

pytestmark = pytest.mark.end_to_end

KEYS = {
    "points": "point",
    "paths": "point, path",
    "periods": "point, path, period, plan",
    "summary": "point, period, plan, quantity",
}

Swept = Callable[[int, int], Path]


def in_shards(patch: pytest.MonkeyPatch, shards: int) -> None:
    """Have sweeps cut into some shards, whatever a path was measured to take."""
    patch.setattr(layout, "pairs_a_shard", lambda cost, pairs, memory: math.ceil(pairs / shards))


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
                in_shards(patch, shards)
                done[shards, workers] = Path(
                    sweep(str(small), str(folder), cluster=Local(workers=workers))
                )
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


def test_the_flow_finds_a_whole_run_and_leaves_its_tables_alone(swept: Swept, small: Path) -> None:
    folder = swept(7, 2)
    before = (folder / "manifest.json").read_bytes()
    (folder / "report.html").unlink()
    assert sweep(str(small), str(folder.parent)) == str(folder)
    assert (folder / "manifest.json").read_bytes() == before
    assert (folder / "report.html").is_file(), "what is lost of it is made again"


def test_without_a_prefect_server_the_rest_is_computed_alike(
    swept: Swept, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that is lost before the flow, and a folder that is to be begun anew once."""
    before = swept(7, 2)
    results = tmp_path / "runs"
    shutil.copytree(before, results / before.name)
    given = (str(small), str(results))
    nowhere = temporary_settings({"PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api"})
    with nowhere, session.opened(Local(workers=1)) as here:
        folder = launch._recorded(
            here,
            lambda: sweep(*given, fresh=True),
            lambda: finish(*given, None, [], here, fresh=True),
        )
        assert finish(*given, None, [], here, fresh=True) == folder
    assert here.record.is_lost
    assert contents(Path(folder)) == contents(before)
    assert len(list(results.iterdir())) == 2, "what was there was moved aside, once"
    told = capsys.readouterr().err
    assert told.startswith("Prefect's server was lost (")
    assert len(told.splitlines()) == 1


def test_an_error_of_a_stage_is_not_the_loss_of_a_server() -> None:
    record = Record()

    def fails(*_: object) -> None:
        raise StoreError("disk full")

    for call in (lambda: record.stage(fails, 1), lambda: record.leave(fails)):
        with pytest.raises(StoreError, match="disk full"):
            call()
    assert not record.is_lost


@pytest.mark.parametrize(
    "wrong",
    [
        {"cluster": {"kind": "local", "workers": 0}},
        {"cluster": {"kind": "clouds"}},
        {"design": {"paths": 0}},
        {"seed": -1},
        {"results": "runs"},
        {"overrides": 3},
    ],
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
    with session.opened(Local(workers=1), seen.append) as here:
        assert here.workers == 1
        sweep(str(small), str(tmp_path), seed=99)
    assert seen[:2] == [session.Progress(stage, 0, 40) for stage in ("compiling", "measuring")]
    assert session.Progress("simulating", 40, 40) in seen
    stages = list(dict.fromkeys(step.stage for step in seen[2:]))
    assert stages == ["simulating", "compacting", "summarising", "drawing", "reporting"]


def _break_kernels(dask_worker: Any = None) -> None:
    """Have this worker's kernel fail on one path of one point."""
    simulate_path = cohort.simulate_path

    def fail(pool: Any, seed: Any, path: int, outcome: Any) -> None:
        simulate_path(pool, seed, path, outcome)
        if path == 3 and pool.plans["fee_rate"][0] == 0.08:
            raise ZeroDivisionError("no members")

    cohort.simulate_path = cast(Any, fail)


def test_points_that_fail_are_recorded_and_retried_and_the_others_finish(
    swept: Swept, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_shards(monkeypatch, 7)
    with session.opened(Local(workers=1)) as here:
        here.wait_for_kernels()
        here.client.run(_break_kernels)
        with pytest.raises(PointsFailedError, match=r"2 points failed, .* point 2, path 3"):
            sweep(str(small), str(tmp_path))
    (folder,) = tmp_path.iterdir()
    run = open_run(folder)
    assert run.manifest.status == "failed"
    assert [(failure.point, failure.path) for failure in run.manifest.failures] == [(2, 3), (3, 3)]
    assert all("ZeroDivisionError: no members" in f.traceback for f in run.manifest.failures)
    assert set(run.pandas("paths")["point"]) == {0, 1, 2, 3}
    counts = run.pandas("paths").groupby("point").size()
    assert list(counts[:2]) == [10, 10]
    assert (counts[2:] < 10).all()
    untouched = {path: path.stat().st_mtime_ns for path in folder.glob("paths/shard-0000[0-2]*")}
    assert len(untouched) == 3

    with session.opened(Local(workers=1)):
        with pytest.raises(PointsFailedError, match="2 points failed"):
            sweep(str(folder))  # what has failed is not done again unasked
        seen = {path: path.stat().st_mtime_ns for path in untouched}
        assert sweep(str(folder), again=True) == str(folder)
    assert seen == untouched
    assert open_run(folder).manifest.status == "complete"
    assert open_run(folder).manifest.failures == ()
    assert contents(folder) == contents(swept(1, 1))


def test_a_sweep_begun_anew_moves_what_is_there_aside(small: Path, tmp_path: Path) -> None:
    first = Path(sweep(str(small), str(tmp_path), cluster=Local(workers=1)))
    before = contents(first)
    again = Path(sweep(str(small), str(tmp_path), cluster=Local(workers=1), fresh=True))
    assert again == first
    (aside,) = (folder for folder in tmp_path.iterdir() if folder != first)
    assert aside.name.startswith(f"{first.name}.until-")
    assert contents(aside) == contents(again) == before


def test_a_second_run_of_the_same_folder_is_refused(small: Path, tmp_path: Path) -> None:
    run = planning.plan(small, tmp_path)
    with planning.held(run), pytest.raises(StoreError, match="another run is writing here"):
        sweep(str(small), str(tmp_path))


def test_paths_stop_where_the_outcome_is_known_well_enough(small: Path, tmp_path: Path) -> None:
    rule = "{outcome: members_end, relative_half_width: 0.078, confidence: 0.9, at_least: 8}"
    overrides = ["sweep.paths=64", f"sweep.stop_when={rule}"]
    run = open_run(sweep(str(small), str(tmp_path), overrides=overrides, cluster=Local(workers=2)))
    paths = run.pandas("paths")
    for _, rows in paths.groupby("point"):
        count = len(rows)
        assert sorted(rows["path"]) == list(range(count))
        assert count in {8, 16, 32, 64}
        looks = [looked for looked in (8, 16, 32, 64) if looked <= count]
        narrow = [_is_narrow(rows[rows["path"] < looked]["members_end"]) for looked in looks]
        assert narrow[:-1] == [False] * (len(looks) - 1)
        assert narrow[-1] or count == 64
    assert len(set(paths.groupby("point").size())) > 1


def _is_narrow(values: "pd.Series[float]") -> bool:
    """Whether the interval of the mean is as narrow as was asked for, by SciPy."""
    low, high = stats.t.interval(0.9, len(values) - 1, values.mean(), stats.sem(values))
    return bool((high - low) / 2 <= 0.078 * values.mean())


class _Hog(WorkerPlugin):
    """Has every worker, one started later too, run out of memory on one path of one point."""

    def setup(self, worker: Any) -> None:
        simulate_path = cohort.simulate_path

        def hog(pool: Any, seed: Any, path: int, outcome: Any) -> None:
            simulate_path(pool, seed, path, outcome)
            held = []
            while path == 3 and pool.plans["fee_rate"][0] == 0.08:
                held.append(np.ones(2_000_000))
                time.sleep(0.02)

        cohort.simulate_path = cast(Any, hog)


def test_a_shard_that_runs_out_of_memory_is_recorded_and_the_others_finish(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_shards(monkeypatch, 8)
    settings = Local(workers=2, memory_bytes=600_000_000)
    with session.opened(settings) as here:
        here.wait_for_kernels()
        here.client.register_plugin(_Hog())
        with pytest.raises(PointsFailedError, match="the worker died over it again and again"):
            sweep(str(small), str(tmp_path), overrides=["sweep.axes.plans.main.fee_rate=[0, 0.08]"])
    (folder,) = tmp_path.iterdir()
    run = open_run(folder)
    assert {failure.point for failure in run.manifest.failures} == {2, 3}
    assert len(run.manifest.failures) == 2
    counts = run.pandas("paths").groupby("point").size()
    assert list(counts) == [10, 10, 5, 5]


def test_points_may_be_of_either_engine(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = ["market_members=4000", "claims.level=40", "sweep.paths=2"]
    few.append("sweep.axes.engine=[cohort, member]")
    in_shards(monkeypatch, 5)
    run = open_run(sweep(str(small), str(tmp_path), overrides=few, cluster=Local(workers=2)))
    members, paths = run.pandas("members"), run.pandas("paths")
    engines = run.pandas("points")["engine"]
    assert set(members["point"]) == set(engines.index[engines == "member"]) == {1, 3, 5, 7}
    one = planning.plan(small, tmp_path / "one", overrides=few)
    create_run(one.folder)
    planning.begin(one)
    shard.run(str(one.folder), layout.Shard(0, 0, 0, 16))
    for table, found in (("members", members), ("paths", paths)):
        expected = open_run(one.folder).pandas(table)
        pd.testing.assert_frame_equal(found.astype(str), expected.astype(str))
