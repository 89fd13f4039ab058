"""Gram matrices of graphs: section G 20."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import torch

from archgraph import Graph
from archgraph.features.colours import colours
from archgraph.features.descriptors import descriptors
from archgraph.features.live_dag import live_dag
from archgraph.spaces.nas_bench_201 import EDGES, cell, nas_bench_201
from optimizers.graph_bo.gallery import Gallery
from optimizers.graph_bo.kernels import radial

SPACE = nas_bench_201()


def filled(kernel: str, cells: Sequence[Sequence[str]], **settings: object) -> Gallery:
    gallery = Gallery(kernel, SPACE.encode, **settings)  # type: ignore[arg-type]
    for operations in cells:
        values = dict(zip(EDGES, operations, strict=True))
        gallery.add(SPACE.key(values), values, cell(operations))
    return gallery


CELLS = [tuple(SPACE.draw(seed).values()) for seed in range(17)]


@pytest.mark.parametrize("kernel", ["wl", "wl-oa", "descriptors", "values", "wl*values+descriptors"])
def test_they_are_positive_with_a_diagonal_of_ones(kernel: str) -> None:
    gallery = filled(kernel, CELLS)
    every = range(len(gallery))
    grams = gallery.grams(every, every, seen=every)
    assert torch.allclose(grams.diagonal(dim1=1, dim2=2), torch.ones(len(grams), len(every)).double(), atol=1e-12)
    assert (grams - grams.mT).abs().max() < 1e-12
    assert torch.linalg.eigvalsh(grams).min() > -1e-8
    again = gallery.grams([5, 2], [11, 3, 5], seen=every)
    assert torch.allclose(again, grams[:, [5, 2]][:, :, [11, 3, 5]], atol=1e-12)
    firsts = gallery.grams([4, 9], None, seen=every)
    assert torch.allclose(firsts[:, :, gallery.kinds], grams[:, [4, 9]], atol=1e-12)


@pytest.mark.parametrize("kernel", ["wl", "wl-oa"])
def test_they_match_counts_by_hand(kernel: str) -> None:
    gallery = filled(kernel, CELLS[:6], depth=1, direction="in")
    counts = [colours(live_dag(cell(operations)), 1, "in") for operations in CELLS[:6]]
    grams = gallery.grams(range(6), range(6), seen=range(6))
    for level in range(2):
        for i, one in enumerate(counts):
            for j, other in enumerate(counts):
                a, b = one[level], other[level]
                if kernel == "wl":
                    k = [sum(x[c] * y[c] for c in x) for x, y in ((a, b), (a, a), (b, b))]
                else:
                    k = [(x & y).total() for x, y in ((a, b), (a, a), (b, b))]
                assert float(grams[level, i, j]) == pytest.approx(k[0] / (k[1] * k[2]) ** 0.5, abs=1e-12)


def test_graphs_that_do_the_same_are_of_one_kind() -> None:
    same = [
        ("nor_conv_3x3", "none", "skip_connect", "none", "none", "skip_connect"),
        ("nor_conv_3x3", "none", "none", "none", "skip_connect", "avg_pool_3x3"),
    ]
    other = ("nor_conv_1x1", *same[0][1:])
    gallery = filled("wl", [*same, other])
    assert gallery.kinds.tolist() == [0, 0, 1]
    assert gallery.firsts == [0, 2]
    grams = gallery.grams([0], [1, 2], seen=[0])
    assert torch.allclose(grams[:, 0, 0], torch.ones(3).double())
    assert (grams[:, 0, 1] < 1.0).all()


def test_names_do_not_count_and_colours_may_be_new() -> None:
    gallery = Gallery("wl", lambda values: None)  # type: ignore[arg-type, return-value]
    a = Graph.parse("x = Input((3,))\na = Linear(4)(x)\nb = ReLU()(a)\ny = Linear(2)(b)\nreturn y")
    b = Graph.parse("i = Input((3,))\nu = Linear(4)(i)\nv = ReLU()(u)\nw = Linear(2)(v)\nreturn w")
    rows = [gallery.add(name, {}, graph) for name, graph in (("a", a), ("b", b))]
    before = gallery.grams(rows, rows, seen=rows)
    assert torch.allclose(before, torch.ones(3, 2, 2).double())
    c = Graph.parse("x = Input((3,))\na = GELU()(x)\ny = Linear(2)(a)\nz = Softmax(dim=1)(y)\nreturn z")
    rows.append(gallery.add("c", {}, c))
    after = gallery.grams(rows, rows, seen=rows)
    assert torch.equal(after[:, :2, :2], before)
    assert (after[:, 0, 2] < 1.0).all()
    assert gallery.grams([0], None, seen=rows).shape == (3, 1, 2)  # kinds, kept rows made anew
    assert gallery.add("c", {}, c) == 2


def test_the_unit_of_distances_is_what_was_seen() -> None:
    gallery = filled("descriptors", CELLS[:7])
    X = torch.stack([torch.from_numpy(descriptors(cell(operations))) for operations in CELLS[:7]])
    seen = random.Random(0).sample(range(7), 4)
    expected = radial(X[[1]], X, X[seen].std(0, unbiased=False))
    assert torch.allclose(gallery.grams([1], range(7), seen=seen), expected, atol=1e-12)
