"""Citation graphs: papers by their words, linked by who cites whom, to be told apart by subject.

A sample is a paper, its features the words in it, so that a network of linear layers is the usual baseline that does
not look at links. ``task.graph`` has what a network that does look at them needs: the features of all papers, the links
and the rows of each split. The usual split is the public one and the same for every seed: few labels for training, 500
papers for validation, 1,000 for testing; others go by name.

Sen et al., *Collective Classification in Network Data*, AI Magazine 29 (2008); the split is that of arXiv 1603.08861.
"""

from __future__ import annotations

from pathlib import Path

from archgraph.tasks.citation_splits import resplit
from archgraph.tasks.loss import Loss
from archgraph.tasks.planetoid import published, read_graph
from archgraph.tasks.task import Task


def cora(
    *,
    seed: int = 0,
    data_root: str | Path | None = None,
    download: bool = True,
    split: str = "public",
    number: int = 0,
) -> Task:
    """Make the task of telling seven subjects of papers in the citation graph Cora, 140 / 500 / 1,000 of 2,708 nodes.

    Args:
        seed: of ``split="random"``, which papers are for training; the other splits are the same for every seed.
        data_root: the folder of data sets; the files lie in ``Cora/raw`` or ``planetoid/Cora/raw``, as PyTorch
            Geometric has them, or in a copy of the repository ``planetoid``.
        download: whether to download the files when they are missing.
        split: ``"public"``, ``"full"``, ``"complete"`` or ``"random"`` (:mod:`archgraph.tasks.citation_splits`).
        number: of ``split="random"``, which papers are for testing.

    Returns:
        The task ``"cora"``: inputs float32 ``[N, 1433]``, each row with sum 1, labels int64 ``[N]``, cross-entropy.

    Raises:
        DataError: when the files are missing and cannot be had, or are damaged.
        SettingError: when there is no such split.
    """
    return _citations("Cora", 7, data_root, split, number=number, seed=seed, download=download)


def citeseer(
    *,
    seed: int = 0,
    data_root: str | Path | None = None,
    download: bool = True,
    split: str = "public",
    number: int = 0,
) -> Task:
    """Make the task of telling six subjects of papers in the citation graph CiteSeer, 120 / 500 / 1,000 of 3,327 nodes.

    Args and errors are those of :func:`cora`; inputs are ``[N, 3703]``. Fifteen nodes have neither words nor label.
    """
    return _citations("CiteSeer", 6, data_root, split, number=number, seed=seed, download=download)


def pubmed(
    *,
    seed: int = 0,
    data_root: str | Path | None = None,
    download: bool = True,
    split: str = "public",
    number: int = 0,
) -> Task:
    """Make the task of telling three subjects of papers in the citation graph PubMed, 60 / 500 / 1,000 of 19,717 nodes.

    Args and errors are those of :func:`cora`; inputs are ``[N, 500]``, the weights of words in place of their presence.
    """
    return _citations("PubMed", 3, data_root, split, number=number, seed=seed, download=download)


def _citations(
    title: str, classes: int, data_root: str | Path | None, split: str, *, number: int, seed: int, download: bool
) -> Task:
    whole = published(title).find(data_root, download=download).read_by(read_graph)
    graph = resplit(whole, split, number=number, seed=seed)
    return Task(title.lower(), graph.splits(), Loss("cross-entropy"), (graph.x.shape[1],), classes, graph=graph)
