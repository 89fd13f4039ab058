"""From a hierarchy of wirings to a network: stem, cells at three resolutions, head.

Expansion is nesting: what a node reads is merged first, and the merged tensor enters all sources of the wiring inside
it; the mean of the sinks leaves. Cells pool whatever they read to the size of their stage, so that a cell may read from
any earlier stage (arXiv 2004.01395). There are no strided convolutions but in the stem of large images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from archgraph.checks import check_whole
from archgraph.errors import SettingError
from archgraph.generators.hierarchy import Block, Cell, Hierarchy
from archgraph.generators.leaf import convolution, leaf
from archgraph.generators.merging import average, merge
from archgraph.generators.orientation import Wiring
from archgraph.generators.plan import Channels, Plan, Stream
from archgraph.generators.stages import SMALL, side
from archgraph.ops import AdaptiveAvgPool2d, BatchNorm, Dropout, GlobalAvgPool, Input, Linear, ReLU


@dataclass(frozen=True)
class Layout:
    """What surrounds the cells, and how wide they are.

    Args:
        input_shape: channels, height and width of an image, in pixels.
        outputs: units of the last layer.
        ratios: channels of each stage, as multiples of the base width.
        head: channels of the 1x1 convolution before the images are averaged.
        dropout: probability with which a unit before the last layer is dropped.
        separable: whether leaves are depthwise-separable convolutions.

    Raises:
        SettingError: when a number cannot be used.
    """

    input_shape: tuple[int, int, int]
    outputs: int
    ratios: tuple[float, ...] = (1.0, 2.0, 4.0)
    head: int = 1280
    dropout: float = 0.2
    separable: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "input_shape", tuple(self.input_shape))
        object.__setattr__(self, "ratios", tuple(map(float, self.ratios)))
        if len(self.input_shape) != 3 or any(not isinstance(n, int) or n < 1 for n in self.input_shape):
            raise SettingError(
                "generated networks read images", expected="(channels, height, width)", got=self.input_shape
            )
        for name in ("outputs", "head"):
            check_whole(name, getattr(self, name), 1)
        if not self.ratios or not all(0.0 < ratio < float("inf") for ratio in self.ratios):
            raise SettingError("ratios must be positive numbers, one a stage", got=self.ratios)
        if not 0.0 <= self.dropout < 1.0:
            raise SettingError("dropout must be a probability below 1", got=self.dropout)

    def sides(self, stage: int) -> tuple[int, int]:
        """Return height and width of the images of a stage."""
        small = max(self.input_shape[1:]) < SMALL
        height, width = (side(length, stage, large=not small) for length in self.input_shape[1:])
        return height, width


def assemble(hierarchy: Hierarchy, layout: Layout) -> tuple[Plan, Stream]:
    """Plan the network of a hierarchy; return the plan and what it puts out: ``[outputs]``."""
    plan = Plan()
    image = plan(Input(layout.input_shape), channels=Channels(fixed=layout.input_shape[0]))
    x = _stem(plan, image, layout)

    def cell(node: int, given: Sequence[Stream], kind: str) -> Stream:
        own, name = hierarchy.cells[node], f"c{node}"
        fitting = [_pooled(plan, one, layout.sides(own.stage)) for one in given]
        return _cell(plan, own, merge(plan, fitting, kind, name), layout, name)

    sinks = _nested(hierarchy.wiring, hierarchy.merges, x, cell)
    least = layout.sides(max(hierarchy.cells[node].stage for node in hierarchy.wiring.sinks))
    x = average(plan, [_pooled(plan, one, least) for one in sinks], "cells")
    return plan, _head(plan, x, layout)


Visit = Callable[[int, Sequence[Stream], str], Stream]
"""Makes the output of a node from its number, what it reads, and how to merge that."""


def _nested(wiring: Wiring, merges: Sequence[str], x: Stream, visit: Visit) -> list[Stream]:
    """Send a stream through a wiring; return what leaves its sinks, by label."""
    found: list[Stream] = []
    for node, (reads, kind) in enumerate(zip(wiring.reads, merges, strict=True)):
        found.append(visit(node, [found[source] for source in reads] or [x], kind))
    return [found[node] for node in wiring.sinks]


def _cell(plan: Plan, cell: Cell, x: Stream, layout: Layout, name: str) -> Stream:
    channels = Channels((layout.ratios[cell.stage],))

    def block(node: int, given: Sequence[Stream], kind: str) -> Stream:
        inside = f"{name}_b{node}"
        return _block(plan, cell.blocks[node], merge(plan, given, kind, inside), channels, layout, inside)

    return average(plan, _nested(cell.wiring, cell.merges, x, block), name)


def _block(plan: Plan, block: Block, x: Stream, channels: Channels, layout: Layout, name: str) -> Stream:
    def one(node: int, given: Sequence[Stream], kind: str) -> Stream:
        inside = f"{name}_l{node}"
        y = merge(plan, given, kind, inside)
        return leaf(plan, block.leaves[node], y, channels, name=inside, separable=layout.separable)

    return average(plan, _nested(block.wiring, block.merges, x, one), name)


def _pooled(plan: Plan, x: Stream, sides: tuple[int, int]) -> Stream:
    if x.sides == sides:
        return x
    return plan(AdaptiveAvgPool2d(sides), x, share=True)


def _stem(plan: Plan, image: Stream, layout: Layout) -> Stream:
    """Two convolutions; those of large images are separable and have a stride of two each."""
    small = layout.sides(0) == layout.input_shape[1:]
    channels = Channels((layout.ratios[0],))
    first = channels if small else Channels((layout.ratios[0] / 2,))
    stride, separable = (1, False) if small else (2, True)
    x = convolution(plan, (3, 3), image, first, "stem_conv1", separable=separable, stride=stride)
    x = plan(ReLU(), plan(BatchNorm(), x))
    x = convolution(plan, (3, 3), x, channels, "stem_conv2", separable=separable, stride=stride)
    return plan(BatchNorm(), x)


def _head(plan: Plan, x: Stream, layout: Layout) -> Stream:
    x = convolution(plan, (1, 1), plan(ReLU(), x), Channels(fixed=layout.head), "head_conv")
    x = plan(GlobalAvgPool(), plan(ReLU(), plan(BatchNorm(), x)))
    if layout.dropout:
        x = plan(Dropout(layout.dropout), x)
    return plan(Linear(1), x, channels=Channels(fixed=layout.outputs))
