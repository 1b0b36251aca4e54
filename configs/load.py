"""Configuration files: YAML in, one checked `Config` out, or one message that says what is wrong.

A file holds `extends` (another file, relative to this one), `name` (default: the file's stem),
`scenario` and `sweep`. A file's mappings are merged into those of the file that it extends; its
lists and scalars replace what was there. Everything is checked here, before anything is computed.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from configs import yaml_text
from configs.age_sex_table import AgeSexTable, shipped_tables
from configs.checks import with_checked_axes
from configs.dotted import Location, PathError, expand, nearest, place_of, with_value
from configs.draws import Draws
from configs.messages import ConfigError, Problem, ProblemsError, problems_of, report, value
from configs.record import Record
from configs.scenario import Scenario
from configs.sweep import Config, Sweep, sample_digest
from configs.text_file import SHOWN_FILES, FileError, brief, files_in

__all__ = ["Config", "ConfigError", "digest", "dump", "load"]

OVERRIDE = "--set"
FIELDS = ("extends", "name", "scenario", "sweep")
SUFFIXES = (".yaml", ".yml")
FIRST_FIELDS = ("paths", "members_sample", "design", "axes")
"""Fields of a sweep that count in a digest even where they have their default."""
MAX_FILES = 20  # that extend one another
RANGE_PARTS = ("values", "low", "high", "scale")
Origins = dict[Location, "Source"]


class Source(NamedTuple):
    """Where a value was given: its name in messages, where its relative paths start, its rank.

    What a source of a higher rank gives replaces what one of a lower rank gave.
    """

    shown: str
    folder: Path
    rank: int


class Document(NamedTuple):
    """What some files say together, and which of them said it."""

    tree: Any
    origins: Origins

    def source_of(self, location: Location) -> Source:
        """Return who gave what lies at a location, or else the nearest thing around it.

        Of those that gave parts of it, the one with the last word.
        """
        within = [
            source for inner, source in self.origins.items() if inner[: len(location)] == location
        ]
        if within:
            return max(within, key=lambda source: source.rank)
        while location not in self.origins:
            location = location[:-1]
        return self.origins[location]


def load(
    path: str | os.PathLike[str], overrides: Sequence[str] = (), design: Sweep | None = None
) -> Config:
    """Read a configuration file and everything it extends, and check all of it.

    Parameters
    ----------
    path : str or path-like
        YAML file.
    overrides : sequence of str
        `dotted.field=value` each, as `--set` gives them: a field of the scenario (`scenario.`
        may stand before it) or of the sweep (`sweep.paths=10`); the value is YAML. `*` stands
        for every name of a mapping. Relative paths in values start at the working directory.
    design : Sweep, optional
        In place of the file's section `sweep`, under the overrides; messages call it `design`.

    Returns
    -------
    Config
        Self-contained: tables by their contents, swept values as their fields have them.

    Raises
    ------
    ConfigError
        The message names file, field, what was expected, what came, and the remedy.
    """
    document = read_chain(Path(path))
    tree = {"name": Path(path).stem, **document.tree}
    document = document._replace(tree=tree)
    if design is not None:
        document = _with_design(document, design)
    for override in overrides:
        document = _overridden(document, override)
    document = _with_table_paths(document)
    try:
        # As JSON, so that text is not taken for a number, nor true for 1.
        config = Config.model_validate_json(json.dumps(document.tree), strict=True)
        return with_checked_axes(config)
    except ValidationError as error:
        problems: Sequence[Problem] = problems_of(error, partial(place_of, Config))
    except ProblemsError as error:
        problems = error.problems
    raise ConfigError(report(problems, lambda location: document.source_of(location).shown))


def dump(config: Config) -> str:
    """Return a configuration as YAML that `load` reads back to the same configuration."""
    return yaml_text.write(config.model_dump(mode="json"))


def digest(config: Config, seed: int) -> str:
    """Return the hash that names the cause of a run's numbers.

    It is the SHA-256 of the scenario and the sweep (its own seed aside), the seed and huzhu's
    version, as JSON without white space and with fields in alphabetical order; of a sampled design
    the sample counts as well, which another version of SciPy may draw otherwise. The order of named
    classes and of axes, policies and worlds counts: the first plan is the default, points are
    numbered by the axes' order, and draws are addressed by the classes' order. Tables count by
    content, and so do files of draws; the name of the configuration, comments and `extends` do not
    count, nor do those fields of a sweep that came later and have their default, so that the runs
    before keep their names.

    Parameters
    ----------
    config : Config
        A checked configuration.
    seed : int
        Seed of the run, 0 to 2**64 - 1.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    sweep, default = canonical(config.sweep), canonical(Sweep())
    cause = {
        "scenario": canonical(config.scenario),
        "sweep": {
            name: v
            for name, v in sweep.items()
            if name != "seed" and (name in FIRST_FIELDS or v != default[name])
        },
        "seed": seed,
    }
    sample = sample_digest(config.sweep)
    if sample is not None:
        cause["sample"] = sample
    return hash_of(cause)


