"""NAS-Bench-Graph: all 26,206 graph networks of four layers, trained on eight graphs of which the nodes are labelled.

Qin et al., *NAS-Bench-Graph: Benchmarking Graph Neural Architecture Search*, NeurIPS 2022, arXiv 2206.09166. Numbers
are means of three trainings; what a training cost is not told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from archgraph.errors import DataError, UnknownName
from archgraph.graph import Graph
from archgraph.spaces.nas_bench_graph import OPERATIONS, operations, sketch
from archgraph.tasks.published import Found
from archgraph.tasks.tabular import Table, Tabular
from archgraph.tasks.tabular_files import benchmark, read_arrays

DATA = ("cora", "citeseer", "pubmed", "cs", "photo", "computers", "arxiv", "proteins")
"""Graphs; on proteins, the only one whose number is an area under the curve, 2,021 architectures were trained."""

WHOLE = 1e6
"""Params are told in millions."""


@dataclass(frozen=True, eq=False)
class NASBenchGraph(Table):
    """The table on one graph.

    Args:
        rows: row by links and names of operations.
    """

    rows: Mapping[tuple[tuple[int, ...], tuple[str, ...]], int] = field(default_factory=dict)

    def row(self, graph: Graph) -> int:
        architecture = operations(graph)
        if architecture not in self.rows:
            raise DataError(f"the table of {self.title} lacks an architecture", got=architecture)
        return self.rows[architecture]


def nas_bench_graph(*, seed: int = 0, data_root: str | Path | None = None, data: str = "cora") -> Tabular:
    """Make the task of finding the best architecture of NAS-Bench-Graph.

    Args:
        seed: not used.
        data_root: the folder of data sets, with ``nas/nas_bench_graph/DATA.npz``.
        data: name of the graph, ``"cora"``, ``"citeseer"``, ``"pubmed"``, ``"cs"``, ``"photo"``, ``"computers"``,
            ``"arxiv"`` or ``"proteins"``.

    Returns:
        The task ``"nas-bench-graph"``: ``val.accuracy`` and ``val.error`` (of proteins, the area under the ROC curve
        and what it lacks of 1), ``params`` and ``latency`` in seconds; ``test.accuracy``.

    Raises:
        DataError: when the file is missing or malformed.
        UnknownName: when there is no such graph.
    """
    if data not in DATA:
        raise UnknownName.among("graph of NAS-Bench-Graph", data, DATA)
    place = benchmark(f"NAS-Bench-Graph on {data}", "nas_bench_graph", table=f"{data}.npz")
    table = place.find(data_root, download=False).read_by(_read)
    return Tabular.of(
        "nas-bench-graph", table, epochs=0, space="nas-bench-graph", example=sketch((0, 1, 2, 3), ("gcn",) * 4)
    )


def _read(found: Found) -> NASBenchGraph:
    path = found.files["table"]
    held = read_arrays(path, "link", "ops", "valid_perf", "test_perf", "params", "latency")
    names = [str(name) for name in held.get("op_names", ())]
    if sorted(names) != sorted(OPERATIONS) or held["link"].shape[1:] != (4,) or held["ops"].shape[1:] != (4,):
        raise DataError(f"{path} is no table of NAS-Bench-Graph", expected=OPERATIONS, got=names)
    links = map(tuple, held["link"].tolist())
    chosen = (tuple(names[op] for op in row) for row in held["ops"].tolist())
    rows = {key: row for row, key in enumerate(zip(links, chosen, strict=True))}
    val, test = (np.asarray(held[name], dtype=np.float64) for name in ("valid_perf", "test_perf"))
    return NASBenchGraph(
        f"NAS-Bench-Graph on {path.stem}",
        {0: {"val.accuracy": val, "val.error": 1.0 - val}},
        {"params": held["params"] * WHOLE, "latency": held["latency"]},
        {"accuracy": test, "error": 1.0 - test},
        {},
        rows,
    )
