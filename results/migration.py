"""Runs of older formats, read as if this program had written them; nothing on disk is changed.

Format 3 (now): the files of a complete run lie in Hive partitions, `periods/from_point=0/…`, and
`cells` has the column `uncovered`. Format 2: `periods/periods-00000.parquet`. Format 1: the shards'
own files, never put together; its manifest has no `shard_pairs`, and its failures no fixed form.

A column that a file lacks is there, without values. A run of an older format is read, never gone on
with: its shards would be of two kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

from results.schema import RESULTS_FORMAT, arrow_schema

_FAILURE: Final[Mapping[str, Any]] = {
    "shard": 0,
    "point": None,
    "path": None,
    "seed": 0,
    "parameters": {},
    "error": "not said",
    "traceback": "",
}


def upgraded(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a manifest of any format up to this one with what came later.

    `format` stays as it was written.

    Parameters
    ----------
    manifest : mapping
        Content of `manifest.json`.

    Raises
    ------
    KeyError, TypeError, AttributeError
        It is no manifest.
    """
    if manifest["format"] == RESULTS_FORMAT:
        return dict(manifest)
    config = manifest["config"]
    since_then = {
        "scenario_title": manifest["name"],
        "plans": list(config.get("scenario", {}).get("plans", ["main"])),
        "axes": {},
        "files": [],
        "shard_files": [],
        "failures": [],
    }
    content = {**since_then, **manifest}
    seed = {"seed": manifest["seed"]}
    content["failures"] = [{**_FAILURE, **seed, **failure} for failure in content["failures"]]
    return content


def outdated(manifest_format: int, versions: Mapping[str, str]) -> str | None:
    """Return why a run cannot be gone on with, None where it is of this program's format.

    Parameters
    ----------
    manifest_format : int
        Format in which the run was begun.
    versions : mapping of str to str
        Versions that it was begun with.
    """
    if manifest_format == RESULTS_FORMAT:
        return None
    return (
        f"begun in results format {manifest_format}, this huzhu writes {RESULTS_FORMAT}; finish it "
        f"with the huzhu that began it ({versions.get('huzhu', 'version unknown')}), or start over "
        "with --fresh"
    )


def current_schema(table: str, found: pa.Schema) -> pa.Schema:
    """Return the schema in which a file of any format up to this one is read.

    Parameters
    ----------
    table : str
        Name of the table.
    found : pyarrow.Schema
        Schema of the file.

    Returns
    -------
    pyarrow.Schema
        Names, types, units and meanings of today; a column that the file lacks may be missing.
        Those of `points`, which depend on the sweep, are the file's.
    """
    if table == "points":
        metadata = {**(found.metadata or {}), b"results_format": str(RESULTS_FORMAT).encode()}
        return found.with_metadata(metadata)
    current = arrow_schema(table)
    fields = [
        field if field.name in found.names else field.with_nullable(True) for field in current
    ]
    return pa.schema(fields, current.metadata)


def absent(found: pa.Schema, schema: pa.Schema) -> tuple[str, ...]:
    """Return the columns of a schema that a file lacks."""
    return tuple(name for name in schema.names if name not in found.names)


def completed(data: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return rows with the columns of a schema, without values where they lack one.

    Raises
    ------
    pyarrow.ArrowException
        A column does not fit the schema's type.
    """
    if data.schema.equals(schema, check_metadata=True):
        return data
    columns = [
        data.column(field.name).cast(field.type)
        if field.name in data.column_names
        else pa.nulls(data.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
