"""The backend: answers requests one after the other, knows what it has answered, and keeps the bill."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from archgraph.errors import ArchGraphError, DataError, EvaluationFailed, SettingError, StorageError, UnknownName
from archgraph.evaluation.bill import training_bill
from archgraph.evaluation.checkpoint import Checkpoint
from archgraph.evaluation.checkpoints import Checkpoints
from archgraph.evaluation.device import choose_device, peak_bytes, reset_peak
from archgraph.evaluation.failure import lacks_memory, reason
from archgraph.evaluation.feed import run_through
from archgraph.evaluation.fidelity import Fidelity
from archgraph.evaluation.fit import check_fit, describe, graph_of
from archgraph.evaluation.lookup import looked_up, table_bill
from archgraph.evaluation.measurement import measured, measured_for, runs, runs_of
from archgraph.evaluation.paused import Paused
from archgraph.evaluation.remembered import Remembered
from archgraph.evaluation.report import Epoch, Ledger, Report
from archgraph.evaluation.request import Calibrate, Request, Score, Train
from archgraph.evaluation.trainer import measure, train
from archgraph.graph import Graph
from archgraph.metrics import Conditions, macs
from archgraph.net import Network, Nodes, Samples, estimate, passed
from archgraph.scoring.samples import samples
from archgraph.scoring.scorer import score_sites, subset
from archgraph.tasks import Task
from archgraph.tasks.tabular import Tabular

Progress = Callable[[Request, Epoch, int], None]
"""Called after every epoch of a training with the request, the epoch's metrics and the number of epochs."""

Recall = Callable[[str], Report | None]

UNKNOWN = 1 << 100
"""Multiply-accumulates of what nobody can foretell: more than any budget."""

_REQUEST = (SettingError, UnknownName, DataError, StorageError)
"""What is wrong whatever the candidate, with the request or the disk: it ends the search; all else fails one trial."""

_CANDIDATE = (Exception, SystemExit)
"""What a candidate can raise that fails its trial; an interrupt from the keyboard is none of its doing."""


