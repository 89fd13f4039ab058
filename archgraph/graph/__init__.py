"""Graph values: shapes, unit maps, ops' contract, graphs, edits and coupled units. No torch in this folder."""

from archgraph.graph.axis import Along, AxisMap, Parts, Role, length, makes, node_of, parts_of
from archgraph.graph.builder import GraphBuilder, chain
from archgraph.graph.edit import Edit, Rewritable
from archgraph.graph.editor import Editor
from archgraph.graph.graph import Graph
from archgraph.graph.labels import around, label, region, rule_of
from archgraph.graph.node import Node
from archgraph.graph.op import Op, TensorSpec, require
from archgraph.graph.resize import refusal, resize
from archgraph.graph.shape import GRAPHS, SAMPLES, Shape
from archgraph.graph.size_rule import HANDS_ON, Absorb, Fixed, Invariant, Merge, Select, SizeRule, Stack
from archgraph.graph.text import parse_op
from archgraph.graph.unit_labels import Members, UnitLabels
from archgraph.graph.unit_map import FRESH, UnitMap

__all__ = [
    "FRESH",
    "GRAPHS",
    "HANDS_ON",
    "SAMPLES",
    "Absorb",
    "Along",
    "AxisMap",
    "Edit",
    "Editor",
    "Fixed",
    "Graph",
    "GraphBuilder",
    "Invariant",
    "Members",
    "Merge",
    "Node",
    "Op",
    "Parts",
    "Rewritable",
    "Role",
    "Select",
    "Shape",
    "SizeRule",
    "Stack",
    "TensorSpec",
    "UnitLabels",
    "UnitMap",
    "around",
    "chain",
    "label",
    "length",
    "makes",
    "node_of",
    "parse_op",
    "parts_of",
    "refusal",
    "region",
    "require",
    "resize",
    "rule_of",
]
