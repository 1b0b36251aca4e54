"""A real run, computed in this process: no cluster, no server."""

from pathlib import Path

from flows import plan as planning
from flows import shard
from flows.layout import Cut
from results.run import Run, open_run
from tests.results.synthetic import compacted

PAIRS_A_SHARD = 8


def computed(file: Path, results: Path, *overrides: str, finished: bool = True) -> Run:
    """Compute a run without a cluster: all of it, or its first shards."""
    planned = planning.plan(file, results, overrides=overrides)
    with planning.held(planned):
        manifest = planning.begin(planned)
        cut = Cut(planned.points, (planned.config.sweep.paths,), PAIRS_A_SHARD)
        manifest = planning.keep_cut(planned, manifest, cut)
        shards = list(cut.shards)
        for one in shards if finished else shards[: len(shards) // 2]:
            shard.run(planned.address, one)
        if not finished:
            return open_run(planned.folder)
        return compacted(planned.store, manifest)
