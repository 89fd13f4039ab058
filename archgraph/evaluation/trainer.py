"""The only training loop.

Every stream of random numbers is derived from the seed and the epoch (and the batch, for augmentation), never carried
from one epoch to the next. So a training that goes on from a :class:`~archgraph.evaluation.checkpoint.Checkpoint` is
the one that was not interrupted, bit for bit on the CPU.
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from archgraph import rng
from archgraph.errors import EvaluationFailed, SettingError
from archgraph.evaluation.arithmetic import Arithmetic
from archgraph.evaluation.augmentation import augment, check_images
from archgraph.evaluation.averaging import Average, join_state, split_state
from archgraph.evaluation.checkpoint import Best, Checkpoint
from archgraph.evaluation.curvature import tell, watched
from archgraph.evaluation.feed import (
    NODES,
    Feed,
    Neighborhoods,
    WholeGraph,
    check_neighbors,
    feed,
    run_through,
    samples_of,
)
from archgraph.evaluation.held import Frozen, Held, frozen_units
from archgraph.evaluation.recipe import Recipe
from archgraph.evaluation.report import Epoch, Metrics
from archgraph.evaluation.transductive import settle_on_graph
from archgraph.net import Network, State, load_state, state_of
from archgraph.tasks import Split, Task

EVAL_BATCH = 1024
"""Samples in a batch when predictions are measured."""

Watch = Callable[[Epoch, int], None]
"""Called after every epoch with its metrics and the number of epochs in all."""

Save = Callable[[int, Callable[[], Checkpoint]], None]
"""Called after every epoch with its number and a function that takes a checkpoint, a copy of all tensors."""


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training leaves: the network, the optimizer's state, the curve, and how many samples were seen."""

    network: Network
    state: State
    curve: tuple[Epoch, ...]
    samples: int
    evaluated: int


def train(
    network: Network,
    task: Task,
    recipe: Recipe,
    *,
    seed: int,
    state: State | None = None,
    device: torch.device | str = "cpu",
    watch: Watch | None = None,
    start: Checkpoint | None = None,
    stop: int | None = None,
    save: Save | None = None,
    frozen: Frozen | Mapping[str, Sequence[int]] = (),
) -> Trained:
    """Train a network; same arguments on the same machine kind give bit-identical weights.

    Data are batched by indexing tensors that lie on the device. The global random state is left as it was.

    With ``recipe.ema`` the network that is returned, and measured after every epoch, has averaged weights; the returned
    state says how far those in training are from them, and a training that is given both goes on with both. A recipe
    without ``ema`` goes on from the averaged weights.

    Args:
        network: where to start; with ``start`` only its graph counts.
        task: the data and the loss.
        recipe: how to train.
        seed: of the order of samples, of dropout and of augmentation.
        state: optimizer state to start from; with ``start`` its own is used.
        device: where to train.
        watch: called after every epoch.
        start: where an earlier call with the same arguments stood after some epoch; training goes on from there.
        stop: the last epoch of this call; learning rates are those of a training over all ``recipe.epochs``.
        save: called after every epoch, after ``watch``, with a function that takes a checkpoint.
        frozen: units whose rows of every tensor stay the same bits, by node.

    Returns:
        The trained network and the optimizer's state, on the CPU; with ``keep="best"`` as they were after that epoch.
        The curve is that of all epochs, those before ``start`` included; samples are those of this call alone.

    Raises:
        EvaluationFailed: when the loss stops being finite, or that on the validation split of what would be returned.
        SettingError: when the recipe's augmentation, precision or neighbours do not fit the task or the network, or
            ``start`` is a checkpoint of another training, or ``frozen`` names what cannot be held.
        UnknownName: when ``frozen`` names no node.
    """
    check_images(recipe.augmentations, task.input_shape)
    check_neighbors(recipe.hops, task)
    if start is not None:
        start.check(network.graph, repr(recipe), seed)
    begin = (network if start is None else start.network).to(device)
    module = begin.to_torch()
    held = Held(module, begin.graph, frozen_units(frozen))
    if recipe.epochs == 0 or not any(parameter.requires_grad for parameter in module.parameters()):
        return Trained(network, state or {}, (), 0, 0)
    drawn = {"train": recipe.hops, "val": ()}  # predictions are measured on the whole graph
    data = {name: feed(begin.graph, task, name, device, begin.dtype, hops) for name, hops in drawn.items()}
    if isinstance(whole := data["train"], WholeGraph):
        settle_on_graph(module, begin.graph, whole.given, sparse=not recipe.compile)
    run = _Run(begin, module, task, recipe, seed, torch.device(device), {} if start is not None else state or {}, held)
    if start is not None:
        run.go_on(start)
    last = recipe.epochs if stop is None else min(stop, recipe.epochs)
    first = run.epoch
    with _isolated(run.device):
        while run.epoch < last:
            run.advance(data["train"], data["val"])
            if watch is not None:
                watch(run.curve[-1], recipe.epochs)
            if save is not None:
                save(run.epoch, run.checkpoint)
    result, moments = run.result()
    done = max(0, last - first)
    seen = {name: done * run_through(begin.graph, task, len(one)) for name, one in data.items()}
    if isinstance(data["train"], Neighborhoods):
        seen["train"] = sum(int(point.metrics[NODES]) for point in run.curve[first:])
    return Trained(result, moments, tuple(run.curve), samples=seen["train"], evaluated=seen["val"])


