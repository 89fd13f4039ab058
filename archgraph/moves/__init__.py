"""Moves: graph rewrites as values that list their sites, apply to graphs and networks, or refuse with a reason."""

from archgraph.moves.duplicate import Duplicate
from archgraph.moves.move import Move, parse, resizable
from archgraph.moves.prune import Prune
from archgraph.moves.split import Displacements, Split

__all__ = ["Displacements", "Duplicate", "Move", "Prune", "Split", "parse", "resizable"]
