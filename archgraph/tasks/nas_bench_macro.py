"""NAS-Bench-Macro: all 6,561 networks of eight layers, trained on CIFAR-10.

Su et al., *Prioritized Architecture Sampling with Monto-Carlo Tree Search*, CVPR 2021, arXiv 2103.11922. The table has
test accuracies of three trainings and nothing else, so their mean stands in the place of validation as well: it is a
benchmark for methods, and its best is no honest estimate of anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from archgraph.errors import DataError
from archgraph.graph import Graph
from archgraph.spaces.nas_bench_macro import network, operations, sketch
from archgraph.tasks.published import Found
from archgraph.tasks.tabular import Table, Tabular
from archgraph.tasks.tabular_files import benchmark, read_json

PUBLISHED = benchmark("NAS-Bench-Macro", "nas_bench_macro", table="nas-bench-macro_cifar10.json.gz")
EPOCHS, SAMPLES = 50, 50_000
"""Of every training, by the paper."""


@dataclass(frozen=True, eq=False)
class NASBenchMacro(Table):
    """The table.

    Args:
        rows: row by the digits of the layers.
    """

    rows: Mapping[tuple[int, ...], int] = field(default_factory=dict)

    def row(self, graph: Graph) -> int:
        return self.rows[operations(graph)]

    def network(self, graph: Graph) -> Graph:
        return network(graph)


def nas_bench_macro(*, seed: int = 0, data_root: str | Path | None = None) -> Tabular:
    """Make the task of finding the best network of NAS-Bench-Macro.

    Args:
        seed: not used.
        data_root: the folder of data sets, with ``nas/nas_bench_macro/nas-bench-macro_cifar10.json.gz``.

    Returns:
        The task ``"nas-bench-macro"``: ``val.accuracy`` and ``val.error`` (of the test split, see above), ``params``
        and ``macs``.

    Raises:
        DataError: when the file is missing or malformed.
    """
    table = PUBLISHED.find(data_root, download=False).read_by(_read)
    return Tabular.of("nas-bench-macro", table, epochs=EPOCHS, space="nas-bench-macro", example=sketch((1,) * 8))


def _read(found: Found) -> NASBenchMacro:
    path = found.files["table"]
    held = read_json(path)
    try:
        rows = {tuple(map(int, key)): row for row, key in enumerate(held)}
        columns = {name: _column(held, name) for name in ("mean_acc", "params", "flops")}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} is no table of NAS-Bench-Macro: {error}", expected="mean_acc, params, flops"
        ) from error
    if len(rows) != 3**8 or any(len(key) != 8 or not set(key) <= {0, 1, 2} for key in rows):
        raise DataError(f"{path} lacks networks", expected=3**8, got=len(rows))
    accuracy = columns["mean_acc"] / 100
    return NASBenchMacro(
        "NAS-Bench-Macro",
        {EPOCHS: {"val.accuracy": accuracy, "val.error": 1.0 - accuracy}},
        {"params": columns["params"], "macs": columns["flops"]},
        {"accuracy": accuracy, "error": 1.0 - accuracy},
        {EPOCHS: SAMPLES},
        rows,
    )


def _column(held: Mapping[str, Any], name: str) -> np.ndarray:  # [A]
    return np.array([float(entry[name]) for entry in held.values()])
