"""A study: a named search and every network it has trained, in an Optuna storage with artifacts beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from archgraph.errors import DataError, SettingError, StorageError, UnknownName
from archgraph.search import ranking
from archgraph.search.goal import Aims, Bounds, Goal
from archgraph.search.lineage import Step, lineage
from archgraph.search.records import Records
from archgraph.search.trial import Trial
from archgraph.storage.address import Address, masked
from archgraph.storage.claims import Claims
from archgraph.storage.place import PLACE, Place
from archgraph.storage.storage import artifact_folder, directions, open_storage, open_study, quiet, reported

USUAL = "val.loss"
"""The objective of a study that nobody gave one."""


class Study(Records):
    """A named search: its trials, the best of them, and why it stopped.

    Args:
        name: its name in the storage.
        storage: None for memory, or a URL such as ``sqlite:///runs.db``.
        objective: the metric by which the best trial is chosen, or several, the most important first, by their full
            names; what is stored, or ``"val.loss"``, by default.
        constraints: what a good trial keeps, ``"params<=1e5"``; what is stored by default.
        artifacts: folder for graphs and weights; beside the storage by default.
        create: whether to make the study when there is none.

    Raises:
        StorageError: when the storage cannot be used.
        SettingError: when the study has another objective, or other constraints.
        UnknownName: when there is no such study and ``create`` is False.
    """

    def __init__(
        self,
        name: str,
        storage: str | None = None,
        *,
        objective: Aims | None = None,
        constraints: Bounds = (),
        artifacts: str | Path | None = None,
        create: bool = True,
    ) -> None:
        self.storage = open_storage(storage)
        try:
            held = open_study(storage, self.storage, name)
        except UnknownName:
            if not create:
                raise
            if artifacts is None:
                artifact_folder(storage)  # an error before anything is stored
            ways = {one.name: one.direction for one in Goal.of(objective or USUAL, constraints).objectives}
            held = open_study(storage, self.storage, name, new=ways)
        with quiet(), reported(storage):
            known = dict(held.user_attrs)
            strange = "objective" not in known and bool(held.get_trials(deepcopy=False))
        if strange:
            raise DataError(
                f"study {name!r} in {masked(storage)} was not made by archgraph", hint="choose another name"
            )
        goal = _goal(name, known, objective, constraints)
        said = "objective" in known  # not in what somebody is making just now, or died making; reading it says nothing
        if (said or create) and directions(held) != [one.direction for one in goal.objectives]:
            raise SettingError(f"study {name!r} has other objectives in Optuna", expected=directions(held), got=goal)
        self._place = Place.of(storage, known, artifacts)
        super().__init__(name, storage, held, self._place.folder, goal)
        for fact, value in goal.facts.items() if create and not said else ():
            self.note(fact, value)

    def prepare(self) -> None:
        """Make the folder of artifacts and tie the study to it, before anything is computed.

        Raises:
            StorageError: when it cannot be written, or is not the one in which the study's artifacts are.
        """
        self.artifacts.prepare()
        with Claims(self._place.folder, "").turn():
            last = self.trials[-1:]
            names = [one.facts[what] for one in last for what in ("graph", "tensors") if what in one.facts]
            holds = bool(names) and all(name in self.artifacts for name in names)
            noted = self._place.settle(self.facts, begun=bool(last), holds=holds)
            if noted is not None:
                self.note(PLACE, noted)

    @property
    def objective(self) -> str:
        """The metric by which the best trial is chosen: the first of the objectives."""
        return self.goal.objectives[0].name

    # ------------------------------------------------------------------ judging
    @property
    def best(self) -> Trial:
        """The best trial that keeps the constraints, by the first objective.

        Among equals the next objectives decide, then the lower validation loss, then fewer params. Only trials at the
        highest fidelity that any of these has reached are compared: those trained by all of their recipe, if there are
        any (:attr:`Trial.share`). Of several objectives the first counts most; :meth:`pareto` shows what the others
        cost.

        Raises:
            DataError: when no trial succeeded, or none that did keeps the constraints.
        """
        return ranking.best(self.trials, self.goal, self.name)

    @property
    def stopped(self) -> str:
        """Why the search stopped, as a sentence; empty while it has not."""
        return str(self.facts.get("stopped", ""))

    def pareto(self, *names: str) -> list[Trial]:
        """Return the trials that no other beats in all objectives, by the first of them; of equal ones all.

        As with :attr:`best`, they keep the constraints, and only trials at the highest fidelity are compared.

        Args:
            names: of metrics, ``"error", "params"``; the study's objectives by default. ``"max:name"`` is for a
                direction that is neither the metric's own nor the study's.

        Raises:
            UnknownName: when a metric is not known.
            SettingError: when one stands twice.
        """
        return ranking.front(self.trials, self.goal.towards(*names) if names else self.goal)

    def hypervolume(self, reference: Mapping[str, float] | Sequence[float]) -> float:
        """Return the hypervolume between the Pareto front and a reference point, exactly; more is better.

        Args:
            reference: a number for every objective, worse than all of interest: by name, of any metrics,
                ``{"error": 1.0, "params": 1e6}``, or in the order of the study's objectives.

        Raises:
            UnknownName: when a metric is not known.
            SettingError: when the reference does not fit.
        """
        return ranking.volume(self.trials, self.goal, reference)

    def history(self) -> list[dict[str, float]]:
        """Return, after every trial, what the search had spent, scoring and measuring too, and the best objective.

        The best is that of the trials so far at the highest fidelity so far, so it may get worse when a first one is
        trained further than all before. Trials that break a constraint have no part in it; of several objectives it is
        the first.
        """
        return ranking.history(self.trials, self.goal)

    def lineage(self, trial: Trial | int) -> tuple[Step, ...]:
        """Return the steps from the seed graph to a trial, each made again from the one before by its recorded moves.

        Args:
            trial: a trial, or its number.

        Raises:
            DataError: when the moves do not lead to the graph that was trained.
            UnknownName: when there is no such trial.
        """
        return lineage(self.trials, self.trial(trial) if isinstance(trial, int) else trial)

    def __repr__(self) -> str:
        return f"<Study {self.name!r} in {masked(self.storage_url)}: {len(self)} trials>"


def load_study(name: str, storage: str, *, artifacts: str | Path | None = None) -> Study:
    """Open a study that a storage holds.

    Raises:
        StorageError: when the storage cannot be used; a file that is not there is not made.
        UnknownName: when it holds no such study; the nearest name is suggested.
    """
    if not Address.parse(storage).exists:
        raise StorageError(
            f"there is no storage {masked(storage)}", hint="paths in a URL start from the working folder"
        )
    return Study(name, storage, artifacts=artifacts, create=False)


def held_study(name: str, storage: str | None, *, artifacts: str | Path | None = None) -> Study | None:
    """Open a study if a storage is named that holds it.

    Raises:
        StorageError: when the storage cannot be used.
    """
    if storage is None or not Address.parse(storage).exists:
        return None
    try:
        return load_study(name, storage, artifacts=artifacts)
    except UnknownName:
        return None


def _goal(name: str, known: Mapping[str, object], objective: Aims | None, constraints: Bounds) -> Goal:
    """Return the goal that a study has, or gets.

    Raises:
        SettingError: when it has another one than is given.
    """
    stored = Goal.stored(known) if "objective" in known else None  # it is written last: without it nothing was said
    if stored is None or (objective is None and not constraints):
        return stored or Goal.of(objective or USUAL, constraints)
    given = Goal.of(stored.objectives if objective is None else objective, constraints)
    for what in ("objective", "constraint"):
        wanted, got = (getattr(goal, f"{what}s") for goal in (stored, given))
        if wanted != got:
            raise SettingError(
                f"study {name!r} has another {what}",
                expected=", ".join(map(str, wanted)) or "none",
                got=", ".join(map(str, got)) or "none",
            )
    return stored
