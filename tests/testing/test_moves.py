"""The conformance check finds moves that say one thing and do another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import pytest
import torch

from archgraph import Graph, Move, Network, ops
from archgraph.errors import MoveRefused
from archgraph.graph import Edit, UnitMap, resize
from archgraph.moves import Displacements, Duplicate, Prune, RemoveLayer, Split, Widen
from archgraph.testing import check_move

GRAPH = Graph.parse(
    "x = Input((2,))\na = Linear(3)(x)\nn = BatchNorm()(a)\nr = ReLU()(n)\nd = Dropout(0.5)(r)\nb = Linear(5)(r)\n"
    "o = Linear(7)(b)\np = Linear(4)(d)\nreturn o, p"
)


@dataclass(frozen=True, repr=False)
class InsertNothing(Move):
    """Honest: insert an identity behind a node."""

    after: str
    keeps_function: ClassVar[bool] = True

    def plan(self, graph: Graph) -> Edit:
        graph.node(self.after)
        with graph.edit() as edit:
            edit.insert(self.after, self.op())
        return Edit(graph, edit.graph)

    def op(self) -> ops.Op:
        return ops.Identity()

    @classmethod
    def sites(cls, graph: Graph) -> Iterator[Self]:
        yield from (cls(node.name) for node in graph)


@dataclass(frozen=True, repr=False)
class MoveLiarFunction(InsertNothing):
    """Says that a ReLU keeps the function."""

    def op(self) -> ops.Op:
        return ops.ReLU()


@dataclass(frozen=True, repr=False)
class MoveLiarTrain(InsertNothing):
    """Keeps the function of a fresh network in eval mode alone."""

    def op(self) -> ops.Op:
        return ops.BatchNorm(eps=1e-30, momentum=0.0, affine=False)


@dataclass(frozen=True, repr=False)
class MoveLiarStatistics(InsertNothing):
    """Takes out a batch norm, which does nothing (almost) while its statistics are fresh, and says so."""

    def plan(self, graph: Graph) -> Edit:
        return RemoveLayer(self.after).plan(graph)

    @classmethod
    def sites(cls, graph: Graph) -> Iterator[Self]:
        yield cls("n")


class MoveLiarText(InsertNothing):
    """Prints a move that does something else."""

    def __repr__(self) -> str:
        return "InsertNothing('a')"


class MoveLiarGarbage(InsertNothing):
    """Prints what nobody can read."""

    def __repr__(self) -> str:
        return "<a move>"


@dataclass(frozen=True, repr=False)
class MoveLiarSites(InsertNothing):
    """Lists a node that does not exist."""

    @classmethod
    def sites(cls, graph: Graph) -> Iterator[Self]:
        yield cls("r")
        yield cls("nowhere")


@dataclass(frozen=True, repr=False)
class MoveLiarTwice(InsertNothing):
    """Lists a site twice."""

    @classmethod
    def sites(cls, graph: Graph) -> Iterator[Self]:
        yield from (cls("r"), cls("r"))


@dataclass(frozen=True, repr=False)
class MoveLiarName(InsertNothing):
    """Fails with a KeyError of its own on a name that no node has."""

    def plan(self, graph: Graph) -> Edit:
        {"a": 1, "r": 2}[self.after]
        return super().plan(graph)


@dataclass(frozen=True, repr=False)
class MoveLiarInverse(InsertNothing):
    """Names an inverse that takes something else away."""

    def inverse(self, graph: Graph) -> Move:
        return RemoveLayer("d")


@dataclass(frozen=True, repr=False)
class MoveLiarUnits(InsertNothing):
    """Forgets to say where the units come from."""

    def plan(self, graph: Graph) -> Edit:
        return Edit(graph, Widen(self.after).plan(graph).after)

    @classmethod
    def sites(cls, graph: Graph) -> Iterator[Self]:
        yield cls("a")


@dataclass(frozen=True, repr=False)
class MoveLiarShare(InsertNothing):
    """Copies a unit without sharing out what leaves it."""

    def plan(self, graph: Graph) -> Edit:
        return resize(graph, self.after, {0: (1.0, 1.0)})

    @classmethod
    def sites(cls, graph: Graph) -> Iterator[Self]:
        yield cls("a")


@dataclass(frozen=True, repr=False)
class MoveLiarApply(InsertNothing):
    """Does something else to networks than to graphs."""

    def apply(self, to: Any) -> Any:
        return super().apply(to) if isinstance(to, Graph) else to


@dataclass(frozen=True, repr=False)
class MoveLiarWrites(InsertNothing):
    """Writes into the weights it was given."""

    def apply(self, to: Any) -> Any:
        if isinstance(to, Network):
            to.weights["o.bias"].add_(0.0).neg_()
        return super().apply(to)


@dataclass(frozen=True, repr=False)
class MoveLiarRandom(InsertNothing):
    """Draws from torch's global stream."""

    def plan(self, graph: Graph) -> Edit:
        torch.rand(1)
        return super().plan(graph)


