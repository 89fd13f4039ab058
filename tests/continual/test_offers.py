"""Offers: at zero gates nothing changes, frozen rows change by their own gate alone, splits are even, sums are kept."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from archgraph import Network
from archgraph.continual import Library, Offers, Widened, offers, taken, twin_slots, widened
from archgraph.continual.chapter import Chapter
from archgraph.continual.layout import KINDS
from archgraph.continual.twinned import Twins
from archgraph.overgrown import Descent, Point, descend, integrated_gradient
from archgraph.tasks import Loss
from tests.continual.trunks import TRUNKS, inputs, outputs, three_tasks, trunk

NAMES = sorted(set(TRUNKS) - {"shared weights"})


def laid(name: str, unlock: bool = True) -> tuple[Library, Network, Widened, Twins, Offers]:
    """A fourth task that has unlocked all of the last home: what reads the home before it is free."""
    library, _ = three_tasks(name)
    network, plan = library.begin(trunk(name, 3), seed=1)
    homes = library.chapters[0].homes.growable
    if unlock:
        plan = plan.unlocked({homes[-1]: plan.slots(homes[-1])}, 3)
    network = network.to(torch.float64)
    probed = widened(network, plan, library, dict.fromkeys(homes, 2), seed=2)
    reserved = {home: (*library.slots(home), *probed.slots[home]) for home in homes}
    twins = twin_slots(Chapter("", 3, network.graph, plan, {}), reserved)
    found = offers(probed.network, probed.plan, 3, kinds=KINDS, probed=probed.slots, twins=twins)
    return library, network, probed, twins, found


def some(found: Offers) -> list[int]:
    """Return the first and the last gate of every kind."""
    kinds = [gate.kind for gate in found.gates]
    ends = {(kinds.index(kind), len(kinds) - 1 - kinds[::-1].index(kind)) for kind in kinds}
    return sorted({gate for pair in ends for gate in pair})


def opened(found: Offers, seed: int = 3) -> Point:
    start = found.start(seed)
    generator = torch.Generator().manual_seed(seed)
    gates = torch.rand(len(found.gates), generator=generator, dtype=torch.float64) * 0.3 + 0.1
    return Point(gates, start.directions)


@pytest.mark.parametrize("name", TRUNKS)
def test_at_zero_gates_nothing_changes(name: str) -> None:
    _, network, _, _, found = laid(name)
    x = inputs(network.graph)
    here = found.network(opened(found).closed())
    assert (outputs(here, x) - outputs(network, x)).abs().max() < 1e-12
    assert {gate.kind for gate in found.gates} == ({"new", "split"} if name == "shared weights" else set(KINDS))


@pytest.mark.parametrize("name", TRUNKS)
def test_what_is_taken_computes_what_it_did_with_the_other_gates_closed(name: str) -> None:
    library, network, probed, twins, found = laid(name)
    x, point = inputs(network.graph), opened(found)
    for chosen in ([0], [len(found.gates) - 1], list(range(0, len(found.gates), 2)), list(range(len(found.gates)))):
        done = taken(found, point, chosen, probed, twins)
        wanted = outputs(found.network(point.only(torch.tensor(chosen))), x)
        assert (outputs(done.network, x) - wanted).abs().max() < 1e-10
        kinds = [found.gates[one].kind for one in chosen]
        grown = sum(map(len, done.plan.uses.values())) - sum(
            map(len, library.begin(trunk(name, 3), seed=1)[1].uses.values())
        )
        assert grown == sum(kind != "unlock" for kind in kinds)
        again = network.graph
        for move in done.moves:
            again = move.apply(again)
        assert again == done.network.graph


@pytest.mark.parametrize("name", TRUNKS)
def test_what_is_frozen_stays_to_the_bit(name: str) -> None:
    library, _ = three_tasks(name)
    homes = library.chapters[0].homes.growable
    network, plan = library.begin(trunk(name, 3), seed=1)
    probed = widened(network, plan, library, dict.fromkeys(homes, 1), seed=2)
    twins = twin_slots(Chapter("", 3, network.graph, plan, {}), {home: probed.slots[home] for home in homes})
    found = offers(probed.network, probed.plan, 3, kinds=KINDS, probed=probed.slots, twins=twins)
    point = found.start(1)
    point = Point(point.gates + 0.2, point.directions)
    for chosen in some(found):
        done = taken(found, point, [chosen], probed, twins)
        more = library.learned("fourth", done.network, done.plan)  # raises where a frozen row has changed
        assert more.network(3) == done.network
        made = {(home, slot) for home, slots in done.plan.made(3).items() for slot in slots}
        unit = found.gates[chosen].unit
        assert (unit.home, unit.slot) in made and len(made) == (2 if found.gates[chosen].kind == "split" else 1)


def test_splits_need_readers_that_are_free() -> None:
    library, _ = three_tasks("mlp")
    network, plan = library.begin(trunk("mlp", 3), seed=1)
    assert set(twin_slots(Chapter("", 3, network.graph, plan, {}), {})) == {"b"}  # a head reads it
    freed = plan.unlocked({"b": plan.slots("b")}, 3)
    found = twin_slots(Chapter("", 3, network.graph, freed, {}), {"a": (40,)})
    assert set(found) == {"a", "b"} and found["a"][0] == 41 and found["b"][0] == max(plan.slots("b")) + 1


def data(network: Network) -> tuple[Tensor, Tensor]:
    x = inputs(network.graph, seed=5, samples=23)
    return x.double(), torch.arange(23) % 3


def test_the_gradient_of_a_split_is_zero_at_its_gate() -> None:
    _, network, _, _, found = laid("residual")
    loss, (x, y) = Loss.named("cross-entropy"), data(network)
    point = opened(found).closed()
    module = found.module(point).with_statistics(of_batch=False)
    slopes = torch.autograd.grad(loss(module(x), y), module.gates)[0]
    splits, unlocks = (torch.tensor([gate.kind == kind for gate in found.gates]) for kind in ("split", "unlock"))
    assert splits.any() and slopes[splits].abs().max() < 1e-12 < slopes[unlocks].abs().min()


@pytest.mark.parametrize("name", ["mlp", "concat", "gated"])
def test_integrated_gradients_add_up_to_what_the_loss_does(name: str) -> None:
    _, network, _, _, found = laid(name)
    loss, (x, y) = Loss.named("cross-entropy"), data(network)
    reached = descend(found.overlay, [(x, y)], loss, Descent(steps=20), seed=1).point
    assert bool((found.lengths(reached.directions) <= 1.0 + 1e-9).all())
    scores = integrated_gradient(found.overlay, reached, [(x, y)], loss, points=20)
    before, after = (loss(outputs(found.network(point), x), y).item() for point in (reached.closed(), reached))
    assert after < before
    assert scores.predicted.sum().item() == pytest.approx(after - before, rel=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_the_numbers_that_a_task_adds(name: str) -> None:
    library, _ = three_tasks(name)
    homes = library.chapters[0].homes.growable
    network, plan = library.begin(trunk(name, 3), seed=1)
    probed = widened(network, plan, library, dict.fromkeys(homes, 1), seed=2)
    twins = twin_slots(Chapter("", 3, network.graph, plan, {}), {home: probed.slots[home] for home in homes})
    found = offers(probed.network, probed.plan, 3, kinds=KINDS, probed=probed.slots, twins=twins)
    base = library.learned("fourth", network, plan).params
    norms = sum(spec.trainable for spec in network.graph.tensors("n").values()) if "n" in network.graph else 0
    for number in some(found):
        gate = found.gates[number]
        done = taken(found, found.start(), [number], probed, twins)
        added = library.learned("fourth", done.network, done.plan).params - base
        private = norms if gate.kind != "unlock" and gate.unit.home == "a" else 0  # a norm is each task's own
        assert added - private == found.sizes[number]


def test_some_offers_alone() -> None:
    _, network, probed, twins, found = laid("conv")
    names = [found.gates[one].name for one in (1, len(found.gates) - 1)]
    few = offers(probed.network, probed.plan, 3, kinds=KINDS, probed=probed.slots, twins=twins, only=names)
    assert [gate.name for gate in few.gates] == names
    x = inputs(network.graph)
    assert (outputs(few.network(opened(few).closed()), x) - outputs(network, x)).abs().max() < 1e-12
    done = taken(few, opened(few), [0, 1], probed, twins)
    wanted = outputs(few.network(opened(few)), x)
    assert (outputs(done.network, x) - wanted).abs().max() < 1e-10
    start, whole = few.start(4), found.start(4)  # what is drawn for an offer does not depend on the others
    for number, name in enumerate(names):
        own = [gate.name for gate in found.gates].index(name)
        drawn = whole.directions[found.balls // 2 == own]
        assert torch.equal(start.directions[few.balls // 2 == number], drawn)
