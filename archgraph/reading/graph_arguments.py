"""Arguments of a model on graphs that are no batches of samples: edges, their weights, and a membership.

They are known by the names that PyTorch Geometric gives them, in models that have layers of it: ``edge_index`` [2, E],
``edge_weight`` [E] and ``batch`` [N]; the samples are nodes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from archgraph.errors import DataError
from archgraph.graph import Op
from archgraph.ops.edges import Edges, EdgeWeights, Membership

HOME = "torch_geometric."
"""Where layers on graphs are."""

_KINDS: Mapping[str, type[Op]] = {"edge_index": Edges, "edge_weight": EdgeWeights, "batch": Membership}


class Whole(tuple[int, ...]):
    """All sizes of an argument that is no batch; an ordinary one is known by those of a sample.

    Attributes:
        degree: edges a node, of the example.
    """

    degree: int = 1


def is_geometric(module: object) -> bool:
    """Whether a layer or a function is one of PyTorch Geometric."""
    kind = module if callable(module) and not isinstance(module, nn.Module) else type(module)
    return str(getattr(kind, "__module__", "")).startswith(HOME)


def kinds_of(model: nn.Module, names: Mapping[str, object]) -> dict[str, type[Op]]:
    """Return what arguments of a model are, of those that are no samples, by name."""
    if not any(map(is_geometric, model.modules())):
        return {}
    return {name: _KINDS[name] for name in names if name in _KINDS}


def check_arguments(kinds: Mapping[str, type[Op]], inputs: Mapping[str, Tensor]) -> None:
    """Raise a ``DataError`` unless edges are edges between the nodes of the example, and there are nodes."""
    nodes = next((len(value) for name, value in inputs.items() if name not in kinds), None)
    if kinds and nodes is None:
        raise DataError("a model on graphs needs features of nodes", got=", ".join(inputs))
    edges = inputs.get("edge_index")
    for name, kind in kinds.items():
        value = inputs[name]
        if kind is Edges:
            right = value.ndim == 2 and len(value) == 2 and value.dtype == torch.int64
            wanted = f"[2, E] int64, nodes 0 to {(nodes or 1) - 1}"
            right = right and (not value.numel() or 0 <= int(value.min()) <= int(value.max()) < (nodes or 0))
        elif kind is EdgeWeights:
            wanted = "[E] floating point, one an edge"
            right = value.ndim == 1 and value.is_floating_point() and edges is not None and len(value) == edges.shape[1]
        else:
            wanted, right = "[N] int64, a graph for every node", value.ndim == 1 and value.dtype == torch.int64
            right = right and len(value) == nodes
        if not right:
            raise DataError(
                f"example input {name!r} is not what it is called",
                expected=wanted,
                got=f"{tuple(value.shape)} {value.dtype}",
            )


def whole(kinds: Mapping[str, type[Op]], inputs: Mapping[str, Tensor], name: str) -> Whole | None:
    """Return all sizes of an argument that is no batch of samples; None for others and for a membership."""
    if kinds.get(name) not in (Edges, EdgeWeights):
        return None
    found = Whole(inputs[name].shape)
    nodes = next(len(value) for other, value in inputs.items() if other not in kinds)
    found.degree = max(1, round(inputs[name].shape[-1] / max(1, nodes)))
    return found


def input_op(model: nn.Module, name: str, degree: int) -> Op | None:
    """Return the input that an argument of a model on graphs is; None for features and whatever else is a batch."""
    kind = kinds_of(model, {name: None}).get(name)
    return None if kind is None else Edges(degree) if kind is Edges else kind()
