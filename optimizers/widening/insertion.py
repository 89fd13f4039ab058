"""One more layer, where its gradient is the longest: put in as an identity, then moved down its gradient.

How far it moves is found on the training loss, from a tenth of the length that an identity has; at zero the network is
what it was. Where no step lowers the loss the layer is rejected.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from archgraph import rng
from archgraph.errors import EvaluationFailed
from archgraph.evaluation import Origin, Report, Score
from archgraph.graph import Edit, Graph
from archgraph.moves import Move
from archgraph.net import Network, inherit_state
from archgraph.scoring import SiteScore
from archgraph.scoring.insertions import InsertionSettings, fresh_labels, insertion
from optimizers.growth import Cost
from optimizers.growth.asking import Asking, training_loss, with_all_statistics
from optimizers.growth.ladder import climb
from optimizers.growth.reasons import left_out
from optimizers.growth.stage import Grown


@dataclass(frozen=True)
class Insertion:
    """A stage that inserts a layer.

    Args:
        ratio: least squared gradient of a new layer, as a share of the mean over the layers that are there.
        kernel_size: of inserted convolutions.
        layer_width: of inserted bottlenecks.
        factor: where the line search starts, as a share of the length of an identity.
        line_search: whether other factors are tried than the first.
        samples: training samples used for scores; None for all.
        cost: what is limited; None for nothing.
        added: the most that the layer may add to it.
        settled: whether running statistics of batch norm are estimated anew first.
        state: ``"carry"`` or ``"fresh"``.
    """

    ratio: float = 1.0
    kernel_size: int = 3
    layer_width: int | None = None
    factor: float = 0.1
    line_search: bool = True
    samples: int | None = None
    cost: Cost | None = None
    added: float | None = None
    settled: bool = True
    state: str = "carry"

    def stage(self, report: Report, number: int, seed: int) -> Asking[list[Grown] | str]:
        """Return the network with the layer that gains most of those that may be added, or why there is none."""
        trained = report.network
        assert trained is not None
        try:
            parent = (yield from with_all_statistics(trained)) if self.settled else trained
            own = rng.derive(seed, "layers", number) % 2**31
            options = {"ratio": self.ratio, "kernel_size": self.kernel_size, "seed": own}
            options |= {} if self.layer_width is None else {"layer_width": self.layer_width}
            scored = yield Score(parent, "sensli", samples=self.samples, seed=seed, options=options)
            if not scored.ok:
                return f"stage {number} could not be scored: {scored.failure}"
            chosen = self.chosen(parent.graph, scored.scores, InsertionSettings.of(options))
            if chosen is None:
                return f"no layer is left to insert: {self._why(scored)}"
            name, move = chosen
            exact = parent.to(torch.float64)
            before = yield from training_loss(exact)
            deeper = _Deeper(exact, move.plan(parent.graph), scored.scores[name], self.factor)
            found = yield from deeper.best(before, ladder=self.line_search)
        except EvaluationFailed as error:
            return f"stage {number} could not be measured: {error.what}"
        if not found.measured < 0.0:
            return f"stage {number} was rejected: no step of a layer behind {name!r} lowers the loss"
        carried = report.state if self.state == "carry" else None
        origin = Origin(
            trained.key,
            (repr(move),),
            number,
            predicted=found.length * float(scored.scores[name].index),
            measured=found.measured,
            note="; ".join([f"sensli: a layer behind {name}; step {found.length:g}", *left_out(scored)]),
        )
        state = None if carried is None else inherit_state(deeper.edit, carried)
        return [Grown(found.network.to(parent.dtype), state, origin)]

    def chosen(self, graph: Graph, scores: Mapping[str, SiteScore], how: InsertionSettings) -> tuple[str, Move] | None:
        """Return the place that gains most of those where a layer may be added, and its move."""
        for name in sorted(scores, key=lambda name: float(scores[name].index)):
            move = insertion(graph, name, how)
            if self.cost is None or self.added is None:
                return name, move
            if self.cost.of(move.plan(graph).after) - self.cost.of(graph) <= self.added:
                return name, move
        return None

    def _why(self, scored: Report) -> str:
        if scored.scores:
            assert self.cost is not None
            return f"every one would add more than {self.added:g} {self.cost.name}"
        reasons = [f"{name} {reason}" for name, reason in scored.refused.items()]
        return "; ".join(reasons) or "no layer reads what another one makes"


class _Moved(NamedTuple):
    """A step along the gradient, the network there, and by how much its training loss differs."""

    length: float
    network: Network
    measured: float


class _Deeper:
    """A network with one more layer, at any step of it.

    Args:
        network: before, in double precision.
        edit: that inserts the layer.
        score: of its place.
        factor: where the line search starts.
    """

    def __init__(self, network: Network, edit: Edit, score: SiteScore, factor: float) -> None:
        self.edit, self._still = edit, network.after(edit)
        self._labels = fresh_labels(edit.before, edit.after)
        self._direction = score.directions[0]
        sizes = [len(self._still.weights[label]) for label in self._labels]
        self._first = factor * math.sqrt(max(sizes)) / float(self._direction.norm())

    def at(self, length: float) -> Network:
        """Return the network after a step."""
        return Network(self._still.graph, {**self._still.weights, **dict(self._moved(length))})

    def best(self, before: float, *, ladder: bool) -> Asking[_Moved]:
        """Return the step, of those tried, after which the training loss is lowest; it may be higher than before."""

        def tried(factor: float) -> Asking[_Moved]:
            network = self.at(self._first * factor)
            after = yield from training_loss(network)
            return _Moved(self._first * factor, network, after - before)

        first = yield from tried(1.0)
        return (yield from climb(first, tried)) if ladder else first

    def _moved(self, length: float) -> Iterator[tuple[str, Any]]:
        done = 0
        for label in self._labels:
            tensor = self._still.weights[label]
            part = self._direction[done : done + tensor.numel()]
            done += tensor.numel()
            yield label, tensor + length * part.to(tensor).reshape(tensor.shape)
