"""The tracer: every call of the user's code becomes a node that knows what it is on either batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn

from archgraph.reading.geometric import is_leaf, pools
from archgraph.reading.graph_arguments import is_geometric
from archgraph.reading.place import here
from archgraph.reading.proxy import BATCHES, GRADS, PLACE, VALUES, Untraceable, Value, depends
from archgraph.reading.twin import Evaluating
from archgraph.reading.without_memory import Shapes, evaluate, needs_numbers


class Tracer(fx.Tracer):
    """Makes proxies that know shapes, and plain Python values of what does not depend on the batch.

    Args:
        shapes: of the inputs.
    """

    proxy_buffer_attributes = True

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(autowrap_functions=pools())
        self.shapes = shapes
        self.quiet = False  # whether modules are called as they are, to learn shapes
        self.without_grads = 0  # how deep the code is in torch.no_grad()

    def is_leaf(self, module: nn.Module) -> bool:
        """Whether a module is one layer: those of torch are, but for containers."""
        return bool(self.is_leaf_module(module, ""))

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if is_geometric(m):
            return is_leaf(m)
        containers = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.Identity)
        return type(m).__module__.startswith("torch.nn.modules") and (
            not isinstance(m, containers) or isinstance(m, nn.Identity)
        )

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return Value(node, self)

    def to_bool(self, obj: fx.Proxy) -> bool:
        raise depends(obj.node, "as a condition")

    def iter(self, obj: Any) -> Iterator[Any]:
        found = obj.node.meta[VALUES]
        if isinstance(found[0], Tensor) and found[0].ndim and len(found[0]) == len(found[1]):
            return iter([obj[place] for place in range(len(found[0]))])
        raise Untraceable("a loop over the samples of a batch cannot be traced", hint="write it for whole tensors")

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        return forward(*args, **kwargs) if self.quiet else super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        return attr_val if self.quiet else super().getattr(attr, attr_val, parameter_proxy_cache)

    def create_arg(self, a: Any) -> Any:
        if isinstance(a, tuple) and hasattr(a, "_fields"):
            a = tuple(a)  # its names would be a call of its class
        return a if isinstance(a, Evaluating) else super().create_arg(a)

    def create_proxy(
        self, kind: str, target: Any, args: Any, kwargs: Any, name: Any = None, type_expr: Any = None, *rest: Any
    ) -> Any:
        if kind in ("call_function", "call_method"):
            args, kwargs = _anywhere(target, args, kwargs)
            if kind == "call_method" and target in _MOVES and len(args) == 1 and not kwargs:
                return args[0]
        proxy = super().create_proxy(kind, target, args, kwargs, name, type_expr, *rest)
        node = proxy.node
        if kind == "output":
            return proxy
        node.meta[PLACE], node.meta[GRADS] = here(), not self.without_grads
        if kind == "call_module":
            node.meta["inplace"] = getattr(self.root.get_submodule(target), "inplace", False)
        try:
            self.quiet = True
            node.meta[VALUES] = tuple(evaluate(self.root, node, which, self.shapes) for which in range(len(BATCHES)))
        except RuntimeError as error:
            if how := needs_numbers(str(error)):
                raise depends(node, how) from error
            raise
        finally:
            self.quiet = False
        return self._plain(proxy)

    def _plain(self, proxy: Any) -> Any:
        """Return plain Python values where they are the same on both batches, proxies elsewhere."""
        first, second = proxy.node.meta[VALUES]
        if isinstance(first, Tensor):
            return proxy
        if isinstance(first, tuple | list) and len(first) == len(second):
            return _same_kind(first, [self._entry(proxy, place) for place in range(len(first))])
        if type(first) is type(second) and first == second:
            return first
        return proxy

    def _entry(self, proxy: Any, place: int) -> Any:
        first, second = (value[place] for value in proxy.node.meta[VALUES])
        if not isinstance(first, Tensor | tuple | list) and first == second:
            return first
        if proxy.node.op == "call_method" and proxy.node.target == "size":
            return self.create_proxy("call_method", "size", (fx.Proxy(proxy.node.args[0], self), place), {})
        return self.create_proxy("call_function", _getitem, (proxy, place), {})


def _getitem(value: Any, place: Any) -> Any:
    return value[place]


_getitem.__name__ = "getitem"


def _same_kind(like: Any, parts: list[Any]) -> Any:
    if isinstance(like, torch.Size):
        return tuple(parts)
    if hasattr(like, "_fields"):
        return type(like)(*parts)
    return type(like)(parts)  # tuples, lists and torch.return_types


# ---------------------------------------------------------------------- where tensors lie does not matter
_MOVES = ("to", "cpu", "cuda")


def _anywhere(target: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """Return the arguments of a call without the devices among them: the network is on the CPU, and moves as a whole.

    >>> _anywhere("to", (3, torch.device("cpu"), torch.float64), {"non_blocking": True})
    ((3, torch.float64), {})
    """
    kwargs = {key: value for key, value in kwargs.items() if key != "device"}
    if target in ("cpu", "cuda"):
        return args[:1], {}
    if target == "to":
        kept = [part for part in args[1:] if not isinstance(part, torch.device | str | bool | int | None)]
        return (args[0], *kept), {key: value for key, value in kwargs.items() if key in ("dtype", "other")}
    return args, kwargs
