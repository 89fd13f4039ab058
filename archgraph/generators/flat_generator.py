"""The flat generator of randomly wired networks: one random graph a stage, the baseline of the hierarchical one.

Xie, Kirillov, Girshick and He, *Exploring randomly wired neural networks for image recognition*, arXiv 1904.01569; with
three stages and a budget of parameters it is the RNAG of Ru et al., arXiv 2004.01395.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from archgraph.checks import check_whole
from archgraph.errors import SettingError, SpaceError
from archgraph.generators.assembly import Layout, assemble
from archgraph.generators.hierarchy import Hierarchy, draw_hierarchy
from archgraph.generators.leaf import LEAVES, check_kinds
from archgraph.generators.orientation import Wiring
from archgraph.generators.random_graphs import BarabasiAlbert, ErdosRenyi, RandomGraph, WattsStrogatz
from archgraph.generators.width_solver import widest
from archgraph.graph import Graph
from archgraph.spaces.domain import Domain, Value
from archgraph.spaces.ends import Ends, usual_head
from archgraph.spaces.interval import Float, Int
from archgraph.spaces.options import Ordered
from archgraph.spaces.space import Choose, Space, shown

DEFAULT: Mapping[str, Value] = {"N": 32, "K": 4, "P": 0.75}
"""The point that the authors of randomly wired networks settled on; RNAG-D of arXiv 2004.01395."""

MODELS = {"watts-strogatz": ("N", "K", "P"), "erdos-renyi": ("N", "P"), "barabasi-albert": ("N", "M")}
"""Random graphs by name, with their parameters: nodes, neighbours in the ring, probability, links of a new node."""


@dataclass(frozen=True)
class FlatGenerator(Space):
    """Networks of one random graph a stage; a stage reads what leaves the one before it, pooled to half the size.

    Parameters are ``N`` (leaves of a stage) and, by ``model``, ``K`` and ``P``, ``P``, or ``M``; with ``per_stage``,
    each of them for every stage: ``N_1``, ``K_1``, ``P_1``, ``N_2`` and so on.

    Args:
        input_shape: channels, height and width of an image, in pixels.
        outputs: units of the last layer.
        params: the most parameters a network may have, stem and head included.
        model: the random graph, one of :data:`MODELS`.
        per_stage: whether every stage has parameters of its own.
        N: least and greatest number of leaves of a stage.
        K: neighbours in the ring: even numbers, in order.
        P: least and greatest probability.
        M: least and greatest number of links.
        leaf: the kind of all leaves.
        ratios: channels of the stages, as multiples of the first.
        separable: whether convolutions of leaves are depthwise-separable.
        head: channels of the last convolution.
        dropout: before the last layer.

    Raises:
        SettingError: when a setting cannot be used.

    >>> FlatGenerator((3, 32, 32), 10).build(DEFAULT, seed=1)
    <Graph of 505 nodes, input1 -> linear1>
    """

    input_shape: tuple[int, int, int]
    outputs: int
    params: int = 4_000_000
    model: str = "watts-strogatz"
    per_stage: bool = False
    N: tuple[int, int] = (10, 40)
    K: tuple[int, ...] = (2, 4)
    P: tuple[float, float] = (0.1, 0.9)
    M: tuple[int, int] = (1, 8)
    leaf: str = "conv3x3"
    ratios: tuple[float, ...] = (1.0, 2.0, 4.0)
    separable: bool = False
    head: int = 1280
    dropout: float = 0.2

    random = True

    def __post_init__(self) -> None:
        for name in ("input_shape", "N", "K", "P", "M", "ratios"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.model not in MODELS:
            raise SettingError("unknown model of random graphs", expected=", ".join(MODELS), got=repr(self.model))
        for name in ("N", "P", "M"):
            if len(getattr(self, name)) != 2:
                raise SettingError(f"{name} needs a least and a greatest value", got=getattr(self, name))
        if self.N[0] < 1 or self.M[0] < 1 or not (self.P[0] >= 0.0 and self.P[1] <= 1.0):
            raise SettingError("N and M start at 1 or more and P lies between 0 and 1", got=(self.N, self.M, self.P))
        if any(isinstance(k, bool) or k % 2 or k < 2 for k in self.K):
            raise SettingError("K are even numbers from 2 on", got=self.K)
        check_whole("params", self.params, 1)
        check_kinds("leaf", (self.leaf,), LEAVES[:5])
        assert self.layout and self.domains

    @cached_property
    def domains(self) -> Mapping[str, Domain]:
        """The parameters of the random graph, once or for every stage."""
        known: dict[str, Domain] = {"N": Int(*self.N), "K": Ordered(self.K), "P": Float(*self.P), "M": Int(*self.M)}
        return {f"{name}{end}": known[name] for end in self._ends for name in MODELS[self.model]}

    @property
    def _ends(self) -> tuple[str, ...]:
        return tuple(f"_{stage}" for stage in range(1, len(self.ratios) + 1)) if self.per_stage else ("",)

    def resolve(self, choose: Choose) -> dict[str, Value]:
        """Ask for every parameter but the probabilities where there is nothing to rewire or to leave out."""
        found: dict[str, Any] = {}
        for name, domain in self.domains.items():
            if name[0] != "P" or self._graph(found, name[1:]).varies:
                found[name] = choose(name, domain)
        return found

    def merge(self, values: dict[str, Value]) -> dict[str, Value]:
        """Clip neighbours and links to what there are nodes for."""
        merged: dict[str, Any] = dict(values)
        for end in self._ends:
            for name in {"K", "M"} & set(MODELS[self.model]):
                first, *rest = self.domains[f"{name}{end}"].values()
                others = merged[f"N{end}"] - 1
                merged[name + end] = max([first, *(one for one in rest if one <= min(merged[name + end], others))])
        return merged

    def hierarchy(self, values: Mapping[str, Any], seed: int = 0) -> Hierarchy:
        """Return the wirings of the network at a point, drawn by a seed: a chain of cells of one block each."""
        point = self.canonical(values)

        def bottom(stage: int) -> RandomGraph:
            return self._graph(point, self._ends[stage % len(self._ends)])

        chain = Wiring.chain(len(self.ratios))
        equal = (1.0,) * len(self.ratios)
        return draw_hierarchy(chain, ErdosRenyi(1, 0.0), bottom, seed, shares=equal, leaves={self.leaf: 1.0})

    def _graph(self, point: Mapping[str, Any], end: str) -> RandomGraph:
        """Return the random graph of parameters whose names end so; a probability that is not there does not matter."""
        nodes = point[f"N{end}"]
        if self.model == "watts-strogatz":
            return WattsStrogatz(nodes, point[f"K{end}"], point.get(f"P{end}", 0.0))
        if self.model == "erdos-renyi":
            return ErdosRenyi(nodes, point.get(f"P{end}", 1.0))
        return BarabasiAlbert(nodes, point[f"M{end}"])

    @cached_property
    def layout(self) -> Layout:
        """What surrounds the stages, and how wide they are."""
        return Layout(self.input_shape, self.outputs, self.ratios, self.head, self.dropout, self.separable)

    def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
        """Return the network at a point, drawn by a seed, as wide as its parameters may be.

        Raises:
            SpaceError: when there is no such point, or the network has too many parameters at any width.
        """
        plan, output = assemble(self.hierarchy(values, seed), self.layout)
        try:
            width = widest(plan.params, self.params)
        except SpaceError as error:
            raise SpaceError(
                f"at {shown(self.canonical(values))}, seed {seed}: {error.what}",
                expected=error.expected,
                got=error.got,
                hint=error.hint,
            ) from None
        return plan.graph(width, [output])


def flat(
    graph: Graph,
    params: int | None = None,
    head: int | None = None,
    model: str = "watts-strogatz",
    per_stage: bool = False,
    N: tuple[int, int] = (10, 40),
    K: tuple[int, ...] = (2, 4),
    P: tuple[float, float] = (0.1, 0.9),
    M: tuple[int, int] = (1, 8),
    separable: bool = False,
    dropout: float = 0.2,
) -> FlatGenerator:
    """Networks of one random graph a stage, which read and give what the seed graph does.

    Args:
        graph: the seed graph, which makes a vector from one image.
        params: the most parameters; by default those of the seed graph, but at least 40,000.
        head: channels of the last convolution; by default 64 for small networks and up to 1280 for large ones.
        model: as in :class:`FlatGenerator`, like all that follow.
        per_stage: whether every stage has parameters of its own.
        N: of leaves.
        K: of neighbours.
        P: of probabilities.
        M: of links.
        separable: whether convolutions are.
        dropout: before the last layer.

    Raises:
        SpaceError: when the seed graph is none of images.
        SettingError: when a setting cannot be used.
    """
    ends = Ends.of(graph)
    limit = ends.params if params is None else params
    channels = usual_head(limit) if head is None else head
    settings = {"model": model, "per_stage": per_stage, "N": N, "K": K, "P": P, "M": M, "separable": separable}
    return FlatGenerator(ends.input_shape, ends.outputs, limit, head=channels, dropout=dropout, **settings)  # type: ignore[arg-type]
