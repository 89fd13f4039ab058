"""Where the factors are exact, by arithmetic, and that a wrong form of them would not pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from optimizers.natural_gradient import NaturalGradient
from tests.optimizers.natural_gradient.nets import (
    EDGES,
    ROWS,
    Layers,
    block,
    brute_force,
    error,
    features,
    gcn,
    linear,
    mse_hessian,
    softmax_hessian,
)

SHARES = dict.fromkeys(ROWS.tolist(), 1.0 / len(ROWS))


def looked(model: nn.Module, *inputs: torch.Tensor, loss: str = "mse", **settings: Any) -> NaturalGradient:
    rows = settings.pop("rows", ROWS)
    optimizer = NaturalGradient(model, fisher=settings.pop("fisher", "exact"), **settings)
    optimizer.curvature(model(*inputs), loss=loss, rows=rows)
    return optimizer


def wanted(model: nn.Module, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, loss: str = "mse"):
    """The exact block of a layer, its bias a column after its weight's."""
    hessian = mse_hessian if loss == "mse" else softmax_hessian
    both = [weight] if bias is None else [weight, bias]
    F = brute_force(lambda: model(x, EDGES), both, hessian, SHARES)
    width, inputs = weight.shape
    order = torch.arange(width * inputs).reshape(width, inputs)
    if bias is not None:
        order = torch.cat((order, width * inputs + torch.arange(width)[:, None]), dim=1)
    order = order.reshape(-1)
    return F[order][:, order]


@pytest.mark.parametrize("bias", [False, True])
def test_one_linear_graph_layer_is_exact(bias: bool):
    model, x = gcn(4, 3, bias=bias), features()
    layer = model.layers[0]
    optimizer = looked(model, x, EDGES)
    assert error(block(optimizer.state[layer.lin.weight]), wanted(model, x, layer.lin.weight, layer.bias)) < 1e-10


def test_other_forms_of_one_linear_graph_layer_are_not():
    model, x = gcn(4, 3, bias=False), features()
    weight = model.layers[0].lin.weight
    exact = wanted(model, x, weight, None)
    for settings in ({"every_row": True}, {"mode": "lin"}):
        assert error(block(looked(model, x, EDGES, **settings).state[weight]), exact) > 0.1
    # the paper's scale: g is 1 / n_L of a sample's gradient, times the output width, over all nodes and n_L
    state = looked(model, x, EDGES, every_row=True).state[weight]
    A = state["input_factor"] * len(x) / len(ROWS)
    G = state["output_factor"] / len(ROWS) * 3**2 / len(ROWS)
    assert error(torch.kron(G, A), exact) > 0.3


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("depth", "mode"), [(2, "auto"), (2, "reduce"), (3, "reduce")])
def test_reduce_is_exact_for_linear_networks(bias: bool, depth: int, mode: str):
    model, x = gcn(*[4, 5, 6, 3][-depth - 1 :] if depth == 3 else [4, 5, 3], bias=bias, between=linear), features()
    optimizer = looked(model, x, EDGES, mode=mode)
    for layer in model.layers:
        found = block(optimizer.state[layer.lin.weight])
        assert error(found, wanted(model, x, layer.lin.weight, layer.bias)) < 1e-10


@pytest.mark.parametrize("mode", ["conv", "lin"])
def test_one_hop_forms_are_not_exact_for_the_first_of_two_layers(mode: str):
    model, x = gcn(4, 5, 3, bias=False, between=linear), features()
    weight = model.layers[0].lin.weight
    assert error(block(looked(model, x, EDGES, mode=mode).state[weight]), wanted(model, x, weight, None)) > 0.2


def test_the_last_layer_of_a_softmax_by_draws_tends_to_the_exact_one():
    model, x = gcn(4, 5, 3), features()
    weight = model.layers[1].lin.weight
    p = model(x, EDGES).detach()[ROWS].softmax(1)
    exact = (torch.diag_embed(p) - p[:, :, None] * p[:, None, :]).mean(0)
    enumerated = looked(model, x, EDGES, loss="cross-entropy").state[weight]["output_factor"]
    assert error(enumerated, exact) < 1e-12
    one, many = (
        looked(model, x, EDGES, loss="cross-entropy", fisher="sample", samples=count).state[weight]["output_factor"]
        for count in (1, 1000)
    )
    assert error(many, exact) < 0.02
    assert error(one, exact) > 0.1


