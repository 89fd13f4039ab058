"""BOHB's sampler: densities against SciPy's, and where points are proposed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from archgraph.errors import SettingError
from benchmarks.bo_synthetic import Synthetic, accuracy, search
from optimizers import KernelDensity
from optimizers.kde import Density

SPACE = Synthetic()


def test_a_density_is_a_mixture_of_gaussians() -> None:
    numbers = np.random.default_rng(0)
    X, asked = numbers.random((7, 3)), numbers.random((5, 3))
    density = Density.of(X)
    widths = 1.06 * X.std(0) * 7 ** (-1 / 7)
    expected = [np.mean([norm.pdf(one, centre, widths).prod() for centre in X]) for one in asked]
    assert np.allclose(np.exp(density.log(asked)), expected)


def test_points_are_drawn_in_the_cube() -> None:
    numbers = np.random.default_rng(1)
    drawn = Density.of(numbers.random((9, 4))).draw(numbers, 300, 3.0)
    assert drawn.shape == (300, 4)
    assert ((drawn >= 0.0) & (drawn <= 1.0)).all()


def test_later_points_are_better() -> None:
    points = search(KernelDensity(SPACE), 60, 1, "val.error")
    assert len(points) == 60
    first, last = (np.mean([accuracy(one) for one in part]) for part in (points[:18], points[-18:]))
    assert last > first + 0.01
    assert search(KernelDensity(SPACE), 60, 1, "val.error") == points


@pytest.mark.parametrize("settings", [{"explore": -0.1}, {"good": 2.0}, {"samples": 0}, {"widening": 0.0}])
def test_settings_that_cannot_be(settings: dict[str, float]) -> None:
    with pytest.raises(SettingError):
        KernelDensity(SPACE, **settings)
