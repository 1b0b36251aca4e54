"""Calibrations: which parameters of a scenario are fitted, to what, and what is forecast then.

A file names a scenario, the figures that were published of the real pool, the parameters with
their priors, and a cut-off date: figures after it are held back, for the forecast to be compared
with. Everything is checked here, before anything is simulated.
"""

import datetime
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, JsonValue, ValidationError, model_validator

from configs import yaml_text
from configs.age_sex_table import AgeSexTable
from configs.checks import with_checked_axes
from configs.dotted import Location, PathError, expand, nearest, place_of, shown, with_value
from configs.load import (
    Document,
    Source,
    canonical,
    from_folder,
    hash_of,
    load,
    locations_in,
    read_chain,
)
from configs.messages import ConfigError, Problem, ProblemsError, problems_of, report, value
from configs.observed import (
    OF_ONE_PLAN,
    Observation,
    Observed,
    Quantity,
    date_of,
    period_of,
    read_observed,
)
from configs.priors import Prior
from configs.record import Record, model_field
from configs.scenario import Name, Scenario
from configs.sweep import (
    MAX_NAME_LENGTH,
    MAX_SEED,
    Config,
    Sweep,
    names_a_folder,
    scenario_with,
)
from configs.text_file import FileError, brief, files_in

Floats = NDArray[np.float64]
Model = TypeVar("Model", bound=Record)
Scopes = dict[str, tuple[str, ...]]
Worlds = dict[Name, dict[str, JsonValue]]

MAX_PARAMETERS = 64
MAX_PARTICLES = 1_000_000
OVERRIDE, CUT_OFF = "--set", "--until"
# Quantiles of a standard normal that a prior has to make a scenario at: 0.01 % and 99.99 %.
EXTREMES = {"0.01 %": -3.7, "99.99 %": 3.7}
LENGTHS = ("periods", "periods_per_year")
"""Fields that say which period a date lies in: no parameters."""


class Parameter(Record):
    """A parameter: the fields of the scenario that it sets, and what is believed of it."""

    fields: tuple[str, ...] = model_field(
        ..., "dotted paths of the fields (`*`: every name)", section=12, min_length=1
    )
    how: Literal["set", "multiply"] = model_field(
        "set",
        "set: the fields have the parameter's value; multiply: the scenario's own values times it",
        section=12,
    )
    prior: Prior = model_field(..., "what is believed of it before", section=12)
    meaning: str = model_field("", "what it stands for, in a few words", section=12)


class Sampler(Record):
    """How the posterior is sampled: particles that are moved and reweighted in generations."""

    particles: int = model_field(
        1000, "particles, an even number", section=12, ge=10, le=MAX_PARTICLES
    )
    seed: int = model_field(0, "seed of the random numbers", section=12, ge=0, le=MAX_SEED)
    ess_fraction: float = model_field(
        0.5,
        "effective particles that the next temperature leaves",
        unit="share of particles",
        section=12,
        gt=0,
        lt=1,
    )
    correlation_left: float = model_field(
        0.3,
        "moves go on until what particles remember of where they were falls under this",
        section=12,
        gt=0,
        lt=1,
    )
    most_moves: int = model_field(20, "most moves of a generation", section=12, ge=1, le=10_000)
    final_moves: int = model_field(
        10, "moves after the last temperature", section=12, ge=0, le=10_000
    )

    @model_validator(mode="after")
    def _particles_are_even(self) -> Self:
        if self.particles % 2:
            raise ValueError(
                f"particles: expected an even number, got {self.particles}; "
                f"write {self.particles + 1}"
            )
        return self


class Forecast(Record):
    """How the posterior is simulated on, to the scenario's horizon."""

    draws: int = model_field(
        500, "draws of the posterior that are simulated on", section=12, ge=1, le=MAX_PARTICLES
    )
    first: datetime.date | None = model_field(
        None, "first day of the forecast; null: the day after `until`", section=12
    )
    worlds: Worlds = model_field(
        lambda: {"forecast": {}},
        "named sets of fields, by their dotted paths, that hold from then on; the first is the "
        "forecast, the others are told beside it",
        section=12,
        min_length=1,
    )
    unknown: dict[Name, Parameter] = model_field(
        dict,
        "parameters of what comes after the cut-off alone, of which no figure tells: each draw of "
        "the posterior takes them from their priors",
        section=12,
    )
    taken_as_given: dict[Name, str] = model_field(
        dict, "what a world takes as given, in words, for who reads the report", section=12
    )

    @model_validator(mode="after")
    def _worlds_told_are_there(self) -> Self:
        unknown = [name for name in self.taken_as_given if name not in self.worlds]
        if unknown:
            raise ValueError(
                f"taken_as_given: expected names of worlds ({', '.join(self.worlds)}), "
                f"got {unknown[0]!r}"
            )
        return self