def hash_of(cause: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a canonical cause and huzhu's version, as 64 hexadecimal digits."""
    cause = {**cause, "version": _version()}
    text = json.dumps(cause, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _version() -> str:
    try:
        return version("huzhu")
    except PackageNotFoundError:
        return "0+unknown"


def canonical(node: Any) -> Any:
    """Return a form that is equal for equal configurations, whatever the order of their fields."""
    if isinstance(node, Draws):
        return {name: canonical(getattr(node, name)) for name in ("fields", "rows", "values")}
    if isinstance(node, Record):
        return {name: canonical(getattr(node, name)) for name in type(node).model_fields}
    if isinstance(node, Mapping):
        return [[name, canonical(item)] for name, item in node.items()]
    if isinstance(node, tuple | list):
        return [canonical(item) for item in node]
    if isinstance(node, float):
        return node + 0.0  # -0.0 is 0.0
    return node.isoformat() if isinstance(node, date) else node


def read_chain(
    path: Path, fields: Sequence[str] = FIELDS, chain: tuple[Path, ...] = ()
) -> Document:
    """Read a YAML file into those that it extends.

    Parameters
    ----------
    path : Path
        The file.
    fields : sequence of str
        What messages expect in it.
    chain : tuple of Path
        The files that extend this one.

    Raises
    ------
    ConfigError
        A file is not there or holds no mapping, or they extend one another in a circle.
    """
    tree = read_tree(path, fields)
    source = Source(str(path), path.parent, -len(chain))
    base_name = tree.pop("extends", None)
    own = Document(tree, dict.fromkeys(locations_in(tree, ()), source))
    if base_name is None:
        return own
    if not isinstance(base_name, str):
        raise ConfigError(f"{path}: extends: expected the path of one file, got {value(base_name)}")
    base = Path(os.path.normpath(path.parent / base_name))
    seen = (*chain, path)
    if not os.path.isfile(base):  # unlike Path's, it takes names of any length
        raise ConfigError(
            f"{path}: extends: expected an existing file, got {value(base_name)}{_beside(base)}"
        )
    if os.path.realpath(base) in [os.path.realpath(file) for file in seen]:
        circle = " -> ".join(str(file) for file in (*seen, base))
        raise ConfigError(
            f"{path}: extends: expected files that do not extend one another in a circle, "
            f"got {circle}"
        )
    if len(seen) == MAX_FILES:
        raise ConfigError(
            f"{path}: extends: expected at most {MAX_FILES} files that extend one another, got more"
        )
    below = read_chain(base, fields, seen)
    below.tree.pop("name", None)  # a name is its own file's
    return _merged(below, own)


def read_tree(path: Path, fields: Sequence[str] = FIELDS) -> dict[str, Any]:
    """Return the mapping that a YAML file holds; `fields` is what messages expect in it.

    Raises
    ------
    ConfigError
        There is no such file, or it holds no mapping; the message names file and line.
    """
    if os.path.isdir(path):
        raise ConfigError(f"{path}: expected a YAML file, got a folder{_beside(path / '_')}")
    if not os.path.exists(path):
        raise ConfigError(f"{path}: expected an existing file, got no such file{_beside(path)}")
    tree = yaml_text.read(path)
    if not isinstance(tree, dict):
        came = "an empty file" if tree is None else value(tree)
        raise ConfigError(f"{path}: expected a mapping with {', '.join(fields)}, got {came}")
    return tree


def _beside(path: Path) -> str:
    """Return a remedy: the YAML files where this one was looked for, the nearest first."""
    folder = path.parent
    try:
        files = files_in(folder, SUFFIXES)
    except FileError as error:
        return f"; cannot look into the folder {brief(str(folder))}: {error}"
    near = nearest(path.stem, [Path(file).stem for file in files])
    file = next((file for file in files if Path(file).stem == near), None)
    hint = f"did you mean {folder / file}? " if file else ""
    if not files:
        return f"; there are no YAML files in {str(folder)!r}"
    more = ", …" if len(files) > SHOWN_FILES else ""
    return f"; {hint}YAML files there: {', '.join(files[:SHOWN_FILES])}{more}"


def _merged(below: Document, above: Document) -> Document:
    """Return one document over another: mappings merged, all else replaced."""
    origins = dict(below.origins)

    def merge(low: Any, high: Any, location: Location) -> Any:
        if not (isinstance(low, dict) and isinstance(high, dict)):
            return high
        fields = {
            name: merge(low[name], high[name], (*location, name)) if name in low else high[name]
            for name in high
        }
        return {**low, **fields}

    return Document(merge(below.tree, above.tree, ()), {**origins, **above.origins})


def locations_in(tree: Any, location: Location) -> Iterator[Location]:
    """Yield the locations of all mappings and of what they hold."""
    yield location
    if isinstance(tree, Mapping):
        for name, item in tree.items():
            yield from locations_in(item, (*location, name))


def _overridden(document: Document, override: str) -> Document:
    """Return the document with one `dotted.field=value` set."""
    path, sign, text = override.partition("=")
    if not sign or not path.strip():
        raise ConfigError(f"{OVERRIDE}: expected dotted.field=value, got {override!r}")
    try:
        setting = yaml_text.parse(text)
    except yaml_text.TextError as error:
        raise ConfigError(f"{OVERRIDE}: {path}: {error}") from None
    tree, origins = document.tree, dict(document.origins)
    source = Source(OVERRIDE, Path(), 1)
    try:
        locations = _override_locations(tree, path.strip())
    except PathError as error:
        raise ConfigError(f"{OVERRIDE}: {error}") from None
    for location in locations:
        tree = _set(tree, location, setting)
        for inner in locations_in(setting, location):
            origins[inner] = source
    return Document(tree, origins)


def _with_design(document: Document, design: Sweep) -> Document:
    """Return the document with another section `sweep`."""
    setting = design.model_dump(mode="json")
    source = Source("design", Path(), 0)
    origins = {place: of for place, of in document.origins.items() if place[:1] != ("sweep",)}
    origins |= dict.fromkeys(locations_in(setting, ("sweep",)), source)
    return Document({**document.tree, "sweep": setting}, origins)


def _override_locations(tree: Mapping[str, Any], path: str) -> tuple[Location, ...]:
    """Return the locations in a document that an override's path names."""
    of_sweep = path.split(".", 3)
    if path in ("sweep.draws.file", "sweep.draws.take"):
        return (tuple(of_sweep),)
    if path.startswith("sweep.axes."):
        return (_axis_location(_section(tree, "sweep"), path.removeprefix("sweep.axes.")),)
    if path.startswith(("sweep.policies.", "sweep.worlds.")):  # what they set is a path itself
        return (tuple(of_sweep),)
    model, section = (Sweep, "sweep") if path.startswith("sweep.") else (Scenario, "scenario")
    found = expand(model, _section(tree, section), path.removeprefix(f"{section}."))
    return tuple((section, *location) for location in found)


def _axis_location(sweep: Mapping[str, Any], path: str) -> Location:
    """Return the location of an axis, or of a part of one that is given as a mapping."""
    for name, axis in _section(sweep, "axes").items():
        part = path.removeprefix(f"{name}.")
        if isinstance(axis, Mapping) and part != path:
            if part in RANGE_PARTS:
                return ("sweep", "axes", name, part)
            if part.startswith("only_if."):
                return ("sweep", "axes", name, *part.split(".", 1))
    return ("sweep", "axes", path)


def _section(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = tree.get(name)
    return section if isinstance(section, Mapping) else {}


def _set(tree: dict[str, Any], location: Location, setting: Any) -> dict[str, Any]:
    section, *inner = location
    if location[:2] == ("sweep", "draws"):
        return {**tree, "sweep": _with_draws(_section(tree, "sweep"), inner[1:], setting)}
    model = Sweep if section == "sweep" else Scenario
    changed = with_value(model, _section(tree, str(section)), tuple(inner), setting)
    return {**tree, str(section): changed}


def _with_draws(sweep: Mapping[str, Any], part: Sequence[Any], setting: Any) -> dict[str, Any]:
    """Return a section `sweep` with other draws, or with another `file` or `take` of them."""
    given = sweep.get("draws")
    if part:
        before = given if isinstance(given, Mapping) else {} if given is None else {"file": given}
        setting = {**before, part[0]: setting}
    return {**sweep, "draws": setting}


def _with_table_paths(document: Document) -> Document:
    """Make the paths of CSV files relative to the working directory instead of to their file."""
    tree = _with_draws_path(document)
    for location in locations_in(_section(tree, "scenario"), ("scenario",)):
        place = place_of(Config, location)
        if place is not None and place.kind is AgeSexTable:
            source = document.source_of(location)
            tree = _set(tree, location, from_folder(_at(tree, location), source.folder))
    for location, path, settings in _swept(_section(tree, "sweep")):
        place = place_of(Scenario, path.split("."))
        if place is not None and place.kind is AgeSexTable:
            folder = document.source_of(location).folder
            tree = _set(tree, location, _all_from_folder(settings, folder))
    return document._replace(tree=tree)


def _with_draws_path(document: Document) -> dict[str, Any]:
    """Return the tree with the file of draws as seen from the folder of whoever named it."""
    tree: dict[str, Any] = document.tree
    draws = _section(tree, "sweep").get("draws")
    location: Location = ("sweep", "draws", *(("file",) if isinstance(draws, Mapping) else ()))
    file = draws.get("file") if isinstance(draws, Mapping) else draws
    if not isinstance(file, str):
        return tree
    return _set(tree, location, str(document.source_of(location).folder / file))


def _swept(sweep: Mapping[str, Any]) -> Iterator[tuple[Location, str, Any]]:
    """Yield where swept values are given, the dotted path of their field, and the values."""
    for path, axis in _section(sweep, "axes").items():
        within = axis if isinstance(axis, Mapping) else {}
        if within is not axis:
            yield ("sweep", "axes", path), path, axis
        if "values" in within:
            yield ("sweep", "axes", path, "values"), path, within["values"]
        for other, settings in _section(within, "only_if").items():
            yield ("sweep", "axes", path, "only_if", other), other, settings
    for section in ("policies", "worlds"):
        for name in _section(sweep, section):
            for path, setting in _section(_section(sweep, section), name).items():
                yield ("sweep", section, name, path), path, setting


def _at(tree: Any, location: Location) -> Any:
    for step in location:
        tree = tree[step]
    return tree


def _all_from_folder(settings: Any, folder: Path) -> Any:
    """Return a table's path, or a list of such, from its file's folder."""
    if isinstance(settings, list):
        return [from_folder(setting, folder) for setting in settings]
    return from_folder(settings, folder)


def from_folder(setting: Any, folder: Path) -> Any:
    """Return a table's path from its file's folder; a shipped name and anything else as it is."""
    if not isinstance(setting, str) or setting in shipped_tables():
        return setting
    path = folder / setting
    return str(path) if os.path.exists(path) else setting
