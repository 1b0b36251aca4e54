"""Where a sweep is computed: processes of this machine, or a Dask cluster of the user's.

The section says nothing about the numbers, which are the same on any cluster; so it does not count
in a run's digest.
"""

import os
import re
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    ValidationError,
    model_validator,
)

from configs import yaml_text
from configs.dotted import nearest, place_of
from configs.messages import ConfigError, Problem, problems_of, report, value
from configs.numbers import NumberError, read_number
from configs.record import Record
from configs.text_file import brief

_SIZE = re.compile(r"^\s*([0-9.]+)\s*([kMGT]?)i?B?\s*$", re.IGNORECASE)
MAX_BYTES = 10**15
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
KINDS = ("local", "scheduler", "jobqueue", "gateway", "kubernetes")


def _bytes(size: Any) -> Any:
    """Return a size given as text, 4GB say, in bytes."""
    if not isinstance(size, str):
        return size
    match = _SIZE.match(size)
    try:
        found = read_number(match[1]) * _UNITS[match[2].lower()] if match else None
    except NumberError:
        found = None
    if found is None:
        raise ValueError(f"expected a number of bytes, such as 4GB or 500 MB, got {brief(size)}")
    if found > MAX_BYTES:
        raise ValueError(f"expected at most 1000 TB, got {brief(size)}")
    return round(found)


def _form(pattern: str, expected: str) -> AfterValidator:
    """Declare what text looks like, and how messages say so."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(f"expected {expected}, got {text!r}")
        return text

    return AfterValidator(check)


Address = Annotated[
    str,
    _form(
        r"(tcp|tls)://[^\s/]+:[0-9]{1,5}",
        "tcp://host:port or tls://host:port, as the scheduler says when it starts",
    ),
]
GatewayAddress = Annotated[str, _form(r"https?://\S+", "http://… or https://…")]
ProxyAddress = Annotated[str, _form(r"gateway://[^\s/]+:[0-9]{1,5}", "gateway://host:port")]
ClusterName = Annotated[
    str, _form(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?", "at most 50 small letters, digits and hyphens")
]
Bytes = Annotated[int, Field(ge=10**6), BeforeValidator(_bytes, json_schema_input_type=int | str)]
Options = dict[str, JsonValue]


def _waiting() -> Any:
    """Declare how long a cluster's first worker is waited for."""
    return Field(
        default=600.0,
        gt=0,
        description="how long the first worker is waited for",
        json_schema_extra={"unit": "s"},
    )


class Local(Record):
    """Processes of this machine, one thread each."""

    kind: Literal["local"] = Field(default="local", description="which kind of cluster")
    workers: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="processes; without it one a usable core"
    )
    memory_bytes: Bytes | None = Field(
        default=None,
        description="what each process may use; without it an even part of the machine's",
        json_schema_extra={"unit": "bytes"},
    )


class Tls(Record):
    """Certificates with which scheduler, workers and client know one another.

    Whether the files are there is looked at by who connects: a worker reads the section too, and
    has no such files.
    """

    ca_file: Path = Field(description="certificate of the authority that signed the others")
    certificate_file: Path = Field(description="certificate of this client")
    key_file: Path = Field(description="private key of this client")


class Scheduler(Record):
    """A Dask scheduler that runs already, with workers of its own."""

    kind: Literal["scheduler"] = Field(default="scheduler", description="which kind of cluster")
    address: Address = Field(description="of the scheduler, tcp://host:port")
    tls: Tls | None = Field(default=None, description="certificates, with an address tls://")
    least_workers: int = Field(default=1, ge=1, description="how many workers are waited for")
    wait_seconds: float = Field(
        default=30.0,
        gt=0,
        description="how long scheduler and workers are waited for, at first and when lost",
        json_schema_extra={"unit": "s"},
    )

    @model_validator(mode="after")
    def _has_certificates_with_tls(self) -> Self:
        if self.address.startswith("tls://") and self.tls is None:
            raise ValueError("tls: expected ca_file, certificate_file and key_file with tls://")
        if self.tls is not None and not self.address.startswith("tls://"):
            raise ValueError(f"address: expected tls://… with certificates, got {self.address!r}")
        return self


class JobQueue(Record):
    """Workers as jobs of a batch system, through dask-jobqueue."""

    kind: Literal["jobqueue"] = Field(default="jobqueue", description="which kind of cluster")
    system: Literal["slurm", "pbs", "lsf", "sge", "htcondor", "oar", "moab", "local"] = Field(
        description="the batch system"
    )
    jobs: int = Field(ge=1, description="how many jobs")
    options: Options = Field(
        default_factory=dict, description="for dask-jobqueue's class: cores, memory, queue, …"
    )
    wait_seconds: float = _waiting()


