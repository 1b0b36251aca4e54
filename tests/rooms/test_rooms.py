"""Each room is ours, and imports only whom it may."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("configs", "flows", "kernels", "results")


@pytest.mark.parametrize("room", ROOMS)
def test_no_other_package_shadows_a_room(room: str) -> None:
    found = Path(str(importlib.import_module(room).__file__)).resolve()
    if found.parent != ROOT / room:
        pytest.fail(f"another package named {room!r} shadows ours: {found}")


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_named_by_one_line_and_re_exports_nothing(room: str) -> None:
    text = (ROOT / room / "__init__.py").read_text().strip()
    assert text.startswith('"""')
    assert text.endswith('"""')
    assert len(text.splitlines()) == 1


def test_rooms_import_only_whom_they_may() -> None:
    lint = (
        "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", lint], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout
    assert " 0 broken" in answer.stdout
    assert " 0 kept" not in answer.stdout
