"""The shapes of points: what of a sweep decides their plans, pools and length."""

from typing import Any

from configs.shapes import Shape
from configs.sweep import Config, shapes_of

PLAN: dict[str, Any] = {
    "max_age": 59,
    "advertised_share_yuan": 1,
    "benefit": [{"from_age": 0, "benefit_yuan": 1}],
}


def config(**sweep: Any) -> Config:
    scenario: dict[str, Any] = {
        "title": "shapes",
        "periods": 4,
        "periods_per_year": 12,
        "market_members": 10,
        "plans": {"main": PLAN},
        "motives": {"m": {}},
    }
    return Config.model_validate({"name": "shapes", "scenario": scenario, "sweep": sweep})


def test_points_are_alike_where_nothing_decides_a_shape() -> None:
    shapes = shapes_of(config(axes={"plans.main.fee_rate": [0.0, 0.1]}))
    assert shapes.distinct == (Shape(("main",), ("main",), 4, 12),)
    assert not shapes.numbers
    assert shapes.at(1) == shapes.at(0)


def test_axes_win_over_worlds_and_worlds_over_policies() -> None:
    shapes = shapes_of(
        config(
            policies={"a": {"periods": 5, "plans": {"x": PLAN, "y": PLAN}}, "b": {}},
            worlds={"w": {"periods": 6}},
            axes={"periods_per_year": [12, 24]},
        )
    )
    assert [shapes.at(point) for point in range(4)] == [
        Shape(("x", "y"), ("x",), 6, 12),
        Shape(("x", "y"), ("x",), 6, 24),
        Shape(("main",), ("main",), 6, 12),
        Shape(("main",), ("main",), 6, 24),
    ]
    assert shapes.plans == ("x", "y", "main")
    assert shapes.pools == ("x", "main")
    assert not shapes.have_same_plans


def test_a_value_that_is_swept_but_the_same_makes_no_difference() -> None:
    shapes = shapes_of(config(axes={"periods": [4], "plans.main.fee_rate": [0.0, 0.1]}))
    assert shapes.distinct == (Shape(("main",), ("main",), 4, 12),)
    assert shapes.at(1).periods == 4


def test_pools_are_those_that_a_point_names() -> None:
    shapes = shapes_of(config(policies={"one": {}, "two": {"pools": {"east": {}, "west": {}}}}))
    assert [shapes.at(point).pools for point in (0, 1)] == [("main",), ("east", "west")]