class ModelError(Record):
    """What the model leaves out of some quantities: errors in proportion to what it says."""

    quantities: tuple[Quantity, ...] = model_field(
        ..., "quantities of the figures that it concerns", section=12, min_length=1
    )
    prior: Prior = model_field(
        ..., "what is believed of its relative standard deviation", unit="1", section=12
    )
    relative_to: Literal["figure", "largest"] = model_field(
        "figure",
        "figure: to what the model says; largest: to the largest figure that is fitted of the same "
        "quantity and scope, or to what the model says where that is more",
        section=12,
    )


class _Shared(Record):
    """What a file and a calibration both have as it stands."""

    until: datetime.date | None = model_field(
        None, "cut-off: figures of later days are held back; null: none are", section=12
    )
    scopes: Scopes = model_field(
        dict, "plans that each scope of the figures adds up, by its words", section=12
    )
    parameters: dict[Name, Parameter] = model_field(
        ..., "parameters by name", section=12, min_length=1, max_length=MAX_PARAMETERS
    )
    model_errors: dict[Name, ModelError] = model_field(
        dict,
        "what the model leaves out, each a parameter under its name; of other quantities it "
        "leaves out nothing",
        section=12,
    )
    sampler: Sampler = model_field(Sampler, "how the posterior is sampled", section=12)
    forecast: Forecast = model_field(Forecast, "how it is simulated on", section=12)


class File(_Shared):
    """A calibration as its file gives it."""

    name: str | None = model_field(None, "name of the calibration; null: the file's", section=12)
    scenario: JsonValue = model_field(
        ..., "path of a scenario's file, relative to this one, or the scenario itself", section=12
    )
    settings: dict[str, JsonValue] = model_field(
        dict, "fields of the scenario that are set, by their dotted paths", section=12
    )
    observations: JsonValue = model_field(
        ...,
        "path of a CSV file of published figures, relative to this one, or the figures themselves",
        section=12,
    )


class Calibration(_Shared):
    """Everything that a fit depends on."""

    name: Annotated[str, AfterValidator(names_a_folder)] = model_field(
        ..., "name of the calibration", section=12, min_length=1, max_length=MAX_NAME_LENGTH
    )
    scenario: Scenario = model_field(..., "the scenario, with its settings", section=12)
    observations: Observed = model_field(..., "published figures", section=12)


def load_calibration(
    path: str | os.PathLike[str], overrides: Sequence[str] = (), until: str | None = None
) -> Calibration:
    """Read the file of a calibration and those that it names, and check all of it.

    Parameters
    ----------
    path : str or path-like
        YAML file.
    overrides : sequence of str
        `dotted.field=value` each, as `--set` gives them: a field of the file, or of the scenario
        (`settings.periods=60`, `scenario.periods=60`); the value is YAML. Relative paths in values
        start at the working directory.
    until : str, optional
        In place of the file's `until`, as ISO text; `null` for no cut-off.

    Returns
    -------
    Calibration
        Self-contained: scenario and figures by their contents.

    Raises
    ------
    ConfigError
        The message names file, field, what was expected, what came, and the remedy.
    """
    document = read_chain(Path(path), ("extends", *File.model_fields))
    for override in overrides:
        document = _overridden(document, override, OVERRIDE)
    if until is not None:
        document = _overridden(document, f"until={until}", CUT_OFF)
    try:
        file = _validated(File, document.tree)
        calibration = Calibration(
            name=file.name or Path(path).stem,
            scenario=_scenario(file, document),
            observations=_observations(file, document),
            **{name: getattr(file, name) for name in _Shared.model_fields},
        )
        return _checked(_with_table_paths(calibration, document))
    except ValidationError as error:
        problems: Sequence[Problem] = problems_of(error, partial(place_of, Calibration))
    except ProblemsError as error:
        problems = error.problems
    raise ConfigError(report(problems, lambda location: document.source_of(location).shown))


