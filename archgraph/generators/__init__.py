"""Generators: spaces of networks wired by random graphs, after Network Architecture Generator Optimization.

Ru, Esperança and Carlucci, "Neural Architecture Generator Optimization", NeurIPS 2020, arXiv 2004.01395.
"""

from archgraph.generators.flat_generator import FlatGenerator
from archgraph.generators.hierarchical_generator import HierarchicalGenerator

__all__ = ["FlatGenerator", "HierarchicalGenerator"]