class _Told(BaseException):
    """Carries what a progress callback has raised past all that takes errors for the candidate's."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


class Evaluator:
    """Evaluates requests on one task in this process.

    Args:
        task: the task.
        device: ``"cpu"``, ``"cuda"``, or ``"auto"`` for CUDA where there is one.
        progress: called after every epoch.
        recall: gives reports on trainings that are known from elsewhere, by key; a study's, say.
        checkpoints: where long trainings leave checkpoints, and go on from those that they find.
        paused: where trainings at a lower fidelity leave theirs, for those at a higher one; this process's memory by
            default.
        metrics: of the graph or of the network on a device, by which every trained network is measured:
            ``("memory", "latency")``. They are no part of what is asked: the key of a training is the same with them,
            and a report that is known and lacks some is completed by these alone.
        conditions: under which they are found, but for the device, which is that of training.
    """

    def __init__(
        self,
        task: Task,
        *,
        device: str = "auto",
        progress: Progress | None = None,
        recall: Recall | None = None,
        checkpoints: Checkpoints | None = None,
        paused: Paused | None = None,
        metrics: Sequence[str] = (),
        conditions: Conditions | None = None,
    ) -> None:
        self.task, self.device, self.progress, self.recall = task, choose_device(device), progress, recall
        self.checkpoints, self.paused = checkpoints, Paused() if paused is None else paused
        self.metrics = tuple(metrics)
        self.conditions = replace(conditions or Conditions(), device=str(self.device))
        self._known = Remembered()
        self._parts: dict[Fidelity, Task] = {}

    def key(self, request: Request) -> str:
        """Return the key of a request on this task: equal keys have equal answers."""
        return hashlib.sha256(f"{self.task.key} {request.key}".encode()).hexdigest()

    def course(self, request: Train) -> str:
        """Return the key of a training on this task that does not say where it stops."""
        return hashlib.sha256(f"{self.task.key} {request.course}".encode()).hexdigest()

    def remember(self, report: Report) -> None:
        """Put a report into the cache, which keeps the latest ones; see :class:`Remembered`."""
        self._known.put(report)

    def cached(self, key: str) -> Report | None:
        """Return the report on a request that was answered here not long ago, with a ledger that says so, or None."""
        found = self._known.get(key)
        return None if found is None else found.from_cache()

    def known(self, request: Request) -> Report | None:
        """Return the report on a request that was answered before, with a ledger that says so, or None."""
        key = self.key(request)
        found = self.cached(key)
        if found is None and self.recall is not None and isinstance(request, Train):
            found = self.recall(key)
        if found is None:
            return None
        return (self._completed(found) if isinstance(request, Train) else found).from_cache()

    def _completed(self, report: Report) -> Report:
        """Return a report on a training with the metrics that it lacks; what these cost comes to its bill."""
        lacking = [name for name in self.metrics if name not in report.metrics]
        network = report.network
        if network is None or not lacking:
            return report
        try:
            more = self._measured(network, lacking)
        except _CANDIDATE as error:
            self._free(error)
            return replace(report, network=None, state=None, failure=reason(error))
        spent = macs(network.graph) * runs(lacking, self.conditions)
        ledger = replace(report.ledger, eval_macs=report.ledger.eval_macs + spent)
        report = replace(report, metrics={**report.metrics, **more}, ledger=ledger)
        self.remember(report)
        return report

    def _measured(self, network: Network, names: Sequence[str]) -> dict[str, float]:
        """Return metrics of a trained network.

        Raises:
            EvaluationFailed: when they cannot be found.
        """
        try:
            return measured(network, names, self.conditions)
        except ArchGraphError as error:  # settings were checked before: it is this network
            raise EvaluationFailed(f"the trained network cannot be measured: {error.what}") from error

    def evaluate(self, request: Request) -> Report:
        """Answer a request, from the cache where the answer is known.

        Raises:
            SettingError: see :meth:`answer`, as for the others.
            UnknownName: see there.
            DataError: see there.
            StorageError: see there.
        """
        known = self.known(request)
        if known is not None:
            return known
        report = self.answer(request)
        self.remember(report)
        return report

    def answer(self, request: Request) -> Report:
        """Answer a request anew; a candidate that raises, diverges or runs out of memory gives a failed report.

        What a progress callback raises is raised here.

        Raises:
            SettingError: when the request itself cannot be carried out, whatever the candidate: options that its
                optimizer does not take.
            UnknownName: when an optimizer, criterion, node or split is not known.
            DataError: when a network does not fit the task.
            StorageError: when a checkpoint cannot be written.
        """
        key = self.key(request)
        clock, processor = time.perf_counter(), time.process_time()
        reset_peak(self.device)
        aside: _Told | None = None
        try:
            report = self._answer(request)
        except _REQUEST:
            raise
        except _Told as told:
            aside = told
        except _CANDIDATE as error:
            report = Report(key, failure=reason(error))
            self._free(error)
        if aside is not None:
            raise aside.error  # here, where nothing is added to what it says
        ledger = replace(
            report.ledger,
            wall_seconds=time.perf_counter() - clock,
            cpu_seconds=time.process_time() - processor,
            peak_bytes=peak_bytes(self.device),
            device=str(self.device),
        )
        return replace(report, key=key, ledger=ledger)

    def _answer(self, request: Request) -> Report:
        if isinstance(self.task, Tabular):
            return looked_up(request, self.task)
        if isinstance(request, Train):
            return self._train(request)
        check_fit(request.network.graph, self.task)
        if isinstance(request, Score):
            return self._score(request)
        if isinstance(request, Calibrate):
            return self._calibrate(request)
        if request.split not in self.task.splits:
            raise UnknownName.among("split", request.split, self.task.splits)
        samples = run_through(request.network.graph, self.task, len(self.task.splits[request.split]))
        found = measure(request.network, self.task, request.split, device=self.device)
        return Report(
            "",
            {f"{request.split}.{name}": value for name, value in found.items()} | measured_for(request, self.device),
            ledger=Ledger(samples=samples, eval_macs=macs(request.network.graph) * (samples + runs_of(request))),
        )

    def _train(self, request: Train) -> Report:
        subject, graph = request.subject, graph_of(request)
        check_fit(graph, self.task)
        key, course = self.key(request), self.course(request)
        recipe, task, last = request.recipe, self._task(request), request.fidelity.last(request.recipe.epochs)
        lower = self.paused.before(course, last)
        paid = 0 if lower is None else lower.epoch
        start = None if self.checkpoints is None else self.checkpoints.get(key)
        start = lower if start is None or start.epoch < paid else start
        store = None if self.checkpoints is None else self.checkpoints.saver(key, last)
        curve = [] if start is None else list(start.curve)

        def watch(epoch: Epoch, _: int) -> None:
            curve.append(epoch)
            if self.progress is None:
                return
            try:
                self.progress(request, epoch, last)
            except _CANDIDATE as error:
                raise _Told(error) from None

        def save(epoch: int, take: Callable[[], Checkpoint]) -> None:
            if store is not None:
                store(epoch, take)
            if epoch == last < recipe.epochs:
                self.paused.put(course, take())

        metrics = describe(graph)
        try:
            network = Network.init(subject, request.seed) if isinstance(subject, Graph) else subject
            done = train(
                network,
                task,
                recipe,
                seed=request.seed,
                state=request.state,
                device=self.device,
                watch=watch,
                start=start,
                stop=last,
                save=save,
                frozen=request.frozen,
            )
            for split in ("train", "val"):
                found = measure(done.network, task, split, device=self.device)
                metrics |= {f"{split}.{name}": value for name, value in found.items()}
                if not found["loss"] < float("inf"):
                    raise EvaluationFailed(f"training diverged: the {split} loss of the network is {found['loss']}")
            metrics |= self._measured(done.network, self.metrics)
        except _REQUEST:
            raise
        except _CANDIDATE as error:
            self._free(error)
            return self.failed(request, reason(error), curve, paid=paid)
        epochs = len(curve) - paid
        ledger = replace(self._whole_bill(request, epochs, curve[paid:]), continued=float(paid))
        fidelity = request.fidelity.within(recipe.epochs)
        return Report("", metrics, done.network, done.state, curve=done.curve, ledger=ledger, fidelity=fidelity)

    def failed(
        self, request: Request, why: str, curve: Sequence[Epoch] = (), seconds: float = 0.0, *, paid: int = 0
    ) -> Report:
        """Return the report on a request whose evaluation came to nothing.

        Args:
            request: what was asked.
            why: the reason, in one line.
            curve: of the epochs that were finished; the one that was not is paid for too.
            seconds: by the clock.
            paid: the first epochs of the curve, which an evaluation at a lower fidelity has paid for.
        """
        ledger = Ledger(wall_seconds=seconds, device=str(self.device))
        if not isinstance(request, Train) or isinstance(self.task, Tabular):
            return Report(self.key(request), ledger=ledger, failure=why)
        graph = graph_of(request)
        begun = min(len(curve) + 1, request.fidelity.last(request.recipe.epochs)) - paid
        ledger = training_bill(request, self.task, begun, len(curve) - paid, curve=curve[paid:])
        ledger = replace(ledger, wall_seconds=seconds, device=str(self.device), continued=float(paid))
        fidelity = request.fidelity.within(request.recipe.epochs)
        return Report(
            self.key(request), describe(graph), curve=tuple(curve), ledger=ledger, failure=why, fidelity=fidelity
        )

    def at_most(self, request: Request) -> Ledger:
        """Return the most that a request can cost, times left out; of scores and measurements only the answer tells."""
        if isinstance(request, Train) and isinstance(self.task, Tabular):
            return table_bill(request, self.task, self._foretold(request).get("macs", 0.0))
        if isinstance(request, Train):
            return self._whole_bill(request, request.fidelity.last(request.recipe.epochs))
        return Ledger(eval_macs=UNKNOWN)

    def describe(self, graph: Graph) -> dict[str, float]:
        """Return the metrics of a graph that are known before it is trained.

        Raises:
            GraphError: when the task is answered from a table that does not have it.
        """
        return self.task.table.describe(graph) if isinstance(self.task, Tabular) else describe(graph)

    def _foretold(self, request: Train) -> dict[str, float]:
        try:
            return self.describe(graph_of(request))
        except ArchGraphError:
            return {}  # its training fails, and says why

    def _whole_bill(self, request: Train, epochs: int, curve: Sequence[Epoch] = ()) -> Ledger:
        """Return the bill of a training that comes to its end, with all that is measured then."""
        more = runs(self.metrics, self.conditions)
        return training_bill(request, self.task, epochs, epochs, tested=True, runs=more, curve=curve)

    def _free(self, error: BaseException) -> None:
        if self.device.type == "cuda" and lacks_memory(error):
            torch.cuda.empty_cache()  # or the next candidate finds what this one has left

    def _task(self, request: Train) -> Task:
        """Return the task with as much training data as a request gets."""
        part = replace(request.fidelity, epochs=None)
        if part.full:
            return self.task
        if part not in self._parts:
            self._parts[part] = part.task(self.task)
        return self._parts[part]

    def _samples(self, network: Network) -> tuple[Samples, Tensor]:
        """Return inputs and targets of the training split, in the type of a network's weights."""
        x, y = samples(network.graph, self.task, network.dtype, self.device)
        return x.to(network.dtype), y.to(network.dtype) if y.is_floating_point() else y

    def _score(self, request: Score) -> Report:
        network = request.network.to(self.device)
        x, y = subset(*self._samples(network), request.samples, request.seed)
        try:
            found = score_sites(
                network,
                x,
                y,
                self.task.loss,
                criterion=request.criterion,
                sites=request.sites,
                options=request.options,
            )
        except DataError as error:  # the network fits the task, so it is its numbers
            raise EvaluationFailed(error.what) from error
        ledger = Ledger(samples=found.samples, score_macs=found.macs)
        return Report("", scores=found.scores, refused=found.refused, ledger=ledger)

    def _calibrate(self, request: Calibrate) -> Report:
        network = request.network.to(self.device)
        x, y = self._samples(network)
        if not isinstance(x, Nodes):  # of a graph a pass takes all nodes, however few count
            x, y = subset(x, y, request.samples, request.seed)
        found = estimate(network, dict(request.units), x, batch_size=request.batch_size, seed=request.seed)
        ledger = Ledger(samples=passed(x), eval_macs=macs(network.graph) * passed(x))
        return Report("", network=found.to("cpu"), ledger=ledger)