def dump_calibration(calibration: Calibration) -> str:
    """Return a calibration as YAML that `load_calibration` reads back to the same calibration."""
    tree = calibration.model_dump(mode="json")
    first = ("name", "scenario", "observations")
    return yaml_text.write({name: tree[name] for name in (*first, *tree)})


def calibration_digest(calibration: Calibration) -> str:
    """Return the hash that names the cause of a fit's numbers.

    It is the SHA-256 of the calibration and huzhu's version, as `configs.load.digest` takes it.
    The order of parameters, of worlds and of the scenario's classes counts; the name of the
    calibration, comments and the order of fields do not.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    cause = {
        name: canonical(getattr(calibration, name))
        for name in Calibration.model_fields
        if name != "name"
    }
    cause["scopes"] = sorted(cause["scopes"])
    return hash_of(cause)


def fitted(calibration: Calibration) -> tuple[Observation, ...]:
    """Return the figures up to the cut-off date, in the order of their file."""
    until, rows = calibration.until, calibration.observations.rows
    return tuple(row for row in rows if until is None or row.date <= until)


def held_back(calibration: Calibration) -> tuple[Observation, ...]:
    """Return the figures after the cut-off date, in the order of their file."""
    until, rows = calibration.until, calibration.observations.rows
    return tuple(row for row in rows if until is not None and row.date > until)


def period_at(calibration: Calibration, day: datetime.date) -> int:
    """Return the period of the scenario that a day lies in."""
    scenario = calibration.scenario
    assert scenario.start_date is not None, calibration.name  # checked on loading
    return period_of(scenario.start_date, scenario.periods_per_year, day)


def last_fitted_period(calibration: Calibration) -> int:
    """Return the last period that a figure up to the cut-off date lies in."""
    return max(period_at(calibration, row.date) for row in fitted(calibration))


def forecast_start(calibration: Calibration) -> datetime.date:
    """Return the first day of the forecast: as it is set, or else the day after the cut-off.

    Without a cut-off it is the day after the last figure.
    """
    if calibration.forecast.first is not None:
        return calibration.forecast.first
    last = calibration.until or max(row.date for row in calibration.observations.rows)
    return last + datetime.timedelta(1)


def error_floor(calibration: Calibration, quantity: str, scope: str) -> float:
    """Return what a model's error is relative to at least, in the quantity's unit."""
    relative_to: dict[str, str] = {
        one: error.relative_to
        for error in calibration.model_errors.values()
        for one in error.quantities
    }
    if relative_to.get(quantity) != "largest":
        return 0.0
    same = [row for row in fitted(calibration) if (row.quantity, row.scope) == (quantity, scope)]
    return max((row.value for row in same), default=0.0)


def names(calibration: Calibration) -> tuple[str, ...]:
    """Return the names of the parameters in their order, the model's errors last."""
    return tuple(priors(calibration))


def priors(calibration: Calibration) -> dict[str, Prior]:
    """Return the prior of each parameter, by its name, in the order of `names`."""
    found = {name: parameter.prior for name, parameter in calibration.parameters.items()}
    errors = {name: error.prior for name, error in calibration.model_errors.items()}
    return {**found, **errors}


def error_column(calibration: Calibration, quantity: str) -> int | None:
    """Return the place in `names` of the error that the model makes in a quantity, if any."""
    for name, error in calibration.model_errors.items():
        if quantity in error.quantities:
            return names(calibration).index(name)
    return None


def values_at(calibration: Calibration, z: Floats) -> Floats:
    """Return the parameters at standard normal values.

    Parameters
    ----------
    calibration : Calibration
        A calibration.
    z : float64[n, parameters]
        Standard normal values; columns as `names`.

    Returns
    -------
    float64[n, parameters]
        Each in its own unit.
    """
    columns = [prior.at(z[:, k]) for k, prior in enumerate(priors(calibration).values())]
    return np.stack(columns, axis=1)


def field_names(calibration: Calibration) -> tuple[str, ...]:
    """Return the paths, without `*`, of the fields that parameters set, the future's last."""
    return tuple(target.path for target in (*_targets(calibration), *_future(calibration)))


