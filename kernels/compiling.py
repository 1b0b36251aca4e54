"""The one place where kernels are compiled."""

import hashlib
from collections.abc import Callable
from importlib.resources import files
from typing import Any, Literal, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def sources_digest() -> str:
    """Take the SHA-256 of every source file of this room, names and bytes."""
    sources = (file for file in files("kernels").iterdir() if file.name.endswith(".py"))
    parts = sorted((file.name, file.read_bytes()) for file in sources)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


SOURCES = sources_digest()
SETTINGS: Any = numba.config
DEFAULT_LEVEL = 3


# LLVM's first level: half of Numba's default compile time here, and a tenth faster code besides
# (the inner loops are integer arithmetic and calls, nothing to vectorise). NUMBA_OPT still wins.
if SETTINGS.OPT == DEFAULT_LEVEL:
    SETTINGS.OPT = type(SETTINGS.OPT)(1)


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
    return _compiled(function, "never")


def inlined_kernel(function: Function) -> Function:
    """Compile `function` into the kernel that calls it: for parts with a single caller.

    It can be called and tested like any kernel; its caller saves compiling a function of its own
    with the conversion of all its arguments, which is most of what a small kernel costs.

    Parameters
    ----------
    function : Callable
        As for `kernel`.

    Returns
    -------
    Callable
        As for `kernel`.
    """
    return _compiled(function, "always")


def borrowing_kernel(function: Function) -> Function:
    """Compile `function` without counting who refers to its arrays: for kernels that make none.

    Its callers hold them meanwhile. A kernel that takes the whole state of an engine, and is called
    once a class or an event, would spend most of its time on these counts: they are atomic, two
    for each array and call.

    Parameters
    ----------
    function : Callable
        As for `kernel`; it makes no arrays (views are none) and returns numbers or nothing.

    Returns
    -------
    Callable
        As for `kernel`.
    """
    return _compiled(function, "never", counts_references=False)


def _compiled(
    function: Function, inline: Literal["never", "always"], counts_references: bool = True
) -> Function:
    # no_cfunc_wrapper: nobody calls a kernel through a C function pointer
    flags: Any = {"cache": True, "nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    if not counts_references:
        flags["_nrt"] = False
    compiled: Any = numba.njit(**flags, inline=inline)(function)
    if compiled is not function:
        # Numba looks for changes in the function's own file only: a kernel would go on running the
        # old machine code of what it calls in another file, and unchecked code where
        # NUMBA_BOUNDSCHECK=1. So the version of its cache covers the room and the setting; the
        # version, because it is compared before types are unpickled that may be gone by now.
        cache = compiled._cache._cache_file
        cache._version = (cache._version, SOURCES, SETTINGS.BOUNDSCHECK)
    return cast(Function, compiled)
