"""Twins: the function is kept, slots stand where their rows do, moments come along."""

from __future__ import annotations

import pytest
import torch

from archgraph import Recipe, Task
from archgraph.continual import Library, twin_slots, twinned
from archgraph.continual.chapter import Chapter
from archgraph.evaluation import train
from tests.continual.trunks import TRUNKS, inputs, lesson, outputs, three_tasks, trunk


@pytest.mark.parametrize("name", TRUNKS)
def test_the_function_is_kept_and_rows_are_twice(name: str) -> None:
    library, _ = three_tasks(name)
    network, plan = library.begin(trunk(name), seed=1)
    network = network.to(torch.float64)
    homes = library.chapters[0].homes.growable
    for home in homes:
        plan = plan.unlocked({home: plan.slots(home)}, 3)
    every = twin_slots(Chapter("", 3, network.graph, plan, {}), {home: library.slots(home) for home in homes})
    assert set(every) == set(homes)
    some = {home: {slot: every[home][slot] for slot in list(every[home])[1:3]} for home in homes}
    done = twinned(network, plan, some, 3)
    x = inputs(network.graph)
    assert (outputs(done.network, x) - outputs(network, x)).abs().max() < 1e-12
    draft = Chapter("", 3, done.network.graph, done.plan, {})  # raises where plan and graph do not fit
    for home, pairs in some.items():
        slots = done.plan.slots(home)
        assert len(slots) == len(plan.slots(home)) + 2 and not set(pairs.values()) & set(library.slots(home))
        rows = done.network.weights[f"{home}.weight"]
        rows = rows.movedim(draft.graph.tensors(home)["weight"].axes.index("out"), 0)
        place = {address: row for row, address in enumerate(draft.addresses(home))}
        for one, two in pairs.items():
            for address, row in place.items():
                if (address.home, address.number) == (home, one):
                    assert torch.equal(rows[row], rows[place[address._replace(number=two)]])
    assert [move.node for move in done.moves] == list(some)  # type: ignore[attr-defined]


def test_moments_come_along() -> None:
    task = Task.from_tensors("own", torch.randn(40, 3), torch.arange(40) % 2, loss="cross-entropy")
    library = Library().learned("one", *lesson(Library(), trunk("mlp")))
    network, plan = library.begin(trunk("mlp"), seed=1)
    done = train(network, task, Recipe(epochs=2), seed=0)
    grown = twinned(done.network, plan, {"b": {2: 9}}, 1, state=done.state)
    assert grown.state is not None and grown.plan.slots("b") == (0, 1, 2, 9, 3, 4)
    old, new = done.state["y.weight"]["exp_avg"], grown.state["y.weight"]["exp_avg"]
    assert torch.equal(new[:, [0, 1, 2, 4, 5]], old) and torch.equal(new[:, 3], old[:, 2])
    assert twinned(done.network, plan, {"b": {}}, 1).network == done.network
