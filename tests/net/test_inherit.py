from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from archgraph import rng
from archgraph.errors import ShapeError
from archgraph.graph import FRESH, Edit, Graph, UnitMap, resize
from archgraph.moves import Displacements, Duplicate, Move, Prune, Split
from archgraph.net import Network, init_node


def network(text: str) -> Network:
    """Return a network whose every number differs: 0, 1, 2, ... in the order of its tensors."""
    graph = Graph.parse(text)
    weights, count = {}, 1
    for key, value in Network.init(graph, 0, dtype=torch.float64).weights.items():
        if value.is_floating_point():
            weights[key] = torch.arange(count, count + value.numel(), dtype=torch.float64).reshape(value.shape)
            count += value.numel()
        else:
            weights[key] = value + 5
    return Network(graph, weights)


def check(after: Network, wanted: dict[str, Tensor], before: Network) -> None:
    """Compare with expected tensors; those not named must be the very objects they were."""
    for key, value in after.weights.items():
        if key in wanted:
            assert value.tolist() == wanted[key].tolist(), key
        else:
            assert value is before._weights[key], key
    assert set(wanted) <= set(after.weights)


MLP = "a = Input((3,))\nb = Linear(2)(a)\nc = Tanh()(b)\nd = Linear(5)(c)\ne = Linear(2)(d)\nreturn e"


# ---------------------------------------------------------------------- weights, by hand
def test_linear() -> None:
    net = network(MLP)
    w, b, u = (net.weights[key] for key in ("b.weight", "b.bias", "d.weight"))
    check(
        net.after(resize(net.graph, "b", {0: (0.25, 0.75)})),
        {
            "b.weight": torch.stack([w[0], w[0], w[1]]),
            "b.bias": torch.stack([b[0], b[0], b[1]]),
            "d.weight": torch.stack([0.25 * u[:, 0], 0.75 * u[:, 0], u[:, 1]], dim=1),
        },
        net,
    )


def test_pruning() -> None:
    net = network(MLP)
    w, b, u = (net.weights[key] for key in ("d.weight", "d.bias", "e.weight"))
    left = [0, 2, 3]
    check(Prune("d", (1, 4)).apply(net), {"d.weight": w[left], "d.bias": b[left], "e.weight": u[:, left]}, net)
    into = u[:, left] * torch.tensor([1.0, 2.0, 2.0])
    check(Prune("d", (1, 4), into=(2, 3)).apply(net), {"d.weight": w[left], "d.bias": b[left], "e.weight": into}, net)


IMAGES = """
image = Input((2, 3, 4))
conv = Conv2d(3, kernel_size=2)(image)
norm = BatchNorm()(conv)
deep = Conv2d(6, kernel_size=1, groups=3)(norm)
pool = AvgPool2d((1, 2), stride=1)(deep)
last = Conv2d(5, kernel_size=(2, 1))(pool)
flat = Flatten()(last)
head = Linear(2)(flat)
return head
"""


def test_convolution_batch_norm_and_depthwise() -> None:
    net = network(IMAGES)
    rows, blocks = [0, 1, 1, 2], [0, 1, 2, 3, 2, 3, 4, 5]  # a unit of `norm` makes two of `deep`
    share = torch.tensor([1, 1, 0.5, 0.5, 0.5, 0.5, 1, 1], dtype=torch.float64).reshape(1, 8, 1, 1)
    wanted = {f"conv.{key}": net.weights[f"conv.{key}"][rows] for key in ("weight", "bias")}
    for key in ("weight", "bias", "running_mean", "running_var"):
        wanted[f"norm.{key}"] = net.weights[f"norm.{key}"][rows]
    for key in ("weight", "bias"):
        wanted[f"deep.{key}"] = net.weights[f"deep.{key}"][blocks]
    wanted["last.weight"] = net.weights["last.weight"][:, blocks] * share
    after = Duplicate("conv", (1,)).apply(net)
    check(after, wanted, net)
    assert after.weights["norm.num_batches_tracked"] == 5
    assert after.graph.op("deep").groups == 4  # type: ignore[attr-defined]


def test_flatten_into_linear() -> None:
    net = network(IMAGES)
    assert net.graph.shape("last").dims == (5, 1, 2)
    u = net.weights["head.weight"]  # blocks of two columns
    third = u[:, 4:6] * (1 / 3)
    wanted = {
        "last.weight": net.weights["last.weight"][[0, 1, 2, 2, 2, 3, 4]],
        "last.bias": net.weights["last.bias"][[0, 1, 2, 2, 2, 3, 4]],
        "head.weight": torch.cat([u[:, :4], third, third, third, u[:, 6:]], dim=1),
    }
    check(Duplicate("last", (2,), copies=3).apply(net), wanted, net)


