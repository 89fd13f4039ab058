"""What layers on graphs have in common: they read nodes and edges, and are modules of PyTorch Geometric."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from archgraph.errors import SettingError
from archgraph.graph import SAMPLES, Absorb, Op, Shape, SizeRule
from archgraph.ops.edges import read_edges, read_nodes
from archgraph.ops.linear import count


def geometric() -> Any:
    """Return ``torch_geometric.nn``, which takes a second to load and so is loaded when it is needed.

    Raises:
        SettingError: when it is not installed.
    """
    try:
        with warnings.catch_warnings(), torch.device("cpu"):
            warnings.simplefilter("ignore")  # about what of torch it uses
            import torch_geometric.nn as layers
    except ImportError as error:
        raise SettingError(
            "layers on graphs need PyTorch Geometric", hint="pip install torch-geometric", got=str(error)
        ) from None
    return layers


@dataclass(frozen=True, repr=False)
class _GraphLayer(Op):
    """Base of layers that read features of nodes and edges, in this order."""

    arity: ClassVar[tuple[int, int | None]] = (2, 2)

    def infer(self, *inputs: Shape) -> Shape:
        read_nodes(self, inputs[0])
        read_edges(self, *inputs[1:])
        return inputs[0]

    def rows(self, *inputs: str) -> str:
        return SAMPLES

    def propagated(self, units: int, *inputs: Shape, loops: bool = False) -> int:
        """Return multiply-accumulates, a node, of adding up so many units over its edges (and over itself)."""
        return (inputs[1].positions + loops) * units


@dataclass(frozen=True, repr=False)
class _GraphConvolution(_GraphLayer):
    """Base of layers that are a linear map of propagated features: their units are mixed before or after that alike."""

    out_channels: int

    def __post_init__(self) -> None:
        count(self.out_channels, "out_channels")

    def infer(self, *inputs: Shape) -> Shape:
        return super().infer(*inputs).resized(self.out_channels)

    def rule(self, *inputs: Shape) -> SizeRule:
        return Absorb()

    def resized(self, units: int, *inputs: Shape) -> Op:
        return self._with(out_channels=units)


def weights_of(inputs: Any) -> Any:
    """Return the weights of edges among the inputs of a layer, or None."""
    return inputs[2] if len(inputs) > 2 else None
