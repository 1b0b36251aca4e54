"""Runs of a sweep whose outcomes are given: the columns of `paths` by point and path."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from configs.axes import dimensions
from configs.sweep import Sweep, unit_sample_of
from results.places import Folder
from results.run import Run, open_run
from results.schema import points_table
from results.store import create_run
from tests.results.synthetic import a_manifest, close, filled

Points = Sequence[dict[str, Any]]


def sampled_points(sweep: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the points of a sampled design are known by."""
    checked = Sweep.model_validate(sweep)
    axes = dimensions(checked.axes)
    return [
        {axis.path: axis.label(axis.at(share)) for axis, share in zip(axes, row, strict=True)}
        for row in unit_sample_of(checked).tolist()
    ]


def swept_run(
    folder: Folder,
    sweep: Mapping[str, Any],
    points: Points,
    outcomes: Mapping[str, npt.NDArray[Any]],
    missing: Sequence[int] = (),
) -> Run:
    """Write a run whose columns of `paths` have given values, points by paths, and open it.

    Points that are missing have no rows. There are no periods and no summary, which cost more than
    all the rest at thousands of points.
    """
    rng = np.random.default_rng(0)
    size, paths = next(iter(outcomes.values())).shape
    there = [point for point in range(size) if point not in missing]
    keys: dict[str, Any] = {
        "point": np.repeat(there, paths),
        "path": np.tile(np.arange(paths), len(there)),
        "closure_cause": ["none"] * (len(there) * paths),
    }
    given = {name: table[there].ravel().tolist() for name, table in outcomes.items()}
    config = {"scenario": {"title": "A small pool"}, "sweep": dict(sweep)}
    manifest = a_manifest(config=config, points=size, paths_per_point=paths, shards=1)
    store = create_run(folder)
    first = store.write_table("points", points_table(points))
    store.write_manifest(dataclasses.replace(manifest, files=(first,)))
    table = filled("paths", keys | given, len(there) * paths, rng)
    store.finish_shard(0, [store.write_table("paths", table, 0)], kernel_seconds=0.5)
    close(store, manifest, [first])
    return open_run(folder)
