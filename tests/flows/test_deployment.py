"""`prefect.yaml` on a Prefect server of its own: deployed, scheduled, and run by a process worker.

The server of the other tests is a temporary one, in which nothing fires by itself.
"""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    DeploymentFilter,
    DeploymentFilterId,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import temporary_settings
from prefect.states import Failed, Pending, Scheduled
from pydantic import BaseModel, SecretStr

from configs.cluster import Gateway, JobQueue, Kubernetes, Local, Scheduler
from configs.sweep import Sweep
from flows.environment import DEFAULTS, SAFE_PATH
from flows.server import Server
from results.calibration.tables import open_calibration
from results.picture import PICTURE_NAME
from results.run import open_run
from results.table import show_run
from tests.flows.calibrations import written
from tests.flows.conftest import ROOT, environment_of
from tests.flows.processes import MARK, SECONDS_TO_END, free_port, marked, wait_until

pytestmark = pytest.mark.end_to_end

SECONDS_TO_RUN = 60.0
SECONDS_TO_PLAN = (3, 10, 30, 60)
"""How long before its first time a schedule is made, from one attempt to the next."""
AN_HOUR = timedelta(hours=1)
SOONER = {
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "1",
    "PREFECT_WORKER_QUERY_SECONDS": "1",
}
"""What a server and a worker do every minute and every ten seconds, in seconds."""


