"""Kill -9 at any instant: nothing finished is lost or done again, and the end is that of a search left alone."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from archgraph import Study, search
from tests.search.kills import DRIVERS, NAME, RECIPE, Launched, Life, as_child, as_program, survive, task
from tests.search.sameness import same


@pytest.mark.slow
def test_a_kill(tmp_path: Path) -> None:
    assert survive(tmp_path, driver="random", workers=2, kills=1, launch=as_child) == 1


@pytest.mark.slow
@pytest.mark.parametrize("launch", [as_program, as_child])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("driver", ["random", "growth"])
def test_many_kills(tmp_path: Path, driver: str, workers: int, launch: Callable[[Life], Launched]) -> None:
    kills = 3 if launch is as_program else 7  # 40 in all
    assert survive(tmp_path, driver=driver, workers=workers, kills=kills, launch=launch) == kills


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["random", "growth"])
def test_two_searches_share_a_study_and_one_is_killed(tmp_path: Path, driver: str) -> None:
    undisturbed = search(DRIVERS[driver], task=task(), recipe=RECIPE, seed=1, name=NAME, device="cpu")
    both = 0
    for epochs in (1, 6, 11):
        place = tmp_path / str(epochs)
        place.mkdir()
        url = f"sqlite:///{place}/runs.db"
        lives = [Life(url, driver, 1, 1, str(place / f"log{one}")) for one in (0, 1)]
        (one, _), (_, wait) = [as_child(life) for life in lives]
        while len(lives[0].noted()) <= epochs and wait(0.005) is None:
            pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one, signal.SIGKILL)
        assert wait(None) == 0
        same(Study(NAME, url, create=False), undisturbed)
        trained = [{key for key in life.noted() if key != "begins"} for life in lives]
        assert len(trained[0] & trained[1]) <= 1  # what the first was at when it was killed
        both += bool(trained[0]) and bool(trained[1])
    assert both  # at least once they have shared the work
