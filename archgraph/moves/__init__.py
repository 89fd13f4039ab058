"""Moves: graph rewrites as values. Each lists its sites, applies to graphs and networks alike, or refuses with a reason."""

from archgraph.moves.duplicate import Duplicate
from archgraph.moves.move import Move, parse, resizable
from archgraph.moves.prune import Prune
from archgraph.moves.split import Displacements, Split

__all__ = ["Displacements", "Duplicate", "Move", "Prune", "Split", "parse", "resizable"]