@dataclass(frozen=True)
class Site:
    """A Prefect server with what `prefect.yaml` deploys.

    Attributes
    ----------
    client : SyncPrefectClient
        Our connection to the server.
    variables : mapping of str to str
        Environment of every command that talks to it.
    """

    client: SyncPrefectClient
    variables: Mapping[str, str]

    def deployment(self, name: str) -> DeploymentResponse:
        """Return one of our deployments as the server has it."""
        flow = "calibrate" if name == "recalibrate" else "sweep"
        return self.client.read_deployment_by_name(f"{flow}/{name}")

    def form(self, name: str) -> dict[str, Any]:
        """Return the JSON Schema of a deployment's parameters, from which its form is made."""
        schema = self.deployment(name).parameter_openapi_schema
        assert schema is not None
        return schema

    def runs(self, name: str) -> list[FlowRun]:
        """Return the runs of a deployment, planned ones included."""
        this = DeploymentFilterId(any_=[self.deployment(name).id])
        return self.client.read_flow_runs(deployment_filter=DeploymentFilter(id=this))

    def planned(self, name: str) -> list[FlowRun]:
        """Return the runs of a deployment that its schedules have in store."""
        return [run for run in self.runs(name) if run.auto_scheduled and _is_planned(run)]

    def fired(self, name: str) -> list[FlowRun]:
        """Return the runs of a deployment that its schedules started, and a worker took."""
        return [run for run in self.runs(name) if run.auto_scheduled and not _is_planned(run)]

    def start(self, name: str, after: timedelta = AN_HOUR, **parameters: Any) -> FlowRun:
        """Ask for a run, by default for later than any worker here will live."""
        return self.client.create_flow_run_from_deployment(
            self.deployment(name).id,
            parameters=parameters,
            state=Scheduled(scheduled_time=datetime.now(UTC) + after),
        )

    def ended(self, run: FlowRun) -> FlowRun:
        """Return a run as it is once it has ended."""

        def now() -> FlowRun:
            return self.client.read_flow_run(run.id)

        assert wait_until(lambda: bool((state := now().state) and state.is_final()), SECONDS_TO_RUN)
        return now()

    def ask_for_turn(self, run: FlowRun) -> str:
        """Ask that a run may begin, as a worker does; the name of the state that it gets."""
        self.client.set_flow_run_state(run.id, Pending())
        return self.client.read_flow_run(run.id).state_name or ""

    def artifacts(self, run: FlowRun) -> dict[str, Any]:
        """Return what a run's page shows, by the first word of its key, in alphabetical order."""
        of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
        found = self.client.read_artifacts(artifact_filter=of_run)
        return dict(sorted((str(one.key).partition("-")[0], one.data) for one in found))

    @contextmanager
    def scheduled(self, name: str, after: timedelta, **parameters: Any) -> Iterator[UUID]:
        """Add a schedule to a deployment that fires soon and then every hour."""
        deployment = self.deployment(name).id
        hourly = IntervalSchedule(interval=AN_HOUR, anchor_date=datetime.now(UTC) + after)
        (schedule,) = self.client.create_deployment_schedules(
            deployment, [DeploymentScheduleCreate(schedule=hourly, parameters=parameters)]
        )
        try:
            yield schedule.id
        finally:
            self.client.delete_deployment_schedule(deployment, schedule.id)

    def planned_by(self, name: str, schedule: UUID) -> list[datetime]:
        """Return when the runs of one schedule are to begin, once the server has planned them."""

        def times() -> list[datetime]:
            own = [
                run for run in self.runs(name) if run.created_by and run.created_by.id == schedule
            ]
            return sorted(run.expected_start_time for run in own if run.expected_start_time)

        assert wait_until(lambda: bool(times()), SECONDS_TO_RUN)
        return times()

    @contextmanager
    def fires(self, name: str, **parameters: Any) -> Iterator[FlowRun]:
        """Have a schedule start a run of a deployment in a few seconds; gives the started run.

        A server plans nothing for a time that has passed. Where the machine is so busy that it
        comes to a new schedule after its first time, the schedule is made anew for later.
        """
        for seconds in SECONDS_TO_PLAN:
            with self.scheduled(name, timedelta(seconds=seconds), **parameters) as schedule:
                begun = datetime.now(UTC)
                if self.planned_by(name, schedule)[0] > begun + AN_HOUR / 2:
                    continue
                assert wait_until(lambda: bool(self.fired(name)), seconds + SECONDS_TO_RUN)
                (run,) = self.fired(name)
                yield run
                return
        raise AssertionError(f"the server planned no run within {SECONDS_TO_PLAN[-1]} s")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Start a server, and deploy to it as the head of `prefect.yaml` says."""
    port, mark = free_port(), uuid4().hex
    address = f"http://127.0.0.1:{port}/api"
    own = {"PREFECT_API_URL": address, "PWD": str(ROOT), MARK: mark, **SOONER}
    variables = environment_of(tmp_path_factory.mktemp("site"), **own)
    arguments = ("server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui")
    log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `Server.stop`
    server = Server(address, _start(variables, *arguments, log=log), log)
    try:
        server.wait(SECONDS_TO_RUN)
        _prefect(variables, "work-pool", "create", "huzhu", "--type", "process")
        _prefect(variables, "--no-prompt", "deploy", "--all")
        with (
            temporary_settings({"PREFECT_API_URL": address}),
            get_client(sync_client=True) as client,
        ):
            yield Site(client, variables)
    finally:
        server.stop()
        _end(mark)


@pytest.fixture(scope="module")
def worker(site: Site) -> Iterator[None]:
    """Run a worker that takes what is due."""
    with tempfile.TemporaryFile() as log:
        process = _start(site.variables, "worker", "start", "--pool", "huzhu", log=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(SECONDS_TO_END)


def _is_planned(run: FlowRun) -> bool:
    return run.state_name in {"Scheduled", "Late"}


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "prefect", *arguments]


def _start(variables: Mapping[str, str], *arguments: str, log: Any) -> "subprocess.Popen[bytes]":
    """Start a command of Prefect's, from the project's folder."""
    return subprocess.Popen(
        _command(*arguments), cwd=ROOT, env=variables, stdout=log, stderr=subprocess.STDOUT
    )


def _prefect(variables: Mapping[str, str], *arguments: str) -> None:
    """Run a command of Prefect's to its end, from the project's folder."""
    done = subprocess.run(
        _command(*arguments),
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_TO_RUN,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _end(mark: str) -> None:
    """Kill what server, worker and runs have left behind; there is to be nothing."""
    gone = wait_until(lambda: not marked(mark), SECONDS_TO_END)
    for process in marked(mark):
        os.kill(process, signal.SIGKILL)
    assert gone


def _definitions(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schemas of a model and of those in it, by name, with references as Prefect's."""
    schema = model.model_json_schema(ref_template="#/definitions/{model}")
    return {**schema.pop("$defs", {}), model.__name__: schema}


# --- the form


