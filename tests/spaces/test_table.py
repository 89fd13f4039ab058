"""Spaces as tables."""

from __future__ import annotations

from archgraph import Graph, chain, ops
from archgraph.spaces import Parameters, Widths, space


def test_a_line_a_parameter() -> None:
    @space
    def small(p: Parameters) -> Graph:
        wide = p.choice("kind", ("linear", "wide")) == "wide"
        layers = (p.ordered("depth", (1, 2, 4)) if wide else 1) * [ops.Linear(p.int("width", 4, 9))]
        return chain(ops.Input((3,)), *layers)

    assert str(small) == (
        "small: 24 points, 3 parameters, 4 columns encoded\n"
        "parameter  domain                      matters\n"
        "kind       Choice(('linear', 'wide'))  always\n"
        "depth      Ordered((1, 2, 4))          when kind = 'wide'\n"
        "width      Int(4, 9)                   always"
    )


def test_spaces_that_are_no_functions_have_one_too() -> None:
    graph = chain(ops.Input((3,)), ops.Linear(4), ops.ReLU(), ops.Linear(2))
    assert str(Widths(graph, high=2.0)) == (
        "Widths: 7 points, 1 parameters, 1 columns encoded\n"
        "parameter  domain               matters\n"
        "linear1    Int(2, 8, log=True)  always"
    )
