"""The criterion ``"splitting"``: both ends of every unit's splitting matrix, on any layer that can be split.

Splitting Steepest Descent for Growing Neural Architectures, arXiv 1910.02366, and its sequels. The lowest eigenvalue of
a unit's splitting matrix S, the splitting index, says what its best split gains (below zero, the loss falls), its
eigenvector where to; the highest one is what signed splitting uses besides (arXiv 2003.10392). Directions are found on
the samples, or on one half of them and scored on the other: on the samples that chose it, a direction of many entries
looks better than it is.

    closures -> captures of every batch -> directions (exact, Lanczos, Rayleigh quotient) -> quotients with their noise
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from archgraph import rng
from archgraph.errors import DataError
from archgraph.net import Network, Nodes, Samples, passed
from archgraph.scoring.captures import Captures
from archgraph.scoring.closure import ATTENTIONS, LAYERS, Closure, Refused, closure
from archgraph.scoring.directions import MINIBATCH, Directions, directions
from archgraph.scoring.doubts import doubts
from archgraph.scoring.layer import has_bias, row_entries, rows_of
from archgraph.scoring.operator import choose_curvature, kinks
from archgraph.scoring.quotients import Quotient, quotients
from archgraph.scoring.scored import Scored
from archgraph.scoring.settings import Settings
from archgraph.scoring.sharpness import sharpness
from archgraph.scoring.site_score import SiteScore
from archgraph.tasks import Loss


def splitting(
    network: Network,
    x: Samples,  # [N, ...]
    y: Tensor,  # [N] or [N, ...]
    loss: Loss,
    sites: tuple[str, ...] | None,
    options: Mapping[str, Any],
) -> Scored:
    """Score the units of nodes by the ends of their splitting matrices.

    Args:
        network: the network; it is left as it is.
        x: inputs.
        y: targets.
        loss: the loss, a mean over samples.
        sites: nodes; all layers by default.
        options: those of :class:`~archgraph.scoring.settings.Settings`.

    Returns:
        Both ends of every unit's spectrum with their noise, and the reasons for nodes that were refused.

    Raises:
        UnknownName: when a node is not known.
        SettingError: when an option is not, or has a value that it cannot have.
        DataError: when captured tensors are not finite, or halves are asked of a single sample.
    """
    settings = Settings.of(options)
    found, refused = closures(network, sites, settings)
    if not found:
        return Scored({}, refused, passed(x), 0)
    rows = MINIBATCH if settings.method == "rayleigh" else None
    halves = _halves(x, y) if settings.halves else [(x, y)]
    parts = [Captures(network, *half, loss, found, settings, rows=rows, parts=len(halves)) for half in halves]
    smoothing: float | Mapping[str, float] | None = settings.smoothing
    if smoothing is None:
        bent = {name: node for one in found.values() for name, node in kinks(network.graph, one).items()}
        smoothing = sharpness(parts, bent)
    for part in parts:
        part.smooth(smoothing)
    sizes = {name: _size(network, name, settings) for name in found}
    chosen = directions(parts[0], sizes)
    drawn = {} if settings.random is None else {name: _drawn(parts[0], name, size) for name, size in sizes.items()}
    asked = {
        name: (one.lowest.vectors, one.highest.vectors, *([drawn[name]] if drawn else []))
        for name, one in chosen.items()
    }
    exact = not settings.halves and settings.method != "rayleigh"  # what directions score is known from finding them
    told = quotients(parts[-1], asked, every=_thinned(x) if exact and not drawn else 1)
    scores = {
        name: _site_score(
            chosen[name],
            told[name],
            drawn.get(name),
            choose_curvature(network.graph, found[name], mode=settings.mode, curvature=settings.curvature),
            settings,
        )
        for name in found
    }
    return Scored(scores, refused, passed(x), sum(part.macs for part in parts), doubts(scores))


def closures(
    network: Network, sites: tuple[str, ...] | None, settings: Settings
) -> tuple[dict[str, Closure], dict[str, str]]:
    """Return what the units of nodes pass through alone, and why others cannot be scored.

    Args:
        network: the network.
        sites: nodes; by default all layers, nodes with the weights of another one aside.
        settings: of the criterion.

    Raises:
        UnknownName: when a node is not known.
    """
    graph = network.graph
    found: dict[str, Closure] = {}
    refused: dict[str, str] = {}
    for name in graph.nodes if sites is None else sites:
        if sites is None and (not isinstance(graph.op(name), (*LAYERS, *ATTENTIONS)) or graph.node(name).owner != name):
            continue
        one = closure(graph, name)
        curvature: object = one
        if not isinstance(one, Refused):
            curvature = choose_curvature(graph, one, mode=settings.mode, curvature=settings.curvature)
        if isinstance(one, Refused):
            refused[name] = one.reason
        elif isinstance(curvature, Refused):
            refused[name] = curvature.reason
        else:
            found[name] = one
    return found, refused


def _site_score(
    found: Directions, told: list[Quotient], drawn: Tensor | None, curvature: object, settings: Settings
) -> SiteScore:
    """Return the scores of one node: eigenvalues, but for other samples' directions, and estimates of a moving one."""
    lowest, highest = told[:2]
    anew = settings.halves or found.method == "rayleigh"
    return SiteScore(
        index=lowest.values if anew else found.lowest.values,
        directions=found.lowest.vectors,
        matrices=found.matrices if settings.keep_matrices else None,
        highest=highest.values if anew else found.highest.values,
        highest_directions=found.highest.vectors,
        noise=lowest.noise,
        highest_noise=highest.noise,
        random=None if drawn is None else told[2].values,
        random_directions=drawn,
        method=found.method,
        curvature=str(curvature),
    )


def _halves(x: Samples, y: Tensor) -> list[tuple[Samples, Tensor]]:
    """Return two halves of the samples, drawn: data may come in an order, and in pairs."""
    if len(x) < 2:
        raise DataError("one sample has no halves", expected="2 samples or more", got=len(x))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(rng.derive(0, "halves"))).to(x.device)
    return [(x[rows], y[rows]) for rows in (order[: len(x) // 2], order[len(x) // 2 :])]


def _thinned(x: Samples) -> int:
    """Return of how many samples one is read for the noise: a quarter of them, but 32 at least.

    Of nodes all are read: few of them reach those that count, and hold all of it.
    """
    return 1 if isinstance(x, Nodes) else max(1, min(4, len(x) // 32))


def _size(network: Network, name: str, settings: Settings) -> tuple[int, int]:
    """Return units and entries of their weight rows."""
    units = network.graph.shape(name).units
    graph = network.graph
    return units, row_entries(graph, name) + (settings.include_bias and has_bias(graph, name))


def _drawn(captures: Captures, name: str, size: tuple[int, int]) -> Tensor:  # [U, D]
    """Return random directions of length one."""
    generator = torch.Generator().manual_seed(rng.derive(captures.settings.random or 0, "random-directions", name))
    drawn = torch.randn(size, generator=generator, dtype=torch.float64)
    drawn = drawn / torch.linalg.vector_norm(drawn, dim=1, keepdim=True)
    return drawn.to(rows_of(captures.network, name))
