"""New units of networks on graphs: what criteria promise is what the loss at the nodes that count does."""

from __future__ import annotations

import pytest
import torch

from archgraph import Network
from archgraph.net import Nodes, calibrate
from archgraph.scoring import score_sites
from archgraph.scoring.additions import Additions, running_statistics
from archgraph.scoring.proposals import NAMES
from archgraph.tasks import Loss
from tests.scoring.test_nodes import CLASSES, END, HEAD, TEXTS, case, loss_of

CASES = {
    **{name: TEXTS[name] for name in ("gcn", "gcn, gcn", "sage", "tag", "gin", "read by attention")},
    "cheb, twice read": f"{HEAD}a = ChebConv(5, K=3)(x, links)\nf = Tanh()(a)\nc = Concat()(f, f)\n"
    f"y = ChebConv({CLASSES})(c, links)\nreturn y",
    "batch norm between": f"{HEAD}a = GCNConv(5)(x, links)\nn = BatchNorm()(a)\nf = Tanh()(n)\n"
    f"y = SAGEConv({CLASSES})(f, links)\nreturn y",
    "gat": f"{HEAD}a = GATConv(5)(x, links)\nf = Tanh()(a)\n{END}",
}
NODES = 43  # more than a reader has weights, or existing units could do all that new ones can
SILENT = {"read by attention": "which is no linear layer"}
"""Where nothing can be proposed, with the reason."""


def grown(network: Network, additions: Additions, factor: float, x: Nodes) -> Network:
    """Put units in, with statistics of batch norm that were estimated before anybody heard them."""
    unheard = calibrate(additions.at(0.0), additions.edits, x)
    return additions.at(factor, running_statistics(unheard))


FAST = ("gcn, gcn", "read by attention", "cheb, twice read")


@pytest.mark.parametrize("criterion", NAMES)
@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in CASES])
def test_gains_are_those_of_the_loss(name: str, criterion: str) -> None:
    network, x, y = case(CASES[name], nodes=NODES)
    found = score_sites(network, x, y, Loss("cross-entropy"), criterion=criterion, options={"units": 2})
    if name in SILENT:
        assert not found.scores
        assert SILENT[name] in found.refused["a"]
        return
    if criterion in ("tiny", "gradmax") and name in ("gin", "cheb, twice read"):
        assert "a" in found.refused  # no straight way
        return
    one = found.scores["a"]
    assert one.gain is not None and one.energy is not None
    assert 0 < len(one.index) <= 2
    assert found.samples == NODES
    before = float(loss_of(network, x, y))
    for unit in range(len(one.index)):
        additions = Additions(network, found.scores, {"a": [unit]})
        assert abs(float(loss_of(grown(network, additions, 0.0, x), x, y)) - before) < 1e-12
        rate = float(one.gain[unit].square() / one.energy[unit])
        changes = [float(loss_of(grown(network, additions, step, x), x, y)) - before for step in (2e-5, 1e-5)]
        assert (4.0 * changes[1] - changes[0]) / 2e-5 == pytest.approx(-rate, rel=1e-2)


@pytest.mark.parametrize("criterion", ["tiny", "natural-expansion"])
def test_existing_weights_of_a_reader_move_along(criterion: str) -> None:
    network, x, y = case(TEXTS["tag"], nodes=NODES)
    options = {"units": 1, "compensate": True}
    found = score_sites(network, x, y, Loss("cross-entropy"), criterion=criterion, options=options)
    additions = Additions(network, found.scores, {"a": [0]})
    still, moved = additions.at(0.0), additions.at(0.5)
    for name in ("lins.0.weight", "lins.1.weight", "bias"):
        before, after = still.weights[f"y.{name}"], moved.weights[f"y.{name}"]
        old = (slice(None), slice(0, 5)) if before.ndim == 2 else (slice(None),)
        torch.testing.assert_close(before[old], network.weights[f"y.{name}"])
        assert (before[old] - after[old]).abs().max() > 1e-9
