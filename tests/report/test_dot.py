"""DOT text: read back by a small parser of its own, statement by statement."""

from __future__ import annotations

import re

import pytest

from archgraph.graph import Graph
from archgraph.report import graph_dot
from tests.report.test_svg import GRAPHS

QUOTED = r'"(?:[^"\\]|\\.)*"'
WORD = r"[A-Za-z_][A-Za-z_0-9]*|-?[0-9]*\.?[0-9]+"
ATTRIBUTE = rf"(?:{WORD})\s*=\s*(?:{QUOTED}|{WORD})"
STATEMENT = re.compile(
    rf"\s*(?P<first>{QUOTED}|node|edge)(?:\s*->\s*(?P<second>{QUOTED}))?"
    rf"(?:\s*\[(?P<look>{ATTRIBUTE}(?:\s*,\s*{ATTRIBUTE})*)\])?\s*;\s*"
)
Statement = tuple[str, str | None, dict[str, str]]


def read(text: str) -> list[Statement]:
    """Return the statements of a DOT text as (node, None, attributes) and (node, node, attributes)."""
    frame = re.fullmatch(r"digraph [a-z]+ \{\n(.*)\}\n", text, re.DOTALL)
    assert frame
    body, place, found = frame.group(1), 0, []
    while place < len(body):
        match = STATEMENT.match(body, place)
        assert match, f"no statement: {body[place : place + 80]!r}"
        pairs = re.findall(rf"({WORD})\s*=\s*({QUOTED}|{WORD})", match["look"] or "")
        found.append((_plain(match["first"]), _plain(match["second"]), {key: _plain(value) for key, value in pairs}))
        place = match.end()
    return found  # type: ignore[return-value]


def _plain(text: str | None) -> str | None:
    if text is None or not text.startswith('"'):
        return text
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], text[1:-1])


@pytest.mark.parametrize("graph", [pytest.param(graph, id=name) for name, graph in GRAPHS.items()])
def test_every_node_and_edge_is_there(graph: Graph) -> None:
    statements = read(graph_dot(graph))
    nodes = {first: look for first, second, look in statements if second is None and first not in ("node", "edge")}
    assert list(nodes) == list(graph.nodes)
    for node in graph:
        assert nodes[node.name]["label"] == f"{node.name}\n{node.op!r}\n{graph.shape(node.name)}"
        assert nodes[node.name]["tooltip"] == str(node)
        assert ("penwidth" in nodes[node.name]) == (node.name in graph.outputs)
    edges = [(first, second) for first, second, look in statements if second and "style" not in look]
    assert edges == [(source, node.name) for node in graph for source in node.inputs]
    ties = [(first, second) for first, second, look in statements if look.get("style") == "dashed"]
    assert ties == [(node.tie, node.name) for node in graph if node.tie]


def test_names_may_be_words_of_the_language() -> None:
    graph = Graph.parse("digraph = Input((3,))\nnode = Linear(2)(digraph)\nedge = ReLU()(node)\nreturn edge\n")
    text = graph_dot(graph)
    assert '"node" -> "edge";' in text and '"digraph" -> "node";' in text
    assert len(read(text)) == 7  # two defaults, three nodes, two edges


def test_quotes_and_line_breaks_are_escaped() -> None:
    graph = Graph.parse("x = Input((4, 6, 5))\ny = Conv2d(2, kernel_size=3, padding='same')(x)\nreturn y\n")
    text = graph_dot(graph)
    assert "padding='same')\\n2x6x5\"" in text
    assert all(line.endswith((";", "{", "}")) for line in text.splitlines())  # a statement a line


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the parser behind pydot
def test_another_reader_agrees() -> None:
    pydot = pytest.importorskip("pydot", reason="pydot is not installed")
    for graph in GRAPHS.values():
        (read_back,) = pydot.graph_from_dot_data(graph_dot(graph))
        assert len(read_back.get_edges()) == sum(len(node.inputs) + bool(node.tie) for node in graph)
