"""The documentation's site: it builds without a warning, is whole, and asks no other host."""

import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import results.analysis
from configs.json_schema import json_schema
from results.schema import TABLES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# What a browser fetches by itself: the tag, and the attribute with the address.
FETCHED = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
    "object": "data",
}
BLOCKS = {"dd", "dt", "li", "p", "section", "td", "th", "title"}
# What the items of lists and tables are called, which no formula has by these names.
WRITTEN_OUT = {
    *("age", "first_age", "from_age", "to_age", "male", "female", "sex", "tenure_periods"),
    *("from_period", "value", "law", "values", "name"),
}
ELSEWHERE = ("http:", "https:", "//")


class Page(HTMLParser):
    """What is in a page: text, anchors, links, and what a browser fetches with it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.formulas = 0
        self.feed(html)
        self.text = " ".join("".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.words += [" "] if tag in BLOCKS else []
        self.anchors |= {given.get("id", "")}
        self.formulas += tag == "math"
        self.links += [given["href"]] if tag == "a" and "href" in given else []
        self.fetched += [given[FETCHED[tag]]] if FETCHED.get(tag, "") in given else []

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", folder / "doctrees", DOCS, folder / "html"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stderr[-6000:]
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    return {file.stem: Page(file.read_text(encoding="utf-8")) for file in site.glob("*.html")}


def test_every_page_of_the_folder_is_in_the_site(pages: dict[str, Page]) -> None:
    assert {file.stem for file in DOCS.glob("*.md")} <= pages.keys()


def test_no_page_fetches_anything_from_another_host(site: Path, pages: dict[str, Page]) -> None:
    fetched = {address for page in pages.values() for address in page.fetched}
    assert any(address.startswith("_static/") for address in fetched)
    assert not [address for address in fetched if address.startswith(ELSEWHERE)]
    styles = "".join(file.read_text(encoding="utf-8") for file in site.rglob("*.css"))
    assert not re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)]*", styles)


def test_links_between_pages_lead_to_what_is_there(site: Path, pages: dict[str, Page]) -> None:
    broken = [
        (name, link)
        for name, page in pages.items()
        for link in page.links
        if not urlsplit(link).scheme and not _leads_somewhere(site, pages, name, link)
    ]
    assert not broken


def _leads_somewhere(site: Path, pages: dict[str, Page], name: str, link: str) -> bool:
    parts = urlsplit(link)
    target = Path(unquote(parts.path)).stem or name
    if parts.path and not (site / unquote(parts.path)).exists():
        return False
    anchor = unquote(parts.fragment)
    return not anchor or target not in pages or anchor in pages[target].anchors


def test_formulas_are_mathml_without_a_script(pages: dict[str, Page]) -> None:
    text = (DOCS / "mathematics.md").read_text(encoding="utf-8")
    in_lines, between = text.split("$$")[::2], text.count("$$") // 2
    inline = sum(part.count("$") for part in in_lines) // 2
    assert pages["mathematics"].formulas == inline + between > 100
    assert not re.search(r"\$|\\[a-z]+", pages["mathematics"].text)
    assert not [address for address in pages["mathematics"].fetched if "mathjax" in address.lower()]


def test_every_field_of_the_schema_is_on_the_page(pages: dict[str, Page]) -> None:
    schema = json_schema()
    fields = dict(_fields(schema, "", schema["$defs"]))
    shown = set(pages["fields"].text.split())
    assert len(fields) > 200
    assert not sorted(fields.keys() - shown)


def test_the_mathematics_names_every_field_of_a_formula(pages: dict[str, Page]) -> None:
    schema = json_schema()
    fields = _fields(schema["properties"]["scenario"], "", schema["$defs"])
    leaves = {path.rpartition(".")[2] for path, _ in fields} - WRITTEN_OUT
    named = set(re.findall(r"\w+", pages["mathematics"].text))
    assert len(leaves) > 100
    assert not sorted(leaves - named)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (
            "scenario.plans.*.fee_rate",
            "management fee on benefits number, at least 0, below 1; unit: share of benefits; "
            "default 0.0; section 4",
        ),
        (
            "scenario.claims.mortality",
            "mortality table, if deaths are to end memberships name of a table, path of a CSV "
            "file, or mapping, or none; unit: per person-year; default none; section 3",
        ),
        (
            "scenario.pools.*.closure.wind_down_by",
            "who pays for the wind-down members or platform; default members; section 8",
        ),
        (
            "sweep.stop_when.at_least",
            "paths of a point before it is looked at whole number, at least 2, at most "
            "2_147_483_647; unit: paths; default 50; section 12",
        ),
        (
            "cluster.jobs",
            "how many jobs whole number, at least 1; required",
        ),
    ],
)
def test_a_field_says_what_it_takes(pages: dict[str, Page], path: str, said: str) -> None:
    assert f" {path} {said} " in pages["fields"].text


def test_every_table_and_column_is_on_the_page(pages: dict[str, Page]) -> None:
    page = pages["tables"].text
    for table in TABLES.values():
        assert f"table-{table.name}" in pages["tables"].anchors
        assert table.meaning[1:] in page
        for column in table.columns:
            kind = "string" if str(column.dtype).startswith("dictionary") else str(column.dtype)
            missing = ", may be missing" if column.nullable else ""
            meaning = column.meaning.replace("'", "’")
            row = f" {column.name} {kind}{missing} {column.unit} {meaning} "
            assert row in page


def test_every_module_of_analysis_is_on_the_page(pages: dict[str, Page]) -> None:
    modules = {module.name for module in pkgutil.iter_modules(results.analysis.__path__)}
    assert {f"api-results.analysis.{name}" for name in modules} <= pages["api"].anchors
    assert "results.run.open_run" in pages["api"].anchors
    assert "results.analysis.outcomes.estimates" in pages["api"].anchors


def _fields(node: Any, path: str, named: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the dotted path and the schema of every field below a node."""
    if "$ref" in node:
        node = named[node["$ref"].rpartition("/")[2]]
    for name, field in node.get("properties", {}).items():
        inner = f"{path}.{name}".lstrip(".")
        yield inner, field
        yield from _fields(field, inner, named)
    for branch in (*node.get("anyOf", ()), *node.get("oneOf", ())):
        yield from _fields(branch, path, named)
    for several in ("items", "additionalProperties"):
        if isinstance(node.get(several), dict):
            yield from _fields(node[several], f"{path}.*", named)
