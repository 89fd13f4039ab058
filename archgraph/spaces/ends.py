"""What a seed graph tells a generator of images' networks: what it reads, what it gives, and how large it is."""

from __future__ import annotations

from dataclasses import dataclass

from archgraph.errors import SpaceError
from archgraph.graph import Graph
from archgraph.metrics import params

LEAST = 40_000
"""Parameters that a generated network may have where the seed graph has fewer: below, wirings hardly differ."""

HEADS = ((400_000, 64), (1_500_000, 320))
"""Channels of the last convolution for networks of at most so many parameters; 1280, as in the papers, beyond."""


@dataclass(frozen=True)
class Ends:
    """Input and output of a network on images.

    Args:
        input_shape: channels, height and width in pixels.
        outputs: units of the output.
        params: as many parameters as the seed graph has, or :data:`LEAST` if that is more.
    """

    input_shape: tuple[int, int, int]
    outputs: int
    params: int

    @classmethod
    def of(cls, graph: Graph) -> Ends:
        """Read them off a seed graph.

        Raises:
            SpaceError: when it does not make a vector from one image.
        """
        shapes = [graph.shape(name) for name in (*graph.inputs, *graph.outputs)]
        if len(shapes) != 2 or len(shapes[0].dims) != 3 or shapes[0].unit_axis != 0 or len(shapes[1].dims) != 1:
            raise SpaceError(
                "a generator of images' networks needs a seed graph that makes a vector from one image",
                expected="input (channels, height, width), output (units,)",
                got=f"{', '.join(map(str, shapes[:-1]))} -> {shapes[-1]}",
            )
        channels, height, width = shapes[0].dims
        return cls((channels, height, width), shapes[1].units, max(LEAST, params(graph)))


def usual_head(limit: int) -> int:
    """Return the usual number of channels of the last convolution for a number of parameters.

    >>> usual_head(40_000), usual_head(4_000_000)
    (64, 1280)
    """
    return next((channels for most, channels in HEADS if limit <= most), 1280)
