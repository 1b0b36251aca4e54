"""Reports and figures as files: whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from results.atomic import StoreError, check_output_folder, write_output
from results.manifest import Manifest
from results.places import Folder, read_whole
from results.report.page import Report, html
from results.report.words import Language
from results.run import Run
from results.schema import TABLES
from results.store import RunStore

REPORT_NAME: Final = "report.html"

_HEAD_BYTES: Final = 2000
"""The beginning of a report, in which it says what it was made from."""


def write_report(
    run: Run, made: Report, language: Language = "en", file: str | None = None
) -> Folder:
    """Write a report, whole or not at all; one that is there is replaced.

    Parameters
    ----------
    run : Run
        The run.
    made : Report
        Its report.
    language : {"en", "zh"}
        The language it opens in.
    file : str, optional
        Where; `report.html` in the run's folder without it.

    Returns
    -------
    Path or UPath
        The file.

    Raises
    ------
    StoreError
        The file cannot be written.
    """
    page = html(made, language, source_of(run.manifest))
    if file is not None:
        write_output(file, page.encode())
        return Path(file)
    RunStore(run.folder).write_file(REPORT_NAME, page)
    return run.folder / REPORT_NAME


def source_of(manifest: Manifest) -> str:
    """Return the digest of what a report is made from: a run's tables, and how far the run is."""
    files = [*manifest.files, *(entry for shard in manifest.shard_files for entry in shard.files)]
    tables = sorted((entry.path, entry.sha256) for entry in files if entry.table in TABLES)
    return hashlib.sha256(json.dumps([manifest.status, tables]).encode()).hexdigest()


def is_current(report: Folder, source: str) -> bool:
    """Whether a report is there, whole, and was made from what has this digest.

    Raises
    ------
    StoreError
        The storage does not answer, or refuses.
    """
    try:
        page = read_whole(report)
    except OSError:
        return False
    return f'content="{source}"'.encode() in page[:_HEAD_BYTES] and page.endswith(b"</html>")


def write_figures(
    made: Report, folder: Path, language: Language, tell: Callable[[int, int], None]
) -> list[Path]:
    """Write every figure of a report as SVG and PNG, and its data as CSV.

    Parameters
    ----------
    made : Report
        The report.
    folder : Path
        Where; made if it is not there. Files of these names are replaced.
    language : {"en", "zh"}
        Language of the figures.
    tell : callable
        Told how many are done, and how many there are.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    StoreError
        A file cannot be written.
    """
    check_output_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be made ({error.strerror})") from error
    written = []
    for done, figure in enumerate(made.figures):
        tell(done, len(made.figures))
        svg = figure.svg(language)
        contents = {"svg": svg.encode(), "png": figure.png(svg), "csv": figure.csv().encode()}
        for ending, content in contents.items():
            path = folder / f"{figure.name}.{ending}"
            write_output(path, content)
            written.append(path)
    return written
