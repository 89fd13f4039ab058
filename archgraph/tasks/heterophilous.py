"""Graphs in which neighbours are mostly of different classes: a minefield, encyclopedia pages, a university's pages.

Platonov et al., *A Critical Look at the Evaluation of GNNs under Heterophily*, arXiv 2302.11640, with ten splits.
Chameleon and Squirrel are without the nodes that the original has twice, which leaked from training to testing.
Features are as they were published, and links are taken in both directions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from archgraph.tasks.download import Remote
from archgraph.tasks.geometric import form, read
from archgraph.tasks.loss import Loss
from archgraph.tasks.node_graph import NodeGraph, undirected
from archgraph.tasks.node_splits import published as published_split
from archgraph.tasks.published import Form, Found, Published
from archgraph.tasks.reading import reading
from archgraph.tasks.split import SPLITS
from archgraph.tasks.task import Task

SOURCE = "https://github.com/yandex-research/heterophilous-graphs"
_URL = "https://raw.githubusercontent.com/yandex-research/heterophilous-graphs/a431395582e929d88271309716bea4fe24ce6318"
_HASHES = {
    "minesweeper": "e664c8dacf1e8ac466c2c09ed4b237bd2c5541f47a6eae9c6092cb87f16412b3",
    "chameleon_filtered": "bf46f07e1fb5249280447e5fe3100f3e82fc4b93ad1e13ffcfdec924b6ac0bb5",
    "squirrel_filtered": "f06370ffb3116c5de8b7a600005400b2293c025e0ce2f6916d8201a825505ac7",
    "cornell": "684c54ba3daa13b0ba1f04a3d6dd1b1175c1ae9bdeb982851fd4ff96d3aac298",
}
_PLACE = "minesweeper/raw"
RANKED = {"minesweeper": ("roc-auc",)}
"""Tasks with a metric besides error and accuracy."""

Content = tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]
"""Features, labels, edges, and masks of the splits."""


def minesweeper(*, seed: int = 0, data_root: str | Path | None = None, download: bool = True, split: int = 0) -> Task:
    """Make the task of finding mines in a field, 5,000 / 2,500 / 2,500 of 10,000 nodes; a fifth of them are mines.

    Features say how many neighbours are mines, where that is known, and otherwise that it is not. As four fifths are no
    mines, ``"roc-auc"`` is measured too, the metric of the paper.

    Args:
        seed: not used; the splits are published.
        data_root: the folder of data sets; the file lies in ``heterophilous/minesweeper/raw``, as PyTorch Geometric has
            it.
        download: whether to download the file when it is missing.
        split: which of the ten splits, from 0.

    Returns:
        The task ``"minesweeper"``: features float32 ``[N, 7]``, labels int64 ``[N]``, cross-entropy, and its graph.

    Raises:
        DataError: when the file is missing and cannot be had, or is damaged.
        SettingError: when there is no such split.
    """
    files = form("heterophilous", _PLACE, "minesweeper.npz")
    return _task("minesweeper", files, _read_minesweeper, 2, data_root, split, download=download)


def chameleon_filtered(
    *, seed: int = 0, data_root: str | Path | None = None, download: bool = True, split: int = 0
) -> Task:
    """Make the task of telling how much pages about chameleons are read, in five steps, 890 nodes with 2,325 words.

    Args and errors are those of :func:`minesweeper`; the file ``chameleon_filtered.npz`` lies in ``heterophilous``.
    """
    return _table("chameleon_filtered", data_root, split, download=download)


def squirrel_filtered(
    *, seed: int = 0, data_root: str | Path | None = None, download: bool = True, split: int = 0
) -> Task:
    """Make the task of telling how much pages about squirrels are read, in five steps, 2,223 nodes with 2,089 words.

    Args and errors are those of :func:`chameleon_filtered`.
    """
    return _table("squirrel_filtered", data_root, split, download=download)


def cornell(*, seed: int = 0, data_root: str | Path | None = None, download: bool = True, split: int = 0) -> Task:
    """Make the task of telling five kinds of web pages of a university, 87 / 59 / 37 of 183 nodes with 1,703 words.

    Args and errors are those of :func:`chameleon_filtered`. The files of Geom-GCN that are called so hold the nodes of
    ``texas``; these hold Cornell's own.
    """
    return _table("cornell", data_root, split, download=download)


def _table(name: str, data_root: str | Path | None, split: int, *, download: bool) -> Task:
    file = f"{name}.npz"
    files = Form("npz", ("heterophilous", "heterophilous/data", f"heterophilous/{name}/raw", "."), {file: (file,)})
    return _task(name, files, _read_arrays, 5, data_root, split, download=download)


def _task(
    name: str,
    files: Form,
    reader: Callable[[Found], Content],
    classes: int,
    data_root: str | Path | None,
    split: int,
    *,
    download: bool,
) -> Task:
    remote = Remote(f"{name}.npz", f"{_URL}/data/{name}.npz", f"sha256:{_HASHES[name]}")
    found = Published(name, (files,), files.folders[0], (remote,), SOURCE).find(data_root, download=download)
    x, y, edges, masks = found.read_by(reader)
    graph = NodeGraph(x, y, edges, published_split(masks, split))
    title = name.replace("_", "-")
    loss = Loss("cross-entropy", RANKED.get(name, ()))
    return Task(title, graph.splits(), loss, (x.shape[1],), classes, graph=graph)


def _read_minesweeper(found: Found) -> Content:
    data = read(found, "HeterophilousGraphDataset", _PLACE, name="Minesweeper")[0]
    masks = {name: data[f"{name}_mask"] for name in SPLITS}
    return data.x.float(), data.y.long(), undirected(data.edge_index.long()), masks


def _read_arrays(found: Found) -> Content:
    (path,) = found.files.values()
    with reading(
        path, "arrays node_features [N, D], node_labels [N], edges [E, 2] and train, val and test_masks [S, N]"
    ):
        with np.load(path, allow_pickle=False) as held:
            x, y, edges = (torch.from_numpy(held[key]) for key in ("node_features", "node_labels", "edges"))
            masks = {name: torch.from_numpy(held[f"{name}_masks"]).bool().T for name in SPLITS}
        if x.ndim != 2 or y.shape != x.shape[:1] or edges.ndim != 2 or edges.shape[1] != 2:
            raise ValueError(f"arrays of {tuple(x.shape)}, {tuple(y.shape)} and {tuple(edges.shape)}")
        if any(len(mask) != len(x) for mask in masks.values()):
            raise ValueError("masks of another number of nodes")
        return x.float(), y.long(), undirected(edges.T.long()), masks
