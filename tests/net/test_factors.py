from __future__ import annotations

import pytest
import torch
from torch import Tensor

from archgraph.errors import ShapeError
from archgraph.graph import Graph
from archgraph.moves import Duplicate, Prune, Widen
from archgraph.net import Network, inherit_state, load_state
from archgraph.net.factors import factor_fits

TEXT = """
a = Input((3,))
b = Linear(4)(a)
c = ReLU()(b)
d = Linear(2)(c)
return d
"""
GRAPH = Graph.parse(TEXT)
CONVOLVING = Graph.parse("""
a = Input((2, 5, 5))
b = Conv2d(3, kernel_size=(2, 2))(a)
c = Conv2d(4, kernel_size=(2, 2))(b)
d = GlobalAvgPool()(c)
return d
""")


def moment(size: int, rows: int = 9) -> Tensor:
    found = torch.randn(rows, size, dtype=torch.float64)
    return found.mT @ found


STATE = {
    "b.weight": {"step": torch.tensor(3.0), "input_factor": moment(4), "output_factor": moment(4)},
    "d.weight": {"step": torch.tensor(3.0), "input_factor": moment(5), "output_factor": moment(2)},
}


def test_copies_are_read_again_and_share_the_gradient():
    after = inherit_state(Duplicate("b", (1,), copies=3).plan(GRAPH), STATE)
    index = [0, 1, 1, 1, 2, 3]
    share = torch.tensor([1.0, 1 / 3, 1 / 3, 1 / 3, 1.0, 1.0], dtype=torch.float64)
    G = STATE["b.weight"]["output_factor"][index][:, index]
    assert torch.allclose(after["b.weight"]["output_factor"], G * share[:, None] * share)
    assert torch.equal(after["b.weight"]["input_factor"], STATE["b.weight"]["input_factor"])
    kept = [*index, 4]  # and the 1 of the bias
    assert torch.equal(after["d.weight"]["input_factor"], STATE["d.weight"]["input_factor"][kept][:, kept])
    assert torch.equal(after["d.weight"]["output_factor"], STATE["d.weight"]["output_factor"])


def test_fresh_units_have_the_mean_trace_and_stand_alone():
    after = inherit_state(Widen("b", units=2).plan(GRAPH), STATE)
    G, A = after["b.weight"]["output_factor"], after["d.weight"]["input_factor"]
    old_G, old_A = STATE["b.weight"]["output_factor"], STATE["d.weight"]["input_factor"]
    assert torch.equal(G[:4, :4], old_G)
    assert torch.allclose(G[4:, 4:], torch.eye(2, dtype=torch.float64) * old_G.trace() / 4)
    assert not G[:4, 4:].any()
    kept = [0, 1, 2, 3, 6]
    assert torch.equal(A[kept][:, kept], old_A)
    assert torch.allclose(A[4:6, 4:6], torch.eye(2, dtype=torch.float64) * old_A.trace() / 5)
    assert not A[4:6, kept].any()


def test_units_that_go_take_their_rows_and_columns_along():
    after = inherit_state(Prune("b", (0, 2)).plan(GRAPH), STATE)
    assert torch.equal(after["b.weight"]["output_factor"], STATE["b.weight"]["output_factor"][[1, 3]][:, [1, 3]])
    assert torch.equal(after["d.weight"]["input_factor"], STATE["d.weight"]["input_factor"][[1, 3, 4]][:, [1, 3, 4]])


def test_kernels_move_as_blocks():
    state = {"c.weight": {"input_factor": moment(12, 20), "output_factor": moment(4)}}
    after = inherit_state(Duplicate("b", (0,)).plan(CONVOLVING), state)
    index = [*range(4), *range(4), *range(4, 12)]
    assert torch.equal(after["c.weight"]["input_factor"], state["c.weight"]["input_factor"][index][:, index])


@pytest.mark.parametrize("move", [Duplicate("b", (1,)), Prune("b", (0,)), Widen("b")], ids=str)
def test_rows_are_carried_as_the_factor_they_stand_for(move: Duplicate):
    rows = torch.randn(3, 5, dtype=torch.float64)
    as_rows = {"d.weight": {"input_rows": rows, "input_tail": torch.tensor(0.0), "output_factor": moment(2)}}
    as_matrix = {"d.weight": {"input_factor": rows.mT @ rows, "output_factor": moment(2)}}
    edit = move.plan(GRAPH)
    found, wanted = (inherit_state(edit, one)["d.weight"] for one in (as_rows, as_matrix))
    dense = found["input_rows"].mT @ found["input_rows"] if "input_rows" in found else found["input_factor"]
    assert torch.allclose(dense, wanted["input_factor"])
    assert ("input_rows" in found) == (not isinstance(move, Widen))


def test_what_was_computed_from_factors_goes_where_they_changed():
    state = {name: {**entries, "output_inverse": moment(2)} for name, entries in STATE.items()}
    state["b.weight"]["output_inverse"] = moment(4)
    after = inherit_state(Duplicate("b", (1,)).plan(GRAPH), state)
    assert not any("inverse" in entry for entries in after.values() for entry in entries)


def test_natural_gradients_go_the_way_of_weights():
    network = Network.init(GRAPH, 0, dtype=torch.float64)
    state = {name: {"velocity": value} for name, value in network.weights.items()}
    edit = Duplicate("b", (1, 3)).plan(GRAPH)
    after = inherit_state(edit, state)
    assert all(torch.equal(after[name]["velocity"], value) for name, value in network.after(edit).weights.items())


def test_a_state_is_loaded_with_its_factors_or_refused():
    module = Network.init(GRAPH, 0, dtype=torch.float64).to_torch()
    optimizer = torch.optim.SGD(module.parameters())
    load_state(module, optimizer, STATE)
    with pytest.raises(ShapeError, match="output_factor"):
        load_state(module, optimizer, {"b.weight": {"output_factor": moment(5)}})


@pytest.mark.parametrize(
    ("entry", "shape", "fits"),
    [
        ("input_factor", (6, 6), True),
        ("input_factor", (7, 7), True),
        ("input_factor", (8, 8), False),
        ("input_factor", (6, 7), False),
        ("input_rows", (2, 7), True),
        ("input_rows", (2, 5), False),
        ("output_factor", (4, 4), True),
        ("output_factor", (3, 3), False),
        ("input_inverse", (2, 2), True),
        ("output_factor", (4,), False),
    ],
)
def test_fits(entry: str, shape: tuple[int, ...], fits: bool):
    assert factor_fits(entry, shape, (4, 2, 3)) == fits
