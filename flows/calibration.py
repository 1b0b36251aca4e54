"""From a calibration's file to its folder: what is to be fitted, what is there, what is missing.

No Prefect and no Dask: `huzhu calibrate` plans before it starts either, so that bad input is
answered at once and leaves nothing behind.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from configs.calibration import (
    Calibration,
    calibration_digest,
    dump_calibration,
    fitted,
    load_calibration,
    names,
)
from configs.load import ConfigError
from flows.plan import COPIES, DIGITS, versions
from results.atomic import StoreError
from results.places import place
from results.store import (
    CONFIG_NAME,
    MANIFEST_NAME,
    RunStore,
    check_writable,
    create_run,
    set_aside,
)

CALIBRATIONS_DIR: Final = "results/calibrations"
"""Folder of all calibrations unless another is named, relative to the working directory."""

STATE_NAME: Final = "state.npz"
"""The sampler after its last move."""

SCENARIO_NAME: Final = "scenario.yaml"
"""The scenario with the posterior: a sweep that draws from it."""

_UNREADABLE: Final = "not a readable manifest"
_ANEW: Final = "`huzhu calibrate --fresh` moves the folder aside and makes it again"

BYTES_A_DRAW: Final = 40
"""What a row of `predictions` takes on disk, about."""


@dataclass(frozen=True)
class CalibrationPlan:
    """One calibration as planned: a function of its file, those it names, and huzhu's version.

    Attributes
    ----------
    calibration : Calibration
        As resolved.
    digest : str
        Digest of all that decides the numbers.
    folder : Path
        Its folder.
    """

    calibration: Calibration
    digest: str
    folder: Path

    @property
    def store(self) -> RunStore:
        """The files of the folder."""
        return RunStore(self.folder)

    @property
    def address(self) -> str:
        """The folder as a worker finds it, wherever it was started."""
        return str(self.folder.absolute())

    def check_folder(self) -> None:
        """Make sure that the calibration's files can be written; makes nothing.

        Raises
        ------
        StoreError
            They cannot, or the disk is too small.
        """
        forecast = self.calibration.forecast
        rows = forecast.draws * len(forecast.worlds) * self.calibration.scenario.periods
        check_writable(self.folder.parent, COPIES * BYTES_A_DRAW * rows)

    def manifest(self) -> dict[str, Any] | None:
        """Return the folder's manifest; None where it has none.

        Raises
        ------
        StoreError
            The manifest cannot be read.
        """
        file = self.folder / MANIFEST_NAME
        if not file.is_file():
            return None
        try:
            found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            missing = {"status", "files", "started"} - found.keys()
        except (OSError, ValueError, AttributeError) as error:
            raise StoreError(f"{file}: {_UNREADABLE} ({error}); {_ANEW}") from error
        if missing:
            raise StoreError(f"{file}: {_UNREADABLE} (no {', '.join(sorted(missing))}); {_ANEW}")
        return found

    def damaged(self, manifest: dict[str, Any]) -> tuple[Path, ...]:
        """Return the files that a manifest names and that are missing or damaged."""
        files = {self.folder / name: digest for name, digest in manifest["files"].items()}
        return tuple(
            file
            for file, digest in files.items()
            if not file.is_file() or digest_of(file) != digest
        )


def digest_of(file: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def newest_of(folder: Path, name: str) -> Path:
    """Return the file that stands for the newest posterior of a name, beside its folders."""
    return folder.parent / f"{name}.yaml"


def sweep_of(folder: Path, name: str) -> Path:
    """Return the file that sweeps a calibration's posterior.

    The one beside its folder if that draws from this calibration, otherwise the one in it.

    Parameters
    ----------
    folder : Path
        Folder of the calibration.
    name : str
        Its name.
    """
    newest, own = newest_of(folder, name), folder / SCENARIO_NAME
    try:
        named = f"{folder.name}/{SCENARIO_NAME}" in newest.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return own
    return newest if named else own


def plan(
    config_file: Path | str,
    results_dir: str = CALIBRATIONS_DIR,
    overrides: Sequence[str] = (),
    until: str | None = None,
) -> CalibrationPlan:
    """Plan a calibration; reads its files and writes nothing.

    Parameters
    ----------
    config_file : path
        The calibration; or its folder, to go on with it as it is.
    results_dir : str
        Folder of the calibrations, on a file system.
    overrides : sequence of str
        `dotted.field=value`, each in place of the file's value.
    until : str, optional
        Cut-off date in place of the file's.

    Raises
    ------
    ConfigError
        The calibration cannot be used.
    """
    parent = place(results_dir)
    if not isinstance(parent, Path):
        raise ConfigError(
            f"--results: expected a folder that this machine and its workers see, got {results_dir}"
        )
    file = Path(config_file)
    if os.path.isfile(file / CONFIG_NAME) and not overrides and until is None:
        parent, file = file.parent, file / CONFIG_NAME
    calibration = load_calibration(file, overrides, until)
    digest = calibration_digest(calibration)
    return CalibrationPlan(calibration, digest, parent / f"{calibration.name}-{digest[:DIGITS]}")


def is_begun_since(run: CalibrationPlan, moment: float) -> bool:
    """Whether a fit was begun with a new folder since a moment in seconds of `time.time`."""
    manifest = run.manifest()
    if manifest is None:
        return False
    # manifests have whole seconds
    return datetime.fromisoformat(manifest["started"]).timestamp() >= int(moment)


@contextmanager
def held(run: CalibrationPlan, fresh: bool = False) -> Iterator[None]:
    """Hold a calibration's folder, made if it is not there, against other writers.

    Parameters
    ----------
    run : CalibrationPlan
        The calibration.
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


def begin(run: CalibrationPlan) -> dict[str, Any]:
    """Write down what is to be computed, the manifest last; return it."""
    run.store.remove_leftovers()
    before = run.manifest()
    calibration = run.calibration
    run.store.write_file(CONFIG_NAME, dump_calibration(calibration))
    manifest = {
        "kind": "calibration",
        "name": calibration.name,
        "title": calibration.scenario.title,
        "digest": run.digest,
        "seed": calibration.sampler.seed,
        "status": "running",
        "until": None if calibration.until is None else calibration.until.isoformat(),
        "parameters": list(names(calibration)),
        "particles": calibration.sampler.particles,
        "exogenous": dict(calibration.forecast.taken_as_given),
        "versions": versions(),
        "started": before["started"] if before else now(),
        "seconds": before.get("seconds", 0.0) if before else 0.0,
        "files": {},
    }
    write_manifest(run, manifest)
    return manifest


def write_manifest(run: CalibrationPlan, manifest: dict[str, Any]) -> None:
    """Write what the folder says of itself."""
    run.store.write_file(MANIFEST_NAME, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


def now() -> str:
    """Return the time, as manifests have it."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def intention(run: CalibrationPlan) -> str:
    """Return what a calibration is going to compute, in a line."""
    calibration = run.calibration
    size = (
        f"{len(names(calibration))} parameters, {len(fitted(calibration))} figures until "
        f"{calibration.until or 'the last'}, {calibration.sampler.particles} particles"
    )
    begun = " is there, and goes on" if (run.folder / STATE_NAME).is_file() else ""
    return f"{run.folder}{begun}: {size}"


def check_world(run: CalibrationPlan, world: str | None) -> None:
    """Raise ConfigError where a forecast is asked for in a world that there is none of."""
    known = run.calibration.forecast.worlds
    if world is not None and world not in known:
        raise ConfigError(f"--world: expected one of {', '.join(known)}, got {world!r}")
