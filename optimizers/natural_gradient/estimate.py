"""One look at the curvature: from the records of a forward pass and gradients at its end to the averages of blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from archgraph.errors import SettingError
from optimizers.natural_gradient.blocks import Block, Diagonal, Kronecker, Settings, Shift, State, Units
from optimizers.natural_gradient.likelihood import Likelihood
from optimizers.natural_gradient.recorder import Record
from optimizers.natural_gradient.reduction import Chain
from optimizers.natural_gradient.settings import FISHERS
from optimizers.natural_gradient.shares import Shares
from optimizers.natural_gradient.sites import Site
from optimizers.natural_gradient.statistics import input_rows, moment, normalised, output_rows


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
    """

    root: nn.Module
    blocks: Mapping[Site, Block]
    loose: Mapping[Parameter, Diagonal]
    states: Mapping[Any, State]
    settings: Mapping[Parameter, Settings]
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
        chain = Chain.of(self.root, records, outputs, shares) if self._reduces(records) else None
        called = {record.site for record in records}
        loose = [parameter for parameter in self._loose(called) if parameter.requires_grad]
        targets: list[Any] = [*(record.edge for record in records), *loose]
        if not targets:
            return
        reached: set[Record] = set()
        for column in columns:
            grads = torch.autograd.grad(outputs, targets, column, retain_graph=True, allow_unused=True)
            for record, grad in zip(records, grads, strict=False):
                if grad is not None:
                    reached.add(record)
                    self._gather(record, grad.detach())
            for parameter, grad in zip(loose, grads[len(records) :], strict=True):
                if grad is not None:
                    squares = _wide(grad.detach()).square()
                    self._squares[parameter] = (
                        self._squares[parameter] + squares if parameter in self._squares else squares
                    )
            if chain is not None:
                self._reduce(chain, shares.pick(grads[records.index(chain.records[-1])].detach()))
        with torch.no_grad():
            self._absorb([record for record in records if record in reached], chain, shares)

    def _reduces(self, records: Sequence[Record]) -> bool:
        return any(self._setting(record.site)["mode"] == "reduce" for record in records)

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

    def _reduce(self, chain: Chain, last: Tensor) -> None:
        for record, rows in zip(chain.records, chain.outputs(last), strict=True):
            if self._setting(record.site)["mode"] == "reduce":
                found = moment(_wide(rows))
                self._chained[record.site] = self._chained.get(record.site, torch.zeros_like(found)) + found

    def _absorb(self, records: Sequence[Record], chain: Chain | None, shares: Shares) -> None:
        for site in dict.fromkeys(record.site for record in records):
            block, state, settings = self.blocks[site], self.states[site.weight], self._setting(site)
            if isinstance(block, Units):
                scale, shift = (torch.cat(part) for part in zip(*self._units[site], strict=True))
                block.absorb(state, scale, shift, settings)
            elif isinstance(block, Shift):
                block.absorb(state, self._outputs[site], settings)
            elif isinstance(block, Kronecker):
                fixed = shares.rows is not None and len(shares.rows) < shares.count
                chained = chain is not None and site in self._chained
                inputs = self._row(chain, site, shares) if chained and chain else self._rows(records, site, shares)
                output = self._chained[site] if chained else self._outputs[site]
                block.absorb(state, *inputs, output, settings, fixed=fixed)
        for parameter, squares in self._squares.items():
            diagonal = self.loose.get(parameter) or Diagonal((parameter,))
            diagonal.absorb(self.states[parameter], squares, self.settings[parameter])

    def _rows(self, records: Sequence[Record], site: Site, shares: Shares) -> tuple[Tensor, Tensor]:  # [K, D], [K]
        settings = self._setting(site)
        reduce = settings["mode"] == "reduce" and site.kind != "propagating"
        calls = [record for record in records if record.site is site]
        parts = [input_rows(one, shares, reduce=reduce, every=settings["every_row"]) for one in calls]
        return torch.cat([rows for rows, _ in parts]), torch.cat([weights for _, weights in parts]) / len(parts)

    def _row(self, chain: Chain, site: Site, shares: Shares) -> tuple[Tensor, Tensor]:  # [K, D], [K]
        place = [record.site for record in chain.records].index(site)
        rows = _wide(chain.inputs[place])
        return rows, (shares.sizes / shares.sizes.sum()).to(rows.dtype)


def _wide(values: Tensor) -> Tensor:
    """Return values in float32 or better."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
