"""Drivers of stages on the command line, and tables that say how much of its recipe each trial got."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.cli.running import run

HALVING = ("search", "digits", "--driver", "successive-halving", "--set", "inner=random-search", "candidates=4")
SETTINGS = ("reduction=2", "lookahead=2", "high=2")


@pytest.mark.slow
def test_successive_halving(tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = run(*HALVING, *SETTINGS, "--recipe", "epochs=3", "--budget", "epochs=50", "--device", "cpu", "--out", out)
    assert ran.code == 0, ran.err
    assert "of 4 candidates were trained to the end" in ran.out
    assert "33% of the recipe" in ran.err
    with open(out / "stages.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    shares = [round(3 * float(row["recipe"])) for row in rows]
    assert shares.count(1) == 4
    assert set(shares) == {1, 2, 3}
    (best,) = [line for line in ran.out.splitlines() if line.startswith("best:")]
    number = int(best.split()[2].strip(","))
    assert shares[number] == 3
    assert "recipe" in next(line for line in ran.out.splitlines() if line.startswith("trial"))
    noted = [line for line in ran.err.splitlines() if "best so far" in line]
    full = [line for line in ran.err.splitlines() if line.startswith("trial") and "of the recipe" not in line]
    assert full[0] in noted  # the first at a higher fidelity is the best, whatever came before


def test_whole_trainings_have_no_such_column() -> None:
    ran = run("search", "digits", "--driver", "random-search", "--budget", "evaluations=1", "--recipe", "epochs=1")
    assert ran.code == 0, ran.err
    assert "recipe" not in ran.out


def test_wrong_settings() -> None:
    for settings, message in (
        (("inner=random-serch",), "did you mean 'random-search'"),
        (("reductoin=3",), "did you mean 'reduction'"),
        (("reduction=1",), "reduction must be a whole number of at least 2"),
        (("inner=successive-halving",), "would wrap the driver in itself"),
    ):
        ran = run("search", "digits", "--driver", "successive-halving", "--set", *settings)
        assert ran.code == 2
        assert message in ran.err
    ran = run("search", "digits", "--driver", "pruned", "--set", "pruner=medium")
    assert ran.code == 2
    assert "did you mean 'median'" in ran.err
