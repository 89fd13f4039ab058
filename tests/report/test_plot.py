"""Plots: files of the right kind and size, with the methods' names, and matplotlib left as it was."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from archgraph.errors import SettingError, StorageError
from archgraph.report import growth_plot

SERIES = {
    "splitting": [(800.0, 0.81, 0.01), (2000.0, 0.93, 0.02), (5000.0, 0.96, 0.01)],
    "random-splitting": [(800.0, 0.80), (2000.0, 0.90), (5000.0, 0.959)],
    "random-search": [(900.0, 0.7)],
}
RUNS = {
    "splitting": [[(800.0, 0.80), (2000.0, 0.92)], [(800.0, 0.82), (2000.0, 0.94), (5000.0, 0.96)]],
    "seeds only": [[(1000.0, 0.5), (3000.0, 0.6)]],
}


@pytest.mark.parametrize("log_x", [False, True])
def test_a_png_of_sensible_size(log_x: bool, tmp_path: Path) -> None:
    path = growth_plot(SERIES, tmp_path / "new" / "plot.png", title="digits", log_x=log_x, runs=RUNS)
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG") and len(data) > 20_000
    assert struct.unpack(">II", data[16:24]) == (1080, 690)


def test_an_svg_with_all_texts_that_is_the_same_every_time(tmp_path: Path) -> None:
    texts = []
    for name in ("a.svg", "b.SVG"):
        path = growth_plot(SERIES, tmp_path / name, xlabel="size", ylabel="quality", title="digits & more", runs=RUNS)
        texts.append(path.read_text())
    assert texts[0] == texts[1]
    for word in (*SERIES, "seeds only", "size", "quality", "digits &amp; more", "2k"):
        assert f">{word}<" in texts[0], word


def test_names_at_line_ends_do_not_overlap(tmp_path: Path) -> None:
    series = {f"method {number}": [(1.0, 0.5), (2.0, 0.9)] for number in range(7)}
    text = growth_plot(series, tmp_path / "a.svg").read_text()
    heights = []
    for name in series:
        found = re.search(rf' y="([\d.]+)"[^>]*>{name}<', text)
        assert found is not None
        heights.append(float(found[1]))
    ordered = sorted(heights)
    assert min(b - a for a, b in pairwise(ordered)) > 9


WRONG = [
    ("nothing", {}, "a.png", False, "nothing to plot"),
    ("no points", {"a": []}, "a.png", False, "'a' has no points"),
    ("numbers", {"a": [(1.0,)]}, "a.png", False, r"\(x, y\) or \(x, y, error\)"),
    ("logarithm", {"a": [(0.0, 1.0)]}, "a.png", True, "no logarithm"),
    ("suffix", {"a": [(0.0, 1.0)]}, "a.gif", False, "PNG or SVG"),
]


@pytest.mark.parametrize(("series", "name", "log_x", "what"), [pytest.param(*case, id=name) for name, *case in WRONG])
def test_what_cannot_be_drawn(series: dict, name: str, log_x: bool, what: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=what):
        growth_plot(series, tmp_path / name, log_x=log_x)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot write the plot"):
        growth_plot(SERIES, tmp_path / "file" / "plot.png")


def test_matplotlib_is_loaded_late_and_left_as_it_was(tmp_path: Path) -> None:
    script = f"""
import sys
from archgraph.report import growth_plot
assert "matplotlib" not in sys.modules
import matplotlib
before = dict(matplotlib.rcParams.copy())
growth_plot({SERIES!r}, {str(tmp_path / "plot.svg")!r})
assert dict(matplotlib.rcParams.copy()) == before
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)
