"""A search begins with the graphs and values that files name on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from archgraph import Graph, Network, Recipe, Task, search
from archgraph.errors import ArchGraphError, SettingError, SpaceError, StorageError
from archgraph.registry import DRIVERS
from optimizers.proposing.start_files import read_start

MLP = Graph.parse("x = Input((4,))\na = Linear(5)(x)\nf = SiLU()(a)\ny = Linear(3)(f)\nreturn y")
WIDE = Graph.parse(str(MLP).replace("Linear(5)", "Linear(7)"))
X = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
TASK = Task.from_tensors("own", X, X[:, :3].argmax(1), loss="cross-entropy", outputs=3)


def test_a_search_begins_with_what_files_have(tmp_path: Path) -> None:
    (tmp_path / "wide.graph").write_text(str(WIDE))
    (tmp_path / "points.json").write_text(json.dumps([{"a": 3}, {"a": 11}]))
    Network.init(MLP).save(tmp_path / "saved")
    text = f"{tmp_path / 'wide.graph'}, {tmp_path / 'points.json'},{tmp_path / 'saved'}"
    assert read_start(text) == (WIDE, {"a": 3}, {"a": 11}, MLP)
    driver = DRIVERS.get("generator-bo").from_settings(
        MLP, {"space": "widths", "start": text, "initial": "1", "candidates": "5"}
    )
    study = search(driver, task=TASK, recipe=Recipe(epochs=1), seed=1)
    assert [trial.values["a"] for trial in study][:4] == [7, 3, 11, 5]


WRONG: dict[str, tuple[str, str, type[ArchGraphError], str]] = {
    "no file": ("none.graph", "", StorageError, "cannot read a point to begin with from .*none.graph"),
    "no graph": ("a.graph", "y = Lineer(3)(x)", SettingError, "has no graph to begin with"),
    "no JSON": ("a.json", "{", SettingError, "is no JSON"),
    "no point": ("a.json", "[3]", SettingError, "holds what is no point"),
    "another space's": ("a.json", '{"width": 3}', ArchGraphError, "'width'"),
    "out of range": ("a.json", '{"a": 3000}', SpaceError, "3000"),
    "another graph": ("a.graph", str(MLP).replace("SiLU", "ReLU"), SpaceError, "no point of the space makes"),
}


@pytest.mark.parametrize(("name", "text", "kind", "message"), WRONG.values(), ids=WRONG)
def test_what_is_no_point_is_an_error(
    name: str, text: str, kind: type[ArchGraphError], message: str, tmp_path: Path
) -> None:
    if text:
        (tmp_path / name).write_text(text)
    with pytest.raises(kind, match=message):
        DRIVERS.get("generator-bo").from_settings(MLP, {"space": "widths", "start": str(tmp_path / name)})


def test_nothing_named_is_an_error() -> None:
    with pytest.raises(SettingError, match="start names files"):
        read_start(" ,")
