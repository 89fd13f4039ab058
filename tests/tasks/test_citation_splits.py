"""Splits of citation graphs by name, against the rules by which they are published."""

from __future__ import annotations

import os

import pytest
import torch

from archgraph.errors import DataError, SettingError
from archgraph.tasks import NodeGraph, find
from archgraph.tasks.citation_splits import HELD, TESTED, resplit

real_data = pytest.mark.skipif("ARCHGRAPH_DATA" not in os.environ, reason="needs ARCHGRAPH_DATA, a folder of data sets")
NODES, CLASSES = 1700, 3
UNLABELLED = (5, 900, 1350)


def graph(nodes: int = NODES) -> NodeGraph:
    y = torch.arange(nodes) % CLASSES
    y[[one for one in UNLABELLED if one < nodes]] = -1
    known = (y >= 0).nonzero().squeeze(1)
    rows = {"train": known[:7], "val": known[7:47], "test": known[-90:]}
    return NodeGraph(torch.ones(nodes, 2), y, torch.zeros(2, 0, dtype=torch.int64), rows)


def test_all_that_is_not_held_out_is_for_training() -> None:
    whole = graph()
    rows = resplit(whole, "full", number=0, seed=0).rows
    held = {*whole.rows["val"].tolist(), *whole.rows["test"].tolist()}
    assert rows["train"].tolist() == [one for one in range(NODES) if one not in held and one not in UNLABELLED]
    assert all(torch.equal(rows[name], whole.rows[name]) for name in ("val", "test"))
    assert resplit(whole, "public", number=0, seed=0) is whole


def test_the_order_of_nodes_parts_a_complete_split() -> None:
    rows = resplit(graph(), "complete", number=0, seed=0).rows
    spans = {"train": range(NODES - 1000), "val": range(NODES - 1000, NODES - 500), "test": range(NODES - 500, NODES)}
    for name, span in spans.items():
        assert rows[name].tolist() == [one for one in span if one not in UNLABELLED]


def test_random_splits_are_of_the_sizes_of_the_public_one() -> None:
    whole = graph()
    one, other, third = (resplit(whole, "random", number=n, seed=s).rows for n, s in ((0, 0), (0, 1), (2, 0)))
    assert torch.bincount(whole.y[one["train"]]).tolist() == [20] * CLASSES
    assert (len(one["val"]), len(one["test"])) == (HELD, TESTED)
    assert torch.equal(one["test"], other["test"]) and not torch.equal(one["train"], other["train"])
    assert not torch.equal(one["test"], third["test"])
    assert all(torch.equal(rows, one[name]) for name, rows in resplit(whole, "random", number=0, seed=0).rows.items())


@pytest.mark.parametrize(
    ("split", "number", "kind", "message"),
    [
        ("half", 0, SettingError, "public, full, complete, random"),
        ("full", 1, SettingError, "0 to 0"),
        ("random", -1, SettingError, "0 and more"),
    ],
)
def test_splits_that_are_not_there(split: str, number: int, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        resplit(graph(), split, number=number, seed=0)


@pytest.mark.parametrize("split", ["complete", "random"])
def test_a_small_graph_has_no_such_split(split: str) -> None:
    with pytest.raises(DataError, match=r"too small for split(.|\n)*more than 1500 papers(.|\n)*got:      700 papers"):
        resplit(graph(700), split, number=0, seed=0)


@real_data
@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("cora:split=full", [1208, 500, 1000]),
        ("cora:split=complete", [1708, 500, 500]),
        ("citeseer:split=full", [1812, 500, 1000]),  # 15 papers have no label
        ("citeseer:split=complete", [2327, 495, 490]),
        ("cora:split=random,number=1", [140, 500, 1000]),
    ],
)
def test_the_real_ones(name: str, sizes: list[int]) -> None:
    assert [len(split) for split in find(name).splits.values()] == sizes
