"""Spaces from a user's own file or module, by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from archgraph import chain, ops
from archgraph.errors import SettingError, SpaceError, UnknownName
from archgraph.search.spaces import find_space, space_settings
from archgraph.spaces import Widths
from archgraph.spaces.located import located

GRAPH = chain(ops.Input((3,)), ops.Linear(4), ops.ReLU(), ops.Linear(2))
OWN = """
from archgraph import chain, ops, space
from archgraph.graph import Graph

RUNS = []
RUNS.append(1)
number = 3

@space
def small(p):
    return chain(ops.Input((3,)), ops.Linear(p.int("width", 2, 6)))

def undecorated(p):
    return chain(ops.Input((3,)), ops.Linear(p.int("width", 2, 6)))

def seeded(graph: Graph, most: int = 5):
    return space(lambda p: chain(ops.Input((3,)), ops.Linear(p.int("width", 1, most)), *map(graph.op, ["linear2"])))
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    return file


def test_a_file_is_run_once(own: Path) -> None:
    small = located(f"{own}:small")
    assert small.size == 5
    assert located(f"{own}:small") is small
    assert located(f"{own}:RUNS") == [1]


def test_spaces_and_what_makes_them(own: Path) -> None:
    assert find_space(f"{own}:small", GRAPH, {}) is located(f"{own}:small")
    assert space_settings(f"{own}:small") == {}
    assert space_settings(f"{own}:seeded") == {"most": 5}
    made = find_space(f"{own}:seeded", GRAPH, {"most": "9"})
    assert made.size == 9
    assert made.sample(0).units("linear2") == 2


def test_registered_names_and_modules() -> None:
    assert located("widths") is located("archgraph.spaces.widths:Widths") is Widths
    assert isinstance(find_space("archgraph.spaces:Widths", GRAPH, {"high": "2.0"}), Widths)


def test_what_cannot_be_found(own: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="unknown space 'width'"):
        located("width")
    with pytest.raises(UnknownName, match=r"unknown name in .*own.py 'smal'(.|\n)*did you mean 'small'"):
        located(f"{own}:smal")
    with pytest.raises(SpaceError, match="there is no file"):
        located(f"{tmp_path / 'none.py'}:small")
    with pytest.raises(SpaceError, match="cannot be read: ModuleNotFoundError"):
        located("archgraph.spaces.nowhere:small")
    with pytest.raises(SpaceError, match=r"own.py' names a file, and no space in it(.|\n)*file.py:name"):
        located(str(own))
    with pytest.raises(SettingError, match=r"undecorated' cannot be made: AttributeError(.|\n)*@archgraph.space"):
        find_space(f"{own}:undecorated", GRAPH, {})
    with pytest.raises(SettingError, match="is no space and makes none"):
        find_space(f"{own}:number", GRAPH, {})
    (tmp_path / "broken.py").write_text("1 / 0")
    for _ in range(2):
        with pytest.raises(SpaceError, match="cannot be read: ZeroDivisionError"):
            located(f"{tmp_path / 'broken.py'}:small")