class Gateway(Record):
    """A cluster that Dask Gateway starts; it is told who asks by Dask's own configuration."""

    kind: Literal["gateway"] = Field(default="gateway", description="which kind of cluster")
    address: GatewayAddress = Field(description="of the gateway")
    proxy_address: ProxyAddress | None = Field(
        default=None, description="of its schedulers' proxy; without it that of the gateway"
    )
    workers: int = Field(ge=1, description="how many workers")
    options: Options = Field(default_factory=dict, description="the gateway's cluster options")
    wait_seconds: float = _waiting()


class Kubernetes(Record):
    """A cluster that the Dask operator starts in Kubernetes."""

    kind: Literal["kubernetes"] = Field(default="kubernetes", description="which kind of cluster")
    name: ClusterName | None = Field(
        default=None, description="of the cluster; without it a new one each time"
    )
    image: str = Field(description="container image with huzhu installed")
    namespace: str | None = Field(default=None, description="where; without it the current one")
    workers: int = Field(ge=1, description="how many workers")
    options: Options = Field(default_factory=dict, description="for KubeCluster's class")
    wait_seconds: float = _waiting()


def _kind(section: Any) -> str:
    """Return the tag of a cluster's kind: `local` unless it says otherwise."""
    kind = section.get("kind", "local") if isinstance(section, dict) else section.kind
    return f"[{kind}]"


def _with_known_kind(section: Any) -> Any:
    """Make sure that a section says of which kind its cluster is."""
    if not isinstance(section, dict | Record):
        raise ValueError(f"expected a mapping, got {value(section)}")
    kind = section.get("kind", "local") if isinstance(section, dict) else None
    if kind is not None and kind not in KINDS:
        near = nearest(kind, KINDS) if isinstance(kind, str) else None
        remedy = f"; did you mean {near}?" if near else ""
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {value(kind)}{remedy}")
    return section


Cluster = Annotated[
    Annotated[Local, Tag("[local]")]
    | Annotated[Scheduler, Tag("[scheduler]")]
    | Annotated[JobQueue, Tag("[jobqueue]")]
    | Annotated[Gateway, Tag("[gateway]")]
    | Annotated[Kubernetes, Tag("[kubernetes]")],
    Discriminator(_kind),
    BeforeValidator(_with_known_kind),
]
"""Where a sweep is computed."""


class _File(Record):
    """What a file for `--cluster` holds."""

    cluster: Cluster


def cluster_of(text: str) -> "Local | Scheduler | JobQueue | Gateway | Kubernetes":
    """Return the cluster that a command line names.

    Parameters
    ----------
    text : str
        The word `local`; the address of a Dask scheduler; or a YAML file with one mapping: a
        section `cluster`, or what would stand in it.

    Raises
    ------
    ConfigError
        The message names file and field, what was expected and what came.
    """
    if text == "local":
        return Local()
    if "://" in text:
        return _checked({"kind": "scheduler", "address": text}, "--cluster")
    file = Path(text)
    if not os.path.isfile(file):  # unlike Path's, it takes names of any length
        raise ConfigError(
            "--cluster: expected `local`, the address of a scheduler, such as tcp://10.0.0.1:8786, "
            f"or an existing YAML file, got {brief(text)}"
        )
    tree = yaml_text.read(file)
    if isinstance(tree, dict) and isinstance(tree.get("cluster"), dict):
        tree = tree["cluster"]
    return _checked(tree, text)


def local_of(workers: int | None, memory: str | None) -> Local:
    """Return processes of this machine, as a command line describes them.

    Parameters
    ----------
    workers : int, optional
        Processes.
    memory : str, optional
        What each may use, as "4GB".

    Raises
    ------
    ConfigError
        The memory is no size.
    """
    found = _checked({"kind": "local", "workers": workers, "memory_bytes": memory}, "--memory")
    assert isinstance(found, Local)
    return found


def _checked(tree: Any, source: str) -> "Local | Scheduler | JobQueue | Gateway | Kubernetes":
    """Return a mapping as the cluster that it describes."""
    try:
        return _File.model_validate({"cluster": tree}).cluster
    except ValidationError as error:
        problems = [
            Problem(problem.location[1:] or problem.location, problem.text)
            for problem in problems_of(error, partial(place_of, _File))
        ]
    raise ConfigError(report(problems, lambda _: source))
