"""WHAT to run: scenarios, sweeps and the tables they name."""
