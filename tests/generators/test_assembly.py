"""Networks of hierarchies written by hand: what is pooled, projected, averaged, and that nothing is left out."""

from __future__ import annotations

import pytest
import torch

from archgraph import Graph, Network
from archgraph.errors import SettingError
from archgraph.generators.assembly import Layout, assemble
from archgraph.generators.hierarchy import Block, Cell, Hierarchy
from archgraph.generators.orientation import Wiring
from tests.strategies import network_of

ONE = Wiring.chain(1)
LEAF = Block(ONE, ("",), ("conv3x3",))


def of(top: Wiring, stages: tuple[int, ...], block: Block = LEAF) -> Hierarchy:
    """Cells of one block each; sums wherever there is something to merge."""
    merges = tuple("sum" if len(reads) > 1 else "" for reads in top.reads)
    return Hierarchy(top, merges, tuple(Cell(stage, ONE, ("",), (block,)) for stage in stages))


def graph(hierarchy: Hierarchy, layout: Layout, width: int = 2) -> Graph:
    plan, output = assemble(hierarchy, layout)
    return plan.graph(width, [output])


SMALL = Layout((3, 12, 9), 7, head=5, dropout=0.0)


def test_a_chain_of_three_cells_written_out() -> None:
    found = graph(of(Wiring.chain(3), (0, 1, 2)), SMALL)
    expected = """
        input1 = Input((3, 12, 9))
        stem_conv1 = Conv2d(2, kernel_size=3, padding=1, bias=False)(input1)
        batchnorm1 = BatchNorm()(stem_conv1)
        relu1 = ReLU()(batchnorm1)
        stem_conv2 = Conv2d(2, kernel_size=3, padding=1, bias=False)(relu1)
        batchnorm2 = BatchNorm()(stem_conv2)
        relu2 = ReLU()(batchnorm2)
        c0_b0_l0_conv = Conv2d(2, kernel_size=3, padding=1, bias=False)(relu2)
        batchnorm3 = BatchNorm()(c0_b0_l0_conv)
        adaptiveavgpool2d1 = AdaptiveAvgPool2d((6, 5))(batchnorm3)
        relu3 = ReLU()(adaptiveavgpool2d1)
        c1_b0_l0_conv = Conv2d(4, kernel_size=3, padding=1, bias=False)(relu3)
        batchnorm4 = BatchNorm()(c1_b0_l0_conv)
        adaptiveavgpool2d2 = AdaptiveAvgPool2d(3)(batchnorm4)
        relu4 = ReLU()(adaptiveavgpool2d2)
        c2_b0_l0_conv = Conv2d(8, kernel_size=3, padding=1, bias=False)(relu4)
        batchnorm5 = BatchNorm()(c2_b0_l0_conv)
        relu5 = ReLU()(batchnorm5)
        head_conv = Conv2d(5, kernel_size=1, bias=False)(relu5)
        batchnorm6 = BatchNorm()(head_conv)
        relu6 = ReLU()(batchnorm6)
        globalavgpool1 = GlobalAvgPool()(relu6)
        linear1 = Linear(7)(globalavgpool1)
        return linear1
    """
    assert found == Graph.parse("\n".join(line.strip() for line in expected.strip().splitlines()))


def test_the_stem_of_large_images_makes_them_four_times_smaller() -> None:
    layout = Layout((3, 48, 33), 7, head=5, dropout=0.3)
    found = graph(of(Wiring.chain(3), (0, 1, 2)), layout, width=4)
    assert layout.sides(0) == (12, 9)
    assert [found.shape(f"c{stage}_b0_l0_conv").dims for stage in range(3)] == [(4, 12, 9), (8, 6, 5), (16, 3, 3)]
    assert found.shape("stem_conv1").dims == (2, 24, 17)
    assert found.op("dropout1").p == 0.3  # type: ignore[attr-defined]


def test_cells_read_across_scales() -> None:
    found = graph(of(Wiring.of(4, [(0, 1), (0, 2), (1, 2), (0, 3), (2, 3)]), (0, 1, 1, 2)), SMALL)
    total = found.node("c3_sum")
    assert [found.shape(name).dims for name in total.inputs] == [(4, 3, 3)] * 2
    kinds = [type(found.op(name)).__name__ for name in total.inputs]
    assert kinds == ["Conv2d", "Gate"]  # from stage 0 at another width, from stage 1 at that of the last
    assert len([node for node in found if type(node.op).__name__ == "AdaptiveAvgPool2d"]) == 3  # each size once


CROSSING = {
    "a source behind a sink": (Wiring.of(4, [(0, 1), (2, 3)]), (0, 0, 1, 2)),
    "a source behind all sinks but one": (Wiring.of(5, [(0, 1), (0, 2), (3, 4)]), (0, 1, 1, 2, 2)),
    "three sinks at three scales": (Wiring.of(4, [(0, 1), (0, 2), (0, 3)]), (0, 0, 1, 2)),
}
"""Regressions of public code, which took the outputs by their place in a dict in which sources came first."""


@pytest.mark.parametrize(("top", "stages"), CROSSING.values(), ids=CROSSING)
def test_every_sink_is_heard(top: Wiring, stages: tuple[int, ...]) -> None:
    block = Block(Wiring.of(3, [(0, 2)]), ("", "", ""), ("conv3x3",) * 3)  # two sinks, one of them a source
    net = network_of(graph(of(top, stages, block), SMALL))
    x = torch.randn(4, 3, 12, 9, dtype=torch.float64)
    before = net.to_torch().eval()(x)
    for cell in top.sinks:
        for leaf in (1, 2):
            weights = dict(net.weights)
            key = f"c{cell}_b0_l{leaf}_conv.weight"
            weights[key] = weights[key] * 1.5
            after = Network(net.graph, weights).to_torch().eval()(x)
            assert (after - before).abs().max() > 1e-10, (cell, leaf)
    module = net.to_torch()
    module(x).square().sum().backward()
    assert not [name for name, tensor in module.named_parameters() if tensor.grad is None or not tensor.grad.any()]


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"input_shape": (3, 8)}, "generated networks read images"),
        ({"input_shape": (3, 8, 0)}, "generated networks read images"),
        ({"outputs": 0}, "outputs must be a whole number"),
        ({"head": 0}, "head must be a whole number"),
        ({"ratios": ()}, "ratios must be positive"),
        ({"ratios": (1.0, -2.0)}, "ratios must be positive"),
        ({"dropout": 1.0}, "dropout must be a probability"),
    ],
)
def test_wrong_settings(settings: dict[str, object], what: str) -> None:
    with pytest.raises(SettingError, match=what):
        Layout(**{"input_shape": (1, 8, 8), "outputs": 3, **settings})  # type: ignore[arg-type]
