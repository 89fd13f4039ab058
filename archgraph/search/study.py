"""A study: a named search and every network it has trained, in an Optuna storage with artifacts beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from archgraph.errors import DataError, SettingError, UnknownName
from archgraph.evaluation import Epoch, Ledger, Report, Train
from archgraph.graph import Graph
from archgraph.net import Network, State
from archgraph.search.artifacts import Artifacts
from archgraph.search.storage import artifact_folder, masked, open_storage, open_study, quiet, reported

MAXIMISED = ("accuracy",)
"""Metrics of which more is better; of all others less is."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One training that the study holds; graph, network and optimizer state are read when they are asked for.

    Args:
        number: its place in the study.
        facts: what the storage knows of it.
        artifacts: where its graph and weights lie.
    """

    number: int
    facts: Mapping[str, Any]
    artifacts: Artifacts

    @property
    def ok(self) -> bool:
        """Whether the evaluation succeeded."""
        return not self.failure

    @property
    def failure(self) -> str:
        """Why the evaluation failed, empty when it did not."""
        return str(self.facts.get("failure", ""))

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics by ``"split.name"`` (``"val.error"``), and of the graph by name (``"params"``)."""
        return {name: _number(value) for name, value in self.facts.get("metrics", {}).items()}

    def metric(self, name: str) -> float:
        """Return a metric by its full name, or by a short one (``"error"`` is ``"val.error"``).

        Raises:
            UnknownName: when the trial has none called so.
        """
        metrics = self.metrics
        for full in (name, f"val.{name}"):
            if full in metrics:
                return metrics[full]
        raise UnknownName.among("metric", name, metrics)

    @property
    def parent(self) -> int | None:
        """Number of the trial whose network it was made from."""
        return self.facts.get("parent")

    @property
    def moves(self) -> tuple[str, ...]:
        """The moves that made it from its parent, as text."""
        return tuple(self.facts.get("moves", ()))

    @property
    def stage(self) -> int:
        """How many rounds of growth came before."""
        return int(self.facts.get("stage", 0))

    @property
    def predicted(self) -> float | None:
        """Change of the training loss that the criterion predicted for the moves."""
        return _number(self.facts.get("predicted"))

    @property
    def measured(self) -> float | None:
        """Change of the training loss right after the moves, before training."""
        return _number(self.facts.get("measured"))

    @property
    def ledger(self) -> Ledger:
        """What the training cost."""
        return Ledger(**self.facts["ledger"])

    @property
    def spent(self) -> Ledger | None:
        """What the search had spent in all when the trial was done; None when it was recorded without one."""
        return Ledger(**self.facts["spent"]) if "spent" in self.facts else None

    @property
    def curve(self) -> tuple[Epoch, ...]:
        """The learning curve."""
        return tuple(
            Epoch(number, {name: _number(value) for name, value in metrics.items()})
            for number, metrics in self.facts.get("curve", ())
        )

    @cached_property
    def graph(self) -> Graph:
        """The architecture."""
        return Graph.parse(self.artifacts.get(self.facts["graph"]).decode())

    @cached_property
    def network(self) -> Network:
        """The trained network.

        Raises:
            DataError: when the training failed, or the artifact is damaged.
            StorageError: when the artifact is gone.
        """
        if "weights" not in self.facts:
            raise DataError(f"trial {self.number} has no network: {self.failure or 'it was never trained'}")
        return Network(self.graph, _tensors(self.artifacts.get(self.facts["weights"])))

    @cached_property
    def state(self) -> State:
        """The optimizer's state after training."""
        result: dict[str, dict[str, Any]] = {}
        if "state" in self.facts:
            for name, tensor in _tensors(self.artifacts.get(self.facts["state"])).items():
                label, _, entry = name.partition("/")  # labels have no slash
                result.setdefault(label, {})[entry] = tensor
        return result

    def report(self) -> Report:
        """Return the report of the training, as the backend gave it."""
        return Report(
            self.facts["key"],
            self.metrics,
            self.network if self.ok else None,
            self.state,
            curve=self.curve,
            ledger=self.ledger,
            failure=self.failure,
        )

    def __repr__(self) -> str:
        return f"<Trial {self.number}: {self.failure or ', '.join(f'{k} {v:.4g}' for k, v in self.metrics.items())}>"


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

        facts = self._facts(request, report)
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

    def _facts(self, request: Train, report: Report) -> dict[str, Any]:
        origin = request.origin
        parents = [trial.number for trial in self.trials if trial.facts.get("network") == origin.parent]
        graph = request.subject if isinstance(request.subject, Graph) else request.subject.graph
        facts: dict[str, Any] = {
            "key": report.key,
            "stage": origin.stage,
            "parent": parents[-1] if origin.parent and parents else None,
            "moves": list(origin.moves),
            "predicted": _text(origin.predicted),
            "measured": _text(origin.measured),
            "note": origin.note,
            "recipe": repr(request.recipe),
            "seed": request.seed,
            "metrics": {name: _text(value) for name, value in report.metrics.items()},
            "curve": [[at.epoch, {name: _text(value) for name, value in at.metrics.items()}] for at in report.curve],
            "ledger": asdict(report.ledger) | {"cached": False},
            "graph": self.artifacts.put(str(graph).encode(), "graph"),
        }
        if report.failure:
            facts["failure"] = report.failure
        if report.network is not None:
            facts["network"] = report.network.key
            facts["weights"] = self.artifacts.put(_bytes(report.network.weights), "safetensors")
        if report.state:
            flat = {f"{label}/{name}": one for label, entries in report.state.items() for name, one in entries.items()}
            facts["state"] = self.artifacts.put(_bytes(flat), "safetensors")
        return json.loads(json.dumps(facts, allow_nan=False))

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


def _text(value: float | None) -> float | str | None:
    """Return a number as JSON has it: what is not finite as text."""
    return value if value is None or math.isfinite(value) else str(value)


def _number(stored: Any) -> Any:
    """Return the number that :func:`_text` made text of."""
    return float(stored) if isinstance(stored, str) else stored


def _bytes(tensors: Mapping[str, Any]) -> bytes:
    from safetensors.torch import save

    return save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()})


def _tensors(content: bytes) -> dict[str, Any]:
    from safetensors.torch import load

    return load(content)
