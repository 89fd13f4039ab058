"""The joint search of networks and the settings of natural gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from archgraph import Graph, Recipe, Report, Train, chain, ops
from archgraph.errors import SettingError, SpaceError
from archgraph.search import Goal, Setting, search
from archgraph.spaces import Ordered, Parameters, space
from archgraph.spaces.gnn import gnn
from archgraph.tasks import Loss, NodeGraph, Task
from archgraph.testing import check_space
from optimizers import NaturalGradientSearch
from optimizers.natural_gradient_search import PREFIX, SETTINGS, USUAL, Joint, natural

SPACE = gnn(chain(ops.Input((5,)), ops.Linear(3)), depth=2, widths=(4, 8))


def ring() -> Task:
    """Thirteen nodes in a ring, three classes in turn, features that tell them apart with noise."""
    numbers = torch.Generator().manual_seed(3)
    y = torch.arange(13) % 3
    x = torch.randn(13, 5, generator=numbers) * 0.3 + torch.nn.functional.one_hot(y, 5)
    there = torch.stack((torch.arange(13), torch.arange(1, 14) % 13))
    rows = {"train": torch.arange(6), "val": torch.arange(6, 10), "test": torch.arange(10, 13)}
    graph = NodeGraph(x, y, torch.cat((there, there.flip(0)), dim=1), rows)
    return Task("ring", graph.splits(), Loss("cross-entropy"), (5,), 3, graph=graph)


def test_the_joint_space_keeps_the_contract() -> None:
    check_space(Joint(SPACE, SETTINGS), draws=5)


def test_graphs_depend_on_the_space_alone() -> None:
    joint = Joint(SPACE, SETTINGS)
    point = joint.draw(2)
    other = point | {f"{PREFIX}damping": 0.0123}
    assert joint.build(point) == joint.build(other) == SPACE.build(joint.of_the_graph(point))
    assert joint.key(point) != joint.key(other)
    assert joint.of_the_training(other)["damping"] == 0.0123
    assert Joint(SPACE, {"interval": SETTINGS["interval"]}).size == 4 * SPACE.size


def test_every_candidate_has_its_own_recipe() -> None:
    """What is searched is in the requests; everything else is the study's."""
    driver = NaturalGradientSearch(SPACE, by="random-search", near=0.0)
    base = Recipe("adam", lr=0.7, epochs=3, keep="best", decayed="first", options={"eps": 1e-3})
    session = driver.begin(Setting(base, 5, Goal.of("val.loss")))
    asked = []
    for _ in range(4):
        request = session.ask()
        assert isinstance(request, Train)
        asked.append(request)
        session.tell(request, Report("", {"val.loss": 1.0}))
    for request in asked:
        told = {PREFIX + name: value for name, value in dict(request.recipe.options).items()}
        told |= {PREFIX + name: getattr(request.recipe, name) for name in ("lr", "weight_decay")}
        assert told == {name: value for name, value in request.origin.values.items() if name in told}
        assert len(told) == len(SETTINGS)
        assert request.recipe.but(lr=0.7, weight_decay=0.0, optimizer="adam", options={"eps": 1e-3}) == base
    assert len({request.recipe for request in asked}) == 4


@pytest.mark.parametrize(
    ("recipe", "lr", "options"),
    [
        (Recipe("adam", lr=0.7, options={"eps": 1e-3}), USUAL["lr"], {"damping": 0.5}),
        (
            Recipe("natural-gradient", lr=0.7, options={"mode": "lin", "damping": 2.0}),
            0.7,
            {"mode": "lin", "damping": 0.5},
        ),
    ],
)
def test_options_of_natural_gradient_are_kept(recipe: Recipe, lr: float, options: dict[str, Any]) -> None:
    found = natural(recipe, {"damping": 0.5})
    assert (found.optimizer, found.lr, dict(found.options)) == ("natural-gradient", lr, options)