def settings_of(calibration: Calibration, values: Floats) -> dict[str, float]:
    """Return what parameters set in the scenario, by dotted path.

    Parameters
    ----------
    calibration : Calibration
        A calibration.
    values : float64[parameters]
        Parameters in the order of `names`, those of the future behind them; the model's errors set
        nothing.

    Returns
    -------
    dict of str to float
        The keys are `field_names`; whole numbers, rounded, where the field takes only such.
    """
    targets = (*_targets(calibration), *_future(calibration))
    return {target.path: target.at(float(values[target.k])) for target in targets}


def unknown_at(calibration: Calibration, z: Floats) -> Floats:
    """Return the parameters of the future at standard normal values, as `values_at`."""
    unknown = calibration.forecast.unknown.values()
    columns = [parameter.prior.at(z[:, k]) for k, parameter in enumerate(unknown)]
    return np.stack(columns, axis=1) if columns else np.zeros((len(z), 0))


def scenario_of(calibration: Calibration, values: Floats, world: str | None = None) -> Scenario:
    """Return the scenario with parameters set.

    Parameters
    ----------
    calibration : Calibration
        A calibration.
    values : float64[parameters]
        Parameters in the order of `names`; those of the future (`forecast.unknown`) may follow.
    world : str, optional
        World of the forecast whose fields are set, too; they have the last word.

    Raises
    ------
    ProblemsError
        The values do not make a scenario.
    KeyError
        There is no such world.
    """
    tree: Any = calibration.scenario
    known = len(names(calibration))
    future = _future(calibration) if len(values) > known else ()
    for target in (*_targets(calibration), *future):
        tree = with_value(Scenario, tree, target.location, target.at(float(values[target.k])))
    for location, setting in _worlds(calibration)[world] if world is not None else ():
        tree = with_value(Scenario, tree, location, setting)
    try:
        return Scenario.model_validate(tree)
    except ValidationError as error:
        raise ProblemsError(problems_of(error, partial(place_of, Scenario))) from None


@dataclass(frozen=True)
class _Target:
    """One field that a parameter sets.

    Attributes
    ----------
    location : Location
        Where it lies in the scenario.
    k : int
        Place of its parameter in the order of `names`.
    base : float or None
        What the parameter multiplies; None where it is the field's value itself.
    is_whole : bool
        Whether the field takes only whole numbers.
    """

    location: Location
    k: int
    base: float | None
    is_whole: bool

    @property
    def path(self) -> str:
        """Its dotted path, without `*`."""
        return ".".join(map(str, self.location))

    def at(self, parameter: float) -> float:
        """Return the field's value with a parameter."""
        found = parameter if self.base is None else self.base * parameter
        return round(found) if self.is_whole else found


class _This:
    """A calibration as a key: this very object, since one that holds mappings has no hash."""

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration

    def __hash__(self) -> int:
        return id(self.calibration)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _This) and other.calibration is self.calibration


def _targets(calibration: Calibration) -> tuple[_Target, ...]:
    return _targets_of(_This(calibration))


# Scenarios are asked for one after the other, of one calibration.
@lru_cache(maxsize=8)
def _targets_of(this: _This) -> tuple[_Target, ...]:
    return _fields_of(this.calibration.scenario, this.calibration.parameters.values(), 0)


def _future(calibration: Calibration) -> tuple[_Target, ...]:
    """Return the fields that the parameters of the future set; they stand behind the others."""
    return _future_of(_This(calibration))


@lru_cache(maxsize=8)
def _future_of(this: _This) -> tuple[_Target, ...]:
    calibration = this.calibration
    unknown = calibration.forecast.unknown.values()
    return _fields_of(calibration.scenario, unknown, len(names(calibration)))


def _fields_of(
    scenario: Scenario, parameters: Iterable[Parameter], first: int
) -> tuple[_Target, ...]:
    """Return the fields that parameters set, which stand from place `first` on."""
    found = []
    for k, parameter in enumerate(parameters, start=first):
        for path in parameter.fields:
            for location in expand(Scenario, scenario, path):
                place = place_of(Scenario, location)
                base = _own_number(scenario, location) if parameter.how == "multiply" else None
                if parameter.how == "multiply" and not base:  # a factor does not move it
                    continue
                is_whole = place is not None and place.kind is int
                found.append(_Target(location, k, base, is_whole))
    return tuple(found)


