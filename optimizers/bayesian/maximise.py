"""Maximising an acquisition over a space: the mixed optimiser of BoTorch, then the points of the space around its end.

Letters: ``N`` points, ``D`` columns, ``P`` dimensions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from archgraph import rng
from archgraph.errors import Unsatisfied
from archgraph.spaces import Space
from optimizers.bayesian.acquisition import Acquisition

RAW, RESTARTS = 256, 4
"""Starting points looked at, and those from which the acquisition is climbed."""
SPRAY = 20
"""Starting points near those that are expected to be best."""
LISTED = 2048
"""Points of a space at most that are all looked at, instead."""
DRAWN, STEPS = 64, 64
"""Points drawn from the space, and of those a step from the end, that are ranked with it."""

Values = Mapping[str, Any]


def ranked(acquisition: Acquisition, space: Space, seed: int) -> list[tuple[dict[str, Any], float]]:
    """Return points of a space with their acquisition, the best first.

    All points when they are few. Otherwise the end of the optimiser, the points a step from it, and random ones, so
    that there is a next best when the best cannot be taken.

    Args:
        acquisition: what is to be great.
        space: whose points are looked for.
        seed: of starting points and random ones.
    """
    if space.size <= LISTED:
        return _sorted(acquisition, space, space.points())
    torch.manual_seed(seed % (1 << 63))
    drawn = [space.draw(rng.derive(seed, "drawn", number)) for number in range(DRAWN)]
    try:
        end = space.decode(climb(acquisition).numpy())
    except Unsatisfied:
        end = _sorted(acquisition, space, drawn)[0][0]
    found = _sorted(acquisition, space, [end, *_steps(space, end), *drawn])
    top = found[0][0]
    if top != end:  # from the neighbour that is better one goes on
        found = _sorted(acquisition, space, [*(values for values, _ in found), *_steps(space, top)])
    return found


def climb(
    acquisition: Acquisition,
) -> Tensor:  # [D]
    """Return the encoded point where the optimiser of mixed spaces ends."""
    from botorch.optim import optimize_acqf_mixed_alternating

    cube = acquisition.cube
    best, _ = optimize_acqf_mixed_alternating(
        acquisition,
        cube.bounds,
        discrete_dims=cube.discrete,
        cat_dims=cube.categorical,
        fixed_features=cube.fixed,
        raw_samples=RAW,
        num_restarts=RESTARTS,
        options={"num_spray_points": SPRAY, "initialization_strategy": "random"},
    )
    return cube.expand(best[0]).detach()


def _steps(space: Space, values: Values) -> Iterator[dict[str, Any]]:
    return islice(space.neighbours(values), STEPS)


def _sorted(acquisition: Acquisition, space: Space, points: Iterable[Values]) -> list[tuple[dict[str, Any], float]]:
    distinct = list({space.key(values): dict(values) for values in points}.values())
    X = torch.from_numpy(np.stack([space.encode(values) for values in distinct]))
    with torch.no_grad():
        numbers = torch.cat([acquisition.of(part[:, None, :]) for part in X.split(512)])
    numbers = numbers.nan_to_num(nan=-torch.inf)
    order = numbers.argsort(descending=True, stable=True).tolist()
    return [(distinct[place], float(numbers[place])) for place in order]
