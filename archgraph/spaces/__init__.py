"""Spaces: distributions over graphs."""

from archgraph.spaces.counting import Count
from archgraph.spaces.defined import Defined, space
from archgraph.spaces.domain import Domain, Value
from archgraph.spaces.interval import Float, Int
from archgraph.spaces.neighbourhood import Neighbourhood
from archgraph.spaces.options import Choice, Ordered
from archgraph.spaces.parameters import Parameters
from archgraph.spaces.space import Choose, Column, Space
from archgraph.spaces.widths import Widths

__all__ = [
    "Choice",
    "Choose",
    "Column",
    "Count",
    "Defined",
    "Domain",
    "Float",
    "Int",
    "Neighbourhood",
    "Ordered",
    "Parameters",
    "Space",
    "Value",
    "Widths",
    "space",
]
