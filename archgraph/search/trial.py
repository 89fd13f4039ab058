"""A trial: one training that a study holds, as facts in the storage and artifacts beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from archgraph.errors import DataError, UnknownName
from archgraph.evaluation import FULL, Epoch, Fidelity, Ledger, Report
from archgraph.graph import Graph
from archgraph.net import Network, State
from archgraph.search.facts import NETWORK, START, START_STATE, STATE, fact, nested, number_of
from archgraph.storage.artifacts import Artifacts
from archgraph.storage.packs import read_group


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
    def trained(self) -> bool:
        """Whether there is a trained network: of a failure, and of what was looked up in a table, there is none."""
        return "network" in self.facts or "weights" in self.facts

    @property
    def failure(self) -> str:
        """Why the evaluation failed, empty when it did not."""
        return str(self.facts.get("failure", ""))

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics by ``"split.name"`` (``"val.error"``), and of the graph by name (``"params"``)."""
        return {name: number_of(value) for name, value in self.facts.get("metrics", {}).items()}

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
    def violations(self) -> dict[str, float]:
        """By how much it breaks each of the study's constraints (``"params<=1000.0"``): 0 where it keeps one."""
        return {name: number_of(by) for name, by in self.facts.get("violations", {}).items()}

    @property
    def feasible(self) -> bool:
        """Whether it succeeded and keeps all of the study's constraints."""
        return self.ok and not any(self.violations.values())

    @property
    def parent(self) -> int | None:
        """Number of the trial whose network it was made from."""
        return self.facts.get("parent")

    @property
    def moves(self) -> tuple[str, ...]:
        """The moves that made it from its parent, as text."""
        return tuple(fact(self.facts, "moves", self.artifacts))

    @property
    def values(self) -> dict[str, Any]:
        """The named parameters of the space that it was drawn from; empty where it was not."""
        return dict(fact(self.facts, "values", self.artifacts))

    @property
    def stage(self) -> int:
        """How many rounds of growth came before."""
        return int(self.facts.get("stage", 0))

    @property
    def predicted(self) -> float | None:
        """Change of the training loss that the criterion predicted for the moves."""
        return number_of(self.facts.get("predicted"))

    @property
    def measured(self) -> float | None:
        """Change of the training loss right after the moves, before training."""
        return number_of(self.facts.get("measured"))

    @property
    def fidelity(self) -> Fidelity:
        """How much of its recipe the training got."""
        given = self.facts.get("fidelity")
        return FULL if given is None else Fidelity(given["epochs"], given["data"])

    @property
    def share(self) -> float:
        """The fraction of its recipe that the training got: 1 for all epochs on all data."""
        return float(self.facts.get("fidelity", {}).get("share", 1.0))

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
            Epoch(number, {name: number_of(value) for name, value in metrics.items()})
            for number, metrics in fact(self.facts, "curve", self.artifacts)
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
        if "weights" in self.facts:  # of an earlier version
            return Network(self.graph, _stored(self.artifacts.get(self.facts["weights"])))
        if not self.trained:
            table = "its metrics are from a table"
            raise DataError(
                f"trial {self.number} has no network: {self.failure or table}",
                hint=None if self.failure else "train one: find(task).table.network(trial.graph) is its graph",
            )
        return Network(self.graph, self._group(NETWORK))

    @cached_property
    def state(self) -> State:
        """The optimizer's state after training."""
        if "state" in self.facts:  # of an earlier version
            return nested(_stored(self.artifacts.get(self.facts["state"])))
        return nested(self._group(STATE))

    def check_start(self) -> None:
        """Read what the training started from, which nothing but running it again needs.

        Raises:
            DataError: when it is damaged.
            StorageError: when it is gone.
        """
        for group in (START, START_STATE):
            self._group(group)

    def _group(self, name: str) -> dict[str, Any]:
        return read_group(self.artifacts, self.facts["tensors"], name) if "tensors" in self.facts else {}

    def report(self) -> Report:
        """Return the report of the training, as the backend gave it."""
        return Report(
            self.facts["key"],
            self.metrics,
            self.network if self.trained else None,
            self.state,
            curve=self.curve,
            ledger=self.ledger,
            failure=self.failure,
            fidelity=self.fidelity,
        )

    def __repr__(self) -> str:
        return f"<Trial {self.number}: {self.failure or ', '.join(f'{k} {v:.4g}' for k, v in self.metrics.items())}>"


def _stored(content: bytes) -> dict[str, Any]:
    """Return tensors as earlier versions stored them, all of a network in one file."""
    from safetensors.torch import load

    return load(content)
