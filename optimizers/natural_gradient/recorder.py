"""What the sites of a module read and make in a forward pass, kept until the curvature is computed from it."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.utils.hooks import RemovableHandle

from optimizers.natural_gradient.sites import Site

FORWARDS = 4
"""Forward passes whose records are kept: those of older ones, that nobody asked for, are dropped."""


@dataclass(frozen=True, eq=False)
class Record:
    """One call of a site's module.

    Args:
        site: the site.
        inputs: what it read, ``[N, ...]``, as it stood in the graph of gradients.
        edge: where the gradient of its output is, even when the output is changed in place later.
        shape: of its output.
        arguments: all arguments of a graph layer by name, its edges among them.
    """

    site: Site
    inputs: Tensor
    edge: GradientEdge
    shape: torch.Size
    arguments: Mapping[str, Any]


class Recorder:
    """Records calls of sites in training mode, while it is asked to.

    Args:
        sites: whose calls are recorded.
    """

    def __init__(self, sites: tuple[Site, ...]) -> None:
        self.sites = sites
        self.wanted = True
        self._passes: list[list[Record]] = []
        self._handles: list[RemovableHandle] = []
        self._finalizer: Any = None

    def install(self, root: nn.Module) -> None:
        """Put hooks on the modules; they hold no reference to this object and go when it does."""
        self.remove()
        known = weakref.ref(self)

        def begin(module: nn.Module, args: Any) -> None:
            recorder = known()
            if recorder is not None and recorder.wanted and module.training and torch.is_grad_enabled():
                recorder._passes = [*recorder._passes[1 - FORWARDS :], []]

        self._handles.append(root.register_forward_pre_hook(begin))
        for number, site in enumerate(self.sites):
            hook = _hook(known, number)
            self._handles.append(site.module.register_forward_hook(hook, with_kwargs=True))
        self._finalizer = weakref.finalize(self, _remove, self._handles)

    def remove(self) -> None:
        """Take the hooks away."""
        if self._finalizer is not None:
            self._finalizer()
            self._finalizer = None
        self._handles = []

    @contextlib.contextmanager
    def installed(self, root: nn.Module) -> Iterator[None]:
        """Have hooks on the modules within this block only; hooks that are there already stay."""
        if self._handles:
            yield
            return
        self.install(root)
        try:
            yield
        finally:
            self.remove()

    def records(self) -> list[Record]:
        """Return what was recorded since :meth:`clear`, in the order of the calls."""
        return [record for one in self._passes for record in one]

    def clear(self) -> None:
        """Forget all records."""
        self._passes = []

    def _add(self, number: int, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if not (self.wanted and module.training and torch.is_grad_enabled()):
            return
        if not (isinstance(output, Tensor) and output.requires_grad):
            return
        site = self.sites[number]
        arguments = _bound(module, args, kwargs) if site.kind in ("propagating", "shift") else {}
        inputs = args[0] if args else next(iter(kwargs.values()))
        if isinstance(inputs, tuple | list):  # source and target features of a bipartite layer
            inputs = inputs[0]
        if not self._passes:  # the module is called by another one than the root
            self._passes.append([])
        self._passes[-1].append(Record(site, inputs, get_gradient_edge(output), output.shape, arguments))


def _hook(known: weakref.ref[Recorder], number: int) -> Any:
    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        recorder = known()
        if recorder is not None:
            recorder._add(number, module, args, kwargs, output)

    return hook


def _remove(handles: list[RemovableHandle]) -> None:
    for handle in handles:
        handle.remove()


def _bound(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    import inspect

    return dict(inspect.signature(module.forward).bind(*args, **kwargs).arguments)