def _worlds(calibration: Calibration) -> dict[str, tuple[tuple[Location, JsonValue], ...]]:
    return _worlds_of(_This(calibration))


@lru_cache(maxsize=8)
def _worlds_of(this: _This) -> dict[str, tuple[tuple[Location, JsonValue], ...]]:
    """Return what each world sets, and where."""
    scenario = this.calibration.scenario
    return {
        world: tuple(
            (location, setting)
            for path, setting in fields.items()
            for location in expand(Scenario, scenario, path)
        )
        for world, fields in this.calibration.forecast.worlds.items()
    }


def _own_number(scenario: Scenario, location: Location) -> float | None:
    """Return the scenario's own number at a location; None where it has none."""
    node: Any = scenario
    for step in location:
        if node is None:
            return None
        node = getattr(node, str(step)) if isinstance(node, Record) else node[step]
    return None if node is None else float(node)


def _overridden(document: Document, override: str, shown_as: str) -> Document:
    """Return the document with one `dotted.field=value` set."""
    path, sign, text = override.partition("=")
    path = path.strip()
    if not sign or not path:
        raise ConfigError(f"{shown_as}: expected dotted.field=value, got {override!r}")
    try:
        setting = yaml_text.parse(text)
    except yaml_text.TextError as error:
        raise ConfigError(f"{shown_as}: {path}: {error}") from None
    tree, origins = document.tree, dict(document.origins)
    try:
        found = _override_locations(tree, path)
    except PathError as error:
        raise ConfigError(f"{shown_as}: {error}") from None
    source = Source(shown_as, Path(), 1)
    for location in found:
        tree = _set(tree, location, setting)
        origins |= dict.fromkeys(locations_in(setting, location), source)
    return Document(tree, origins)


def _override_locations(tree: Mapping[str, Any], path: str) -> tuple[Location, ...]:
    """Return the locations in a document that an override's path names."""
    head, _, rest = path.partition(".")
    if head in ("settings", "scenario") and rest:  # what is set is a path itself
        return (("settings", rest),)
    if path.startswith("forecast.worlds.") and path.count(".") > 2:
        return (tuple(path.split(".", 3)),)
    return expand(File, tree, path)


def _set(tree: dict[str, Any], location: Location, setting: Any) -> dict[str, Any]:
    if location[0] == "settings":
        own = tree.get("settings")
        return {
            **tree,
            "settings": {**(own if isinstance(own, dict) else {}), location[1]: setting},
        }
    changed: dict[str, Any] = with_value(File, tree, location, setting)
    return changed


def _validated(
    model: type[Model], tree: Any, where: Location = (), folder: Path | None = None
) -> Model:
    """Return a tree as a model.

    Parameters
    ----------
    model : type of Record
        The model.
    tree : Any
        Mappings and lists.
    where : Location
        Where the tree lies in the document.
    folder : Path, optional
        Where the paths of tables start.

    Raises
    ------
    ProblemsError
        It does not make one.
    """
    try:
        # As JSON, so that text is not taken for a number, nor true for 1.
        return model.model_validate_json(
            json.dumps(tree), strict=True, context={"folder": folder or Path()}
        )
    except ValidationError as error:
        raise ProblemsError(_moved(problems_of(error, partial(place_of, model)), where)) from None


def _moved(problems: Iterable[Problem], where: Location) -> list[Problem]:
    return [Problem((*where, *problem.location), problem.text) for problem in problems]


def _scenario(file: File, document: Document) -> Scenario:
    """Return the scenario that a file names or holds, with its settings."""
    source = document.source_of(("scenario",))
    if isinstance(file.scenario, str):
        path = _existing(file.scenario, "scenario", source)
        scenario = load(path, design=Sweep()).scenario
    else:
        _refuse_other_than_mapping(file.scenario, "scenario", "a scenario's file")
        scenario = _validated(Scenario, file.scenario, ("scenario",), source.folder)
    return _with_settings(scenario, file.settings, document)


def _observations(file: File, document: Document) -> Observed:
    """Return the figures that a file names or holds."""
    if isinstance(file.observations, str):
        source = document.source_of(("observations",))
        return read_observed(_existing(file.observations, "observations", source))
    _refuse_other_than_mapping(file.observations, "observations", "a CSV file")
    return _validated(Observed, file.observations, ("observations",))


