"""What the documentation tells a reader to write is accepted: YAML, tables, SQL, commands."""

import re
import shlex
import shutil
from pathlib import Path

import click
import pytest

from configs.age_sex_table import find_table, read_table
from configs.load import load
from configs.sweep import column_values, point_count
from flows.cli import huzhu
from results.engine import add_view, connect
from results.schema import TABLES, arrow_schema, points_schema

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def _blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of one language in a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the examples of all pages as a reader would, each under its own name."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "configs").symlink_to(ROOT / "configs")
    shutil.copy(find_table("incidence_cn_2020_28_diseases", folder), folder / "my_incidence.csv")
    for page in ("tutorial.md", "own_plan.md", "own_incidence_table.md"):
        for text in _blocks(page, "yaml"):
            name = re.search(r"^name: (\w+)$", text, re.MULTILINE)
            assert name is not None, text
            (folder / f"{name[1]}.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("two_rules", 2),
        ("two_rules_if_members_feel_it", 6),
        ("village_plan", 3),
        ("village_plan_from_today", 3),
        ("own_table", 9),
    ],
)
def test_an_example_loads_and_makes_its_points(project: Path, name: str, points: int) -> None:
    assert point_count(load(project / f"{name}.yaml")) == points


def test_every_example_is_tried(project: Path) -> None:
    assert len(list(project.glob("*.yaml"))) == 5


def test_the_example_of_a_table_is_one_and_its_mistake_is_told_as_shown(tmp_path: Path) -> None:
    table, mistake = _blocks("own_incidence_table.md", "text")
    file = tmp_path / "my_incidence.csv"
    file.write_text(table, encoding="utf-8")
    read = read_table(file)
    assert (read.first_age, read.male) == (18, (0.00031, 0.00033, 0.00035))
    file.write_text(table.replace("\n20,", "\n21,"), encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(mistake.strip())):
        read_table(file)


@pytest.mark.parametrize("sql", _blocks("tutorial.md", "sql"))
def test_a_query_of_the_tutorial_is_understood(project: Path, sql: str) -> None:
    config = load(project / "two_rules.yaml")
    with connect() as connection:
        for table in TABLES:
            points = table == "points"
            schema = points_schema(column_values(config)) if points else arrow_schema(table)
            add_view(connection, table, (), schema)
        answer = connection.sql(sql)
        shown = next(
            text for text in _blocks("tutorial.md", "text") if _header(text, answer.columns)
        )
    assert shown


def _header(text: str, columns: list[str]) -> bool:
    """Whether a printed answer has these columns."""
    return text.splitlines()[0].split() == columns


def _commands() -> list[str]:
    """Return every line of the pages that calls huzhu."""
    pages = sorted(page.name for page in DOCS.glob("*.md"))
    lines = [line for page in pages for block in _blocks(page, "sh") for line in block.splitlines()]
    return [line for line in lines if re.match(r"(\.venv/bin/)?huzhu ", line)]


@pytest.mark.parametrize("line", _commands())
def test_a_command_and_its_options_are_there(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    assert isinstance(huzhu, click.Group)
    if words[0].startswith("-"):
        return
    assert words[0] in huzhu.commands
    known = {name for option in huzhu.commands[words[0]].params for name in option.opts}
    assert {word for word in words if word.startswith("--")} <= known | {"--help"}


def test_links_of_the_readme_lead_to_what_is_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]
    assert len(links) > 10
    assert not [link for link in links if not (ROOT / link).exists()]
