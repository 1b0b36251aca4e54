"""The shapes of a run's points (`configs.shapes`), and how SQL finds them."""

from __future__ import annotations

from typing import Literal

from configs.shapes import Shape, Shapes, is_shaped, pool_names
from results.manifest import Manifest


def shapes_of_run(manifest: Manifest) -> Shapes:
    """Return the shapes of the points of a run."""
    if is_shaped(manifest.axes):
        from configs.sweep import Config, shapes_of  # the models take a while to load

        return shapes_of(Config.model_validate(manifest.config))
    pools = pool_names(manifest.plans, manifest.config.get("scenario", {}).get("pools", ()))
    return Shapes((Shape(manifest.plans, pools, manifest.periods, manifest.periods_per_year),))


def number_sql(shapes: Shapes, origin: str) -> str:
    """Return the SQL of the position in `shapes.distinct` of a row's shape.

    Parameters
    ----------
    shapes : Shapes
        The shapes.
    origin : str
        SQL of the row's point in the sweep.
    """
    return _looked_up(list(shapes.numbers or [0]), origin)


def length_sql(shapes: Shapes, field: Literal["periods", "periods_per_year"], origin: str) -> str:
    """Return the SQL of a length that a row's point has, as `number_sql`."""
    numbers = shapes.numbers or [0]
    return _looked_up([getattr(shapes.distinct[number], field) for number in numbers], origin)


def _looked_up(values: list[int], origin: str) -> str:
    """Return the SQL of the value of a row's point; a constant where all are alike."""
    if len({*values}) == 1:
        return str(values[0])
    return f"([{', '.join(map(str, values))}])[({origin}) + 1]"
