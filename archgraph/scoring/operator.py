"""The splitting matrices of all units of a layer as one linear operator on one batch, never built.

    S V = A^T [ H [ A V ] ]                                                                                    (1)

for all units at once: ``A`` is the layer as a linear map of its weight rows (one convolution), ``A^T`` its transpose
(one weight gradient), ``H`` the second derivative of the layer's tail. Where weights are shared, ``A`` and ``H`` run
over all uses, and (1) is a sum over them. Letters: ``B`` samples, ``U`` units, ``D`` entries of a unit's weight row,
the bias last where it is displaced too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from archgraph import ops
from archgraph.criteria import batch_norm_scale, convolution_splitting_matrix, splitting_matrix
from archgraph.criteria.activation import second_derivative
from archgraph.errors import SettingError
from archgraph.graph import Graph
from archgraph.net import Captured, Network
from archgraph.ops.activation import Activation
from archgraph.ops.layout import each
from archgraph.scoring.closure import Closure, Path, Refused
from archgraph.scoring.kink import is_kinked
from archgraph.scoring.layer import Layer, has_bias, layer_at, sees_along_edges
from archgraph.scoring.tail import Curvature, Diagonal, Tail, constants

CURVATURES = ("auto", "closed", "tail")
MODES = ("eval", "train")


class Needs(NamedTuple):
    """The nodes at which :func:`~archgraph.net.capture` must keep something.

    Args:
        values: nodes whose outputs are needed.
        grads: nodes at whose outputs the loss's gradient is.
        reads: nodes at whose outputs the gradient through the ops that mix their units is.
        seen: graph convolutions of which is needed what their units see.
    """

    values: frozenset[str] = frozenset()
    grads: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
    seen: frozenset[str] = frozenset()

    @classmethod
    def union(cls, many: Iterable[Needs]) -> Needs:
        """Return what many layers need together."""
        return reduce(lambda a, b: cls(*(one | other for one, other in zip(a, b, strict=True))), many, cls())


class SplittingOperator:
    """The splitting matrices of a layer's units on one batch.

    Args:
        layers: the layer's linear map, one for every use of its weights.
        curvature: second derivative of its tail; None where nothing bends the units, and the matrices are zero.
        name: ``"closed"`` or ``"tail"``: where the curvature comes from.
    """

    def __init__(self, layers: tuple[Layer, ...], curvature: Curvature | None, name: str = "closed") -> None:
        self.layers, self._bends, self.curvature = layers, curvature, name

    @property
    def shape(self) -> tuple[int, int]:
        """``(U, D)``."""
        return self.layers[0].shape

    @property
    def is_zero(self) -> bool:
        """Whether nothing bends the units."""
        return self._bends is None

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one product, those of the layer; the tail mixes no units and is left out."""
        return 0 if self._bends is None else 2 * sum(layer.macs for layer in self.layers)

    @torch.no_grad()
    def __call__(
        self,
        vectors: Tensor,  # [U, D]  V, a vector a unit
    ) -> Tensor:  # [U, D]  S V
        """Return every unit's matrix times its vector, by (1)."""
        if self._bends is None:
            return self.layers[0].inputs.new_zeros(self.shape)
        return self._back(self._bends(*(layer.apply(vectors) for layer in self.layers)))

    @torch.no_grad()
    def start(self) -> Tensor:  # [U, D]
        """Return ``A^T r``, ``r`` the signed square roots of ``H 1``, for half the price of a product.

        It is the inputs summed with (roots of) their curvatures, so it lies near the range of ``S`` and leans to its
        extreme eigenvectors: where an iteration may begin. The roots keep single samples from hiding all others.
        """
        if self._bends is None:
            return self.layers[0].inputs.new_zeros(self.shape)
        bent = self._bends(*(layer.inputs.new_ones(layer.output) for layer in self.layers))
        return self._back(tuple(part.sign() * part.abs().sqrt() for part in bent))

    def _back(self, bent: tuple[Tensor, ...]) -> Tensor:
        parts = [layer.adjoint(part) for layer, part in zip(self.layers, bent, strict=True)]
        return parts[0] if len(parts) == 1 else torch.stack(parts).sum(dim=0)

    @torch.no_grad()
    def contributions(
        self,
        vectors: Tensor,  # [U, D]  V, a vector a unit
        *,
        every: int = 1,
    ) -> Tensor:  # [B, U], or [ceil(B / every), U]
        """Return what every sample adds to ``v^T S v``; the parts sum to it.

        The gradients are those of a mean over the batch, so ``B`` times a part is what the sample alone would give;
        but for norms in train mode, whose samples meet, that is a mean over independent samples.

        Args:
            vectors: V.
            every: take one sample of so many, in closed form; elsewhere a product is of all samples or none.
        """
        if every > 1 and (self._bends is None or isinstance(self._bends, Diagonal)):
            some = copy(self.layers[0])
            some.inputs = some.inputs[::every]
            bends = None if self._bends is None else Diagonal(self._bends.values[::every])
            return SplittingOperator((some,), bends, self.curvature).contributions(vectors)
        first = self.layers[0]
        total = first.inputs.new_zeros(len(first.inputs), self.shape[0])
        if self._bends is None:
            return total
        moved = [layer.apply(vectors) for layer in self.layers]
        for layer, tangent, bent in zip(self.layers, moved, self._bends(*moved), strict=True):
            product = (tangent * bent).movedim(layer.unit_axis, 1)
            total += product.flatten(2).sum(dim=2) if product.ndim > 2 else product
        return total

    @property
    def narrows(self) -> bool:
        """Whether a product of fewer units is cheaper: in closed form, without groups."""
        layer = self.layers[0]
        return isinstance(self._bends, Diagonal) and layer.groups == 1 and not layer.transposed

    @torch.no_grad()
    def narrowed(
        self,
        units: Tensor,  # [u]  indices
    ) -> SplittingOperator:
        """Return the operator of some units alone.

        Args:
            units: which.

        Raises:
            SettingError: when it does not narrow.
        """
        if not self.narrows or not isinstance(self._bends, Diagonal):
            raise SettingError("a product of this operator is of all units", expected="a closed form, no groups")
        layer = self.layers[0]
        values = self._bends.values.index_select(layer.unit_axis, units)
        return SplittingOperator((layer.narrowed(units),), Diagonal(values), self.curvature)

    @torch.no_grad()
    def matrices(self) -> Tensor:  # [U, D, D]
        """Return the matrices themselves: sums of outer products in closed form, else one product a coordinate."""
        units, size = self.shape
        layer, zeros = self.layers[0], self.layers[0].inputs.new_zeros(units, size, size)
        if self._bends is None:
            return zeros
        if isinstance(self._bends, Diagonal) and layer.linear and layer.groups == 1:
            weights = self._bends.values.reshape(-1, units)
            return splitting_matrix(layer.inputs.flatten(0, -2), weights, include_bias=layer.bias)
        if isinstance(self._bends, Diagonal) and isinstance(layer.op, ops.Conv2d):
            return convolution_splitting_matrix(
                layer.inputs,
                self._bends.values,
                kernel_size=_pair(layer.op.kernel_size),
                stride=_pair(layer.op.stride),
                padding=_pair(layer.padding),
                dilation=_pair(layer.op.dilation),
                groups=layer.op.groups,
                include_bias=layer.bias,
            )
        for place in range(size):
            unit = zeros.new_zeros(units, size)
            unit[:, place] = 1.0
            zeros[:, :, place] = self(unit)
        return 0.5 * (zeros + zeros.mT)