def test_linear_layers_over_samples_are_exact_in_the_last_layer():
    torch.manual_seed(1)
    model = Layers(nn.Linear(4, 6), nn.Linear(6, 3), between=torch.tanh)
    x = features()
    optimizer = looked(model, x, rows=None)
    last = model.layers[1]
    hidden = torch.tanh(model.layers[0](x)).detach()
    a = torch.cat((hidden, torch.ones(9, 1, dtype=torch.float64)), dim=1)
    exact = torch.kron(torch.eye(3, dtype=torch.float64) * 2.0 / 3.0, a.mT @ a / 9)
    assert error(block(optimizer.state[last.weight]), exact) < 1e-12


CONVOLUTIONS = [
    (nn.Conv1d(2, 3, 3, padding=1, stride=2), (5, 2, 7)),
    (nn.Conv2d(2, 3, (2, 3), padding=(0, 1), dilation=(2, 1)), (4, 2, 6, 5)),
    (nn.Conv2d(2, 4, 3, padding="same", padding_mode="circular"), (3, 2, 5, 6)),
    (nn.Conv3d(1, 2, 2), (3, 1, 3, 4, 2)),
]


@pytest.mark.parametrize(("layer", "shape"), CONVOLUTIONS, ids=lambda one: str(one)[:6])
def test_patches_are_what_a_convolution_reads(layer: nn.Module, shape: tuple[int, ...]):
    """The output is the patch times the weight; and both forms of weight sharing by their definitions."""
    model = nn.Sequential(layer.double(), nn.Flatten())
    x = torch.randn(shape, dtype=torch.float64)
    outputs = model(x)
    for mode in ("auto", "reduce"):
        optimizer = NaturalGradient(model, mode=mode, fisher="exact")
        optimizer.curvature(model(x), loss="mse")
        state = optimizer.state[layer.weight]
        N, U = shape[0], layer.out_channels
        entries = outputs[0].numel()
        P = entries // U
        rows = _patches(layer, x)  # [N, P, D]
        rows = torch.cat((rows, torch.ones(*rows.shape[:2], 1, dtype=torch.float64)), dim=2)
        G = torch.eye(U, dtype=torch.float64) * 2.0 / entries * P  # sum over positions of H, mean over samples
        if mode == "auto":
            A = torch.einsum("npd,npe->de", rows, rows) / (N * P)
        else:
            A = torch.einsum("nd,ne->de", rows.mean(1), rows.mean(1)) / N
        assert error(state["input_factor"], A) < 1e-12
        assert error(state["output_factor"], G) < 1e-12


def _patches(layer: Any, x: torch.Tensor) -> torch.Tensor:
    """One forward pass with a single 1 among the weights for each number that a patch has."""
    size = layer.weight[0].numel()
    probes = torch.eye(size, dtype=torch.float64).reshape(size, *layer.weight.shape[1:])
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = functional.pad(x, layer._reversed_padding_repeated_twice, mode=mode)
    compute: Callable[..., torch.Tensor] = {3: functional.conv1d, 4: functional.conv2d, 5: functional.conv3d}[x.ndim]
    return compute(padded, probes, stride=layer.stride, dilation=layer.dilation).flatten(2).mT


def test_a_norm_has_its_own_two_by_two_blocks():
    torch.manual_seed(2)
    model = nn.Sequential(nn.BatchNorm1d(3)).double()
    nn.init.normal_(model[0].weight)
    x = torch.randn(6, 3, dtype=torch.float64)
    optimizer = NaturalGradient(model, fisher="exact")
    optimizer.curvature(model(x), loss="mse")
    state, seen = optimizer.state[model[0].weight], (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()
    assert error(state["fisher_scale"], (seen**2).mean(0) * 2 / 3) < 1e-10
    assert error(state["fisher_shift"], torch.full((3,), 2 / 3, dtype=torch.float64)) < 1e-10
    assert (state["fisher_cross"] - seen.mean(0) * 2 / 3).abs().max() < 1e-10


def test_the_diagonal_of_a_loose_parameter_is_right_in_the_mean():
    torch.manual_seed(4)

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.randn(3, dtype=torch.float64))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.scale

    model, x = Scaled(), torch.randn(5, 3, dtype=torch.float64)
    optimizer = NaturalGradient(model, ema=0.0, samples=4000)
    optimizer.curvature(model(x), loss="mse")
    exact = (x**2).mean(0) * 2 / 3
    # a tenth of the way from the mean of the first look to what it found
    assert error(optimizer.state[model.scale]["fisher_diagonal"], 0.9 * exact.mean() + 0.1 * exact) < 0.1
