"""The files that a finished run or calibration should have: found whole, or made again.

A process may be killed after its last path and before its report, and files may be lost or damaged
later. What follows from the tables (summary, pictures, report) or from the configuration is made
again at once, by the command that finds the rest finished. Rows of a simulation cannot be made
from other files: the damaged file is named, and the paths are simulated again.

Code that draws is imported where it is needed: a run that begins does not wait for it.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from configs.sweep import shapes_of
from flows.calibration import STATE_NAME, CalibrationPlan, newest_of
from flows.plan import Plan, write_inputs
from results.manifest import FileRecord, Manifest
from results.migration import outdated
from results.schema import SHARDED_TABLES
from results.store import CONFIG_NAME

Say = Callable[[str], None]

INPUTS = (CONFIG_NAME, "points")
"""What is written from the configuration: a file, and a table."""


def is_finished(run: Plan, say: Say) -> bool:
    """Whether nothing is left to simulate; other files that a complete run lacks are made again.

    Parameters
    ----------
    run : Plan
        The run.
    say : callable
        Called with a line for each file that is missing or damaged: what is done about it.

    Raises
    ------
    StoreError
        A file cannot be written, or another process is writing in the folder.
    """
    manifest = run.store.read_manifest()
    if manifest is None or manifest.status != "complete":
        return False
    damaged = run.damaged(manifest)
    lost = [entry for entry in damaged if entry.table in SHARDED_TABLES]
    for entry in lost:
        say(
            f"{run.folder / entry.path}: missing or damaged; all paths are simulated again, "
            "because its rows cannot be made from other files"
        )
    if lost or (damaged and outdated(manifest.format, manifest.versions)):
        return False
    _make_again(run, manifest, damaged, say)
    run.tidy()
    return True


def _make_again(run: Plan, manifest: Manifest, damaged: Sequence[FileRecord], say: Say) -> None:
    """Make again what follows from the tables and the configuration, where it is not whole."""
    from results.report import contents
    from results.report.files import REPORT_NAME, is_current, source_of, write_report
    from results.run import open_run

    report = run.folder / REPORT_NAME
    if not damaged and is_current(report, source_of(manifest)):
        return
    for entry in damaged:
        say(f"{run.folder / entry.path}: missing or damaged; made again")
    with run.store.locked():
        if damaged:
            manifest = _files_again(run, manifest, damaged)
        if not is_current(report, source_of(manifest)):
            say(f"{report}: missing or older than the tables; made again")
            there = open_run(run.folder)
            write_report(there, contents.report(there))


def _files_again(run: Plan, manifest: Manifest, damaged: Sequence[FileRecord]) -> Manifest:
    """Write the kinds of files of which one is damaged, each after what it is made from."""
    from results.picture import write_picture
    from results.run import Run
    from results.summary import summarise

    kinds = {entry.table for entry in damaged}
    files = {entry.path: entry for entry in manifest.files if entry not in damaged}

    def keep(written: Iterable[FileRecord]) -> None:
        files.update((entry.path, entry) for entry in written)

    if kinds.intersection(INPUTS):
        keep(write_inputs(run))
    if "summary" in kinds:
        tables = [entry for entry in files.values() if entry.table in SHARDED_TABLES]
        keep(summarise(run.store, shapes_of(run.config), tables))
    if kinds - {*INPUTS, "summary"}:
        there = dataclasses.replace(manifest, files=tuple(files.values()))
        keep(write_picture(Run(run.folder, there, ())))
    manifest = dataclasses.replace(
        manifest, files=tuple(files[entry.path] for entry in manifest.files)
    )
    run.store.write_manifest(manifest)
    return manifest


def is_fitted(run: CalibrationPlan, say: Say) -> bool:
    """Whether nothing of a calibration is left to compute; other files it lacks are made again.

    That is its report, its picture, and the file beside its folder that sweeps the posterior.

    Parameters
    ----------
    run : CalibrationPlan
        The calibration.
    say : callable
        Called with a line for each file that is missing or damaged: what is done about it.

    Raises
    ------
    StoreError
        The manifest cannot be read, a file cannot be written, or another process is writing in the
        folder.
    """
    manifest = run.manifest()
    if manifest is None or manifest["status"] != "complete":
        return False
    damaged = run.damaged(manifest)
    for file in damaged:
        anew = "the fit starts again" if file.name == STATE_NAME else "made again from the fit"
        say(f"{file}: missing or damaged; {anew}")
    if damaged:
        return False
    _fit_told_again(run, manifest, say)
    return True


def _fit_told_again(run: CalibrationPlan, manifest: Mapping[str, Any], say: Say) -> None:
    """Make again what shows a fit, where it is missing or was made from other files."""
    from results.calibration.report import (
        PICTURE_NAME,
        REPORT_NAME,
        bands_svg,
        source_of,
        write_report,
    )
    from results.calibration.tables import open_calibration
    from results.report.files import is_current

    report, picture = run.folder / REPORT_NAME, run.folder / PICTURE_NAME
    newest = newest_of(run.folder, run.calibration.name)
    told = is_current(report, source_of(manifest)) and picture.is_file()
    if told and newest.is_file():
        return
    with run.store.locked():
        if not told:
            say(f"{report}: missing or older than the fit; made again with {picture.name}")
            done = open_calibration(run.folder)
            write_report(done)
            bands_svg(done, picture)
        if not newest.is_file():
            from flows.posterior import point_to_newest

            say(f"{newest}: missing; made again")
            point_to_newest(run)
