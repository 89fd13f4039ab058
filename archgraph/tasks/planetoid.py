"""The Planetoid files of the citation graphs, and the public split.

Yang, Cohen, Salakhutdinov, *Revisiting Semi-Supervised Learning with Graph Embeddings*, arXiv 1603.08861.

Letters: ``N`` nodes, ``D`` features, ``T`` classes, ``E`` directed edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from archgraph.tasks.download import Remote
from archgraph.tasks.node_graph import UNKNOWN, NodeGraph, shares
from archgraph.tasks.published import Form, Found, Published
from archgraph.tasks.reading import reading
from archgraph.tasks.unpickling import unpickle

VALIDATION = 500
"""Nodes of the public split for validation, which follow those for training."""

LARGEST = 2**32
"""Features in all, above which a file is taken for damaged."""

_URL = "https://raw.githubusercontent.com/kimiyoung/planetoid/af6abf468a772cc055bec88c52e4d6f51b7c37e3/data/"
_HASHES = {
    "cora": {
        "y": "94465c14eb53e04ca262198dcbb2521ee8af60fb3f3d546cd6ca24a511b0e7d1",
        "tx": "b9afbaa4a400df991f6f02ef677e1e44da55ffc04801fd02f9e673987829226a",
        "ty": "41f5ac76596a1699cc33f53084a2419e92961c42bb75f36fc38e616d348532ad",
        "allx": "9419ba2f26f5c35243db64aba110e0f35a04851609e0dc5433450676ca6b8543",
        "ally": "2b998f5cc7fedc86e7f97ca2498f47a1ffc1462c29e2d578b23bf3f62b6e7d71",
        "graph": "58f13302f39dde8852dad6fe6d15b89b077b6d7f837626bce671ef80344b383d",
        "test.index": "297ce89af2b51a6a194181c7dbe1796c6a1cf9cd9349a88383b1b1e227867875",
    },
    "citeseer": {
        "y": "8ba87e515d8e3ee3cf52f6d2c5b86aa73f11ecad825a808455209ec26cd54924",
        "tx": "539a8906a2da97628d212f2fdd668c109a8b3f0d36574b59e5d3fd5b5303da21",
        "ty": "55e5bd1ba1e733a04598753ad1a8d57957f4b8f89e74519f41f4f4938767e4ce",
        "allx": "2ac30345d95c9ec933a817ee0bdd6a5f077f8c184a20e696910192d534414668",
        "ally": "f704b2d986dde6c2669934de1f3ae5696a6cf9455c0f6b2646a2d135ea0a1c95",
        "graph": "d79a4ef9d3e7169aee8946145f6b7306e35bc79bffad26346cfb94e10e9912a7",
        "test.index": "2af990671580b6b2df5d158d1038f8292e30c9cd821b5453f399659b25b723d4",
    },
    "pubmed": {
        "y": "e6c807633307a07ed659249006536a147c7999c797f11a2560752990181b41b3",
        "tx": "4eb5f5d0f30f26497eb0ac6ac9719d09c67e284f1ed0385c93f3ef27a671da3d",
        "ty": "ee2e0d4819d9fbcc403689c3bf2e49face401b605932f093bc58ab6461130fdd",
        "allx": "508e538e2abdccdd54c4d3e9f49d638b4af7107d85845f66ddea5a5152658b7e",
        "ally": "0c37bbe3b5014ec365e9d393cf4791925e5ed94fb194305d74f064a8d7b50f0e",
        "graph": "5b89f0036ca22909471f1e6558eb42fa06e0c730a577bde5b058b40638f81dc9",
        "test.index": "b101d421688bbaecbd82e8a18f1e282378d6830f3a37666f28ebc47f844341b5",
    },
}


def published(title: str) -> Published:
    """Describe where a citation graph is found, by its title: ``"Cora"``, ``"CiteSeer"`` or ``"PubMed"``."""
    name = title.lower()
    above = [f"{root}{one}" for root in ("", "planetoid/", "Planetoid/") for one in (title, name)]
    folders = [f"{folder}{end}" for folder in above for end in ("/raw", "")]
    files = {part: f"ind.{name}.{part}" for part in _HASHES[name]}
    form = Form("planetoid", (*folders, "planetoid/data", "planetoid"), {part: (one,) for part, one in files.items()})
    remotes = tuple(Remote(one, f"{_URL}{one}", f"sha256:{_HASHES[name][part]}") for part, one in files.items())
    return Published(title, (form,), f"{title}/raw", remotes)


def read_graph(found: Found) -> NodeGraph:
    """Read the files into one graph with the public split.

    Nodes ``0 .. len(allx) - 1`` come first; the rows of ``tx`` are those that ``test.index`` names. Numbers between
    that it leaves out (15 nodes of CiteSeer) are nodes without features or label. Training nodes are the first
    ``len(y)``, validation nodes the 500 after, test nodes those of ``test.index``. Links are taken in both directions,
    once each, without loops. Each node's features are divided by their sum.

    Raises:
        DataError: when a file is damaged or they do not go together.
    """
    files = found.files
    first, rest = (_features(files[name]) for name in ("allx", "tx"))
    known, tested, labelled = (_classes(files[name]) for name in ("ally", "ty", "y"))
    index = _index(files["test.index"])
    with reading(files["tx"], "features and labels of one size"):
        if first.shape[1] != rest.shape[1] or (len(known), len(tested)) != (first.shape[0], rest.shape[0]):
            shapes = ", ".join(str(one.shape) for one in (first, known, rest, tested))
            raise ValueError(f"allx, ally, tx, ty of {shapes}")
    with reading(files["test.index"], f"{rest.shape[0]} different nodes of {first.shape[0]} and more"):
        if len(index) != rest.shape[0] or len(np.unique(index)) != len(index) or index.min() < first.shape[0]:
            raise ValueError(f"{len(index)} numbers")
        nodes = int(index.max()) + 1
        if nodes > 2 * (first.shape[0] + len(index)) or nodes * first.shape[1] > LARGEST:
            raise ValueError(f"node {nodes - 1}")
        x = np.zeros((nodes, first.shape[1]), np.float32)
        y = np.full(nodes, UNKNOWN, np.int64)
        x[: len(known)], x[index] = first.toarray(), rest.toarray()
        y[: len(known)], y[index] = known, tested
    with reading(files["y"], f"labels of fewer than {len(known) - VALIDATION} nodes"):
        if not 0 < len(labelled) <= len(known) - VALIDATION or (labelled != known[: len(labelled)]).any():
            raise ValueError(f"{len(labelled)} labels, or others than ally has")
    edges = _edges(files["graph"], nodes)
    rows = {
        "train": torch.arange(len(labelled)),
        "val": torch.arange(len(labelled), len(labelled) + VALIDATION),
        "test": torch.from_numpy(np.sort(index)),
    }
    return NodeGraph(shares(torch.from_numpy(x)), torch.from_numpy(y), edges, rows)


def _read(path: Path) -> Any:
    with reading(path, "a pickle"):
        content = path.read_bytes()
    return unpickle(content, path)


def _features(path: Path) -> scipy.sparse.csr_matrix:
    found = _read(path)
    with reading(path, "a sparse matrix [N, D] of finite numbers"):
        if not scipy.sparse.issparse(found) or found.shape[0] * found.shape[1] > LARGEST:
            raise ValueError(f"a {type(found).__name__} of {getattr(found, 'shape', 'no shape')}")
        if not np.isfinite(found.data).all():
            raise ValueError("numbers that are not finite")
    return found


def _classes(path: Path) -> np.ndarray:  # [N] int64
    """Read rows of zeros with a one at the class."""
    found = _read(path)
    with reading(path, "an array [N, T] with a one in each row"):
        if found.ndim != 2 or not ((found == 0) | (found == 1)).all() or (found.sum(1) > 1).any():
            raise ValueError(f"an array of {found.shape}")
        return np.where(found.any(1), found.argmax(1), UNKNOWN).astype(np.int64)


def _index(path: Path) -> np.ndarray:  # [N] int64
    with reading(path, "whole numbers, one a line"):
        index = np.array([int(line) for line in path.read_text(encoding="ascii").split()], np.int64)
        if not index.size or index.min() < 0:
            raise ValueError("no numbers, or a negative one")
        return index


def _edges(path: Path, nodes: int) -> Tensor:  # [2, E]
    found: Mapping[int, list[int]] = _read(path)
    with reading(path, f"a dict of lists of nodes 0 to {nodes - 1}"):
        pairs = np.array([(one, other) for one, others in found.items() for other in others], np.int64).reshape(-1, 2)
        if pairs.size and not 0 <= pairs.min() <= pairs.max() < nodes:
            raise ValueError(f"nodes {pairs.min()} to {pairs.max()}")
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    both = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
    return torch.from_numpy(np.ascontiguousarray(both.T))
