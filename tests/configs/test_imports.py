"""Reading a configuration is light: no engine, no scheduler, no data frames."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = "numba dask distributed prefect pandas polars pyarrow duckdb scipy kernels flows results"


def test_configs_import_nothing_heavy() -> None:
    code = (
        "import sys, configs.load, configs.json_schema;"
        f"print(sorted(set({HEAVY.split()}) & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"
