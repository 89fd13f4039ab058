"""Opening gates: what was measured is the loss of what is grown, and nothing better was tried."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from archgraph import Network, Task
from archgraph.errors import EvaluationFailed
from archgraph.evaluation import Evaluator, Report
from archgraph.overgrown import NewUnits, Overlay, SplitUnits, overgrow
from archgraph.scoring import score_sites
from archgraph.scoring.firefly import point_of
from optimizers.firefly.ray import Ray
from tests.optimizers.firefly.nets import MLP
from tests.strategies import network_of

X = torch.randn(60, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TASK = Task.from_tensors(
    "own", X, (X[:, :3] * X[:, 3:]).argmax(1), loss="cross-entropy", outputs=3, dtype=torch.float64
)
GROWS = (SplitUnits("a", (0, 1, 2, 3)), SplitUnits("b", (0, 1, 2, 3, 4)), NewUnits("a", 8), NewUnits("b", 8))


def case(chosen: list[int], **more: Any) -> Ray:
    split = TASK.splits["train"]
    base = network_of(MLP, seed=3)
    scores = score_sites(base, split.x, split.y, TASK.loss, criterion="firefly", options={"steps": 30}).scores
    overlay: Overlay = overgrow(base, GROWS)
    index = torch.cat([one.index for one in scores.values()])
    return Ray(overlay, point_of(overlay, scores), chosen, index, **more)


def answered(asking: Any) -> tuple[Any, list[float]]:
    evaluator, losses, told = Evaluator(TASK, device="cpu"), [], None
    while True:
        try:
            request = asking.send(told)
        except StopIteration as end:
            return end.value, losses
        told = evaluator.evaluate(request)
        losses.append(float(told.metrics["train.loss"]))


def loss_of(network: Network) -> float:
    split = TASK.splits["train"]
    with torch.no_grad():
        return float(TASK.loss(network.to_torch().eval()(split.x), split.y))


@pytest.mark.parametrize("chosen", [[1, 3, 6], [10, 12, 19], [0, 5, 11, 21]], ids=["splits", "new", "both"])
def test_the_best_of_what_was_tried_is_what_is_grown(chosen: list[int]) -> None:
    ray = case(chosen)
    opening, losses = answered(ray.best())
    assert losses[0] == pytest.approx(loss_of(ray.overlay.base), abs=1e-12)
    assert opening.measured == pytest.approx(min(losses[1:]) - losses[0], abs=1e-12)
    assert opening.measured < 0.0
    grown = ray.grown(opening)
    assert loss_of(grown.network) - losses[0] == pytest.approx(opening.measured, abs=1e-12)
    assert loss_of(opening.network) == pytest.approx(loss_of(grown.network), abs=1e-12)
    assert sum(one.gates for one in grown.candidates) == len(chosen)


def test_splits_go_as_far_as_helps_by_themselves() -> None:
    ray = case([0, 5, 11, 21])
    opening, losses = answered(ray.best())
    assert len(losses) >= 4
    assert opening.split_share != opening.share
    splits = sum(float(ray.index[one]) for one in (0, 5))
    rest = sum(float(ray.index[one]) for one in (11, 21))
    expected = splits * opening.split_share**2 + rest * opening.share
    assert opening.predicted == pytest.approx(expected, rel=1e-12)


def test_one_opening_alone_without_a_line_search() -> None:
    opening, losses = answered(case([10], ladder=False).best())
    assert len(losses) == 2
    assert (opening.share, opening.split_share) == (1.0, 1.0)


def test_what_makes_it_worse_is_closed_again_and_again() -> None:
    ray = case([10, 12])
    worse = Ray(ray.overlay, type(ray.point)(-ray.point.gates, ray.point.directions), [10, 12], ray.index)
    opening, losses = answered(worse.best())
    assert losses[1:] == sorted(losses[1:], reverse=True)
    assert opening.measured > 0.0
    assert opening.share == 0.0625


def test_a_loss_that_cannot_be_measured() -> None:
    asking = case([10]).best()
    asking.send(None)
    with pytest.raises(EvaluationFailed, match="no memory"):
        asking.send(Report("", failure="no memory"))