def _refuse_other_than_mapping(came: Any, field: str, of: str) -> None:
    if not isinstance(came, dict):
        text = f"expected the path of {of}, or a mapping with what it says, got {value(came)}"
        raise ProblemsError([Problem((field,), text)])


def _existing(name: str, field: str, source: Source) -> Path:
    """Return the file that a field names."""
    path = Path(os.path.normpath(source.folder / name))
    if not os.path.isfile(path):
        text = f"expected an existing file, got {brief(name)}{_beside(path)}"
        raise ProblemsError([Problem((field,), text)])
    return path


def _beside(path: Path) -> str:
    """Return a remedy: the file where this one was looked for that is most like it."""
    try:
        near = nearest(path.name, files_in(path.parent, ("",)))
    except FileError:
        return f"; there is no folder {str(path.parent)!r}"
    return f"; did you mean {near}?" if near else f"; it was looked for in {str(path.parent)!r}"


def _with_settings(
    scenario: Scenario, settings: Mapping[str, JsonValue], document: Document
) -> Scenario:
    """Return a scenario with the settings of a file."""
    if not settings:
        return scenario
    settings = {
        path: _table_path(path, setting, document.source_of(("settings", path)))
        for path, setting in settings.items()
    }
    sweep = _typed(scenario, "policies", {"settings": settings}, ("settings",))
    return scenario_with(_as_config(scenario), sweep.policies["settings"])


def _with_table_paths(calibration: Calibration, document: Document) -> Calibration:
    """Make the paths of CSV tables that worlds name relative to the working directory."""
    worlds = {
        name: {
            path: _table_path(path, setting, document.source_of(("forecast", "worlds", name, path)))
            for path, setting in fields.items()
        }
        for name, fields in calibration.forecast.worlds.items()
    }
    forecast = calibration.forecast.model_copy(update={"worlds": worlds})
    return calibration.model_copy(update={"forecast": forecast})


def _table_path(path: str, setting: JsonValue, source: Source) -> JsonValue:
    place = place_of(Scenario, path.split("."))
    if place is None or place.kind is not AgeSexTable:
        return setting
    found: JsonValue = from_folder(setting, source.folder)
    return found


def _as_config(scenario: Scenario, **sweep: Any) -> Config:
    return Config(name="calibration", scenario=scenario, sweep=Sweep(**sweep))


def _typed(
    scenario: Scenario,
    section: Literal["policies", "worlds"],
    sets: Mapping[str, Mapping[str, JsonValue]],
    where: Location,
) -> Sweep:
    """Return named sets of fields as a sweep's, with each value as its field has it.

    Raises
    ------
    ProblemsError
        A path names no field, or the values do not make a scenario; they are told of `where`.
    """
    try:
        return with_checked_axes(_as_config(scenario, **{section: sets})).sweep
    except ProblemsError as error:
        inner = ("sweep", section, *(() if section == "worlds" else ("settings",)))
        raise ProblemsError(
            [
                Problem(
                    (*where, *problem.location[len(inner) :]),
                    problem.text.replace(shown(inner), shown(where)).replace(
                        "part of the sweep", "field"
                    ),
                )
                for problem in error.problems
            ]
        ) from None


def _checked(calibration: Calibration) -> Calibration:
    """Return a calibration whose worlds have values as their fields do, all of it checked.

    Raises
    ------
    ProblemsError
        Something does not fit; each problem names the field of the file.
    """
    _raise_any(_date_problems(calibration))
    _raise_any(_scope_problems(calibration))
    _raise_any(_parameter_problems(calibration))
    sweep = _typed(
        calibration.scenario, "worlds", calibration.forecast.worlds, ("forecast", "worlds")
    )
    forecast = calibration.forecast.model_copy(update={"worlds": sweep.worlds})
    calibration = calibration.model_copy(update={"forecast": forecast})
    _raise_any(_model_error_problems(calibration))
    _raise_any(_prior_problems(calibration))
    _raise_any(_world_problems(calibration))
    return calibration


def _raise_any(problems: Iterable[Problem]) -> None:
    found = list(problems)
    if found:
        raise ProblemsError(found)


