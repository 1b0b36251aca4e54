"""Machine code on disk is used again, and never outlives the source it came from."""

import hashlib
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kernels import compiling

JIT_OFF = bool(compiling.SETTINGS.DISABLE_JIT)
compiled = pytest.mark.skipif(JIT_OFF, reason="nothing is compiled where NUMBA_DISABLE_JIT=1")

CALLEE = "from kernels.compiling import kernel\n\n@kernel\ndef step(x):\n    return x + {}\n"
CALLER = (
    "from kernels.compiling import kernel\nfrom kernels.callee import step\n\n"
    "@kernel\ndef walk(x):\n    return 10 * step(x)\n\n"
    "print(walk(1), sum(walk.stats.cache_hits.values()))\n"
)
LOOK = (
    "import numpy as np\nfrom kernels.compiling import kernel\n\n"
    "@kernel\ndef look(x, i):\n    return x[i]\n\n"
    "try:\n    look(np.zeros(3), 5)\n    print('unchecked')\n"
    "except IndexError:\n    print('checked')\n"
)


def run_room(folder: Path, module: str, **settings: str) -> list[str]:
    environment = {"NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    answer = subprocess.run(
        [sys.executable, "-m", f"kernels.{module}"],
        cwd=folder,
        env=environment | settings,
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout.split()


def twice(x: float) -> float:
    return 2 * x


@pytest.mark.parametrize("decorate", [compiling.kernel, compiling.inlined_kernel])
def test_without_the_compiler_a_kernel_is_the_function_itself(
    decorate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling.SETTINGS, "DISABLE_JIT", 1)
    assert decorate(twice) is twice


@pytest.mark.parametrize(
    ("decorate", "inline"), [(compiling.kernel, "never"), (compiling.inlined_kernel, "always")]
)
def test_kernels_are_cached_free_the_gil_and_keep_their_checks_for_nan(
    decorate: Any, inline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling.SETTINGS, "DISABLE_JIT", 0)
    dispatcher = decorate(twice)
    options = dispatcher.targetoptions
    assert dispatcher.py_func is twice
    assert (options["nogil"], options["error_model"]) == (True, "numpy")
    assert options["inline"] == inline
    assert not {"fastmath", "parallel"} & {name for name, value in options.items() if value}
    assert compiling.SOURCES in dispatcher._cache._cache_file._version


@pytest.mark.parametrize(("asked", "used"), [(3, 1), (2, 2), (0, 0)])
def test_kernels_are_compiled_at_the_first_level_unless_another_is_asked_for(
    asked: int, used: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    level = type(compiling.SETTINGS.OPT)
    monkeypatch.setattr(compiling.SETTINGS, "OPT", level(asked))
    runpy.run_path(str(compiling.__file__))
    assert level(used) == compiling.SETTINGS.OPT


def test_the_digest_of_the_room_covers_every_file_of_it() -> None:
    folder = Path(compiling.__file__).parent
    contents = sorted((file.name, file.read_bytes()) for file in folder.glob("*.py"))
    assert "lapse.py" in dict(contents)
    assert compiling.sources_digest() == hashlib.sha256(repr(contents).encode()).hexdigest()


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A room of its own, with our decorator in it."""
    kernels = tmp_path / "kernels"
    kernels.mkdir()
    source = Path(__file__).parents[2] / "kernels" / "compiling.py"
    (kernels / "__init__.py").write_text("")
    (kernels / "compiling.py").write_bytes(source.read_bytes())
    (kernels / "callee.py").write_text(CALLEE.format(1))
    (kernels / "caller.py").write_text(CALLER)
    (kernels / "look.py").write_text(LOOK)
    return tmp_path


@compiled
def test_another_process_finds_the_machine_code_on_disk(room: Path) -> None:
    assert run_room(room, "caller") == ["20", "0"]
    assert run_room(room, "caller") == ["20", "1"]


@compiled
def test_changing_a_callee_in_another_file_compiles_its_callers_again(room: Path) -> None:
    assert run_room(room, "caller") == ["20", "0"]
    (room / "kernels" / "callee.py").write_text(CALLEE.format(2))
    assert run_room(room, "caller") == ["30", "0"]


@compiled
def test_bounds_are_checked_also_where_unchecked_code_lies_on_disk(room: Path) -> None:
    assert run_room(room, "look") == ["unchecked"]
    assert run_room(room, "look", NUMBA_BOUNDSCHECK="1") == ["checked"]
    assert run_room(room, "look") == ["unchecked"]
