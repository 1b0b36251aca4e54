"""What a run folder says about itself: records of files and shards, and the manifest."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from results.brief import in_brief
from results.schema import RESULTS_FORMAT, SHARDED_TABLES

Status = Literal["running", "complete", "failed"]
"""How far a run is; "failed" when at least one of its points did not finish."""


@dataclass(frozen=True)
class FileRecord:
    """One file of a run.

    Attributes
    ----------
    path : str
        Relative to the run folder, with forward slashes.
    rows : int
        Rows of the table in it; 0 for a file that is no table.
    bytes : int
        Size.
    sha256 : str
        Checksum of the content, in hexadecimal.
    """

    path: str
    rows: int
    bytes: int
    sha256: str

    @property
    def table(self) -> str:
        """Name of the folder it is in: for a Parquet file, of its table."""
        return self.path.split("/", maxsplit=1)[0]


@dataclass(frozen=True)
class Failure:
    """What could not be simulated, with all that is needed to do it again.

    Attributes
    ----------
    shard : int
        Number of the shard in which it failed.
    point, path : int or None
        Which point, and the path at which it failed; None where that is not known.
    seed : int
        Seed of the point's draws.
    parameters : mapping
        Swept fields of the point by their dotted paths, as JSON.
    error : str
        What the error says.
    traceback : str
        Where it was raised; empty where that is not known.
    """

    shard: int
    point: int | None
    path: int | None
    seed: int
    parameters: Mapping[str, Any]
    error: str
    traceback: str

    @classmethod
    def from_json(cls, failure: Mapping[str, Any]) -> Failure:
        """Return the failure read from JSON; KeyError or TypeError if it is not one."""
        return cls(**{entry.name: failure[entry.name] for entry in dataclasses.fields(cls)})

    def told(self) -> str:
        """Return in a line what failed and why."""
        place = f"shard {self.shard}" if self.point is None else f"point {self.point}"
        path = "" if self.path is None else f", path {self.path}"
        swept = ", ".join(f"{name}={in_brief(value)}" for name, value in self.parameters.items())
        reason = (self.error.splitlines() or ["no reason given"])[0]
        return f"{place}{path}{f' ({swept})' if swept else ''}, seed {self.seed}: {reason}"


@dataclass(frozen=True)
class ShardRecord:
    """A finished shard: its files, what failed in it, and what its worker reports.

    Attributes
    ----------
    shard : int
        Number of the shard.
    files : tuple of FileRecord
        Its table files.
    details : mapping
        What the worker adds, as JSON: paths done, kernel seconds, …
    failures : tuple of Failure
        What of it could not be simulated, and is not in the files.
    """

    shard: int
    files: tuple[FileRecord, ...]
    details: Mapping[str, Any] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ShardRecord:
        """Return the record read from JSON; KeyError or TypeError if it is not one."""
        files = tuple(FileRecord(**entry) for entry in record["files"])
        failures = tuple(map(Failure.from_json, record.get("failures", ())))
        return cls(record["shard"], files, record["details"], failures)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a run is, what made it, and which files it consists of.

    Attributes
    ----------
    name, scenario_title : str
        Name of the configuration; title of its scenario, for headings.
    digest : str
        Digest of the resolved configuration, the seed and the program's version.
    seed : int
        Seed of every draw.
    config : mapping
        The configuration as resolved, as JSON.
    versions : mapping of str to str
        Version of Python, of this program and of the libraries the numbers depend on.
    plans : tuple of str
        Plans of all points in order, the main plan first; a point may have others than the first
        one has (`results.shapes`).
    periods, periods_per_year : int
        Periods simulated at most, over all points; how many make a year in the scenario, of which
        points may differ too.
    points, paths_per_point, shards : int
        Size of the sweep as planned; no shards before it is cut.
    shard_pairs : int or None
        How many pairs of point and path a shard holds; None before the sweep is cut.
    axes : mapping of str to sequence
        Values of each swept field by its dotted path.
    started, finished : str
        Times in ISO 8601 with the offset; `finished` None while it runs.
    status : {"running", "complete", "failed"}
        How far it is. "failed": at least one point did not finish.
    wall_seconds, kernel_seconds, overhead_seconds : float
        Time of the run; of the kernels, summed over the workers; and what the run cost beyond
        them.
    paths : int
        Paths finished.
    rows : mapping of str to int
        Rows of each table.
    files : tuple of FileRecord
        Files that belong to no shard: points, summary, configuration, pictures, and the tables
        that were put together from the shards' files.
    shard_files : tuple of ShardRecord
        Finished shards with the checksums of their files, unless these were put together.
    failures : tuple of Failure
        What failed, in order of the shards, with what is needed to run it again.
    format : int
        Version of the folder's layout (`results.schema.RESULTS_FORMAT`).
    """

    name: str
    scenario_title: str
    digest: str
    seed: int
    config: Mapping[str, Any]
    versions: Mapping[str, str]
    plans: tuple[str, ...]
    periods: int
    periods_per_year: int
    points: int
    paths_per_point: int
    shards: int
    axes: Mapping[str, Sequence[Any]]
    started: str
    finished: str | None = None
    status: Status = "running"
    wall_seconds: float = 0.0
    kernel_seconds: float = 0.0
    overhead_seconds: float = 0.0
    paths: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    files: tuple[FileRecord, ...] = ()
    shard_files: tuple[ShardRecord, ...] = ()
    failures: tuple[Failure, ...] = ()
    shard_pairs: int | None = None
    format: int = RESULTS_FORMAT

    @property
    def compacted(self) -> bool:
        """Whether `files` holds the rows of all shards, whose own files then count no more."""
        return any(entry.table in SHARDED_TABLES for entry in self.files)

    @classmethod
    def from_json(cls, manifest: Mapping[str, Any]) -> Manifest:
        """Return the manifest read from JSON; KeyError or TypeError if it is not one."""
        known = {entry.name for entry in dataclasses.fields(cls)}
        values = {name: value for name, value in manifest.items() if name in known}
        values["plans"] = tuple(manifest["plans"])
        values["files"] = tuple(FileRecord(**entry) for entry in manifest["files"])
        values["shard_files"] = tuple(map(ShardRecord.from_json, manifest["shard_files"]))
        values["failures"] = tuple(map(Failure.from_json, manifest["failures"]))
        return cls(**values)
