"""From a configuration to a run folder: what is to be computed, what is there, what is missing.

No Prefect and no Dask: `huzhu run` plans before it starts either, so that bad input is answered at
once and leaves nothing behind.
"""

import dataclasses
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Final

from pydantic.fields import FieldInfo

from configs.dotted import place_of
from configs.load import Config, ConfigError, digest, dump, load
from configs.scenario import Scenario
from configs.sweep import (
    Sweep,
    column_values,
    columns,
    engine_at,
    point_count,
    rounds,
    shapes_of,
    values_at,
)
from flows.layout import Cut
from results.atomic import StoreError
from results.manifest import FileRecord, Manifest
from results.migration import outdated
from results.places import Folder, place
from results.precision import check_outcome
from results.run import RunError
from results.schema import points_table
from results.store import (
    CONFIG_NAME,
    MANIFEST_NAME,
    RunStore,
    check_writable,
    create_run,
    set_aside,
)

RESULTS_DIR: Final = "results/runs"
"""Folder of all runs unless another is named, relative to the working directory."""

BYTES_A_ROW: Final = 200
"""What a row of `periods` takes on disk, about, with its part of the other tables (100 to 200 were
measured): to say beforehand that a disk is too small."""

COPIES: Final = 2
"""How often rows are on disk while the shards' files are put together."""

BYTES_A_MEMBER: Final = 12
"""The same of a row of `members`: 4 where charges are alike, 13 where each member has his own."""

DIGITS: Final = 12
"""Digits of the digest in a folder's name."""

LIBRARIES: Final = (
    *("huzhu", "numpy", "numba", "scipy", "SALib", "pyarrow", "duckdb", "distributed", "prefect"),
)
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
    folder : Path or UPath
        The run folder.
    """

    config: Config
    seed: int
    digest: str
    folder: Folder

    @property
    def store(self) -> RunStore:
        """The files of the run."""
        return RunStore(self.folder)

    @property
    def address(self) -> str:
        """The run folder as a worker finds it, wherever it was started."""
        return str(self.folder.absolute() if isinstance(self.folder, Path) else self.folder)

    @property
    def points(self) -> int:
        """Points of the sweep."""
        return point_count(self.config)

    @property
    def paths(self) -> int:
        """Paths over all points; the most that there can be, where points may stop early."""
        return self.points * self.config.sweep.paths

    @property
    def disk_bytes(self) -> int:
        """About how many bytes the files take.

        If no path closes early and, in the member engine, everybody of the market joins once.
        """
        scenario = self.config.scenario
        periods = _rows_a_path(self.config) * BYTES_A_ROW
        sampled = scenario.market_members * self.config.sweep.members_sample
        members = sampled * BYTES_A_MEMBER * _part_by_member(self.config)
        return self.paths * (round(periods) + round(members))

    def check_folder(self) -> None:
        """Make sure that the run's files can be written; makes nothing.

        Raises
        ------
        StoreError
            They cannot, or the disk is too small.
        """
        needs = COPIES * self.disk_bytes if self.cut() is None else 0
        check_writable(self.folder.parent, needs)

    def cut(self, pairs_a_shard: int | None = None) -> Cut | None:
        """Return the cut into shards; without a number of pairs, that of the folder, if any."""
        if pairs_a_shard is None:
            manifest = self.store.read_manifest()
            pairs_a_shard = manifest.shard_pairs if manifest else None
        if pairs_a_shard is None:
            return None
        return Cut(self.points, rounds(self.config.sweep), pairs_a_shard)

    def damaged(self, manifest: Manifest) -> tuple[FileRecord, ...]:
        """Return the files that a manifest names and that are missing or damaged.

        By their checksums in a folder; by their sizes in object storage, from which all of it would
        have to be fetched.

        Raises
        ------
        StoreError
            The storage does not answer, or refuses.
        """
        verify = isinstance(self.folder, Path)
        return tuple(entry for entry in manifest.files if not self.store.is_whole(entry, verify))

    def tidy(self) -> None:
        """Remove what a complete run needs no more, if it was killed before it could."""
        manifest = self.store.read_manifest()
        if manifest is not None and manifest.status == "complete" and manifest.compacted:
            self.store.remove_shards()


def _rows_a_path(config: Config) -> float:
    """Return how many rows of `periods` a path has at most, on average over the points."""
    shapes = shapes_of(config)
    rows = [shape.periods * len(shape.plans) for shape in shapes.distinct]
    numbers = shapes.numbers or (0,)
    return sum(rows[number] for number in numbers) / len(numbers)


def _part_by_member(config: Config) -> float:
    """Return which part of the points is simulated member by member, from the first few."""
    few = range(min(point_count(config), 100))
    return sum(engine_at(config, point) == "member" for point in few) / len(few)


def plan(
    config_file: Path | str,
    results_dir: Folder | str = RESULTS_DIR,
    seed: int | None = None,
    overrides: Sequence[str] = (),
    design: Sweep | None = None,
) -> Plan:
    """Plan a run; reads the configuration and writes nothing.

    Parameters
    ----------
    config_file : path or URL
        The configuration; or a run folder, to go on with that run, as it is.
    results_dir : path or URL
        Folder of the run folders.
    seed : int, optional
        In place of the configuration's.
    overrides : sequence of str
        `dotted.field=value`, each in place of the configuration's value.
    design : Sweep, optional
        In place of the configuration's section `sweep`.

    Raises
    ------
    ConfigError
        The configuration cannot be used.
    StoreError
        There is no way to such a folder.
    """
    sets = [*overrides, *([] if seed is None else [f"sweep.seed={seed}"])]
    begun = _begun(config_file)
    if begun is not None:
        return _going_on(*begun, changed=bool(sets or design))
    config = load(config_file, sets, design)
    _check_outcome(config, config_file)
    cause = digest(config, config.sweep.seed)
    folder = place(results_dir) / f"{config.name}-{cause[:DIGITS]}"
    return Plan(config, config.sweep.seed, cause, folder)


def _begun(name: Path | str) -> tuple[Folder, Manifest] | None:
    """Return a run folder and its manifest, None where the name is not one's."""
    folder = place(name)
    if not (folder / MANIFEST_NAME).is_file():
        return None
    manifest = RunStore(folder).read_manifest()
    return None if manifest is None else (folder, manifest)


