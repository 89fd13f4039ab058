"""Moves: graph rewrites as values that list their sites, apply to graphs and networks, or refuse with a reason."""

from archgraph.moves.add_edge import AddEdge
from archgraph.moves.duplicate import Duplicate
from archgraph.moves.insert_identity import InsertIdentity
from archgraph.moves.insert_layer import InsertLayer
from archgraph.moves.move import Move, parse, resizable
from archgraph.moves.prune import Prune
from archgraph.moves.remove_edge import RemoveEdge
from archgraph.moves.remove_layer import RemoveLayer
from archgraph.moves.split import Displacements, Split
from archgraph.moves.swap_op import SwapOp
from archgraph.moves.widen import Widen

__all__ = [
    "AddEdge",
    "Displacements",
    "Duplicate",
    "InsertIdentity",
    "InsertLayer",
    "Move",
    "Prune",
    "RemoveEdge",
    "RemoveLayer",
    "Split",
    "SwapOp",
    "Widen",
    "parse",
    "resizable",
]
