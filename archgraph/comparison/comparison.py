"""A comparison: several drivers, each run with several seeds under one budget, and what can be said of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from archgraph.comparison.anytime import Curve, Steps, curves
from archgraph.comparison.spelling import spelled
from archgraph.comparison.verdict import Line, Table, differences, spread
from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import Ledger, Recipe
from archgraph.report.text_file import write_csv, write_text
from archgraph.search.budget import Budget
from archgraph.search.objective import Objective, value_of
from archgraph.search.pareto import non_dominated
from archgraph.search.study import Study
from archgraph.search.trial import Trial

COSTS = ("macs", "evaluations", "epochs", "seconds")
"""What anytime curves can run against; MACs of all that was done are the currency of comparisons."""

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Cell:
    """One driver run with one seed.

    Args:
        driver: its name in the comparison.
        seed: of the run.
        study: the search.
        pick: number of the trial that was best on validation data; None when no training succeeded.
        test: the pick's metrics on the test split, ``"test.error"`` and so on.
    """

    driver: str
    seed: int
    study: Study
    pick: int | None
    test: Mapping[str, float]

    @property
    def final(self) -> Trial | None:
        """The trial that was best on validation data."""
        return None if self.pick is None else self.study.trial(self.pick)

    @cached_property
    def bills(self) -> tuple[Ledger, ...]:
        """What the search had spent after each trial, scoring and measuring too."""
        bills: list[Ledger] = []
        for trial in self.study.trials:
            bills.append(trial.spent or (bills[-1] if bills else Ledger()) + trial.ledger)
        return tuple(bills)

    @property
    def spent(self) -> Ledger:
        """What the search spent in all."""
        if "bill" in self.study.facts:
            return Ledger(**self.study.facts["bill"])
        return self.bills[-1] if self.bills else Ledger()

    @cached_property
    def best(self) -> tuple[float, ...]:
        """The best objective after each trial, of those at the highest fidelity by then; NaN while there is none."""
        return tuple(row.get("best", math.nan) for row in self.study.history())

    def steps(self, cost: str = "macs") -> Steps:
        """Return what was spent and the best objective then, after each trial and at the end of the search."""
        bills, best = self.bills, self.best
        if bills:  # scores may have been paid for after the last trial
            bills, best = (*bills, self.spent), (*best, best[-1])
        spent = [_costs(min(number, len(self.bills)), bill)[cost] for number, bill in enumerate(bills, start=1)]
        return list(zip(spent, best, strict=True))

    def rows(self) -> list[Row]:
        """Return a record for every trial: where it comes from, what it cost, all its metrics."""
        return [self._row(*each) for each in zip(self.study.trials, self.bills, self.best, strict=True)]

    def _row(self, trial: Trial, bill: Ledger, best: float) -> Row:
        final = trial.number == self.pick
        row: Row = {"driver": self.driver, "seed": self.seed, "trial": trial.number, "stage": trial.stage}
        row |= {"parent": trial.parent, "final": final, "failure": trial.failure}
        row |= {f"spent_{name}": value for name, value in _costs(trial.number + 1, bill).items()}
        row |= {"best": best, **trial.metrics} | {f"values.{name}": value for name, value in trial.values.items()}
        return row | (dict(self.test) if final else {})

    def __repr__(self) -> str:
        return f"<Cell {self.driver} {self.seed}: {len(self.study)} trials, pick {self.pick}>"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several drivers run with several seeds under one budget; printed as its table.

    Args:
        name: of the comparison; its studies are called ``name/driver/seed``.
        task: name of the task.
        recipe: how candidates were trained.
        budget: what each run could spend.
        cells: the runs, the first driver's first.
        command: what to type to repeat it.
    """

    name: str
    task: str
    recipe: Recipe
    budget: Budget
    cells: tuple[Cell, ...]
    command: str = ""

    @property
    def drivers(self) -> tuple[str, ...]:
        """Names of the drivers; the others are compared with the first."""
        return tuple(dict.fromkeys(cell.driver for cell in self.cells))

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds with which each driver was run."""
        return tuple(dict.fromkeys(cell.seed for cell in self.cells))

    @property
    def objective(self) -> str:
        """The metric by which final picks were chosen and that curves show, such as ``"val.error"``."""
        return self.cells[0].study.objective

    @property
    def metric(self) -> str:
        """What the table compares: the objective, on the test split where it is one of validation."""
        split, _, name = self.objective.rpartition(".")
        return f"test.{name}" if split == "val" else self.objective

    def study(self, driver: str, seed: int) -> Study:
        """Return the search of a driver with a seed.

        Raises:
            UnknownName: when there is none.
        """
        for cell in self.cells:
            if (cell.driver, cell.seed) == (driver, seed):
                return cell.study
        raise UnknownName(f"the comparison has no {driver!r} with seed {seed}", expected=f"one of {self.cells}")

    @cached_property
    def finals(self) -> dict[str, dict[int, float]]:
        """The metric of the final picks, by driver and seed."""
        found: dict[str, dict[int, float]] = {driver: {} for driver in self.drivers}
        for cell in self.cells:
            pick = cell.final
            if pick is not None:
                value = value_of({**pick.metrics, **cell.test}, self.metric)
                found[cell.driver] |= {cell.seed: value} if math.isfinite(value) else {}
        return found

    @cached_property
    def table(self) -> Table:
        """How good the final picks of each driver are, whether that differs from the first, and what it cost."""
        compared = differences(self.metric, self.finals)
        return Table(self.metric, tuple(self._line(driver, *compared[driver]) for driver in self.drivers))

    def _line(self, driver: str, found: Any, p_all: float | None, verdict: str) -> Line:
        cells = [cell for cell in self.cells if cell.driver == driver]
        mean, deviation = spread(list(self.finals[driver].values()))
        trials = [trial for cell in cells for trial in cell.study.trials]
        picks = [cell.final for cell in cells if cell.final is not None]
        bills = [cell.spent for cell in cells]
        return Line(
            driver=driver,
            seeds=len(self.finals[driver]),
            mean=mean,
            deviation=deviation,
            pairs=0 if found is None else found.n,
            difference=None if found is None else found.difference,
            low=None if found is None else found.low,
            high=None if found is None else found.high,
            p=None if found is None else found.p,
            p_all=p_all,
            rank_p=None if found is None else found.rank_p,
            verdict=verdict,
            params=spread([pick.metrics["params"] for pick in picks])[0],
            trainings=len(trials),
            failed=sum(not trial.ok for trial in trials),
            macs=spread([float(bill.macs) for bill in bills])[0],
            epochs=spread([bill.epochs for bill in bills])[0],
            seconds=spread([bill.wall_seconds for bill in bills])[0],
            of_budget=spread([self._part(cell) for cell in cells])[0],
        )

    def _part(self, cell: Cell) -> float:
        """Return the part of the budget that a run spent: of the limit that it came nearest to."""
        spent = _costs(len(cell.study), cell.spent) | {"train_macs": float(cell.spent.macs)}
        limits = {name: getattr(self.budget, name) for name in ("evaluations", "epochs", "train_macs", "seconds")}
        return max((spent[name] / limit for name, limit in limits.items() if limit is not None), default=math.nan)

    @property
    def curves(self) -> dict[str, Curve]:
        """The best objective so far against MACs spent on everything, by driver."""
        return self.anytime()

    def anytime(self, cost: str = "macs") -> dict[str, Curve]:
        """Return the best objective so far against a cost, by driver, on a common grid.

        Args:
            cost: one of :data:`COSTS`.

        Raises:
            SettingError: when it is none.
        """
        if cost not in COSTS:
            raise SettingError("there is no such cost", expected=", ".join(COSTS), got=repr(cost))
        return curves(
            {
                driver: {cell.seed: cell.steps(cost) for cell in self.cells if cell.driver == driver and cell.bills}
                for driver in self.drivers
            }
        )

    @property
    def pareto(self) -> dict[str, list[Row]]:
        """The trials of each driver, of all seeds, that no other of its trials beats in objective and parameters."""
        return {driver: self.front(driver) for driver in self.drivers}

    def front(self, driver: str, names: tuple[str, ...] = ()) -> list[Row]:
        """Return the Pareto front of a driver's trials on training and validation data, of all seeds.

        Args:
            driver: its name.
            names: metrics; the objective and ``"params"`` by default.
        """
        names = names or tuple(dict.fromkeys((self.objective, "params")))
        rows = [row for row in self.rows if row["driver"] == driver and not row["failure"]]
        points = [tuple(Objective(name).sign * value_of(row, name) for name in names) for row in rows]
        return [rows[number] for number in sorted(non_dominated(points), key=points.__getitem__)]

    @cached_property
    def rows(self) -> list[Row]:
        """All trials of all runs, one record each."""
        return [row for cell in self.cells for row in cell.rows()]

    def to_csv(self, path: str | Path) -> Path:
        """Write all trials, one a line, and return the file.

        Raises:
            StorageError: when it cannot be written.
        """
        return write_csv(path, self.rows, list(dict.fromkeys(name for row in self.rows for name in row)))

    def to_json(self, path: str | Path) -> Path:
        """Write what was compared, the table, why each run stopped, and all trials; return the file.

        Numbers that JSON does not have (NaN, infinity) are null.

        Raises:
            StorageError: when it cannot be written.
        """
        record = {
            "name": self.name,
            "task": self.task,
            "objective": self.objective,
            "metric": self.metric,
            "recipe": spelled(self.recipe),
            "budget": {name: value for name, value in asdict(self.budget).items() if value is not None},
            "command": self.command,
            "table": [asdict(line) for line in self.table],
            "runs": [
                {"driver": cell.driver, "seed": cell.seed, "study": cell.study.name, "stopped": cell.study.stopped}
                | {"pick": cell.pick, **cell.test, "spent": asdict(cell.spent)}
                for cell in self.cells
            ],
            "trials": self.rows,
        }
        return write_text(path, json.dumps(_plain(record), indent=1, allow_nan=False) + "\n")

    def plot(self, path: str | Path, *, cost: str = "macs") -> Path:
        """Draw the anytime curves and return the file, a PNG or SVG; :func:`archgraph.report.pareto_plot` is another.

        Args:
            path: a ``.png`` or ``.svg`` file.
            cost: one of :data:`COSTS`.

        Raises:
            SettingError: when no run found anything.
            StorageError: when it cannot be written.
        """
        from archgraph.comparison.anytime_plot import anytime_plot

        return anytime_plot(self, path, cost=cost)

    def __str__(self) -> str:
        return str(self.table)

    def __repr__(self) -> str:
        return f"<Comparison {self.name!r} of {', '.join(self.drivers)}: {len(self.seeds)} seeds>"


def _costs(evaluations: int, bill: Ledger) -> dict[str, float]:
    return {
        "evaluations": float(evaluations),
        "epochs": float(bill.epochs),
        "macs": float(bill.macs),
        "seconds": float(bill.wall_seconds),
    }


def _plain(value: Any) -> Any:
    """Return a record as JSON has it."""
    if isinstance(value, Mapping):
        return {str(name): _plain(held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(held) for held in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
