"""What a unit passes through alone before it is mixed with others, read off the graph.

A unit of a linear or convolution node, pre-activation ``z``, passes batch norm, activations, pooling, depthwise
convolutions, sums with other tensors, flatten, ... alone, up to the next ops that mix units. What lies between is its
*tail*, the node outputs that mixing ops read its *boundaries*. Splitting the unit bends nothing but its tail: with
``g_b`` the loss's gradient at boundary ``b`` through the mixing ops there, held constant like all other inputs of the
tail, the unit's splitting matrix is the Hessian of ``phi = sum_b <g_b, tail_b(z(theta))>`` in its weight row.

It has a *closed form* where every path through the tail is affine on the same positions (batch norm in eval mode, sums
with other tensors, dropout switched off), then one activation, then linear in the unit (pooling, flatten, concat, batch
norm, depthwise convolution; max pooling is linear but where two positions tie). Along a path with activation ``a`` the
pre-activation is ``z_a = s_a (w . x) + rest``, and ``S = sum_a s_a^2 E[g_a sigma_a''(z_a) x x^T]``, with ``g_a`` the
loss's gradient at the output of ``a``.
"""

from __future__ import annotations

from dataclasses import dataclass

from archgraph import ops
from archgraph.criteria.activation import ACTIVATIONS
from archgraph.graph import HANDS_ON, Absorb, Graph, Stack, refusal
from archgraph.ops.activation import Activation
from archgraph.scoring.layer import GRAPH_LAYERS, sees_along_edges

_CONVOLUTIONS = (
    *(ops.Conv1d, ops.Conv2d, ops.Conv3d),
    *(ops.ConvTranspose1d, ops.ConvTranspose2d, ops.ConvTranspose3d),
)  # in a tail they are depthwise: the walk stops at those that mix units

LAYERS = (ops.Linear, *_CONVOLUTIONS, *GRAPH_LAYERS, ops.GATConv)
"""Ops whose units have weight rows that :class:`~archgraph.scoring.layer.Layer` knows as a linear map."""

ATTENTIONS = (ops.GATConv, ops.GATv2Conv, ops.TransformerConv)
"""Layers on graphs whose units take part in weighing what they see."""

_DROPOUTS = (ops.Dropout, ops.AlphaDropout, ops.Dropout1d, ops.Dropout2d, ops.Dropout3d)
_KEEPS_POSITIONS = (ops.BatchNorm, ops.Add, *_DROPOUTS, ops.Identity, ops.Concat)
_POOLS = (
    *(ops.AvgPool1d, ops.AvgPool2d, ops.AvgPool3d, ops.MaxPool1d, ops.MaxPool2d, ops.MaxPool3d),
    *(ops.AdaptiveAvgPool1d, ops.AdaptiveAvgPool2d, ops.AdaptiveAvgPool3d),
    *(ops.AdaptiveMaxPool1d, ops.AdaptiveMaxPool2d, ops.AdaptiveMaxPool3d),
    *(ops.GlobalAvgPool, ops.GlobalMaxPool, ops.Mean, ops.Sum, ops.Max, ops.Min),
    *(ops.GraphAddPool, ops.GraphMeanPool, ops.GraphMaxPool),
)
_MOVES = (
    *(ops.Flatten, ops.Reshape, ops.Permute, ops.Transpose, ops.Squeeze, ops.Unsqueeze, ops.Repeat, ops.Interpolate),
    *(ops.GINConv, ops.APPNP),  # along edges
    *(ops.Slice, ops.Narrow, ops.Pick, ops.Pad, ops.ZeroPad2d, ops.PixelShuffle, ops.PixelUnshuffle),
    *(
        ops.ClassToken,
        ops.PositionalEmbedding,
        ops.AddTensor,
        ops.MultiplyTensor,
        ops.Scale,
        ops.Affine,
        ops.Gate,
        ops.Zero,
    ),
)
_PRODUCTS = (ops.Multiply, ops.Divide)  # linear in the unit where the other inputs do not depend on it
_LINEAR = (*_KEEPS_POSITIONS, *_POOLS, *_MOVES, *_PRODUCTS, *_CONVOLUTIONS, ops.Subtract)
_KINKED = (ops.Maximum, ops.Minimum)


@dataclass(frozen=True)
class Path:
    """One way from a unit's pre-activation to an activation.

    Args:
        activation: the node that bends it.
        norms: batch norms passed before, each with the offset of the unit's node on its unit axis.
        offset: the same on the activation's unit axis (behind a concat).
    """

    activation: str
    norms: tuple[tuple[str, int], ...]
    offset: int


@dataclass(frozen=True)
class Closure:
    """What the units of a node pass through alone.

    Args:
        uses: the nodes that share its weights, itself included, in topological order.
        tail: the nodes behind them that hand their units on, in topological order.
        boundaries: those of both that ops read which mix units, in topological order.
        paths: ways to the activations that bend the units, empty where nothing does; None without a closed form.
        obstacle: why there is no closed form, as a clause that follows the node's name; None where there is one.
    """

    uses: tuple[str, ...]
    tail: tuple[str, ...]
    boundaries: tuple[str, ...]
    paths: tuple[Path, ...] | None
    obstacle: str | None = None


@dataclass(frozen=True)
class Refused:
    """Why a node cannot be scored; the text follows the node's name."""

    reason: str


