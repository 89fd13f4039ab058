"""A small space with costs that are known, and a loop around the drivers that search it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from archgraph import Graph, Recipe, Report, Train
from archgraph.search import Goal, Setting
from archgraph.spaces import Choice, Domain, Int, Ordered, Space
from optimizers.proposing import Proposer


class Small(Space):
    @property
    def domains(self) -> Mapping[str, Domain]:
        return {"width": Int(1, 30), "act": Choice(("ReLU", "SiLU", "Tanh")), "depth": Ordered((1, 2, 4))}

    def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
        point = self.canonical(values)
        lines, last = ["x = Input((4,))"], "x"
        for layer in range(int(point["depth"])):
            lines += [f"a{layer} = Linear({point['width']})({last})", f"f{layer} = {point['act']}()(a{layer})"]
            last = f"f{layer}"
        return Graph.parse("\n".join([*lines, f"y = Linear(3)({last})", "return y"]))


def cost(values: Mapping[str, Any]) -> float:
    return (values["width"] - 17) ** 2 / 100 + (values["act"] != "SiLU") + abs(values["depth"] - 2)


def drive(driver: Proposer, count: int, seed: int = 0, goal: str = "val.loss", fail: float = 0.0) -> list[Train]:
    """Run a driver on the known costs; every so many fail."""
    session, asked = driver.begin(Setting(Recipe(), seed, Goal.of(*goal.split(";")))), []
    while len(asked) < count and not session.done:
        request = session.ask()
        if request is None:
            break
        assert isinstance(request, Train)
        asked.append(request)
        failed = random.Random(len(asked)).random() < fail
        width = float(request.origin.values["width"])
        metrics = {"val.loss": cost(request.origin.values), "params": width, "latency": width}
        session.tell(request, Report("", {} if failed else metrics, failure="diverged" if failed else ""))
    return asked


SPACE = Small()
