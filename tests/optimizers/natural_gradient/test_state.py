from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archgraph.errors import SettingError
from optimizers.natural_gradient import NaturalGradient
from tests.optimizers.natural_gradient.nets import EDGES, ROWS, features, gcn, labels


def advance(model: nn.Module, optimizer: NaturalGradient, steps: int, x: Tensor | None = None) -> None:
    x = features() if x is None else x
    for _ in range(steps):
        optimizer.zero_grad()
        outputs = model(x.to(next(model.parameters()).dtype), EDGES)
        loss = functional.cross_entropy(outputs[ROWS], labels()[ROWS])
        optimizer.curvature(outputs, loss, rows=ROWS)
        loss.backward()
        optimizer.step()


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    "settings", [{}, {"interval": 1, "inverse_interval": 3}, {"mode": "lin"}, {"mode": "reduce"}], ids=str
)
@pytest.mark.parametrize("width", [4, 12], ids=["matrix", "rows"])
def test_a_saved_run_goes_on_bit_for_bit(settings: dict[str, Any], width: int):
    torch.manual_seed(8)
    x = torch.randn(9, width, dtype=torch.float64)
    model = gcn(width, 5, 3)
    optimizer = NaturalGradient(model, **settings)
    advance(model, optimizer, 7, x)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)  # tensors and numbers alone
    other = gcn(width, 5, 3)
    other.load_state_dict(saved["model"])
    fresh = NaturalGradient(other, **settings)
    fresh.load_state_dict(saved["optimizer"])
    for _ in range(5):
        advance(model, optimizer, 1, x)
        advance(other, fresh, 1, x)
        assert same(model, other)


def test_deep_copies_and_pickles_go_on_when_the_module_is_attached():
    model = gcn(4, 5, 3)
    optimizer = NaturalGradient(model)
    advance(model, optimizer, 3)
    pairs = [copy.deepcopy((model, optimizer)), pickle.loads(pickle.dumps((model, optimizer)))]
    for other, copied in pairs:
        with pytest.raises(SettingError, match="attach"):
            copied.step()
        copied.attach(other)
        with copied.watching():
            advance(other, copied, 4)
    advance(model, optimizer, 4)
    assert all(same(model, other) for other, _ in pairs)


def test_factors_stay_in_their_own_type():
    model = gcn(4, 5, 3).to(torch.bfloat16)
    optimizer = NaturalGradient(model, interval=1)
    advance(model, optimizer, 3)
    fresh = NaturalGradient(gcn(4, 5, 3).to(torch.bfloat16))
    fresh.load_state_dict(optimizer.state_dict())
    for parameter, saved in zip(fresh.param_groups[0]["params"], optimizer.param_groups[0]["params"], strict=True):
        for name, value in optimizer.state[saved].items():
            assert fresh.state[parameter][name].dtype == value.dtype
            assert torch.equal(fresh.state[parameter][name], value)
        if parameter.ndim == 2:
            assert fresh.state[parameter]["output_factor"].dtype == torch.float32
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_groups_have_their_own_damping_and_rate():
    model = gcn(4, 5, 3)
    groups = [
        {"params": list(model.layers[0].parameters()), "damping": 1.0},
        {"params": list(model.layers[1].parameters()), "lr": 0.0},
    ]
    optimizer = NaturalGradient(groups, module=model, damping=1e-3)
    before = copy.deepcopy(model)
    advance(model, optimizer, 1)
    assert torch.equal(model.layers[1].lin.weight, before.layers[1].lin.weight)
    assert not torch.equal(model.layers[0].lin.weight, before.layers[0].lin.weight)
    inverse, factor = (optimizer.state[model.layers[1].lin.weight][f"output_{name}"] for name in ("inverse", "factor"))
    small = torch.linalg.inv(inverse) - factor
    wide = optimizer.state[model.layers[0].lin.weight]
    large = torch.linalg.inv(wide["output_inverse"]) - wide["output_factor"]
    assert float(large.diagonal().mean()) != pytest.approx(float(small.diagonal().mean()))


def test_a_group_that_is_added_later_has_curvature_and_is_checked():
    model = gcn(4, 5, 3)
    layers = [list(layer.parameters()) for layer in model.layers]
    whole = NaturalGradient([{"params": one} for one in layers], module=model)
    twin = gcn(4, 5, 3)
    twin.load_state_dict(model.state_dict())
    parts = NaturalGradient(list(twin.layers[0].parameters()), module=twin)
    with pytest.raises(SettingError, match="damping"):
        parts.add_param_group({"params": list(twin.layers[1].parameters()), "damping": -1.0})
    parts.add_param_group({"params": list(twin.layers[1].parameters())})
    advance(model, whole, 3)
    advance(twin, parts, 3)
    assert list(parts.information()) == list(whole.information()) and same(model, twin)


