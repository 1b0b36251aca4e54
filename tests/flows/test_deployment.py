"""`prefect.yaml` against a real server: deployed, started, and run by a process worker."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.server import Server
from results.run import open_run
from tests.flows.conftest import ROOT, environment_of

pytestmark = pytest.mark.end_to_end


def test_the_deployment_runs_on_a_process_worker(
    small: Path, tmp_path: Path, prefect_home: Path, prefect_server: Server
) -> None:
    variables = environment_of(prefect_home, PREFECT_API_URL=prefect_server.address, PWD=str(ROOT))

    def prefect(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *arguments],
            cwd=ROOT,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    prefect("work-pool", "create", "huzhu", "--type", "process")
    prefect("--no-prompt", "deploy", "--all")
    parameters = [f"config={small}", f"results_dir={tmp_path}", "workers=1"]
    flags = [flag for parameter in parameters for flag in ("--param", parameter)]
    prefect("deployment", "run", "sweep/quickstart", *flags)
    prefect("worker", "start", "--pool", "huzhu", "--run-once")
    (folder,) = tmp_path.iterdir()
    assert open_run(folder).manifest.status == "complete"
