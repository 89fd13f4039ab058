"""The criterion by its name: what it says stands for the point that it holds; wrong options are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from archgraph import Network
from archgraph.continual import Library, twin_slots, widened
from archgraph.continual.chapter import Chapter
from archgraph.continual.worth import CRITERION, Offered, point_of
from archgraph.errors import SettingError
from archgraph.registry import CRITERIA
from archgraph.scoring import score_sites
from archgraph.tasks import Loss
from tests.continual.trunks import inputs, outputs, three_tasks, trunk

LOSS = Loss.named("cross-entropy")


def offered(name: str) -> tuple[Library, Network, Offered]:
    library, _ = three_tasks(name)
    network, plan = library.begin(trunk(name, 3), seed=1)
    homes = library.chapters[0].homes.growable
    probed = widened(network.to(torch.float64), plan, library, dict.fromkeys(homes, 2), seed=2)
    reserved = {home: (*library.slots(home), *probed.slots[home]) for home in homes}
    twins = twin_slots(Chapter("", 3, network.graph, plan, {}), reserved)
    pairs = tuple((home, tuple(own.items())) for home, own in twins.items())
    kinds = ("unlock", "new", "split")
    return library, probed.network, Offered(str(probed.plan), 3, kinds, tuple(probed.slots.items()), pairs, steps=8)


@pytest.mark.parametrize("name", ["mlp", "conv", "residual"])
def test_scores_by_name(name: str) -> None:
    _, network, how = offered(name)
    x, y = inputs(network.graph, seed=5, samples=46).double(), torch.arange(46) % 3
    assert CRITERION in CRITERIA
    found = score_sites(network, x, y, LOSS, criterion=CRITERION, options=how.options)
    score, laid = found.scores[CRITERION], how.over(network)
    assert len(score.index) == len(laid.gates) == len(score.directions) and found.samples > 46 and found.macs > 0
    assert score.noise is not None and bool((score.noise >= 0.0).all())
    point = point_of(laid, score)
    assert bool((laid.lengths(point.directions) <= 1.0 + 1e-9).all())
    assert torch.equal(point.gates, score.gates)
    before, after = (LOSS(outputs(laid.network(one), x), y).item() for one in (point.closed(), point))
    assert after < before
    again = score_sites(network, x, y, LOSS, criterion=CRITERION, options=how.options).scores[CRITERION]
    assert torch.equal(again.index, score.index) and torch.equal(again.directions, score.directions)


def test_half_of_the_samples_judge_what_the_other_half_has_found() -> None:
    _, network, how = offered("mlp")
    x, y = inputs(network.graph, seed=5, samples=40).double(), torch.arange(40) % 3
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    base = score_sites(network, x, y, LOSS, criterion=CRITERION, options=how.options).scores[CRITERION]
    other = score_sites(network, x[order], y[order], LOSS, criterion=CRITERION, options=how.options).scores[CRITERION]
    assert not torch.equal(base.index, other.index)  # other samples are in the halves


def test_nothing_to_offer() -> None:
    _, network, how = offered("mlp")
    empty = replace(how, kinds=("unlock",), only=())
    found = score_sites(
        network, torch.randn(5, 3), torch.arange(5) % 3, LOSS, criterion=CRITERION, options=empty.options
    )
    assert found.scores == {} and found.macs == 0


def test_refusals() -> None:
    _, network, how = offered("mlp")
    x, y = torch.randn(5, 3).double(), torch.arange(5) % 3
    with pytest.raises(SettingError, match=r"other options.*stpes"):
        score_sites(network, x, y, LOSS, criterion=CRITERION, options={**how.options, "stpes": 3})
    with pytest.raises(SettingError, match=r"other options.*plan"):
        score_sites(network, x, y, LOSS, criterion=CRITERION, options={"task": 3})
    with pytest.raises(SettingError, match="scores all there is"):
        score_sites(network, x, y, LOSS, criterion=CRITERION, sites=("a",), options=how.options)
    with pytest.raises(SettingError, match="box must be a positive number"):
        score_sites(network, x, y, LOSS, criterion=CRITERION, options={**how.options, "box": 0.0})
