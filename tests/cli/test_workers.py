"""Searching with several workers and with a timeout, from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from archgraph.search import load_study
from tests.cli.running import run
from tests.search.sameness import same

SEARCH = ("search", "toy-rbf", "--driver", "random-search", "--budget", "evaluations=4", "--recipe", "epochs=2")


@pytest.mark.slow
def test_two_workers_find_what_one_finds(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/runs.db"
    kept = ("--storage", storage, "--device", "cpu")
    alone = run(*SEARCH, *kept, "--name", "alone")
    both = run(*SEARCH, *kept, "--name", "both", "--workers", "2", "--timeout", "100")
    assert (alone.code, both.code) == (0, 0), both.err
    assert both.out.replace("both", "alone").splitlines()[-2:] == alone.out.splitlines()[-2:]
    assert both.err.count("trial ") == 4
    same(load_study("both", storage), load_study("alone", storage))
    again = run(*SEARCH, *kept, "--name", "both", "--resume", "--workers", "1")
    assert again.code == 0
    assert "resuming study both: 4 trainings are known" in again.err


def test_what_takes_too_long_is_a_failed_trial(tmp_path: Path) -> None:
    ran = run(*SEARCH, "--timeout", "0.001", "--device", "cpu")
    assert ran.code == 2
    assert ran.out.count("failed: timeout: stopped after 0.001 seconds") == 4
    assert "has no successful trial" in ran.err
