from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archgraph.errors import SettingError, UnknownName
from optimizers.natural_gradient import NaturalGradient
from optimizers.natural_gradient.damping import adapted, clip
from tests.optimizers.natural_gradient.nets import EDGES, ROWS, features, gcn, labels


def told(model: nn.Module, optimizer: NaturalGradient, x: Tensor | None = None) -> Tensor:
    outputs = model(features() if x is None else x, EDGES)
    loss = functional.cross_entropy(outputs[ROWS], labels()[ROWS])
    optimizer.zero_grad()
    optimizer.curvature(outputs, loss, rows=ROWS)
    loss.backward()
    return loss.detach()


def flat(model: nn.Module, grad: bool = False) -> Tensor:
    return torch.cat([(p.grad if grad else p.detach()).reshape(-1).clone() for p in model.parameters()])


@pytest.mark.parametrize("mode", ["auto", "lin", "reduce"])
@pytest.mark.parametrize("fisher", ["sample", "exact", "empirical"])
def test_a_direction_goes_down_and_is_clipped(mode: str, fisher: str):
    model = gcn(4, 5, 3)
    limit = 1e-4
    optimizer = NaturalGradient(model, mode=mode, fisher=fisher, kl_clip=limit, momentum=0.0, damping=1e-3)
    told(model, optimizer)
    before, grad = flat(model), flat(model, grad=True)
    inner = sum(one.gain for one in optimizer.information().values())  # <n, g>
    optimizer.step()
    moved = flat(model) - before
    assert float(moved @ grad) < 0.0
    nu = float(-moved @ grad) / (0.1 * inner)
    assert 0.1**2 * inner * nu**2 <= limit * (1 + 1e-6)
    assert nu < 1.0


def test_much_damping_gives_the_direction_of_the_gradient():
    model = gcn(4, 5, 3)
    optimizer = NaturalGradient(model, damping=1e9, momentum=0.0, kl_clip=0.0)
    told(model, optimizer)
    before, grad = flat(model), flat(model, grad=True)
    optimizer.step()
    moved = flat(model) - before
    # each block has a scale of its own, 1 / (a b) = 1 / damping
    assert float((moved / moved.norm() + grad / grad.norm()).norm()) < 1e-3


def test_one_step_is_the_formula():
    model = gcn(4, 5, 3)
    optimizer = NaturalGradient(model, lr=0.3, damping=1e-2, weight_decay=0.1, momentum=0.5, kl_clip=0.0)
    told(model, optimizer)
    layer = model.layers[1]
    state = optimizer.state[layer.lin.weight]
    A = state["input_factor"] if "input_factor" in state else state["input_rows"].mT @ state["input_rows"]
    G = state["output_factor"]
    pi = ((A.trace() / len(A)) / (G.trace() / len(G))).sqrt()
    grad = torch.cat((layer.lin.weight.grad + 0.1 * layer.lin.weight.detach(), layer.bias.grad[:, None]), dim=1)
    eye = torch.eye
    n = (
        torch.linalg.inv(G + 0.1 / pi * eye(3, dtype=G.dtype))
        @ grad
        @ torch.linalg.inv(A + 0.1 * pi * eye(len(A), dtype=A.dtype))
    )
    before = layer.lin.weight.detach().clone(), layer.bias.detach().clone()
    optimizer.step()
    assert torch.allclose(layer.lin.weight, before[0] - 0.3 * n[:, :-1], atol=1e-12)
    assert torch.allclose(layer.bias, before[1] - 0.3 * n[:, -1], atol=1e-12)
    optimizer.zero_grad()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.param_groups[0]["weight_decay"] = 0.0
    optimizer.step()  # momentum alone
    assert torch.allclose(layer.bias, before[1] - 0.45 * n[:, -1], atol=1e-12)


def test_only_every_so_many_steps_look_and_their_averages_decay():
    model = gcn(4, 5, 3)
    optimizer = NaturalGradient(model, interval=3, ema=0.25)
    weight, seen = model.layers[1].lin.weight, []
    for _ in range(7):
        told(model, optimizer)
        optimizer.step()
        seen.append(optimizer.state[weight]["output_factor"].clone())
    changed = [not torch.equal(a, b) for a, b in itertools.pairwise(seen)]
    assert changed == [False, False, True, False, False, True]
    optimizer.param_groups[0]["ema"] = 0.0
    for _ in range(2):
        told(model, optimizer)
        optimizer.step()
    old, state = optimizer.state[weight]["output_factor"].clone(), optimizer.state[weight]
    optimizer.param_groups[0]["ema"] = 0.25
    fresh = NaturalGradient(model, ema=0.0)
    fresh.param_groups[0]["seed"] = 0
    for parameter in model.parameters():
        fresh.state[parameter]["step"] = torch.tensor(9.0)
    told(model, optimizer)
    fresh.param_groups[0]["interval"] = 1
    told(model, fresh)
    assert torch.allclose(state["output_factor"], 0.25 * old + 0.75 * fresh.state[weight]["output_factor"])


