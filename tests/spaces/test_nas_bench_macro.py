"""NAS-Bench-Macro: its networks have the published numbers of parameters and FLOPs."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

from archgraph import chain, ops
from archgraph.errors import GraphError, SpaceError
from archgraph.metrics import macs, params
from archgraph.spaces.nas_bench_macro import (
    BLOCKS,
    LAYERS,
    nas_bench_macro,
    nas_bench_macro_network,
    network,
    operations,
    sketch,
)
from archgraph.testing import check_space

SEED = chain(ops.Input((1, 8, 8)), ops.Flatten(), ops.Linear(7))


def test_the_space() -> None:
    space = nas_bench_macro()
    assert tuple(space.domains) == LAYERS
    assert space.size == 6_561
    check_space(space, draws=10)


def test_sketches_are_told_by_their_digits() -> None:
    space = nas_bench_macro()
    for seed in range(1000):
        point = space.draw(seed)
        digits = tuple(BLOCKS.index(str(point[layer])) for layer in LAYERS)
        assert operations(space.build(point)) == digits
    assert operations(sketch((0, 2, 0, 1, 2, 1, 0, 0))) == (0, 2, 0, 1, 2, 1, 0, 0)


def test_published_numbers() -> None:
    found = network(sketch((0, 2, 0, 1, 2, 1, 0, 0)))
    assert (params(found), macs(found)) == (890_666, 47_327_744)


def test_networks_are_a_space_too() -> None:
    space = nas_bench_macro_network(SEED, channels=3)
    graph = space.sample(0)
    assert (str(graph.shape(graph.inputs[0])), graph.units(graph.outputs[0])) == (str(SEED.shape("input1")), 7)
    check_space(space, draws=2)
    with pytest.raises(SpaceError, match="makes a vector from one image"):
        nas_bench_macro_network(chain(ops.Input((5,)), ops.Linear(3)))


def test_other_graphs_are_no_sketches() -> None:
    with pytest.raises(GraphError, match="it has no node 'layer1'"):
        operations(SEED)
    with sketch((1,) * 8).edit() as edit:
        edit.replace("layer3", ops.ReLU())
    with pytest.raises(GraphError, match=r"ReLU\(\) is none of its blocks"):
        operations(edit.graph)
    for digits in ((1,) * 7, (1, 2, 3, 0, 0, 0, 0, 0)):
        with pytest.raises(SpaceError, match="these are no layers"):
            sketch(digits)


@pytest.mark.data
def test_networks_are_those_of_the_table(data_root: Path) -> None:
    with gzip.open(data_root / "nas" / "nas_bench_macro" / "nas-bench-macro_cifar10.json.gz") as file:
        table = json.load(file)
    assert len(table) == 6_561
    for key in random.Random(0).sample(sorted(table), 40):
        found = network(sketch([int(digit) for digit in key]))
        assert (params(found), macs(found)) == (table[key]["params"], table[key]["flops"])
