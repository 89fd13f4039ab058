"""What a natural gradient must not depend on: coordinates, units of the loss, the order and the number of samples."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from optimizers.natural_gradient import SSP, NaturalGradient
from tests.optimizers.natural_gradient.nets import EDGES, ROWS, Layers, error, features, gcn, labels

FREE = {"kl_clip": 0.0, "momentum": 0.0, "damping": 0.0, "lr": 0.01, "interval": 1}


def change(model: nn.Module, x: Tensor, edges: Tensor = EDGES, rows: Tensor = ROWS, **settings: Any) -> Tensor:
    """Return by how much one step changes the outputs."""
    told = {name: settings.pop(name) for name in ("weights", "reduction", "scale") if name in settings}
    optimizer = NaturalGradient(model, **{**FREE, "fisher": "exact", **settings})
    outputs = model(x, edges)
    terms = functional.cross_entropy(outputs[rows], labels()[rows], reduction="none")
    weights = told.get("weights", torch.ones(len(rows), dtype=torch.float64))
    loss = (terms * weights).sum() * told.get("scale", 1.0)
    if told.get("reduction", "mean") == "mean":
        loss = loss / weights.sum()
    optimizer.curvature(outputs, loss, rows=rows, **told)
    loss.backward()
    optimizer.step()
    return model(x, edges).detach() - outputs.detach()


def test_one_step_of_a_linear_layer_is_least_squares():
    torch.manual_seed(0)
    x, y = torch.randn(11, 4, dtype=torch.float64), torch.randn(11, 3, dtype=torch.float64)
    model = nn.Sequential(nn.Linear(4, 3)).double()
    optimizer = NaturalGradient(model, **{**FREE, "lr": 1.0})
    outputs = model(x)
    optimizer.curvature(outputs, loss="mse")
    state = optimizer.state[model[0].weight]
    # the Fisher information of a normal distribution is known; one draw of it is not it
    state["output_factor"] = torch.eye(3, dtype=torch.float64) * 2.0 / 3.0
    del state["output_inverse"]
    (outputs - y).square().mean().backward()
    optimizer.step()
    wide = torch.cat((x, torch.ones(11, 1, dtype=torch.float64)), dim=1)
    assert error(model(x).detach(), wide @ torch.linalg.lstsq(wide, y).solution) < 1e-10


def test_the_same_by_enumeration():
    torch.manual_seed(0)
    x, y = torch.randn(11, 4, dtype=torch.float64), torch.randn(11, 3, dtype=torch.float64)
    model = nn.Sequential(nn.Linear(4, 3)).double()
    optimizer = NaturalGradient(model, **{**FREE, "lr": 1.0, "fisher": "exact"})
    outputs = model(x)
    optimizer.curvature(outputs, loss="mse")
    (outputs - y).square().mean().backward()
    optimizer.step()
    wide = torch.cat((x, torch.ones(11, 1, dtype=torch.float64)), dim=1)
    assert error(model(x).detach(), wide @ torch.linalg.lstsq(wide, y).solution) < 1e-10


def mapped(damping: float) -> float:
    """The relative difference of the steps of a network and of the same one on features ``X B``."""
    B = torch.randn(4, 4, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    model, other, x = gcn(4, 5, 3), gcn(4, 5, 3), features()
    with torch.no_grad():
        other.layers[0].lin.weight.copy_(torch.linalg.solve(B, model.layers[0].lin.weight.mT).mT)
    assert error(other(x @ B, EDGES), model(x, EDGES)) < 1e-12
    settings = {"damping": damping, "every_row": True}  # of all nodes: the moment of four inputs and a 1 is regular
    first = change(model, x, **settings)
    return error(change(other, x @ B, **settings), first)


def test_a_linear_map_of_the_features_changes_nothing():
    assert mapped(0.0) < 1e-6
    assert mapped(0.0) < mapped(1e-4) < mapped(1e-2)


def test_gradient_descent_is_not_invariant():
    assert mapped(1e9) > 0.1


def test_an_affine_map_between_linear_layers_changes_nothing():
    """The hidden units of ``W2 (W1 x + b1) + b2`` in other coordinates, ``C h + c``."""
    torch.manual_seed(5)
    C, c = torch.randn(2, 2, dtype=torch.float64), torch.randn(2, dtype=torch.float64)
    models = [Layers(nn.Linear(4, 2), nn.Linear(2, 3), between=torch.clone) for _ in range(2)]  # two: regular factors
    models[1].load_state_dict(models[0].state_dict())
    (first, second), (one, two) = (model.layers for model in models)
    with torch.no_grad():
        one.weight.copy_(C @ first.weight)
        one.bias.copy_(C @ first.bias + c)
        two.weight.copy_(torch.linalg.solve(C.mT, second.weight.mT).mT)
        two.bias.copy_(second.bias - two.weight @ c)
    x = features()

    def step(model: nn.Module) -> Tensor:
        optimizer = NaturalGradient(model, **{**FREE, "fisher": "exact"})
        outputs = model(x)
        optimizer.curvature(outputs)
        functional.cross_entropy(outputs, labels()).backward()
        optimizer.step()
        return model(x).detach() - outputs.detach()

    assert error(step(models[1]), step(models[0])) < 1e-6


def test_relabelled_nodes_change_nothing():
    order = torch.randperm(9, generator=torch.Generator().manual_seed(3))
    place = torch.argsort(order)
    found = []
    for x, edges, rows in ((features(), EDGES, ROWS), (features()[order], place[EDGES], place[ROWS])):
        model = gcn(4, 5, 3)
        optimizer = NaturalGradient(model, **{**FREE, "damping": 1e-2, "fisher": "exact", "mode": "reduce"})
        outputs = model(x, edges)
        optimizer.curvature(outputs, rows=rows)
        y = labels() if edges is EDGES else labels()[order]
        functional.cross_entropy(outputs[rows], y[rows]).backward()
        optimizer.step()
        found.append(torch.cat([p.detach().reshape(-1) for p in model.parameters()]))
    assert error(found[1], found[0]) < 1e-12


WEIGHTS = torch.tensor([1.0, 3.0, 0.5, 2.0], dtype=torch.float64)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"scale": 7.0}),
        ({}, {"reduction": "sum"}),
        ({"weights": WEIGHTS}, {"weights": 5.0 * WEIGHTS}),
        ({"weights": WEIGHTS, "reduction": "sum"}, {"weights": WEIGHTS}),
        ({}, {"rows": ROWS.repeat(2)}),
    ],
    ids=["loss times a number", "sum or mean", "weights times a number", "sum of weighted", "every node twice"],
)
def test_units_of_the_loss_change_no_undamped_step(one: dict[str, Any], other: dict[str, Any]):
    # the last layer's block has no random sign in it, the first's has: hold it still
    steps = []
    for settings in (one, other):
        model = gcn(4, 3)
        steps.append(change(model, features(), **settings))
    assert error(steps[1], steps[0]) < 1e-9


def test_units_of_the_loss_change_a_step_of_the_paper():
    """Its factor of gradients has the loss squared in it: this guards the tests above."""
    steps = []
    for scale in (1.0, 7.0):
        model = gcn(4, 3)
        optimizer = SSP(model, base="sgd", epsilon=1e-14, lr=1e-6)
        before = torch.cat([p.detach().clone().reshape(-1) for p in model.parameters()])
        outputs = model(features(), EDGES)
        loss = scale * functional.cross_entropy(outputs[ROWS], labels()[ROWS])
        optimizer.curvature(outputs, loss, rows=ROWS)
        loss.backward()
        optimizer.step()
        steps.append(torch.cat([p.detach().reshape(-1) for p in model.parameters()]) - before)
    assert error(steps[1], steps[0]) > 0.5


def test_the_seed_alone_decides_the_draw():
    steps = [change(gcn(4, 5, 3), features(), fisher="sample", damping=1e-2, seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(steps[0], steps[1])
    assert not torch.equal(steps[0], steps[2])