def closure(graph: Graph, name: str) -> Closure | Refused:
    """Return what the units of a node pass through alone, or why splitting them cannot be scored.

    Args:
        graph: the graph.
        name: a linear or convolution node, or one on a graph.

    Raises:
        UnknownName: when there is no such node.
    """
    op = graph.op(name)
    if isinstance(op, ATTENTIONS) and not sees_along_edges(graph, name):
        what = "takes means of heads" if isinstance(op, ops.GATConv) else f"attends ({type(op).__name__})"
        return Refused(f"{what}: what its units see is not theirs alone, or changes with them; firefly can grow it")
    if not isinstance(op, LAYERS) or not isinstance(graph.rule(name), Absorb):
        return Refused("is no linear or dense convolution layer")
    pinned = refusal(graph, name)
    if pinned is not None:
        return Refused(f"cannot be resized: {pinned}")
    uses = graph.tied(name)
    found = _handed_on(graph, uses)
    tail = tuple(node for node in graph.nodes if node in found)
    for node in tail:
        if isinstance(graph.op(node), _KINKED):
            return Refused(f"meets node {node!r} ({type(graph.op(node)).__name__}), whose kink has no stand-in")
    ends = found | set(uses)
    boundaries = tuple(node for node in graph.nodes if node in ends and _is_mixed(graph, node))
    paths = _paths(graph, name) if len(uses) == 1 else "shares its weights with other nodes"
    if not isinstance(paths, str):
        paths = _product(graph, (*uses, *tail)) or paths
    if isinstance(paths, str):
        return Closure(_ordered(graph, uses), tail, boundaries, None, paths)
    return Closure(uses, tail, boundaries, paths)


def _handed_on(graph: Graph, uses: tuple[str, ...]) -> set[str]:
    """Return the nodes that some units reach without being mixed; ``uses`` are not among them."""
    found: set[str] = set()
    waiting = list(uses)
    while waiting:
        for user in graph.users(waiting.pop()):
            if user not in found and isinstance(graph.rule(user), HANDS_ON):
                found.add(user)
                waiting.append(user)
    return found


def _is_mixed(graph: Graph, name: str) -> bool:
    return any(isinstance(graph.rule(user), Absorb) for user in graph.users(name))


def _ordered(graph: Graph, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in graph.nodes if name in names)


def _product(graph: Graph, units: tuple[str, ...]) -> str | None:
    """Return why products keep a tail from being linear behind its activations: the unit meets itself in one."""
    for name in units:
        op, inputs = graph.op(name), graph.node(name).inputs
        places = [place for place, source in enumerate(inputs) if source in units]
        if isinstance(op, _PRODUCTS) and (len(places) > 1 or (isinstance(op, ops.Divide) and places == [1])):
            return f"passes node {name!r} ({type(op).__name__}), which is not linear in it"
    return None


@dataclass(frozen=True)
class _Step:
    """Where a walk along one path has come to.

    Args:
        node: the node it is at.
        norms: batch norms on the way.
        offset: of the unit's node on the unit axis here.
        moved: the first node that changed more than a scale and a shift of every entry, or None.
        curved: whether an activation was passed.
    """

    node: str
    norms: tuple[tuple[str, int], ...] = ()
    offset: int = 0
    moved: str | None = None
    curved: bool = False


def _paths(graph: Graph, name: str) -> tuple[Path, ...] | str:
    """Return the paths of a closed form, or why there is none."""
    paths: list[Path] = []
    seen: set[tuple[str, int]] = set()
    waiting = [_Step(name)]
    while waiting:
        here = waiting.pop()
        for user in graph.users(here.node):
            op = graph.op(user)
            if isinstance(graph.rule(user), Absorb):
                continue
            if isinstance(op, Activation) and not isinstance(op, ops.Identity):
                if (obstacle := _bent(graph, here, user)) is not None:
                    return obstacle
                paths.append(Path(user, here.norms, here.offset))
                waiting.append(_Step(user, curved=True))
            elif not isinstance(op, _LINEAR):
                return f"passes node {user!r} ({type(op).__name__}), for which there is no closed form"
            elif here.curved:
                if (user, -1) not in seen:
                    seen.add((user, -1))
                    waiting.append(_Step(user, curved=True))
            else:
                steps = list(_straight(graph, here, user))
                places = [(step.node, step.offset) for step in steps]
                if len(set(places) - seen) < len(places):
                    return f"reaches node {user!r} on several paths before its activation"
                seen.update(places)
                waiting += steps
    return tuple(paths)


def _bent(graph: Graph, here: _Step, user: str) -> str | None:
    """Return why an activation at the end of a path has no closed form, or None when it has."""
    op = graph.op(user)
    if here.curved:
        return f"passes a second activation, node {user!r}, before its units are mixed"
    if here.moved is not None:
        kind = type(graph.op(here.moved)).__name__
        return f"passes node {here.moved!r} ({kind}) before its activation, node {user!r}"
    assert isinstance(op, Activation)
    if op.curve not in ACTIVATIONS or op.curve == ops.Identity.curve:
        return f"is bent by node {user!r} ({type(op).__name__}), whose curvature is not known"
    return None


def _straight(graph: Graph, here: _Step, user: str) -> list[_Step]:
    """Return the steps on from a node to an op that is linear in the unit, one for each place it is read at."""
    op = graph.op(user)
    stays = isinstance(op, _KEEPS_POSITIONS) and graph.shape(user).others == graph.shape(here.node).others
    moved = here.moved or (None if stays else user)
    norms = (*here.norms, (user, here.offset)) if isinstance(op, ops.BatchNorm) else here.norms
    places = [place for place, source in enumerate(graph.node(user).inputs) if source == here.node]
    before = [0] * len(places)
    if isinstance(op, ops.Concat) and isinstance(graph.rule(user), Stack):  # along the units
        widths = [shape.units for shape in graph.input_shapes(user)]
        before = [sum(widths[:place]) for place in places]
    return [_Step(user, norms, here.offset + start, moved) for start in before]
