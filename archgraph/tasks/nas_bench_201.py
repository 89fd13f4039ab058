"""NAS-Bench-201: all 15,625 cells, trained on three data sets of images.

Dong and Yang, *NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search*, ICLR 2020,
arXiv 2001.00326. Latencies on devices are those of Lee et al., *HELP*, NeurIPS 2021.

The table has a validation accuracy after trainings of 12 epochs only, and test accuracies after 200. Who wants to know
how good a method is without looking at test data searches with 12 epochs, and the final report has the test accuracy
after 200. With 200 epochs the test accuracy stands in the place of validation, as in the regret tables of the field:
that is a benchmark for methods, and its best is no honest estimate of anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archgraph.errors import DataError, SettingError, UnknownName
from archgraph.graph import Graph
from archgraph.spaces.nas_bench_201 import OPERATIONS, cell, network, operations
from archgraph.tasks.published import Found
from archgraph.tasks.tabular import Columns, Table, Tabular
from archgraph.tasks.tabular_files import benchmark, read_arrays

PUBLISHED = benchmark("NAS-Bench-201 (accuracies)", "nas_bench_201", accuracy="accuracy.npz")
LATENCIES = benchmark("NAS-Bench-201 (latencies)", "nas_bench_201", latency="latency_ms.npz")
BUDGETS = (12, 200)
CLASSES = {"cifar10": 10, "cifar100": 100, "imagenet16": 120}
SAMPLES = {"cifar10": (25_000, 50_000), "cifar100": (50_000, 50_000), "imagenet16": (151_700, 151_700)}
"""Training samples by budget; the validation accuracy of CIFAR-10 is of a training on half of them."""

PARAMS = {"none": 0, "skip_connect": 0, "nor_conv_1x1": 28_000, "nor_conv_3x3": 243_040, "avg_pool_3x3": 0}
"""Of an operation in all fifteen cells of a network, convolution and batch norm."""
MACS = {"none": 0, "skip_connect": 0, "nor_conv_1x1": 3_932_160, "nor_conv_3x3": 35_389_440, "avg_pool_3x3": 0}
"""Of an operation in all fifteen cells, on an image of 32 x 32 pixels."""
REST_PARAMS, REST_MACS, FEATURES = 72_656, 7_782_400, 64
"""Of the network around the cells, without its classifier, which reads so many features."""


@dataclass(frozen=True, eq=False)
class NASBench201(Table):
    """The table on one data set.

    Args:
        rows: row by the operations of a cell, as a number in base five.
        data: name of the data set.
    """

    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    data: str = "cifar10"

    def row(self, graph: Graph) -> int:
        return int(self.rows[_number([OPERATIONS.index(name) for name in operations(graph)])])

    def network(self, graph: Graph) -> Graph:
        side = 16 if self.data == "imagenet16" else 32
        return network(graph, input_shape=(3, side, side), outputs=CLASSES[self.data])


def nas_bench_201(
    *,
    seed: int = 0,
    data_root: str | Path | None = None,
    data: str = "cifar10",
    epochs: int = 12,
    device: str | None = None,
) -> Tabular:
    """Make the task of finding the best cell of NAS-Bench-201.

    Args:
        seed: not used.
        data_root: the folder of data sets, with ``nas/nas_bench_201/accuracy.npz``.
        data: ``"cifar10"``, ``"cifar100"`` or ``"imagenet16"``.
        epochs: of a usual training: 12, or 200, where the test accuracy stands in the place of validation.
        device: whose latency is a metric: ``"pixel3"``, ``"1080ti_32"`` (on batches of 32), ...; None for no latency.

    Returns:
        The task ``"nas-bench-201"``: ``val.accuracy`` and ``val.error`` after 12 or 200 epochs, ``params`` and ``macs``
        of the whole network, ``latency`` in seconds; ``test.accuracy`` after 200 epochs.

    Raises:
        DataError: when the files are missing or malformed.
        UnknownName: when there is no such data set or device.
        SettingError: when there are no trainings of so many epochs.
    """
    if data not in CLASSES:
        raise UnknownName.among("data set of NAS-Bench-201", data, CLASSES)
    if epochs not in BUDGETS:
        raise SettingError("NAS-Bench-201 has no such trainings", expected="12 or 200 epochs", got=repr(epochs))
    held = PUBLISHED.find(data_root, download=False).read_by(_read)
    known = _sizes(held["ops"], [str(name) for name in held["op_names"]], data)
    if device is not None:
        known["latency"] = _latency(device, data_root)
    test = held[f"{data}_test_acc_200ep"] / 100
    columns = {12: _quality(held[f"{data}_val_acc_12ep"] / 100), 200: _quality(test)}
    table = NASBench201(
        f"NAS-Bench-201 on {data}",
        columns,
        known,
        {"accuracy": test, "error": 1.0 - test},
        dict(zip(BUDGETS, SAMPLES[data], strict=True)),
        held["rows"],
        data,
    )
    return Tabular.of("nas-bench-201", table, epochs=epochs, space="nas-bench-201", example=cell(("nor_conv_3x3",) * 6))


def _quality(accuracy: NDArray[np.float64]) -> Columns:
    return {"val.accuracy": accuracy, "val.error": 1.0 - accuracy}


def _sizes(ops: NDArray[Any], names: list[str], data: str) -> dict[str, NDArray[np.float64]]:
    """Return params and MACs of the networks, which are sums over the edges of the cell."""
    pixels = 0.25 if data == "imagenet16" else 1.0
    params = np.array([PARAMS[name] for name in names], dtype=np.float64)[ops].sum(1)
    macs = np.array([MACS[name] for name in names], dtype=np.float64)[ops].sum(1)
    head = FEATURES * CLASSES[data]
    return {"params": params + REST_PARAMS + head + CLASSES[data], "macs": pixels * (macs + REST_MACS) + head}


def _latency(device: str, data_root: str | Path | None) -> NDArray[np.float64]:
    held = LATENCIES.find(data_root, download=False).read_by(_read_latencies)
    devices = [str(name) for name in held["devices"]]
    if device not in devices:
        raise UnknownName.among("device", device, devices)
    return held["latency"][devices.index(device)] / 1000


def _read(found: Found) -> dict[str, NDArray[Any]]:
    held = read_arrays(found.files["accuracy"], "ops", *(f"{data}_test_acc_200ep" for data in CLASSES))
    names = [str(name) for name in held["op_names"]]
    if sorted(names) != sorted(OPERATIONS) or held["ops"].shape != (15_625, 6):
        raise DataError(f"{found.files['accuracy']} is no table of NAS-Bench-201", expected=OPERATIONS, got=names)
    places = np.array([OPERATIONS.index(name) for name in names])[held["ops"]]  # [A, 6]
    rows = np.full(5**6, -1, dtype=np.int64)
    rows[_number(places.T)] = np.arange(len(places))
    if (rows < 0).any():
        raise DataError(f"{found.files['accuracy']} lacks cells", expected=len(rows), got=int((rows >= 0).sum()))
    return held | {"rows": rows}


def _read_latencies(found: Found) -> dict[str, NDArray[Any]]:
    return read_arrays(found.files["latency"], "devices", "latency")


def _number(places: Any) -> Any:
    """Return operations as a number in base five, the first the highest digit."""
    total: Any = 0
    for place in places:
        total = total * len(OPERATIONS) + np.asarray(place, dtype=np.int64)
    return total
