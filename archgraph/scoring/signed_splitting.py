"""The criterion ``"signed-splitting"``: what the best split of every unit gains when copies may be subtracted.

Escaping Local Optimum with Signed Neural Splitting, arXiv 2003.10392. With lambda_min and lambda_max from the criterion
``"splitting"``, the index of a unit is G_m of :mod:`archgraph.criteria.signed`: below zero wherever its splitting
matrix is not zero, so that units which no positive split helps still descend.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from archgraph.criteria import signed_index
from archgraph.net import Network, Samples
from archgraph.scoring.doubts import doubts
from archgraph.scoring.scored import Scored
from archgraph.scoring.site_score import SiteScore
from archgraph.scoring.splitting import splitting
from archgraph.tasks import Loss

WEIGHT = 3.0
"""Greatest sum of the copies' weights' magnitudes by default."""

COPIES = 4
"""Most copies of a unit by default; more gain nothing."""


def signed_splitting(
    network: Network,
    x: Samples,  # [N, ...]
    y: Tensor,  # [N] or [N, ...]
    loss: Loss,
    sites: tuple[str, ...] | None,
    options: Mapping[str, Any],
) -> Scored:
    """Score the units of nodes by their best signed split; arguments are those of the criterion ``"splitting"``.

    Args:
        network: the network; it is left as it is.
        x: inputs.
        y: targets.
        loss: the loss, a mean over samples.
        sites: nodes; all layers by default.
        options: ``c``, the greatest sum of the weights' magnitudes (3); ``copies``, the most of a unit (4); and those
            of :class:`~archgraph.scoring.settings.Settings`.

    Returns:
        As ``"splitting"``, but for ``index`` and its noise; ``directions`` are still those of the lowest eigenvalues.

    Raises:
        UnknownName: when a node is not known.
        SettingError: when an option is not, or has a value that it cannot have.
        DataError: as ``"splitting"``.
    """
    own = {"c": WEIGHT, "copies": COPIES} | {name: options[name] for name in ("c", "copies") if name in options}
    rest = {name: value for name, value in options.items() if name not in own}
    found = splitting(network, x, y, loss, sites, rest)
    scores = {name: _signed(one, **own) for name, one in found.scores.items()}
    return replace(found, scores=scores, doubts=doubts(scores))


def _signed(score: SiteScore, c: float, copies: int) -> SiteScore:
    """Return a score by G_m; its noise is what both ends' standard errors can make of it together."""
    assert score.highest is not None and score.noise is not None and score.highest_noise is not None
    index = signed_index(score.index, score.highest, c, copies)
    worst = signed_index(score.index + score.noise, score.highest - score.highest_noise, c, copies)
    return replace(score, index=index, noise=worst - index)  # G_m rises with lambda_min and falls with lambda_max