@dataclass(frozen=True, repr=False)
class MoveLiarMaps(InsertNothing):
    """Gives a unit map of the wrong length."""

    keeps_function: ClassVar[bool] = False

    def plan(self, graph: Graph) -> Edit:
        edit = super().plan(graph)
        return Edit(graph, edit.after, {"a": UnitMap([0, 1], old_units=3)})


@dataclass(frozen=True, repr=False)
class MoveLiarMute(InsertNothing):
    __doc__ = None


@dataclass(frozen=True, repr=False)
class MoveLiarShape(InsertNothing):
    """Says that it keeps the function, and returns something else."""

    def plan(self, graph: Graph) -> Edit:
        graph.node(self.after)
        with graph.edit() as edit:
            edit.outputs("o", "p", "b")
        return Edit(graph, edit.graph)


LIES: dict[str, tuple[Move, str]] = {
    "function": (MoveLiarFunction("a"), "relative change of the outputs in"),
    "train": (MoveLiarTrain("x"), "relative change of the outputs in train mode"),
    "statistics": (MoveLiarStatistics("n"), "relative change of the outputs in"),
    "text": (MoveLiarText("r"), "its text parses back"),
    "garbage": (MoveLiarGarbage("r"), "does not parse back"),
    "sites": (MoveLiarSites("r"), r"every site is legal, MoveLiarSites\('nowhere'\) too"),
    "twice": (MoveLiarTwice("r"), "yields every site once"),
    "name": (MoveLiarName("r"), "after='no_node_is_called_so' is an error"),
    "inverse": (MoveLiarInverse("r"), "its inverse leads back to the graph"),
    "units": (MoveLiarUnits("a"), "old and new units of node 'a' by its unit map"),
    "share": (MoveLiarShare("a"), "relative change of the outputs in"),
    "apply": (MoveLiarApply("r"), "graph and network become the same"),
    "writes": (MoveLiarWrites("r"), "leaves alone what it is applied to"),
    "random": (MoveLiarRandom("r"), "draws from its own seed"),
    "maps": (MoveLiarMaps("r"), "old and new units of node 'a' by its unit map"),
    "mute": (MoveLiarMute("r"), "has a docstring"),
    "shape": (MoveLiarShape("r"), "keeps the shapes of the outputs"),
}


@pytest.mark.parametrize(("move", "message"), LIES.values(), ids=LIES)
def test_a_lie_is_found(move: Move, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_move(move, Network.init(GRAPH))


HONEST = [
    InsertNothing("r"),
    Duplicate("a", (0, 2), copies=3),
    Prune("a", (1,)),
    Widen("b", units=2),
    Split("a", (1,), displacements=Displacements([[[1.0, 2.0], [-3.0, 4.0]]])),
]


@pytest.mark.parametrize("move", HONEST, ids=repr)
def test_honest_moves_pass(move: Move) -> None:
    check_move(move, Network.init(GRAPH))


def test_a_batch_of_ones_own_is_used() -> None:
    """Behind inputs that are positive, and a layer that keeps them so, a ReLU does nothing."""
    graph = Graph.parse("x = Input((2,))\na = Linear(3)(x)\nreturn a")
    network = Network.init(graph)
    with pytest.raises(AssertionError, match="relative change"):
        check_move(MoveLiarFunction("x"), network, inputs=[torch.randn(4, 2)])
    check_move(MoveLiarFunction("x"), network, inputs=[torch.rand(4, 2)])


def test_a_move_that_is_not_legal_there_is_said_to_be_so() -> None:
    with pytest.raises(AssertionError, match="is not legal on this network, name another site") as caught:
        check_move(Widen("o"), Network.init(GRAPH))
    assert isinstance(caught.value.__cause__, MoveRefused)


def test_the_global_random_stream_is_left_alone() -> None:
    state = torch.random.get_rng_state()
    check_move(Widen("a"), Network.init(GRAPH))
    assert torch.equal(state, torch.random.get_rng_state())
