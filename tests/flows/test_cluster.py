"""Clusters: of this machine, of commands of their own, with certificates, of a batch system."""

import datetime
import ipaddress
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import dask
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from distributed import KilledWorker

from configs import cluster as configured
from flows import cluster
from flows.cluster import ClusterError
from flows.code import short_code
from tests.flows.conftest import ROOT, environment_of
from tests.flows.processes import Scheduler, free_port, wait_until

pytestmark = pytest.mark.end_to_end


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that looks like a run's."""
    made = tmp_path / "run"
    made.mkdir()
    (made / "manifest.json").write_text("{}")
    return made


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Scheduler]:
    """Return a scheduler that is not started yet, and is ended at the end."""
    made = Scheduler(tmp_path)
    try:
        yield made
    finally:
        made.end()


def at(scheduler: Scheduler, workers: int = 1) -> configured.Scheduler:
    return configured.Scheduler(address=scheduler.address, least_workers=workers, wait_seconds=60)


def test_processes_of_this_machine_have_one_thread_and_the_memory_they_are_given(
    folder: Path,
) -> None:
    settings = configured.Local(workers=2, memory_bytes=700_000_000)
    with cluster.connected(settings) as here:
        assert (here.workers, here.threads, here.memory_bytes) == (2, 2, 700_000_000)
        assert here.ours
        assert here.describe() == "this machine: 2 workers of 0.7 GB"
        cluster.check_workers(here.client, str(folder))
        variables = here.client.run(os.getenv, "NUMBA_NUM_THREADS")
    assert set(variables.values()) == {"1"}


def test_workers_of_their_own_commands_are_used_and_left_alone(
    scheduler: Scheduler, folder: Path
) -> None:
    scheduler.start(2)
    for _ in range(2):
        with cluster.connected(at(scheduler, 2)) as here:
            assert not here.ours
            assert here.threads == 2
            cluster.check_workers(here.client, str(folder))
            assert len(cluster.workers_by_host(here.client)["127.0.0.1"]) == 2
            codes = here.client.run(short_code)
    assert set(codes.values()) == {short_code()}


def test_a_worker_with_other_code_is_named(
    scheduler: Scheduler, folder: Path, tmp_path: Path
) -> None:
    for room in ("configs", "flows", "kernels", "results"):
        skip = shutil.ignore_patterns("__pycache__", "runs", "*.yaml")
        shutil.copytree(ROOT / room, tmp_path / "other" / room, ignore=skip)
    with (tmp_path / "other" / "kernels" / "lapse.py").open("a") as file:
        file.write("# one line more\n")
    scheduler.start(1)
    scheduler.add_workers(1, PYTHONPATH=str(tmp_path / "other"))
    with (
        cluster.connected(at(scheduler, 2)) as here,
        pytest.raises(ClusterError) as refused,
    ):
        cluster.check_workers(here.client, str(folder))
    first, *remedy = str(refused.value).splitlines()
    assert first.startswith("worker tcp://127.0.0.1:")
    assert first.endswith(": another source of huzhu")
    assert len(remedy) == 1


def test_a_worker_without_huzhu_is_named(
    scheduler: Scheduler, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "other" / "flows").mkdir(parents=True)  # in the way of ours
    (tmp_path / "other" / "flows" / "__init__.py").touch()
    scheduler.start(1, PYTHONPATH=str(tmp_path / "other"))
    with (
        cluster.connected(at(scheduler)) as here,
        pytest.raises(ClusterError, match=r"^worker tcp://.*: huzhu is not installed there \(Mod"),
    ):
        cluster.check_workers(here.client, str(folder))


