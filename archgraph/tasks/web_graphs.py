"""Web pages of universities and films: graphs in which what is linked is often of different kinds.

Pei et al., *Geom-GCN: Geometric Graph Convolutional Networks*, arXiv 2002.05287, from which the ten splits are. Links
are taken in both directions.
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

from torch import Tensor

from archgraph.tasks.download import Remote
from archgraph.tasks.geometric import form, read
from archgraph.tasks.loss import Loss
from archgraph.tasks.node_graph import NodeGraph, shares, undirected
from archgraph.tasks.node_splits import published as published_split
from archgraph.tasks.published import Found, Published
from archgraph.tasks.split import SPLITS
from archgraph.tasks.task import Task

SOURCE = "https://github.com/graphdml-uiuc-jlu/geom-gcn"
_URL = "https://raw.githubusercontent.com/graphdml-uiuc-jlu/geom-gcn/f1fc0d14b3b019c562737240d06ec83b07d16a8f/"
_NODES, _EDGES = "out1_node_feature_label.txt", "out1_graph_edges.txt"
_HASHES = {
    "texas": (
        "cf5a3ca346cdd1210b8342e22517fcbbdae658065b7a3145f59350e50e6236a3",
        "0fe85183243a78cbee9b85a684f8240963d04d1020d10e9cd2b8cfb25e33b476",
        "7ba77bf7a8856fcc0ab15623a611b8cdce994e820f577da914123fb4f45272b0",
        "21cc244a96e3c51ad7993afb4dd227f90e467d82b964bb42d7d9fc500a6ef87f",
        "b9e96a699ccf3a4c31ffbd03e52b25570889833425d20fa44e06c37b327cf61e",
        "1a7deeb1285009789d5e6045d7e39f7d019c9223d9a75a2b7ce5e26d33b51f63",
        "b5419ff3fe31adcae66fdb085d4f47d0b188e9436ab59f438632af969aafc674",
        "68405fd1b9ff6105d99717220ecbd198785e338bf4a73abee722bbc9703d2667",
        "8ad78b973164e70e5ac0d282e79adcbc6006e373909fbdfd72a13131e09040b8",
        "a84bcbf997365bddf5fdf72ed49dc7e435e475f8c6210f8cdee7c8581a2bd6df",
        "65ba65f296f91d40d2d7d3c9369b67415094a7e254c6eee48cd6d6531c586fdf",
        "4306981d654ad8835c000c1f73fb6c1e60dfe99e26c13a6073f3b0f4cc3ce6ee",
    ),
    "film": (
        "1d5cdd094f8b91e770f6decfca85b35cf42f75d1efb51055fd6af16e11820ff8",
        "997cdce67ea9c29257d3ffe796328391931901cf823830affa453178b60e2c3e",
        "4505a41d4e90abd94d1ec22571ce528b09ad7cf20d87f764aebd4177590767f5",
        "1871b0d24e3977c41e378fd24acc8025b63f86b77739be77a5b558d1287f207d",
        "d26680e911ef3ecc9fc2a26d90c9d35028c63aadd7a5aea774649d1496c282cb",
        "6755ad5f6a0be8594b344af3d2261eed935b83b73c4d70136e1a7beea7f78cb0",
        "328fdca62b25074f21f2922518e042f24b3b8a1fc378f9dfb2cae36439aed902",
        "5b3161a8dc8de4b2e651ebd56d68e768d1377044895b325566117fe26ab81cb7",
        "e251b38abd4d7931b5e9ae5aba99dcdf87f0be283bdf6e65421274a1c9ef1df6",
        "12164ef9f5620a2f12a387f4f2b8636859d42201101d6d32829ade62d5a98326",
        "405cd1f7f631f678119f8bf2405809e86614d532985beb59566fcf95abd35b3f",
        "505691c5d41bb37b20d085415dcdde2e8e68b5bc4e1feb2c0e361308002012bb",
    ),
}
"""Of the nodes, the edges, and the ten splits."""

Content = tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]
"""Features, labels, edges, and masks of the splits."""


def texas(*, seed: int = 0, data_root: str | Path | None = None, download: bool = True, split: int = 0) -> Task:
    """Make the task of telling five kinds of web pages of a university, 87 / 59 / 37 of 183 nodes with 1,703 words.

    Args:
        seed: not used; the splits are published.
        data_root: the folder of data sets; the files lie in ``webkb/texas/raw``, as PyTorch Geometric has them.
        download: whether to download the files when they are missing.
        split: which of the ten splits, from 0.

    Returns:
        The task ``"texas"``: features float32 ``[N, 1703]``, each row with sum 1, labels int64 ``[N]``, cross-entropy,
        and its graph.

    Raises:
        DataError: when the files are missing and cannot be had, or are damaged.
        SettingError: when there is no such split.
    """
    return _task("texas", "WebKB", "texas", "texas/raw", data_root, split, download=download, name="texas")


def actor(*, seed: int = 0, data_root: str | Path | None = None, download: bool = True, split: int = 0) -> Task:
    """Make the task of telling five kinds of actors by words of their pages, 3,648 / 2,432 / 1,520 of 7,600 nodes.

    Args and errors are those of :func:`texas`; features are ``[N, 932]``, and the files lie in ``actor/raw``.
    """
    return _task("actor", "Actor", "film", "raw", data_root, split, download=download)


def _task(
    title: str,
    kind: str,
    stem: str,
    place: str,
    data_root: str | Path | None,
    split: int,
    *,
    download: bool,
    **options: Any,
) -> Task:
    names = (_NODES, _EDGES, *(f"{stem}_split_0.6_0.2_{number}.npz" for number in range(10)))
    remotes = tuple(
        Remote(name, f"{_URL}{'splits/' if name.endswith('.npz') else f'new_data/{stem}/'}{name}", f"sha256:{digest}")
        for name, digest in zip(names, _HASHES[stem], strict=True)
    )
    files = form(kind, place, *names)
    published = Published(title, (files,), files.folders[0], remotes, SOURCE)
    reader = _reader(kind, place, tuple(options.items()))
    x, y, edges, masks = published.find(data_root, download=download).read_by(reader)
    graph = NodeGraph(x, y, edges, published_split(masks, split))
    return Task(title, graph.splits(), Loss("cross-entropy"), (x.shape[1],), 5, graph=graph)


@cache
def _reader(kind: str, place: str, options: tuple[tuple[str, Any], ...]) -> partial[Content]:
    return partial(_read, kind=kind, place=place, options=options)


def _read(found: Found, *, kind: str, place: str, options: tuple[tuple[str, Any], ...]) -> Content:
    data = read(found, kind, place, **dict(options))[0]
    masks = {name: data[f"{name}_mask"] for name in SPLITS}
    return shares(data.x), data.y, undirected(data.edge_index), masks
