"""Trunks of many kinds, and learning pretended: free rows are moved at random, frozen ones stay."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from archgraph import Graph, Network
from archgraph.continual import Library, Plan, head_resized, widened

TRUNKS = {
    "mlp": """
x = Input((3,))
a = Linear(4)(x)
f = ReLU()(a)
b = Linear(5)(f)
g = Tanh()(b)
y = Linear(2)(g)
return y
""",
    "conv": """
x = Input((2, 6, 5))
a = Conv2d(3, kernel_size=3, padding=1)(x)
n = BatchNorm()(a)
f = SiLU()(n)
p = MaxPool2d(2)(f)
l = Flatten()(p)
b = Linear(4, bias=False)(l)
g = PReLU()(b)
y = Linear(2)(g)
return y
""",
    "residual": """
x = Input((2, 4, 5))
a = Conv2d(3, kernel_size=3, padding=1)(x)
n = BatchNorm()(a)
f = ReLU()(n)
b = Conv2d(4, kernel_size=3, padding=1)(f)
g = ReLU()(b)
c = Conv2d(3, kernel_size=1)(g)
s = Add()(a, c)
p = GlobalAvgPool()(s)
y = Linear(2)(p)
return y
""",
    "concat": """
x = Input((2, 4, 5))
a = Conv2d(3, kernel_size=3, padding=1)(x)
b = Conv2d(4, kernel_size=1)(x)
c = Concat()(b, a, b)
f = ReLU()(c)
d = Conv2d(2, kernel_size=1)(f)
p = GlobalAvgPool()(d)
y = Linear(2)(p)
return y
""",
    "gated": """
x = Input((3,))
a = Linear(6)(x)
u = Slice(0, stop=3)(a)
v = Slice(3, stop=6)(a)
s = Sigmoid()(v)
m = Multiply()(u, s)
b = Linear(4)(m)
f = Tanh()(b)
y = Linear(2)(f)
return y
""",
    "depthwise": """
x = Input((2, 5, 4))
a = Conv2d(3, kernel_size=1)(x)
d = Conv2d(6, kernel_size=3, padding=1, groups=3)(a)
f = ReLU()(d)
t = ConvTranspose2d(4, kernel_size=2)(f)
p = GlobalAvgPool()(t)
y = Linear(2)(p)
return y
""",
    "shared weights": """
x = Input((3,))
a = Linear(4)(x)
b = Linear(4)(a)
f = Tanh()(b)
c = Linear(4)(f) @ b
y = Linear(2)(c)
return y
""",
}


def trunk(name: str, outputs: int = 2) -> Graph:
    return head_resized(Graph.parse(TRUNKS[name]), outputs)


def inputs(graph: Graph, seed: int = 0, samples: int = 7) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, *graph.shape(graph.inputs[0]).dims, generator=generator)


def outputs(network: Network, x: Tensor) -> Tensor:
    with torch.no_grad():
        return network.to_torch().eval()(x.to(network.dtype))


def moved(network: Network, frozen: dict[str, tuple[int, ...]], seed: int) -> Network:
    """Return a network whose numbers have all changed, but for the rows of frozen units."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for label, tensor in network.weights.items():
        node, _, key = label.partition(".")
        spec = network.graph.tensors(node)[key]
        if not tensor.is_floating_point():
            weights[label] = tensor + 1
            continue
        new = tensor + 0.1 + torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
        if node in frozen and "out" in spec.axes:
            axis, rows = spec.axes.index("out"), torch.tensor(frozen[node])
            new = new.index_copy(axis, rows, tensor.index_select(axis, rows))
        weights[label] = new
    return Network(network.graph, weights)


def lesson(
    library: Library,
    graph: Graph,
    *,
    unlock: dict[str, tuple[int, ...]] | None = None,
    new: dict[str, int] | None = None,
    drop: dict[str, tuple[int, ...]] | None = None,
    seed: int = 0,
) -> tuple[Network, Plan]:
    """Return a task's network and plan as training would leave them."""
    network, plan = library.begin(graph, seed=seed)
    if new:
        grown = widened(network, plan, library, new, seed=seed)
        network, plan = grown.network, grown.plan
    plan = plan.unlocked(unlock or {}, len(library))
    return moved(network, library.frozen(network, plan), seed), plan


def three_tasks(name: str) -> tuple[Library, list[Network]]:
    """Learn three tasks of 2, 3 and 5 outputs: the second unlocks one unit a home and adds one, the third adds two."""
    library, networks = _three(name)
    return library, list(networks)


@cache
def _three(name: str) -> tuple[Library, tuple[Network, ...]]:
    library, networks = Library(), []
    for number, outputs in enumerate((2, 3, 5)):
        graph = trunk(name, outputs)
        homes = library.chapters[0].homes.growable if library.chapters else ()
        unlock = dict.fromkeys(homes, (1,)) if number == 1 else {}
        new = dict.fromkeys(homes, number)
        network, plan = lesson(library, graph, unlock=unlock, new=new, seed=number)
        library = library.learned(f"task {number}", network, plan)
        networks.append(network)
    return library, tuple(networks)