def asked_by(driver: NaturalGradientSearch, recipe: Recipe, count: int) -> list[Train]:
    """Ask for as many trainings, each answered with another loss than the one before, the third the least."""
    session = driver.begin(Setting(recipe, 5, Goal.of("val.loss")))
    found = []
    for number in range(count):
        request = session.ask()
        assert isinstance(request, Train)
        found.append(request)
        session.tell(request, Report("", {"val.loss": 1.0 + abs(number - 2)}))
    return found


def test_it_begins_with_the_usual_network_and_settings() -> None:
    first = asked_by(NaturalGradientSearch(SPACE), Recipe(epochs=3), 1)[0]
    assert SPACE.usual is not None
    assert first.subject == SPACE.build(SPACE.usual)
    assert (first.recipe.lr, first.recipe.weight_decay) == (USUAL["lr"], USUAL["weight_decay"])
    assert dict(first.recipe.options) == {name: USUAL[name] for name in ("damping", "interval", "kl_clip", "momentum")}


def test_it_begins_with_settings_of_the_recipe_where_they_may_be_searched() -> None:
    recipe = Recipe("natural-gradient", lr=0.2, weight_decay=7.0, options={"damping": 2e-3, "momentum": 0.77})
    first = asked_by(NaturalGradientSearch(SPACE), recipe, 1)[0].recipe
    assert (first.lr, dict(first.options)["damping"]) == (0.2, 2e-3)
    assert (first.weight_decay, dict(first.options)["momentum"]) == (USUAL["weight_decay"], USUAL["momentum"])


def test_points_to_begin_with() -> None:
    mine, other = SPACE.draw(3), SPACE.draw(8)
    driver = NaturalGradientSearch(SPACE, start=(mine, other | {f"{PREFIX}lr": 0.25}))
    found = asked_by(driver, Recipe(epochs=3), 2)
    assert [request.subject for request in found] == [SPACE.build(mine), SPACE.build(other)]
    assert [request.recipe.lr for request in found] == [USUAL["lr"], 0.25]
    cold = asked_by(NaturalGradientSearch(SPACE, by="random-search", start=(), near=0.0), Recipe(epochs=3), 1)[0]
    assert cold.origin.note == ""


@pytest.mark.parametrize("by", ["optuna", "evolution", "local-search", "sobol", "kernel-density"])
def test_any_suggester_learns_of_points_beside_the_best(by: str) -> None:
    notes = [request.origin.note for request in asked_by(NaturalGradientSearch(SPACE, by=by), Recipe(), 16)]
    assert notes[0] == "to begin with"
    assert 7 <= sum(note.startswith("beside ") for note in notes) < 15


def test_a_search_trains_by_natural_gradient() -> None:
    recipe = Recipe(epochs=6, schedule="constant", keep="best")
    driver = NaturalGradientSearch(SPACE, candidates=6, by="evolution", searched="damping,lr")
    study = search(driver, task=ring(), recipe=recipe, seed=1, device="cpu")
    assert len(study.trials) == 6
    assert all(not trial.failure for trial in study.trials)
    assert {name for name in study.best.values if name.startswith(PREFIX)} == {"optimizer.damping", "optimizer.lr"}
    assert study.best.metrics["val.loss"] < 1.0986  # of three classes without knowing anything


def test_from_settings() -> None:
    seed = chain(ops.Input((5,)), ops.Linear(3))
    made = NaturalGradientSearch.from_settings(seed, {"by": "sobol", "depth": "3", "searched": "-"})
    assert isinstance(made.space, Joint)
    assert made.space.domains["depth"].contains(3)
    assert not made.space.settings


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"by": "splitting"}, "suggests no points"),
        ({"by": "natural-gradient"}, "suggests"),
        ({"searched": "lr,dampin"}, "dampin"),
        ({"near": 1.5}, "probability"),
    ],
)
def test_refusals(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        NaturalGradientSearch(SPACE, **settings)


def test_names_must_differ() -> None:
    @space
    def strange(p: Parameters) -> Graph:
        return chain(ops.Input((5,)), ops.Linear(p.ordered("optimizer.lr", (2, 3))))

    with pytest.raises(SpaceError, match=r"optimizer\.lr"):
        Joint(strange, {"lr": Ordered((0.1, 0.2))})
