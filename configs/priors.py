"""Priors: what is believed of a parameter before anything was observed.

A prior is reached from a standard normal z: the parameter is its quantile at Phi(z). So all
parameters of a calibration are independent and standard normal in z, whatever their laws.
"""

import math
from collections.abc import Iterator
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator
from scipy import special

from configs.messages import value as shown_value
from configs.record import Record, model_field

Floats = NDArray[np.float64]
Law = Literal["normal", "log_normal", "uniform", "log_uniform"]

MAX_FACTOR = 1e6
FARTHEST = 8.0  # standard deviations: a truncation beyond them leaves 1e-15 of the law
_NEEDED: dict[str, tuple[str, ...]] = {
    "normal": ("mean", "sd"),
    "log_normal": ("median", "factor"),
    "uniform": ("low", "high"),
    "log_uniform": ("low", "high"),
}
_POSITIVE = {
    "normal": ("sd",),
    "log_normal": ("median",),
    "uniform": (),
    "log_uniform": ("low", "high"),
}


class Prior(Record):
    """The law of one parameter before anything was observed.

    The normal and the log-normal law may be truncated at `low` and `high`; the mean, median,
    standard deviation and factor are those of the law before that.
    """

    law: Law = model_field(..., "normal, log_normal, uniform or log_uniform", section=12)
    mean: float | None = model_field(None, "mean of a normal law", section=12)
    sd: float | None = model_field(None, "standard deviation of a normal law", section=12)
    median: float | None = model_field(None, "median of a log-normal law", section=12)
    factor: float | None = model_field(
        None,
        "f: 68 % of a log-normal law lie within median / f to median * f",
        section=12,
        gt=1,
        le=MAX_FACTOR,
    )
    low: float | None = model_field(None, "least value", section=12)
    high: float | None = model_field(None, "greatest value", section=12)

    @model_validator(mode="after")
    def _fields_are_those_of_the_law(self) -> Self:
        problems = [*_field_problems(self)] or [*_end_problems(self)]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def at(self, z: Floats) -> Floats:
        """Return the quantiles of the prior at Phi(z).

        Parameters
        ----------
        z : float64[any shape]
            Standard normal values.

        Returns
        -------
        float64[same shape]
            In the parameter's unit, rising with z; accurate in both tails.
        """
        z = np.asarray(z, np.float64)
        low, high = self._scaled_ends()
        if self.law in ("uniform", "log_uniform"):
            scaled = low * special.ndtr(-z) + high * special.ndtr(z)
        else:
            centre, spread = self._centre_and_spread()
            scaled = centre + spread * _truncated(
                z, (low - centre) / spread, (high - centre) / spread
            )
        found = np.exp(scaled) if self._is_log else scaled
        return np.asarray(np.clip(found, self.low, self.high), np.float64)

    def z_of(self, value: float) -> float:
        """Return the z whose quantile a value is: the inverse of `at`.

        Parameters
        ----------
        value : float
            In the parameter's unit, within the ends of the prior.

        Returns
        -------
        float
            A standard normal value; infinite at an end of the prior.

        Raises
        ------
        ValueError
            The prior has no such value.
        """
        low, high = self._scaled_ends()
        scaled = (math.log(value) if value > 0 else -math.inf) if self._is_log else value
        if not (math.isfinite(scaled) and low <= scaled <= high):
            raise ValueError(f"expected a value of the prior {self.describe()}, got {value:.12g}")
        if self.law in ("uniform", "log_uniform"):
            share = (scaled - low) / (high - low)
            # from the nearer end, where a share has more digits
            rest = (high - scaled) / (high - low)
            return float(special.ndtri(share) if share < 0.5 else -special.ndtri(rest))
        centre, spread = self._centre_and_spread()
        low, t, high = ((end - centre) / spread for end in (low, scaled, high))
        return _untruncated(t, low, high)

    def describe(self) -> str:
        """Return the prior in words: `log-normal, median 0.4, 68 % within 0.2 to 0.8`."""
        if self.law in ("uniform", "log_uniform"):
            return f"{self.law.replace('_', '-')} from {self.low:.4g} to {self.high:.4g}"
        ends = [
            f"{word} {end:.4g}"
            for word, end in (("not below", self.low), ("not above", self.high))
            if end is not None
        ]
        cut = "".join(f", {end}" for end in ends)
        if self.mean is not None:
            return f"normal, mean {self.mean:.4g}, standard deviation {self.sd:.4g}{cut}"
        assert self.median is not None, self.law  # the model has checked it
        assert self.factor is not None, self.law
        within = f"{self.median / self.factor:.4g} to {self.median * self.factor:.4g}"
        return f"log-normal, median {self.median:.4g}, 68 % within {within}{cut}"

    @property
    def _is_log(self) -> bool:
        return self.law.startswith("log")

    def _scaled_ends(self) -> tuple[float, float]:
        """Return the ends on the scale that the law is normal or uniform on; infinite without."""
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not self._is_log:
            return low, high
        return math.log(low) if low > 0 else -math.inf, math.log(high)

    def _centre_and_spread(self) -> tuple[float, float]:
        """Return mean and standard deviation on the scale that the law is normal on."""
        if self.mean is not None:
            assert self.sd is not None, self.law  # the model has checked it
            return self.mean, self.sd
        assert self.median is not None, self.law
        assert self.factor is not None, self.law
        return math.log(self.median), math.log(self.factor)