def choose_curvature(graph: Graph, closure: Closure, *, mode: str = "eval", curvature: str = "auto") -> str | Refused:
    """Return where the curvature of a layer's tail comes from: ``"closed"`` or ``"tail"``.

    Args:
        graph: the graph.
        closure: of the layer.
        mode: ``"eval"``, or ``"train"``: norms take their statistics from the batch, which bends the units.
        curvature: ``"closed"`` to insist on a closed form, ``"tail"`` for Hessian-vector products in any case,
            ``"auto"`` for the closed form where there is one.

    Returns:
        The choice; a refusal where a closed form is insisted on and there is none.

    Raises:
        SettingError: when there is no such mode or curvature.
    """
    for name, value, known in (("mode", mode, MODES), ("curvature", curvature, CURVATURES)):
        if value not in known:
            raise SettingError(f"{name} is not known", expected=", ".join(known), got=repr(value))
    if curvature == "tail":
        return "tail"
    obstacle = closure.obstacle
    if mode == "train" and obstacle is None:
        norms = [name for name in closure.tail if _has_statistics(graph, name)]
        obstacle = f"passes node {norms[0]!r}, a norm in train mode" if norms else None
    if obstacle is None:
        return "closed"
    return "tail" if curvature == "auto" else Refused(f"has no closed form: it {obstacle}")


