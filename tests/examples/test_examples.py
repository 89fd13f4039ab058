"""Every example runs at a tiny budget and does what it says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_grow_digits(tmp_path: Path) -> None:
    study = load("grow_digits").main(tmp_path / "best", epochs=2, stages=1)
    assert [trial.stage for trial in study.trials] == [0, 1]
    assert study.trials[1].metrics["params"] > study.trials[0].metrics["params"]
    assert (tmp_path / "best" / "model.py").is_file()


@pytest.mark.slow
def test_grow_best(capsys: pytest.CaptureFixture[str]) -> None:
    study = load("grow_best").main(evaluations=6, epochs=1)
    assert [trial.stage for trial in study][:4] == [0, 0, 0, 1]
    assert all(trial.values for trial in study.trials[:3])
    assert study.trials[3].parent is not None
    assert "best: trial " in capsys.readouterr().out


def test_own_data(capsys: pytest.CaptureFixture[str]) -> None:
    predicted, measured = load("own_data").main()
    assert predicted < 0.0
    assert measured / predicted == pytest.approx(1.0, abs=0.1)
    assert "Split('linear2'" in capsys.readouterr().out


def test_branches(capsys: pytest.CaptureFixture[str]) -> None:
    assert load("branches").main() < 1e-12
    assert "node 'linear1' is an output of the network" in capsys.readouterr().out


@pytest.mark.slow
def test_spaces(capsys: pytest.CaptureFixture[str]) -> None:
    errors = load("spaces").main(candidates=1, epochs=1)
    assert list(errors) == ["resnet", "mobile", "cells", "transformer"]
    assert all(0.0 < error < 1.0 for error in errors.values())
    assert "stage2.width   Ordered((8, 12, 16, 24))  when stages >= 2" in capsys.readouterr().out


@pytest.mark.slow
def test_a_thousand_samples_of_every_space_build() -> None:
    for space in load("spaces").SPACES:
        for seed in range(1000):
            point = space.draw(seed)
            assert space.decode(space.encode(point)) == point
            assert space.build(point).shape(space.build(point).outputs[0]).dims == (10,)


def test_every_example_is_tested() -> None:
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.stem for path in EXAMPLES.glob("*.py")} <= tested