CONCAT = "a = Input((3,))\nb = Linear(2)(a)\nc = Linear(4)(a)\nd = Concat()(b, c, b)\ne = Linear(5)(d)\nreturn e"


def test_offsets_in_a_concat() -> None:
    net = network(CONCAT)
    u = net.weights["e.weight"]
    wanted = {
        "c.weight": net.weights["c.weight"][[0, 1, 1, 2, 3]],
        "c.bias": net.weights["c.bias"][[0, 1, 1, 2, 3]],
        "e.weight": torch.cat([u[:, :3], u[:, 3:4] / 2, u[:, 3:4] / 2, u[:, 4:]], dim=1),
    }
    check(Duplicate("c", (1,)).apply(net), wanted, net)
    wanted = {
        "b.weight": net.weights["b.weight"][[0, 0, 1]],
        "b.bias": net.weights["b.bias"][[0, 0, 1]],
        "e.weight": torch.cat([u[:, :1] / 2, u[:, :1] / 2, u[:, 1:6], u[:, 6:7] / 2, u[:, 6:7] / 2, u[:, 7:]], dim=1),
    }
    check(Duplicate("b", (0,)).apply(net), wanted, net)


def test_displacements_are_in_the_coordinates_of_the_old_inputs() -> None:
    """Both layers at once: the later one's displaced rows are then shared out over the copied columns."""
    net = network(MLP)
    shift = np.array([[10.0, 20.0], [-10.0, -20.0]])
    split = Split("d", (1,), displacements=Displacements([shift]), bias_displacements=Displacements([shift[:, :1]]))
    after = Duplicate("b", (0,)).apply(split.apply(net))
    w = net.weights["d.weight"]
    rows = torch.stack([w[0], w[1] + torch.tensor(shift[0]), w[1] + torch.tensor(shift[1]), *w[2:]])
    assert torch.equal(after.weights["d.weight"], torch.stack([rows[:, 0] / 2, rows[:, 0] / 2, rows[:, 1]], dim=1))
    b = net.weights["d.bias"]
    assert after.weights["d.bias"].tolist() == [b[0], b[1] + 10, b[1] - 10, *b[2:]]
    edit = resize(net.graph, "b", {0: (0.5, 0.5)})
    both = Edit(edit.before, edit.after, edit.units, {"d.weight": np.full((5, 2), 7.0)})
    halved = torch.stack([(w[:, 0] + 7) / 2, (w[:, 0] + 7) / 2, w[:, 1] + 7], dim=1)
    assert torch.equal(net.after(both).weights["d.weight"], halved)


def test_fresh_units_get_initial_rows_and_columns_times_their_coefficient() -> None:
    net = network(MLP)
    with net.graph.edit() as editor:
        editor.replace("b", net.graph.op("b").resized(4))
    unit = UnitMap([0, FRESH, 1, FRESH], [1.0, 0.0, 1.0, 0.5], old_units=2)
    edit = Edit(net.graph, editor.graph, {"b": unit, "c": unit})
    after = net.after(edit, seed=3)
    drawn, read = (
        init_node(edit.after, name, rng.derive(3, "fresh", edit.after.shape(name).units)) for name in ("b", "d")
    )
    w, b, u = (net.weights[key] for key in ("b.weight", "b.bias", "d.weight"))
    rows, columns = drawn["weight"].double(), read["weight"].double()
    wanted = {
        "b.weight": torch.stack([w[0], rows[1], w[1], rows[3]]),
        "b.bias": torch.stack([b[0], drawn["bias"][1].double(), b[1], drawn["bias"][3].double()]),
        "d.weight": torch.stack([u[:, 0], 0 * columns[:, 1], u[:, 1], 0.5 * columns[:, 3]], dim=1),
    }
    check(after, wanted, net)


def test_fresh_units_of_batch_norm_start_as_torch_starts_them() -> None:
    net = network("a = Input((2,))\nb = Linear(3)(a)\nc = BatchNorm()(b)\nd = Linear(1)(c)\nreturn d")
    with net.graph.edit() as editor:
        editor.replace("b", net.graph.op("b").resized(4))
    unit = UnitMap([2, 0, FRESH, 1], old_units=3)
    after = net.after(Edit(net.graph, editor.graph, {"b": unit, "c": unit}))
    for key, start in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
        old = net.weights[f"c.{key}"]
        assert after.weights[f"c.{key}"].tolist() == [old[2], old[0], start, old[1]], key
    old = net.weights["d.weight"]
    assert after.weights["d.weight"].tolist() == [[old[0, 2], old[0, 0], 0.0, old[0, 1]]]


