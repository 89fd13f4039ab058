"""Features: what a surrogate sees of a graph, be it a vector of numbers or colours of its layers."""

from archgraph.features.descriptors import DESCRIPTORS, descriptors
from archgraph.features.leaf_dag import LeafDag, leaf_dag

__all__ = ["DESCRIPTORS", "LeafDag", "descriptors", "leaf_dag"]