def _date_problems(calibration: Calibration) -> Iterator[Problem]:
    """Find figures that no period is the time of, a cut-off before all, a late forecast."""
    scenario = calibration.scenario
    start = scenario.start_date
    if start is None:
        text = "expected a scenario with a start_date, got none; write settings: {start_date: …}"
        yield Problem(("scenario",), text)
        return
    horizon = date_of(start, scenario.periods_per_year, scenario.periods - 1)
    for row in calibration.observations.rows:
        if not 0 <= period_at(calibration, row.date) < scenario.periods:
            yield Problem(
                ("observations",),
                f"{_figure(row)}: expected a date from {start} (start_date) to {horizon} (the last "
                f"of {scenario.periods} periods), got {row.date}; drop the line, or set "
                f"settings.{'start_date' if row.date < start else 'periods'}",
            )
    if not fitted(calibration):
        first = min(row.date for row in calibration.observations.rows)
        text = f"expected a date from {first} on, the first of the figures"
        yield Problem(("until",), f"{text}, got {calibration.until}; nothing is left to fit")
    first_day, earliest = calibration.forecast.first, start
    if calibration.until is not None:
        earliest = max(start, calibration.until + datetime.timedelta(1))
    if first_day is not None and not earliest <= first_day <= horizon:
        text = f"expected a date after the cut-off, from {earliest} to {horizon} (the horizon)"
        yield Problem(("forecast", "first"), f"{text}, got {first_day}")


def _figure(row: Observation) -> str:
    return f"{row.quantity} of {row.scope!r} on {row.date}"


def _scope_problems(calibration: Calibration) -> Iterator[Problem]:
    """Find scopes and plans that are not known, and shares of several plans."""
    scopes, plans = calibration.scopes, calibration.scenario.plans
    for scope, added in scopes.items():
        if not added or len(set(added)) < len(added):
            text = f"expected plans of the scenario, each once, got {value(added)}"
            yield Problem(("scopes", scope), text)
        for i, plan in enumerate(added):
            if plan not in plans:
                text = f"expected a plan of the scenario ({', '.join(plans)}), got {plan!r}"
                yield Problem(("scopes", scope, i), f"{text}{_hint(plan, plans)}")
    missing = set[str]()
    for row in calibration.observations.rows:
        added = scopes.get(row.scope, ())
        if row.scope not in scopes and row.scope not in missing:
            missing.add(row.scope)
            known = ", ".join(map(repr, scopes)) or "none"
            hint = _hint(row.scope, scopes) or f"; add {row.scope}: [{next(iter(plans))}]"
            yield Problem(
                ("scopes",),
                f"expected a scope {row.scope!r}, for {_figure(row)}, got {known}{hint}",
            )
        elif row.quantity in OF_ONE_PLAN and len(added) > 1:
            yield Problem(
                ("scopes", row.scope),
                f"expected one plan, for {_figure(row)} is no sum over plans, got {value(added)}; "
                "give the figure a scope of its own",
            )