def test_a_worker_that_does_not_see_the_folder_is_named(
    scheduler: Scheduler, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler.start(1)
    shutil.copytree(folder, folder / "here" / "seen")
    monkeypatch.chdir(folder / "here")  # where no worker works
    with (
        cluster.connected(at(scheduler)) as here,
        pytest.raises(ClusterError, match=r"worker tcp://.*: seen: there is no such run folder"),
    ):
        cluster.check_workers(here.client, "seen")


def test_a_scheduler_that_does_not_answer_is_told_with_a_remedy(scheduler: Scheduler) -> None:
    settings = configured.Scheduler(address=scheduler.address, wait_seconds=1)
    with (
        pytest.raises(ClusterError, match=r"^tcp://.*: no Dask scheduler answers within 1 s"),
        cluster.connected(settings),
    ):
        pass


def test_a_scheduler_without_workers_is_told_with_a_remedy(scheduler: Scheduler) -> None:
    scheduler.start(0)
    settings = configured.Scheduler(address=scheduler.address, wait_seconds=4)
    with (
        pytest.raises(ClusterError, match=r": 0 of 1 workers within 4 s; start some"),
        cluster.connected(settings),
    ):
        pass


def test_a_cluster_whose_library_is_missing_says_what_to_install() -> None:
    settings = configured.Kubernetes(image="huzhu", workers=1)
    message = r"^dask-kubernetes is not installed .*; pip install 'huzhu\[kubernetes\]'$"
    with pytest.raises(ClusterError, match=message), cluster.connected(settings):
        pass


def test_a_queue_whose_commands_are_not_here_is_told() -> None:
    settings = configured.JobQueue(
        system="slurm", jobs=1, options={"cores": 1, "memory": "1GB", "queue": "short"}
    )
    message = r"^cannot start a jobqueue cluster: there is no `sbatch` on this machine; start huzhu"
    with pytest.raises(ClusterError, match=message), cluster.connected(settings):
        pass


def test_a_certificate_that_is_not_there_is_told_with_its_field(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.touch()
    tls = configured.Tls(ca_file=file, certificate_file=tmp_path / "me.pem", key_file=file)
    settings = configured.Scheduler(address="tls://127.0.0.1:1", tls=tls)
    message = r"^cluster.tls.certificate_file: expected a file of this machine, got /.*/me.pem$"
    with pytest.raises(ClusterError, match=message), cluster.connected(settings):
        pass


def test_a_lost_scheduler_is_no_failed_task(scheduler: Scheduler) -> None:
    scheduler.start(1)
    settings = at(scheduler).model_copy(update={"wait_seconds": 5.0})
    with cluster.connected(settings) as here:
        client = here.client
        failed = client.submit(os.stat, "/there/is/none", pure=False).exception()
        assert not cluster.lost(failed, client)
        waiting = client.submit(time.sleep, 60, pure=False)
        scheduler.kill()
        began = time.monotonic()
        with pytest.raises(CancelledError) as noticed:
            waiting.result()
        assert cluster.lost(noticed.value)
        with pytest.raises(CancelledError) as late:  # handed out while there is no scheduler
            client.submit(os.getpid, pure=False).result()
        assert cluster.lost(late.value)
        assert time.monotonic() - began < 15
        with pytest.raises(Exception, match=r"broadcast|closed") as closed:
            client.run(os.getpid)
        assert cluster.lost(closed.value, client)


def test_a_task_that_kills_its_workers_is_no_lost_scheduler() -> None:
    with cluster.connected(configured.Local(workers=1)) as here:
        killed = here.client.submit(os.abort, pure=False).exception()
        assert isinstance(killed, KilledWorker)
        assert not cluster.lost(killed, here.client)


def test_a_worker_that_is_slow_to_come_back_is_not_given_up() -> None:
    """Dask gives up, for good, who is away for so long; on a busy machine that is soon over."""
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "0.1 s"}),
        cluster.connected(configured.Local(workers=1)) as here,
    ):
        first = here.client.submit(os.getpid, pure=False).result(timeout=60)
        os.kill(first, signal.SIGKILL)
        # given up, it would still come up, and be ended as soon as it has
        here.client.submit(time.sleep, 3, pure=False).result(timeout=30)


JOBS = """
import json, os, sys
from configs.cluster import JobQueue
from flows import cluster

run, space = sys.argv[1:]
options = {"cores": 1, "memory": "1GB", "local_directory": space}
if __name__ == "__main__":
    with cluster.connected(
        JobQueue(system="local", jobs=2, options=options, wait_seconds=60)
    ) as here:
        here.client.wait_for_workers(2, timeout=60)
        cluster.check_workers(here.client, run)
        variables = here.client.run(os.getenv, "NUMBA_NUM_THREADS")
        processes = here.client.run(os.getpid)
        print(json.dumps([here.threads, *variables.values(), *processes.values()]))
"""


def test_jobs_of_a_batch_system_are_workers(folder: Path, tmp_path: Path) -> None:
    """The batch system `local` runs each job script as a process: all but the queue is real.

    In a process of its own, for its class leaves files open.
    """
    done = subprocess.run(
        [sys.executable, "-c", JOBS, str(folder), str(tmp_path)],
        # the class looks for a line of the worker's log, which an earlier test may have silenced
        env=environment_of(tmp_path, DASK_LOGGING__DISTRIBUTED="info"),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    threads, one, other, *processes = json.loads(done.stdout.splitlines()[-1])
    assert (threads, one, other) == (2, "1", "1")
    assert wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes))


