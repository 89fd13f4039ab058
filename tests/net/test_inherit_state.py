"""Optimizer state through edits; weights are in test_inherit.py."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from archgraph.graph import FRESH, Edit, Graph, UnitMap, resize
from archgraph.moves import Split
from archgraph.net import Network, inherit_state, load_state, state_of
from tests.net.test_inherit import IMAGES, MLP, network


def state_like(net: Network, **start: float) -> dict[str, dict[str, Tensor]]:
    specs = {f"{node.name}.{key}": spec for node in net.graph for key, spec in net.graph.tensors(node.name).items()}
    return {
        label: {entry: net.weights[label] + shift for entry, shift in start.items()} | {"step": torch.tensor(4.0)}
        for label, spec in specs.items()
        if spec.trainable
    }


def test_moments_of_adam_by_hand() -> None:
    """E5: rows by w_k and w_k^2, columns copied; signed outgoing weights too."""
    net = network(IMAGES)
    state = state_like(net, exp_avg=0.25, exp_avg_sq=0.5)
    edit = resize(net.graph, "conv", {1: (-0.5, 1.5)})
    after = inherit_state(edit, state)
    rows, blocks = [0, 1, 1, 2], [0, 1, 2, 3, 2, 3, 4, 5]
    share = torch.tensor([1, -0.5, 1.5, 1], dtype=torch.float64)
    wide = share[[0, 0, 1, 1, 2, 2, 3, 3]]
    for name, index, factor in (("conv", rows, share), ("norm", rows, share), ("deep", blocks, wide)):
        for key in ("weight", "bias"):
            old, new = state[f"{name}.{key}"], after[f"{name}.{key}"]
            column = factor.reshape(-1, *[1] * (old["exp_avg"].ndim - 1))
            assert torch.equal(new["exp_avg"], old["exp_avg"][index] * column), (name, key)
            assert torch.equal(new["exp_avg_sq"], old["exp_avg_sq"][index] * column**2), (name, key)
            assert new["step"] == 4
    for entry in ("exp_avg", "exp_avg_sq"):
        assert torch.equal(after["last.weight"][entry], state["last.weight"][entry][:, blocks])
        assert after["head.weight"][entry] is state["head.weight"][entry]
    assert set(after) == set(state)  # running statistics have none


def test_momentum_of_fresh_units_and_new_nodes() -> None:
    net = network(MLP)
    with net.graph.edit() as editor:
        editor.replace("b", net.graph.op("b").resized(3))
        new = editor.insert("e", Graph.parse("a = Input((2,))\nb = Linear(2)(a)\nreturn b").op("b"))
    unit = UnitMap([FRESH, 0, 1], [0.5, 1.0, 1.0], old_units=2)
    state = state_like(net, momentum_buffer=0.5)
    after = inherit_state(Edit(net.graph, editor.graph, {"b": unit, "c": unit}), state)
    assert not any(label.startswith(f"{new}.") for label in after)
    zero = torch.zeros(5, 1, dtype=torch.float64)
    old = state["b.weight"]["momentum_buffer"]
    assert torch.equal(after["b.weight"]["momentum_buffer"], torch.cat([torch.zeros(1, 3, dtype=torch.float64), old]))
    old = state["d.weight"]["momentum_buffer"]
    assert torch.equal(after["d.weight"]["momentum_buffer"], torch.cat([zero, old], dim=1))


SCALED = {  # what optimizers call it: by what it is multiplied when the gradient is multiplied by -0.5
    "momentum_buffer": -0.5,
    "exp_avg": -0.5,
    "prev": -0.5,
    "exp_avg_sq": 0.25,
    "max_exp_avg_sq": 0.25,
    "square_avg": 0.25,
    "sum": 0.25,
    "exp_inf": 0.5,
    "acc_delta": 1.0,
    "step_size": 1.0,
}


@pytest.mark.parametrize(("entry", "factor"), SCALED.items(), ids=SCALED)
def test_how_state_is_scaled(entry: str, factor: float) -> None:
    net = network(MLP)
    state = {"b.weight": {entry: net.weights["b.weight"]}}
    after = inherit_state(resize(net.graph, "b", {0: (-0.5, 1.5)}), state)
    assert torch.equal(after["b.weight"][entry][0], net.weights["b.weight"][0] * factor)


def test_the_momentum_of_rmsprop_is_of_normalised_updates() -> None:
    net = network(MLP)
    state = {"b.weight": dict.fromkeys(("momentum_buffer", "square_avg"), net.weights["b.weight"])}
    after = inherit_state(resize(net.graph, "b", {0: (-0.5, 1.5)}), state)
    assert torch.equal(after["b.weight"]["momentum_buffer"][0], -net.weights["b.weight"][0])


def test_factored_moments_and_those_of_unknown_shape() -> None:
    net = network(MLP)
    row, column = torch.rand(5, 1), torch.rand(1, 2)
    state = {"d.weight": {"row_var": row, "col_var": column}, "e.weight": {"basis": torch.rand(3, 3, 3)}}
    after = inherit_state(resize(net.graph, "d", {4: (0.5, 0.5)}), state)
    assert torch.equal(after["d.weight"]["row_var"], torch.cat([row[:4], row[4:] / 4, row[4:] / 4]))
    assert torch.equal(after["d.weight"]["col_var"], column)
    assert "e.weight" not in after  # its shape changed, and nobody can say how `basis` follows
    kept = inherit_state(resize(net.graph, "b", {1: (0.5, 0.5)}), state)
    assert kept["e.weight"]["basis"] is state["e.weight"]["basis"]


def test_a_node_that_gets_another_layer_starts_anew() -> None:
    net = network("a = Input((3,))\nb = Linear(3)(a)\nc = BatchNorm()(b)\nd = Linear(2)(c)\nreturn d")
    other = Graph.parse("a = Input((3,))\nb = Linear(3)(a)\nc = Linear(3)(b)\nd = Linear(2)(c)\nreturn d")
    state = state_like(net, momentum_buffer=0.5)
    assert set(inherit_state(Edit(net.graph, other), state)) == {"b.weight", "b.bias", "d.weight", "d.bias"}


# ---------------------------------------------------------------------- what the mathematics says
def _step(net: Network, x: Tensor, y: Tensor, state, make):  # type: ignore[no-untyped-def]
    """Train one step, starting from an optimizer state; return network, gradients and state."""
    module = net.to_torch()
    optimizer = make(module.parameters())
    load_state(module, optimizer, state)
    loss = functional.mse_loss(module(x), y)
    loss.backward()
    gradients = {name: parameter.grad.clone() for name, parameter in module.named_parameters()}  # type: ignore[union-attr]
    optimizer.step()
    return net.with_weights_of(module), gradients, state_of(module, optimizer)


def _data() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(11, 3, generator=draw, dtype=torch.float64)
    return x, torch.randn(11, 2, generator=draw, dtype=torch.float64)


def _sgd(parameters):  # type: ignore[no-untyped-def]
    return torch.optim.SGD(parameters, lr=0.3, momentum=0.9)


def _adam(parameters):  # type: ignore[no-untyped-def]
    return torch.optim.Adam(parameters, lr=0.01, eps=0.0)


def test_one_step_of_sgd_with_momentum_after_a_half_split() -> None:
    """Copies' rows have half the gradient and half the momentum; columns of the readers have the whole of both."""
    net, (x, y) = Network.init(Graph.parse(MLP), 1, dtype=torch.float64), _data()
    state: dict[str, dict[str, Tensor]] = {}
    for _ in range(3):
        net, _, state = _step(net, x, y, state, _sgd)
    edit = Split("b", (1,)).plan(net.graph)
    wide, moments = net.after(edit), inherit_state(edit, state)
    old, gradient, old_state = _step(net, x, y, state, _sgd)
    new, wide_gradient, new_state = _step(wide, x, y, moments, _sgd)
    for key in ("weight", "bias"):
        label = f"b.{key}"
        assert (wide_gradient[label][1:] - gradient[label][1] / 2).abs().max() < 1e-15
        buffer = 0.9 * state[label]["momentum_buffer"][1] + gradient[label][1]
        assert (new_state[label]["momentum_buffer"][1:] - buffer / 2).abs().max() < 1e-15
        wanted = net.weights[label][1] - 0.3 * buffer / 2
        assert (new.weights[label][1:] - wanted).abs().max() < 1e-15
        assert (new.weights[label][0] - old.weights[label][0]).abs().max() < 1e-15
    buffer = 0.9 * state["d.weight"]["momentum_buffer"][:, 1] + gradient["d.weight"][:, 1]
    wanted = net.weights["d.weight"][:, 1] / 2 - 0.3 * buffer
    for column in (1, 2):
        assert (wide_gradient["d.weight"][:, column] - gradient["d.weight"][:, 1]).abs().max() < 1e-15
        assert (new.weights["d.weight"][:, column] - wanted).abs().max() < 1e-15
    for label in ("d.bias", "e.weight", "e.bias"):
        assert (new.weights[label] - old.weights[label]).abs().max() < 1e-15
        assert torch.allclose(new_state[label]["momentum_buffer"], old_state[label]["momentum_buffer"], atol=1e-15)


def test_one_step_of_adam_after_a_signed_split_moves_every_copy_as_far() -> None:
    """Adam divides by the size of the gradient, so a copy moves as the unit would have, by the sign of its weight."""
    net, (x, y) = Network.init(Graph.parse(MLP), 1, dtype=torch.float64), _data()
    state: dict[str, dict[str, Tensor]] = {}
    for _ in range(3):
        net, _, state = _step(net, x, y, state, _adam)
    edit = Split("b", (1,), weights=((1.5, -0.5),)).plan(net.graph)
    old, _, _ = _step(net, x, y, state, _adam)
    new, _, new_state = _step(net.after(edit), x, y, inherit_state(edit, state), _adam)
    step = old.weights["b.weight"] - net.weights["b.weight"]
    assert (new.weights["b.weight"][1] - net.weights["b.weight"][1] - step[1]).abs().max() < 1e-14
    assert (new.weights["b.weight"][2] - net.weights["b.weight"][1] + step[1]).abs().max() < 1e-14
    assert new_state["b.weight"]["step"] == 4
