"""The one way a kernel is compiled."""

import hashlib
from collections.abc import Callable
from importlib.resources import files
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def sources_digest() -> str:
    """Take the SHA-256 of every source file of this room, names and bytes."""
    sources = (file for file in files("kernels").iterdir() if file.name.endswith(".py"))
    parts = sorted((file.name, file.read_bytes()) for file in sources)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


SOURCES = sources_digest()
SETTINGS: Any = numba.config


def kernel(function: Function) -> Function:
    """Compile `function` with Numba on first call, and keep the machine code on disk.

    The GIL is released, so that kernels also run side by side in threads, and a division by zero
    gives inf or nan instead of raising. `fastmath` is left out on purpose: it lets the compiler
    delete checks for nan and reorder sums, and results are promised bit for bit.

    Parameters
    ----------
    function : Callable
        Plain Python over numbers, arrays and NamedTuples of them. Types come from the call.

    Returns
    -------
    Callable
        The compiled function under its own signature; `function` itself where
        NUMBA_DISABLE_JIT=1.
    """
    compiled: Any = numba.njit(
        cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True
    )(function)
    if compiled is not function:
        # Numba looks for changes in the function's own file only: a kernel would go on running the
        # old machine code of what it calls in another file, and unchecked code where
        # NUMBA_BOUNDSCHECK=1. So the stamp on its cache covers the room and the setting.
        cache = compiled._cache._cache_file
        cache._source_stamp = (cache._source_stamp, SOURCES, SETTINGS.BOUNDSCHECK)
    return cast(Function, compiled)
