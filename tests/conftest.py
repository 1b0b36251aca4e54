"""The order of the tests: the longest at once, each group of them in a process of its own."""

import pytest

LONGEST = ("flows/test_killed.py", "flows/test_storage.py", "flows/test_sweep.py")
"""Files whose tests take minutes; begun last, they would be waited for by all the others."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put each of the longest files where a share of the tests begins, of as many as there are."""
    groups = [[item for item in items if name in item.nodeid] for name in LONGEST]
    others = [item for item in items if not any(name in item.nodeid for name in LONGEST)]
    share = len(items) // len(LONGEST)
    ordered: list[pytest.Item] = []
    for group in groups:
        room = max(0, share - len(group))
        ordered += group + others[:room]
        others = others[room:]
    items[:] = ordered + others
