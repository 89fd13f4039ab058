from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from archgraph.errors import GraphError
from archgraph.graph import Graph
from archgraph.net import Network, lower, source, target
from archgraph.net.lowering import _reserved

RESIDUAL = """
image = Input((2, 5, 7))
conv = Conv2d(3, kernel_size=3, padding=1, bias=False)(image)
norm = BatchNorm()(conv)
act = ReLU()(norm)
deep = Conv2d(3, kernel_size=3, padding=1, groups=3)(act)
norm2 = BatchNorm(momentum=0.3)(deep)
sum = Add()(act, norm2)
both = Concat()(sum, image)
bump = Gaussian()(both)
pool = MaxPool2d(2, stride=1)(bump)
drop = Dropout(0.25)(pool)
flat = Flatten()(drop)
head = Linear(4)(flat)
mean = GlobalAvgPool()(pool)
side = Linear(3)(mean)
return head, side
"""


class Residual(nn.Module):
    """What a person would write for the graph above, with submodules called like its nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.deep = nn.Conv2d(3, 3, 3, padding=1, groups=3)
        self.norm2 = nn.BatchNorm2d(3, momentum=0.3)
        self.drop = nn.Dropout(0.25)
        self.head = nn.Linear(5 * 4 * 6, 4)
        self.side = nn.Linear(5, 3)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        act = functional.relu(self.norm(self.conv(image)))
        both = torch.cat([act + self.norm2(self.deep(act)), image], dim=1)
        pool = functional.max_pool2d(torch.exp(both * both * -0.5), 2, 1)
        return self.head(torch.flatten(self.drop(pool), 1)), self.side(pool.mean(dim=(2, 3)))


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def module_of(text: str) -> fx.GraphModule:
    return Network.init(Graph.parse(text), 0).to_torch()


# ---------------------------------------------------------------------- the same network by hand
def test_it_is_the_module_written_by_hand_in_training_and_evaluation() -> None:
    lowered, written = module_of(RESIDUAL), Residual()
    written.load_state_dict(lowered.state_dict())  # the same keys, strictly
    assert list(lowered.state_dict()) == list(written.state_dict())
    assert lowered.training
    optimizers = [torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9) for module in (lowered, written)]
    for step in range(3):
        losses = []
        for module, optimizer in zip((lowered, written), optimizers, strict=True):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(step)  # of dropout
                head, side = module(draw(6, 2, 5, 7, seed=step))
            loss = head.square().mean() + side.cos().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss)
        assert torch.equal(*losses)
    for (key, one), other in zip(lowered.state_dict().items(), written.state_dict().values(), strict=True):
        assert torch.equal(one, other), key
    lowered.eval()
    written.eval()
    for one, other in zip(lowered(draw(3, 2, 5, 7)), written(draw(3, 2, 5, 7)), strict=True):
        assert torch.equal(one, other)


def test_the_code_is_straight_and_readable() -> None:
    code = module_of(
        "a = Input((3,))\nfirst = Linear(4)(a)\nact = ReLU()(first)\nlast = Linear(2)(act)\nreturn last"
    ).code
    assert "first = self.first(a)" in code
    assert "act = torch.nn.functional.relu(first" in code
    assert "last = self.last(act)" in code
    assert "return last" in code


# ---------------------------------------------------------------------- what torch does with modules
def _pickled(module: nn.Module) -> nn.Module:
    return pickle.loads(pickle.dumps(module))


def _saved(module: nn.Module) -> nn.Module:
    stream = io.BytesIO()
    torch.save(module, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=False)


def _exported(module: nn.Module) -> nn.Module:
    batch = torch.export.Dim("batch", min=2)
    inputs = next(iter(module.graph.nodes)).name  # type: ignore[union-attr, index, arg-type]
    return torch.export.export(module, (draw(3, 2, 5, 7),), dynamic_shapes={inputs: {0: batch}}).module()


ROUND_TRIPS = {"pickle": _pickled, "torch-save": _saved, "deepcopy": copy.deepcopy, "export": _exported}


@pytest.mark.parametrize("trip", ROUND_TRIPS.values(), ids=ROUND_TRIPS)
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_round_trips(trip: Any) -> None:
    module = module_of(RESIDUAL).eval()
    other = trip(module)
    for one, two in zip(module(draw(6, 2, 5, 7)), other(draw(6, 2, 5, 7)), strict=True):
        assert torch.equal(one, two)
    assert set(other.state_dict()) == set(module.state_dict())
    if trip is _exported:
        return  # torch shares the parameters
    with torch.no_grad():
        other.state_dict()["head.bias"].add_(1)
    assert not torch.equal(other.state_dict()["head.bias"], module.state_dict()["head.bias"])


def test_compile() -> None:
    module = module_of(RESIDUAL).eval()
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)  # no compiler needed
    for one, two in zip(module(draw(6, 2, 5, 7)), compiled(draw(6, 2, 5, 7)), strict=True):
        assert torch.allclose(one, two, atol=1e-6)


def test_default_device_and_random_state_are_left_alone() -> None:
    before = torch.get_rng_state()
    module_of(RESIDUAL)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.empty(1).device.type == "cpu"


# ---------------------------------------------------------------------- shared weights
def test_shared_weights_are_one_submodule_called_twice() -> None:
    graph = Graph.parse("a = Input((3,))\nb = Linear(3)(a)\nc = Tanh()(b)\nd = Linear(3)(c) @ b\nreturn d")
    net = Network.init(graph, 0)
    module = net.to_torch()
    assert list(module.state_dict()) == ["b.weight", "b.bias"]
    weight, bias = net.weights["b.weight"], net.weights["b.bias"]
    x = draw(5, 3)
    assert torch.equal(module(x), functional.linear(torch.tanh(functional.linear(x, weight, bias)), weight, bias))


def test_weights_may_be_used_before_the_node_that_owns_them() -> None:
    graph = Graph.parse("a = Input((3,))\nb = Linear(3)(a) @ d\nc = Tanh()(b)\nd = Linear(3)(c)\nreturn d")
    net = Network.init(graph, 0)
    module = net.to_torch()
    assert list(module.state_dict()) == ["d.weight", "d.bias"]
    weight, bias = net.weights["d.weight"], net.weights["d.bias"]
    x = draw(5, 3)
    assert torch.equal(module(x), functional.linear(torch.tanh(functional.linear(x, weight, bias)), weight, bias))
    assert net.with_weights_of(module) == net


def test_weights_shared_by_different_layers_are_never_lowered_wrongly() -> None:
    """Two convolutions of one weight and different strides: refused, by the graph or by the lowering."""
    text = (
        "a = Input((2, 5, 7))\nb = Conv2d(3, kernel_size=2)(a)\nc = Conv2d(3, kernel_size=2, stride=2)(a) @ b\n"
        "d = GlobalAvgPool()(b)\ne = GlobalAvgPool()(c)\nf = Add()(d, e)\nreturn f"
    )
    with pytest.raises(GraphError, match=r"'c'.*weights of 'b'"):
        module_of(text)


# ---------------------------------------------------------------------- names
NAMES = [
    *("training", "forward", "code", "graph", "type", "add_module", "T_destination", "to", "keys", "items", "eval"),
    *("_parameters", "_modules", "_code", "_forward_hooks", "meta", "half", "requires_grad_", "state_dict", "buffers"),
    *("input", "print", "len", "sum", "id", "int", "tuple", "object", "super", "isinstance"),
    *("add", "add_1", "mul", "mul_1", "mul_2", "flatten", "cat", "relu", "exp", "linear", "mean", "view", "getattr_1"),
    *("self", "cls", "torch", "nn", "operator", "math", "fx", "device", "inf", "nan", "NoneType", "pytree"),
    *("match", "case", "_", "_x", "x_", "x__", "output", "root", "placeholder", "call_module", "training_", "forward_"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", ["input", "module", "stateless", "bump", "last"])
def test_any_name_may_be_given_to_any_node(name: str, where: str) -> None:
    """The same network with one node renamed computes the same, from the same weights, also after a round trip."""
    names = {"input": "n1", "module": "n2", "stateless": "n3", "bump": "n4", "last": "n5"}
    text = "{input} = Input((3, 2))\nf = Flatten()({input})\n{module} = Linear(4)(f)\n{stateless} = ReLU()({module})\n"
    text += "{bump} = Gaussian()({stateless})\nt = Multiply()({bump}, {module}, {bump})\n"
    text += "u = Add()(t, {stateless}, {bump})\n"
    text += "g = Concat()(u, {module})\n{last} = Linear(2)(g)\nreturn {last}"
    plain = Graph.parse(text.format(**names))
    renamed = Graph.parse(text.format(**(names | {where: name})))
    net = Network.init(plain, 0)
    other = Network(
        renamed,
        {
            f"{name}.{key.partition('.')[2]}" if key.startswith(f"{names[where]}.") else key: value
            for key, value in net.weights.items()
        },
    )
    x = draw(5, 3, 2)
    module = other.to_torch()
    assert torch.equal(module(x), net.to_torch()(x))
    assert torch.equal(_pickled(module)(x), net.to_torch()(x))
    assert other.with_weights_of(module) == other


def test_submodules_of_different_nodes_are_different_and_the_names_come_back() -> None:
    names = [f"{name}{tail}" for name in (*NAMES, *_reserved()) for tail in ("", "_", "__")]
    names = sorted({name for name in names if name.isidentifier() and not name.startswith("__")})
    targets = [target(name) for name in names]
    assert len(set(targets)) == len(names)
    assert [source(one) for one in targets] == names
    assert not set(targets) & _reserved()


def test_nodes_whose_names_differ_by_an_underscore() -> None:
    text = "a = Input((3,))\ntraining = Linear(2)(a)\ntraining_ = Linear(4)(training)\nreturn training_"
    net = Network.init(Graph.parse(text), 0)
    module = net.to_torch()
    assert module.training is True
    assert module(draw(5, 3)).shape == (5, 4)
    assert net.with_weights_of(module) == net


# ---------------------------------------------------------------------- inputs and outputs
def test_several_inputs_and_outputs_in_their_order() -> None:
    module = module_of(
        "a = Input((3,))\nb = Linear(4)(a)\nc = Input((4,))\nd = Add()(b, c)\nunread = Input((2,))\nreturn d, a, b, d"
    )
    a, c = draw(5, 3), draw(5, 4, seed=1)
    total, first, inner, again = module(a, c, draw(5, 2))
    assert torch.equal(first, a)
    assert torch.equal(total, inner + c)
    assert again is total


PASSING = {
    "inside": "a = Input((3,))\nb = Identity()(a)\nc = Linear(2)(b)\nreturn c",
    "output": "a = Input((3,))\nb = Linear(2)(a)\nc = Identity()(b)\nreturn c",
    "twice": "a = Input((3,))\nb = Linear(2)(a)\nc = Identity()(b)\nd = Identity()(c)\nreturn d",
}


@pytest.mark.parametrize("text", PASSING.values(), ids=PASSING)
def test_an_op_may_hand_its_input_through(text: str) -> None:
    module = module_of(text)
    (weight, bias) = module.state_dict().values()
    assert torch.equal(module(draw(5, 3)), functional.linear(draw(5, 3), weight, bias))


def test_the_identity_alone() -> None:
    module = module_of("a = Input((3,))\nb = Identity()(a)\nreturn b")
    assert torch.equal(module(draw(5, 3)), draw(5, 3))


def test_lower_needs_no_network() -> None:
    graph = Graph.parse("a = Input((3,))\nb = Linear(2, bias=False)(a)\nreturn b")
    weight = draw(2, 3)
    assert torch.equal(lower(graph, {"b.weight": weight})(draw(5, 3)), draw(5, 3) @ weight.T)
