"""From a graph to a ``torch.fx.GraphModule``: straight-line generated code, no interpreter in the hot path."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, fx, nn

from archgraph.graph import Graph

NODE = "archgraph node"
"""Key in the ``meta`` of a node of the lowered module under which the name of its graph node stands."""


def lower(graph: Graph, weights: Mapping[str, Tensor]) -> fx.GraphModule:
    """Build the module that computes a graph.

    Every node with tensors becomes a ``torch.nn`` submodule called like the node; stateless ops become plain calls. The
    tensors are copied, so training the module leaves ``weights`` alone. Weights used by several nodes are one submodule
    called several times.

    Args:
        graph: the architecture.
        weights: ``"node.tensor"`` to tensor, for every tensor of the graph.

    Returns:
        A module in training mode, that pickles, compiles and exports like any other.
    """
    root = nn.ModuleDict()
    trace = fx.Graph()
    tracer = fx.proxy.GraphAppendingTracer(trace)
    values: dict[str, fx.Node] = {}
    for node in graph:
        shapes = graph.input_shapes(node.name)
        sources = [values[source] for source in node.inputs]
        module = None if node.tie is not None else _build(graph, node.name, weights)
        if module is not None:
            root[target(node.name)] = module
        if module is not None or (node.tie is not None and target(node.owner) in root):
            values[node.name] = trace.create_node("call_module", target(node.owner), tuple(sources), name=node.name)
        elif not node.inputs:
            values[node.name] = trace.create_node("placeholder", node.name, name=node.name)
        else:
            result: Any = node.op.forward(tuple(fx.Proxy(source, tracer) for source in sources), shapes)
            values[node.name] = result.node
            if result.node not in sources:  # else the op handed its input through
                result.node._rename(node.name)
        values[node.name].meta[NODE] = node.name
    results = tuple(values[name] for name in graph.outputs)
    trace.output(results[0] if len(results) == 1 else results)
    return fx.GraphModule(root, trace, class_name="ArchGraphModule")


def _build(graph: Graph, name: str, weights: Mapping[str, Tensor]) -> nn.Module | None:
    with torch.device("meta"):  # no memory, no random numbers
        module = graph.op(name).module(*graph.input_shapes(name))
    if module is None:
        return None
    state = {key: weights[f"{name}.{key}"].detach().clone() for key in graph.tensors(name)}
    module.load_state_dict(state, assign=True)
    return module


@cache
def _reserved() -> frozenset[str]:
    return frozenset(dir(fx.GraphModule(nn.Module(), fx.Graph()))) | frozenset(dir(nn.ModuleDict()))


def target(name: str) -> str:
    """Return the name of a node's submodule: the node's own, unless ``torch.nn.Module`` has an attribute called so."""
    return f"{name}_" if name in _reserved() else name
