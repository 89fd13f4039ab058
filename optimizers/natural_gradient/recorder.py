"""What the sites of a module read and make in a forward pass, kept until the curvature is computed from it."""

from __future__ import annotations

import contextlib
import functools
import inspect
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from optimizers.natural_gradient.sites import Site

FORWARDS = 4
"""Forward passes of each mode whose records are kept: those of older ones, that nobody asked for, are dropped."""


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


@dataclass(frozen=True, eq=False)
class _Pass:
    """One forward pass of the module, in training or in evaluation mode."""

    training: bool
    records: list[Record] = field(default_factory=list)


class Recorder:
    """Records calls of sites, while it is asked to and gradients are on.

    Args:
        sites: whose calls are recorded.
    """

    def __init__(self, sites: tuple[Site, ...]) -> None:
        self.sites = sites
        self._wanted = True
        self._root: weakref.ref[nn.Module] | None = None
        self._passes: list[_Pass] = []
        self._handles: list[Any] = []
        self._finalizer: Any = None

    @property
    def wanted(self) -> bool:
        """Whether the next forward passes are to be recorded; where not, :meth:`keep` has no hooks on the modules."""
        return self._wanted

    @wanted.setter
    def wanted(self, value: bool) -> None:
        self._wanted = value
        root = None if self._root is None else self._root()
        if root is None or value == self.hooked:
            return
        self.install(root) if value else self.unhook()

    def keep(self, root: nn.Module) -> None:
        """Have hooks on the modules from now on, whenever records are wanted."""
        self._root = weakref.ref(root)
        self.wanted = self._wanted

    def install(self, root: nn.Module) -> None:
        """Put hooks on the modules; they hold no reference to this object and go when it does."""
        self.unhook()
        self._handles.append(root.register_forward_pre_hook(_Begin(self)))
        for number, site in enumerate(self.sites):
            if site.called_directly:
                watch = _Forward(self, number, site.module)
                site.module.__dict__["forward"] = watch
                self._handles.append(watch)
            else:
                hook = _Hook(self, number)
                self._handles.append(site.module.register_forward_hook(hook, with_kwargs=True))
        self._finalizer = weakref.finalize(self, _remove, self._handles)

    def remove(self) -> None:
        """Take the hooks away for good."""
        self._root = None
        self.unhook()

    def unhook(self) -> None:
        """Take the hooks away."""
        if self._finalizer is not None:
            self._finalizer()
            self._finalizer = None
        self._handles = []

    @property
    def kept(self) -> bool:
        """Whether :meth:`keep` was called."""
        return self._root is not None

    @property
    def hooked(self) -> bool:
        """Whether its hooks are on the modules."""
        return bool(self._handles)

    @contextlib.contextmanager
    def installed(self, root: nn.Module) -> Iterator[None]:
        """Have hooks on the modules within this block only; hooks that are there already stay."""
        if self.hooked:
            yield
            return
        self.install(root)
        try:
            yield
        finally:
            self.unhook()
            self.wanted = self._wanted

    def records(self) -> list[Record]:
        """Return what was recorded since :meth:`clear`, in the order of the calls."""
        return [record for one in self._passes for record in one.records]

    def clear(self) -> None:
        """Forget all records."""
        self._passes = []

    @property
    def looks(self) -> bool:
        """Whether calls are recorded now."""
        return self._wanted and torch.is_grad_enabled()

    def begin(self, training: bool) -> None:
        """Start the records of another forward pass, and drop those of the oldest in the same mode."""
        alike = [one for one in self._passes if one.training == training]
        old = alike[: len(alike) + 1 - FORWARDS] if len(alike) >= FORWARDS else []
        self._passes = [*(one for one in self._passes if one not in old), _Pass(training)]

    def add(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Record one call of a site.

        Args:
            number: of the site.
            args: what its module was given.
            kwargs: likewise.
            output: what it returned.
        """
        site = self.sites[number]
        if not (self.looks and isinstance(output, Tensor) and output.requires_grad):
            return
        arguments = _bound(site.module, args, kwargs) if site.kind == "propagating" else {}
        inputs = args[0] if args else next(iter(kwargs.values()))
        if isinstance(inputs, tuple | list):  # source and target features of a bipartite layer
            inputs = inputs[0]
        if not self._passes:  # the module is called by another one than the root
            self._passes.append(_Pass(site.module.training))
        self._passes[-1].records.append(Record(site, inputs, get_gradient_edge(output), output.shape, arguments))


class _Watch:
    """What tells a recorder of calls, as long as there is one; a copy, of a copied module, tells nobody."""

    def __init__(self, recorder: Recorder | None, number: int = 0) -> None:
        self._known = None if recorder is None else weakref.ref(recorder)
        self._number = number

    @property
    def recorder(self) -> Recorder | None:
        """The recorder, if it is still there."""
        return None if self._known is None else self._known()

    def __deepcopy__(self, memo: dict[int, Any]) -> _Watch:
        return type(self)(None)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (None,)


class _Begin(_Watch):
    def __call__(self, module: nn.Module, args: Any) -> None:
        if (recorder := self.recorder) is not None and recorder.looks:
            recorder.begin(module.training)


class _Hook(_Watch):
    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if (recorder := self.recorder) is not None:
            recorder.add(self._number, args, kwargs, output)


class _Forward(_Watch):
    """Stands in for the ``forward`` of a layer that others call by it, past all hooks, as TAGConv and ChebConv do."""

    def __init__(self, recorder: Recorder | None, number: int, layer: nn.Module) -> None:
        super().__init__(recorder, number)
        self._layer = weakref.ref(layer)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        layer = self._layer()
        output = type(layer).forward(layer, *args, **kwargs)  # type: ignore[union-attr]
        if (recorder := self.recorder) is not None:
            recorder.add(self._number, args, kwargs, output)
        return output

    def remove(self) -> None:
        """Give the layer its own ``forward`` back."""
        layer = self._layer()
        if layer is not None and layer.__dict__.get("forward") is self:
            del layer.__dict__["forward"]

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return _own_forward(memo[id(self._layer())])

    def __reduce__(self) -> tuple[Any, ...]:
        return _own_forward, (self._layer(),)


def reached(outputs: Tensor, past: Any = None) -> set[Any]:
    """Return the nodes of the graph of gradients from which outputs come.

    Args:
        outputs: of a network.
        past: a node that is left out, with what the outputs come from through it alone.
    """
    waiting: list[Any] = [outputs.grad_fn]
    seen = {past, None}
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += [following for following, _ in node.next_functions]
    return seen - {past, None}


def _own_forward(layer: nn.Module) -> Any:
    return MethodType(type(layer).forward, layer)


def _remove(handles: list[Any]) -> None:
    for handle in handles:
        handle.remove()


def _bound(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    kind: Any = type(module)
    return dict(zip(_names(kind), args, strict=False)) | kwargs


@functools.lru_cache(maxsize=64)
def _names(kind: Any) -> tuple[str, ...]:
    """Return the names of what a class of modules is called with."""
    return tuple(inspect.signature(kind.forward).parameters)[1:]