class _Run:
    """A training under way: what changes from step to step, and how."""

    def __init__(
        self,
        network: Network,
        module: fx.GraphModule,
        task: Task,
        recipe: Recipe,
        seed: int,
        device: torch.device,
        state: State,
        held: Held,
    ) -> None:
        self.held = held
        self.network, self.module, self.task, self.recipe = network, module, task, recipe
        self.seed, self.device = seed, device
        self.augmentations = recipe.augmentations
        self.optimizer = recipe.build(module)
        self.arithmetic = Arithmetic(module, precision=recipe.precision, compiled=recipe.compile)
        moments, lags = split_state(state)
        self.average = None if recipe.ema is None else Average(module, recipe.ema, lags)
        self.held.restore()  # lags have moved the weights away from their average
        if moments:
            load_state(module, self.optimizer, moments)
        self.epoch = 0
        self.curve: list[Epoch] = []
        self.best: Best | None = None

    def go_on(self, start: Checkpoint) -> None:
        """Stand where a checkpoint was taken; the module has its weights already."""
        load_state(self.module, self.optimizer, start.state)
        for group, settings in zip(self.optimizer.param_groups, start.groups, strict=True):
            group.update(settings)
        self.arithmetic.load_scale(start.scale)
        if self.average is not None and start.average is not None:
            self.average.load(start.average.to(self.device).to_torch().state_dict())
        self.epoch, self.curve, self.best = start.epoch, list(start.curve), start.best

    def advance(self, data: Feed, validation: Feed) -> None:
        """Train one epoch and measure the network."""
        self.epoch += 1
        _seed(rng.derive(self.seed, "train", self.epoch), self.device)
        with self.arithmetic.compiling():
            mean, drawn = self._pass(data)
        if not math.isfinite(mean):
            raise EvaluationFailed(
                f"training diverged: the loss is {mean} in epoch {self.epoch}", hint=f"lr={self.recipe.lr / 10:g}"
            )
        metrics = {"train.running-loss": mean, **drawn}
        metrics |= {f"val.{name}": value for name, value in predict(self.shown, validation, self.task).items()}
        self.curve.append(Epoch(self.epoch, metrics))
        loss = metrics["val.loss"] if metrics["val.loss"] < math.inf else math.inf
        if self.recipe.keep == "best" and loss < (math.inf if self.best is None else self.best.loss):
            self.best = Best(loss, *self._snapshot())

    def result(self) -> tuple[Network, State]:
        """Return the network and the optimizer's state as the recipe keeps them, on the CPU."""
        if self.best is not None:
            return self.best.network, self.best.state
        final = self.curve[-1].metrics["val.loss"] if self.curve else 0.0
        if not math.isfinite(final):
            when = "in every epoch" if self.recipe.keep == "best" else f"after epoch {self.epoch}"
            raise EvaluationFailed(
                f"training diverged: the validation loss is {final} {when}", hint=f"lr={self.recipe.lr / 10:g}"
            )
        return self._snapshot()

    def checkpoint(self) -> Checkpoint:
        """Return all that is needed to go on from here, copied to the CPU."""
        return Checkpoint(
            epoch=self.epoch,
            network=self.network.with_weights_of(self.module).to("cpu"),
            state=_on_cpu(state_of(self.module, self.optimizer)),
            recipe=repr(self.recipe),
            seed=self.seed,
            average=None if self.average is None else self.network.with_weights_of(self.average.module).to("cpu"),
            curve=tuple(self.curve),
            groups=tuple(_numbers(group) for group in self.optimizer.param_groups),
            scale=self.arithmetic.scale,
            best=self.best,
        )

    @property
    def shown(self) -> nn.Module:
        """The module that is measured and returned."""
        return self.module if self.average is None else self.average.module

    def _snapshot(self) -> tuple[Network, State]:
        state = state_of(self.module, self.optimizer)
        if self.average is not None:
            state = join_state(state, self.average.lags(self.module))
        return self.network.with_weights_of(self.shown).to("cpu"), _on_cpu(state)

    def _pass(self, data: Feed) -> tuple[float, Metrics]:
        """Make one pass over the training split; return the mean loss on the way, and how much of a graph was drawn."""
        self.module.train()
        order = torch.Generator().manual_seed(rng.derive(self.seed, "order", self.epoch))
        batches = data.batches(torch.randperm(len(data), generator=order), self.recipe.batch_size)
        steps = self.recipe.epochs * len(batches)
        total = torch.zeros((), dtype=torch.float64, device=data.y.device)
        drawn: Counter[str] = Counter()
        for number, batch in enumerate(batches):
            rate = self.recipe.learning_rate((self.epoch - 1) * len(batches) + number, steps)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            inputs = data.inputs(batch, rng.derive(self.seed, "neighbors", self.epoch, number))
            drawn.update(data.drawn(inputs))
            if self.augmentations:
                seed = rng.derive(self.seed, "augment", self.epoch, number)
                inputs = tuple(augment(self.augmentations, x, seed=seed) for x in inputs)
            self.optimizer.zero_grad(set_to_none=True)
            with watched(self.optimizer) as plain:
                outputs = self.arithmetic.outputs(*inputs, plain=plain)
            loss = self._loss(outputs, data, batch)
            tell(self.optimizer, outputs, loss, self.task.loss.name, data.counted(batch))
            self.arithmetic.step(loss, self.optimizer)
            self.held.restore()
            if self.average is not None:
                self.average.update(self.module)
            total += loss.detach() * len(batch)
        return float(total) / len(data), {name: float(count) for name, count in drawn.items()}

    def _loss(self, outputs: Tensor, data: Feed, batch: Tensor) -> Tensor:
        loss = self.task.loss(data.read(outputs, batch), data.y[batch])
        term = self.recipe.own_targets
        if term is None:
            return loss
        if not isinstance(data, WholeGraph) or not self.task.loss.classifies:
            raise SettingError(
                "self-training needs samples without a label",
                expected="a network that reads edges, on a task that classifies nodes",
                got=f"task {self.task.name!r}",
            )
        return loss + term.weight(self.epoch, self.recipe.epochs) * term(outputs, data.rows)


