"""Shops and authors as graphs: products bought together, and researchers who wrote together.

Features are words of reviews, or of papers, there or not, and every node's are a vector of length one: divided by their
sum instead, those of products, which have 260 words, are so small that 200 epochs of Adam do not fit them, and as zeros
and ones they are so large that its first steps leave ReLU no unit that is alive. What is told is the kind of the
product, or the field of the researcher. 20 nodes of a class are for training and 30 for validation, as in Shchur et
al., *Pitfalls of Graph Neural Network Evaluation*, arXiv 1811.05868, from which the graphs are.
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

from torch import Tensor
from torch.nn import functional

from archgraph.tasks.geometric import form, read
from archgraph.tasks.loss import Loss
from archgraph.tasks.node_graph import NodeGraph, undirected
from archgraph.tasks.node_splits import per_class
from archgraph.tasks.published import Found, Published
from archgraph.tasks.task import Task

SOURCE = "https://github.com/shchur/gnn-benchmark/tree/master/data/npz"

Content = tuple[Tensor, Tensor, Tensor]
"""Features, labels and edges."""


def amazon_photo(*, seed: int = 0, data_root: str | Path | None = None, split: int = 0) -> Task:
    """Make the task of telling eight kinds of photo products, 7,650 nodes with 745 words and 119,081 links.

    Args:
        seed: chooses the nodes for validation, 30 of a class.
        data_root: the folder of data sets; the file lies in ``amazon/Photo/raw``, as PyTorch Geometric has it.
        split: chooses the nodes for testing.

    Returns:
        The task ``"amazon-photo"``: features float32 ``[N, 745]``, each row of length 1, labels int64 ``[N]``,
        cross-entropy, and its graph.

    Raises:
        DataError: when the file is missing or damaged.
        SettingError: when ``split`` is negative.
    """
    return _task("amazon-photo", "Amazon", "Photo", "amazon_electronics_photo.npz", 8, data_root, seed, split)


def amazon_computers(*, seed: int = 0, data_root: str | Path | None = None, split: int = 0) -> Task:
    """Make the task of telling ten kinds of computer products, 13,752 nodes with 767 words and 245,861 links.

    Args and errors are those of :func:`amazon_photo`; the file lies in ``amazon/Computers/raw``.
    """
    file = "amazon_electronics_computers.npz"
    return _task("amazon-computers", "Amazon", "Computers", file, 10, data_root, seed, split)


def coauthor_cs(*, seed: int = 0, data_root: str | Path | None = None, split: int = 0) -> Task:
    """Make the task of telling 15 fields of computer scientists, 18,333 nodes with 6,805 words and 81,894 links.

    Args and errors are those of :func:`amazon_photo`; the file lies in ``coauthor/CS/raw``.
    """
    return _task("coauthor-cs", "Coauthor", "CS", "ms_academic_cs.npz", 15, data_root, seed, split)


def _task(
    name: str, kind: str, title: str, file: str, classes: int, data_root: str | Path | None, seed: int, split: int
) -> Task:
    place = f"{title}/raw"
    published = Published(f"{kind} {title}", (form(kind, place, file),), name, (), SOURCE)
    x, y, edges = published.find(data_root).read_by(_reader(kind, title, place))
    graph = NodeGraph(x, y, edges, per_class(y, split=split, seed=seed))
    return Task(name, graph.splits(), Loss("cross-entropy"), (x.shape[1],), classes, graph=graph)


@cache
def _reader(kind: str, title: str, place: str) -> partial[Content]:
    return partial(_read, kind=kind, title=title, place=place)


def _read(found: Found, *, kind: str, title: str, place: str) -> Content:
    data = read(found, kind, place, name=title)[0]
    return functional.normalize(data.x, dim=1), data.y, undirected(data.edge_index)