def _going_on(folder: Folder, manifest: Manifest, changed: bool) -> Plan:
    """Return the plan of a run that was begun, by what its folder says."""
    if changed:
        raise ConfigError(
            f"{folder}: expected a configuration file to change settings of, got a run folder, "
            f"which goes on as it is; run {folder}/config.yaml with the changes"
        )
    config = Config.model_validate(manifest.config)
    cause = digest(config, manifest.seed)
    if cause != manifest.digest:
        raise ConfigError(
            f"{folder}: begun by huzhu {manifest.versions.get('huzhu')}, whose numbers this huzhu "
            f"{version_of('huzhu')} may not give; go on with that version, or run "
            f"{folder}/config.yaml anew"
        )
    return Plan(config, manifest.seed, cause, folder)


def _check_outcome(config: Config, config_file: Path | str) -> None:
    """Raise ConfigError where paths shall stop by an outcome that there is none of."""
    rule = config.sweep.stop_when
    if rule is None:
        return
    try:
        check_outcome(rule.outcome)
    except RunError as error:
        raise ConfigError(f"{config_file}: sweep.stop_when.outcome: {error}") from None


def begin(run: Plan) -> Manifest:
    """Make the run folder with all that is known before the first path; the manifest last.

    How a run that was begun before is cut stays.

    Raises
    ------
    StoreError
        The folder cannot be written.
    """
    run.store.remove_leftovers()
    before = run.store.read_manifest()
    if before and (reason := outdated(before.format, before.versions)):
        raise StoreError(f"{run.folder}: {reason}")
    manifest = dataclasses.replace(
        manifest_of(run),
        files=write_inputs(run),
        shard_pairs=before.shard_pairs if before else None,
        shards=before.shards if before else 0,
    )
    run.store.write_manifest(manifest)
    return manifest


def is_begun_since(run: Plan, moment: float) -> bool:
    """Whether a run was begun, or taken up, since a moment in seconds of `time.time`."""
    manifest = run.store.read_manifest()
    if manifest is None:
        return False
    # manifests have whole seconds
    return datetime.fromisoformat(manifest.started).timestamp() >= int(moment)


@contextmanager
def held(run: Plan, fresh: bool = False) -> Iterator[None]:
    """Hold a run's folder, made if it is not there, against other writers.

    Parameters
    ----------
    run : Plan
        The run.
    fresh : bool
        Move what is there aside first.

    Raises
    ------
    StoreError
        The folder cannot be written, or somebody else writes in it.
    """
    run.check_folder()
    create_run(run.folder)
    if fresh:
        with run.store.locked():
            set_aside(run.folder)
        create_run(run.folder)
    with run.store.locked():
        yield


def keep_cut(run: Plan, manifest: Manifest, cut: Cut) -> Manifest:
    """Write down how a run is cut: its shards are from then on known by their numbers.

    Raises
    ------
    StoreError
        The folder cannot be written.
    """
    kept = dataclasses.replace(manifest, shard_pairs=cut.pairs_a_shard, shards=len(cut.shards))
    run.store.write_manifest(kept)
    return kept


def write_inputs(run: Plan) -> tuple[FileRecord, ...]:
    """Write what the run is computed from: the resolved configuration, and its points.

    Raises
    ------
    StoreError
        A file cannot be written.
    """
    points = [values_at(run.config, i) for i in range(point_count(run.config))]
    fields = {name: place_of(Scenario, name.split(".")) for name in columns(run.config)}
    swept = {name: found.field for name, found in fields.items() if found and found.field}
    units = {name: _unit(field) for name, field in swept.items()}
    meanings = {name: field.description or name for name, field in swept.items()}
    return (
        run.store.write_file(CONFIG_NAME, dump(run.config)),
        run.store.write_table("points", points_table(points, units, meanings)),
    )


def _unit(field: FieldInfo) -> str:
    """Return the unit of a field of the scenario, 1 where it has none."""
    extra = field.json_schema_extra
    return str(extra.get("unit") or "1") if isinstance(extra, dict) else "1"


def manifest_of(run: Plan) -> Manifest:
    """Return the manifest that a run starts with."""
    scenario, sweep = run.config.scenario, run.config.sweep
    shapes = shapes_of(run.config)
    return Manifest(
        name=run.config.name,
        scenario_title=scenario.title,
        digest=run.digest,
        seed=run.seed,
        config=run.config.model_dump(mode="json"),
        versions=versions(),
        plans=shapes.plans,
        periods=shapes.periods,
        periods_per_year=scenario.periods_per_year,
        points=run.points,
        paths_per_point=sweep.paths,
        shards=0,
        axes={name: list(values) for name, values in column_values(run.config).items()},
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
