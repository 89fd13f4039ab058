"""The only training loop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from archgraph import rng
from archgraph.errors import EvaluationFailed
from archgraph.evaluation.recipe import Recipe
from archgraph.evaluation.report import Epoch, Metrics
from archgraph.net import Network, State, load_state, state_of
from archgraph.tasks import Split, Task

EVAL_BATCH = 1024
"""Samples in a batch when predictions are measured."""

Watch = Callable[[Epoch, int], None]
"""Called after every epoch with its metrics and the number of epochs in all."""


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
) -> Trained:
    """Train a network; same arguments on the same machine kind give bit-identical weights.

    Data are batched by indexing tensors that lie on the device. The global random state is left as it was.

    Args:
        network: where to start.
        task: the data and the loss.
        recipe: how to train.
        seed: of the order of samples and of dropout.
        state: optimizer state to start from.
        device: where to train.
        watch: called after every epoch.

    Returns:
        The trained network and the optimizer's state, on the CPU; with ``keep="best"`` as they were after that epoch.

    Raises:
        EvaluationFailed: when the loss stops being finite.
    """
    start = network.to(device)
    module = start.to_torch()
    data = {name: _cast(task.splits[name].to(device), start.dtype) for name in ("train", "val")}
    if recipe.epochs == 0 or not any(parameter.requires_grad for parameter in module.parameters()):
        return Trained(network, state or {}, (), 0, 0)
    optimizer = recipe.build(module)
    if state:
        load_state(module, optimizer, state)
    curve: list[Epoch] = []
    best: tuple[float, Network, State] | None = None
    with _isolated(rng.derive(seed, "train"), device):
        order = torch.Generator().manual_seed(rng.derive(seed, "order"))
        for epoch in range(1, recipe.epochs + 1):
            mean = _epoch(module, optimizer, data["train"], task, recipe, epoch, order)
            metrics = {"train.running-loss": mean}
            metrics |= {f"val.{name}": value for name, value in predict(module, data["val"], task).items()}
            curve.append(Epoch(epoch, metrics))
            loss = metrics["val.loss"] if metrics["val.loss"] < float("inf") else float("inf")
            if recipe.keep == "best" and (best is None or loss < best[0]):
                best = (loss, *_snapshot(network, module, optimizer))
            if watch is not None:
                watch(curve[-1], recipe.epochs)
    result, moments = best[1:] if best is not None else _snapshot(network, module, optimizer)
    return Trained(
        result,
        moments,
        tuple(curve),
        samples=recipe.epochs * len(data["train"]),
        evaluated=recipe.epochs * len(data["val"]),
    )


def _snapshot(network: Network, module: fx.GraphModule, optimizer: torch.optim.Optimizer) -> tuple[Network, State]:
    """Return weights and optimizer state as they are now, on the CPU."""
    state = {
        label: {name: value.cpu() for name, value in entries.items()}
        for label, entries in state_of(module, optimizer).items()
    }
    return network.with_weights_of(module).to("cpu"), state


def _epoch(
    module: fx.GraphModule,
    optimizer: torch.optim.Optimizer,
    data: Split,
    task: Task,
    recipe: Recipe,
    epoch: int,
    order: torch.Generator,
) -> float:
    """Make one pass over the training split and return the mean loss on the way."""
    module.train()
    rows = torch.randperm(len(data), generator=order).to(data.x.device)
    batches = _batches(rows, recipe.batch_size)
    total = torch.zeros((), dtype=torch.float64, device=data.x.device)
    for number, batch in enumerate(batches):
        rate = recipe.learning_rate((epoch - 1) * len(batches) + number, recipe.epochs * len(batches))
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        loss = task.loss(module(data.x[batch]), data.y[batch])
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(batch)
    mean = float(total) / len(data)
    if not mean < float("inf"):
        raise EvaluationFailed(f"training diverged: the loss is {mean} in epoch {epoch}", hint="a smaller lr")
    return mean


def predict(module: fx.GraphModule, data: Split, task: Task) -> Metrics:
    """Return the metrics of the task's loss on a split, in eval mode; the module's mode is put back."""
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            pairs = zip(data.x.split(EVAL_BATCH), data.y.split(EVAL_BATCH), strict=True)
            return task.loss.evaluate((module(x), y) for x, y in pairs)
    finally:
        module.train(training)


def measure(network: Network, task: Task, split: str, *, device: torch.device | str = "cpu") -> Metrics:
    """Return the metrics of a network's predictions on a split of a task."""
    return predict(network.to(device).to_torch(), _cast(task.splits[split].to(device), network.dtype), task)


def _batches(rows: Tensor, size: int) -> list[Tensor]:
    """Cut into batches; a single sample left over joins the last batch, for batch norm needs two."""
    parts = list(rows.split(size))
    if size > 1 and len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def _cast(data: Split, dtype: torch.dtype) -> Split:
    y = data.y.to(dtype) if data.y.is_floating_point() else data.y
    return Split(data.x.to(dtype), y)


@contextlib.contextmanager
def _isolated(seed: int, device: torch.device | str) -> Iterator[None]:
    cuda = torch.device(device).type == "cuda"
    with torch.random.fork_rng(devices=[torch.device(device)] if cuda else []):
        torch.default_generator.manual_seed(seed)  # not torch.manual_seed, which seeds all devices
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
