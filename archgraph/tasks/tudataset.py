"""Molecules and proteins as graphs, each to be told apart as a whole, in ten folds.

Morris et al., *TUDataset: A collection of benchmark datasets for learning with graphs*, arXiv 2007.08663. A sample is a
graph, its features are the mean of those of its nodes, so that a network of linear layers is the baseline that does not
look at edges. ``task.graphs`` has what a network that does look at them needs.
"""

from __future__ import annotations

from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from archgraph.errors import SettingError
from archgraph.rng import derive
from archgraph.tasks.geometric import form, read
from archgraph.tasks.graph_set import GraphSet
from archgraph.tasks.loss import Loss
from archgraph.tasks.published import Found, Published
from archgraph.tasks.split import partition
from archgraph.tasks.task import Task

FOLDS = 10
SOURCE = "https://www.chrsmrrs.com/graphkerneldatasets/"

Content = tuple[Tensor, Tensor, Tensor, Tensor]
"""Features and membership of nodes, edges, labels of graphs."""


def mutag(*, seed: int = 0, data_root: str | Path | None = None, fold: int = 0) -> Task:
    """Make the task of telling which of 188 molecules are mutagenic; 63 are not. A node is one of seven elements.

    Args:
        seed: chooses the graphs for validation, a tenth of all.
        data_root: the folder of data sets; the files lie in ``tudataset/MUTAG/raw``, as PyTorch Geometric has them.
        fold: which tenth of the graphs is for testing, from 0; folds hold the classes in proportion.

    Returns:
        The task ``"mutag"``: features float32 ``[G, 7]``, labels int64 ``[G]``, cross-entropy, and its graphs.

    Raises:
        DataError: when the files are missing or damaged.
        SettingError: when there is no such fold.
    """
    return _task("MUTAG", 2, data_root, seed, fold)


def proteins(
    *,
    seed: int = 0,
    data_root: str | Path | None = None,
    fold: int = 0,
    attributes: bool = False,
) -> Task:
    """Make the task of telling which of 1,113 proteins are enzymes. A node is an element of one of three structures.

    Args:
        seed: chooses the graphs for validation, a tenth of all.
        data_root: the folder of data sets; the files lie in ``tudataset/PROTEINS/raw``.
        fold: which tenth of the graphs is for testing, from 0.
        attributes: whether nodes have their measured attribute too, scaled by those of the graphs for training.

    Returns:
        The task ``"proteins"``: features float32 ``[G, 3]``, labels int64 ``[G]``, cross-entropy, and its graphs.

    Raises:
        DataError: when the files are missing or damaged.
        SettingError: when there is no such fold.
    """
    return _task("PROTEINS", 2, data_root, seed, fold, attributes=attributes, measured=1)


def enzymes(
    *,
    seed: int = 0,
    data_root: str | Path | None = None,
    fold: int = 0,
    attributes: bool = False,
) -> Task:
    """Make the task of telling six classes of 600 enzymes; a node has a structure and, measured, 18 attributes.

    Args and errors are those of :func:`proteins`; the files lie in ``tudataset/ENZYMES/raw``.
    """
    return _task("ENZYMES", 6, data_root, seed, fold, attributes=attributes, measured=18)


def _task(
    title: str,
    classes: int,
    data_root: str | Path | None,
    seed: int,
    fold: int,
    *,
    attributes: bool = False,
    measured: int = 0,
) -> Task:
    parts = ("A", "graph_indicator", "graph_labels", "node_labels", *(("node_attributes",) if measured else ()))
    place = f"{title}/raw"
    files = form("TUDataset", place, *(f"{title}_{part}.txt" for part in parts))
    found = Published(title, (files,), title, (), SOURCE).find(data_root)
    x, membership, edges, y = found.read_by(_reader(title, place))
    rows = folds(y, fold=fold, seed=seed)
    if attributes:
        x = torch.cat([_scaled(x[:, :measured], torch.isin(membership, rows["train"])), x[:, measured:]], dim=1)
    else:
        x = x[:, measured:]
    graphs = GraphSet(x, y, edges, membership, rows)
    return Task(title.lower(), graphs.splits(), Loss("cross-entropy"), (x.shape[1],), classes, graphs=graphs)


def folds(y: Tensor, *, fold: int, seed: int) -> dict[str, Tensor]:
    """Deal samples into ten folds that hold the classes in proportion.

    Args:
        y: labels ``[G]``.
        fold: which is for testing.
        seed: which of the others are for validation, as many as in a fold.

    Raises:
        SettingError: when there is no such fold.
    """
    if isinstance(fold, bool) or not 0 <= fold < FOLDS:
        raise SettingError("there is no such fold", expected=f"0 to {FOLDS - 1}", got=fold)
    ends = [round(len(y) * number / FOLDS) for number in range(FOLDS + 1)]
    sizes = [end - start for start, end in pairwise(ends)]
    parts = partition(len(y), sizes, seed=derive(0, "folds"), labels=y)
    rest = torch.cat([part for number, part in enumerate(parts) if number != fold])
    held = sizes[fold]
    train, val = partition(len(rest), (len(rest) - held, held), seed=derive(seed, "folds", fold), labels=y[rest])
    return {"train": rest[train], "val": rest[val], "test": parts[fold]}


def _scaled(x: Tensor, known: Tensor) -> Tensor:  # [N, D], [N] bool
    """Centre and scale features by those of the nodes that are known."""
    own = x[known].double()
    return ((x.double() - own.mean(0)) / own.std(0).clamp(min=1e-6)).to(x.dtype)


@cache
def _reader(title: str, place: str) -> partial[Content]:
    return partial(_read, title=title, place=place)


def _read(found: Found, *, title: str, place: str) -> Content:
    data = read(found, "TUDataset", place, name=title, use_node_attr=True)
    nodes = data.slices["x"]
    sizes, before = nodes.diff(), nodes[:-1]
    membership = torch.arange(len(sizes)).repeat_interleave(sizes)
    counts = data.slices["edge_index"].diff()
    edges = data._data.edge_index + before.repeat_interleave(counts)
    return data._data.x, membership, edges, data._data.y
