"""A graph with its weights, as a value."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, fx, nn

from archgraph import rng
from archgraph.errors import DataError, GraphError, ParseError, ShapeError, StorageError
from archgraph.files import write
from archgraph.graph import Edit, Graph, TensorSpec
from archgraph.net.inherit import has_fresh, inherit
from archgraph.net.lowering import lower, source
from archgraph.octets import octets

GRAPH_FILE = "graph.graph"
WEIGHTS_FILE = "weights.safetensors"


class Network:
    """An architecture with its weights; nothing changes it, everything returns a new one.

    Args:
        graph: the architecture.
        weights: ``"node.tensor"`` to tensor, for every tensor of the graph, running statistics included; weights that
            several nodes use stand under the node that owns them.

    Raises:
        ShapeError: when a tensor is missing, superfluous, or has another shape than the graph says.
        DataError: when a trainable tensor does not hold floating-point numbers.
    """

    __slots__ = ("__dict__", "_graph", "_weights")

    def __init__(self, graph: Graph, weights: Mapping[str, Tensor]) -> None:
        wanted = _specs(graph)
        missing, extra = wanted.keys() - weights.keys(), weights.keys() - wanted.keys()
        if missing or extra:
            raise ShapeError(
                "the weights do not fit the graph",
                expected=f"also {', '.join(sorted(missing)[:5])}" if missing else "no others",
                got=f"also {', '.join(sorted(extra)[:5])}" if extra else "none of these",
            )
        _check(wanted, weights)
        self._graph = graph
        found = ((key, weights[key]) for key in wanted)
        self._weights = {key: value.detach() if value.requires_grad else value for key, value in found}

    @classmethod
    def init(cls, graph: Graph, seed: int = 0, *, dtype: torch.dtype = torch.float32) -> Network:
        """Draw initial weights with torch's defaults.

        Every node has a stream of its own, derived from the seed and its name; the global one is left alone.

        Args:
            graph: the architecture.
            seed: any integer.
            dtype: floating-point type of the weights.
        """
        weights: dict[str, Tensor] = {}
        for node in graph:
            if node.tie is None:
                for key, tensor in init_node(graph, node.name, seed).items():
                    weights[f"{node.name}.{key}"] = tensor.to(dtype) if tensor.is_floating_point() else tensor
        return cls(graph, weights)

    # ------------------------------------------------------------------ reading
    @property
    def graph(self) -> Graph:
        """The architecture."""
        return self._graph

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """``"node.tensor"`` to tensor; not to be written to."""
        return MappingProxyType(self._weights)

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of what is trained, else of buffers; float32 when there are neither."""
        for node in self._graph:
            for key, spec in self._graph.tensors(node.name).items() if node.tie is None else ():
                if spec.trainable:
                    return self._weights[f"{node.name}.{key}"].dtype
        return next((tensor.dtype for tensor in self._weights.values() if tensor.is_floating_point()), torch.float32)

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Return the tensors that a node uses, by the names torch gives them."""
        owner = self._graph.node(name).owner
        return {key: self._weights[f"{owner}.{key}"] for key in self._graph.tensors(name)}

    @cached_property
    def key(self) -> str:
        """Content hash over the graph's text and all weights: equal for equal networks, in any process."""
        graph = self._graph
        lines = [*sorted(map(str, graph)), f"read {', '.join(graph.inputs)}", f"return {', '.join(graph.outputs)}\n"]
        digest = hashlib.sha256("\n".join(lines).encode())
        for name, tensor in sorted(self._weights.items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(octets(tensor).numpy().tobytes())
        return digest.hexdigest()

    # ------------------------------------------------------------------ changing
    def after(self, edit: Edit, *, seed: int | None = None) -> Network:
        """Return this network under an edit: weights carried over, those of new nodes drawn from a seed.

        Args:
            edit: the rewrite.
            seed: of initial weights of new nodes and fresh units; the edit's own by default.

        Raises:
            GraphError: when the edit starts from another graph.
            ShapeError: when the edit's unit maps do not lead to the tensors that its new graph needs.
        """
        if edit.before != self._graph:
            raise GraphError("the edit starts from another graph than this network's")
        start = edit.seed if seed is None else seed

        def fresh(name: str) -> dict[str, Tensor]:
            if not has_fresh(edit, name):
                return init_node(edit.after, name, start)
            # the node's own stream would give fresh units the rows that old ones started with
            sizes = (edit.after.shape(name).units, *edit.after.inner(name).values())
            return init_node(edit.after, name, rng.derive(start, "fresh", *sizes))

        new = object.__new__(Network)  # only what the edit touches is checked, the rest was
        new._graph = edit.after
        new._weights = inherit(edit, self._weights, fresh, self.dtype)
        touched = [name for name in edit.touched if edit.after.node(name).tie is None]
        _check(
            {f"{name}.{key}": spec for name in touched for key, spec in edit.after.tensors(name).items()}, new._weights
        )
        return new

    def with_weights_of(self, module: nn.Module) -> Network:
        """Return the network with the tensors of a module that :meth:`to_torch` made, as they are now (copied).

        Raises:
            ShapeError: when the module is that of another graph.
        """
        weights = {}
        for key, value in module.state_dict().items():
            node, _, tensor = key.partition(".")
            weights[f"{source(node)}.{tensor}"] = value.detach().clone()
        return Network(self._graph, weights)

    def to(self, target: torch.device | torch.dtype | str) -> Network:
        """Return the network on another device or, for its floating-point tensors, in another type."""
        moves = isinstance(target, torch.dtype)
        return Network(
            self._graph,
            {
                key: value if moves and not value.is_floating_point() else value.to(target)
                for key, value in self._weights.items()
            },
        )

    # ------------------------------------------------------------------ other forms
    def to_torch(self) -> fx.GraphModule:
        """Return a plain ``torch.fx.GraphModule`` with a copy of the weights, in training mode."""
        return lower(self._graph, self._weights)

    def save(self, folder: str | Path) -> Path:
        """Write ``graph.graph`` and ``weights.safetensors`` into a folder, made if need be; return the folder.

        Raises:
            StorageError: when it cannot be written.
        """
        from safetensors.torch import save

        place = Path(folder)
        # copied, as safetensors refuses tensors that share memory
        tensors = {key: value.cpu().contiguous().clone() for key, value in self._weights.items()}
        try:
            place.mkdir(parents=True, exist_ok=True)
            write(place / WEIGHTS_FILE, save(tensors))
            write(place / GRAPH_FILE, str(self._graph).encode())
        except OSError as error:
            raise StorageError(f"cannot write the network to {place}: {error.strerror or error}") from error
        return place

    @classmethod
    def load(cls, folder: str | Path) -> Network:
        """Read a network that :meth:`save` wrote; nothing in the files is executed.

        Raises:
            StorageError: when a file is missing or cannot be read.
            ParseError: when the graph text is malformed.
            DataError: when the weights are cut short or are no safetensors file.
            ShapeError: when weights and graph do not fit.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load

        place = Path(folder)
        try:
            text, data = (place / GRAPH_FILE).read_text(encoding="utf-8"), (place / WEIGHTS_FILE).read_bytes()
        except UnicodeDecodeError as error:
            raise ParseError(f"{place / GRAPH_FILE} is not a text: {error}") from error
        except OSError as error:
            raise StorageError(
                f"cannot read a network from {place}: {error}", hint="name a folder written by save()"
            ) from error
        try:
            weights = load(data)
        except (SafetensorError, ValueError, KeyError) as error:
            raise DataError(f"{place / WEIGHTS_FILE} is cut short or no safetensors file: {error}") from error
        return cls(Graph.parse(text), weights)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Network):
            return NotImplemented
        return self is other or (
            self._graph == other._graph
            and all(
                tensor.dtype == other._weights[key].dtype and torch.equal(octets(tensor), octets(other._weights[key]))
                for key, tensor in self._weights.items()
            )
        )

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"<Network of {len(self._graph)} nodes, {sum(t.numel() for t in self._weights.values())} numbers>"


def tensor_shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a graph, by ``"node.tensor"``."""
    return {key: spec.shape for key, spec in _specs(graph).items()}


def _check(wanted: Mapping[str, TensorSpec], weights: Mapping[str, Tensor]) -> None:
    for key, spec in wanted.items():
        if tuple(weights[key].shape) != spec.shape:
            raise ShapeError(
                f"tensor {key!r} does not fit the graph", expected=spec.shape, got=tuple(weights[key].shape)
            )
        if spec.trainable and not weights[key].is_floating_point():
            raise DataError(f"tensor {key!r} cannot be trained", expected="floating point", got=weights[key].dtype)


def _specs(graph: Graph) -> dict[str, TensorSpec]:
    return {
        f"{node.name}.{key}": spec
        for node in graph
        if node.tie is None
        for key, spec in graph.tensors(node.name).items()
    }


def init_node(graph: Graph, name: str, seed: int) -> dict[str, Tensor]:
    """Return initial tensors of one node by torch's defaults, from a stream of its own."""
    specs = graph.tensors(name)
    if not specs:
        return {}
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(rng.derive(seed, "init", name))  # of the CPU alone
        state = graph.op(name).module(*graph.input_shapes(name)).state_dict()
    return {key: state[key] for key in specs}
