from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional

from optimizers.natural_gradient import SSP, NaturalGradient
from tests.optimizers.natural_gradient.nets import EDGES, ROWS, error, features, gcn, labels


def hooks(model: nn.Module) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.modules())


def test_optimizers_that_are_dropped_leave_no_hooks():
    model = gcn(4, 5, 3)
    for kind in (NaturalGradient, SSP):
        for _ in range(20):
            optimizer = kind(model)
            assert hooks(model) == 3
            outputs = model(features(), EDGES)
            loss = functional.cross_entropy(outputs[ROWS], labels()[ROWS])
            optimizer.curvature(outputs, loss, rows=ROWS)
            loss.backward()
            optimizer.step()
            del optimizer
            assert hooks(model) == 0


def test_neither_keeps_the_other_alive():
    gc.collect()
    gc.disable()
    try:
        model = gcn(4, 5, 3)
        optimizer = NaturalGradient(model)
        model(features(), EDGES)
        known = weakref.ref(optimizer)
        del optimizer
        assert known() is None
        optimizer = NaturalGradient(model)
        alive = weakref.ref(model.layers[0])
        del model, optimizer
    finally:
        gc.enable()
    gc.collect()
    assert alive() is None


def test_hooks_are_there_while_watching_only():
    model = gcn(4, 5, 3)
    optimizer = NaturalGradient(model.parameters())
    optimizer.attach(model)
    assert hooks(model) == 0
    with optimizer.watching():
        assert hooks(model) == 3
        outputs = model(features(), EDGES)
    assert hooks(model) == 0
    optimizer.curvature(outputs, rows=ROWS)
    assert "output_factor" in optimizer.state[model.layers[0].lin.weight]
    held = NaturalGradient(model)
    held.remove_hooks()
    assert hooks(model) == 0


def test_evaluation_changes_nothing():
    found = []
    for evaluations in (0, 7):
        model = gcn(4, 5, 3)
        optimizer = NaturalGradient(model, fisher="exact")
        outputs = model(features(), EDGES)
        model.eval()
        for seed in range(evaluations):  # more than are kept, but none of training is given up for them
            model(features(seed), EDGES)
        model.train()
        with torch.no_grad():
            model(features(), EDGES)
        assert not optimizer.state
        optimizer.curvature(outputs, rows=ROWS)
        found.append(optimizer.state[model.layers[0].lin.weight])
    assert all(torch.equal(found[1][name], value) for name, value in found[0].items())


def test_training_in_evaluation_mode_is_training():
    """Somebody who fixes dropout and the statistics of norms this way gets the factors of what was computed."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).double().eval()
    model[1].running_mean.normal_(), model[1].running_var.fill_(3.0)
    optimizer = NaturalGradient(model, fisher="exact")
    optimizer.curvature(model(features()), loss="mse")
    seen = (model[0](features()).detach() - model[1].running_mean) / (3.0 + model[1].eps) ** 0.5
    assert error(optimizer.state[model[1].weight]["fisher_scale"], seen.square().mean(0) * 2 / 3) < 1e-12
    rows = torch.cat((features(), torch.ones(9, 1, dtype=torch.float64)), dim=1)
    assert error(optimizer.state[model[0].weight]["input_factor"], rows.mT @ rows / 9) < 1e-12


def test_layers_that_nobody_saw_have_a_diagonal_and_no_information():
    model = gcn(4, 5, 3)
    optimizer = NaturalGradient(model)
    optimizer.remove_hooks()
    for _ in range(2):
        outputs = model(features(), EDGES)
        optimizer.zero_grad()
        if not optimizer.steps:
            with pytest.warns(UserWarning, match="watching"):
                optimizer.curvature(outputs, rows=ROWS)
        else:  # once is enough
            optimizer.reset_state(model)
            optimizer.curvature(outputs, rows=ROWS)
        outputs.square().sum().backward()
        optimizer.step()
    assert optimizer.information() == {}
    assert all("fisher_diagonal" in optimizer.state[one] for one in model.parameters())


def test_hooks_go_between_looks():
    model = gcn(4, 5, 3)
    optimizer = NaturalGradient(model, interval=3)
    seen = []
    for _ in range(5):
        seen.append(hooks(model))
        outputs = model(features(), EDGES)
        loss = functional.cross_entropy(outputs[ROWS], labels()[ROWS])
        optimizer.zero_grad()
        optimizer.curvature(outputs, loss, rows=ROWS)
        loss.backward()
        optimizer.step()
    assert seen == [3, 0, 0, 3, 0]
    optimizer.reset_state(model.layers[1])
    assert hooks(model) == 3


def factor(forwards: int) -> torch.Tensor:
    model = gcn(4, 5, 3)
    optimizer = NaturalGradient(model, fisher="exact")
    for seed in range(forwards - 1):
        model(features(seed + 5), EDGES)
    outputs = model(features(), EDGES)
    optimizer.curvature(outputs, rows=ROWS)
    assert optimizer._attached.recorder.records() == []
    state = optimizer.state[model.layers[0].lin.weight]
    return state["input_rows"] if "input_rows" in state else state["input_factor"]


def test_other_forward_passes_before_it_do_not_count():
    assert torch.equal(factor(1), factor(2))
    assert torch.equal(factor(1), factor(9))


def test_two_passes_that_both_count():
    """Outputs of two passes, one below the other, are those of one pass over all samples."""
    torch.manual_seed(0)
    x = features()
    found = []
    for parts in ([x], [x[:4], x[4:]]):
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(4, 3)).double()
        optimizer = NaturalGradient(model, fisher="exact")
        outputs = torch.cat([model(part) for part in parts])
        optimizer.curvature(outputs)
        found.append(optimizer.state[model[0].weight]["output_factor"])
    assert error(found[1], found[0]) < 1e-12


def test_a_module_that_is_called_twice_sums_its_gradients():
    torch.manual_seed(2)
    layer = nn.Linear(3, 3).double()
    model = nn.Sequential(layer, nn.Tanh(), layer)
    x = torch.randn(6, 3, dtype=torch.float64)
    optimizer = NaturalGradient(model, fisher="exact")
    assert len(optimizer._attached.blocks) == 1
    outputs = model(x)
    optimizer.curvature(outputs, loss="mse")
    state = optimizer.state[layer.weight]
    hidden = torch.tanh(layer(x)).detach()
    rows = torch.cat((torch.cat((x, hidden)), torch.ones(12, 1, dtype=torch.float64)), dim=1)
    assert error(state["input_factor"], rows.mT @ rows / 12) < 1e-12
    back = torch.einsum("nu,uh->nuh", 1 - hidden**2, torch.eye(3, dtype=torch.float64)) @ layer.weight.detach().mT
    G = torch.eye(3, dtype=torch.float64) * 2 / 3
    G = G + torch.einsum("nhu,nku->hk", back, back) / 6 * 2 / 3
    assert error(state["output_factor"], G) < 1e-10


def test_functions_in_place_behind_a_layer_change_nothing():
    found = []
    for inplace in (False, True):
        torch.manual_seed(3)
        model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=inplace), nn.Linear(5, 3)).double()
        optimizer = NaturalGradient(model, fisher="exact")
        optimizer.curvature(model(features()))
        found.append(optimizer.state[model[0].weight]["output_factor"])
    assert torch.equal(*found)
