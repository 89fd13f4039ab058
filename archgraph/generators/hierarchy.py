"""A hierarchy of three random wirings, drawn: cells, in each of them blocks, in each of those leaves.

Ru, Esperanca and Carlucci, *Neural architecture generator optimization*, arXiv 2004.01395. Every wiring is a draw of
its own, from a seed that its place in the hierarchy gives it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from archgraph import rng
from archgraph.generators.leaf import CONVOLUTIONS
from archgraph.generators.mixture import draw_kind
from archgraph.generators.orientation import Wiring, wire
from archgraph.generators.random_graphs import RandomGraph
from archgraph.generators.stages import apportion


@dataclass(frozen=True)
class Block:
    """The bottom level: leaves.

    Args:
        wiring: how they read one another.
        merges: how each brings together what it reads; ``""`` where it reads at most one.
        leaves: the kind of each, see :data:`~archgraph.generators.leaf.LEAVES`.
    """

    wiring: Wiring
    merges: tuple[str, ...]
    leaves: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """The middle level: blocks, all at the resolution and the width of a stage.

    Args:
        stage: 0 for the largest images.
        wiring: how they read one another.
        merges: as in :class:`Block`.
        blocks: one a node.
    """

    stage: int
    wiring: Wiring
    merges: tuple[str, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Hierarchy:
    """The top level: cells.

    Args:
        wiring: how they read one another.
        merges: as in :class:`Block`.
        cells: one a node.
    """

    wiring: Wiring
    merges: tuple[str, ...]
    cells: tuple[Cell, ...]

    @property
    def wirings(self) -> Iterator[Wiring]:
        """All wirings, the outer ones first."""
        yield self.wiring
        for cell in self.cells:
            yield cell.wiring
            for block in cell.blocks:
                yield block.wiring

    @property
    def leaves(self) -> int:
        """Number of leaves."""
        return sum(len(block.leaves) for cell in self.cells for block in cell.blocks)

    @property
    def repaired(self) -> int:
        """How many wirings got edges to be connected."""
        return sum(wiring.added > 0 for wiring in self.wirings)


def draw_hierarchy(
    top: RandomGraph | Wiring,
    middle: RandomGraph,
    bottom: Callable[[int], RandomGraph],
    seed: int,
    *,
    shares: Sequence[float] = (1.0, 1.0, 1.0),
    merges: Mapping[str, float] | None = None,
    leaves: Mapping[str, float] | None = None,
) -> Hierarchy:
    """Draw every wiring and every kind.

    Args:
        top: of the cells; a wiring is taken as it is.
        middle: of the blocks of every cell.
        bottom: of the leaves of every block, by the stage of its cell.
        seed: of all that is random; the wiring of block ``j`` of cell ``i`` depends on it and on ``i`` and ``j`` alone.
        shares: of the cells, how many each stage gets.
        merges: probability of each way to merge; sums by default.
        leaves: probability of each kind of leaf; 3x3 convolutions by default. What leaves a block is no pooling: its
            sinks are drawn among the convolutions.
    """
    merges, leaves = merges or {"sum": 1.0}, leaves or {"conv3x3": 1.0}
    wiring = top if isinstance(top, Wiring) else wire(top, rng.derive(seed, "top"))
    cells = []
    for i, stage in enumerate(apportion(len(wiring), shares)):
        inner = wire(middle, rng.derive(seed, "cell", i))
        blocks = []
        for j in range(len(inner)):
            own = rng.derive(seed, "block", i, j)
            deepest = wire(bottom(stage), own)
            blocks.append(Block(deepest, _merges(deepest, merges, own), _leaves(deepest, leaves, own)))
        cells.append(Cell(stage, inner, _merges(inner, merges, rng.derive(seed, "cell", i)), tuple(blocks)))
    return Hierarchy(wiring, _merges(wiring, merges, rng.derive(seed, "top")), tuple(cells))


def _merges(wiring: Wiring, shares: Mapping[str, float], seed: int) -> tuple[str, ...]:
    numbers = random.Random(rng.derive(seed, "merges"))
    kinds = [draw_kind(shares, numbers) for _ in wiring.reads]
    return tuple(kind if len(reads) > 1 else "" for kind, reads in zip(kinds, wiring.reads, strict=True))


def _leaves(wiring: Wiring, shares: Mapping[str, float], seed: int) -> tuple[str, ...]:
    numbers = random.Random(rng.derive(seed, "leaves"))
    mixing = {kind: share for kind, share in shares.items() if kind in CONVOLUTIONS}
    if sum(mixing.values()) <= 0.0:
        mixing = dict.fromkeys(mixing or ("conv3x3",), 1.0)
    return tuple(draw_kind(mixing if node in wiring.sinks else shares, numbers) for node in range(len(wiring)))
