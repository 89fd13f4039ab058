"""Drawings: well-formed, complete, inside their frame, and the same every time."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from archgraph import ops
from archgraph.graph import Graph, chain
from archgraph.report import graph_svg
from archgraph.report.family import FAMILIES, family
from archgraph.report.svg import NEW_EDGE, TONES

SVG = "{http://www.w3.org/2000/svg}"
BRANCHED = """
image = Input((3, 32, 32))
stem = Conv2d(16, kernel_size=3, padding='same')(image)
norm = BatchNorm()(stem)
relu = ReLU()(norm)
conv = Conv2d(16, kernel_size=(3, 5), stride=1, padding=(1, 2), dilation=1, groups=16, bias=False)(relu)
sum = Add()(conv, relu)
square = Multiply()(sum, sum)
joined = Concat()(square, relu, image)
pool = MaxPool2d(3, stride=1, padding=1)(joined)
mean = GlobalAvgPool()(pool)
drop = Dropout(0.2)(mean)
wide = Linear(35)(drop)
tied = Linear(35)(wide) @ wide
again = Linear(35)(tied) @ wide
return again, relu
"""
GRAPHS = {
    "one node": Graph.parse("x = Input((3,))\nreturn x\n"),
    "chain": chain(ops.Input((1, 8, 8)), ops.Conv2d(4, kernel_size=3), ops.ReLU(), ops.Flatten(), ops.Linear(10)),
    "branched": Graph.parse(BRANCHED),
    "long": chain(ops.Input((3,)), *(ops.Linear(width) for width in range(2, 100))),
    "wide": Graph.parse(
        "x = Input((2,))\n" + "".join(f"a{i} = Linear({i + 1})(x)\n" for i in range(30))
        + f"y = Concat()({', '.join(f'a{i}' for i in range(30))})\nreturn y\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("graph", [pytest.param(graph, id=name) for name, graph in GRAPHS.items()])
def test_a_drawing_has_every_node_and_edge_inside_its_frame(graph: Graph) -> None:
    text = graph_svg(graph)
    root = ET.fromstring(text)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    groups = [group for group in root.iter(f"{SVG}g") if group.get("class", "").startswith("node")]
    assert [group.findall(f"{SVG}text")[0].text for group in groups] == list(graph.nodes)
    assert [group.findtext(f"{SVG}title") for group in groups] == [str(node) for node in graph]
    edges = [path for path in root.iter(f"{SVG}path") if path.get("class") == "edge"]
    assert len(edges) == sum(len(node.inputs) for node in graph)
    assert len({edge.attrib["d"] for edge in edges}) == len(edges)  # also when a node reads another twice
    boxes = set()
    for group in groups:
        box = group.find(f"{SVG}rect")
        assert box is not None
        x, y, w, h = (float(box.attrib[key]) for key in ("x", "y", "width", "height"))
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
        for label in group.findall(f"{SVG}text"):
            size = float(label.attrib["font-size"]) * 0.61
            assert len(label.text or "") * size <= w
        boxes.add((x, y))
    assert len(boxes) == len(graph)
    for edge in edges:
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", edge.attrib["d"])]
        assert min(numbers) >= 0 and max(numbers) <= max(width, height)
    assert graph_svg(graph) == text


def test_shared_weights_are_joined_by_dashed_lines() -> None:
    root = ET.fromstring(graph_svg(GRAPHS["branched"]))
    ties = [path for path in root.iter(f"{SVG}path") if path.get("class") == "tie"]
    assert [tie.findtext(f"{SVG}title") for tie in ties] == [
        "tied uses the weights of wide",
        "again uses the weights of wide",
    ]
    assert all(tie.get("stroke-dasharray") for tie in ties)


def test_families_and_outputs() -> None:
    graph = GRAPHS["branched"]
    assert {node.name: family(graph, node) for node in graph} == {
        "image": "input", "stem": "mixing", "norm": "norm", "relu": "activation", "conv": "mixing", "sum": "merge",
        "square": "merge", "joined": "merge", "pool": "pool", "mean": "pool", "drop": "other", "wide": "mixing",
        "tied": "mixing", "again": "mixing",
    }  # fmt: skip
    root = ET.fromstring(graph_svg(graph))
    bold = [
        group.findall(f"{SVG}text")[0].text
        for group in root.iter(f"{SVG}g")
        if group.get("class") and float(group.find(f"{SVG}rect").attrib["stroke-width"]) > 2  # type: ignore[union-attr]
    ]
    assert bold == ["relu", "again"]
    text = graph_svg(GRAPHS["chain"])
    assert FAMILIES["mixing"][0] in text and FAMILIES["merge"][0] not in text  # the legend names what there is


def test_long_ops_are_cut_and_text_is_escaped() -> None:
    text = graph_svg(GRAPHS["branched"])
    assert "…</text>" in text and "groups=16, bias=False)(relu)</title>" in text
    assert "padding=&#x27;same&#x27;" in text and "&lt;Graph of 14 nodes" in text


SMALL = Graph.parse("""
image = Input((3, 8, 8))
stem = Conv2d(4, kernel_size=3)(image)
relu = ReLU()(stem)
drop = Dropout(0.2)(relu)
side = Conv2d(5, kernel_size=1)(drop)
mean = GlobalAvgPool()(side)
head = Linear(2)(mean)
return head
""")
REWRITTEN = Graph.parse("""
image = Input((3, 8, 8))
stem = Conv2d(6, kernel_size=3)(image)
relu = ReLU()(stem)
gate = Sigmoid()(relu)
gated = Multiply()(gate, relu)
mean = GlobalAvgPool()(gated)
head = Linear(2)(mean)
return head
""")


def _groups(text: str) -> dict[str, ET.Element]:
    groups = [group for group in ET.fromstring(text).iter(f"{SVG}g") if group.get("class")]
    return {str(group.findall(f"{SVG}text")[0].text): group for group in groups}


def test_a_comparison_colours_what_a_rewrite_did() -> None:
    text = graph_svg(REWRITTEN, compare=SMALL)
    groups = _groups(text)
    assert {name: str(group.get("class")).removeprefix("node ") for name, group in groups.items()} == {
        "image": "same", "stem": "changed", "relu": "resized", "gate": "added", "gated": "added", "mean": "changed",
        "head": "resized", "drop": "removed", "side": "removed",
    }  # fmt: skip
    for group in groups.values():
        kind = str(group.get("class")).removeprefix("node ")
        box = group.find(f"{SVG}rect")
        assert box is not None and (box.get("fill"), box.get("stroke")) == TONES[kind][1:]
    assert [label.text for label in groups["stem"].findall(f"{SVG}text")] == [
        "stem", "4×6×6 → 6×6×6", "Conv2d(4 → 6, kernel_size=3)",
    ]  # fmt: skip
    tip = groups["mean"].findtext(f"{SVG}title")
    assert tip == "mean = GlobalAvgPool()(gated)\nbefore: mean = GlobalAvgPool()(side)\nchanged: inputs, shape"
    new = [
        path.findtext(f"{SVG}title")
        for path in ET.fromstring(text).iter(f"{SVG}path")
        if path.get("class") == "edge" and path.get("stroke") == NEW_EDGE
    ]
    assert new == [
        "relu to input 0 of gate", "gate to input 0 of gated", "relu to input 1 of gated", "gated to input 0 of mean",
    ]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), [(SMALL, REWRITTEN), (REWRITTEN, SMALL), (GRAPHS["wide"], SMALL)])
def test_a_comparison_has_all_nodes_inside_its_frame_without_overlap(before: Graph, after: Graph) -> None:
    text = graph_svg(after, compare=before)
    root, boxes = ET.fromstring(text), []
    for group in _groups(text).values():
        box = group.find(f"{SVG}rect")
        assert box is not None
        x, y, w, h = (float(box.attrib[key]) for key in ("x", "y", "width", "height"))
        assert x >= 0 and y >= 0 and x + w <= float(root.attrib["width"]) and y + h <= float(root.attrib["height"])
        assert all(x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y for x2, y2, w2, h2 in boxes)
        boxes.append((x, y, w, h))
    assert len(boxes) == len({*before.nodes, *after.nodes})


def test_a_graph_compared_with_itself_is_plain() -> None:
    text = graph_svg(SMALL, compare=SMALL)
    assert {group.get("class") for group in _groups(text).values()} == {"node same"}
    assert TONES["same"][0] in text and "changed</text>" not in text.replace("unchanged</text>", "")