def test_an_edit_that_forgets_a_unit_map_is_refused() -> None:
    net = network(MLP)
    with net.graph.edit() as editor:
        editor.replace("b", net.graph.op("b").resized(4))
    with pytest.raises(ShapeError, match=r"tensor 'b\.weight' does not fit the graph"):
        net.after(Edit(net.graph, editor.graph))


def test_new_nodes_are_drawn_in_the_networks_type_and_all_others_are_the_same_objects() -> None:
    net = network(MLP)
    with net.graph.edit() as editor:
        new = editor.insert("c", Graph.parse("a = Input((2,))\nb = Linear(2)(a)\nreturn b").op("b"))
    after = net.after(Edit(net.graph, editor.graph), seed=9)
    wanted = {f"{new}.{key}": value.double() for key, value in init_node(editor.graph, new, 9).items()}
    check(after, wanted, net)
    assert after.weights[f"{new}.weight"].dtype == torch.float64


def test_a_node_that_gets_another_layer_starts_anew() -> None:
    net = network("a = Input((3,))\nb = Linear(3)(a)\nc = BatchNorm()(b)\nd = Linear(2)(c)\nreturn d")
    with net.graph.edit() as editor:
        editor.replace("c", Graph.parse("a = Input((3,))\nb = Linear(3)(a)\nreturn b").op("b"))
    after = net.after(Edit(net.graph, editor.graph), seed=2)
    wanted = {f"c.{key}": value.double() for key, value in init_node(editor.graph, "c", 2).items()}
    assert wanted["c.weight"].shape == (3, 3)
    check(after, wanted, net)


def test_a_layer_that_gets_other_options_keeps_what_still_fits() -> None:
    net = network(
        "a = Input((3,))\nb = Linear(3)(a)\nc = BatchNorm(affine=False)(b)\nd = Linear(2, bias=False)(c)\nreturn d"
    )
    other = Graph.parse("a = Input((3,))\nb = Linear(3)(a)\nc = BatchNorm()(b)\nd = Linear(2)(c)\nreturn d")
    after = net.after(Edit(net.graph, other), seed=2)
    wanted = {
        "c.weight": torch.ones(3, dtype=torch.float64),
        "c.bias": torch.zeros(3, dtype=torch.float64),
        "d.bias": init_node(other, "d", 2)["bias"].double(),
    }
    check(after, wanted, net)


def test_untied_weights_continue_those_they_were_tied_to() -> None:
    net = network("a = Input((3,))\nb = Linear(3)(a)\nc = Linear(3)(b) @ b\nreturn c")
    free = Graph.parse("a = Input((3,))\nb = Linear(3)(a)\nc = Linear(3)(b)\nreturn c")
    after = net.after(Edit(net.graph, free))
    assert torch.equal(after.weights["c.weight"], net.weights["b.weight"])


def test_shared_weights_are_carried_over_once() -> None:
    net = network(
        "a = Input((3,))\nz = Linear(2)(a)\nb = Linear(2)(z)\nc = Linear(2)(b) @ b\nd = Linear(1)(c)\nreturn d"
    )
    after = Duplicate("z", (1,)).apply(net)  # z, b and c are one group: b reads z and itself
    w = net.weights["b.weight"][[0, 1, 1]]
    assert torch.equal(after.weights["b.weight"], torch.stack([w[:, 0], w[:, 1] / 2, w[:, 1] / 2], dim=1))
    x = torch.ones(1, 3, dtype=torch.float64)
    assert torch.equal(net.to_torch()(x), after.to_torch()(x))


def test_a_chain_of_moves_keeps_the_function() -> None:
    text = IMAGES.replace("norm = BatchNorm()(conv)", "norm0 = BatchNorm()(conv)\nnorm = SiLU()(norm0)")
    net = Network.init(Graph.parse(text), 3, dtype=torch.float64)
    moves: list[Move] = [Duplicate("conv", (0, 2)), Duplicate("last", (4,), copies=3), Duplicate("conv", (1,))]
    x = torch.randn(7, 2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    wanted, here = net.to_torch()(x), net
    for move in moves:
        here = move.apply(here)
    assert here.graph.shape("conv").units == 6
    assert (here.to_torch()(x) - wanted).abs().max() < 1e-12
    back = Prune("conv", (5,)).apply(here)
    assert back.graph.shape("deep").units == 10