def _hint(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f"; did you mean {near}?" if near else ""


def _parameter_problems(calibration: Calibration) -> Iterator[Problem]:
    """Find paths that no parameter can set, and fields that two parameters set."""
    owners: dict[Location, Location] = {}
    for section, name, parameter in _every_parameter(calibration):
        for i, path in enumerate(parameter.fields):
            where: Location = (*section, name, "fields", i)
            try:
                found = expand(Scenario, calibration.scenario, path)
            except PathError as error:
                yield Problem(where, str(error))
                continue
            yield from _field_problems(calibration.scenario, parameter, path, found, where)
            for location in found:
                other = owners.setdefault(location, where)
                if other != where:
                    yield Problem(
                        where,
                        f"expected fields that are set once, got {shown(location)}; "
                        f"{shown(other)} sets it too",
                    )


def _every_parameter(calibration: Calibration) -> Iterator[tuple[Location, str, Parameter]]:
    """Yield section, name and parameter of what is fitted, and of the future."""
    for name, parameter in calibration.parameters.items():
        yield ("parameters",), name, parameter
    for name, parameter in calibration.forecast.unknown.items():
        yield ("forecast", "unknown"), name, parameter


def _field_problems(
    scenario: Scenario,
    parameter: Parameter,
    path: str,
    found: Sequence[Location],
    where: Location,
) -> Iterator[Problem]:
    """Say why the fields that a path names cannot be set by a parameter."""
    places = [place_of(Scenario, location) for location in found]
    if any(place is None or place.kind not in (int, float) for place in places):
        yield Problem(where, f"expected a field that is a number, got {path!r}")
    elif path in LENGTHS:
        text = f"expected a field that leaves the calendar as it is, got {path!r}"
        yield Problem(where, f"{text}; write it under settings")
    elif parameter.how == "multiply" and not any(
        _own_number(scenario, location) for location in found
    ):
        own = _own_number(scenario, found[0])
        yield Problem(
            where,
            f"expected a field with a value to multiply, got {path!r}, which is {value(own)}; "
            "write how: set, or give it a value under settings",
        )


def _model_error_problems(calibration: Calibration) -> Iterator[Problem]:
    """Find errors that may be 0 or less, have a parameter's name, or share a quantity."""
    owners: dict[str, str] = {}
    for name, error in calibration.model_errors.items():
        where: Location = ("model_errors", name)
        if name in calibration.parameters:
            text = f"expected a name that no parameter has, got {name!r}"
            yield Problem(where, text)
        if float(error.prior.at(np.array([-3.7]))[0]) <= 0:
            yield Problem(
                (*where, "prior"),
                f"expected a prior of values above 0, got {error.prior.describe()}; "
                "write law: log_normal, or give low",
            )
        for i, quantity in enumerate(error.quantities):
            other = owners.setdefault(quantity, name)
            if other != name or quantity in error.quantities[:i]:
                text = f"expected each quantity once, got {quantity!r}, which {other} has"
                yield Problem((*where, "quantities", i), text)


def _prior_problems(calibration: Calibration) -> Iterator[Problem]:
    """Find priors that reach beyond what their fields may be, one at a time."""
    at_medians = _problems_at(calibration, _with_future(calibration, {}))
    for problem in at_medians:
        text = f"at the medians of the priors: {shown(problem.location)}: {problem.text}"
        yield Problem(_owner(calibration, problem), text)
    if at_medians:
        return
    places = [*range(len(calibration.parameters))]
    places += [len(names(calibration)) + k for k in range(len(calibration.forecast.unknown))]
    for k, (section, name, parameter) in zip(places, _every_parameter(calibration), strict=True):
        for quantile, z in EXTREMES.items():
            values = _with_future(calibration, {k: z})
            for problem in _problems_at(calibration, values)[:1]:
                yield Problem(
                    (*section, name, "prior"),
                    f"expected values that make a scenario from the 0.01 % to the 99.99 % "
                    f"quantile, got {values[k]:.4g} as the {quantile} quantile of a prior "
                    f"{parameter.prior.describe()}; give "
                    f"{'low' if z < 0 else 'high'}. {shown(problem.location)}: {problem.text}",
                )


def _with_future(calibration: Calibration, z: Mapping[int, float]) -> Floats:
    """Return all parameters, the future's last, at their medians but for some."""
    known, future = len(names(calibration)), len(calibration.forecast.unknown)
    at = np.zeros((1, known + future))
    for k, one in z.items():
        at[0, k] = one
    parts = [values_at(calibration, at[:, :known]), unknown_at(calibration, at[:, known:])]
    return np.asarray(np.concatenate(parts, axis=1)[0])


def _problems_at(
    calibration: Calibration, values: Floats, world: str | None = None
) -> tuple[Problem, ...]:
    try:
        scenario_of(calibration, values, world)
    except ProblemsError as error:
        return error.problems
    return ()


def _owner(calibration: Calibration, problem: Problem) -> Location:
    """Return the parameter that sets the field of a problem; all of them if none does."""
    own = list(calibration.parameters)
    for target in _targets(calibration):
        if target.location == problem.location:
            return ("parameters", own[target.k], "prior")
    return ("parameters",)


def _world_problems(calibration: Calibration) -> Iterator[Problem]:
    """Find worlds that make no scenario with the medians of the priors."""
    middle = values_at(calibration, np.zeros((1, len(names(calibration)))))[0]
    for world in calibration.forecast.worlds:
        for problem in _problems_at(calibration, middle, world):
            text = f"at the medians of the priors: {shown(problem.location)}: {problem.text}"
            yield Problem(("forecast", "worlds", world), text)
