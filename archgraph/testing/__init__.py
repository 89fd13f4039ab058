"""Conformance checks for authors of plug-ins: they raise ``AssertionError`` and need no test framework."""

from archgraph.testing.drivers import check_driver
from archgraph.testing.moves import check_move
from archgraph.testing.ops import check_op
from archgraph.testing.spaces import check_space

__all__ = ["check_driver", "check_move", "check_op", "check_space"]
