"""A trial: one training that a study holds, as facts in the storage and artifacts beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from archgraph.errors import DataError, UnknownName
from archgraph.evaluation import Epoch, Ledger, Report, Train
from archgraph.graph import Graph
from archgraph.net import Network, State
from archgraph.search.artifacts import Artifacts


@dataclass(frozen=True, eq=False)
class Trial:
    """One training that the study holds; graph, network and optimizer state are read when they are asked for.

    Args:
        number: its place in the study.
        facts: what the storage knows of it.
        artifacts: where its graph and weights lie.
    """

    number: int
    facts: Mapping[str, Any]
    artifacts: Artifacts

    @property
    def ok(self) -> bool:
        """Whether the evaluation succeeded."""
        return not self.failure

    @property
    def failure(self) -> str:
        """Why the evaluation failed, empty when it did not."""
        return str(self.facts.get("failure", ""))

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics by ``"split.name"`` (``"val.error"``), and of the graph by name (``"params"``)."""
        return {name: _number(value) for name, value in self.facts.get("metrics", {}).items()}

    def metric(self, name: str) -> float:
        """Return a metric by its full name, or by a short one (``"error"`` is ``"val.error"``).

        Raises:
            UnknownName: when the trial has none called so.
        """
        metrics = self.metrics
        for full in (name, f"val.{name}"):
            if full in metrics:
                return metrics[full]
        raise UnknownName.among("metric", name, metrics)

    @property
    def parent(self) -> int | None:
        """Number of the trial whose network it was made from."""
        return self.facts.get("parent")

    @property
    def moves(self) -> tuple[str, ...]:
        """The moves that made it from its parent, as text."""
        return tuple(self.facts.get("moves", ()))

    @property
    def stage(self) -> int:
        """How many rounds of growth came before."""
        return int(self.facts.get("stage", 0))

    @property
    def predicted(self) -> float | None:
        """Change of the training loss that the criterion predicted for the moves."""
        return _number(self.facts.get("predicted"))

    @property
    def measured(self) -> float | None:
        """Change of the training loss right after the moves, before training."""
        return _number(self.facts.get("measured"))

    @property
    def ledger(self) -> Ledger:
        """What the training cost."""
        return Ledger(**self.facts["ledger"])

    @property
    def spent(self) -> Ledger | None:
        """What the search had spent in all when the trial was done; None when it was recorded without one."""
        return Ledger(**self.facts["spent"]) if "spent" in self.facts else None

    @property
    def curve(self) -> tuple[Epoch, ...]:
        """The learning curve."""
        return tuple(
            Epoch(number, {name: _number(value) for name, value in metrics.items()})
            for number, metrics in self.facts.get("curve", ())
        )

    @cached_property
    def graph(self) -> Graph:
        """The architecture."""
        return Graph.parse(self.artifacts.get(self.facts["graph"]).decode())

    @cached_property
    def network(self) -> Network:
        """The trained network.

        Raises:
            DataError: when the training failed, or the artifact is damaged.
            StorageError: when the artifact is gone.
        """
        if "weights" not in self.facts:
            raise DataError(f"trial {self.number} has no network: {self.failure or 'it was never trained'}")
        return Network(self.graph, _tensors(self.artifacts.get(self.facts["weights"])))

    @cached_property
    def state(self) -> State:
        """The optimizer's state after training."""
        result: dict[str, dict[str, Any]] = {}
        if "state" in self.facts:
            for name, tensor in _tensors(self.artifacts.get(self.facts["state"])).items():
                label, _, entry = name.partition("/")  # labels have no slash
                result.setdefault(label, {})[entry] = tensor
        return result

    def report(self) -> Report:
        """Return the report of the training, as the backend gave it."""
        return Report(
            self.facts["key"],
            self.metrics,
            self.network if self.ok else None,
            self.state,
            curve=self.curve,
            ledger=self.ledger,
            failure=self.failure,
        )

    def __repr__(self) -> str:
        return f"<Trial {self.number}: {self.failure or ', '.join(f'{k} {v:.4g}' for k, v in self.metrics.items())}>"


def facts_of(request: Train, report: Report, artifacts: Artifacts, parent: int | None) -> dict[str, Any]:
    """Store graph, weights and optimizer state of a training and return what the storage is to know of it.

    Args:
        request: what was asked.
        report: the answer.
        artifacts: where tensors and graph text go.
        parent: number of the trial whose network it was made from.

    Raises:
        StorageError: when an artifact cannot be written.
    """
    origin = request.origin
    graph = request.subject if isinstance(request.subject, Graph) else request.subject.graph
    facts: dict[str, Any] = {
        "key": report.key,
        "stage": origin.stage,
        "parent": parent,
        "moves": list(origin.moves),
        "predicted": _text(origin.predicted),
        "measured": _text(origin.measured),
        "note": origin.note,
        "recipe": repr(request.recipe),
        "seed": request.seed,
        "metrics": {name: _text(value) for name, value in report.metrics.items()},
        "curve": [[at.epoch, {name: _text(value) for name, value in at.metrics.items()}] for at in report.curve],
        "ledger": asdict(report.ledger) | {"cached": False},
        "graph": artifacts.put(str(graph).encode(), "graph"),
    }
    if report.failure:
        facts["failure"] = report.failure
    if report.network is not None:
        facts["network"] = report.network.key
        facts["weights"] = artifacts.put(_bytes(report.network.weights), "safetensors")
    if report.state:
        flat = {f"{label}/{name}": one for label, entries in report.state.items() for name, one in entries.items()}
        facts["state"] = artifacts.put(_bytes(flat), "safetensors")
    return json.loads(json.dumps(facts, allow_nan=False))


def _text(value: float | None) -> float | str | None:
    """Return a number as JSON has it: what is not finite as text."""
    return value if value is None or math.isfinite(value) else str(value)


def _number(stored: Any) -> Any:
    """Return the number that :func:`_text` made text of."""
    return float(stored) if isinstance(stored, str) else stored


def _bytes(tensors: Mapping[str, Any]) -> bytes:
    from safetensors.torch import save

    return save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()})


def _tensors(content: bytes) -> dict[str, Any]:
    from safetensors.torch import load

    return load(content)
