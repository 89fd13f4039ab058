"""Latency looked up: every op with its shapes is measured once on a device, and a graph costs the sum of its nodes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from archgraph.errors import DataError, SettingError, StorageError
from archgraph.files import write
from archgraph.graph import Graph
from archgraph.metrics.footprint import Source, float_type
from archgraph.metrics.graph_batch import degree, example, size
from archgraph.metrics.latency import Latency, time_calls
from archgraph.metrics.memory import footprints

FORMAT = "archgraph latency table 1"


@dataclass(frozen=True, eq=False, repr=False)
class LatencyTable:
    """Measured latencies of ops on one device, under one set of conditions.

    The sum over nodes leaves out what a device does for several ops at once and adds what calling an op alone costs; it
    ranks architectures where measuring each would take too long, or the device is not at hand.

    Args:
        device: where the ops ran, ``"cpu"`` or ``"cuda"``.
        dtype: floating-point type of weights and activations.
        batch_size: number of samples.
        threads: of torch.
        about: machine and version of torch, for people.
        entries: latencies by op and shapes, as :meth:`key` writes them.
    """

    device: str = "cpu"
    dtype: str = "float32"
    batch_size: int = 1
    threads: int = 1
    about: str = ""
    entries: Mapping[str, Latency] = field(default_factory=dict)

    @staticmethod
    def key(op: object, sources: Iterable[Source]) -> str:
        """Return the text under which an op stands: ``"Linear(5) on Shape((3,))"``."""
        shown = [
            repr(source.shape) if source.dtype.is_floating_point else f"{source.shape!r} of {source.dtype}"
            for source in sources
        ]
        return f"{op!r} on {', '.join(shown)}"

    def covering(self, *graphs: Graph, warmup: int = 3, repeats: int = 20) -> Self:
        """Return a table that has all ops of some graphs; what is missing is measured here, each op once.

        Args:
            graphs: the architectures.
            warmup: runs of an op that are not timed.
            repeats: runs that are.

        Raises:
            SettingError: when a number or the type makes no sense.
        """
        entries = dict(self.entries)
        for graph in graphs:
            for name, (key, sources) in self._keys(graph).items():
                if key not in entries:
                    call = self._call(graph.op(name), sources)
                    entries[key] = time_calls(
                        call, device=self.device, threads=self.threads, warmup=warmup, repeats=repeats
                    )
        return replace(self, entries=entries, about=self.about or f"torch {torch.__version__}, {_machine(self.device)}")

    def by_node(self, graph: Graph) -> dict[str, float]:
        """Return the latency of every node of a graph in seconds; inputs cost nothing.

        Raises:
            DataError: when an op is not in the table.
        """
        keys = self._keys(graph)
        missing = list(dict.fromkeys(key for key, _ in keys.values() if key not in self.entries))
        if missing:
            raise DataError(
                f"the latency table does not have {len(missing)} of the graph's ops",
                hint="table.covering(graph) measures them on this machine",
                place="\n".join(missing[:5]),
            )
        return {name: self.entries[keys[name][0]].median if name in keys else 0.0 for name in graph.nodes}

    def estimate(self, graph: Graph) -> float:
        """Return the latency of a forward pass in seconds, as the sum over nodes; errors as :meth:`by_node`."""
        return math.fsum(self.by_node(graph).values())

    def save(self, path: str | Path) -> None:
        """Write the table as JSON.

        Raises:
            StorageError: when it cannot be written.
        """
        content = {"format": FORMAT} | asdict(self)
        try:
            write(Path(path), (json.dumps(content, indent=1) + "\n").encode())
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror or error}") from error

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a table that :meth:`save` wrote.

        Raises:
            StorageError: when it cannot be read.
            DataError: when it is no latency table, or is cut short.
        """
        try:
            return cls._read(json.loads(Path(path).read_text(encoding="utf-8")))
        except OSError as error:
            raise StorageError(f"cannot read a latency table from {path}: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path} is no latency table",
                expected=f"JSON of format {FORMAT!r}",
                got=f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}",
            ) from error

    @classmethod
    def _read(cls, content: Any) -> Self:
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']!r}")
        entries = {}
        for key, one in content["entries"].items():
            entries[str(key)] = found = Latency(float(one["median"]), float(one["spread"]), int(one["runs"]))
            if not (0 <= found.median < math.inf and 0 <= found.spread < math.inf):
                raise ValueError(f"no time of {key}: {one}")
        whole = {name: int(content[name]) for name in ("batch_size", "threads")}
        texts = {name: str(content[name]) for name in ("device", "dtype", "about")}
        return cls(**whole, **texts, entries=entries)  # type: ignore[arg-type]

    def _keys(self, graph: Graph) -> dict[str, tuple[str, tuple[Source, ...]]]:
        """Return by node, but for inputs, its key and what it reads."""
        prints = footprints(graph, self.batch_size, dtype=self.dtype)
        result = {}
        for node in graph:
            if node.inputs:
                sources = tuple(Source(graph.shape(name), prints[name].dtype) for name in node.inputs)
                result[node.name] = (self.key(node.op, sources), sources)
        return result

    def _call(self, op: Any, sources: tuple[Source, ...]) -> Callable[[], Any]:
        shapes = tuple(source.shape for source in sources)
        with torch.random.fork_rng(devices=[]):
            layer = op.module(*shapes)
            inputs = tuple(self._batch(source, degree(shapes)) for source in sources)
        if layer is None:
            return torch.no_grad()(lambda: op.forward(inputs, shapes))
        layer = layer.to(self.device, float_type(self.dtype)).eval()
        return torch.no_grad()(lambda: layer(*inputs))

    def _batch(self, source: Source, edges: int) -> Tensor:
        if not source.shape.mixes:
            return example(source.shape, self.batch_size, edges, source.dtype).to(self.device)
        whole = size(source.shape, self.batch_size, edges)
        if source.dtype.is_floating_point:
            return torch.randn(whole, device=self.device, dtype=source.dtype)
        return torch.zeros(whole, device=self.device, dtype=source.dtype)

    def __repr__(self) -> str:
        content = sha256(repr(sorted(self.entries.items())).encode()).hexdigest()[:12]
        return (
            f"<LatencyTable on {self.device} in {self.dtype}, batch {self.batch_size}, threads {self.threads}: "
            f"{len(self.entries)} ops, {content}>"
        )


def _machine(device: str) -> str:
    import platform

    return (
        torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.processor() or platform.machine()
    )


def latency_table(table: LatencyTable | str | None) -> LatencyTable:
    """Return a latency table, or read it from a JSON file.

    Raises:
        SettingError: when there is none.
        StorageError: when the file cannot be read.
        DataError: when it is no latency table.
    """
    if table is None:
        raise SettingError(
            "a latency that is looked up needs a table", hint="latencies=LatencyTable().covering(graph), or its file"
        )
    return table if isinstance(table, LatencyTable) else LatencyTable.load(table)
