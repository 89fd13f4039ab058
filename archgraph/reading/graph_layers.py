"""Reading layers of PyTorch Geometric, which is not loaded for that: they are known by the names of their classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from torch import nn

from archgraph.graph import Op
from archgraph.reading.elementwise import flow_of
from archgraph.reading.graph_arguments import is_geometric
from archgraph.reading.layers import split_state
from archgraph.reading.reader import Flow, Held, NotRead, Reader
from archgraph.reading.tables import MODULES, function, make

Rule = Callable[..., Any]

GRAPH_LAYERS: dict[str, Rule] = {}
"""By name of the class: how a layer becomes nodes."""

_PLAIN: Mapping[str, Any] = {"flow": "source_to_target", "node_dim": -2}


def rule_of(layer: nn.Module) -> Rule | None:
    """Return how a layer becomes nodes; None where nobody knows."""
    if is_geometric(layer):
        return GRAPH_LAYERS.get(type(layer).__name__)
    return MODULES.get(type(layer))


def _enter(*names: str) -> Callable[[Rule], Rule]:
    def enter(rule: Rule) -> Rule:
        GRAPH_LAYERS.update(dict.fromkeys(names, rule))
        return rule

    return enter


def _node(read: Reader, at: Any, op: Op, *inputs: Any) -> Flow:
    """Add a layer that reads nodes and edges, and perhaps weights of edges."""
    if getattr(at.module, "flow", _PLAIN["flow"]) != _PLAIN["flow"]:
        raise NotRead("sends messages against the direction of edges")
    flows = [flow_of(value) for value in inputs if value is not None]
    return read.add(op, *flows, weights=at.held)


# ---------------------------------------------------------------------- convolutions
@_enter("GCNConv")
def _gcn(read: Reader, at: Any, x: Any, edge_index: Any, edge_weight: Any = None) -> Flow:
    layer = at.module
    _sums(layer)
    op = make("GCNConv", layer.out_channels, improved=layer.improved, add_self_loops=layer.add_self_loops,
              normalize=layer.normalize, bias=layer.bias is not None)  # fmt: skip
    return _node(read, at, op, x, edge_index, edge_weight)


@_enter("SGConv")
def _sgc(read: Reader, at: Any, x: Any, edge_index: Any, edge_weight: Any = None) -> Flow:
    layer = at.module
    _sums(layer)
    op = make("SGConv", layer.out_channels, K=layer.K, add_self_loops=layer.add_self_loops,
              bias=layer.lin.bias is not None)  # fmt: skip
    return _node(read, at, op, x, edge_index, edge_weight)


@_enter("TAGConv")
def _tag(read: Reader, at: Any, x: Any, edge_index: Any, edge_weight: Any = None) -> Flow:
    layer = at.module
    _sums(layer)
    op = make("TAGConv", layer.out_channels, K=layer.K, bias=layer.bias is not None, normalize=layer.normalize)
    return _node(read, at, op, x, edge_index, edge_weight)


@_enter("ChebConv")
def _cheb(read: Reader, at: Any, x: Any, edge_index: Any, edge_weight: Any = None) -> Flow:
    layer = at.module
    _sums(layer)
    op = make("ChebConv", layer.out_channels, K=len(layer.lins), normalization=layer.normalization,
              bias=layer.bias is not None)  # fmt: skip
    return _node(read, at, op, x, edge_index, edge_weight)


@_enter("APPNP")
def _appnp(read: Reader, at: Any, x: Any, edge_index: Any, edge_weight: Any = None) -> Flow:
    layer = at.module
    _sums(layer)
    op = make("APPNP", layer.K, layer.alpha, layer.dropout, layer.add_self_loops, layer.normalize)
    return _node(read, at, op, x, edge_index, edge_weight)


@_enter("SAGEConv")
def _sage(read: Reader, at: Any, x: Any, edge_index: Any) -> Flow:
    layer = at.module
    if layer.project or not isinstance(layer.aggr, str):
        raise NotRead("projects its input, or brings neighbours together in several ways")
    op = make("SAGEConv", layer.out_channels, aggr=layer.aggr, normalize=layer.normalize,
              root_weight=layer.root_weight, bias=layer.lin_l.bias is not None)  # fmt: skip
    return _node(read, at, op, x, edge_index)


@_enter("GINConv")
def _gin(read: Reader, at: Any, x: Any, edge_index: Any) -> Flow:
    layer = at.module
    _sums(layer)
    op = make("GINConv", layer.initial_eps, train_eps=isinstance(layer.eps, nn.Parameter))
    return applied(read, layer.nn, split_state("nn", at.held), _node(read, at, op, x, edge_index), f"{at.path}.nn")


def _sums(layer: Any) -> None:
    if layer.aggr not in ("add", "sum"):
        raise NotRead(f"brings neighbours together by {layer.aggr}")


# ---------------------------------------------------------------------- attention
@_enter("GATConv", "GATv2Conv")
def _gat(read: Reader, at: Any, x: Any, edge_index: Any, edge_attr: Any = None) -> Flow:
    layer = at.module
    two = getattr(layer, "share_weights", False) or isinstance(layer.in_channels, tuple)
    if edge_attr is not None or layer.edge_dim is not None or two:
        raise NotRead("has features of edges, two kinds of nodes, or weights shared between them")
    bias = layer.bias is not None
    op = make(type(layer).__name__, layer.out_channels, heads=layer.heads, concat=layer.concat,
              negative_slope=layer.negative_slope, dropout=layer.dropout, add_self_loops=layer.add_self_loops,
              bias=bias, residual=layer.residual)  # fmt: skip
    return _node(read, at, op, x, edge_index)


@_enter("TransformerConv")
def _transformer(read: Reader, at: Any, x: Any, edge_index: Any, edge_attr: Any = None) -> Flow:
    layer = at.module
    if edge_attr is not None or layer.edge_dim is not None:
        raise NotRead("has features of edges")
    op = make("TransformerConv", layer.out_channels, heads=layer.heads, concat=layer.concat, beta=layer.beta,
              dropout=layer.dropout, bias=layer.lin_key.bias is not None, root_weight=layer.root_weight)  # fmt: skip
    return _node(read, at, op, x, edge_index)


# ---------------------------------------------------------------------- norms, linear layers
@_enter("BatchNorm")
def _batch_norm(read: Reader, at: Any, x: Any) -> Flow:
    return applied(read, at.module.module, split_state("module", at.held), flow_of(x), f"{at.path}.module")


@_enter("PairNorm")
def _pair_norm(read: Reader, at: Any, x: Any, batch: Any = None, batch_size: Any = None) -> Flow:
    layer = at.module
    return _node(read, at, make("PairNorm", layer.scale, layer.scale_individually, layer.eps), x, batch)


@_enter("GraphNorm")
def _graph_norm(read: Reader, at: Any, x: Any, batch: Any = None, batch_size: Any = None) -> Flow:
    return _node(read, at, make("GraphNorm", at.module.eps), x, batch)


@_enter("LayerNorm")
def _layer_norm(read: Reader, at: Any, x: Any, batch: Any = None, batch_size: Any = None) -> Flow:
    layer = at.module
    if layer.mode == "node":
        return _node(read, at, make("LayerNorm", eps=layer.eps, affine=layer.affine), x)
    return _node(read, at, make("GraphLayerNorm", layer.eps, affine=layer.affine), x, batch)


@_enter("Linear")
def _linear(read: Reader, at: Any, x: Any) -> Flow:
    layer = at.module
    return read.add(make("Linear", layer.out_channels, bias=layer.bias is not None), flow_of(x), weights=at.held)


@_enter("JumpingKnowledge")
def _jump(read: Reader, at: Any, xs: Any) -> Flow:
    flows = [flow_of(one) for one in xs]
    if at.module.mode == "cat":
        return read.add(make("Concat"), *flows)
    if at.module.mode != "max":
        raise NotRead("brings layers together by an LSTM")
    found = flows[0]
    for one in flows[1:]:
        found = read.add(make("Maximum"), found, one)
    return found


# ---------------------------------------------------------------------- pooling
def _pool(read: Reader, kind: str, x: Any, batch: Any, size: Any) -> Flow:
    if batch is None or size is not None:
        raise NotRead("pools all nodes without a membership, or into a given number of graphs")
    return read.add(make(kind), flow_of(x), flow_of(batch))


@function("global_add_pool")
def _add_pool(read: Reader, x: Any, batch: Any, size: Any = None) -> Flow:
    return _pool(read, "GraphAddPool", x, batch, size)


@function("global_mean_pool")
def _mean_pool(read: Reader, x: Any, batch: Any, size: Any = None) -> Flow:
    return _pool(read, "GraphMeanPool", x, batch, size)


@function("global_max_pool")
def _max_pool(read: Reader, x: Any, batch: Any, size: Any = None) -> Flow:
    return _pool(read, "GraphMaxPool", x, batch, size)


@_enter("SumAggregation", "MeanAggregation", "MaxAggregation")
def _aggregation(
    read: Reader, at: Any, x: Any, index: Any = None, ptr: Any = None, dim_size: Any = None, dim: int = -2
) -> Flow:
    kind = {"Sum": "GraphAddPool", "Mean": "GraphMeanPool", "Max": "GraphMaxPool"}
    if ptr is not None:
        raise NotRead("is given graphs as ranges of nodes")
    return _pool(read, kind[type(at.module).__name__.removesuffix("Aggregation")], x, index, dim_size)


@_enter("AttentionalAggregation")
def _attentional(
    read: Reader, at: Any, x: Any, index: Any = None, ptr: Any = None, dim_size: Any = None, dim: int = -2
) -> Flow:
    if index is None or ptr is not None or dim_size is not None:
        raise NotRead("pools all nodes without a membership, or into a given number of graphs")
    parts = {}
    for role, names in (("gate", ("gate_nn", "gate_mlp")), ("values", ("nn", "mlp"))):
        parts[role] = flow_of(x)
        for name in names:
            inner = getattr(at.module, name)
            if inner is not None:
                held = split_state(name, at.held)
                parts[role] = applied(read, inner, held, flow_of(x), f"{at.path}.{name}")
    return read.add(make("GraphAttentionPool"), parts["values"], parts["gate"], flow_of(index))


# ---------------------------------------------------------------------- networks inside of layers
def applied(read: Reader, module: Any, tensors: Mapping[str, Held], x: Flow, path: str) -> Flow:
    """Read a network that a layer applies to what it has made of its input: a sequence of layers, or an ``MLP``.

    Args:
        read: the graph so far.
        module: the network, without memory.
        tensors: its own, by their names in it.
        x: what it reads.
        path: where it is in the model.

    Raises:
        NotRead: when it is neither, or a layer of it cannot be read.
    """
    own = path.rpartition(".")[2]
    if isinstance(module, nn.Sequential):
        for name, part in module.named_children():
            x = applied(read, part, split_state(name, tensors), x, f"{path}.{name}")
        return x
    if is_geometric(module) and type(module).__name__ == "MLP":
        return _perceptron(read, module, tensors, x, path)
    rule = rule_of(module)
    if rule is None:
        raise NotRead(f"applies a network with a layer that the tables do not have ({type(module).__name__})")
    stem = read.stem
    read.stem = f"{stem}_{own}"
    try:
        found = rule(read, SimpleNamespace(module=module, held=tensors, path=path), x)
    finally:
        read.stem = stem
    assert isinstance(found, Flow)
    return found


def _perceptron(read: Reader, module: Any, tensors: Mapping[str, Held], x: Flow, path: str) -> Flow:
    """Read an ``MLP`` as its code has it: layers, norms and activations in turn, and the last layer alone."""
    plain = len(module.norms) < len(module.lins)
    for number, layer in enumerate(module.lins):
        x = applied(read, layer, split_state(f"lins.{number}", tensors), x, f"{path}.lins_{number}")
        if plain and number == len(module.lins) - 1:
            break
        norm = module.norms[number]
        bend = [] if module.act is None else [module.act]
        rest = [(norm, f"norms.{number}")] if not isinstance(norm, nn.Identity) else []
        steps = (
            [*((one, "act") for one in bend), *rest] if module.act_first else [*rest, *((one, "act") for one in bend)]
        )
        for part, name in steps:
            x = applied(read, part, split_state(name, tensors), x, f"{path}.{name.replace('.', '_')}_{number}")
        if module.dropout[number]:
            x = read.add(make("Dropout", module.dropout[number]), x, part=f"dropout_{number}")
    return x


__all__ = ["GRAPH_LAYERS", "applied", "rule_of"]
