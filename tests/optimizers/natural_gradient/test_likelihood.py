from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from archgraph.errors import DataError, UnknownName
from archgraph.tasks import Loss
from optimizers.natural_gradient import likelihood_of

SHAPES = [
    ("cross-entropy", (3, 5)),
    ("cross-entropy", (2, 3, 4)),
    ("mse", (3, 4)),
    ("mse", (2, 3, 2)),
    ("binary-cross-entropy", (3,)),
    ("binary-cross-entropy", (2, 5)),
]


def targets(loss: str, outputs: torch.Tensor) -> torch.Tensor:
    if loss == "cross-entropy":
        return torch.randint(outputs.shape[1], (outputs.shape[0], *outputs.shape[2:]))
    return torch.rand_like(outputs)


def hessians(loss: str, outputs: torch.Tensor) -> list[torch.Tensor]:
    """The Hessian of each sample's loss at its outputs, by differentiating twice."""
    y = targets(loss, outputs)
    return [
        torch.autograd.functional.hessian(lambda one, i=i: Loss(loss)(one[None], y[i : i + 1]), outputs[i])
        for i in range(len(outputs))
    ]


@pytest.mark.parametrize(("loss", "shape"), SHAPES)
def test_columns_and_products_are_the_hessian_of_the_loss(loss: str, shape: tuple[int, ...]):
    outputs = torch.randn(shape, dtype=torch.float64)
    likelihood, size = likelihood_of(loss), outputs[0].numel()
    found = torch.zeros(len(outputs), size, size, dtype=torch.float64)
    for column in likelihood.columns(outputs):
        flat = column.reshape(len(outputs), -1)
        found += flat[:, :, None] * flat[:, None, :]
    vectors = torch.randn_like(outputs)
    products = likelihood.multiply(outputs, vectors)
    for sample, wanted in enumerate(hessians(loss, outputs)):
        H = wanted.reshape(size, size)
        assert (found[sample] - H).abs().max() < 1e-12
        assert (products[sample].reshape(-1) - H @ vectors[sample].reshape(-1)).abs().max() < 1e-12


@pytest.mark.parametrize(("loss", "shape"), SHAPES)
def test_draws_have_mean_zero_and_the_hessian_as_moment(loss: str, shape: tuple[int, ...]):
    outputs = torch.randn(shape, dtype=torch.float64)
    generator = torch.Generator().manual_seed(5)
    many = outputs.repeat(20_000, *[1] * (outputs.ndim - 1))
    drawn = likelihood_of(loss).draw(many, generator).reshape(20_000, len(outputs), -1)
    assert drawn.mean(0).abs().max() < 0.03
    for sample, wanted in enumerate(hessians(loss, outputs)):
        moment = drawn[:, sample].mT @ drawn[:, sample] / len(drawn)
        assert (moment - wanted.reshape(moment.shape)).abs().max() < 0.04


def test_a_draw_depends_on_the_generator_alone():
    outputs = torch.randn(4, 6)
    once, again = (likelihood_of("cross-entropy").draw(outputs, torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(once, again)
    torch.manual_seed(9)
    before = torch.random.get_rng_state()
    likelihood_of("mse").draw(outputs, torch.Generator().manual_seed(2))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_certain_class_is_always_drawn():
    outputs = functional.one_hot(torch.tensor([2, 0]), 3).double() * 1e4
    drawn = likelihood_of("cross-entropy").draw(outputs, torch.Generator().manual_seed(0))
    assert torch.equal(drawn, torch.zeros_like(drawn))


def test_what_has_no_likelihood_is_refused():
    with pytest.raises(UnknownName, match="cross-entropy"):
        likelihood_of("cross-entrop")
    with pytest.raises(DataError, match=r"\[N, T"):
        likelihood_of("cross-entropy").multiply(torch.zeros(3), torch.zeros(3))
