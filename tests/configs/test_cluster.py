"""Where a sweep is computed: what a file or a command line may say, and what it may not."""

import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from configs.cluster import (
    KINDS,
    Gateway,
    JobQueue,
    Kubernetes,
    Local,
    Scheduler,
    Tls,
    cluster_of,
    local_of,
)
from configs.json_schema import json_schema
from configs.load import Config, ConfigError, digest, load

ROOT = Path(__file__).parents[2]
Written = Callable[[str], str]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Return a function that writes a file for `--cluster`, and returns its path."""

    def write(text: str) -> str:
        file = tmp_path / "cluster.yaml"
        file.write_text(dedent(text))
        return str(file)

    return write


@pytest.mark.parametrize(
    ("text", "cluster"),
    [
        ("local", Local()),
        ("tcp://10.0.0.1:8786", Scheduler(address="tcp://10.0.0.1:8786")),
        ("tcp://[::1]:8786", Scheduler(address="tcp://[::1]:8786")),
    ],
)
def test_a_word_or_an_address_is_a_cluster(text: str, cluster: Local | Scheduler) -> None:
    assert cluster_of(text) == cluster


TLS = """
kind: scheduler
address: tls://cluster.example.org:8786
tls: {ca_file: ca.pem, certificate_file: me.pem, key_file: me.key}
"""


@pytest.mark.parametrize(
    ("text", "cluster"),
    [
        ("workers: 3", Local(workers=3)),
        ("cluster: {kind: local, memory_bytes: 2 GB}", Local(memory_bytes=2 * 10**9)),
        ("{kind: local, memory_bytes: 2e9}", Local(memory_bytes=2 * 10**9)),
        (
            TLS,
            Scheduler(
                address="tls://cluster.example.org:8786",
                tls=Tls(
                    ca_file=Path("ca.pem"),
                    certificate_file=Path("me.pem"),
                    key_file=Path("me.key"),
                ),
            ),
        ),
        (
            "{kind: jobqueue, system: slurm, jobs: 8, options: {cores: 1, memory: 2GB}}",
            JobQueue(system="slurm", jobs=8, options={"cores": 1, "memory": "2GB"}),
        ),
        (
            "{kind: gateway, address: 'https://gateway.example.org', workers: 4}",
            Gateway(address="https://gateway.example.org", workers=4),
        ),
        (
            "{kind: kubernetes, image: 'registry.example.org/huzhu:1', workers: 4}",
            Kubernetes(image="registry.example.org/huzhu:1", workers=4),
        ),
    ],
)
def test_a_file_describes_a_cluster(written: Written, text: str, cluster: object) -> None:
    assert cluster_of(written(text)) == cluster


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tcp://10.0.0.1", r"^--cluster: address: expected tcp://host:port or tls://host:port, "),
        ("http://10.0.0.1:8786", r"^--cluster: address: expected tcp://host:port or "),
        (
            "tls://10.0.0.1:8786",
            r"^--cluster: tls: expected ca_file, certificate_file and key_file with tls://$",
        ),
        (
            "cloud",
            r"^--cluster: expected `local`, the address of a scheduler, such as tcp://10\.0\.0\.1"
            r":8786, or an existing YAML file, got 'cloud'$",
        ),
    ],
)
def test_what_is_no_cluster_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        cluster_of(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "kind: kubernets",
            r"kind: expected one of local, .*, got 'kubernets'; did you mean",
        ),
        ("kind: [local]", r"kind: expected one of local, .*, got \["),
        ("- local", r"cluster: expected a mapping, got \["),
        ("worker: 2", r"worker: expected a known field, got 'worker'; did you mean workers\?"),
        ("workers: 0", r"workers: expected at least 1, got 0 \(processes; "),
        ("memory_bytes: 4 sacks", r"memory_bytes: expected a number of bytes, such as 4GB or "),
        ("memory_bytes: 4", r"memory_bytes: expected at least 1_000_000, got 4 "),
        ("kind: scheduler", r"address: expected text, got nothing \(of the scheduler"),
        (
            "{kind: scheduler, address: 'tcp://a:1', tls: "
            "{ca_file: a, certificate_file: b, key_file: c}}",
            r"address: expected tls://… with certificates, got 'tcp://a:1'",
        ),
        (
            "{kind: scheduler, address: 'tls://a:1', tls: {ca_file: a, key_file: c}}",
            r"tls.certificate_file: expected the path of a file, got nothing \(certificate of this",
        ),
        (
            "{kind: jobqueue, system: slrm, jobs: 1}",
            r"system: expected one of slurm, .*, got 'slrm'; did you mean slurm\?",
        ),
        ("{kind: jobqueue, system: slurm}", r"jobs: expected a whole number, at least 1, got "),
        ("{kind: gateway, address: a, workers: 1}", r"address: expected http://… or https://…, "),
        ("{kind: kubernetes, workers: 1}", r"image: expected text, got nothing \(container image"),
        (
            "{kind: kubernetes, workers: 1, image: a, name: My_Cluster}",
            r"name: expected at most 50 small letters, digits and hyphens, got 'My_Cluster'",
        ),
        ("{kind: kubernetes, workers: 1, image: a, password: b}", r"password: expected a known "),
        ("kind: [", r"expected YAML, but "),
    ],
)
def test_a_bad_file_is_told_with_file_and_field(written: Written, text: str, message: str) -> None:
    file = written(text)
    with pytest.raises(ConfigError, match=message) as refused:
        cluster_of(file)
    assert str(refused.value).startswith((f"{file}: ", f"{file} line 1: "))


def test_options_of_a_command_line_describe_this_machine() -> None:
    assert local_of(2, "4GB") == Local(workers=2, memory_bytes=4 * 10**9)
    assert local_of(None, None) == Local()
    with pytest.raises(ConfigError, match=r"^--memory: memory_bytes: expected a number of bytes"):
        local_of(2, "much")


def test_the_schema_takes_a_size_as_a_number_or_as_text() -> None:
    declared = json_schema()["$defs"]["Local"]["properties"]["memory_bytes"]
    assert {form["type"] for form in declared["anyOf"]} == {"integer", "string", "null"}


def with_cluster(small: Path, text: str) -> Config:
    file = small.with_name("with_cluster.yaml")
    file.write_text(f"extends: {small.name}\nname: {small.stem}\n{text}\n")
    return load(file)


def test_a_cluster_is_no_cause_of_a_runs_numbers(small: Path) -> None:
    plain = load(small)
    elsewhere = with_cluster(small, "cluster: {kind: scheduler, address: 'tcp://10.0.0.1:8786'}")
    assert elsewhere.cluster == Scheduler(address="tcp://10.0.0.1:8786")
    assert digest(elsewhere, 1) == digest(plain, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cluster: {workers: 0}", r": cluster.workers: expected at least 1, got 0 "),
        ("cluster: {worker: 1}", r": cluster.worker: expected a known .*; did you mean workers\?"),
        ("cluster: {kind: cloud}", r": cluster.kind: expected one of local, scheduler, "),
        ("cluster: local", r": cluster: expected a mapping, got 'local'"),
    ],
)
def test_a_bad_section_of_a_configuration_is_told_with_its_field(
    small: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        with_cluster(small, text)


def test_a_worker_reads_a_section_whose_certificates_it_does_not_have(small: Path) -> None:
    indented = TLS.strip().replace("\n", "\n  ")
    config = with_cluster(small, f"cluster:\n  {indented}")
    assert Config.model_validate(config.model_dump(mode="json")) == config


DOCUMENTED = re.findall(
    r"```yaml\n(cluster:.*?)```", (ROOT / "docs" / "clusters.md").read_text("utf-8"), re.DOTALL
)


def test_every_kind_is_documented_by_an_example_that_loads(written: Written) -> None:
    kinds = {cluster_of(written(text)).kind for text in DOCUMENTED}
    assert kinds == set(KINDS)