def test_a_scheduler_changes_the_rate_alone():
    model = gcn(4, 5, 3)
    optimizer = NaturalGradient(model, momentum=0.0, kl_clip=0.0, interval=100)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    advance(model, optimizer, 1)
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.05
    advance(model, optimizer, 1)


def test_a_closure_makes_the_step():
    model, other = gcn(4, 5, 3), gcn(4, 5, 3)
    optimizer, plain = NaturalGradient(model), NaturalGradient(other)

    def closure() -> Tensor:
        optimizer.zero_grad()
        outputs = model(features(), EDGES)
        loss = functional.cross_entropy(outputs[ROWS], labels()[ROWS])
        optimizer.curvature(outputs, loss, rows=ROWS)
        loss.backward()
        return loss

    losses = [float(optimizer.step(closure).detach()) for _ in range(6)]
    advance(other, plain, 6)
    assert same(model, other)
    assert losses[-1] < losses[0]


def test_frozen_parameters_and_unused_layers_stay():
    model = gcn(4, 5, 3)
    model.layers[0].lin.weight.requires_grad_(False)
    model.unused = nn.Linear(2, 7).double()
    before = copy.deepcopy(model)
    optimizer = NaturalGradient(model)
    advance(model, optimizer, 6)
    assert torch.equal(model.layers[0].lin.weight, before.layers[0].lin.weight)
    assert torch.equal(model.unused.weight, before.unused.weight)
    assert not torch.equal(model.layers[0].bias, before.layers[0].bias)
    assert not torch.equal(model.layers[1].lin.weight, before.layers[1].lin.weight)


def test_a_scaled_loss_overflows_and_is_left_out():
    model = gcn(4, 5, 3).float()
    optimizer = NaturalGradient(model)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    before = copy.deepcopy(model)
    for bad in (True, False):
        optimizer.zero_grad()
        outputs = model(features().float(), EDGES)
        loss = functional.cross_entropy(outputs[ROWS], labels()[ROWS])
        optimizer.curvature(outputs, loss, rows=ROWS)
        scaler.scale(loss).backward()
        if bad:
            model.layers[0].bias.grad[0] = float("inf")
        scaler.step(optimizer)
        scaler.update()
        assert same(model, before) == bad
    assert optimizer.steps == 1


def test_low_precision_passes_give_factors_in_float32():
    model = gcn(4, 5, 3).float()
    optimizer = NaturalGradient(model)
    for _ in range(6):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = model(features().float(), EDGES)
        loss = functional.cross_entropy(outputs.float()[ROWS], labels()[ROWS])
        optimizer.curvature(outputs, loss, rows=ROWS)
        loss.backward()
        optimizer.step()
    state = optimizer.state[model.layers[0].lin.weight]
    assert {value.dtype for name, value in state.items() if name.startswith("output")} == {torch.float32}
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_reset_state_forgets_a_module():
    model = gcn(4, 5, 3)
    optimizer = NaturalGradient(model)
    advance(model, optimizer, 2)
    assert not optimizer.due
    optimizer.reset_state(model.layers[0])
    optimizer.attach(model)
    assert model.layers[0].lin.weight not in optimizer.state
    assert optimizer.due  # at once: a layer of which nothing is known
    with optimizer.watching():
        advance(model, optimizer, 1)
    assert "output_factor" in optimizer.state[model.layers[0].lin.weight]


def test_the_state_of_another_network_is_refused():
    model = gcn(4, 5, 3)
    wide, narrow = NaturalGradient(gcn(4, 6, 3), lr=0.1), NaturalGradient(model, lr=0.1)
    advance(model, narrow, 2)
    with pytest.raises(SettingError, match="other parameters"):
        wide.load_state_dict(narrow.state_dict())


def test_rows_may_be_a_list():
    one, other = gcn(4, 5, 3), gcn(4, 5, 3)
    other.load_state_dict(one.state_dict())
    for model, rows in ((one, ROWS), (other, ROWS.tolist())):
        optimizer = NaturalGradient(model, lr=0.1)
        outputs = model(features(), EDGES)
        functional.cross_entropy(outputs[ROWS], labels()[ROWS]).backward(retain_graph=True)
        optimizer.curvature(model(features(), EDGES), rows=rows)
        optimizer.step()
    assert same(one, other)
