"""The error of the mean of a table of draws by paths with gaps, by dense matrices."""

import numpy as np
import numpy.typing as npt


def squared_error(table: npt.NDArray[np.float64]) -> float:
    """Return the squared error of the mean of the draws' means of float64[draws, paths].

    The sums of squares are quadratic forms y' A y; each has the expectation tr(A V), V the
    covariance of the values, so that three linear equations give the variances of draws, paths and
    rest. Those below 0 are cut off, the rest first; then the others follow from the two forms that
    hold the rest and one of them.
    """
    draw, path = np.nonzero(~np.isnan(table))
    y = table[draw, path]
    same = [np.equal.outer(draw, draw), np.equal.outer(path, path), np.eye(y.size, dtype=bool)]
    parts = [one.astype(float) for one in same]
    averaging = [part / part.sum(axis=1, keepdims=True) for part in parts[:2]]
    averaging.append(np.full((y.size, y.size), 1 / y.size))
    forms = [np.eye(y.size) - average for average in averaging]
    found = [y @ form @ y for form in forms]
    matrix = [[np.trace(form @ part) for part in parts] for form in forms]
    rest = max(0.0, float(np.linalg.solve(matrix, found)[2]))
    of_paths = max(0.0, found[0] / np.trace(forms[0]) - rest)  # within draws: paths and rest
    of_draws = max(0.0, found[1] / np.trace(forms[1]) - rest)
    weight = 1 / np.bincount(draw)[draw] / np.unique(draw).size
    components = (of_draws, of_paths, rest)
    return float(
        sum(c * (weight @ part @ weight) for c, part in zip(components, parts, strict=True))
    )
