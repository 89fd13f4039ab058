"""What an optimizer knows of the module whose parameters it has: sites, their blocks, and the recorder of calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from archgraph.errors import SettingError
from optimizers.natural_gradient.blocks import Block, Diagonal, Kronecker, Shift, Units
from optimizers.natural_gradient.recorder import Recorder
from optimizers.natural_gradient.shares import Told
from optimizers.natural_gradient.sites import Site, sites_of

_BLOCKS: Mapping[str, type[Block]] = {"norm": Units, "shift": Shift}


class Attachment:
    """A module cut into blocks.

    Args:
        root: the module.
        groups: parameter groups of the optimizer; each says the ``mode`` of its graph layers.

    Raises:
        SettingError: when no parameter of the module is in a group.
    """

    def __init__(self, root: nn.Module, groups: Sequence[Mapping[str, Any]]) -> None:
        trained = {one: group["mode"] for group in groups for one in group["params"]}
        if trained.keys().isdisjoint(root.parameters()):
            raise SettingError("none of the module's parameters is in the optimizer's groups")
        sites = tuple(sites_of(root, trained))
        taken = {parameter for site in sites for parameter in site.parameters}
        self.root = root
        self.recorder = Recorder(sites)
        self.blocks: dict[Site, Block] = {site: _BLOCKS.get(site.kind, Kronecker)(site.parameters) for site in sites}
        self.told = Told()
        self.warned = False  # that no layer was seen
        self.looked: set[Block] = set()  # those that a look has been tried for
        self.loose = {one: Diagonal((one,)) for one in trained if one not in taken}
        self.group = {one: place for place, group in enumerate(groups) for one in group["params"]}
        self._every = (*self.blocks.values(), *self.loose.values())

    def every(self) -> tuple[Block, ...]:
        """Return all blocks; a parameter is in one of them."""
        return self._every

    def named(self) -> Iterator[tuple[str, Block]]:
        """Yield all blocks by the dotted name of their module, or of their parameter."""
        yield from ((site.name, block) for site, block in self.blocks.items())
        if self.loose:
            names = {parameter: name for name, parameter in self.root.named_parameters()}
            yield from ((names.get(one, "a parameter of no module"), block) for one, block in self.loose.items())
