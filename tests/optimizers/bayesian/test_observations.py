"""Histories as tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from archgraph import Graph
from archgraph.evaluation import Fidelity, Report
from archgraph.search import Goal
from archgraph.spaces import Domain, Float, Int, Space
from optimizers.bayesian import Observations, gather
from optimizers.bayesian.observations import distinct, prefix
from optimizers.proposing import History, Proposal, Refused, Told, told
from optimizers.proposing.admission import REPEATED

GRAPH = Graph.parse("x = Input((2,))\ny = Linear(3)(x)\nreturn y")
GOAL = Goal.parse("val.loss", "params", constraints=["macs<=100"])


@dataclass(frozen=True)
class Plain(Space):
    @cached_property
    def domains(self) -> Mapping[str, Domain]:
        return {"a": Int(1, 3), "b": Float(0.0, 1.0), "c": Int(0, 4)}

    def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
        return GRAPH


SPACE = Plain()


def trained(
    number: int, a: int, loss: float, *, macs: float = 70.0, epochs: int | None = None, failure: str = ""
) -> Told:
    metrics = {"val.loss": loss, "params": 10.0 * a, "macs": macs}
    report = Report(f"{number} {epochs}", metrics, failure=failure, fidelity=Fidelity(epochs))
    return told(Proposal({"a": a, "b": 0.5, "c": 2}), number, GRAPH, report, GOAL)


def seen(history: History) -> Observations:
    return gather(history, SPACE.encode, SPACE.key, epochs=4, settled=3)


def test_what_failed_is_no_observation() -> None:
    rows = (trained(0, 1, 0.5), trained(1, 2, math.nan), trained(2, 3, 0.4, failure="diverged"), trained(3, 1, 0.7))
    data = seen(History(rows, pending=(Proposal({"a": 2, "b": 0.0, "c": 4}), Proposal(rows[0].values))))
    assert data.X.tolist() == [[0.0, 0.5, 0.5]] * 2
    assert data.costs.tolist() == [[0.5, 10.0], [0.7, 10.0]]
    assert data.slack.tolist() == [[-30.0], [-30.0]]
    assert data.bad[:, 0].tolist() == [0.5, 1.0]
    assert data.settled == 1
    assert data.point.tolist() == [0, 0]
    assert data.places.tolist() == [[0.0, 0.5, 0.5]]
    assert data.awaited.tolist() == [[0.5, 0.0, 1.0]]
    assert not data.several_fidelities
    assert data.inputs is data.X


def test_what_was_refused_is_bad_but_for_replicates() -> None:
    values = {"a": 3, "b": 1.0, "c": 0}
    refused = (Refused(Proposal(values), 1, "macs<=100", 5.0), Refused(Proposal(values), 2, REPEATED))
    data = seen(History((trained(0, 1, 0.5),), refused=refused))
    assert data.bad.tolist() == [[1.0, 1.0, 0.0]]


def test_nothing_yet() -> None:
    data = seen(History())
    assert len(data) == 0
    assert len(data.pending) == 0


def test_all_stages_are_heard_once() -> None:
    heard = (trained(0, 1, 0.9, epochs=1), trained(1, 2, 0.8, epochs=1), trained(1, 2, 0.3))
    history = History((heard[0], heard[1], trained(2, 3, 0.6, epochs=2)), heard=heard)
    data = seen(history)
    assert data.share.tolist() == [0.25, 0.25, 1.0, 0.5]
    assert data.costs[:, 0].tolist() == [0.9, 0.8, 0.3, 0.6]
    assert data.inputs[:, 3].tolist() == data.share.tolist()
    assert data.context == (1.0,)
    assert data.point.tolist() == [0, 1, 2, 3]  # a point at two fidelities has no replicates
    assert len(data.places) == 3


def test_a_prefix_is_what_was_known_before() -> None:
    rows = tuple(trained(number, 1 + number % 3, 0.1 * number + 0.1) for number in range(5))
    early, late = seen(History(rows[:2])), prefix(seen(History(rows)), 2)
    for name in ("X", "costs", "slack", "share", "point"):
        assert torch.equal(getattr(early, name), getattr(late, name))
    assert early.settled == late.settled == 2


def test_distinct_rows_keep_their_order() -> None:
    X = torch.tensor([[2.0, 1.0], [0.0, 1.0], [2.0, 1.0], [0.0, 0.0]])
    assert distinct(X).tolist() == [[2.0, 1.0], [0.0, 1.0], [0.0, 0.0]]
