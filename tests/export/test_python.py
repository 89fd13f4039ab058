"""``model.py``: its exact text for a small network, and what its code may not be."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import fx, nn

from archgraph import ops
from archgraph.errors import ExportError
from archgraph.export import source, state_dict
from archgraph.graph import Graph, Node, chain
from archgraph.net import Network
from archgraph.registry import OPS

GOLDEN = '''\
"""A network of 6 nodes as plain PyTorch: needs torch alone.

Inputs:  image [N, 2, 7, 5]
Outputs: head [N, 3]
Size:    92 parameters, 2,532 multiply-accumulates a sample, float32

    from model import load
    model = load()  # weights.pt beside this file; on the CPU, in eval mode
    head = model(image)

`python model.py` prints a summary.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, kernel_size=3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3, bias=False)

    def forward(self, image):
        conv = self.conv(image)  # [N, 4, 7, 5]
        norm = self.norm(conv)  # [N, 4, 7, 5]
        leaky = F.leaky_relu(norm, negative_slope=0.2)  # [N, 4, 7, 5]
        mean = leaky.mean(dim=(2, 3))  # [N, 4]
        head = self.head(mean)  # [N, 3]
        return head


def load(path=None):
    """Return the model with its weights, in eval mode; `path` is the weights file, by default the one beside this."""
    path = Path(__file__).with_name("weights.pt") if path is None else path
    with torch.device("meta"):  # no memory and no random numbers: every tensor comes from the file, type included
        model = Model()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), assign=True)
    return model.eval()


if __name__ == "__main__":
    loaded = load()
    print(loaded)
    print(f"{sum(parameter.numel() for parameter in loaded.parameters()):,} parameters")
