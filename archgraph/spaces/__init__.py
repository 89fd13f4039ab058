"""Spaces: distributions over graphs."""

from archgraph.spaces.counting import Count
from archgraph.spaces.defined import Defined, space
from archgraph.spaces.descriptors import DESCRIPTORS, descriptors
from archgraph.spaces.domain import Domain, Value
from archgraph.spaces.flat_generator import FlatGenerator
from archgraph.spaces.hierarchical_generator import HierarchicalGenerator
from archgraph.spaces.interval import Float, Int
from archgraph.spaces.leaf_dag import LeafDag, leaf_dag
from archgraph.spaces.neighbourhood import Neighbourhood
from archgraph.spaces.options import Choice, Ordered
from archgraph.spaces.parameters import Parameters
from archgraph.spaces.space import Choose, Column, Space
from archgraph.spaces.widths import Widths

__all__ = [
    "DESCRIPTORS",
    "Choice",
    "Choose",
    "Column",
    "Count",
    "Defined",
    "Domain",
    "FlatGenerator",
    "Float",
    "HierarchicalGenerator",
    "Int",
    "LeafDag",
    "Neighbourhood",
    "Ordered",
    "Parameters",
    "Space",
    "Value",
    "Widths",
    "descriptors",
    "leaf_dag",
    "space",
]
