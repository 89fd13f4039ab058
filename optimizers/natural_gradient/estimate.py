"""One look at the curvature: from the records of a forward pass and gradients at its end to the averages of blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import Parameter

from archgraph.errors import SettingError
from optimizers.natural_gradient.blocks import Block, Diagonal, Kronecker, Settings, Shift, State, Units
from optimizers.natural_gradient.likelihood import Likelihood
from optimizers.natural_gradient.recorder import Record, reached
from optimizers.natural_gradient.reduction import Chain
from optimizers.natural_gradient.settings import FISHERS
from optimizers.natural_gradient.shares import Shares
from optimizers.natural_gradient.sites import Site
from optimizers.natural_gradient.statistics import input_rows, moment, normalised, output_rows

CHEAP = 8
"""Entries of a product of propagations, a node or edge of the graph, up to which nobody has to ask for them."""


def columns(
    fisher: str,
    likelihood: Likelihood,
    outputs: Tensor,  # [N, ...]
    shares: Shares,
    generator: torch.Generator,
    *,
    samples: int = 1,
    value: Tensor | None = None,
) -> Iterator[Tensor]:
    """Yield gradients at the outputs, independent between samples, whose second moments sum to the Fisher information.

    Independent, because a backward pass adds up what the samples say of a row that they share: their products have mean
    zero. So the columns of the exact form, which are no draws, get a random sign for each sample.

    Args:
        fisher: ``"sample"`` draws targets, ``"exact"`` enumerates the classes (or entries), ``"empirical"`` takes the
            gradient of the loss itself, which is no Fisher information but what is often used for it.
        likelihood: of the loss.
        outputs: of the network.
        shares: who carries the loss.
        generator: of the draws.
        samples: draws a sample.
        value: the loss, for ``"empirical"``.

    Raises:
        SettingError: when there is no such Fisher information, or the loss is missing.
    """
    held = shares.pick(outputs.detach())
    roots = shares.roots(held)
    if fisher == "sample":
        for _ in range(samples):
            yield shares.spread(likelihood.draw(held, generator) * (roots / samples**0.5))
    elif fisher == "exact":
        for column in likelihood.columns(held):
            signs = torch.randint(2, roots.shape, generator=generator).to(roots) * 2.0 - 1.0
            yield shares.spread(column * roots * signs)
    elif fisher == "empirical":
        if value is None:
            raise SettingError("the empirical Fisher needs the loss", hint="curvature(outputs, value)")
        (slope,) = torch.autograd.grad(value, outputs, retain_graph=True)
        found = shares.pick(slope)
        yield shares.spread(torch.where(roots > 0.0, found / roots, 0.0))
    else:
        raise SettingError("no such Fisher information", expected=", ".join(FISHERS), got=repr(fisher))


@dataclass
class Look:
    """Computes the curvature of one forward pass.

    Args:
        root: the network.
        blocks: of its sites.
        loose: parameters without a site, and their blocks.
        states: of every parameter.
        settings: of every parameter.
        steps: taken so far.
        moving: whether it is another batch of nodes every time.
    """

    root: nn.Module
    blocks: Mapping[Site, Block]
    loose: Mapping[Parameter, Diagonal]
    states: Mapping[Any, State]
    settings: Mapping[Parameter, Settings]
    steps: int = 0
    moving: bool = False
    _outputs: dict[Site, Tensor] = field(default_factory=dict)
    _chained: dict[Site, Tensor] = field(default_factory=dict)
    _units: dict[Site, list[tuple[Tensor, Tensor]]] = field(default_factory=dict)
    _squares: dict[Parameter, Tensor] = field(default_factory=dict)

    def take(self, records: Sequence[Record], outputs: Tensor, columns: Iterable[Tensor], shares: Shares) -> None:
        """Move the averages of all blocks.

        Args:
            records: of the forward pass.
            outputs: what came out of it, their graph still alive.
            columns: gradients at the outputs.
            shares: who carries the loss.
        """
        records = [record for record in records if record.site in self.blocks]
        if len({record.site for record in records}) < len(records):  # of several passes, some may not count
            nodes = reached(outputs)
            records = [record for record in records if record.edge.node in nodes]
        chain = self._chain(records, outputs, shares)
        chained = set() if chain is None else {one.site for one in chain.records if self._reduces(one.site)}
        plain = [record for record in records if record.site not in chained]
        called = {record.site for record in records}
        loose = [parameter for parameter in self._loose(called) if parameter.requires_grad]
        targets: list[Any] = [*(record.edge for record in plain), *loose]
        ends = [] if chain is None else [chain.records[-1].edge]
        found: set[Record] = set()
        for column in columns:
            grads = _gradients(outputs, [*targets, *ends], column)
            for record, grad in zip(plain, grads, strict=False):
                if grad is not None:
                    found.add(record)
                    self._gather(record, grad.detach())
            for parameter, grad in zip(loose, grads[len(plain) : len(targets)], strict=True):
                if grad is not None:
                    squares = _wide(grad.detach()).square()
                    self._squares[parameter] = (
                        self._squares[parameter] + squares if parameter in self._squares else squares
                    )
            if chain is not None and (last := grads[-1]) is not None:
                self._reduce(chain, chained, shares.pick(last.detach()))
        with torch.no_grad():
            self._absorb([one for one in records if one in found or one.site in self._chained], chain, shares)

    def _reduces(self, site: Site) -> bool:
        setting = self._setting(site)
        return setting["mode"] == "reduce" or (setting["mode"] == "auto" and not setting["every_row"])

    def _chain(self, records: Sequence[Record], outputs: Tensor, shares: Shares) -> Chain | None:
        """Return the chain of layers, where there is one that a layer of it wants; if nobody insists, a cheap one."""
        wanting = [record.site for record in records if self._reduces(record.site)]
        if not wanting:
            return None
        insisting = any(self._setting(site)["mode"] == "reduce" for site in wanting)
        if not insisting and not any(record.site.kind == "propagating" for record in records):
            return None  # of layers without propagation it is what the other form is
        again = {record.site for record in records if self._again(record.site, shares)}
        return Chain.of(self.root, records, outputs, shares, most=None if insisting else CHEAP, again=again)

    def _again(self, site: Site, shares: Shares) -> bool:
        """Whether rows that are known of features will do, if these stay the same but for dropout."""
        setting, rows = self._setting(site), self.states[site.weight].get("input_rows")
        number = self.steps // setting["interval"]
        return number % setting.get("input_interval", 1) != 0 and rows is not None and len(rows) == len(shares.sizes)

    def _loose(self, called: set[Site]) -> list[Parameter]:
        """Return the parameters without a site, or of sites that nobody called: their weights are read elsewhere."""
        idle = [site for site in self.blocks if site not in called]
        return [*self.loose, *(parameter for site in idle for parameter in site.parameters)]

    def _setting(self, site: Site) -> Settings:
        return self.settings[site.weight]

    def _gather(self, record: Record, grads: Tensor) -> None:
        site = record.site
        if site.kind == "norm":
            units = self._per_unit(record, grads)
            self._units.setdefault(site, []).append(units)
            return
        reduce = self._setting(site)["mode"] == "reduce" and site.kind != "propagating"
        found = moment(output_rows(grads, record, reduce=reduce))
        self._outputs[site] = self._outputs[site] + found if site in self._outputs else found

    def _per_unit(self, record: Record, grads: Tensor) -> tuple[Tensor, Tensor]:  # [K, *units] each
        """Return gradients of a norm's weight and bias of each sample."""
        shape = record.site.weight.shape
        x = normalised(record)
        g = grads if isinstance(record.site.module, nn.LayerNorm) else grads.movedim(1, -1)
        kind = torch.promote_types(g.dtype, torch.float32)
        scale, shift = (one.to(kind).reshape(len(g), -1, *shape).sum(1) for one in (x * g, g))
        return scale, shift

    def _reduce(self, chain: Chain, chained: set[Site], last: Tensor) -> None:
        for record, rows in zip(chain.records, chain.outputs(last), strict=True):
            if (site := record.site) in chained:
                found = moment(_wide(rows))
                self._chained[site] = self._chained[site] + found if site in self._chained else found

    def _absorb(self, records: Sequence[Record], chain: Chain | None, shares: Shares) -> None:
        for site in dict.fromkeys(record.site for record in records):
            block, state, settings = self.blocks[site], self.states[site.weight], self._setting(site)
            if isinstance(block, Units):
                scale, shift = (torch.cat(part) for part in zip(*self._units[site], strict=True))
                block.absorb(state, scale, shift, settings)
            elif isinstance(block, Shift):
                block.absorb(state, self._outputs[site], settings)
            elif isinstance(block, Kronecker):
                fixed = not self.moving and shares.rows is not None and len(shares.rows) < shares.count
                chained = chain is not None and site in self._chained
                inputs = chain.inputs_of(site) if chained and chain else self._rows(records, site, shares)
                output = self._chained[site] if chained else self._outputs[site]
                block.absorb(state, inputs, output, settings, fixed=fixed)
        for parameter, squares in self._squares.items():
            diagonal = self.loose.get(parameter) or Diagonal((parameter,))
            diagonal.absorb(self.states[parameter], squares, self.settings[parameter])

    def _rows(self, records: Sequence[Record], site: Site, shares: Shares) -> Tensor | None:  # [K, D]
        settings = self._setting(site)
        reduce = settings["mode"] == "reduce" and site.kind != "propagating"
        calls = [record for record in records if record.site is site]
        again, every = len(calls) == 1 and self._again(site, shares), settings["every_row"]
        parts = [input_rows(one, shares, reduce=reduce, every=every, again=again) for one in calls]
        held = [part for part in parts if part is not None]
        if not held:
            return None
        return held[0] if len(held) == 1 else torch.cat(held) / len(held) ** 0.5


def _gradients(outputs: Tensor, targets: Sequence[Any], column: Tensor) -> Sequence[Tensor | None]:
    """Return the gradients of the outputs, along a column, at targets; none are asked for what is the output itself."""
    if len(targets) == 1 and isinstance(targets[0], GradientEdge) and targets[0] == get_gradient_edge(outputs):
        return (column,)
    return torch.autograd.grad(outputs, targets, column, retain_graph=True, allow_unused=True) if targets else ()


def _wide(values: Tensor) -> Tensor:
    """Return values in float32 or better."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
