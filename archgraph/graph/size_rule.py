"""How the units of an op's output follow from the units of its inputs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Absorb:
    """The op mixes its input units and has units of its own: linear, convolution.

    Args:
        tile: how often its units stand on the output axis (``a b a b``): the two directions of a recurrent layer.
        tiles: the inner axis whose units these tiles are, where they can be resized too: heads, one after the other.
    """

    tile: int = 1
    tiles: str = ""


@dataclass(frozen=True)
class Invariant:
    """Unit i of every input goes to unit i of the output and to no other: activation, norm, pool, add, multiply.

    Args:
        broadcast: numbers of inputs that have a single unit, which goes to every unit of the output; it may not be
            resized.
    """

    broadcast: tuple[int, ...] = ()


@dataclass(frozen=True)
class Stack:
    """The inputs' units stand one after the other: concat; flatten and depthwise convolution repeat each unit.

    Args:
        repeat: copies of each unit side by side (``a a b b``): flatten of an image repeats by height times width.
        tile: copies of the whole axis (``a b a b``): flatten of a token sequence tiles by its length.
    """

    repeat: int = 1
    tile: int = 1


@dataclass(frozen=True)
class Merge:
    """Every ``size`` neighbouring units make one: a pixel shuffle. They are resized together.

    Args:
        size: units in a block.
    """

    size: int


@dataclass(frozen=True)
class Select:
    """The output has the input's units from ``start`` up to ``stop``: slices, chunks, splits."""

    start: int
    stop: int


@dataclass(frozen=True)
class Fixed:
    """The units may not be resized.

    Args:
        reason: why, as a clause that follows the node's name: ``"normalises over its units"``.
    """

    reason: str


SizeRule = Absorb | Invariant | Stack | Merge | Select | Fixed

HANDS_ON = (Invariant, Stack, Merge, Select)
"""Rules of ops that have no units of their own."""
