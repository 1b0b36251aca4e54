"""Dotted paths into models and into the mappings that become them."""

from typing import Any

import pytest

from configs.dotted import PathError, expand, place_of, shown, with_value
from configs.scenario import Scenario

TREE: dict[str, Any] = {
    "plans": {"a": {"fee_rate": 0.1}, "b": {}},
    "motives": {"m": {}},
}


def test_star_stands_for_every_name_in_order() -> None:
    assert expand(Scenario, TREE, "plans.*.fee_rate") == (
        ("plans", "a", "fee_rate"),
        ("plans", "b", "fee_rate"),
    )


def test_what_is_left_out_has_its_default() -> None:
    assert expand(Scenario, {}, "health.*.acceptance") == (("health", "standard", "acceptance"),)
    assert expand(Scenario, {}, "age_edges.0") == (("age_edges", 0),)


def test_value_is_set_without_touching_the_tree() -> None:
    changed = with_value(Scenario, TREE, ("plans", "b", "caps", "per_year_yuan"), 188)
    assert changed["plans"]["b"]["caps"]["per_year_yuan"] == 188
    assert changed["plans"]["a"] is TREE["plans"]["a"]
    assert TREE["plans"]["b"] == {}


def test_place_tells_type_bounds_and_null() -> None:
    fee, cap = (
        place_of(Scenario, path.split("."))
        for path in ("plans.*.fee_rate", "plans.main.caps.per_year_yuan")
    )
    assert fee is not None
    assert cap is not None
    assert (fee.kind, fee.bounds, fee.nullable) == (float, {"ge": 0, "lt": 1}, False)
    assert (cap.kind, cap.bounds, cap.nullable) == (float, {"gt": 0}, True)
    assert place_of(Scenario, ("plans", "main", "no")) is None


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "expected a field of the scenario, got ''"),
        ("plans..fee_rate", r"got 'plans\.\.fee_rate'; did you mean plans\.a\.fee_rate\?"),
        ("plans.*.ruel", r"did you mean plans\.a\.rule\?"),
        ("*", r"expected a field of the scenario, got '\*'"),
        ("channels.*.padding", r"did you mean channels\?"),
        ("claims.incidence.male.0", "did you mean claims.incidence"),
    ],
)
def test_path_that_names_nothing_is_refused_with_what_is_near(path: str, message: str) -> None:
    with pytest.raises(PathError, match=message):
        expand(Scenario, TREE, path)


def test_location_is_shown_as_one_writes_it() -> None:
    assert shown(("plans", "main", "benefit", 0, "from_age")) == "plans.main.benefit[0].from_age"