def needs(graph: Graph, name: str, closure: Closure, *, mode: str = "eval", curvature: str = "auto") -> Needs:
    """Return what must be captured for the operator of a layer.

    Args:
        graph: the graph.
        name: the layer.
        closure: of the layer.
        mode: as for :func:`choose_curvature`, like ``curvature``.
        curvature: which to use.

    Raises:
        SettingError: when there is no such mode or curvature, or no closed form where it is asked for.
    """
    along = frozenset(use for use in closure.uses if sees_along_edges(graph, use))
    values = {graph.node(use).inputs[0] for use in closure.uses if use not in along}
    if _choice(graph, name, closure, mode, curvature) == "closed":
        assert closure.paths is not None
        bent = {path.activation for path in closure.paths}
        values |= {graph.node(one).inputs[0] for one in bent}
        return Needs(frozenset(values), frozenset(bent), seen=along)
    values |= {*closure.uses, *constants(graph, closure)}
    return Needs(frozenset(values), reads=frozenset(closure.boundaries), seen=along)


def kinks(graph: Graph, closure: Closure) -> dict[str, str]:
    """Return the nodes of a tail whose curvature is a stand-in, each with the node whose values it bends."""
    return {name: graph.node(name).inputs[0] for name in closure.tail if is_kinked(graph.op(name))}


def operator(
    network: Network,
    name: str,
    closure: Closure,
    captured: Captured,
    *,
    include_bias: bool = False,
    smoothing: float | Mapping[str, float] = 3.0,
    mode: str = "eval",
    curvature: str = "auto",
    keep_graph: bool = False,
) -> SplittingOperator:
    """Return the splitting operator of a layer on a captured batch.

    Args:
        network: the network.
        name: the layer.
        closure: of the layer.
        captured: what :func:`needs` names, in the same mode.
        include_bias: whether the layer's own bias is displaced too, where it has one.
        smoothing: sharpness of the softplus that stands in for a kink, in units of 1/z: one, or one for every node of
            :func:`kinks`.
        mode: as for :func:`choose_curvature`, like ``curvature``.
        curvature: which to use.
        keep_graph: whether Hessian-vector products keep what they compute for the next, at the price of its memory.

    Raises:
        SettingError: as :func:`needs`.
    """
    graph = network.graph
    bias = include_bias and has_bias(graph, name)
    layers = tuple(layer_at(network, use, captured, bias=bias) for use in closure.uses)
    betas = {one: smoothing if isinstance(smoothing, int | float) else smoothing[one] for one in kinks(graph, closure)}
    found = _choice(graph, name, closure, mode, curvature)
    if found == "closed":
        assert closure.paths is not None
        values = [_bent(network, name, path, captured, betas.get(path.activation, 1.0)) for path in closure.paths]
        return SplittingOperator(layers, Diagonal(reduce(torch.add, values)) if values else None)
    train = mode == "train"
    tail = Tail(network, closure, captured, smoothing=betas, train=train, keep_graph=keep_graph)
    return SplittingOperator(layers, tail, "tail")


def _choice(graph: Graph, name: str, closure: Closure, mode: str, curvature: str) -> str:
    found = choose_curvature(graph, closure, mode=mode, curvature=curvature)
    if isinstance(found, Refused):
        raise SettingError(f"node {name!r} {found.reason}", hint="curvature='auto' takes another way")
    return found


@torch.no_grad()
def _bent(
    network: Network, name: str, path: Path, captured: Captured, smoothing: float
) -> Tensor:  # of the shape of the layer's output: s^2 g sigma''(z)
    """Return what one path adds to the number at every position, in the closed form."""
    graph = network.graph
    activation, units = graph.op(path.activation), graph.shape(name).units
    assert isinstance(activation, Activation)
    axis = graph.shape(name).unit_axis + 1
    z = captured.values[graph.node(path.activation).inputs[0]].narrow(axis, path.offset, units)
    bent = second_derivative(activation.curve, z, smoothing=smoothing, **activation.options())
    bent = bent * captured.grads[path.activation].narrow(axis, path.offset, units)
    for norm, offset in path.norms:
        op, tensors = graph.op(norm), network.tensors(norm)
        assert isinstance(op, ops.BatchNorm)
        scale = batch_norm_scale(tensors.get("weight"), tensors["running_var"], eps=op.eps)
        bent *= scale.narrow(0, offset, units).square().to(bent.dtype).reshape(-1, *[1] * (z.ndim - 2))
    return bent


def _has_statistics(graph: Graph, name: str) -> bool:
    return "running_mean" in graph.tensors(name)


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    height, width = each(value, 2)
    return height, width