@pytest.mark.parametrize("model", [Sweep, Local, Scheduler, JobQueue, Gateway, Kubernetes])
def test_the_form_has_every_field_with_its_description_and_bounds(
    site: Site, model: type[BaseModel]
) -> None:
    form = site.form("nightly")
    for name, schema in _definitions(model).items():
        assert form["definitions"][name] == schema
    fields = form["definitions"][model.__name__]["properties"]
    assert all("description" in field for name, field in fields.items() if name != "kind")


def test_the_form_offers_every_parameter_of_the_flow(site: Site) -> None:
    form = site.form("nightly")
    assert list(form["properties"]) == [
        *("config", "results_dir", "seed", "overrides", "design", "cluster", "fresh", "again")
    ]
    assert form["properties"]["design"]["anyOf"][0] == {"$ref": "#/definitions/Sweep"}
    kinds = form["properties"]["cluster"]["anyOf"][0]["oneOf"]
    assert [kind["$ref"].rpartition("/")[2] for kind in kinds] == [
        *("Local", "Scheduler", "JobQueue", "Gateway", "Kubernetes")
    ]


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"design": {"paths": 0}}, r"'design\.paths'.* 0 is less than the minimum of 1"),
        ({"design": {"path": 10}}, r"'design'.*\('path' was unexpected\)"),
        ({"cluster": {"kind": "cloud"}}, r"'cluster'.*'cloud'"),
        ({"cluster": {"kind": "local", "workers": 0}}, r"'cluster'.*'workers': 0"),
        ({"seed": -1}, r"'seed'.* -1 is less than the minimum of 0"),
        ({"overrides": "sweep.paths=10"}, r"'overrides'.* is not of type 'array'"),
    ],
)
def test_a_run_whose_parameters_break_the_models_is_refused(
    site: Site, parameters: dict[str, Any], told: str
) -> None:
    with pytest.raises(PrefectHTTPStatusError, match=f"409 Conflict(?s:.*){told}"):
        site.start("quickstart", **parameters)


# --- the schedules


@pytest.mark.parametrize(
    ("name", "hour", "minute", "weekdays"),
    [("recalibrate", 1, 30, range(1, 8)), ("nightly", 2, 0, range(1, 8)), ("weekly", 3, 0, [7])],
)
def test_runs_are_planned_for_the_hour_of_the_stated_time_zone(
    site: Site, name: str, hour: int, minute: int, weekdays: Sequence[int]
) -> None:
    def planned() -> list[datetime]:
        times = [run.expected_start_time for run in site.planned(name)]
        return [at.astimezone(ZoneInfo("Asia/Shanghai")) for at in times if at is not None]

    assert wait_until(lambda: len(planned()) >= 3, SECONDS_TO_RUN)
    local = planned()
    assert {(at.hour, at.minute) for at in local} == {(hour, minute)}
    assert {at.isoweekday() for at in local} <= {*weekdays}


def test_nothing_is_planned_for_the_quickstart(site: Site) -> None:
    assert site.deployment("quickstart").schedules == []


def test_a_second_weekly_run_waits_for_its_turn(site: Site) -> None:
    first, second = site.start("weekly"), site.start("weekly")
    try:
        assert site.ask_for_turn(first) == "Pending"
        assert site.ask_for_turn(second) == "AwaitingConcurrencySlot"
        site.client.delete_flow_run(first.id)
        assert site.ask_for_turn(second) == "Pending"
    finally:
        site.client.delete_flow_run(second.id)


@dataclass(frozen=True)
class Night:
    """What came of a night: the run that a schedule fired, and one asked for while it ran.

    Attributes
    ----------
    fired, second : FlowRun
        Both, when they had ended.
    results : Path
        Folder of their run folders.
    """

    fired: FlowRun
    second: FlowRun
    results: Path


