"""One tiny search on digits with everything written down, which many tests look at."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.running import Ran, run

TINY = (
    "search",
    "digits",
    "--driver",
    "splitting",
    "--recipe",
    "epochs=2",
    "lr=0.02",
    "--set",
    "stages=1",
    "growth=0.3",
)


class Demo(NamedTuple):
    ran: Ran
    folder: Path
    storage: str
    study: str


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    place = tmp_path_factory.mktemp("demo")
    storage = f"sqlite:///{place / 'runs.db'}"
    named = ("--storage", storage, "--name", "demo", "--out", place / "out")
    ran = run(*TINY, "--tune", "epochs=1", "--control", "random-splitting", "--device", "cpu", *named)
    assert ran.code == 0, ran.err
    return Demo(ran, place / "out", storage, "demo")
