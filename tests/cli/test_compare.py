"""``archgraph compare``: what it prints and writes, carrying on, and what cannot be used."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import pytest

from archgraph.cli.compare import _drivers
from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import Recipe
from archgraph.search import load_study
from archgraph.tasks import find
from archgraph.tasks.seed import seed_graph
from optimizers import RandomSearch, RandomSplitting, SplittingDescent
from tests.cli.running import run
from tests.cli.test_bad_input import expect

TINY = ("compare", "digits", "--device", "cpu", "--recipe", "epochs=1", "--budget", "evaluations=2", "--seeds", "2")
BOTH = (*TINY, "--drivers", "splitting,random-search", "--set", "growth=0.3", "random-search.low=0.5")


@pytest.mark.slow
def test_a_whole_comparison(tmp_path: Path) -> None:
    named = ("--storage", f"journal:///{tmp_path}/runs", "--name", "c", "--out", tmp_path / "my out")
    ran = run(*BOTH, *named)
    assert ran.code == 0, ran.err
    assert "c on digits" in ran.out and "random-search" in ran.out and "too few seeds" in ran.out
    assert "stopped: splitting: the budget is spent" in ran.out
    assert ran.err.count(" params  val error ") == 8 and "splitting  seed 1  trial 0" in ran.err
    out = tmp_path / "my out"
    assert sorted(path.name for path in out.iterdir()) == [
        *("command.txt", "curves.png", "pareto.png", "raw.csv", "raw.json", "table.csv")
    ]
    table = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
    assert [(row["driver"], row["seeds"], row["trainings"]) for row in table] == [
        ("splitting", "2", "4"),
        ("random-search", "2", "4"),
    ]
    record = json.loads((out / "raw.json").read_text())
    assert len(record["trials"]) == len((out / "raw.csv").read_text().splitlines()) - 1 == 8
    typed = shlex.split((out / "command.txt").read_text())
    assert record["command"] == shlex.join(typed)

    ran = run(*typed[1:])
    expect(ran, "study 'c/splitting/0' is in", "--resume")
    for path in out.iterdir():
        path.unlink()
    ran = run(*typed[1:], "--resume")
    assert ran.code == 0 and "val error" not in ran.err  # nothing was done again
    assert json.loads((out / "raw.json").read_text()) == record
    other = run(*typed[1:], "--resume", "--budget", "epochs=9")
    expect(other, "study 'c/splitting/0' was begun with another budget")
    study = load_study("c/random-search/1", f"journal:///{tmp_path}/runs")
    assert study.facts["seed"] == 1 and "low=0.5" in record["command"]


@pytest.mark.slow
def test_growth_is_compared_with_searches_over_a_space(tmp_path: Path) -> None:
    drivers = ("--drivers", "splitting,generator-bo,grow-best,evolution")
    named = ("generator_bo.initial=2", "grow_best.search=generator-bo", "grow_best.initial=2", "grow_best.best=2")
    settings = ("--set", "space=widths", "grow-best.growth=net2wider", "grow-best.growth.growth=0.5", *named)
    limit = ("--budget", "evaluations=5", "--seeds", "1", "--recipe", "epochs=1", "--device", "cpu")
    ran = run("compare", "digits", *drivers, *limit, *settings, "--out", tmp_path)
    assert ran.code == 0, ran.err
    trials = json.loads((tmp_path / "raw.json").read_text())["trials"]
    stages = {label: [one["stage"] for one in trials if one["driver"] == label] for label in drivers[1].split(",")}
    assert stages["generator-bo"] == stages["evolution"] == [0] * 5
    assert stages["splitting"] == [0, 1, 2, 3, 4][: len(stages["splitting"])]
    assert stages["grow-best"][:3] == [0, 0, 1]
    sizes = {label: [one["params"] for one in trials if one["driver"] == label] for label in stages}
    assert sizes["grow-best"][:2] == sizes["generator-bo"][:2]
    assert all(one.get("values.conv2d1") for one in trials if one["driver"] == "generator-bo")


def test_settings_go_to_who_has_them() -> None:
    graph = seed_graph(find("digits"))
    labels = ["splitting", "random-splitting", "random-search"]
    tune = Recipe(epochs=3)
    found = _drivers(
        labels, graph, find("digits"), {"growth": "0.4", "random_splitting.growth": "0.2", "low": "0.5"}, tune
    )
    splitting, control, search = found.values()
    assert list(found) == labels
    assert isinstance(splitting, SplittingDescent) and (splitting.growth, splitting.tune) == (0.4, tune)
    assert isinstance(control, RandomSplitting) and (control.growth, control.tune) == (0.2, tune)
    assert isinstance(search, RandomSearch) and search.space.low == 0.5  # type: ignore[attr-defined]
    again = _drivers(labels, graph, find("digits"), {"random_splitting.growth": "0.2", "growth": "0.4"}, None)
    assert again["random-splitting"].growth == 0.2  # type: ignore[attr-defined]
    with pytest.raises(UnknownName, match="did you mean 'growth'"):
        _drivers(labels, graph, find("digits"), {"grwth": "0.4"}, None)
    with pytest.raises(UnknownName, match="did you mean 'random-search'"):
        _drivers(labels, graph, find("digits"), {"random_serch.low": "0.4"}, None)
    with pytest.raises(UnknownName, match="setting of RandomSearch on 'widths' 'growth'"):
        _drivers(labels, graph, find("digits"), {"random_search.growth": "0.4"}, None)
    with pytest.raises(SettingError, match="leave --tune out"):
        _drivers(["random-search"], graph, find("digits"), {}, tune)


FINE = ("compare", "digits", "--drivers", "splitting,random-search", "--recipe", "epochs=1")
LIMIT = ("--budget", "evaluations=1")
CASES = [
    pytest.param((*FINE, *LIMIT, "--seeds", "0"), ["a comparison needs seeds", "--seeds 3"], id="no seeds"),
    pytest.param((*FINE, *LIMIT, "--seeds", "few"), ["--seeds", "valid integer"], id="seeds"),
    pytest.param(FINE, ["under a budget", "--budget train_macs"], id="no budget"),
    pytest.param((*FINE, "--budget", "max_params=100"), ["ends every driver", "train_macs"], id="endless budget"),
    pytest.param((*FINE, "--budget", "evalutions=1"), ["did you mean 'evaluations'"], id="budget"),
    pytest.param(("compare", "digits", *LIMIT), ["Missing option", "--drivers"], id="no drivers"),
    pytest.param(("compare", "digits", "--drivers", ",", *LIMIT), ["--drivers wants names"], id="empty name"),
    pytest.param(
        ("compare", "digits", "--drivers", "splitting,spliting", *LIMIT),
        ["unknown driver 'spliting'", "did you mean 'splitting'"],
        id="driver",
    ),
    pytest.param(
        ("compare", "digits", "--drivers", "splitting, splitting", *LIMIT), ["names 'splitting' twice"], id="twice"
    ),
    pytest.param(("compare", "digit", "--drivers", "splitting", *LIMIT), ["did you mean 'digits'"], id="task"),
    pytest.param((*FINE, *LIMIT, "--set", "splitting.grwth=1"), ["did you mean 'growth'"], id="setting"),
    pytest.param((*FINE, *LIMIT, "--set", "growth=much"), ["'growth'", "'much'"], id="value"),
    pytest.param((*FINE, *LIMIT, "--recipe", "lr=fast"), ["'lr'", "'fast'"], id="recipe"),
    pytest.param((*FINE, *LIMIT, "--device", "gpu"), ["unknown device 'gpu'"], id="device"),
    pytest.param((*FINE, *LIMIT, "--workers", "many"), ["no such workers", "'many'"], id="workers"),
    pytest.param((*FINE, *LIMIT, "--resume"), ["--resume needs the --storage"], id="resume"),
    pytest.param((*FINE, *LIMIT, "--storage", "ftp://host/runs"), ["ftp://host/runs", "sqlite:///"], id="storage"),
    pytest.param((*FINE, *LIMIT, "--storage", "sqlite:///{tmp}/file"), ["not a database"], id="no database"),
    pytest.param((*FINE, *LIMIT, "--out", "{tmp}/file/out"), ["cannot write to the output folder"], id="out"),
    pytest.param((*FINE, *LIMIT, "--graph", "{tmp}/none.graph"), ["cannot read a graph"], id="graph"),
]


@pytest.mark.parametrize(("arguments", "words"), CASES)
def test_bad_arguments(arguments: tuple[str, ...], words: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("neither a folder nor a database\n" * 40)
    before = sorted(path.name for path in tmp_path.iterdir())
    expect(run(*(argument.replace("{tmp}", str(tmp_path)) for argument in arguments)), *words)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
