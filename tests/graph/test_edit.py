"""Edits as values."""

from __future__ import annotations

import pytest

from archgraph import Edit, Graph, UnitMap, ops
from archgraph.graph import resize

TEXT = "x = Input((3,))\na = Linear(5)(x)\nb = ReLU()(a)\nc = Linear(2)(b)\nd = Linear(7)(x)\nreturn c, d"


def test_maps_and_what_is_touched() -> None:
    graph = Graph.parse(TEXT)
    edit = resize(graph, "a", {1: (0.5, 0.5)})
    doubled = UnitMap([0, 1, 1, 2, 3, 4], [1, 0.5, 0.5, 1, 1, 1], old_units=5)
    assert edit.unit_map("a") == edit.unit_map("b") == edit.input_map("c") == doubled
    assert edit.unit_map("c") == UnitMap.identity(2) and edit.input_map("d") == UnitMap.identity(3)
    assert [edit.touches(name) for name in "xabcd"] == [False, True, True, True, False]
    assert not any(edit.is_new(name) for name in "xabcd")
    assert graph.after(edit) is edit.after


def test_new_and_changed_nodes_are_touched() -> None:
    graph = Graph.parse(TEXT)
    with graph.edit() as editor:
        new = editor.insert("b", ops.Linear(5))
        editor.replace("d", ops.Linear(7, bias=False))
    edit = Edit(graph, editor.graph)
    assert edit.is_new(new) and edit.touches(new) and edit.touches("d") and edit.touches("c") and not edit.touches("a")


def test_what_it_holds_cannot_be_written() -> None:
    graph = Graph.parse(TEXT)
    given = {"a": UnitMap.identity(5)}
    edit = Edit(graph, graph, given)
    given.clear()
    assert set(edit.units) == {"a"}
    with pytest.raises(TypeError):
        edit.units["b"] = UnitMap.identity(5)
    with pytest.raises(TypeError):
        edit.displacements["a.weight"] = 0
