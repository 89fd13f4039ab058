"""The hierarchical generator of networks: eight numbers, and every seed a network.

Ru, Esperanca and Carlucci, *Neural architecture generator optimization* (NAGO), arXiv 2004.01395:

    theta = (N_t, K_t, P_t,  N_m, P_m,  N_b, K_b, P_b)

A Watts-Strogatz graph ``(N_t, K_t, P_t)`` of cells, each an Erdos-Renyi graph ``(N_m, P_m)`` of blocks, each a
Watts-Strogatz graph ``(N_b, K_b, P_b)`` of leaves. The network is made as wide as its parameters may be, so that they
are nearly the same at every point, and a point trades many narrow layers for few wide ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from archgraph.checks import check_whole
from archgraph.errors import SettingError, SpaceError
from archgraph.generators.assembly import Layout, assemble
from archgraph.generators.hierarchy import Hierarchy, draw_hierarchy
from archgraph.generators.leaf import LEAVES, check_kinds
from archgraph.generators.merging import MERGES
from archgraph.generators.mixture import Mixture
from archgraph.generators.random_graphs import ErdosRenyi, RandomGraph, WattsStrogatz
from archgraph.generators.width_solver import widest
from archgraph.graph import Graph
from archgraph.spaces.domain import Domain, Value
from archgraph.spaces.ends import Ends, usual_head
from archgraph.spaces.interval import Float, Int
from archgraph.spaces.options import Ordered
from archgraph.spaces.space import Choose, Space, shown

STAGES = 3
_RATIOS = (1.0, 2.0, 4.0)


@dataclass(frozen=True)
class HierarchicalGenerator(Space):
    """Networks of three levels of random graphs.

    Parameters are ``N_t``, ``K_t``, ``P_t`` (cells: how many, neighbours in the ring, rewiring), ``N_m``, ``P_m``
    (blocks of a cell: how many, density) and ``N_b``, ``K_b``, ``P_b`` (leaves of a block). ``K`` is clipped to what
    the ring has; ``P`` does not matter where there is nothing to rewire or to leave out. With ``stages``, ``channels``,
    several ``merges`` or ``leaf_ops`` there are more, as in the full space of the paper; its main experiments search
    the eight alone, and more of them barely help.

    Args:
        input_shape: channels, height and width of an image, in pixels. From 40 pixels on it counts as large and is
            made four times smaller by the stem.
        outputs: units of the last layer.
        params: the most parameters a network may have, stem and head included.
        N_t: least and greatest number of cells.
        K_t: their neighbours: even numbers, in order.
        P_t: least and greatest probability that an edge is rewired.
        N_m: least and greatest number of blocks of a cell.
        P_m: least and greatest probability of an edge.
        N_b: as ``N_t``, of the leaves of a block.
        K_b: as ``K_t``.
        P_b: as ``P_t``.
        stages: whether the shares of the three stages are searched (``stage_1 .. stage_3``); else they are equal.
        channels: whether the widths of the second and the third stage, as multiples of the first, are searched
            (``ratio_2``, ``ratio_3``); else they are 2 and 4.
        merges: how nodes may bring together what they read: some of ``"sum"``, ``"concat"``, ``"attention"``; with
            several, their probabilities are searched (``merge_...``).
        leaf_ops: kinds of leaves, see :data:`~archgraph.generators.leaf.LEAVES`; with several, likewise (``leaf_...``).
        separable: whether convolutions of leaves are depthwise-separable.
        head: channels of the last convolution.
        dropout: before the last layer.

    Raises:
        SettingError: when a setting cannot be used.

    >>> space = HierarchicalGenerator((1, 8, 8), 10, params=40_000, head=64, N_t=(3, 4), N_m=(1, 2), N_b=(3, 4))
    >>> space.sample(0)
    <Graph of 69 nodes, input1 -> linear1>
    """

    input_shape: tuple[int, int, int]
    outputs: int
    params: int = 4_000_000
    N_t: tuple[int, int] = (3, 10)
    K_t: tuple[int, ...] = (2, 4)
    P_t: tuple[float, float] = (0.1, 0.9)
    N_m: tuple[int, int] = (1, 10)
    P_m: tuple[float, float] = (0.1, 0.9)
    N_b: tuple[int, int] = (3, 10)
    K_b: tuple[int, ...] = (2, 4)
    P_b: tuple[float, float] = (0.1, 0.9)
    stages: bool = False
    channels: bool = False
    merges: tuple[str, ...] = ("sum",)
    leaf_ops: tuple[str, ...] = ("conv3x3",)
    separable: bool = False
    head: int = 1280
    dropout: float = 0.2

    random = True

    def __post_init__(self) -> None:
        for name in ("input_shape", "N_t", "K_t", "P_t", "N_m", "P_m", "N_b", "K_b", "P_b", "merges", "leaf_ops"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("N_t", "P_t", "N_m", "P_m", "N_b", "P_b"):
            if len(getattr(self, name)) != 2:
                raise SettingError(f"{name} needs a least and a greatest value", got=getattr(self, name))
        for name in ("N_t", "N_m", "N_b"):
            if not getattr(self, name)[0] >= 1:
                raise SettingError(f"{name} starts at 1 node or more", got=getattr(self, name))
        for name in ("P_t", "P_m", "P_b"):
            if not (getattr(self, name)[0] >= 0.0 and getattr(self, name)[1] <= 1.0):
                raise SettingError(f"{name} lies between 0 and 1", got=getattr(self, name))
        for name in ("K_t", "K_b"):
            if any(isinstance(k, bool) or k % 2 or k < 2 for k in getattr(self, name)):
                raise SettingError(f"{name} are even numbers from 2 on", got=getattr(self, name))
        check_whole("params", self.params, 1)
        check_kinds("merges", self.merges, MERGES)
        check_kinds("leaf_ops", self.leaf_ops, LEAVES)
        self.layout({})
        assert self.domains

    # ------------------------------------------------------------------ parameters
    @cached_property
    def domains(self) -> Mapping[str, Domain]:
        """The eight parameters, then those of what else is searched."""
        found: dict[str, Domain] = {
            "N_t": Int(*self.N_t),
            "K_t": Ordered(self.K_t),
            "P_t": Float(*self.P_t),
            "N_m": Int(*self.N_m),
            "P_m": Float(*self.P_m),
            "N_b": Int(*self.N_b),
            "K_b": Ordered(self.K_b),
            "P_b": Float(*self.P_b),
        }
        if self.channels:
            found |= {"ratio_2": Float(1.0, 4.0, log=True), "ratio_3": Float(1.0, 8.0, log=True)}
        for mixture in self._mixtures:
            found |= mixture.domains
        return found

    @property
    def _mixtures(self) -> tuple[Mixture, Mixture, Mixture]:
        stages = tuple(str(stage) for stage in range(1, STAGES + 1)) if self.stages else ("all",)
        return Mixture("stage", stages), Mixture("merge", self.merges), Mixture("leaf", self.leaf_ops)

    def resolve(self, choose: Choose) -> dict[str, Value]:
        """Ask for every parameter but the probabilities where there is nothing to rewire or to leave out."""
        found: dict[str, Value] = {}
        for name, domain in self.domains.items():
            if name not in ("P_t", "P_m", "P_b") or _random(found, name[-1]).varies:
                found[name] = choose(name, domain)
        return found

    def merge(self, values: dict[str, Value]) -> dict[str, Value]:
        """Clip neighbours to what the rings have, and let shares add up to one."""
        merged = dict(values)
        for level in "tb":
            nodes, options = int(values[f"N_{level}"]), self.domains[f"K_{level}"].values()
            fitting = min(int(values[f"K_{level}"]), nodes - 1) // 2 * 2
            first, *rest = options
            merged[f"K_{level}"] = max([first, *(option for option in rest if int(option) <= fitting)])
        for mixture in self._mixtures:
            merged |= mixture.merge(values)
        return merged

    # ------------------------------------------------------------------ networks
    def hierarchy(self, values: Mapping[str, Any], seed: int = 0) -> Hierarchy:
        """Return the wirings of the network at a point, drawn by a seed."""
        point: dict[str, Any] = self.canonical(values)
        stages, merges, leaves = self._mixtures
        return draw_hierarchy(
            _random(point, "t"),
            _random(point, "m"),
            lambda stage: _random(point, "b"),
            seed,
            shares=tuple(stages.shares(point).values()) if self.stages else (1.0,) * STAGES,
            merges=merges.shares(point),
            leaves=leaves.shares(point),
        )

    def layout(self, values: Mapping[str, Any]) -> Layout:
        """Return what surrounds the cells at a point, and how wide they are."""
        ratios = (1.0, values.get("ratio_2", 2.0), values.get("ratio_3", 4.0))
        return Layout(self.input_shape, self.outputs, ratios, self.head, self.dropout, self.separable)

    def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
        """Return the network at a point, drawn by a seed, as wide as its parameters may be.

        Raises:
            SpaceError: when there is no such point, or the network has too many parameters at any width.
        """
        point = self.canonical(values)
        plan, output = assemble(self.hierarchy(point, seed), self.layout(point))
        try:
            width = widest(plan.params, self.params)
        except SpaceError as error:
            raise SpaceError(
                f"at {shown(point)}, seed {seed}: {error.what}", expected=error.expected, got=error.got, hint=error.hint
            ) from None
        return plan.graph(width, [output])

    def but(self, **changes: Any) -> HierarchicalGenerator:
        """Return the generator with other settings."""
        return replace(self, **changes)


def hierarchical(
    graph: Graph,
    params: int | None = None,
    head: int | None = None,
    N_t: tuple[int, int] = (3, 8),
    K_t: tuple[int, ...] = (2, 4),
    P_t: tuple[float, float] = (0.1, 0.9),
    N_m: tuple[int, int] = (1, 4),
    P_m: tuple[float, float] = (0.1, 0.9),
    N_b: tuple[int, int] = (3, 8),
    K_b: tuple[int, ...] = (2, 4),
    P_b: tuple[float, float] = (0.1, 0.9),
    stages: bool = False,
    channels: bool = False,
    merges: tuple[str, ...] = ("sum",),
    leaf_ops: tuple[str, ...] = ("conv3x3",),
    separable: bool = False,
    dropout: float = 0.2,
) -> HierarchicalGenerator:
    """Networks of three levels of random graphs, which read and give what the seed graph does.

    Args:
        graph: the seed graph, which makes a vector from one image.
        params: the most parameters; by default those of the seed graph, but at least 40,000.
        head: channels of the last convolution; by default 64 for small networks and up to 1280 for large ones.
        N_t: as in :class:`HierarchicalGenerator`, like all that follow, but with fewer nodes by default.
        K_t: of cells.
        P_t: of cells.
        N_m: of blocks.
        P_m: of blocks.
        N_b: of leaves.
        K_b: of leaves.
        P_b: of leaves.
        stages: whether their shares are searched.
        channels: whether the widths of stages are searched.
        merges: ways to merge.
        leaf_ops: kinds of leaves.
        separable: whether convolutions are.
        dropout: before the last layer.

    Raises:
        SpaceError: when the seed graph is none of images.
        SettingError: when a setting cannot be used.
    """
    ends = Ends.of(graph)
    limit = ends.params if params is None else params
    return HierarchicalGenerator(
        ends.input_shape,
        ends.outputs,
        params=limit,
        head=usual_head(limit) if head is None else head,
        N_t=N_t, K_t=K_t, P_t=P_t, N_m=N_m, P_m=P_m, N_b=N_b, K_b=K_b, P_b=P_b,
        stages=stages,
        channels=channels,
        merges=merges,
        leaf_ops=leaf_ops,
        separable=separable,
        dropout=dropout,
    )  # fmt: skip


def _random(point: Mapping[str, Any], level: str) -> RandomGraph:
    """Return the random graph of cells, blocks or leaves; a probability that is not there does not matter."""
    nodes = point[f"N_{level}"]
    if level == "m":
        return ErdosRenyi(nodes, point.get("P_m", 1.0))
    return WattsStrogatz(nodes, point[f"K_{level}"], point.get(f"P_{level}", 0.0))
