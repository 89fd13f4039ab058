"""The copies of a cell: by names, by beginnings of names, found, and what they have grown to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from archgraph import Graph, Recipe, Task, search
from archgraph.errors import SettingError, UnknownName
from archgraph.metrics.graph import units_by_node
from archgraph.overgrown import NewEdge, NewLayer
from archgraph.overgrown.structure import structure
from archgraph.registry import DRIVERS
from optimizers import FireflyDescent
from optimizers.firefly.cells import cells_of, grown_cells, repeated
from tests.optimizers.firefly.nets import CELLS, COPIES, MLP

BLOCKS = Graph.parse(
    "x = Input((5,))\nin_a = Linear(4)(x)\n"
    "p_a = Linear(3)(in_a)\np_f = Tanh()(p_a)\np_b = Linear(4)(p_f)\np_s = Add()(in_a, p_b)\n"
    "between = ReLU()(p_s)\n"
    "q_a = Linear(3)(between)\nq_f = Tanh()(q_a)\nq_b = Linear(4)(q_f)\nq_s = Add()(between, q_b)\n"
    "y = Linear(2)(q_s)\nreturn y"
)
TWO = (("p_a", "p_f", "p_b", "p_s"), ("q_a", "q_f", "q_b", "q_s"))


@pytest.mark.parametrize("given", ["repeated", ("p_", "q_"), ("p_", TWO[1]), TWO], ids=str)
def test_copies_are_named_or_found(given: str | tuple[str, ...]) -> None:
    assert cells_of(BLOCKS, given) == TWO
    assert FireflyDescent(BLOCKS, cells=given).cells == TWO


def test_none_at_all_and_those_of_a_chain() -> None:
    assert cells_of(BLOCKS, ()) == ()
    assert repeated(CELLS) == COPIES
    chain = "\n".join(f"a{n} = Linear(3)({'x' if n == 1 else f'f{n - 1}'})\nf{n} = ReLU()(a{n})" for n in range(1, 6))
    assert repeated(Graph.parse(f"x = Input((4,))\n{chain}\ny = Linear(2)(f5)\nreturn y")) == tuple(
        (f"a{n}", f"f{n}") for n in range(1, 6)
    )


WRONG: dict[str, tuple[object, type[Exception], str]] = {
    "a text": ("found", SettingError, "cells are the copies of one cell"),
    "a number": (5, SettingError, "cells are the copies of one cell"),
    "numbers": ((1, 2), SettingError, "cells are the copies of one cell"),
    "one": (("p_",), SettingError, "two at least"),
    "no such beginning": (("p_", "r_"), UnknownName, "unknown beginning of names 'r_'"),
    "an empty beginning": (("", "q_"), UnknownName, "unknown beginning of names ''"),
    "other sizes": (("p_", "in"), SettingError, "with as many nodes each"),
    "another order": ((TWO[0], ("q_f", "q_a", "q_b", "q_s")), SettingError, "same kinds of ops in the same order"),
    "one node twice": (("p_", "p_"), SettingError, "a node stands in one copy"),
    "no such node": ((("p_a",), ("q_z",)), UnknownName, "unknown node 'q_z'"),
}


@pytest.mark.parametrize(("given", "error", "message"), WRONG.values(), ids=WRONG)
def test_copies_that_are_none(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        FireflyDescent(BLOCKS, cells=given)


def test_a_graph_that_repeats_nothing() -> None:
    with pytest.raises(SettingError, match="no cell is repeated in the graph"):
        cells_of(MLP, "repeated")


def grown(parts: Sequence[NewLayer | NewEdge]) -> Graph:
    return structure(BLOCKS, parts).graph


def test_what_grows_in_every_copy_belongs_to_it() -> None:
    after = grown([NewLayer("p_f", width=2), NewLayer("q_f", width=2)])
    copies = grown_cells(BLOCKS, after, TWO)
    fresh = [name for name in after.nodes if name not in BLOCKS]
    assert sorted(name for cell in copies for name in cell[4:]) == sorted(fresh)
    assert [cell[:4] for cell in copies] == list(TWO)
    for one, other in zip(*copies, strict=True):
        assert type(after.op(one)) is type(after.op(other))
        place = [{name: at for at, name in enumerate(cell)} for cell in copies]
        inputs = [
            [places.get(name) for name in after.node(of).inputs] for places, of in zip(place, (one, other), strict=True)
        ]
        assert inputs[0] == inputs[1] or one == "p_a"


def test_what_grows_in_one_copy_or_between_them_belongs_to_none() -> None:
    assert grown_cells(BLOCKS, grown([NewLayer("p_f", width=2)]), TWO) == TWO
    assert grown_cells(BLOCKS, grown([NewEdge("p_f", "q_f")]), TWO) == TWO
    assert grown_cells(BLOCKS, BLOCKS, TWO) == TWO


def test_layers_that_came_with_a_cell_grow_alike_later() -> None:
    """The second stage widens what the first one has put in: in both copies, or in none."""
    x = torch.randn(70, 6, generator=torch.Generator().manual_seed(5))
    task = Task.from_tensors("cells", x, (x[:, 0] * x[:, 1] > 0).long(), loss="cross-entropy", outputs=2)
    settings = {"growth": 0.9, "layer_width": 2, "new_units": 2, "descent_steps": 5, "stages": 2, "halves": False}
    driver = FireflyDescent(CELLS, kinds="new+layer", cells="repeated", **settings)  # type: ignore[arg-type]
    study = search(driver, task=task, recipe=Recipe(epochs=1, lr=0.01, batch_size=16), seed=2)
    inserted = widened = False
    for trial in study:
        copies = grown_cells(CELLS, trial.graph, cells_of(CELLS, COPIES))
        wide = units_by_node(trial.graph)
        assert [wide.get(name) for name in copies[0]] == [wide.get(name) for name in copies[1]]
        widened |= inserted and any(name in move for move in trial.moves for cell in copies for name in cell[4:])
        inserted |= len(copies[0]) > 4
    assert inserted and widened


def test_from_text() -> None:
    kind = DRIVERS.get("firefly")
    assert kind.from_settings(BLOCKS, {"cells": "repeated"}) == FireflyDescent(BLOCKS, cells=TWO)
    assert kind.from_settings(BLOCKS, {"cells": "('p_', 'q_')"}) == FireflyDescent(BLOCKS, cells=TWO)
