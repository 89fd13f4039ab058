from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, fx
from torch.optim import Optimizer

from archgraph.errors import ShapeError, UnknownName
from archgraph.graph import Graph
from archgraph.moves import Duplicate
from archgraph.net import Network, inherit_state, load_state, state_of

TEXT = """
a = Input((3,))
training = Linear(4)(a)
norm = BatchNorm()(training)
b = Linear(4)(norm) @ training_
c = Tanh()(b)
training_ = Linear(4)(c)
d = Linear(2)(training_)
return d
"""
GRAPH = Graph.parse(TEXT)

OPTIMIZERS: dict[str, Callable[[Iterable[Any]], Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "amsgrad": lambda p: torch.optim.AdamW(p, lr=0.01, amsgrad=True),
    "adamax": lambda p: torch.optim.Adamax(p, lr=0.01),
    "nadam": lambda p: torch.optim.NAdam(p, lr=0.01),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.01),
    "adadelta": lambda p: torch.optim.Adadelta(p, lr=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "rprop": lambda p: torch.optim.Rprop(p, lr=0.01),
    "asgd": lambda p: torch.optim.ASGD(p, lr=0.01),
    "adafactor": lambda p: torch.optim.Adafactor(p, lr=0.01),
}


def step(module: fx.GraphModule, optimizer: Optimizer, seed: int) -> None:
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    optimizer.zero_grad()
    module(x).sin().sum().backward()
    optimizer.step()


def network() -> Network:
    return Network.init(GRAPH, 0, dtype=torch.float64)


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_new_optimizer_continues_bit_for_bit(make: Callable[[Iterable[Any]], Optimizer]) -> None:
    module = network().to_torch()
    optimizer = make(module.parameters())
    for seed in range(3):
        step(module, optimizer, seed)
    state, half = state_of(module, optimizer), network().with_weights_of(module)
    for seed in (3, 4):
        step(module, optimizer, seed)

    other = half.to_torch()
    again = make(reversed(list(other.parameters())))  # any order
    load_state(other, again, state)
    for seed in (3, 4):
        step(other, again, seed)
    assert half.with_weights_of(other) == half.with_weights_of(module)


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_training_goes_on_after_an_edit(make: Callable[[Iterable[Any]], Optimizer]) -> None:
    module = network().to_torch()
    optimizer = make(module.parameters())
    step(module, optimizer, 0)
    edit = Duplicate("training", (1, 2)).plan(GRAPH)
    net = network().with_weights_of(module).after(edit)
    wide = net.to_torch()
    again = make(wide.parameters())
    load_state(wide, again, inherit_state(edit, state_of(module, optimizer)))
    step(wide, again, 1)
    state = state_of(wide, again)
    assert all(value.isfinite().all() for entries in state.values() for value in entries.values())
    if state:
        assert set(state) == {label for label in net.weights if "running" not in label and "tracked" not in label}


def test_keys_are_those_of_the_network_also_for_reserved_names_and_shared_weights() -> None:
    module = network().to_torch()
    optimizer = torch.optim.Adam(module.parameters())
    assert state_of(module, optimizer) == {}
    step(module, optimizer, 0)
    state = state_of(module, optimizer)
    nodes = ("training", "norm", "training_", "d")
    assert set(state) == {f"{node}.{key}" for node in nodes for key in ("weight", "bias")}
    assert set(state["d.bias"]) == {"step", "exp_avg", "exp_avg_sq"}
    assert state["d.bias"]["step"] == 1
    assert state["training_.weight"]["exp_avg"].shape == (4, 4)


def test_state_is_copied_both_ways() -> None:
    module = network().to_torch()
    optimizer = torch.optim.Adam(module.parameters())
    step(module, optimizer, 0)
    state = state_of(module, optimizer)
    kept = state["d.weight"]["exp_avg"].clone()
    load_state(module, optimizer, state)
    step(module, optimizer, 1)
    assert torch.equal(state["d.weight"]["exp_avg"], kept)
    assert state["d.weight"]["step"] == 1


def test_what_the_state_does_not_name_starts_anew_and_options_stay() -> None:
    module = network().to_torch()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    step(module, optimizer, 0)
    state = state_of(module, optimizer)
    optimizer.param_groups[0]["lr"] = 0.025
    load_state(module, optimizer, {"d.weight": state["d.weight"]})
    assert set(state_of(module, optimizer)) == {"d.weight"}
    assert optimizer.param_groups[0]["lr"] == 0.025
    assert optimizer.param_groups[0]["momentum"] == 0.9


def test_an_optimizer_may_hold_some_of_the_parameters_and_others_besides() -> None:
    module, other = network().to_torch(), torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    optimizer = torch.optim.SGD([other, module.d.weight], lr=0.1, momentum=0.9)
    (other.sum() + module(torch.ones(5, 3, dtype=torch.float64)).sum()).backward()
    optimizer.step()
    assert other in optimizer.state
    state = state_of(module, optimizer)
    assert set(state) == {"d.weight"}
    load_state(module, optimizer, {**state, "d.bias": {"momentum_buffer": torch.ones(2)}})
    assert torch.equal(optimizer.state[other]["momentum_buffer"], torch.ones(3))
    assert set(state_of(module, optimizer)) == {"d.weight"}


def test_numbers_become_tensors_and_other_things_are_left_out() -> None:
    module = network().to_torch()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    optimizer.state[module.d.weight] = {"step": 3, "rate": 0.5, "history": [torch.ones(2)], "none": None}
    state = state_of(module, optimizer)
    assert state == {"d.weight": {"step": torch.tensor(3), "rate": torch.tensor(0.5)}}


def test_moments_take_the_type_of_their_parameter_and_counters_keep_theirs() -> None:
    module = network().to(torch.float32).to_torch()
    optimizer = torch.optim.Adam(module.parameters())
    double: dict[str, Tensor] = {
        "step": torch.tensor(2.0),
        "exp_avg": torch.ones(2, dtype=torch.float64),
        "exp_avg_sq": torch.ones(2, dtype=torch.float64),
    }
    load_state(module, optimizer, {"d.bias": double})
    found = optimizer.state[module.d.bias]
    assert found["exp_avg"].dtype == torch.float32
    assert found["step"].dtype == torch.float32


def test_errors() -> None:
    module = network().to_torch()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    with pytest.raises(UnknownName, match=r"unknown parameter 'd\.wieght'") as caught:
        load_state(module, optimizer, {"d.wieght": {}})
    assert "did you mean 'd.weight'?" in str(caught.value)
    with pytest.raises(ShapeError, match=r"'momentum_buffer' .* does not fit parameter 'd\.weight'") as shape:
        load_state(module, optimizer, {"d.weight": {"momentum_buffer": torch.zeros(3, 4)}})
    assert "(2, 4)" in str(shape.value)
    assert "(3, 4)" in str(shape.value)


@pytest.mark.gpu
def test_on_a_gpu() -> None:
    net = network().to("cuda").to(torch.float32)
    module = net.to_torch()
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(5, 3, device="cuda")).sum().backward()
    optimizer.step()
    state = state_of(module, optimizer)
    assert state["d.weight"]["exp_avg"].is_cuda
    edit = Duplicate("training", (1,)).plan(GRAPH)
    wide = net.after(edit).to_torch()
    again = torch.optim.Adam(wide.parameters())
    host = {
        label: {entry: value.cpu() for entry, value in entries.items()}
        for label, entries in inherit_state(edit, state).items()
    }
    load_state(wide, again, host)
    assert again.state[wide.d.weight]["exp_avg"].is_cuda
    assert not again.state[wide.d.weight]["step"].is_cuda
    wide(torch.ones(5, 3, device="cuda")).sum().backward()
    again.step()
