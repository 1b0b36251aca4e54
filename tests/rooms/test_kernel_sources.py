"""The house rules for kernels, read from their sources."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "kernels").glob("*.py"))
DECORATORS = ("kernel", "inlined_kernel", "borrowing_kernel")

# Rule 12 of the house: nine kernels of ten keep to the first figure, all of them to the second.
LINES, MOST_LINES = 40, 60
ARGUMENTS = 8
NINE_OF_TEN = 0.9

BANNED_NAMES = {"fastmath", "guvectorize", "parallel", "vectorize", "prange", "stencil"}


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield f"{file.stem}.{node.name}", node


def is_kernel(function: ast.FunctionDef) -> bool:
    names = [node.id for node in function.decorator_list if isinstance(node, ast.Name)]
    return any(name in DECORATORS for name in names)


KERNELS = {name: function for name, function in functions() if is_kernel(function)}
each_kernel = pytest.mark.parametrize("function", KERNELS.values(), ids=list(KERNELS))


def arguments(function: ast.FunctionDef) -> list[ast.arg]:
    every = function.args
    assert (every.vararg, every.kwarg) == (None, None), function.name
    return [*every.posonlyargs, *every.args, *every.kwonlyargs]


def lines(function: ast.FunctionDef) -> int:
    """Count the lines from `def` to the end, without the docstring."""
    docstring = function.body[0]
    assert function.end_lineno is not None
    assert docstring.end_lineno is not None
    total = function.end_lineno - function.lineno + 1
    return total - (docstring.end_lineno - docstring.lineno + 1)


def test_there_are_kernels_to_hold_to_the_rules() -> None:
    assert len(KERNELS) > 60
    assert {"cohort.simulate_path", "apportion.settle", "draws.binomial"} <= set(KERNELS)


@each_kernel
def test_every_argument_of_a_kernel_is_used(function: ast.FunctionDef) -> None:
    body = [node for statement in function.body for node in ast.walk(statement)]
    used = {node.id for node in body if isinstance(node, ast.Name)}
    assert {argument.arg for argument in arguments(function)} - used == set()


@each_kernel
def test_a_kernel_is_annotated_throughout(function: ast.FunctionDef) -> None:
    bare = [argument.arg for argument in arguments(function) if argument.annotation is None]
    assert bare == []
    assert function.returns is not None


@each_kernel
def test_a_kernel_says_what_it_does(function: ast.FunctionDef) -> None:
    docstring = ast.get_docstring(function)
    assert docstring is not None
    assert docstring.splitlines()[0].endswith("."), "one line that is a sentence comes first"


@each_kernel
def test_a_kernel_fits_on_a_page(function: ast.FunctionDef) -> None:
    assert lines(function) <= MOST_LINES


def test_nine_kernels_of_ten_are_short_and_take_few_arguments() -> None:
    small = [
        name
        for name, function in KERNELS.items()
        if lines(function) <= LINES and len(arguments(function)) <= ARGUMENTS
    ]
    assert len(small) >= NINE_OF_TEN * len(KERNELS), sorted(set(KERNELS) - set(small))


def identifiers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, ast.Dict):
            yield from (str(key.value) for key in node.keys if isinstance(key, ast.Constant))


def imported(tree: ast.AST) -> set[str]:
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module or "")
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_kernels_neither_loosen_arithmetic_nor_carry_random_state(file: Path) -> None:
    tree = ast.parse(file.read_text())
    assert BANNED_NAMES & set(identifiers(tree)) == set()
    random = {name for name in imported(tree) if "random" in name.split(".")}
    attributes = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    assert random == set()
    assert "random" not in attributes


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_only_one_file_knows_the_compiler(file: Path) -> None:
    modules = {name.split(".")[0] for name in imported(ast.parse(file.read_text()))}
    assert ("numba" in modules) is (file.stem == "compiling")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_kernel_file_has_tests_of_its_own(file: Path) -> None:
    untested = {"__init__", "dtypes"}  # a docstring; definitions that test_vocabulary holds to
    test = ROOT / "tests" / "kernels" / f"test_{file.stem}.py"
    assert test.is_file() or file.stem in untested
