"""Named fields are packed into the structured arrays that kernels read."""

import numpy as np
import pytest

from configs import arrays
from kernels.parameters import RECORDS, Parameters, from_fields
from tests.kernels.pools import BASE, CHANNEL, scenario


def test_every_field_arrives_under_its_name() -> None:
    two = {"plans.other": BASE["plans"]["main"] | {"wait_periods": 1}, "channels.one": CHANNEL}
    fields = arrays.parameters(scenario(two))
    packed = from_fields(fields)
    assert set(fields) == set(Parameters._fields)
    for name, dtype in RECORDS.items():
        for field in dtype.names or ():
            expected = np.broadcast_to(fields[name][field], getattr(packed, name).shape)
            assert (getattr(packed, name)[field] == expected).all(), f"{name}.{field}"
    assert packed.plans["wait"].tolist() == [2, 1]
    assert packed.pool.shape == (1,)


def test_a_scenario_without_channels_has_none() -> None:
    packed = from_fields(arrays.parameters(scenario()))
    assert packed.channels.shape == (0,)
    assert packed.push.shape == (0, 12)


@pytest.mark.parametrize("change", [{"wait": None}, {"patience": np.zeros(1)}])
def test_a_field_too_few_or_too_many_is_refused(change: dict[str, object]) -> None:
    fields = arrays.parameters(scenario())
    plans = {**fields["plans"], **change}
    fields["plans"] = {name: column for name, column in plans.items() if column is not None}
    with pytest.raises(ValueError, match=rf"plans: .*{next(iter(change))}"):
        from_fields(fields)


def test_an_array_too_few_or_too_many_is_refused() -> None:
    fields = arrays.parameters(scenario())
    without = {name: value for name, value in fields.items() if name != "delay"}
    with pytest.raises(TypeError, match="delay"):
        from_fields(without)
    with pytest.raises(TypeError, match="patience"):
        from_fields(fields | {"patience": np.zeros(1)})
