"""Named parameters of a space are columns: of tables as far as there is room, of files always."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from archgraph import Graph, Recipe, Study, Task, search
from archgraph.cli.rows import columns, file_rows, quality, trial_rows
from archgraph.spaces import Choice, Domain, Float, Int, Space
from optimizers import RandomSearch

X = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
TASK = Task.from_tensors("own", X, X[:, :3].argmax(1), loss="cross-entropy", outputs=3)


class Small(Space):
    """A width, a share that matters at odd widths only, and a kind."""

    def __init__(self, kinds: tuple[str, ...]) -> None:
        self.kinds = kinds

    @property
    def domains(self) -> Mapping[str, Domain]:
        return {"width": Int(1, 9), "odd.share": Float(0.0, 1.0), "kind": Choice(self.kinds)}

    def resolve(self, choose: Any) -> dict[str, Any]:
        found = {"width": choose("width", self.domains["width"])}
        if found["width"] % 2:
            found["odd.share"] = choose("odd.share", self.domains["odd.share"])
        return found | {"kind": choose("kind", self.domains["kind"])}

    def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
        point = self.canonical(values)
        return Graph.parse(f"x = Input((4,))\na = Linear({point['width']})(x)\ny = Linear(3)(a)\nreturn y")


def run(space: Space) -> Study:
    return search(RandomSearch(space, candidates=6), task=TASK, recipe=Recipe(epochs=1), seed=1)


def test_values_are_columns() -> None:
    study = run(Small(("plain", "other")))
    assert {trial.values["width"] % 2 for trial in study} == {0, 1}
    rows = trial_rows(study.trials)
    assert {"width", "odd.\nshare", "kind"} < set(rows[0])
    for trial, row in zip(study, rows, strict=True):
        assert {name: row[name.replace(".", ".\n")] for name in trial.values} == trial.values
        assert (row["odd.\nshare"] is None) == (trial.values["width"] % 2 == 0)
    found = file_rows("random-search", study.trials, {})
    assert all(
        row["values.odd.share"] == trial.values.get("odd.share") for row, trial in zip(found, study, strict=True)
    )
    assert columns(found).index("values.kind") < columns(found).index("train_macs")


def test_long_values_are_in_files_only() -> None:
    study = run(Small(("a kind of layers that nobody could give a short name", "other")))
    assert not {"width", "odd.\nshare", "kind"} & set(trial_rows(study.trials)[0])
    assert [row["values.kind"] for row in file_rows("", study.trials, {})] == [one.values["kind"] for one in study]


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ({"val.loss": 0.4, "val.accuracy": 0.8, "val.roc-auc": 0.7}, "roc-auc"),
        ({"val.loss": 0.4, "val.error": 0.2, "val.accuracy": 0.8}, "accuracy"),
        ({"val.loss": 0.4, "accuracy": 0.8}, "loss"),
    ],
)
def test_which_metric_tells_most(metrics: dict[str, float], told: str) -> None:
    assert quality(metrics, "val.") == told
