"""The picture: valid, of the run's own numbers, complete in itself."""

from __future__ import annotations

import itertools
import struct
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from results.atomic import StoreError
from results.picture import COLOURS, PICTURE_NAME, POINTS_DRAWN, chosen_points, draw, write_picture
from results.run import RunError, open_run
from results.store import create_run
from tests.results.synthetic import FEE, SPEED, a_manifest, a_run, made_rows


def text_of(svg: str) -> list[str]:
    """Return every line of text of an SVG."""
    return [line for line in ElementTree.fromstring(svg).itertext() if line.strip()]


def grid(*sizes: int) -> list[dict[str, object]]:
    """Return the points of a grid with so many values an axis."""
    values = itertools.product(*(range(size) for size in sizes))
    return [
        {"point": point, **{f"a{axis}": value for axis, value in enumerate(row)}}
        for point, row in enumerate(values)
    ]


def test_the_files_are_a_valid_png_and_svg_with_their_records(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    svg, png = write_picture(run)
    assert (svg.path, png.path) == (f"{PICTURE_NAME}.svg", f"{PICTURE_NAME}.png")
    raster = (run.folder / png.path).read_bytes()
    assert raster[:8] == b"\x89PNG\r\n\x1a\n"
    assert raster[-8:-4] == b"IEND"
    width, height = struct.unpack(">II", raster[16:24])
    assert (width > 1000, height > 600) == (True, True)
    content = (run.folder / svg.path).read_text()
    assert ElementTree.fromstring(content).tag == "{http://www.w3.org/2000/svg}svg"
    assert len(raster) == png.bytes
    assert len(content.encode()) == svg.bytes


def test_the_picture_names_its_scenario_units_and_points(tmp_path: Path) -> None:
    texts = text_of(draw(a_run(tmp_path / "run", periods_per_year=2)).svg)
    for expected in (
        "A small pool",
        "share of a period (yuan)",
        "members",
        "settlement period (2 a year)",
        "fee_rate 0",
        "fee_rate 0.08",
        "1 year",
        "3 years",
    ):
        assert expected in texts
    assert any(text.endswith(" million") for text in texts)
    assert any("5–95 %" in text for text in texts)


def test_the_picture_asks_nothing_of_the_network(tmp_path: Path) -> None:
    svg = draw(a_run(tmp_path / "run")).svg
    without_names = svg.replace("http://www.w3.org/", "")
    assert "http" not in without_names
    assert "<script" not in svg


def test_the_picture_changes_with_the_data_and_with_nothing_else(tmp_path: Path) -> None:
    one = draw(a_run(tmp_path / "one", made_rows(seed=1)))
    same = draw(a_run(tmp_path / "same", made_rows(seed=1)))
    other = draw(a_run(tmp_path / "other", made_rows(seed=2)))
    assert one == same
    assert one.svg != other.svg
    assert one.png != other.png


def test_every_point_has_a_colour_of_its_own(tmp_path: Path) -> None:
    svg = draw(a_run(tmp_path / "run", made_rows(points=POINTS_DRAWN, paths=2))).svg
    assert len(set(COLOURS)) == POINTS_DRAWN
    assert all(colour in svg for colour in COLOURS)


def test_a_large_sweep_shows_six_points_and_says_which(tmp_path: Path) -> None:
    swept: list[dict[str, object]] = [
        {FEE: fee, SPEED: speed} for fee in (0.0, 0.08, 0.16) for speed in (0.1, 0.2, 0.3)
    ]
    texts = text_of(draw(a_run(tmp_path / "run", made_rows(points=9, paths=2), swept)).svg)
    assert "Points 0, 2, 6, 8 of 9, spanning the axes of the sweep." in texts


@pytest.mark.parametrize(
    ("sizes", "points"),
    [
        ((6,), [0, 1, 2, 3, 4, 5]),
        ((11,), [0, 2, 4, 6, 8, 10]),
        ((3, 3), [0, 2, 6, 8]),
        ((2, 5), [0, 4, 5, 9]),
        ((3, 2, 3), [0, 2, 5, 12, 15, 17]),
    ],
)
def test_chosen_points_span_the_axes(sizes: tuple[int, ...], points: list[int]) -> None:
    assert chosen_points(grid(*sizes)) == points


def test_one_path_and_one_point_make_a_picture(tmp_path: Path) -> None:
    made = made_rows(points=1, paths=1, closing=0.0)
    texts = text_of(draw(a_run(tmp_path / "run", made, paths_per_point=1)).svg)
    assert "One path." in texts


def test_periods_without_a_running_path_are_left_out_of_the_share(tmp_path: Path) -> None:
    made = made_rows(points=2, paths=2, closing=0.9, seed=3)
    assert draw(a_run(tmp_path / "run", made)).png


def test_a_run_without_summary_is_told(tmp_path: Path) -> None:
    store = create_run(tmp_path / "run")
    store.write_manifest(a_manifest())
    with pytest.raises(RunError, match="nothing to draw, no shard has been summarised yet"):
        draw(open_run(store.folder))


def test_a_picture_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    (run.folder / f"{PICTURE_NAME}.svg").mkdir()
    with pytest.raises(StoreError, match=rf"{PICTURE_NAME}\.svg: cannot be written"):
        write_picture(run)
    assert not (run.folder / f"{PICTURE_NAME}.png").exists()


def test_a_title_may_hold_any_character(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    title = "\x1b[31m<!--<script> & \u202e\uffff"
    texts = text_of(draw(replace(run, manifest=replace(run.manifest, scenario_title=title))).svg)
    assert "\\x1b[31m<!--<script> & \\u202e\\uffff" in texts
