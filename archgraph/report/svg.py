"""Drawing a graph as SVG, with nothing but the standard library."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from archgraph.graph import Absorb, Graph, Node, rule_of
from archgraph.ops import Activation, AvgPool2d, MaxPool2d
from archgraph.report.layout import Layout, arrange

HEIGHT, ROW, GAP, LANE, MARGIN = 42.0, 74.0, 26.0, 18.0, 20.0
NAME_SIZE, OP_SIZE, LEGEND_SIZE = 13.0, 10.5, 11.0
LONGEST = 46
"""Characters of an op's text that are shown; all of it stands in the tool tip."""

FAMILIES = {  # family: (legend, fill, line)
    "input": ("input", "#edf0f4", "#64748b"),
    "mixing": ("mixing", "#e4eefb", "#2f6fc7"),
    "norm": ("normalisation", "#f0e8fb", "#8456c4"),
    "activation": ("activation", "#fdf1d8", "#c98208"),
    "pool": ("pooling, reshaping", "#dff3e8", "#23895a"),
    "merge": ("merging", "#fde5e6", "#cc3d49"),
    "other": ("other", "#f4f2ee", "#8a8272"),
}
SANS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
MONO = "Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def graph_svg(graph: Graph) -> str:
    """Return a drawing of a graph as an SVG document.

    Boxes are coloured by the family of the op and carry name, output shape and op; outputs of the network have a bold
    border. Nodes that share weights are joined by a dashed line. The drawing is the same every time.
    """
    return _Drawing(graph).text()


def family(graph: Graph, node: Node) -> str:
    """Return what kind of op a node has, as far as colours go; by what the op does, so that plug-ins have one too."""
    op, shapes = node.op, graph.input_shapes(node.name)
    least, most = op.arity
    if most == 0:
        return "input"
    if most is None or least > 1:
        return "merge"
    if isinstance(rule_of(graph, node.name), Absorb) or op.macs(*shapes):
        return "mixing"
    if isinstance(op, Activation):
        return "activation"
    if graph.tensors(node.name):
        return "norm"
    if isinstance(op, MaxPool2d | AvgPool2d) or graph.shape(node.name) != shapes[0]:
        return "pool"
    return "other"


@dataclass(frozen=True)
class _Box:
    node: Node
    op: str
    shape: str
    family: str

    @property
    def width(self) -> float:
        name = len(self.node.name) * NAME_SIZE * 0.66 + len(self.shape) * OP_SIZE * 0.62 + 16
        return max(name, len(self.op) * OP_SIZE * 0.605) + 26


class _Drawing:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.boxes = {node.name: _box(graph, node) for node in graph}
        self.width = max(150.0, *(box.width for box in self.boxes.values()))
        self.layout: Layout = arrange({node.name: node.inputs for node in graph}, width=self.width, gap=GAP, lane=LANE)
        places = [
            x + (self.width / 2 if self.layout.layers[name] == layer else 0.0)
            for (name, layer), x in self.layout.places.items()
        ]
        self.ties = [node for node in graph if node.tie is not None]
        self.right = MARGIN + max(places)
        self.total = self.right + MARGIN + (LANE + 8 * len(self.ties) if self.ties else 0)
        self.legend, self.top = self._legend()
        self.bottom = self.top + ROW * max(self.layout.layers.values()) + HEIGHT + MARGIN

    def text(self) -> str:
        width, height = f"{self.total:.0f}", f"{self.bottom:.0f}"
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="{SANS}">',
            f"<title>{escape(repr(self.graph))}</title>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto"><path d="M0 0.8 L7.5 4 L0 7.2 Z" fill="#7b8794"/></marker></defs>',
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            *self.legend,
            '<g fill="none" stroke="#7b8794" stroke-width="1.4">',
            *self._edges(),
            "</g>",
            *self._ties(),
            *(self._node(box) for box in self.boxes.values()),
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
        name, layer = box.node.name, self.layout.layers[box.node.name]
        left, top = self._x(name) - self.width / 2, self._y(layer)
        _, fill, line = FAMILIES[box.family]
        border = 2.6 if name in self.graph.outputs else 1.1
        return (
            f'<g class="node {box.family}"><title>{escape(str(box.node))}</title>'
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{self.width:.1f}" height="{HEIGHT:.1f}" rx="7" fill="{fill}" '
            f'stroke="{line}" stroke-width="{border}"/>'
            f'<text x="{left + 12:.1f}" y="{top + 17.5:.1f}" font-size="{NAME_SIZE}" font-weight="bold" '
            f'fill="#1f2937">{escape(name)}</text>'
            f'<text x="{left + self.width - 12:.1f}" y="{top + 17.5:.1f}" font-size="{OP_SIZE}" text-anchor="end" '
            f'fill="#5b6675">{escape(box.shape)}</text>'
            f'<text x="{left + 12:.1f}" y="{top + 33.0:.1f}" font-size="{OP_SIZE}" font-family="{MONO}" '
            f'fill="#3d4856">{escape(box.op)}</text></g>'
        )

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
                yield (
                    f'<path class="edge" d="{self._path(source, ways[position], node.name, entry)}" '
                    f'marker-end="url(#tip)"><title>{escape(source)} to input {position} of '
                    f"{escape(node.name)}</title></path>"
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
        present = {box.family for box in self.boxes.values()}
        entries = [(text, fill, line) for key, (text, fill, line) in FAMILIES.items() if key in present]
        x, y, lines = MARGIN, MARGIN, []
        for text, fill, line in entries:
            length = 24 + len(text) * LEGEND_SIZE * 0.6
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


def _box(graph: Graph, node: Node) -> _Box:
    op = repr(node.op).removesuffix("()") + (f" @ {node.tie}" if node.tie else "")
    shown = op if len(op) <= LONGEST else op[: LONGEST - 1] + "…"
    return _Box(node, shown, str(graph.shape(node.name)).replace("x", "×"), family(graph, node))
