"""Spaces: distributions over graphs."""

from archgraph.spaces.widths import Widths

__all__ = ["Widths"]
