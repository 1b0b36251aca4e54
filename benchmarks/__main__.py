"""`python -m benchmarks [--json] [NAME ...]`: measure and print every figure, or those named."""

import argparse
import sys

from rich.console import Console
from rich.table import Table

from benchmarks import calibration, cohort, members, queries, start, sweeps
from benchmarks.record import BENCHMARKS, Figure

MODULES = (calibration, cohort, members, queries, start, sweeps)


def table(figures: list[Figure]) -> Table:
    """Lay figures out as a table."""
    columns = ("name", "value", "unit", "baseline", "ratio", "goal", "met", "against")
    shown = Table(*columns, title="Benchmarks: processor time, medians; ratio = value / baseline")
    for figure in figures:
        shown.add_row(
            figure.name, f"{figure.value:.4g}", figure.unit, f"{figure.baseline:.4g}",
            f"{figure.ratio:.3g}", figure.goal, "yes" if figure.meets else "NO", figure.against,
        )  # fmt: skip
    return shown


def main() -> None:
    """Measure what the command line names and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--json", action="store_true", help="one record a line")
    wanted = parser.parse_args()
    unknown = sorted(set(wanted.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no figure {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    figures = []
    for name in wanted.names or BENCHMARKS:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        figures.append(BENCHMARKS[name]())
        if wanted.json:
            print(figures[-1].as_json(), flush=True)
    if not wanted.json:
        Console(width=None if sys.stdout.isatty() else 160).print(table(figures))


if __name__ == "__main__":
    main()
