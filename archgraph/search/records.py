"""The trainings that a study holds: recorded as trials, kept before their turn, claimed, and found again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from archgraph.errors import DataError, StorageError, UnknownName
from archgraph.evaluation import Ledger, Report, Train
from archgraph.search.facts import facts_in, facts_of, ledger_facts, mend, text_of
from archgraph.search.frozen import frozen
from archgraph.search.goal import Goal
from archgraph.search.trial import Trial
from archgraph.spaces import Domain
from archgraph.storage.address import masked
from archgraph.storage.artifacts import Artifacts
from archgraph.storage.claims import Claim, Claims
from archgraph.storage.kept import Kept
from archgraph.storage.storage import quiet, reported


class Records:
    """What is stored under the name of a study, written and read; :class:`~archgraph.search.study.Study` judges it.

    Args:
        name: of the study.
        url: of the storage; None for memory.
        optuna: the study as Optuna has it.
        folder: where its artifacts lie; None for memory.
        goal: what it is after.
    """

    def __init__(self, name: str, url: str | None, optuna: Any, folder: Path | None, goal: Goal) -> None:
        self.name, self.storage_url, self.optuna, self.goal = name, url, optuna, goal
        self.artifacts = Artifacts(folder)
        self._claims, self._kept = Claims(folder, name), Kept(folder, name)
        self._trials: list[Trial] = []
        self._next = 0  # number of the first trial that was not looked at yet
        self._by_key: dict[str, Trial] = {}
        self._by_network: dict[str, Trial] = {}
        self._damaged: set[str] = set()
        self.domains: Mapping[str, Domain] = {}  # of the parameters that are searched, for what looks at the storage

    # ------------------------------------------------------------------ writing
    def record(self, request: Train, report: Report, spent: Ledger | None = None) -> Trial:
        """Store a training and its result as the next trial, in one transaction; artifacts are written before.

        A training that the study holds already, recorded by this process or another one, is left as it is; artifacts of
        it that were found to be damaged are put back.

        Args:
            request: what was asked.
            report: the answer; one without a number for the objective counts as failed in Optuna, which has no place
                for it.
            spent: the search's bill so far, this training and all scoring and measuring included.

        Raises:
            StorageError: when it cannot be written; what was stored before is safe.
            DataError: when damaged artifacts cannot be put back, for training again gave another network.
        """
        held = self._by_key.get(report.key)
        if held is None:
            facts = self._kept.get(report.key) or self._facts_of(request, report)
            if report.key in self._damaged:
                mend(facts, request, report, self.artifacts, self._base(request))
                self._damaged.discard(report.key)
            with self._claims.turn():
                held = self._held(report.key)  # another process may have been faster
                if held is None:
                    self._add(facts, request, report, spent)
                    held = self._held(report.key)
            self._kept.drop(report.key)
        elif report.key in self._damaged:
            mend(held.facts, request, report, self.artifacts, self._base(request))
            self._read(held.number, held.facts)  # or an error that says what is still missing
            self._damaged.discard(report.key)
        if held is None:
            raise StorageError(
                f"the storage {masked(self.storage_url)} does not show the trial that was just stored",
                hint="is a copy read, or a trial of the study left unfinished? what was stored before is safe",
            )
        return held

    def _add(self, facts: dict[str, Any], request: Train, report: Report, spent: Ledger | None) -> None:
        """Store facts as the next trial."""
        parent = self._by_network.get(request.origin.parent)
        facts = facts | {"parent": None if parent is None else parent.number}
        if spent is not None:
            facts["spent"] = ledger_facts(spent)
        if self.goal.constraints:
            broken = {str(one): one.violation(report.metrics) for one in self.goal.constraints}
            facts["violations"] = {name: text_of(by) for name, by in broken.items()}
        with quiet(), reported(self.storage_url):
            try:
                self.optuna.add_trial(frozen(facts, report, self.goal, self.domains))
            except ValueError:  # another space had a parameter of this name and of another kind
                self.optuna.add_trial(frozen(facts, report, self.goal))

    def keep(self, request: Train, report: Report) -> None:
        """Store a training that has ended before its turn to become a trial; :meth:`recall` knows it from now on.

        Args:
            request: what was asked; trials are to be recorded in the order of asking.
            report: the answer.

        Raises:
            StorageError: when it cannot be written.
        """
        if self._held(report.key) is None:
            self._kept.put(report.key, self._facts_of(request, report))

    def claim(self, key: str) -> Claim | None:
        """Return the right to do a training, or None while another living process is at it.

        Hold it until the report is kept or recorded, and look with :meth:`recall` once more after getting it. It ends
        with the process, whatever ends that.

        Args:
            key: of the training (:meth:`Evaluator.key`).

        Raises:
            StorageError: when the folder of artifacts cannot be written, or has no locks.
        """
        return self._claims.take(key)

    def _facts_of(self, request: Train, report: Report) -> dict[str, Any]:
        return facts_of(request, report, self.artifacts, self._base(request))

    def _base(self, request: Train) -> str | None:
        """Return the manifest of the parent's tensors."""
        parent = self._by_network.get(request.origin.parent)
        return None if parent is None else parent.facts.get("tensors")

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
        """All trials that the storage holds, in order, but for those that others have begun in it and not finished."""
        for trial in self._frozen():
            if trial.number < self._next:
                continue
            if not trial.state.is_finished():
                if "key" in trial.user_attrs:
                    break  # being written
                continue  # of a dashboard, or of Study.ask of Optuna
            if "key" not in trial.user_attrs:
                raise DataError(f"trial {trial.number} of study {self.name!r} was not made by archgraph")
            found = Trial(trial.number, facts_in(trial.user_attrs), self.artifacts)
            self._next = trial.number + 1
            self._trials.append(found)
            self._by_key.setdefault(found.facts["key"], found)
            if found.facts.get("network"):
                self._by_network[found.facts["network"]] = found
        return list(self._trials)

    def _held(self, key: str) -> Trial | None:
        """Return the trial of a training by its key, or None."""
        if key not in self._by_key:
            _ = self.trials  # other processes may have added some
        return self._by_key.get(key)

    def trial(self, number: int) -> Trial:
        """Return a trial by its number.

        Raises:
            UnknownName: when there is none.
        """
        for trial in self.trials:
            if trial.number == number:
                return trial
        raise UnknownName(f"study {self.name!r} has no trial {number}", expected=f"0 to {self._next - 1}")

    def recall(self, key: str) -> Report | None:
        """Return the report on a training by its key (:meth:`Evaluator.key`), read anew, or None.

        None too when its artifacts are damaged or gone: the training is to be done again, and :meth:`record` puts them
        back.
        """
        held = self._held(key)
        kept = self._kept.get(key) if held is None else None
        if held is None and kept is None:
            return None
        try:
            return self._read(held.number, held.facts) if held is not None else self._read(-1, kept or {})
        except (DataError, StorageError):
            self._damaged.add(key)
            if held is None:
                self._kept.drop(key)
            return None

    def _read(self, number: int, facts: Mapping[str, Any]) -> Report:
        """Return a report from nothing but facts and artifacts, all of which are read."""
        trial = Trial(number, facts, self.artifacts)
        trial.check_start()
        return trial.report()

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.trials)

    def __len__(self) -> int:
        return len(self.trials)
