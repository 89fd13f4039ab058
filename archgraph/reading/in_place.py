"""Writes in place, made functional: who reads a tensor after it was written to reads what was written."""

from __future__ import annotations

from torch import fx

from archgraph.errors import GraphError

_VIEWS = {"view", "reshape", "transpose", "permute", "flatten", "squeeze", "unsqueeze", "chunk", "split", "narrow"}
_VIEWS |= {"expand", "getitem", "unflatten", "select", "movedim", "detach", "contiguous", "t", "swapaxes", "unbind"}


def write_in_place(graph: fx.Graph) -> None:
    """Let those who read a tensor after it was written to read what was written.

    Raises:
        GraphError: when a view of it is read afterwards.
    """
    rank = {node: place for place, node in enumerate(graph.nodes)}
    for node in list(graph.nodes):
        target = _written(node)
        if target is None:
            continue
        for alias in _aliases(target):
            late = [user for user in alias.users if rank[user] > rank[node]]
            if alias is target:
                for user in late:
                    user.replace_input_with(target, node)
            elif late:
                raise GraphError(
                    f"the model writes in place to {target.name}, of which {alias.name} is a view that is read later",
                    hint="write out of place there, for example x = x + y for x += y",
                )


def _written(node: fx.Node) -> fx.Node | None:
    """Return the tensor that a call writes to, if any."""
    if not node.args or not isinstance(node.args[0], fx.Node):
        return None
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    written = node.kwargs.get("inplace") is True
    if node.op == "call_module":
        written = node.meta.get("inplace", False)
    elif node.op in ("call_function", "call_method"):
        written |= (name.endswith("_") and not name.endswith("__")) or name in _INPLACE
        written |= name in _WITH_FLAG and True in node.args[1:]
    return node.args[0] if written else None


_INPLACE = {"iadd", "isub", "imul", "itruediv", "ipow", "__iadd__", "__imul__"}
_WITH_FLAG = {"relu", "relu6", "silu", "elu", "selu", "celu", "hardtanh", "hardswish", "hardsigmoid", "mish"}


def _aliases(node: fx.Node) -> list[fx.Node]:
    """Return the tensors that share memory with one: what it is a view of, and the views of that."""
    while is_view(node) and isinstance(node.args[0], fx.Node):
        node = node.args[0]
    found, waiting = [], [node]
    while waiting:
        here = waiting.pop()
        found.append(here)
        waiting += [user for user in here.users if is_view(user) and user.args[0] is here]
    return found


def is_view(node: fx.Node) -> bool:
    """Whether a call returns its first argument's numbers in another shape."""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return node.op in ("call_function", "call_method") and name in _VIEWS
