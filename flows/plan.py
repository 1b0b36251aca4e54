"""From a configuration to a run folder: what is to be computed, what is there, what is missing.

No Prefect and no Dask: `huzhu run` plans before it starts either, so that bad input is answered at
once and leaves nothing behind.
"""

import dataclasses
import hashlib
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Final

from pydantic.fields import FieldInfo

from configs.dotted import place_of
from configs.load import Config, digest, dump, load
from configs.scenario import Scenario
from configs.sweep import engines, point_count, values_at
from flows import layout
from flows.layout import Shard
from results.manifest import FileRecord, Manifest
from results.schema import points_table
from results.store import RunStore, check_writable, create_run

RESULTS_DIR: Final = "results/runs"
"""Folder of all runs unless another is named, relative to the working directory."""

DIGITS: Final = 12
"""Digits of the digest in a folder's name."""

BYTES_A_ROW: Final = 100
"""What a row of `periods` takes on disk, about: to say beforehand that a disk is too small."""

BYTES_A_MEMBER: Final = 12
"""The same of a row of `members`: 4 where charges are alike, 13 where each member has his own."""

LIBRARIES: Final = ("huzhu", "numpy", "numba", "pyarrow", "duckdb", "distributed", "prefect")
"""Those whose version the manifest records: numbers, or how they came about, depend on them."""


@dataclass(frozen=True)
class Plan:
    """One run as planned: a function of configuration, seed and version, and where it goes.

    Attributes
    ----------
    config : Config
        The sweep as resolved.
    seed : int
        Seed of the run.
    digest : str
        Digest of all that decides the numbers.
    folder : Path
        The run folder.
    shards : tuple of Shard
        All shards of the run, in order.
    """

    config: Config
    seed: int
    digest: str
    folder: Path
    shards: tuple[Shard, ...]

    @property
    def store(self) -> RunStore:
        """The files of the run."""
        return RunStore(self.folder)

    @property
    def paths(self) -> int:
        """Paths over all points."""
        return self.shards[-1].stop

    def missing(self) -> tuple[Shard, ...]:
        """Return the shards that are not on disk, whole, in order."""
        finished = self.store.finished_shards()
        return tuple(
            shard
            for shard in self.shards
            if shard.index not in finished
            or finished[shard.index].details.get("paths") != shard.stop - shard.first
        )

    def bytes_of(self, shards: Iterable[Shard]) -> int:
        """Return about how many bytes the files of some shards take.

        If no path closes early and, in the member engine, everybody of the market joins once.
        """
        scenario, used = self.config.scenario, engines(self.config)
        paths = sum(shard.stop - shard.first for shard in shards)
        periods = scenario.periods * len(scenario.plans) * BYTES_A_ROW
        sampled = scenario.market_members * self.config.sweep.members_sample
        members = sampled * BYTES_A_MEMBER * used.count("member") / len(used)
        return paths * (periods + round(members))

    def is_complete(self) -> bool:
        """Whether the run is there, whole: every shard, and every file that its manifest names."""
        manifest = self.store.read_manifest()
        return (
            manifest is not None
            and manifest.status == "complete"
            and all(_is_whole(self.folder, entry) for entry in manifest.files)
            and not self.missing()
        )


def plan(
    config_file: Path | str,
    results_dir: Path | str = RESULTS_DIR,
    seed: int | None = None,
    overrides: Sequence[str] = (),
) -> Plan:
    """Plan a run; reads the configuration and writes nothing.

    Parameters
    ----------
    config_file : path
        The configuration.
    results_dir : path
        Folder of the run folders.
    seed : int, optional
        In place of the configuration's.
    overrides : sequence of str
        `dotted.field=value`, each in place of the configuration's value.

    Raises
    ------
    ConfigError
        The configuration cannot be used.
    """
    sets = [*overrides, *([] if seed is None else [f"sweep.seed={seed}"])]
    config = load(config_file, sets)
    cause = digest(config, config.sweep.seed)
    folder = Path(results_dir) / f"{config.name}-{cause[:DIGITS]}"
    return Plan(config, config.sweep.seed, cause, folder, layout.shards(config))


def begin(run: Plan) -> Manifest:
    """Make the run folder with all that is known before the first path; the manifest last.

    Raises
    ------
    StoreError
        The folder cannot be written.
    """
    check_writable(run.folder.parent, run.bytes_of(run.missing()))
    store = create_run(run.folder)
    store.remove_leftovers()
    manifest = dataclasses.replace(manifest_of(run), files=_write_inputs(run))
    store.write_manifest(manifest)
    return manifest


def _write_inputs(run: Plan) -> tuple[FileRecord, ...]:
    """Write what the run is computed from: the resolved configuration, and its points."""
    points = [values_at(run.config, i) for i in range(point_count(run.config))]
    fields = {name: place_of(Scenario, name.split(".")) for name in run.config.sweep.axes}
    swept = {name: place.field for name, place in fields.items() if place and place.field}
    units = {name: _unit(field) for name, field in swept.items()}
    meanings = {name: field.description or name for name, field in swept.items()}
    return (
        run.store.write_file("config.yaml", dump(run.config)),
        run.store.write_table("points", points_table(points, units, meanings)),
    )


def _unit(field: FieldInfo) -> str:
    """Return the unit of a field of the scenario, 1 where it has none."""
    extra = field.json_schema_extra
    return str(extra.get("unit") or "1") if isinstance(extra, dict) else "1"


def _is_whole(folder: Path, entry: FileRecord) -> bool:
    """Whether a file is there as it was written."""
    path = folder / entry.path
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256


def manifest_of(run: Plan) -> Manifest:
    """Return the manifest that a run starts with."""
    scenario, sweep = run.config.scenario, run.config.sweep
    return Manifest(
        name=run.config.name,
        scenario_title=scenario.title,
        digest=run.digest,
        seed=run.seed,
        config=run.config.model_dump(mode="json"),
        versions=versions(),
        plans=tuple(scenario.plans),
        periods=scenario.periods,
        periods_per_year=scenario.periods_per_year,
        points=point_count(run.config),
        paths_per_point=sweep.paths,
        shards=len(run.shards),
        axes={name: list(values) for name, values in sweep.axes.items()},
        started=datetime.now().astimezone().isoformat(timespec="seconds"),
    )


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that a run rests on."""
    return {"python": platform.python_version(), **{name: version_of(name) for name in LIBRARIES}}


def version_of(library: str) -> str:
    """Return the version of an installed library."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"
