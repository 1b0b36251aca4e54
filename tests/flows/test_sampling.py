"""The sampler on a real simulator, in this process: it finds a truth, resumes, takes any lots."""

from pathlib import Path

import numpy as np
import pytest

from configs.calibration import Calibration, load_calibration, names, values_at
from flows import fitting, sampling
from flows.sampling import Floats, Step
from kernels import posterior
from results.analysis.posterior import parameter_columns
from tests.flows.calibrations import truth_in_z, written


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("calibration"))


@pytest.fixture(scope="module")
def calibration(file: Path) -> Calibration:
    return load_calibration(file)


def simulate_of(calibration: Calibration) -> sampling.Simulate:
    sums = fitting.sums_of(calibration, fitting.fitted(calibration))
    return lambda values, paths: fitting.simulated(calibration, sums, values, paths)


@pytest.fixture(scope="module")
def last(calibration: Calibration) -> Step:
    *_, found = sampling.steps(calibration, simulate_of(calibration))
    return found


@pytest.mark.statistical
def test_a_known_truth_is_found_and_what_the_figures_do_not_tell_is_not_fitted(
    calibration: Calibration, last: Step
) -> None:
    # The truth lies within 4 posterior standard deviations: 2 x 6e-5 false alarms. The figures are
    # good to a few per cent, the priors to a factor of 2.
    z, truth = last.state.z, truth_in_z(calibration)
    columns = names(calibration)
    for name in ("level", "push"):
        of_one = z[:, columns.index(name)]
        assert abs(of_one.mean() - truth[name]) < 4 * of_one.std()
        assert of_one.std() < 0.2
    prior = np.random.default_rng(1).standard_normal((500, len(columns)))
    told = parameter_columns(
        values_at(calibration, prior),
        z,
        values_at(calibration, z),
        posterior.effective_sample(z, last.state.families),
    )
    identified = dict(zip(columns, told["identified"].tolist(), strict=True))
    assert identified["level"]
    assert identified["push"]
    assert not identified["rivals"]


def test_a_fit_that_is_read_back_goes_on_to_the_same_particles(
    calibration: Calibration, last: Step
) -> None:
    simulate = simulate_of(calibration)
    begun = sampling.steps(calibration, simulate)
    left = [next(begun) for _ in range(6)][-1]
    *_, again = sampling.steps(calibration, simulate, sampling.unpacked(sampling.packed(left)))
    assert sampling.packed(again) == sampling.packed(last)
    assert list(sampling.steps(calibration, simulate, again)) == []


def test_lots_do_not_change_what_is_simulated(calibration: Calibration, last: Step) -> None:
    values, paths = values_at(calibration, last.state.z[:7]), last.state.path[:7]
    simulate = simulate_of(calibration)
    parts = [simulate(values[i : i + 3], paths[i : i + 3]) for i in (6, 3, 0)]
    whole: Floats = simulate(values, paths)
    np.testing.assert_array_equal(np.concatenate(parts[::-1]), whole)
    np.testing.assert_array_equal(whole, last.state.figures[:7])


def test_a_forecast_begins_with_the_path_that_was_fitted(
    calibration: Calibration, last: Step
) -> None:
    every = fitting.every_period(calibration)
    values, paths = values_at(calibration, last.state.z[:5]), last.state.path[:5]
    sums = fitting.sums_of(calibration, every)
    known = fitting.simulated(calibration, sums, values, paths, "known")
    places = [every.index(figure) for figure in fitting.fitted(calibration)]
    np.testing.assert_array_equal(known[:, places], last.state.figures[:5])
    scandal = fitting.simulated(calibration, sums, values, paths, "bad_news")
    before = [i for i, figure in enumerate(every) if figure.period < 12]
    np.testing.assert_array_equal(scandal[:, before], known[:, before])
    assert not np.array_equal(scandal, known)


def test_values_that_make_no_scenario_have_no_likelihood(calibration: Calibration) -> None:
    simulate = simulate_of(calibration)
    values = values_at(calibration, np.zeros((2, len(names(calibration)))))
    values[0, names(calibration).index("push")] = -1
    found = simulate(values, np.array([1, 1]))
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()


def test_the_error_of_a_model_is_relative_to_what_it_says_or_to_the_largest_figure(
    file: Path,
) -> None:
    series = [("members", "everybody"), ("claims", "everybody")]
    said = np.array([[200.0, 7.0], [1e9, 7.0]])
    of_figure = load_calibration(file)
    values = values_at(of_figure, np.zeros((2, len(names(of_figure)))))
    error = values[0, names(of_figure).index("error")]
    found = sampling.model_errors(of_figure, series)(values, said)
    np.testing.assert_allclose(found, np.array([[200 * error, 0], [1e9 * error, 0]]))
    of_largest = load_calibration(file, ["model_errors.error.relative_to=largest"])
    largest = max(row.value for row in of_largest.observations.rows if row.quantity == "members")
    found = sampling.model_errors(of_largest, series)(values, said)
    np.testing.assert_allclose(found[:, 0], [largest * error, 1e9 * error])