'''


def network(text: str) -> Network:
    return Network.init(Graph.parse(text), seed=3)


def model(of: Network) -> nn.Module:
    """Run the text, without its file, and give the model its weights."""
    space: dict[str, Any] = {"__name__": "model"}
    exec(compile(source(of), "model.py", "exec"), space)
    built = space["Model"]()
    built.load_state_dict(state_dict(of), assign=True)
    return built.eval()


def test_the_text_of_a_small_network() -> None:
    text = """
image = Input((2, 7, 5))
conv = Conv2d(4, kernel_size=3, padding=1, bias=False)(image)
norm = BatchNorm()(conv)
leaky = LeakyReLU(negative_slope=0.2)(norm)
mean = GlobalAvgPool()(leaky)
head = Linear(3, bias=False)(mean)
return head
"""
    assert source(network(text)) == GOLDEN  # 92 = 4*2*3*3 + 2*4 + 4*3, and 2532 = 4*2*3*3 * 7*5 + 4*3


CALLS = [
    ("linear", "Linear(5)", (3,), "nn.Linear(3, 5)"),
    ("conv", "Conv2d(4, kernel_size=(3, 1), stride=(2, 1))", (2, 7, 5), "kernel_size=(3, 1), stride=(2, 1))"),
    (
        "conv pairs",
        "Conv2d(4, kernel_size=(3, 3), dilation=(2, 2))",
        (2, 7, 6),
        "nn.Conv2d(2, 4, kernel_size=3, dilation=2)",
    ),
    ("conv same", "Conv2d(4, kernel_size=3, padding='same', groups=2)", (2, 7, 5), "padding='same', groups=2)"),
    ("batch norm 1d", "BatchNorm(momentum=0.3)", (3,), "nn.BatchNorm1d(3, momentum=0.3)"),
    ("batch norm", "BatchNorm(affine=False)", (3, 5, 7), "nn.BatchNorm2d(3, affine=False)"),
    ("layer norm", "LayerNorm(eps=0.001)", (3,), "nn.LayerNorm(3, eps=0.001)"),
    ("layer norm bare", "LayerNorm(affine=False)", (3,), "nn.LayerNorm(3, elementwise_affine=False)"),
    ("dropout", "Dropout(0.5)", (3,), "nn.Dropout()"),
    ("relu", "ReLU()", (3,), "y = F.relu(x)  #"),
    ("gelu", "GELU()", (3,), "y = F.gelu(x)  #"),
    ("gelu tanh", "GELU(approximate='tanh')", (3,), "y = F.gelu(x, approximate='tanh')  #"),
    ("silu", "SiLU()", (3,), "y = F.silu(x)  #"),
    ("softplus", "Softplus()", (3,), "y = F.softplus(x)  #"),
    ("softplus beta", "Softplus(beta=2.5)", (3,), "y = F.softplus(x, beta=2.5)  #"),
    ("tanh", "Tanh()", (3,), "y = torch.tanh(x)  #"),
    ("gaussian", "Gaussian()", (3,), "y = torch.exp(x * x * -0.5)  #"),
    ("identity", "Identity()", (3,), "y = x  #"),
    (
        "max pool",
        "MaxPool2d((3, 2), stride=2, padding=(1, 0))",
        (2, 7, 5),
        "F.max_pool2d(x, (3, 2), stride=2, padding=(1, 0))",
    ),
    ("avg pool", "AvgPool2d(2)", (2, 7, 5), "y = F.avg_pool2d(x, 2, None, 0)  # [N, 2, 3, 2]"),
    ("global max", "GlobalMaxPool()", (2, 7, 5), "y = x.amax(dim=(2, 3))  # [N, 2]"),
    ("flatten", "Flatten()", (2, 7, 5), "y = torch.flatten(x, 1)  # [N, 70]"),
]


@pytest.mark.parametrize(("op", "shape", "wanted"), [pytest.param(*case, id=name) for name, *case in CALLS])
def test_how_an_op_is_written(op: str, shape: tuple[int, ...], wanted: str) -> None:
    assert wanted in source(network(f"x = Input({shape})\ny = {op}(x)\nreturn y\n"))


def test_the_imports_are_torch_and_the_standard_library() -> None:
    tree = ast.parse(source(network("x = Input((3,))\ny = Tanh()(x)\nz = Linear(2)(y)\nreturn z\n")))
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    found |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert found == {"torch", "pathlib"}  # and no functional, as nothing uses it


def test_names_that_python_and_torch_have_get_an_underscore() -> None:
    text = """
input = Input((3,))
forward = Linear(5)(input)
forward_ = Linear(3)(forward)
self = ReLU()(forward_)
training = BatchNorm()(self)
F = Tanh()(training)
torch = Linear(2)(F)
return torch
"""
    of = network(text)
    lines = source(of)
    assert "forward__ = self.forward__(input_)" in lines and "forward_ = self.forward_(forward__)" in lines
    assert "F_ = torch.tanh(training_)" in lines and "torch_ = self.torch_(F_)" in lines
    x = torch.randn(7, 3)
    assert torch.equal(model(of)(x), of.to_torch().eval()(x))


def test_weights_that_are_shared_are_one_layer() -> None:
    of = network("x = Input((3,))\na = Linear(3)(x)\nb = Tanh()(a)\nc = Linear(3)(b) @ a\nreturn c, b\n")
    assert "c = self.a(b)" in source(of) and source(of).count("nn.Linear") == 1
    assert list(state_dict(of)) == ["a.weight", "a.bias"]
    assert "return c, b" in source(of)


def test_long_statements_are_wrapped() -> None:
    names = [f"a_rather_long_name_of_a_branch_{number}" for number in range(9)]
    lines = [f"{name} = Tanh()(x)" for name in names]
    joined = ", ".join(names)
    of = network(
        "\n".join(["x = Input((2,))", *lines, f"y = Add()({joined})", f"z = Concat()({joined})", "return y, z\n"])
    )
    assert max(map(len, source(of).splitlines())) <= 125
    x = torch.randn(5, 2)
    assert all(torch.equal(*pair) for pair in zip(model(of)(x), of.to_torch()(x), strict=True))


def test_a_model_without_layers_has_no_constructor() -> None:
    assert "__init__" not in source(Network.init(chain(ops.Input((3,)), ops.ReLU())))


def test_state_keeps_types_and_is_a_copy() -> None:
    of = Network.init(chain(ops.Input((3,)), ops.Linear(5), ops.BatchNorm()), dtype=torch.float64)
    state = state_dict(of)
    assert {str(value.dtype) for value in state.values()} == {"torch.float64", "torch.int64"}
    before = of.key
    for value in state.values():
        value.zero_()
    assert Network(of.graph, of.weights).key == before


# ---------------------------------------------------------------------- ops of strangers
@dataclass(frozen=True, repr=False)
class Swish2(ops.Activation):
    """An op that reads an intermediate value twice, with operators and methods of all kinds."""

    def function(self, z: Any) -> Any:
        half = torch.sigmoid(z)
        return (half * -z + half**2).clamp(min=-1.0, max=float("inf"))[:, None].squeeze(1) / torch.special.expit(z)


@dataclass(frozen=True, repr=False)
class Foreign(ops.Activation):
    """An op that calls a function that is not torch's."""

    def function(self, z: Any) -> Any:
        return fx.Proxy(z.tracer.create_node("call_function", _foreign, (z.node,), {}), z.tracer)


def _foreign(z: Any) -> Any:
    return z


@dataclass(frozen=True, repr=False)
class ForeignLayer(ops.Dropout):
    """An op whose layer is not torch's."""

    def module(self, *inputs: Any) -> nn.Module:
        return _Layer()


class _Layer(nn.Module):
    def forward(self, x: Any) -> Any:
        return Network and x


def _alone(op: ops.Op) -> Network:
    return Network.init(Graph([Node("x", ops.Input((3,))), Node("y", op, ("x",))], ["y"]))


@pytest.fixture(autouse=True, scope="module")
def _strangers_leave() -> Any:
    yield
    for kind in (Swish2, Foreign, ForeignLayer):
        OPS._own.pop(kind.__name__, None)


def test_a_value_that_is_read_twice_is_a_variable() -> None:
    of = _alone(Swish2())
    assert "y_sigmoid = torch.sigmoid(x)" in source(of)
    x = torch.randn(5, 3)
    assert torch.equal(model(of)(x), of.to_torch()(x))


@pytest.mark.parametrize("op", [Foreign(), ForeignLayer()], ids=["function", "layer"])
def test_what_torch_does_not_have_is_refused_with_the_node(op: ops.Op) -> None:
    with pytest.raises(ExportError, match="'y' cannot be written with torch alone"):
        source(_alone(op))
