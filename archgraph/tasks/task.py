"""A task: data in three splits, a loss, and what a network must take and give.

Letters: ``N`` samples, ``D`` outputs of a regression.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from archgraph.errors import DataError, SettingError
from archgraph.octets import octets
from archgraph.rng import derive
from archgraph.tasks.dataset import stack
from archgraph.tasks.graph_set import GraphSet
from archgraph.tasks.loss import Loss
from archgraph.tasks.node_graph import NodeGraph
from archgraph.tasks.split import SPLITS, Split, partition

_PIECE = 4096


@dataclass(frozen=True, eq=False, repr=False)
class Task:
    """Data with a loss; two tasks are equal when their keys are.

    Args:
        name: the name under which it is known, such as ``"digits"``.
        splits: ``"train"``, ``"val"`` and ``"test"``; the tensors must not be changed afterwards.
        loss: what training makes small.
        input_shape: the shape of one input, without the batch axis.
        outputs: the units of the network's output: classes for a classifier, else ``y.shape[1]``.
        graph: where samples are the nodes of one graph: that graph, with the features of all nodes, their links, and
            the rows of each split; ``splits`` hold the same nodes as plain samples. None for all other tasks.
        graphs: where samples are graphs: these, with the rows of each split; ``splits`` hold one vector a graph. None
            for all other tasks.

    Raises:
        DataError: when a split is missing or empty, inputs are not finite floating-point numbers of ``input_shape``,
            labels are no int64 in ``[0, outputs)``, values are not finite, not ``[N, outputs, ...]`` or, for a binary
            cross-entropy, no probabilities, or ``graph`` or ``graphs`` has other rows than there are samples; when
            ``"roc-auc"`` is to be measured, and there are not two classes.
    """

    name: str
    splits: Mapping[str, Split]
    loss: Loss
    input_shape: tuple[int, ...]
    outputs: int
    graph: NodeGraph | None = None
    graphs: GraphSet | None = None

    def __post_init__(self) -> None:
        if set(self.splits) != set(SPLITS):
            raise DataError(
                f"task {self.name!r} has the wrong splits", expected=", ".join(SPLITS), got=", ".join(self.splits)
            )
        object.__setattr__(self, "splits", {name: self.splits[name] for name in SPLITS})
        object.__setattr__(self, "input_shape", tuple(self.input_shape))
        for name, split in self.splits.items():
            where = f"split {name!r} of task {self.name!r}"
            _check_inputs(where, split, self.input_shape)
            (_check_labels if self.loss.classifies else _check_values)(where, split.y, self.outputs)
            if self.loss.probabilities:
                _check_probabilities(where, split.y)
            if "roc-auc" in self.loss.metrics and self.loss.classifies:
                _check_ranked(where, split.y, self.outputs, held=name != "train")
            for whole in (self.graph, self.graphs):
                if whole is not None and len(whole.rows[name]) != len(split):
                    raise DataError(
                        f"{where} and its graph differ", expected=f"{len(split)} rows", got=len(whole.rows[name])
                    )

    @cached_property
    def key(self) -> str:
        """A hash of name, loss, and the data's bytes: 32 hexadecimal digits, equal in any process, on any device."""
        parts = (self.name, self.loss.name, self.input_shape, self.outputs, *self.loss.more)
        digest = hashlib.blake2b(repr(parts).encode(), digest_size=16)
        tensors = [(name, tensor) for name, split in self.splits.items() for tensor in (split.x, split.y)]
        if self.graph is not None:
            tensors += [("graph", tensor) for tensor in self.graph.tensors()]
        if self.graphs is not None:
            tensors += [("graphs", tensor) for tensor in self.graphs.tensors()]
        for name, tensor in tensors:
            digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
            digest.update(octets(tensor).numpy().data)
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, Task) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"<Task {self.describe()}>"

    def describe(self) -> str:
        """Describe the task in one line: sizes, input shape, outputs and loss."""
        sizes = ", ".join(f"{len(split)} {name}" for name, split in self.splits.items())
        shape = "x".join(map(str, self.input_shape)) or "scalar"
        units = "class" if self.loss.classifies else "output"
        plural = "" if self.outputs == 1 else "es" if self.loss.classifies else "s"
        links = f"; a graph of {len(self.graph)} nodes" if self.graph is not None else ""
        links += f"; graphs of {len(self.graphs.x) / len(self.graphs):.1f} nodes" if self.graphs is not None else ""
        return f"{self.name}: {sizes}; input {shape}; {self.outputs} {units}{plural}; {self.loss.name}{links}"

    def to(self, device: torch.device | str) -> Task:
        """Return the task with its data on ``device``, under the same key."""
        splits = {name: split.to(device) for name, split in self.splits.items()}
        graph = self.graph.to(device) if self.graph is not None else None
        graphs = self.graphs.to(device) if self.graphs is not None else None
        moved = Task(self.name, splits, self.loss, self.input_shape, self.outputs, graph, graphs)
        if "key" in self.__dict__:
            moved.__dict__["key"] = self.key  # spares hashing data that would have to come back from the device
        return moved

    @classmethod
    def from_tensors(
        cls,
        name: str,
        x: Any,  # [N, ...]
        y: Any,  # [N] labels, or values [N] or [N, D, ...]
        *,
        loss: Loss | str,
        splits: Sequence[float] = (0.7, 0.15, 0.15),
        val: tuple[Any, Any] | None = None,
        test: tuple[Any, Any] | None = None,
        seed: int = 0,
        stratify: bool | None = None,
        outputs: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Task:
        """Make a task of your own data: tensors, or anything :func:`torch.as_tensor` takes.

        Args:
            name: what to call it.
            x: inputs, cast to ``dtype``.
            y: whole-number labels, or values, cast to ``dtype``; values ``[N]`` become ``[N, 1]``.
            loss: a loss or its name.
            splits: fractions for train, val and test, which sum to 1. Only the splits that are not given as data are
                drawn from ``x`` and ``y``, in proportion to their fractions.
            val: validation data ``(x, y)``, when they are already apart.
            test: test data ``(x, y)``, when they are already apart.
            seed: chooses which samples go to which split.
            stratify: keep the proportions of the classes in each split; the default is to do so for labels.
            outputs: the number of classes; the default is the largest label plus 1. For values it is ``y.shape[1]``.
            dtype: the floating-point type of the task.

        Raises:
            DataError: when the data are malformed, see :class:`Task`.
            SettingError: when ``splits`` are no fractions, or ``stratify`` is asked for without labels.
            UnknownName: when no loss is called so.

        >>> x = torch.linspace(-1, 1, 20).reshape(20, 1)
        >>> print(Task.from_tensors("parabola", x, x**2, loss="mse").describe())
        parabola: 14 train, 3 val, 3 test; input 1; 1 output; mse
        """
        loss = Loss.named(loss)
        if len(splits) != 3 or not all(0 <= part <= 1 for part in splits) or abs(sum(splits) - 1) > 1e-6:
            raise SettingError(
                "splits are not fractions", expected="three numbers from 0 to 1 that sum to 1", got=repr(splits)
            )
        given = {part: _cast(*data, loss, dtype) for part, data in (("val", val), ("test", test)) if data is not None}
        rest = _cast(x, y, loss, dtype)
        labelled = loss.classifies and rest.y.ndim == 1
        if stratify and not labelled:
            raise SettingError(
                "only labels, one a sample, can be stratified",
                expected="stratify=False",
                got=f"loss {loss.name!r} with targets {list(rest.y.shape)}",
            )
        drawn = [part for part in SPLITS if part not in given]
        counts = _counts(len(rest), [splits[SPLITS.index(part)] for part in drawn])
        labels = rest.y if labelled and stratify is not False else None
        rows = partition(len(rest), counts, seed=derive(seed, "split"), labels=labels)
        if len(drawn) > 1:
            given |= {part: Split(rest.x[index], rest.y[index]) for part, index in zip(drawn, rows, strict=True)}
        else:
            given["train"] = rest  # nothing to draw: the order given is kept
        if outputs is None:
            outputs = _outputs(list(given.values()), loss)
        return cls(name, given, loss, tuple(rest.x.shape[1:]), outputs)

    @classmethod
    def from_dataset(
        cls,
        name: str,
        dataset: Any,
        *,
        loss: Loss | str = "cross-entropy",
        val: Any = None,
        test: Any = None,
        **options: Any,
    ) -> Task:
        """Make a task of a map-style :class:`torch.utils.data.Dataset` of pairs ``(x, y)``, drawn once into memory.

        Args:
            name: what to call it.
            dataset: training data, or all data when ``val`` and ``test`` are not given.
            loss: a loss or its name.
            val: a dataset for validation, when it is already apart.
            test: a dataset for testing, when it is already apart.
            **options: ``splits``, ``seed``, ``stratify``, ``outputs``, ``dtype`` of :meth:`from_tensors`.

        Raises:
            DataError: when a dataset is not map-style, or its samples are no pairs of tensors of one shape.
            SettingError: see :meth:`from_tensors`.

        >>> from torch.utils.data import TensorDataset
        >>> x = torch.linspace(-1, 1, 20).reshape(20, 1)
        >>> data = TensorDataset(x, (x[:, 0] > 0).long())
        >>> print(Task.from_dataset("sign", data, test=data).describe())
        sign: 16 train, 4 val, 20 test; input 1; 2 classes; cross-entropy
        """
        apart = {"val": val, "test": test}
        x, y = stack(dataset, f"the dataset of task {name!r}")
        parts: dict[str, Any] = {
            part: stack(one, f"the {part} dataset of task {name!r}") for part, one in apart.items() if one is not None
        }
        return cls.from_tensors(name, x, y, loss=loss, **parts, **options)

    @classmethod
    def from_graph(
        cls, name: str, data: Any, *, split: int = 0, outputs: int | None = None, metrics: Sequence[str] = ()
    ) -> Task:
        """Make a task of a :class:`torch_geometric.data.Data` whose nodes are to be classified.

        Args:
            name: what to call it.
            data: the graph, with its masks (:meth:`NodeGraph.of`); or a :class:`NodeGraph`.
            split: which column of its masks to take, where there are several.
            outputs: how many classes; by default one more than the greatest label.
            metrics: of predictions, to be measured besides loss, error and accuracy: ``("roc-auc",)`` for two classes.

        Raises:
            DataError: when the graph cannot be used, or a split is empty.

        >>> from types import SimpleNamespace as Data  # has the fields of PyTorch Geometric's
        >>> edges = torch.tensor([[0, 1, 2, 3, 4], [1, 2, 3, 4, 5]])
        >>> data = Data(x=torch.eye(6), y=torch.arange(6) % 2, edge_index=edges)
        >>> data.train_mask, data.val_mask, data.test_mask = (torch.arange(6) // 2 == part for part in range(3))
        >>> print(Task.from_graph("path", data).describe())
        path: 2 train, 2 val, 2 test; input 6; 2 classes; cross-entropy; a graph of 6 nodes
        """
        graph = data if isinstance(data, NodeGraph) else NodeGraph.of(data, split)
        classes = int(graph.y.max()) + 1 if outputs is None else outputs
        loss = Loss("cross-entropy", tuple(metrics))
        return cls(name, graph.splits(), loss, (graph.x.shape[1],), classes, graph=graph)


def _check_inputs(where: str, split: Split, input_shape: tuple[int, ...]) -> None:
    if len(split) == 0:
        raise DataError(f"{where} is empty", expected="at least one sample", got="none")
    if tuple(split.x.shape[1:]) != input_shape:
        raise DataError(
            f"inputs of {where} have the wrong shape", expected=["N", *input_shape], got=list(split.x.shape)
        )
    if not split.x.is_floating_point():
        raise DataError(
            f"inputs of {where} have the wrong type", expected="floating point", got=split.x.dtype, hint="x.float()"
        )
    _check_finite(f"inputs of {where}", split.x)


def _check_labels(where: str, y: Tensor, outputs: int) -> None:
    if y.dtype != torch.int64:
        raise DataError(f"labels of {where} have the wrong type", expected=torch.int64, got=y.dtype, hint="y.long()")
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= outputs:
        raise DataError(
            f"labels of {where} are out of range",
            expected=f"0 to {outputs - 1} ({outputs} classes)",
            got=f"{low} to {high}",
            hint="number the classes from 0" if low >= 0 else None,
        )


def _check_values(where: str, y: Tensor, outputs: int) -> None:
    if not y.is_floating_point():
        raise DataError(f"values of {where} have the wrong type", expected="floating point", got=y.dtype)
    if y.ndim < 2 or y.shape[1] != outputs:
        raise DataError(f"values of {where} have the wrong shape", expected=f"[N, {outputs}, ...]", got=list(y.shape))
    _check_finite(f"values of {where}", y)


def _check_probabilities(where: str, y: Tensor) -> None:
    low, high = float(y.min()), float(y.max())
    if low < 0.0 or high > 1.0:
        raise DataError(f"values of {where} are no probabilities", expected="0 to 1", got=f"{low:g} to {high:g}")


def _check_ranked(where: str, y: Tensor, outputs: int, *, held: bool) -> None:
    """Raise unless there are two classes, and both in a split that is held out: of one there is no ranking."""
    if outputs != 2:
        raise DataError(f"roc-auc of {where} is of two classes", expected="2 classes", got=outputs)
    if held and len(y.unique()) < 2:
        raise DataError(f"roc-auc of {where} is not defined", expected="both classes", got="one")


def _check_finite(what: str, tensor: Tensor) -> None:
    if not all(bool(part.isfinite().all()) for part in tensor.split(_PIECE)):  # in pieces, to spare memory
        wrong = ~tensor.isfinite()
        place = [int(i) for i in wrong.nonzero()[0]]
        raise DataError(
            f"{what} are not finite", expected="numbers", got=f"{int(wrong.sum())} NaN or inf, the first at {place}"
        )


def _cast(x: Any, y: Any, loss: Loss, dtype: torch.dtype) -> Split:
    """Bring inputs and targets to the types and shapes that the loss wants."""
    try:
        x, y = torch.as_tensor(x), torch.as_tensor(y)
    except (TypeError, ValueError, RuntimeError) as cause:
        raise DataError("the data are no tensors", expected="tensors, arrays or nested lists", got=cause) from cause
    if loss.classifies:
        if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
            raise DataError("labels have the wrong type", expected="whole numbers", got=y.dtype, hint="y.long()")
        return Split(x.to(dtype), y.long())
    return Split(x.to(dtype), (y.unsqueeze(1) if y.ndim == 1 else y).to(dtype))


def _counts(samples: int, fractions: Sequence[float]) -> list[int]:
    """Turn fractions, which need not sum to 1, into sizes that add up, by rounding where each part ends."""
    whole = sum(fractions) or 1.0
    ends = [round(samples * sum(fractions[:count]) / whole) for count in range(1, len(fractions))]
    return [end - start for start, end in zip([0, *ends], [*ends, samples], strict=True)]


def _outputs(splits: Sequence[Split], loss: Loss) -> int:
    if loss.classifies:
        return max((int(split.y.max()) + 1 for split in splits if len(split)), default=1)
    return max(split.y.shape[1] for split in splits)
