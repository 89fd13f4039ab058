"""A study: a named search and every network it has trained, in an Optuna storage with artifacts beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from archgraph.errors import DataError, SettingError
from archgraph.evaluation import Ledger, Report, Train
from archgraph.search.artifacts import Artifacts
from archgraph.search.storage import artifact_folder, masked, open_storage, open_study, quiet, reported
from archgraph.search.trial import Trial, facts_of

MAXIMISED = ("accuracy",)
"""Metrics of which more is better; of all others less is."""


class Study:
    """A named search: its trials, the best of them, and why it stopped.

    Args:
        name: its name in the storage.
        storage: None for memory, or a URL such as ``sqlite:///runs.db``.
        objective: the metric by which the best trial is chosen; the stored one, or ``"val.loss"``, by default.
        artifacts: folder for graphs and weights; beside the storage by default.
        create: whether to make the study when there is none.

    Raises:
        StorageError: when the storage cannot be used.
        UnknownName: when there is no such study and ``create`` is False.
    """

    def __init__(
        self,
        name: str,
        storage: str | None = None,
        *,
        objective: str | None = None,
        artifacts: str | Path | None = None,
        create: bool = True,
    ) -> None:
        self.name, self.storage_url = name, storage
        more = (objective or "").rpartition(".")[2] in MAXIMISED
        folder = Path(artifacts) if artifacts is not None else artifact_folder(storage)
        self.storage = open_storage(storage)
        self.optuna = open_study(storage, self.storage, name, create=create, maximize=more)
        self.artifacts = Artifacts(folder)
        known = self.facts
        if "objective" not in known and self._frozen():
            raise DataError(
                f"study {name!r} in {masked(storage)} was not made by archgraph", hint="choose another name"
            )
        self.objective = str(known.get("objective") or objective or "val.loss")
        if objective is not None and self.objective != objective:
            raise SettingError(f"study {name!r} has another objective", expected=self.objective, got=objective)
        if "objective" not in known:
            self.note("objective", self.objective)
        self._trials: list[Trial] = []

    # ------------------------------------------------------------------ writing
    def record(self, request: Train, report: Report, spent: Ledger | None = None) -> Trial:
        """Store a training and its result in one transaction; artifacts are written before.

        Args:
            request: what was asked.
            report: the answer; one without a number for the objective counts as failed in Optuna, which has no place
                for it.
            spent: the search's bill so far, this training and all scoring and measuring included.

        Raises:
            StorageError: when it cannot be written; what was stored before is safe.
        """
        from optuna.trial import TrialState, create_trial

        origin = request.origin
        parents = [trial.number for trial in self.trials if trial.facts.get("network") == origin.parent]
        facts = facts_of(request, report, self.artifacts, parents[-1] if origin.parent and parents else None)
        if spent is not None:
            facts["spent"] = asdict(spent) | {"cached": False}
        value = report.metrics.get(self.objective, math.nan) if report.ok else math.nan
        curve = {
            point.epoch: point.metrics[self.objective] for point in report.curve if self.objective in point.metrics
        }
        frozen = create_trial(
            state=TrialState.FAIL if math.isnan(value) else TrialState.COMPLETE,
            values=None if math.isnan(value) else [value],
            user_attrs=facts,
            intermediate_values=curve,
        )
        with quiet(), reported(self.storage_url):
            self.optuna.add_trial(frozen)
        return self.trials[-1]

    def note(self, name: str, value: Any) -> None:
        """Store a fact about the study as a whole."""
        with quiet(), reported(self.storage_url):
            self.optuna.set_user_attr(name, value)

    # ------------------------------------------------------------------ reading
    @property
    def facts(self) -> dict[str, Any]:
        """What the storage knows of the study as a whole."""
        with quiet(), reported(self.storage_url):
            return dict(self.optuna.user_attrs)

    def _frozen(self) -> list[Any]:
        with quiet(), reported(self.storage_url):
            return self.optuna.get_trials(deepcopy=False)

    @property
    def trials(self) -> list[Trial]:
        """All trials that the storage holds, in order."""
        for trial in self._frozen()[len(self._trials) :]:
            if not trial.state.is_finished():
                break
            if "key" not in trial.user_attrs:
                raise DataError(f"trial {trial.number} of study {self.name!r} was not made by archgraph")
            self._trials.append(Trial(trial.number, trial.user_attrs, self.artifacts))
        return list(self._trials)

    @property
    def best(self) -> Trial:
        """The successful trial with the best objective; among equals the lower validation loss, then fewer params.

        Raises:
            DataError: when there is none.
        """
        good = [trial for trial in self.trials if self._counts(trial)]
        if not good:
            reasons = dict.fromkeys(f"trial {trial.number}: {trial.failure}" for trial in self.trials if trial.failure)
            raise DataError(f"study {self.name!r} has no successful trial", place="\n".join(reasons) or None)
        return min(
            good,
            key=lambda trial: (
                _sign(self.objective) * trial.metric(self.objective),
                trial.metrics.get("val.loss", 0.0),
                trial.metrics.get("params", 0.0),
            ),
        )

    def _counts(self, trial: Trial, *names: str) -> bool:
        """Whether a trial succeeded and has a number for the metrics."""
        return trial.ok and not any(math.isnan(trial.metric(name)) for name in names or (self.objective,))

    @property
    def stopped(self) -> str:
        """Why the search stopped, as a sentence; empty while it has not."""
        return str(self.facts.get("stopped", ""))

    def pareto(self, *names: str) -> list[Trial]:
        """Return the successful trials that no other beats in all of the named metrics, by the first of them.

        Raises:
            UnknownName: when a metric is not known.
            SettingError: when none is named.
        """
        if not names:
            raise SettingError("a Pareto front needs metrics", expected='for example "error", "params"')
        good = [trial for trial in self.trials if self._counts(trial, *names)]
        points = [tuple(_sign(name) * trial.metric(name) for name in names) for trial in good]
        front = [
            (point, trial)
            for point, trial in zip(points, good, strict=True)
            if not any(
                other != point and all(one <= two for one, two in zip(other, point, strict=True)) for other in points
            )
        ]
        return [trial for _, trial in sorted(front, key=lambda pair: pair[0])]

    def history(self) -> list[dict[str, float]]:
        """Return, after every trial, what the search had spent, scoring and measuring too, and the best objective."""
        rows: list[dict[str, float]] = []
        spent, best, sign = Ledger(), None, _sign(self.objective)
        for trial in self.trials:
            spent = trial.spent or spent + trial.ledger
            if self._counts(trial):
                value = trial.metric(self.objective)
                best = value if best is None or sign * value < sign * best else best
            row = {"trial": trial.number, "epochs": spent.epochs, "macs": spent.macs, "seconds": spent.wall_seconds}
            rows.append(row | ({} if best is None else {"best": best}))
        return rows

    def recall(self, key: str) -> Report | None:
        """Return the report on a training by its key (:meth:`Evaluator.key`), read anew from the storage, or None."""
        for trial in self.trials:
            if trial.facts["key"] == key:
                return Trial(trial.number, trial.facts, self.artifacts).report()
        return None

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.trials)

    def __len__(self) -> int:
        return len(self.trials)

    def __repr__(self) -> str:
        return f"<Study {self.name!r} in {masked(self.storage_url)}: {len(self)} trials>"


def load_study(name: str, storage: str, *, artifacts: str | Path | None = None) -> Study:
    """Open a study that a storage holds.

    Raises:
        StorageError: when the storage cannot be used.
        UnknownName: when it holds no such study; the nearest name is suggested.
    """
    return Study(name, storage, artifacts=artifacts, create=False)


def _sign(metric: str) -> float:
    return -1.0 if metric.rpartition(".")[2] in MAXIMISED else 1.0