def test_inverses_may_be_rarer_than_looks():
    model = gcn(4, 5, 3)
    optimizer = NaturalGradient(model, interval=1, inverse_interval=2)
    weight, seen = model.layers[0].lin.weight, []
    for _ in range(5):
        told(model, optimizer)
        optimizer.step()
        seen.append(optimizer.state[weight]["output_inverse"].clone())
    assert [not torch.equal(a, b) for a, b in itertools.pairwise(seen)] == [False, True, False, True]


def test_wide_inputs_are_kept_as_rows_and_give_the_same_step():
    found = []
    for every in (False, True):
        torch.manual_seed(1)
        model, x = gcn(12, 5, 3), torch.randn(9, 12, dtype=torch.float64)
        optimizer = NaturalGradient(model, kl_clip=0.0)
        told(model, optimizer, x)
        state = optimizer.state[model.layers[0].lin.weight]
        assert state["input_rows"].shape == (4, 13)
        if every:  # the same factor, as a matrix
            state["input_factor"] = state["input_rows"].mT @ state["input_rows"]
            for name in ("input_rows", "input_tail", "input_inverse", "output_inverse"):
                del state[name]
        optimizer.step()
        found.append(flat(model))
    assert float((found[0] - found[1]).norm() / found[0].norm()) < 1e-8


def test_rows_are_compressed_to_a_rank():
    model, x = gcn(12, 5, 3), torch.randn(9, 12, dtype=torch.float64)
    optimizer = NaturalGradient(model, rank=2)
    told(model, optimizer, x)
    assert optimizer.state[model.layers[0].lin.weight]["input_rows"].shape == (2, 13)
    before = float(told(model, optimizer, x))
    optimizer.step()
    assert float(told(model, optimizer, x)) < before


def test_unlabelled_nodes_take_part_when_asked():
    models = [gcn(4, 5, 3) for _ in range(2)]
    one, other = (
        NaturalGradient(model, unlabelled=u, fisher="exact") for model, u in zip(models, (0.0, 1.0), strict=True)
    )
    for model, optimizer in zip(models, (one, other), strict=True):
        told(model, optimizer)
    p = models[1](features(), EDGES).detach().softmax(1)
    exact = (torch.diag_embed(p) - p[:, :, None] * p[:, None, :]).mean(0)
    assert torch.allclose(other.state[models[1].layers[1].lin.weight]["output_factor"], exact, atol=1e-12)
    assert not torch.allclose(one.state[models[0].layers[1].lin.weight]["output_factor"], exact, atol=1e-3)


def test_training_to_the_end_stays_finite():
    """When all is fitted the Fisher information vanishes, and the damping is all that is left."""
    rows = torch.tensor([0, 3, 5, 8])
    for fisher in ("sample", "empirical"):
        torch.manual_seed(0)
        model = gcn(4, 16, 3).float()
        x = features().float()
        optimizer = NaturalGradient(model, fisher=fisher, damping=1e-3)
        for _ in range(260):
            outputs = model(x, EDGES)
            loss = functional.cross_entropy(outputs[rows], labels()[rows])
            optimizer.zero_grad()
            optimizer.curvature(outputs, loss, rows=rows)
            loss.backward()
            optimizer.step()
        assert bool((outputs[rows].argmax(1) == labels()[rows]).all())
        assert all(torch.isfinite(p).all() for p in model.parameters())
        assert float(loss.detach()) < 0.05


def test_outputs_that_are_no_numbers_leave_the_curvature_alone():
    model = gcn(4, 5, 3)
    optimizer = NaturalGradient(model, interval=1)
    told(model, optimizer)
    kept = {name: value.clone() for name, value in optimizer.state[model.layers[0].lin.weight].items()}
    bad = features()
    bad[0, 0] = float("nan")
    told(model, optimizer, bad)
    for name, value in optimizer.state[model.layers[0].lin.weight].items():
        assert torch.equal(value, kept[name])


