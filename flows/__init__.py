"""HOW a sweep is run: the Prefect flow, the Dask cluster, the shard of work, the command line."""
