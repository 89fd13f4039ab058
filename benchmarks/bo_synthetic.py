"""A network generator whose accuracy is a formula: what searches are compared on when thousands of runs are needed.

Eight parameters, five of them whole numbers, named and bounded as those of the hierarchical generator. The accuracy of
a network is that of its parameters plus noise that is larger where the accuracy is lower (standard deviation .002 to
.012), and memory grows with the number of leaves. Random points have a median accuracy of .892; the best is .936.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from archgraph import Graph, rng
from archgraph.evaluation import Recipe, Report
from archgraph.search import Driver, Goal, Setting
from archgraph.spaces import Domain, Float, Int, Ordered, Space

GRAPH = Graph.parse("x = Input((2,))\ny = Linear(3)(x)\nreturn y")
BEST = 0.9362
"""Accuracy without noise at the best point; see :func:`accuracy`."""


@dataclass(frozen=True)
class Synthetic(Space):
    """The parameters of the hierarchical generator, all of which stand for the same small graph."""

    random = True

    @cached_property
    def domains(self) -> Mapping[str, Domain]:
        return {
            "N_t": Int(3, 10),
            "K_t": Ordered((2, 4)),
            "P_t": Float(0.1, 0.9),
            "N_m": Int(1, 10),
            "P_m": Float(0.1, 0.9),
            "N_b": Int(3, 10),
            "K_b": Ordered((2, 4)),
            "P_b": Float(0.1, 0.9),
        }

    def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
        return GRAPH


def accuracy(values: Mapping[str, Any]) -> float:
    """Return the accuracy without noise.

    Best are a moderate number of leaves in few cells' graphs, little rewiring, and connections, which matter little. No
    part of the loss is below zero, and all are zero at ``N_t=5, K_t=4, P_t=.3, N_m=2, P_m=.5, N_b=6, K_b=4, P_b=.4``.
    """
    leaves = math.log(values["N_t"] * values["N_b"] / 30.0)
    loss = 0.020 * math.log(values["N_m"] / 2.0) ** 2 + 0.018 * leaves**2
    loss += 0.010 * math.log(values["N_t"] / 5.0) ** 2 * (1.0 + 2.0 * (values["P_t"] - 0.3) ** 2)
    loss += 0.060 * (values["P_t"] - 0.3) ** 2 + 0.004 * (values["K_t"] == 2)
    loss += 0.020 * (values["P_m"] - 0.5) ** 2 * math.log(values["N_m"] + 1.0)
    loss += 0.030 * (values["P_b"] - 0.4) ** 2 + 0.003 * (values["K_b"] == 2) * (1.0 + values["P_b"])
    return BEST - loss


def memory(values: Mapping[str, Any]) -> float:
    """Return megabytes a sample: they grow with the number of leaves and with connections."""
    leaves = values["N_t"] * values["N_m"] * values["N_b"]
    return 2.0 + 0.12 * leaves**0.8 * (1.0 + 0.1 * (values["K_t"] + values["K_b"])) * (1.2 - 0.3 * values["P_t"])


def noise(values: Mapping[str, Any]) -> float:
    """Return the standard deviation of the accuracy of a network."""
    return min(0.012, 0.002 + 0.13 * (BEST - accuracy(values)))


def observe(values: Mapping[str, Any], seed: int) -> dict[str, float]:
    """Return what an evaluation reports of the network that a seed draws."""
    seen = accuracy(values) + noise(values) * random.Random(rng.derive(seed, "noise")).gauss(0.0, 1.0)
    return {"val.accuracy": seen, "val.error": 1.0 - seen, "memory": memory(values), "val.loss": 1.0 - seen}


def search(driver: Driver, evaluations: int, seed: int, *objectives: str) -> list[Mapping[str, Any]]:
    """Run a driver on the formula and return the points it has evaluated, in order.

    Args:
        driver: over :class:`Synthetic`.
        evaluations: how many.
        seed: of the run.
        *objectives: names of metrics.
    """
    session = driver.begin(Setting(Recipe(epochs=1), seed, Goal.parse(*objectives)))
    points: list[Mapping[str, Any]] = []
    while len(points) < evaluations and not session.done:
        request = session.ask()
        assert request is not None
        points.append(dict(request.origin.values))
        session.tell(request, Report(request.key, observe(points[-1], request.seed)))
    return points
