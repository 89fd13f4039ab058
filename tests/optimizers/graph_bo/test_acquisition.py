"""What a graph is worth, against known values, loops and BoTorch; what colours do, against differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from archgraph.spaces.nas_bench_201 import EDGES, cell, nas_bench_201
from optimizers.bayesian.alone import alone
from optimizers.graph_bo.acquisition import log_improvement, model, needs_samples, sampled, screen
from optimizers.graph_bo.belief import Belief
from optimizers.graph_bo.gallery import Gallery
from optimizers.graph_bo.seen import Seen

SPACE = nas_bench_201()
NAN = torch.full((12,), math.nan, dtype=torch.float64)


def gallery(count: int) -> Gallery:
    found = Gallery("wl", SPACE.encode)
    for seed in range(count):
        values = SPACE.draw(seed)
        found.add(SPACE.key(values), values, cell([str(values[edge]) for edge in EDGES]))
    return found


def cost(found: Gallery) -> Tensor:  # [G]
    """Fewer convolutions of 3 x 3 are worse."""
    counts = [sum(op == "nor_conv_3x3" for op in values.values()) for values, _ in found.points]
    return torch.tensor([0.5 - 0.05 * count for count in counts], dtype=torch.float64)


def believed(*, objectives: int = 1, constraints: int = 0, pending: tuple[int, ...] = (), seen: int = 12) -> Belief:
    found = gallery(40)
    first = cost(found)[:seen]
    costs = torch.stack([first, -first.square()], 1)[:, :objectives]
    slack = (first - 0.42)[:, None].expand(-1, constraints)
    return Belief.of(found, Seen(tuple(range(seen)), costs, slack, NAN[:seen], seen, (), pending))


def test_known_values_of_the_improvement() -> None:
    from botorch.acquisition.analytic import _log_ei_helper

    u = torch.tensor([-300.0, -99.0, -38.0, -5.0, -1.0, -0.3, 0.0, 0.7, 4.0, 60.0], dtype=torch.float64)
    assert torch.allclose(log_improvement(u), _log_ei_helper(u), rtol=1e-9, atol=0.0)
    assert float(log_improvement(torch.tensor(1.0).double()).exp()) == pytest.approx(1.0833154705876864, abs=1e-12)


def test_moments_are_those_of_the_textbook() -> None:
    belief = believed()
    process, rows = belief.processes[0], list(range(12))
    mean, variance = belief.moments([20, 33])
    K = process.mixture.gram(belief.gallery.grams(rows, rows, seen=rows)) + process.mixture.noise * torch.eye(12)
    k = process.mixture.gram(belief.gallery.grams(rows, [20, 33], seen=rows))
    expected = process.mixture.mean + k.T @ torch.linalg.solve(K, process.y - process.mixture.mean)
    assert torch.allclose(mean[:, 0], expected, atol=1e-6)
    left = process.mixture.scale - (k * torch.linalg.solve(K, k)).sum(0)
    assert torch.allclose(variance[:, 0], left, atol=1e-6)


def test_the_botorch_model_believes_the_same() -> None:
    belief = believed()
    rows = list(range(25))
    inputs = torch.arange(25, dtype=torch.float64)[:, None]
    posterior = model(belief, rows, inputs[:12]).posterior(inputs[:, None, :])
    mean, variance = belief.moments(rows)
    assert torch.allclose(posterior.mean[:, 0], mean, atol=1e-5)
    assert torch.allclose(posterior.variance[:, 0], variance, atol=1e-5)


def test_what_is_awaited_is_known_better_and_no_better() -> None:
    plain, awaiting = believed(), believed(pending=(20, 31))
    for asked in ([20, 31], [25]):
        (mean, variance), (same, less) = plain.moments(asked), awaiting.moments(asked)
        assert torch.allclose(mean, same, atol=1e-9)
        assert (less <= variance + 1e-12).all()
    assert awaiting.moments([20])[1] < 0.6 * plain.moments([20])[1] + 1e-3
    assert needs_samples(awaiting)
    assert not needs_samples(plain)


def test_samples_agree_with_the_closed_form() -> None:
    belief = believed()
    rows = list(range(12, 40))
    with alone(0):
        closed, drawn = screen(belief, rows, 0), sampled(belief, rows, 0)
        again = sampled(belief, rows, 0)
    top = set(closed.topk(6).indices.tolist())
    assert int(drawn.argmax()) in top
    assert torch.equal(drawn, again)


@pytest.mark.parametrize(("objectives", "constraints"), [(2, 0), (1, 1), (2, 1)])
def test_of_several_outcomes(objectives: int, constraints: int) -> None:
    belief = believed(objectives=objectives, constraints=constraints)
    rows = list(range(12, 40))
    value = screen(belief, rows, 5)
    assert value.shape == (28,)
    assert value.isfinite().all()
    assert torch.equal(value, screen(belief, rows, 5))
    with alone(0):
        drawn = sampled(belief, rows[:7], 5)
    assert drawn.shape == (7,)
    assert len(belief.reference) == objectives
    worst = max(float(score.scores.min()) for score in belief.scores)
    assert (belief.reference < worst).all()


def test_where_no_graph_keeps_the_constraints_one_is_looked_for() -> None:
    found = gallery(40)
    first = cost(found)[:12]
    slack = (first - 0.1)[:, None]
    belief = Belief.of(found, Seen(tuple(range(12)), first[:, None], slack, NAN, 12, (), ()))
    value = screen(belief, None, 0)
    mean, variance = belief.moments(None)
    expected = torch.special.log_ndtr((belief.limits - mean[:, 1:]) / variance[:, 1:].sqrt())[:, 0]
    assert torch.allclose(value, expected)


def test_effects_are_slopes_of_the_mean() -> None:
    """``d mu / d q`` times the spread of ``q``: the mean of a graph is the sum of its counts times the slopes."""
    belief = believed()
    found, rows = belief.gallery, list(belief.seen.rows)
    total = torch.full((40,), belief.processes[0].mixture.mean, dtype=torch.float64)
    for level in range(3):
        effects, counts = belief.effects(level), torch.from_numpy(found.counts(level).toarray())
        spread = counts[rows].std(0, unbiased=False)
        for place, colour in enumerate(found.colours(level)):
            if colour in effects:
                total += counts[:, place] * effects[colour] / spread[place]
            else:  # as it is in every observed graph alike, it has no effect there, but a slope
                slope = belief.processes[0].mixture.variances[level]
                total += counts[:, place] * slope * (belief.processes[0].slopes @ counts[rows, place])
    assert torch.allclose(total, belief.moments(range(40))[0][:, 0], atol=1e-6)
    strongest = next(iter(belief.effects(0)))
    assert "kernel_size=3" in strongest
    assert belief.effects(0)[strongest] > 0.0


def test_other_kernels_have_no_effects() -> None:
    found = Gallery("wl-oa", SPACE.encode)
    for seed in range(5):
        values = SPACE.draw(seed)
        found.add(str(seed), values, SPACE.build(values))
    costs = torch.tensor([[0.1], [0.2], [0.4], [0.3], [0.9]], dtype=torch.float64)
    belief = Belief.of(found, Seen(tuple(range(5)), costs, costs[:, :0], NAN[:5], 5, (), ()))
    assert belief.effects() == {}
    assert belief.recommended() in range(5)