@pytest.fixture(scope="module")
def night(site: Site, worker: None, small: Path, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """Have the nightly sweep fire in a few seconds, and ask for another run meanwhile."""
    results = tmp_path_factory.mktemp("results")
    parameters = {
        "config": str(small),
        "results_dir": str(results),
        "cluster": {"kind": "local", "workers": 1},
    }
    with site.fires("nightly", **parameters) as fired:
        second = site.start("nightly", timedelta(0), **parameters)
        return Night(site.ended(fired), site.ended(second), results)


def test_a_sweep_fires_on_its_schedule_and_finishes(night: Night) -> None:
    run = night.fired
    assert run.auto_scheduled
    assert run.state_name == "Completed", run.state
    assert run.start_time is not None
    assert run.expected_start_time is not None
    assert run.start_time >= run.expected_start_time
    (folder,) = night.results.iterdir()
    assert open_run(folder).manifest.status == "complete"
    assert run.name == folder.name
    assert {"huzhu", "nightly"} <= {*run.tags}


def test_a_calibration_is_done_again_when_its_figures_have_changed(
    site: Site, worker: None, tmp_path: Path
) -> None:
    file, results = written(tmp_path / "pool"), tmp_path / "calibrations"
    parameters = {
        "config": str(file),
        "results_dir": str(results),
        "overrides": ["sampler.particles=20", "sampler.most_moves=2", "sampler.final_moves=0"],
        "cluster": {"kind": "local", "workers": 1},
    }

    def calibrated() -> set[Path]:
        run = site.ended(site.start("recalibrate", timedelta(0), **parameters))
        assert run.state_name == "Completed", run.state
        return {path for path in results.iterdir() if path.is_dir()}

    first = calibrated()
    (folder,) = first
    written_at = (folder / "manifest.json").stat().st_mtime_ns
    assert calibrated() == first
    assert (folder / "manifest.json").stat().st_mtime_ns == written_at
    figures = file.parent / "published.csv"
    figures.write_text(figures.read_text() + "\n2020-07-14,members,400000,everybody,4000")
    again = calibrated()
    (newest,) = again - first
    assert open_calibration(newest).table("figures").num_rows == 12
    assert newest.name in (results / "found_again.yaml").read_text()


def test_a_run_that_overlaps_with_the_nightly_one_is_refused(night: Night) -> None:
    state = night.second.state
    assert state is not None
    assert (state.name, state.message) == ("Cancelled", "Deployment concurrency limit reached.")


def test_the_page_of_a_run_shows_progress_table_picture_and_link(site: Site, night: Night) -> None:
    (folder,) = night.results.iterdir()
    shown = site.artifacts(night.fired)
    assert [*shown] == ["picture", "progress", "results", "summary"]
    assert shown["progress"] == 100
    assert show_run(open_run(folder)) in shown["summary"]
    assert folder.as_uri() in shown["results"]
    picture = base64.b64encode((folder / f"{PICTURE_NAME}.png").read_bytes()).decode()
    assert shown["picture"] == f"data:image/png;base64,{picture}"


def test_the_process_of_a_run_sends_nothing_to_anybody(site: Site) -> None:
    variables = site.deployment("nightly").job_variables["env"]
    assert {*variables} == {
        "DO_NOT_TRACK",
        "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY",
        "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS",
        *SAFE_PATH,
    }
    assert variables.items() <= {**DEFAULTS, **SAFE_PATH}.items()


# --- the notices


class Hook(ThreadingHTTPServer):
    """A webhook on loopback that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Keeping)
        self.told: list[Any] = []
        self.address = f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Keeping(BaseHTTPRequestHandler):
    """Keeps the JSON of each request."""

    server: Hook

    def do_POST(self) -> None:
        self.server.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_documented_automation_tells_a_webhook_of_a_failed_run(
    site: Site, hook: Hook, tmp_path: Path
) -> None:
    with temporary_settings({"PREFECT_API_URL": site.variables["PREFECT_API_URL"]}):
        block = Webhook(method="POST", url=SecretStr(hook.address)).save("huzhu-notice")
    (documented,) = re.findall(
        r"^```yaml\n(.*?)^```", (ROOT / "docs/schedules.md").read_text(), re.MULTILINE | re.DOTALL
    )
    file = tmp_path / "automations.yaml"
    file.write_text(documented.replace("BLOCK", str(block)))
    _prefect(site.variables, "automation", "create", "--from-file", str(file))
    run = site.start("nightly")
    site.client.set_flow_run_state(run.id, Failed(message='it said "no"'), force=True)
    assert wait_until(lambda: bool(hook.told), SECONDS_TO_RUN)
    assert hook.told == [{"text": f'{run.name}: Failed: it said "no"'}]
