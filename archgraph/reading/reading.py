"""``from_torch``: a ``torch.nn.Module`` in, a network out, checked against the model."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor, fx, nn

from archgraph.errors import DataError, GraphError
from archgraph.graph import Op
from archgraph.net import Network
from archgraph.reading.agreement import check, first_run
from archgraph.reading.attention_fusion import fuse
from archgraph.reading.attention_pattern import recognise
from archgraph.reading.examples import Example, another, check_numbers, named, shapes_of
from archgraph.reading.exported import exported
from archgraph.reading.graph_arguments import kinds_of
from archgraph.reading.importer import Read, read_graph
from archgraph.reading.root import root_of
from archgraph.reading.tracing import Shapes, Traced, Untraceable, trace
from archgraph.reading.training import branches, rates, trained
from archgraph.reading.twin import check_model, twin_of
from archgraph.reading.views import name_of

LOG = logging.getLogger("archgraph")
_HINT = "write that line with functions of torch on whole tensors"


@dataclass(frozen=True)
class Reading:
    """A model, read.

    Args:
        network: the network; it computes what the model does in eval mode.
        opaque: for every node that stayed opaque, why: a clause that follows its name.
        dropped: names of parameters that no output depends on, and that the network therefore does not have.
        notes: what else differs from the model, mostly while it is trained, such as tensors that had been shared by
            layers of different kinds.
    """

    network: Network
    opaque: Mapping[str, str]
    dropped: tuple[str, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        lines = [repr(self.network), *(f"opaque: {name} {why}" for name, why in self.opaque.items())]
        return "\n".join([*lines, *(f"dropped: {name}" for name in self.dropped), *self.notes])


def from_torch(model: nn.Module, example_inputs: Example) -> Network:
    """Import a model: read its code and weights into a network that can be edited.

    What is not recognised becomes an ``Opaque`` node and a warning of the logger ``"archgraph"``; :func:`read` returns
    these too. The model itself stays as it is, and so does the global random state.

    The network computes what the model does in eval mode. Training it may differ, and a warning says where: dropout is
    kept, but branches on ``self.training``, ``detach()``, ``torch.no_grad()`` and frozen parameters are not. A layer
    that is called several times is one layer in the network too; but a parameter that layers of different kinds have in
    common, as ``head.weight = embedding.weight``, is copied for each of them.

    Args:
        model: the model, on the CPU; in train or eval mode.
        example_inputs: a batch ``[N, ...]`` for every input, as the model takes them: a tensor, a tuple, or a
            dictionary by argument name. Of a model on graphs they are features of nodes, and what its ``forward`` calls
            ``edge_index``, ``edge_weight`` and ``batch``, as PyTorch Geometric does. What the network computes is
            compared with the model on it, and on a second batch of another size.

    Returns:
        The network, with copies of the weights.

    Raises:
        DataError: when example inputs or model tensors cannot be used, or the code depends on the data.
        GraphError: when the model cannot be expressed as a graph; the line of its code is shown.
    """
    return read(model, example_inputs).network


def read(model: nn.Module, example_inputs: Example) -> Reading:
    """Import a model as :func:`from_torch` does, and say what stayed opaque and why.

    Raises:
        DataError: when example inputs or model tensors cannot be used, or the code depends on the data.
        GraphError: when the model cannot be expressed as a graph; the line of its code is shown.
    """
    check_model(model)
    inputs = named(model, example_inputs)
    kinds = kinds_of(model, inputs)
    own = first_run(model, inputs)  # before anything else: wrong inputs are the user's first to know of
    check_numbers(own, inputs)
    shapes = shapes_of(inputs, kinds)
    own, traced, notes = _traced(own, inputs, shapes)
    root, graph = traced.root, traced.graph
    other = trained(twin_of(own), shapes, traced)
    notes += branches(traced, other)
    recognise(own, root, graph, rates(graph, other))
    found = _fused(read_graph(own, root, graph))
    real = root_of(own, tuple(inputs))
    for name, value in vars(root).items():  # tensors that the code made while it was traced
        if isinstance(value, Tensor):
            setattr(real, name, value)
    unseen = check(found.network, real, graph, found.nodes, _batches(graph, inputs, kinds))
    found = replace(found, notes=(*notes, *found.notes, *unseen))
    reading = _reading(model, found)
    for name, why in reading.opaque.items():
        LOG.warning("opaque: node %r %s; its units are fixed", name, why)
    for note in reading.notes:
        LOG.warning("%s", note)
    for name in reading.dropped:
        LOG.info("%r is dropped: no output depends on it", name)
    return reading


def _batches(
    graph: fx.Graph, inputs: Mapping[str, Tensor], kinds: Mapping[str, type[Op]]
) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    """Return the example and a batch of another size; two others for one sample, if the model drops its batch axis."""
    more = another(inputs, kinds=kinds)
    bare = any(name_of(node) == "squeeze" and len(node.args) == 1 and not node.kwargs for node in graph.nodes)
    return (more, another(more, kinds=kinds)) if bare and len(next(iter(inputs.values()))) == 1 else (inputs, more)


def _traced(
    model: nn.Module, inputs: Mapping[str, Tensor], shapes: Shapes
) -> tuple[nn.Module, Traced, tuple[str, ...]]:
    """Trace a model, or what ``torch.export`` reads of it; return which of them, its calls, and notes."""
    try:
        return model, trace(twin_of(model), shapes), ()
    except Untraceable as error:
        try:
            other = exported(model, inputs)
            return other, trace(twin_of(other), shapes), (_by_export(error),)
        except DataError as found:
            raise DataError(found.what, hint=found.hint, place=error.place) from error
        except GraphError as found:
            raise GraphError(error.what, got=found.what, hint=error.hint or _HINT, place=error.place) from error


def _by_export(error: Untraceable) -> str:
    place = "" if error.place is None else f" ({error.place.splitlines()[0]})"
    return (
        f"{error.what}{place}; torch.export has read the model as it is in eval mode: its dropout is lost, and nodes "
        "are called after functions, not after layers"
    )


def _fused(found: Read) -> Read:
    """Return what was read with attention and its projections as one layer."""
    network, names = fuse(found.network)
    nodes = {call: now for call, name in found.nodes.items() if (now := names.get(name, name)) is not None}
    return replace(found, network=network, nodes=nodes)


def _reading(model: nn.Module, found: Read) -> Reading:
    whole = {name.partition("[")[0] for name in found.used}
    used = whole | {name.removeprefix("graph_module.") for name in whole}  # of exported models
    ids = {id(value) for name, value in model.named_parameters(remove_duplicate=False) if name in used}
    dropped = tuple(name for name, value in model.named_parameters() if name not in used and id(value) not in ids)
    return Reading(found.network, dict(found.opaque), dropped, found.notes)
