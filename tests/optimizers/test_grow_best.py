"""A search ends after its share; growth goes on from the trained network that was best, and trains none anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from archgraph import Budget, Graph, Recipe, Study, Task, search
from archgraph.cli.compare import _drivers
from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import Fidelity, Measure, Report, Train
from archgraph.evaluation.fidelity import FULL
from archgraph.moves import parse
from archgraph.registry import DRIVERS
from archgraph.search import Driver, Goal, Session, Setting, Steps, Trial
from archgraph.spaces import Ordered, Space, Widths
from optimizers import (
    Evolution,
    FireflyDescent,
    GeneratorBO,
    GrowBest,
    Net2Wider,
    RandomSearch,
    SplittingDescent,
    SuccessiveHalving,
)
from optimizers.grow_best.found import Found
from tests.search.sameness import same

MLP = Graph.parse("x = Input((4,))\na = Linear(5)(x)\nf = SiLU()(a)\ny = Linear(3)(f)\nreturn y")
X = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
TASK = Task.from_tensors("own", X, X[:, :3].argmax(1), loss="cross-entropy", outputs=3)
RECIPE = Recipe(epochs=3, batch_size=10, lr=0.05)
SEARCH = RandomSearch(Widths(MLP), candidates=4)
GROWTH = SplittingDescent(MLP, stages=2, halves=False, confidence=0.0, line_search=False)


def run(driver: Driver, **settings: Any) -> Study:
    return search(driver, task=TASK, **{"recipe": RECIPE, "seed": 1, "device": "cpu"} | settings)


def test_the_best_is_grown_from_its_trained_weights() -> None:
    study = run(GrowBest(SEARCH, GROWTH))
    found, grown = study.trials[:4], study.trials[4:]
    assert [trial.stage for trial in found] == [0] * 4
    assert [trial.stage for trial in grown] == [1, 2]
    best = min(found, key=lambda trial: (trial.metric("error"), trial.metric("val.loss")))
    assert grown[0].parent == best.number
    assert grown[1].parent == grown[0].number
    graph = best.graph
    for text in grown[0].moves:
        graph = parse(text).apply(graph)
    assert graph == grown[0].graph != best.graph
    assert len(study.lineage(grown[1])) == 3
    assert study.stopped == "search: all 4 candidates are trained; growth 1: all 2 stages are done"


@pytest.mark.slow
def test_growing_is_what_the_driver_does_on_a_network_that_is_trained() -> None:
    """The slow way: the best graph is trained again, with its seed, and grown by hand."""
    study = run(GrowBest(SEARCH, GROWTH))
    best = study.trials[study.trials[4].parent or 0]
    searched = [trial.facts["key"] for trial in run(SEARCH)]
    assert [trial.facts["key"] for trial in study][:4] == searched
    alone = run(_From(GROWTH, best.report()), seed=1)
    assert [trial.graph for trial in alone] == [trial.graph for trial in study.trials[4:]]
    assert [trial.network for trial in alone] == [trial.network for trial in study.trials[4:]]


@dataclass(frozen=True)
class _From(Driver):
    """A growth whose first training is answered by hand."""

    growth: SplittingDescent
    report: Report

    def steps(self, setting: Setting) -> Steps:
        from dataclasses import replace

        from archgraph import rng

        own = replace(setting, seed=rng.derive(setting.seed, "grown", 1))
        inner = replace(self.growth, graph=self.report.network).steps(own)
        next(inner)
        told: Any = self.report
        try:
            while True:
                told = yield inner.send(told)
        except StopIteration as end:
            return str(end.value)


@pytest.mark.parametrize(
    ("budget", "searched"),
    [(Budget(evaluations=8), 4), (Budget(evaluations=3), 1), (Budget(epochs=24.0), 4), (Budget(epochs=22.0), 4)],
    ids=str,
)
def test_the_share_ends_the_search(budget: Budget, searched: int) -> None:
    endless = GrowBest(RandomSearch(Widths(MLP)), GROWTH, lookahead=1)
    study = run(endless, budget=budget)
    assert [trial.stage for trial in study].count(0) == searched
    assert max(trial.stage for trial in study) > 0
    assert study.stopped.startswith(("search: the budget is spent", "the budget is spent"))


@pytest.mark.slow
def test_several_are_grown_and_what_one_leaves_the_next_one_has() -> None:
    study = run(GrowBest(SEARCH, GROWTH, best=3), budget=Budget(evaluations=60))
    grown = [trial for trial in study if trial.stage == 1]
    order = sorted(study.trials[:4], key=lambda trial: (trial.metric("error"), trial.metric("val.loss")))
    assert [trial.parent for trial in grown] == [trial.number for trial in order[:3]]
    assert study.stopped.count("all 2 stages are done") == 3
    tight = run(GrowBest(SEARCH, GROWTH, best=3, share=0.4), budget=Budget(evaluations=7))
    assert [trial.stage for trial in tight] == [0, 0, 1, 2, 1, 2, 0][: len(tight)]


def test_one_graph_is_grown_once() -> None:
    class Always(Space):
        domains: ClassVar[dict[str, Any]] = {"rate": Ordered((1.0, 2.0))}

        def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
            return MLP

    study = run(GrowBest(RandomSearch(Always(), candidates=2), GROWTH, best=2))
    assert [trial.stage for trial in study] == [0, 0, 1, 2]
    best = min(study.trials[:2], key=lambda trial: (trial.metric("error"), trial.metric("val.loss")))
    assert study.trials[2].parent == best.number


@pytest.mark.slow
def test_workers_change_nothing() -> None:
    driver = GrowBest(RandomSearch(Widths(MLP)), GROWTH, best=2)
    budget = Budget(epochs=45.0)
    same(run(driver, budget=budget), run(driver, budget=budget, workers=2))


@pytest.mark.slow
def test_it_carries_on(tmp_path: Path) -> None:
    storage = f"journal:///{tmp_path}/runs.db"
    driver = GrowBest(SEARCH, FireflyDescent(MLP, stages=1, descent_steps=3, points=1), best=2)
    whole = run(driver)

    def killed(study: Study, trial: Trial) -> None:
        if trial.number == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(driver, storage=storage, name="one", callbacks=[killed])
    same(whole, run(driver, storage=storage, name="one"))
    with pytest.raises(SettingError, match="another settings"):
        run(GrowBest(SEARCH, FireflyDescent(MLP, stages=1, points=2), best=2), storage=storage, name="one")


def test_one_that_was_not_trained_to_the_end_is_trained_on() -> None:
    rungs = SuccessiveHalving(RandomSearch(Widths(MLP)), min_epochs=1, reduction=3, lookahead=1)
    study = run(GrowBest(rungs, GROWTH, share=0.2), budget=Budget(evaluations=12))  # two trainings, of one epoch each
    assert [trial.share for trial in study][:2] == [pytest.approx(1 / 3)] * 2
    start = study.trials[2]
    best = min(study.trials[:2], key=lambda trial: (trial.metric("error"), trial.metric("val.loss")))
    assert (start.parent, start.share, start.stage) == (best.number, 1.0, 0)
    assert start.graph == best.graph
    assert study.trials[3].stage == 1


def test_nothing_found_nothing_grown() -> None:
    study = run(GrowBest(SEARCH, GROWTH), budget=Budget(max_params=3))
    assert len(study) == 4
    assert not any(trial.ok for trial in study)
    assert study.stopped.startswith("search: all 4 candidates are trained; nothing was trained that can be grown")


def test_what_leaves_a_growth_no_room_is_said() -> None:
    study = run(GrowBest(SEARCH, SplittingDescent(MLP, cost="params", ceiling=5.0)))
    assert len(study) == 4
    assert study.stopped.endswith("growth 1: the network to start from leaves nothing to grow")


def test_the_rank_is_that_of_a_study() -> None:
    goal = Goal.of("val.error", "params<=50")
    metrics = {"val.error": 0.5, "val.loss": 1.0, "params": 60.0}

    def rank(fidelity: Fidelity = FULL, **other: float) -> tuple[float, ...]:
        named = {name.replace("val_", "val."): value for name, value in other.items()}
        found = Found.of(Train(MLP, RECIPE, fidelity=fidelity), Report("", metrics | named), goal)
        assert found is not None
        return found.rank

    ranks = [rank(params=49.0), rank(params=49.0, val_error=0.6), rank(val_error=0.1), rank(Fidelity(2), params=10.0)]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == 4
    assert Found.of(Train(MLP), Report("", metrics | {"val.error": float("nan")}), goal) is None


def test_only_what_was_asked_can_be_told() -> None:
    session: Session = GrowBest(SEARCH, GROWTH).begin(Setting(RECIPE))
    asked = session.ask()
    assert isinstance(asked, Train)
    with pytest.raises(SettingError, match="not asked"):
        session.tell(Train(MLP), Report(""))
    assert not isinstance(asked, Measure)
    session.tell(asked, Report("", failure="diverged"))
    with pytest.raises(SettingError, match="told before"):
        session.tell(asked, Report(""))


def test_settings_from_text() -> None:
    kind = DRIVERS.get("grow-best")
    assert kind is GrowBest
    texts = {"search": "generator-bo", "growth": "splitting", "share": "0.3", "candidates": "9", "space": "widths"}
    found = kind.from_settings(MLP, texts | {"low": "0.5", "growth.growth": "0.7", "stages": "2", "best": "2"})
    wanted = GeneratorBO(Widths(MLP, low=0.5), candidates=9)
    assert found == GrowBest(wanted, SplittingDescent(MLP, growth=0.7, stages=2), share=0.3, best=2)
    assert kind.from_settings(MLP, {}) == GrowBest(RandomSearch(Widths(MLP)), FireflyDescent(MLP))
    both = kind.from_settings(MLP, {"search.lookahead": "2", "lookahead": "3"})
    assert (both.search.lookahead, both.lookahead) == (2, 3)
    tuned = run(GrowBest(SEARCH, GROWTH, tune=Recipe(epochs=1)))
    assert [trial.ledger.epochs for trial in tuned] == [3.0] * 4 + [1.0] * 2


def test_a_comparison_gives_each_driver_its_settings() -> None:
    named = {"grow_best.growth": "net2wider", "grow_best.growth.growth": "0.7", "grow_best.search": "evolution"}
    labels = ["splitting", "grow-best"]
    found = _drivers(labels, MLP, TASK, {"growth": "0.4", "stages": "3", "grow_best.space": "widths"} | named, None)
    assert found["splitting"] == SplittingDescent(MLP, growth=0.4, stages=3)
    assert found["grow-best"] == GrowBest(Evolution(Widths(MLP)), Net2Wider(MLP, growth=0.7, stages=3))


WRONG: dict[str, tuple[dict[str, str], type[Exception], str]] = {
    "no such search": ({"search": "generator-b"}, UnknownName, "did you mean 'generator-bo'"),
    "no such growth": ({"growth": "firefl"}, UnknownName, "did you mean 'firefly'"),
    "no growth": ({"growth": "evolution"}, SettingError, "'evolution' does not grow"),
    "no such setting": ({"stagse": "3"}, UnknownName, "did you mean 'stages'"),
    "of the other driver": ({"growth.candidates": "3"}, UnknownName, "candidates"),
    "of itself": ({"search": "grow-best"}, SettingError, "wrap itself"),
    "no share": ({"share": "1.0"}, SettingError, "a share of the budget"),
    "a share in words": ({"share": "half"}, SettingError, "'share'"),
    "none to grow": ({"best": "0"}, SettingError, "best must be"),
}


@pytest.mark.parametrize(("texts", "kind", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_settings(texts: dict[str, str], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        GrowBest.from_settings(MLP, texts)


def test_wrong_values() -> None:
    with pytest.raises(SettingError, match="does not grow"):
        GrowBest(SEARCH, SEARCH)
    with pytest.raises(SettingError, match="search is a driver"):
        GrowBest(Widths(MLP), GROWTH)  # type: ignore[arg-type]
