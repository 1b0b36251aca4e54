"""Small runs for the tests, of made-up numbers, written through the real store."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from configs.shapes import Shape, Shapes
from results.manifest import Failure, FileRecord, Manifest
from results.places import Folder
from results.run import Run, open_run
from results.schema import arrow_schema, points_table
from results.shapes import shapes_of_run
from results.store import RunStore, create_run
from results.summary import summarise

CAUSES = ("too_small", "share_limit", "regulation")
FEE = "plans.main.fee_rate"
SPEED = "motives.*.education_speed"


@dataclasses.dataclass(frozen=True)
class Made:
    """Rows of `paths` and `periods` before they are written, in order of point and path."""

    paths: pa.Table
    periods: pa.Table
    plans: tuple[str, ...]

    @property
    def shapes(self) -> Shapes:
        """The shape that all points have."""
        longest = max(self.paths["periods_run"].to_pylist())
        return Shapes((Shape(self.plans, self.plans[:1], longest, 2),))


def made_rows(
    *,
    points: int = 2,
    paths: int = 5,
    periods: int = 6,
    plans: tuple[str, ...] = ("main",),
    closing: float = 0.4,
    seed: int = 0,
) -> Made:
    """Return random rows; a share `closing` of the paths close before the last period."""
    rng = np.random.default_rng(seed)
    pairs = [(point, path) for point in range(points) for path in range(paths)]
    runs = [int(rng.integers(1, periods)) if rng.random() < closing else periods for _ in pairs]
    history = [
        (point, path, period, plan)
        for (point, path), run in zip(pairs, runs, strict=True)
        for period in range(run)
        for plan in plans
    ]
    path_keys: dict[str, Any] = {
        "point": [point for point, _ in pairs],
        "path": [path for _, path in pairs],
        "periods_run": runs,
        "closure_cause": [str(rng.choice(CAUSES)) if run < periods else "none" for run in runs],
        "closure_period": [run - 1 if run < periods else None for run in runs],
    }
    names = ("point", "path", "period", "plan")
    period_keys = dict(zip(names, zip(*history, strict=True), strict=True))
    return Made(
        filled("paths", path_keys, len(pairs), rng),
        filled("periods", period_keys, len(history), rng),
        plans,
    )


def filled(table: str, given: dict[str, Any], rows: int, rng: np.random.Generator) -> pa.Table:
    """Return a table with the given columns, and random numbers in the others."""
    schema = arrow_schema(table)
    arrays = []
    for column in schema:
        whole = pa.types.is_integer(column.type)
        drawn: Any = rng.integers(0, 10**8, rows) if whole else rng.lognormal(3, 2, rows)
        if pa.types.is_dictionary(column.type):
            drawn = ["main"] * rows
        arrays.append(pa.array(given.get(column.name, drawn), column.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def made_members(rows: int, seed: int = 0) -> pa.Table:
    """Return random rows of `members`, names and missing ones in any order."""
    rng = np.random.default_rng(seed)
    given: dict[str, Any] = {}
    for column in arrow_schema("members"):
        if pa.types.is_dictionary(column.type):
            names = [f"{column.name}{i}" for i in range(4)] + [None] * column.nullable
            given[column.name] = [names[i] for i in rng.integers(0, len(names), rows)]
    given["left"] = pa.array(rng.integers(0, 70, rows), mask=rng.random(rows) < 0.5)
    return filled("members", given, rows, rng)


def write_shards(store: RunStore, made: Made, shards: int = 2, shuffle: int | None = None) -> None:
    """Write rows as shards of whole paths, numbered and written in any order."""
    pairs = made.paths.num_rows
    order = np.arange(pairs)
    numbers = np.arange(shards)
    if shuffle is not None:
        rng = np.random.default_rng(shuffle)
        order, numbers = rng.permutation(pairs), rng.permutation(shards)
    keys = list(zip(*(made.paths[name].to_pylist() for name in ("point", "path")), strict=True))
    rows = list(zip(*(made.periods[name].to_pylist() for name in ("point", "path")), strict=True))
    for number, chosen in zip(numbers, np.array_split(order, shards), strict=True):
        wanted = {keys[index] for index in chosen}
        mask = pa.array([key in wanted for key in rows])
        files = [
            store.write_table("paths", made.paths.take(pa.array(chosen)), int(number)),
            store.write_table("periods", made.periods.filter(mask), int(number)),
        ]
        store.finish_shard(int(number), files, kernel_seconds=0.5)


def a_failure(point: int, shard: int = 0) -> Failure:
    """Return what is recorded of a point that failed."""
    return Failure(
        shard=shard,
        point=point,
        path=3,
        seed=7,
        parameters={FEE: 0.08 * point},
        error="ZeroDivisionError: division by zero",
        traceback="Traceback (most recent call last): …",
    )


def compacted(store: RunStore, manifest: Manifest) -> Run:
    """Put the shards of a run together, end it, remove them and open it."""
    files = (*store.compact(), *summarise(store, shapes_of_run(manifest)))
    close(store, manifest, (*manifest.files, *files))
    store.remove_shards()
    return open_run(store.folder)


def close(store: RunStore, manifest: Manifest, files: Sequence[FileRecord]) -> Manifest:
    """Write the manifest of a run that is complete."""
    return store.close_run(
        manifest,
        status="complete",
        finished="2026-01-02T03:04:09+00:00",
        files=files,
        seconds={"wall_seconds": 3.5, "kernel_seconds": 2.5, "overhead_seconds": 1.0},
    )


def a_manifest(**changes: Any) -> Manifest:
    """Return the manifest of a run that has just started."""
    manifest = Manifest(
        name="small",
        scenario_title="A small pool",
        digest="0123456789abcdef",
        seed=7,
        config={"scenario": {"title": "A small pool"}, "sweep": {"paths": 5}},
        versions={"python": "3.11", "huzhu": "0.1.0"},
        plans=("main",),
        periods=6,
        periods_per_year=2,
        points=2,
        paths_per_point=5,
        shards=2,
        axes={FEE: [0.0, 0.08]},
        started="2026-01-02T03:04:05+00:00",
    )
    return dataclasses.replace(manifest, **changes)


def a_run(
    folder: Folder,
    made: Made | None = None,
    swept: Sequence[dict[str, object]] | None = None,
    **changes: Any,
) -> Run:
    """Write a complete run and open it; `changes` go into its manifest."""
    rows = made or made_rows()
    points = len(set(rows.paths["point"].to_pylist()))
    store = create_run(folder)
    fields = swept or [{FEE: 0.08 * point} for point in range(points)]
    first = store.write_table("points", points_table(fields))
    manifest = a_manifest(
        **{"points": points, "plans": rows.plans, "paths_per_point": 5, "shards": 2} | changes
    )
    store.write_manifest(dataclasses.replace(manifest, files=(first,)))
    write_shards(store, rows)
    files = [first, *summarise(store, rows.shapes)]
    close(store, manifest, files)
    return open_run(folder)
