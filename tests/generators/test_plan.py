"""Plans: what they count at a width is what the graph and torch have there."""

from __future__ import annotations

from itertools import pairwise

import pytest

from archgraph import Graph, Network, ops
from archgraph.errors import GraphError, ShapeError
from archgraph.generators.plan import Channels, Plan, Stream
from archgraph.metrics import params


def sketch() -> tuple[Plan, Stream]:
    """A branch of its own width, a depthwise layer, a concat and a layer of fixed width."""
    plan = Plan()
    x = plan(ops.Input((3, 6, 5)), channels=Channels(fixed=3))
    a = plan(ops.BatchNorm(), plan(ops.Conv2d(1, kernel_size=3, padding=1), x, channels=Channels((1.0,))))
    b = plan(ops.Conv2d(1, kernel_size=1, bias=False), x, channels=Channels((0.5,)), name="branch")
    both = plan(ops.Concat(), a, b, channels=a.channels + b.channels)
    deep = plan(ops.Conv2d(2, kernel_size=3, padding=1, groups=2), both)
    gate = plan(ops.Gate(), deep)
    flat = plan(ops.GlobalAvgPool(), gate)
    return plan, plan(ops.Linear(1), flat, channels=Channels(fixed=7))


@pytest.mark.parametrize("width", [1, 2, 3, 8])
def test_what_is_counted_is_there(width: int) -> None:
    plan, output = sketch()
    graph = plan.graph(width, [output])
    module = Network.init(graph, seed=0).to_torch()
    assert plan.params(width) == params(graph) == sum(tensor.numel() for tensor in module.parameters())
    assert graph.units("branch") == max(1, (width + 1) // 2)
    assert graph.units("conv2d2") == width + max(1, (width + 1) // 2)  # depthwise: as many groups
    assert graph.op("conv2d2").groups == graph.units("concat1")  # type: ignore[attr-defined]
    assert graph.shape(output.name).dims == (7,)


def test_parameters_grow_with_the_width() -> None:
    plan, _ = sketch()
    counts = [plan.params(width) for width in range(1, 30)]
    assert all(low < high for low, high in pairwise(counts))


def test_the_graph_is_the_one_written_by_hand() -> None:
    plan = Plan()
    x = plan(ops.Input((2, 4, 3)), channels=Channels(fixed=2))
    y = plan(ops.Conv2d(1, kernel_size=3), plan(ops.ReLU(), x), channels=Channels((2.0,)))
    written = "input1 = Input((2, 4, 3))\nrelu1 = ReLU()(input1)\nconv2d1 = Conv2d(10, kernel_size=3)(relu1)\n"
    assert plan.graph(5, [y]) == Graph.parse(f"{written}return conv2d1\n")
    assert y == Stream("conv2d1", Channels((2.0,)), (2, 1))
    assert len(plan) == 3


def test_equal_steps_may_be_shared() -> None:
    plan = Plan()
    x = plan(ops.Input((2, 4, 3)), channels=Channels(fixed=2))
    first = plan(ops.ReLU(), x, share=True)
    assert plan(ops.ReLU(), x, share=True) is first
    assert plan(ops.ReLU(), x) != first
    assert plan(ops.ReLU(), first, share=True) != first


def test_channels() -> None:
    assert [Channels((0.25, 1.5)).at(width) for width in (1, 2, 5)] == [1 + 2, 1 + 3, 1 + 8]
    assert (Channels(fixed=3) + Channels((1.0,), fixed=2)).at(4) == 9
    assert Channels((2.0,)) != Channels((1.0, 1.0))


def test_errors_are_those_of_graphs() -> None:
    plan = Plan()
    x = plan(ops.Input((2, 4, 3)), channels=Channels(fixed=2), name="x")
    with pytest.raises(GraphError, match="two nodes are called 'x'"):
        plan(ops.ReLU(), x, name="x")
    with pytest.raises(ShapeError, match="kernel is larger"):
        plan(ops.Conv2d(1, kernel_size=5), x, channels=Channels((1.0,)))
