"""Message-passing reduce: one row a sample, over its whole neighbourhood, for chains of fixed propagations.

In a network ``Z_l = P_l X_l W_l^T + 1 b_l^T``, ``X_{l+1} = phi_l(Z_l)`` entrywise, the outputs of node ``i`` depend on
layer ``l`` through ``Q_l = P_L ... P_{l+1}``. Its gradient there is a sum over the nodes ``m`` of its neighbourhood; in
place of a row for each ``m``, layer ``l`` gets the row

    a_i = sum_m (Q_l)_im [(P_l X_l)_m, 1],    g_i = mean_Q(phi'_l)_i o (W_{l+1}^T g_i of layer l + 1),

with ``mean_Q`` the mean over the neighbourhood weighted by ``Q_l``. With linear ``phi`` this is exact.

Letters: ``N`` nodes, ``K`` nodes that carry the loss, ``D`` inputs, ``U`` outputs of a layer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from optimizers.natural_gradient.propagation import Propagation
from optimizers.natural_gradient.recorder import Record, reached
from optimizers.natural_gradient.shares import Shares
from optimizers.natural_gradient.sites import Site, is_graph_layer


@dataclass(frozen=True, eq=False)
class Chain:
    """The layers of a network from the first to the outputs, as they were called.

    Args:
        records: one call a layer.
        inputs: ``[K, D]`` the rows ``a_i`` of each layer, times the roots of their weights; None where known ones do.
        slopes: ``[K, U]`` the means of ``phi'`` between each layer and the next; one fewer than layers.
    """

    records: tuple[Record, ...]
    inputs: tuple[Tensor | None, ...]
    slopes: tuple[Tensor, ...]

    @classmethod
    def of(
        cls,
        root: nn.Module,
        records: Sequence[Record],
        outputs: Tensor,
        shares: Shares,
        *,
        most: int | None = None,
        again: Collection[Site] = (),
    ) -> Chain | None:
        """Read the chain of a forward pass; None when the network is none that this form can be computed for.

        It is one of linear layers and layers with a fixed propagation, each called once, with entrywise functions (or
        dropout) in between and nothing that changes the number of units or nodes.

        Args:
            root: the network.
            records: of the forward pass.
            outputs: what came out, ``[N, T]``, its graph still alive.
            shares: who carries the loss.
            most: entries of ``Q_l``, a node or edge, up to which this is cheap enough; no limit by default.
            again: layers of which rows that are known will do, as in :meth:`Propagation.factor`.
        """
        layers = [one for one in records if one.site.kind in ("linear", "propagating")]
        sites = {one.site for one in layers}
        fits = all(len(one.shape) == 2 and one.shape[0] == shares.count for one in layers)
        if len(layers) < 1 or len(sites) < len(layers) or len(layers) < len(records) or not fits:
            return None
        if layers[-1].shape != outputs.shape or any(
            before.shape != after.inputs.shape for before, after in pairwise(layers)
        ):
            return None
        if not _is_chain(root, layers, outputs):
            return None
        taken = Propagation.starting(shares.rows, layers[-1], outputs)
        inputs: list[Tensor | None] = []
        slopes: list[Tensor] = []
        for place in range(len(layers) - 1, -1, -1):
            record = layers[place]
            if place < len(layers) - 1:
                slope = _slope(record, layers[place + 1])
                if slope is None:
                    return None
                whole = taken.sums().unsqueeze(1)
                slopes.insert(0, torch.where(whole != 0.0, taken.apply(slope) / whole, torch.zeros_like(whole)))
            ones = taken.sums()  # what the bias's 1 becomes
            further = taken.through(record, most)
            if further is None:
                return None
            taken = further
            inputs.insert(0, taken.factor(record, shares.portions, ones, again=record.site in again))
        return cls(tuple(layers), tuple(inputs), tuple(slopes))

    def inputs_of(self, site: Site) -> Tensor | None:  # [K, D]
        """Return the rows ``a_i`` of a layer."""
        return next(rows for record, rows in zip(self.records, self.inputs, strict=True) if record.site is site)

    def outputs(self, last: Tensor) -> list[Tensor]:
        """Return the rows ``g_i`` of each layer.

        Args:
            last: ``[K, T]`` those of the last layer.
        """
        found = [last]
        for record, slope in zip(self.records[:0:-1], self.slopes[::-1], strict=True):
            weight = record.site.weight.detach().to(last.dtype)
            found.insert(0, slope * (found[0] @ weight))
        return found


def _slope(record: Record, after: Record, along: Tensor | None = None) -> Tensor | None:  # [N, U]
    """Return the derivative of the next layer's inputs with respect to a layer's outputs, entry by entry."""
    x = after.inputs
    if not x.requires_grad:
        return None
    along = torch.ones_like(x) if along is None else along
    (found,) = torch.autograd.grad(x, record.edge, along, retain_graph=True, allow_unused=True)
    return found


def _is_chain(root: nn.Module, layers: Sequence[Record], outputs: Tensor) -> bool:
    """Whether layers are one behind the other, with entrywise functions in between; of a module found out once."""
    sites, kept = tuple(record.site for record in layers), layers[-1].site.kept
    if kept.get("chain of") != sites:
        modules = {site.module for site in sites}
        known = all(module in modules for module in root.modules() if is_graph_layer(module))
        kept.update({"chain of": sites, "is chain": known and _follow(layers, outputs)})
    found: bool = kept["is chain"]
    return found


def _follow(layers: Sequence[Record], outputs: Tensor) -> bool:
    ends = [record.edge.node for record in layers]
    for place, end in enumerate(ends[1:], start=1):  # all that comes of a layer comes through the next one
        if ends[place - 1] in reached(outputs, past=end):
            return False
    generator = torch.Generator().manual_seed(0)
    for record, after in pairwise(layers):
        signs = torch.randint(2, after.inputs.shape, generator=generator).to(after.inputs) * 2.0 - 1.0
        slope, signed = _slope(record, after), _slope(record, after, signs)
        if slope is None or signed is None or not torch.equal(slope * signs, signed):
            return False  # an entry depends on another's
    return True