def _on_cpu(state: State) -> dict[str, dict[str, Tensor]]:
    return {label: {entry: value.cpu() for entry, value in entries.items()} for label, entries in state.items()}


def _numbers(group: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a parameter group that are numbers, or several of them."""
    return {
        key: value
        for key, value in group.items()
        if key != "params"
        and all(isinstance(one, int | float) for one in (value if isinstance(value, tuple) else (value,)))
    }


def predict(module: nn.Module, data: Split | Feed, task: Task) -> Metrics:
    """Return the metrics of the task's loss on a split, in eval mode; the module's mode is put back."""
    given = data if isinstance(data, Feed) else samples_of(data)
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            pieces = given.pieces(EVAL_BATCH)
            return task.loss.evaluate((given.outputs(module, one), given.y[one]) for one in pieces)
    finally:
        module.train(training)


def measure(network: Network, task: Task, split: str, *, device: torch.device | str = "cpu") -> Metrics:
    """Return the metrics of a network's predictions on a split of a task."""
    data = feed(network.graph, task, split, device, network.dtype)
    return predict(network.to(device).to_torch(), data, task)


@contextlib.contextmanager
def _isolated(device: torch.device) -> Iterator[None]:
    """Put the global random state back afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def _seed(seed: int, device: torch.device) -> None:
    torch.default_generator.manual_seed(seed)  # not torch.manual_seed, which seeds all devices
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
