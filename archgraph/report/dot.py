"""A graph in the DOT language of Graphviz; nothing of Graphviz is needed to write it."""

from __future__ import annotations

from archgraph.graph import Graph, Node
from archgraph.report.family import FAMILIES, family


def graph_dot(graph: Graph) -> str:
    """Return a graph as DOT text, for ``dot -Tpdf`` and whatever else reads that language.

    Boxes are coloured by the family of the op and carry name, op and output shape; outputs of the network have a bold
    border. Nodes that share weights are joined by a dashed line.
    """
    lines = [
        "digraph architecture {",
        '  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11, margin="0.14,0.07"];',
        '  edge [color="#7b8794", arrowsize=0.7];',
    ]
    lines += [f"  {_quoted(node.name)} [{_look(graph, node)}];" for node in graph]
    for node in graph:
        several = len(node.inputs) > 1
        for position, source in enumerate(node.inputs):
            note = f' [tooltip="input {position}"]' if several else ""
            lines.append(f"  {_quoted(source)} -> {_quoted(node.name)}{note};")
    for node in graph:
        if node.tie is not None:
            style = 'style=dashed, color="#2f6fc7", arrowhead=none, constraint=false, tooltip="same weights"'
            lines.append(f"  {_quoted(node.tie)} -> {_quoted(node.name)} [{style}];")
    return "\n".join([*lines, "}"]) + "\n"


def _look(graph: Graph, node: Node) -> str:
    _, fill, line = FAMILIES[family(graph, node)]
    text = _quoted(f"{node.name}\n{node.op!r}\n{graph.shape(node.name)}")
    bold = ", penwidth=2.4" if node.name in graph.outputs else ""
    return f'label={text}, fillcolor="{fill}", color="{line}"{bold}, tooltip={_quoted(str(node))}'


def _quoted(text: str) -> str:
    """Return a double-quoted string of DOT, with its escape for line breaks."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