def _truncated(z: Floats, low: float, high: float) -> Floats:
    """Return the quantiles at Phi(z) of a standard normal law truncated at low and high.

    With u = Phi(z), Phi(t) is (1 - u) Phi(low) + u Phi(high), and so is the other tail: both are
    sums of positive parts, so that neither loses digits.
    """
    if math.isinf(low) and math.isinf(high):
        return z
    of_low, of_high = special.log_ndtr(-z), special.log_ndtr(z)
    below = np.logaddexp(of_low + special.log_ndtr(low), of_high + special.log_ndtr(high))
    above = np.logaddexp(of_low + special.log_ndtr(-low), of_high + special.log_ndtr(-high))
    found = np.where(below < above, special.ndtri_exp(below), -special.ndtri_exp(above))
    return np.asarray(np.clip(found, low, high), np.float64)


def _untruncated(t: float, low: float, high: float) -> float:
    """Return the z that `_truncated` takes to t."""
    if math.isinf(low) and math.isinf(high):
        return t
    whole = _log_mass(low, high)
    below, above = _log_mass(low, t) - whole, _log_mass(t, high) - whole
    return float(special.ndtri_exp(below) if below < above else -special.ndtri_exp(above))


def _log_mass(low: float, high: float) -> float:
    """Return the logarithm of the probability that a standard normal lies between."""
    if low > 0:  # in the tail that is small there
        low, high = -high, -low
    if low == high:
        return -math.inf
    more, less = special.log_ndtr(high), special.log_ndtr(low)
    return float(more + math.log(-math.expm1(less - more)))


def _field_problems(prior: Prior) -> Iterator[str]:
    """Say which fields the law lacks or has no use for, and which are not positive."""
    needed = _NEEDED[prior.law]
    known = tuple(dict.fromkeys((*needed, "low", "high")))
    for name in type(prior).model_fields:
        came = getattr(prior, name)
        if name in needed and came is None:
            yield f"{name}: expected a number with the law {prior.law!r}, got nothing"
        elif name != "law" and name not in known and came is not None:
            fields = ", ".join(known)
            yield (
                f"{name}: expected none with the law {prior.law!r}, got {shown_value(came)}; "
                f"its fields: {fields}"
            )
        elif name in _POSITIVE[prior.law] and came <= 0:
            yield f"{name}: expected above 0 with the law {prior.law!r}, got {shown_value(came)}"


def _end_problems(prior: Prior) -> Iterator[str]:
    """Say what is wrong with the ends of a prior."""
    low, high = prior.low, prior.high
    if prior.law == "log_normal" and high is not None and high <= 0:
        yield f"high: expected above 0 with the law 'log_normal', got {shown_value(high)}"
    elif low is not None and high is not None and low >= high:
        yield f"high: expected above low {shown_value(low)}, got {shown_value(high)}"
    elif prior.law in ("normal", "log_normal"):
        yield from _far_problems(prior)


def _far_problems(prior: Prior) -> Iterator[str]:
    """Say which end leaves next to nothing of a law."""
    centre, spread = prior._centre_and_spread()
    ends = [(end - centre) / spread for end in prior._scaled_ends()]
    for name, too_far in (("low", ends[0] > FARTHEST), ("high", ends[1] < -FARTHEST)):
        if too_far:
            yield (
                f"{name}: expected an end within {FARTHEST:.0f} standard deviations of the law, "
                f"got {shown_value(getattr(prior, name))}; move it, or the law"
            )
