"""Drawing a graph as SVG, with nothing but the standard library."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from archgraph.graph import Graph, Node
from archgraph.report.diff import Diff, graph_diff
from archgraph.report.family import FAMILIES, family
from archgraph.report.layout import Layout, arrange

HEIGHT, ROW, GAP, LANE, MARGIN = 42.0, 74.0, 26.0, 18.0, 20.0
NAME_SIZE, OP_SIZE, LEGEND_SIZE = 13.0, 10.5, 11.0
LONGEST, LONGEST_CHANGE = 46, 58
"""Characters of an op's text that are shown, and of a changed one's; all of it stands in the tool tip."""

TONES = {  # status of a node in a comparison: (legend, fill, line)
    "added": ("added", "#d8f3e0", "#1d8a4b"),
    "changed": ("changed", "#fde7b8", "#c27c05"),
    "resized": ("resized", "#fdf7e6", "#dcae55"),
    "same": ("unchanged", "#f6f7f9", "#b3bcc8"),
    "removed": ("removed", "#fdeaea", "#cc3d49"),
}
EDGE, NEW_EDGE = "#7b8794", "#1d8a4b"
SANS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
MONO = "Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def graph_svg(graph: Graph, *, compare: Graph | None = None) -> str:
    """Return a drawing of a graph as an SVG document.

    Boxes are coloured by the family of the op and carry name, output shape and op; outputs of the network have a bold
    border. Nodes that share weights are joined by a dashed line. The drawing is the same every time.

    Args:
        graph: what is drawn.
        compare: the graph before a rewrite. Then colours show what the rewrite did: added nodes and edges are green,
            changed nodes amber with old and new op and shape, nodes that were only resized with them pale amber, and
            removed ones stand below the drawing.
    """
    return _Drawing(graph, None if compare is None else graph_diff(compare, graph)).text()


@dataclass(frozen=True)
class _Box:
    node: Node
    op: str
    shape: str
    kind: str  # a key of FAMILIES, or of TONES in a comparison
    tip: str

    @property
    def width(self) -> float:
        name = len(self.node.name) * NAME_SIZE * 0.66 + len(self.shape) * OP_SIZE * 0.62 + 16
        return max(name, len(self.op) * OP_SIZE * 0.605) + 26


class _Drawing:
    def __init__(self, graph: Graph, diff: Diff | None) -> None:
        self.graph, self.diff = graph, diff
        self.colours = FAMILIES if diff is None else TONES
        self.boxes = {node.name: _box(graph, node) if diff is None else _compared(diff, node) for node in graph}
        self.removed = [] if diff is None else [_compared(diff, diff.before.node(name)) for name in diff.removed]
        self.width = max(150.0, *(box.width for box in (*self.boxes.values(), *self.removed)))
        self.layout: Layout = arrange({node.name: node.inputs for node in graph}, width=self.width, gap=GAP, lane=LANE)
        places = [
            x + (self.width / 2 if self.layout.layers[name] == layer else 0.0)
            for (name, layer), x in self.layout.places.items()
        ]
        self.ties = [node for node in graph if node.tie is not None]
        self.right = MARGIN + max(places)
        self.total = self.right + MARGIN + (LANE + 8 * len(self.ties) if self.ties else 0)
        self.legend, self.top = self._legend()
        self.end = self.top + ROW * max(self.layout.layers.values()) + HEIGHT + MARGIN
        self.across = max(1, int((self.total - 2 * MARGIN + GAP) // (self.width + GAP)))
        rows = -(-len(self.removed) // self.across)
        self.bottom = self.end + (rows * (HEIGHT + 12) + 24 + MARGIN if rows else 0)

    def text(self) -> str:
        width, height = f"{self.total:.0f}", f"{self.bottom:.0f}"
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="{SANS}">',
            f"<title>{escape(repr(self.graph))}</title>",
            f"<defs>{_tip('tip', EDGE)}{_tip('new', NEW_EDGE) if self.diff is not None else ''}</defs>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            *self.legend,
            f'<g fill="none" stroke="{EDGE}" stroke-width="1.4">',
            *self._edges(),
            "</g>",
            *self._ties(),
            *(self._node(box) for box in self.boxes.values()),
            *self._gone(),
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    # ------------------------------------------------------------------ places
    def _x(self, name: str) -> float:
        return self.layout.x(name) + MARGIN

    def _y(self, layer: int) -> float:
        """Return the upper border of a layer."""
        return self.top + ROW * layer

    # ------------------------------------------------------------------ parts
    def _node(self, box: _Box) -> str:
        name = box.node.name
        return self._drawn(box, self._x(name) - self.width / 2, self._y(self.layout.layers[name]))

    def _drawn(self, box: _Box, left: float, top: float) -> str:
        name = box.node.name
        _, fill, line = self.colours[box.kind]
        border = f'"{2.6 if name in self.graph.outputs else 1.1}"'
        if box.kind == "removed":
            border += ' stroke-dasharray="5 4"'
        return (
            f'<g class="node {box.kind}"><title>{escape(box.tip)}</title>'
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{self.width:.1f}" height="{HEIGHT:.1f}" rx="7" fill="{fill}" '
            f'stroke="{line}" stroke-width={border}/>'
            f'<text x="{left + 12:.1f}" y="{top + 17.5:.1f}" font-size="{NAME_SIZE}" font-weight="bold" '
            f'fill="#1f2937">{escape(name)}</text>'
            f'<text x="{left + self.width - 12:.1f}" y="{top + 17.5:.1f}" font-size="{OP_SIZE}" text-anchor="end" '
            f'fill="#5b6675">{escape(box.shape)}</text>'
            f'<text x="{left + 12:.1f}" y="{top + 33.0:.1f}" font-size="{OP_SIZE}" font-family="{MONO}" '
            f'fill="#3d4856">{escape(box.op)}</text></g>'
        )

    def _gone(self) -> Iterable[str]:
        """Draw removed nodes below all others, in rows."""
        if self.removed:
            yield (
                f'<path d="M{MARGIN:.1f} {self.end:.1f}H{self.total - MARGIN:.1f}" stroke="#dde2e8"/>'
                f'<text x="{MARGIN:.1f}" y="{self.end + 19:.1f}" font-size="{LEGEND_SIZE}" '
                'fill="#5b6675">removed</text>'
            )
        for number, box in enumerate(self.removed):
            row, column = divmod(number, self.across)
            yield self._drawn(box, MARGIN + column * (self.width + GAP), self.end + 30 + row * (HEIGHT + 12))

    def _edges(self) -> Iterable[str]:
        for node in self.graph:
            ways = [self.layout.way(source, node.name) for source in node.inputs]
            starts = [
                (self.layout.places[way[-1]] if way else self.layout.x(source), position)
                for position, (way, source) in enumerate(zip(ways, node.inputs, strict=True))
            ]
            entries = self._entries(node.name, starts)
            for position, source in enumerate(node.inputs):
                entry = entries[position]
                new = self.diff is not None and self.diff.is_new_edge(source, node.name)
                look = (
                    f'stroke="{NEW_EDGE}" stroke-width="2" marker-end="url(#new)"' if new else 'marker-end="url(#tip)"'
                )
                yield (
                    f'<path class="edge" d="{self._path(source, ways[position], node.name, entry)}" {look}>'
                    f"<title>{escape(source)} to input {position} of {escape(node.name)}</title></path>"
                )

    def _entries(self, name: str, starts: list[tuple[float, int]]) -> dict[int, float]:
        """Return where edges enter a box, by input: left to right as they come, one straight above at the centre."""
        order, centre = sorted(starts), self.layout.x(name)
        step = min(22.0, self.width / (len(order) + 1))
        straight = [rank for rank, (start, _) in enumerate(order) if abs(start - centre) < 0.5]
        middle = straight[0] if len(straight) == 1 and len(order) < 5 else (len(order) - 1) / 2
        return {position: self._x(name) + step * (rank - middle) for rank, (_, position) in enumerate(order)}

    def _path(self, source: str, way: list[tuple[str, int]], target: str, entry: float) -> str:
        x, y = self._x(source), self._y(self.layout.layers[source]) + HEIGHT
        parts = [f"M{x:.1f} {y:.1f}"]
        stops = [(self.layout.places[point] + MARGIN, point[1]) for point in way]
        for stop, layer in [*stops, (entry, self.layout.layers[target])]:
            upper = self._y(layer)
            parts.append(_curve(x, y, stop, upper))
            x, y = stop, upper + HEIGHT
            if layer != self.layout.layers[target]:
                parts.append(f"V{y:.1f}")
        return " ".join(parts)

    def _ties(self) -> Iterable[str]:
        for number, node in enumerate(self.ties):
            ends = [
                (self._x(name) + self.width / 2, self._y(self.layout.layers[name]) + HEIGHT / 2)
                for name in (node.owner, node.name)
            ]
            (x1, y1), (x2, y2) = ends
            side = max(x1, x2) + LANE + 8 * number
            yield (
                f'<path class="tie" d="M{x1:.1f} {y1:.1f} C{side:.1f} {y1:.1f} {side:.1f} {y2:.1f} {x2:.1f} {y2:.1f}" '
                f'fill="none" stroke="#2f6fc7" stroke-width="1.4" stroke-dasharray="5 4">'
                f"<title>{escape(node.name)} uses the weights of {escape(node.owner)}</title></path>"
            )

    def _legend(self) -> tuple[list[str], float]:
        """Return the legend, in as many lines as it takes, and where the drawing begins below it."""
        present = {box.kind for box in (*self.boxes.values(), *self.removed)}
        entries = [(text, fill, line) for key, (text, fill, line) in self.colours.items() if key in present]
        x, y, lines = MARGIN, MARGIN, []
        for text, fill, line in entries:
            length = 28 + len(text) * LEGEND_SIZE * 0.6
            if x > MARGIN and x + length > self.total:
                x, y = MARGIN, y + 18
            lines.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="11" height="11" rx="3" fill="{fill}" stroke="{line}"/>'
                f'<text x="{x + 16:.1f}" y="{y + 9.5:.1f}" font-size="{LEGEND_SIZE}" fill="#5b6675">{text}</text>'
            )
            x += length
        return lines, y + 30


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    if abs(x - to_x) < 0.5:
        return f"L{to_x:.1f} {to_y:.1f}"
    middle = (y + to_y) / 2
    return f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"


def _tip(name: str, colour: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="10" markerHeight="10" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0.8 L7.5 4 L0 7.2 Z" fill="{colour}"/></marker>'
    )


def _box(graph: Graph, node: Node) -> _Box:
    op = repr(node.op).removesuffix("()") + (f" @ {node.tie}" if node.tie else "")
    return _Box(node, _cut(op, LONGEST), _times(str(graph.shape(node.name))), family(graph, node), str(node))


def _compared(diff: Diff, node: Node) -> _Box:
    name, status = node.name, diff.status(node.name)
    tip = str(node)
    if status in ("changed", "resized"):
        tip += f"\nbefore: {diff.before.node(name)}\nchanged: {', '.join(diff.changed[name])}"
    op = diff.op(name).replace("()", "")
    return _Box(node, _cut(op, LONGEST_CHANGE), _times(diff.shape(name)), status, tip)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _times(shape: str) -> str:
    return shape.replace("x", "×")