def test_adaptive_damping_falls_where_the_model_is_right_and_needs_a_closure():
    torch.manual_seed(0)
    x, y = torch.randn(20, 4, dtype=torch.float64), torch.randn(20, 3, dtype=torch.float64)
    model = nn.Sequential(nn.Linear(4, 3)).double()  # the quadratic model is exact
    optimizer = NaturalGradient(model, adaptive=True, fisher="exact", momentum=0.0, kl_clip=0.0, interval=1)

    def closure() -> Tensor:
        optimizer.zero_grad()
        outputs = model(x)
        loss = (outputs - y).square().mean()
        optimizer.curvature(outputs, loss, loss="mse")
        loss.backward()
        return loss

    before = optimizer.step(closure)
    assert optimizer.param_groups[0]["damping"] == pytest.approx(1e-2 * 0.95)
    assert float(optimizer.step(closure).detach()) < float(before.detach())
    with pytest.raises(SettingError, match="closure"):
        optimizer.step()


def test_adaptive_damping_rises_where_the_model_is_wrong():
    model = gcn(4, 5, 3)
    optimizer = NaturalGradient(model, adaptive=True, lr=1e3, kl_clip=0.0, interval=2)

    def closure() -> Tensor:
        return told_loss(model, optimizer)

    optimizer.step(closure)
    assert optimizer.param_groups[0]["damping"] > 1e-2


def told_loss(model: nn.Module, optimizer: NaturalGradient) -> Tensor:
    optimizer.zero_grad()
    outputs = model(features(), EDGES)
    loss = functional.cross_entropy(outputs[ROWS], labels()[ROWS])
    optimizer.curvature(outputs, loss, rows=ROWS)
    loss.backward()
    return loss


def test_rules():
    assert clip(1e-3, 1e-2) == 1.0
    assert clip(1.0, 0.0) == 1.0
    assert clip(0.16, 0.04) == pytest.approx(0.5)
    assert adapted(1.0, 0.5, 5) == 1.0
    assert adapted(1.0, 0.9, 5) == pytest.approx(0.95**5)
    assert adapted(1.0, float("nan"), 2) == pytest.approx(0.95**-2)


def test_information_and_spectra():
    model = gcn(4, 5, 3)
    optimizer = NaturalGradient(model, damping=1e-2)
    told(model, optimizer)
    found = optimizer.information()
    assert set(found) == {"layers.0", "layers.1"}
    state = optimizer.state[model.layers[1].lin.weight]
    A = state["input_factor"] if "input_factor" in state else state["input_rows"].mT @ state["input_rows"]
    assert found["layers.1"].trace == pytest.approx(float(A.trace() * state["output_factor"].trace()))
    assert found["layers.1"].gain > 0.0
    inputs, outputs = optimizer.spectra("layers.1")
    assert float(inputs.sum() * outputs.sum()) == pytest.approx(found["layers.1"].trace)
    with pytest.raises(UnknownName, match=r"layers\.1"):
        optimizer.spectra("layers.2")


@pytest.mark.parametrize(
    "bad",
    [{"lr": -1.0}, {"momentum": 1.0}, {"damping": -1.0}, {"ema": 1.0}, {"interval": 0}, {"mode": "kfac"},
     {"fisher": "true"}, {"samples": 0}, {"rank": -1}, {"lr": float("inf")}, {"damping": "much"}, {"interval": 2.5},
     {"kl_clip": float("nan")}, {"ema": None}, {"rank": float("inf")},
     {"seed": "s"}, {"adaptive": "yes"}, {"every_row": 3}],
    ids=str,
)  # fmt: skip
def test_settings_that_cannot_be(bad: dict[str, Any]):
    with pytest.raises(SettingError, match=next(iter(bad))):
        NaturalGradient(gcn(4, 3), **bad)


def test_what_is_missing_is_said():
    model = gcn(4, 3)
    blind = NaturalGradient(model.parameters())
    with pytest.raises(SettingError, match="attach"):
        blind.curvature(model(features(), EDGES))
    untold = NaturalGradient(model)
    model(features(), EDGES).sum().backward()
    with pytest.raises(SettingError, match="curvature"):
        untold.step()
    with pytest.raises(SettingError, match="groups"):
        blind.attach(gcn(4, 3))


def test_outputs_that_are_no_numbers_at_once_are_left_to_the_loss():
    model = gcn(4, 3)
    optimizer = NaturalGradient(model)
    told(model, optimizer, features() * torch.nan)
    optimizer.step()  # says nothing of a curvature that nobody told: the gradient is no number, as it is with Adam
    assert not torch.isfinite(flat(model)).any()
