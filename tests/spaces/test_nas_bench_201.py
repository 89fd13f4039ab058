"""NAS-Bench-201: its cells, their official names, and networks with the published numbers of parameters and MACs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from archgraph import Graph, Network, chain, ops
from archgraph.errors import GraphError, SpaceError
from archgraph.metrics import macs, params
from archgraph.spaces.nas_bench_201 import (
    EDGES,
    OPERATIONS,
    architecture,
    cell,
    nas_bench_201,
    nas_bench_201_network,
    network,
    operations,
)
from archgraph.testing import check_space

SEED = chain(ops.Input((1, 8, 8)), ops.Flatten(), ops.Linear(7))


def test_the_space() -> None:
    space = nas_bench_201()
    assert tuple(space.domains) == EDGES
    assert space.size == 15_625
    check_space(space, draws=10)


def test_all_cells_differ_and_are_told_by_their_operations() -> None:
    space = nas_bench_201()
    drawn = {operations(space.sample(seed)) for seed in range(1000)}
    assert 930 < len(drawn) < 990  # 969 of 15,625 are expected
    for found in list(drawn)[:50]:
        assert operations(cell(found)) == found
        assert space.build(dict(zip(EDGES, found, strict=True))) == cell(found)


def test_a_published_name() -> None:
    names = ("avg_pool_3x3", "nor_conv_1x1", "skip_connect", "nor_conv_1x1", "skip_connect", "none")
    told = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|none~2|"
    assert architecture(cell(names)) == told


@pytest.mark.parametrize(
    ("operation", "parameters", "products"),
    [("nor_conv_3x3", 1_531_546, 220_119_680), ("skip_connect", 73_306, 7_783_040), ("none", 73_306, 7_783_040)],
)
def test_published_numbers(operation: str, parameters: int, products: int) -> None:
    found = network(cell([operation] * 6))
    assert (params(found), macs(found)) == (parameters, products)


def test_a_network_of_a_cell_computes_what_the_cell_says() -> None:
    names = ("nor_conv_3x3", "skip_connect", "none", "avg_pool_3x3", "skip_connect", "nor_conv_1x1")
    graph = network(cell(names), input_shape=(2, 9, 8), outputs=5, channels=3, cells=1)
    net = Network.init(graph, seed=0, dtype=torch.float64)
    module = net.to_torch().eval()
    x = torch.randn(4, 2, 9, 8, dtype=torch.float64)

    def layer(name: str) -> torch.nn.Module:
        return module.get_submodule(name)

    y = layer("batchnorm1")(layer("conv2d1")(x))
    first = layer("batchnorm2")(layer("conv2d2")(torch.relu(y)))
    second = y + 0.0 * first
    pooled = torch.nn.functional.avg_pool2d(y, 3, stride=1, padding=1, count_include_pad=False)
    third = pooled + first + layer("batchnorm3")(layer("conv2d3")(torch.relu(second)))
    seen: dict[str, torch.Tensor] = {}
    layer("conv2d4").register_forward_hook(lambda _, inputs, __: seen.update(x=inputs[0]))
    assert module(x).shape == (4, 5)
    assert torch.allclose(seen["x"], torch.relu(third), rtol=1e-12, atol=1e-12)


def test_networks_are_a_space_too() -> None:
    space = nas_bench_201_network(SEED, channels=3, cells=1)
    graph = space.sample(0)
    assert (str(graph.shape(graph.inputs[0])), graph.units(graph.outputs[0])) == (str(SEED.shape("input1")), 7)
    check_space(space, draws=2)
    with pytest.raises(SpaceError, match="makes a vector from one image"):
        nas_bench_201_network(chain(ops.Input((5,)), ops.Linear(3)))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda graph: SEED, "it has no node 'edge1_0'"),
        (
            lambda graph: Graph.parse(str(graph).replace("Conv2d(16, kernel_size=1, bias=False)", "SiLU()")),
            r"SiLU\(\) is none of its operations",
        ),
    ],
)
def test_other_graphs_are_no_cells(change: object, what: str) -> None:
    with pytest.raises(GraphError, match=what):
        operations(change(cell(["nor_conv_1x1"] * 6)))  # type: ignore[operator]


def test_wrong_operations() -> None:
    with pytest.raises(SpaceError, match="these are no operations of a cell"):
        cell(["none"] * 5)
    with pytest.raises(SpaceError, match="these are no operations of a cell"):
        cell(["none"] * 5 + ["conv"])


@pytest.mark.data
def test_cells_are_the_rows_of_the_table(data_root: Path) -> None:
    table = np.load(data_root / "nas" / "nas_bench_201" / "accuracy.npz")
    assert tuple(table["op_names"].tolist()) == OPERATIONS
    for row in range(0, 15_625, 157):
        found = cell([OPERATIONS[number] for number in table["ops"][row]])
        assert architecture(found) == str(table["arch"][row])
