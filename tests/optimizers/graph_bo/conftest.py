"""BoTorch is imported before warnings become errors."""

from __future__ import annotations

import pytest

from optimizers.bayesian.alone import load_botorch


@pytest.fixture(autouse=True, scope="session")
def botorch() -> None:
    load_botorch()
