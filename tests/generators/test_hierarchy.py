"""Hierarchies: independent draws from the seed and the place, and kinds where they may be."""

from __future__ import annotations

from collections import Counter

import pytest

from archgraph.generators.hierarchy import Hierarchy, draw_hierarchy
from archgraph.generators.leaf import POOLINGS
from archgraph.generators.orientation import Wiring
from archgraph.generators.random_graphs import ErdosRenyi, WattsStrogatz


def drawn(seed: int, top: int = 5, middle: int = 3, bottom: int = 7) -> Hierarchy:
    return draw_hierarchy(
        WattsStrogatz(top, 2, 0.7),
        ErdosRenyi(middle, 0.6),
        lambda stage: WattsStrogatz(bottom, 4, 0.7),
        seed,
        merges={"sum": 0.5, "concat": 0.2, "attention": 0.3},
        leaves={"conv3x3": 0.3, "avgpool3x3": 0.6, "conv1x1": 0.1},
    )


def test_levels_have_their_sizes() -> None:
    one = drawn(0)
    assert (len(one.wiring), len(one.cells)) == (5, 5)
    assert [cell.stage for cell in one.cells] == [0, 0, 1, 1, 2]
    assert {len(cell.wiring) for cell in one.cells} == {len(cell.blocks) for cell in one.cells} == {3}
    assert {len(block.leaves) for cell in one.cells for block in cell.blocks} == {7}
    assert one.leaves == 5 * 3 * 7
    assert len(list(one.wirings)) == 1 + 5 + 5 * 3


def test_every_wiring_is_a_draw_of_its_own() -> None:
    one = drawn(3)
    assert drawn(3) == one
    blocks = [block.wiring.reads for cell in one.cells for block in cell.blocks]
    assert len(set(blocks)) == len(blocks)
    assert len({drawn(seed).wiring for seed in range(12)}) > 8


def test_a_wiring_depends_on_its_place_alone() -> None:
    """Another level, or more cells, leave it as it is: vega's counters of a process do not."""
    one, more = drawn(3), drawn(3, top=8, middle=4)
    assert one.cells[2].blocks[1] == more.cells[2].blocks[1]
    assert drawn(3, bottom=5).cells[4].wiring == one.cells[4].wiring


def test_merges_are_drawn_where_there_is_something_to_merge() -> None:
    counts: Counter[str] = Counter()
    for seed in range(30):
        for cell in drawn(seed).cells:
            for block in cell.blocks:
                for kind, reads in zip(block.merges, block.wiring.reads, strict=True):
                    assert bool(kind) == (len(reads) > 1)
                    counts[kind] += bool(kind)
    assert counts["sum"] / counts.total() == pytest.approx(0.5, abs=0.03)
    assert counts["attention"] / counts.total() == pytest.approx(0.3, abs=0.03)


def test_what_leaves_a_block_is_no_pooling() -> None:
    inner: Counter[str] = Counter()
    last: Counter[str] = Counter()
    for seed in range(30):
        for cell in drawn(seed).cells:
            for block in cell.blocks:
                for node, kind in enumerate(block.leaves):
                    (last if node in block.wiring.sinks else inner)[kind] += 1
    assert not set(last) & set(POOLINGS)
    assert inner["avgpool3x3"] / inner.total() == pytest.approx(0.6, abs=0.03)
    assert last["conv3x3"] / last.total() == pytest.approx(0.75, abs=0.05)  # .3 of .4


def test_only_poolings_leave_a_block_by_convolutions_all_the_same() -> None:
    one = draw_hierarchy(
        Wiring.chain(3), ErdosRenyi(1, 0.0), lambda stage: WattsStrogatz(4, 2, 0.0), 0, leaves={"avgpool3x3": 1.0}
    )
    for cell in one.cells:
        for block in cell.blocks:
            assert {block.leaves[node] for node in block.wiring.sinks} == {"conv3x3"}


def test_repaired_wirings_are_counted() -> None:
    one = draw_hierarchy(Wiring.chain(4), ErdosRenyi(3, 0.0), lambda stage: ErdosRenyi(2, 0.0), 1)
    assert one.repaired == 4 + 4 * 3
    assert drawn(0).repaired == 0


def test_blocks_may_differ_by_stage() -> None:
    one = draw_hierarchy(Wiring.chain(4), ErdosRenyi(1, 0.0), lambda stage: ErdosRenyi(2 + stage, 1.0), 0)
    assert [len(cell.blocks[0].leaves) for cell in one.cells] == [2, 2, 3, 4]