# A gateway

GATEWAY = """
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.DaskGateway.address = "127.0.0.1:{private}"
c.Proxy.address = "127.0.0.1:{public}"
c.UnsafeLocalBackend.clusters_directory = "{folder}"
c.ClusterConfig.environment = {{"NUMBA_NUM_THREADS": "1", "PYTHONPATH": "{root}"}}
c.ClusterConfig.worker_memory = "1 G"
c.ClusterConfig.scheduler_cmd = ["{python}", "-m", "dask", "scheduler"]
c.ClusterConfig.worker_cmd = ["{python}", "-m", "dask", "worker"]
"""


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[str]:
    """Run a gateway whose clusters are processes of this machine; its address."""
    program = shutil.which("dask-gateway-server", path=Path(sys.executable).parent)
    if program is None:
        pytest.skip("dask-gateway-server is for Linux only, and not installed here")
    port, file = free_port(), tmp_path / "gateway.py"
    file.write_text(
        GATEWAY.format(
            private=free_port(), public=port, folder=tmp_path, root=ROOT, python=sys.executable
        )
    )
    with (tmp_path / "gateway.log").open("wb") as log:
        process = subprocess.Popen([program, "-f", file], stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        assert wait_until(lambda: answers(f"{address}/api/health"))
        yield address
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str) -> bool:
    """Whether there is an answer at a URL."""
    try:
        with urllib.request.urlopen(url, timeout=10):
            return True
    except OSError:
        return False


def test_a_gateways_cluster_is_used_and_ended(gateway: str, folder: Path) -> None:
    settings = configured.Gateway(address=gateway, workers=2, wait_seconds=60)
    with cluster.connected(settings) as here:
        here.client.wait_for_workers(2, timeout=60)
        assert here.describe() == "a gateway cluster: 2 workers of 1.1 GB"
        assert all(address.startswith("tls://") for address in here.client.nthreads())
        cluster.check_workers(here.client, str(folder))
        processes = here.client.run(os.getpid).values()
    assert wait_until(lambda: not any(Path(f"/proc/{process}").exists() for process in processes))


def test_a_gateway_that_is_not_there_is_told(scheduler: Scheduler) -> None:
    settings = configured.Gateway(address=scheduler.address.replace("tcp", "http"), workers=2)
    with (
        pytest.raises(ClusterError, match=r"^cannot start a gateway cluster: .*[Cc]onnect"),
        cluster.connected(settings),
    ):
        pass


# Certificates


class Authority:
    """Signs certificates for 127.0.0.1."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._signed(self._name, self._key.public_key(), authority=True))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Return the files of a certificate and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate, secret = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate.write_bytes(self._signed(subject, key.public_key(), authority=False))
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate, secret

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, authority: bool) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)


def test_scheduler_workers_and_client_know_one_another_by_certificates(
    tmp_path: Path, folder: Path
) -> None:
    authority, stranger = Authority(tmp_path, "authority"), Authority(tmp_path, "stranger")
    theirs, their_key = authority.issue("cluster")
    options = ("--tls-ca-file", str(authority.file), "--tls-cert", str(theirs))
    scheduler = Scheduler(tmp_path, *options, "--tls-key", str(their_key), scheme="tls")

    def settings(signer: Authority, name: str) -> configured.Scheduler:
        certificate, key = signer.issue(name)
        tls = configured.Tls(ca_file=signer.file, certificate_file=certificate, key_file=key)
        return configured.Scheduler(
            address=scheduler.address, tls=tls, least_workers=2, wait_seconds=30
        )

    try:
        scheduler.start(2)
        with cluster.connected(settings(authority, "client")) as here:
            cluster.check_workers(here.client, str(folder))
            assert set(cluster.workers_by_host(here.client)) == {"127.0.0.1"}
            assert all(address.startswith("tls://") for address in here.client.nthreads())
        unknown = settings(stranger, "nobody").model_copy(update={"wait_seconds": 3.0})
        with (
            pytest.raises(ClusterError, match=r"^tls://.*: scheduler and client do not accept one"),
            cluster.connected(unknown),
        ):
            pass
    finally:
        scheduler.end()
