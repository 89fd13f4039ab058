"""The training loop against one written by hand, bit for bit; determinism; what is kept; what diverges."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archgraph import Graph, Network, Recipe, Task, rng
from archgraph.errors import EvaluationFailed
from archgraph.evaluation import Epoch, measure, train
from archgraph.evaluation import trainer as loop
from archgraph.evaluation.feed import Samples
from archgraph.net import State
from archgraph.tasks import Loss, Split

CONVOLUTIONAL = Graph.parse(
    "x = Input((1, 5, 4))\nc = Conv2d(3, kernel_size=2, stride=(2, 1))(x)\nn = BatchNorm()(c)\nr = ReLU()(n)\n"
    "d = Dropout(0.3)(r)\nf = Flatten()(d)\ny = Linear(2)(f)\nreturn y"
)
PLAIN = Graph.parse(
    "x = Input((1, 5, 4))\nf = Flatten()(x)\na = Linear(3)(f)\nr = Tanh()(a)\ny = Linear(2)(r)\nreturn y"
)
DEEP = Graph.parse(str(PLAIN).replace("Tanh", "ReLU"))
TRAIN, VAL, TEST = 25, 11, 4


def _split(samples: int, generator: torch.Generator) -> Split:
    x = torch.randn(samples, 1, 5, 4, generator=generator)
    return Split(x, (x.mean(dim=(1, 2, 3)) + 0.1 * torch.randn(samples, generator=generator) > 0).long())


@pytest.fixture(scope="module")
def task() -> Task:
    generator = torch.Generator().manual_seed(0)
    splits = {"train": _split(TRAIN, generator), "val": _split(VAL, generator), "test": _split(TEST, generator)}
    return Task("sign", splits, Loss("cross-entropy"), (1, 5, 4), 2)


def by_hand(module: nn.Module, task: Task, optimizer: Any, epochs: int, batch_size: int, lr: float, seed: int) -> None:
    """What a PyTorch user would write."""
    x, y = task.splits["train"].x, task.splits["train"].y
    module.train()
    batches = [list(range(start, min(start + batch_size, len(x)))) for start in range(0, len(x), batch_size)]
    if len(batches[-1]) == 1:
        alone = batches.pop()
        batches[-1] += alone
    step = 0
    for epoch in range(1, epochs + 1):
        order = torch.Generator().manual_seed(rng.derive(seed, "order", epoch))
        torch.manual_seed(rng.derive(seed, "train", epoch))  # of dropout
        permutation = torch.randperm(len(x), generator=order)
        for batch in batches:
            for group in optimizer.param_groups:
                group["lr"] = 0.5 * lr * (1 + math.cos(math.pi * step / (epochs * len(batches))))
            optimizer.zero_grad()
            loss = F.cross_entropy(module(x[permutation[batch]]), y[permutation[batch]])
            loss.backward()
            optimizer.step()
            step += 1


OPTIMIZERS: dict[str, tuple[Recipe, Any]] = {
    "adam": (Recipe(lr=0.02), lambda ps: torch.optim.Adam(ps, lr=0.02)),
    "sgd": (
        Recipe(optimizer="sgd", lr=0.1, weight_decay=1e-2, options={"momentum": 0.9, "nesterov": True}),
        lambda ps: torch.optim.SGD(ps, lr=0.1, weight_decay=1e-2, momentum=0.9, nesterov=True),
    ),
    "adamw": (
        Recipe(optimizer="adamw", lr=0.02, weight_decay=0.1),
        lambda ps: torch.optim.AdamW(ps, lr=0.02, weight_decay=0.1),
    ),
}


@pytest.mark.parametrize("batch_size", [7, 8], ids=["last batch of four", "one sample left over"])
@pytest.mark.parametrize(("recipe", "optimizer"), OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_equals_a_loop_written_by_hand_bit_for_bit(task: Task, recipe: Recipe, optimizer: Any, batch_size: int) -> None:
    network = Network.init(CONVOLUTIONAL, seed=4)
    found = train(network, task, recipe.but(epochs=3, batch_size=batch_size), seed=5).network
    module = nn.Sequential(
        nn.Conv2d(1, 3, 2, stride=(2, 1)), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(18, 2)
    )
    places = {"c": "0", "n": "1", "y": "5"}
    state = {f"{places[key.partition('.')[0]]}.{key.partition('.')[2]}": one for key, one in network.weights.items()}
    module.load_state_dict({key: one.clone() for key, one in state.items()})
    with torch.random.fork_rng(devices=[]):
        by_hand(module, task, optimizer(module.parameters()), 3, batch_size, recipe.lr, seed=5)
    names = {place: node for node, place in places.items()}
    trained = module.state_dict()
    assert len(trained) == len(found.weights)
    for key, one in trained.items():
        node = names[key.partition(".")[0]]
        assert torch.equal(one, found.weights[f"{node}.{key.partition('.')[2]}"]), key
    assert not torch.equal(found.weights["c.weight"], network.weights["c.weight"])


def states() -> tuple[Any, ...]:
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]


def test_the_same_twice_and_global_randomness_untouched(task: Task) -> None:
    network, recipe = Network.init(CONVOLUTIONAL), Recipe(epochs=2, batch_size=8)
    before = states()
    first = train(network, task, recipe, seed=1)
    assert states() == before
    torch.manual_seed(12345)
    random.seed(1)
    second = train(network, task, recipe, seed=1)
    assert first.network == second.network
    assert first.network.key == second.network.key
    assert [point.metrics for point in first.curve] == [point.metrics for point in second.curve]
    assert _equal(first.state, second.state)
    assert train(network, task, recipe, seed=2).network != first.network


def _equal(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(
        one[label].keys() == other[label].keys()
        and all(torch.equal(value, other[label][name]) for name, value in one[label].items())
        for label in one
    )


def test_the_network_that_was_given_stays_as_it_was(task: Task) -> None:
    network = Network.init(CONVOLUTIONAL)
    key, copy = network.key, {name: tensor.clone() for name, tensor in network.weights.items()}
    train(network, task, Recipe(epochs=1), seed=0)
    assert all(torch.equal(copy[name], tensor) for name, tensor in network.weights.items())
    assert Network(network.graph, copy).key == key


def test_dropout_follows_the_seed(task: Task) -> None:
    """With one batch an epoch the order of samples changes sums at most: what differs is what is dropped."""
    network, recipe = Network.init(CONVOLUTIONAL), Recipe(epochs=1, batch_size=TRAIN, optimizer="sgd", lr=0.5)
    weights = [train(network, task, recipe, seed=seed).network.weights["y.weight"] for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1])
    assert float((weights[0] - weights[2]).abs().max()) > 1e-3


def test_no_epochs_change_nothing(task: Task) -> None:
    network = Network.init(PLAIN)
    state = {"a.bias": {"momentum_buffer": torch.ones(3)}}
    done = train(network, task, Recipe(epochs=0), seed=0, state=state)
    assert done.network == network
    assert done.state == state
    assert (done.curve, done.samples, done.evaluated) == ((), 0, 0)


def test_a_network_without_weights_is_returned(task: Task) -> None:
    graph = Graph.parse("x = Input((1, 5, 4))\nf = Flatten()(x)\nreturn f")
    done = train(Network.init(graph), task, Recipe(epochs=2), seed=0)
    assert done.curve == ()


# ------------------------------------------------------------------ state
def test_momentum_that_is_given_is_used(task: Task) -> None:
    """One step of SGD: w - lr (mu b + g); without the buffer w - lr g."""
    network = Network.init(PLAIN)
    recipe = Recipe(optimizer="sgd", lr=0.1, epochs=1, batch_size=TRAIN, schedule="constant", options={"momentum": 0.9})
    buffer = torch.arange(6.0).reshape(2, 3)
    cold = train(network, task, recipe, seed=0)
    warm = train(network, task, recipe, seed=0, state={"y.weight": {"momentum_buffer": buffer}})
    difference = cold.network.weights["y.weight"] - warm.network.weights["y.weight"]
    torch.testing.assert_close(difference, 0.1 * 0.9 * buffer, rtol=1e-5, atol=1e-6)
    assert torch.equal(cold.network.weights["a.weight"], warm.network.weights["a.weight"])
    gradient = (network.weights["y.weight"] - cold.network.weights["y.weight"]) / 0.1
    torch.testing.assert_close(warm.state["y.weight"]["momentum_buffer"], 0.9 * buffer + gradient, rtol=1e-4, atol=1e-5)


def test_one_training_is_two_with_the_state_carried(task: Task) -> None:
    """With one batch an epoch and a constant rate the order does not matter, so 3 epochs are 1 and then 2."""
    recipe = Recipe(lr=0.01, epochs=3, batch_size=TRAIN, schedule="constant")
    start = Network.init(PLAIN, dtype=torch.float64)
    whole = train(start, task, recipe, seed=0)
    half = train(start, task, recipe.but(epochs=1), seed=1)
    rest = train(half.network, task, recipe.but(epochs=2), seed=2, state=half.state)
    fresh = train(half.network, task, recipe.but(epochs=2), seed=2)
    for name, tensor in whole.network.weights.items():
        torch.testing.assert_close(rest.network.weights[name], tensor, rtol=1e-9, atol=1e-11)
        assert float((fresh.network.weights[name] - tensor).abs().max()) > 1e-5
    assert float(rest.state["a.weight"]["step"]) == 3.0


# ------------------------------------------------------------------ what is kept
def test_keep_best_returns_the_epoch_of_the_lowest_validation_loss(task: Task) -> None:
    network, recipe = Network.init(PLAIN), Recipe(lr=0.5, epochs=8, batch_size=5, schedule="constant")
    last = train(network, task, recipe, seed=0)
    best = train(network, task, recipe.but(keep="best"), seed=0)
    losses = [point.metrics["val.loss"] for point in best.curve]
    assert losses == [point.metrics["val.loss"] for point in last.curve]
    assert losses[-1] > min(losses)  # else the test shows nothing
    assert measure(best.network, task, "val")["loss"] == min(losses)
    assert measure(last.network, task, "val")["loss"] == losses[-1]
    steps = TRAIN // 5 * (1 + losses.index(min(losses)))
    assert float(best.state["a.weight"]["step"]) == steps
    assert best.samples == last.samples == 8 * TRAIN


def test_keep_best_passes_over_losses_that_are_no_numbers(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([math.nan, 2.0, math.nan, 1.0, 3.0])
    monkeypatch.setattr(loop, "predict", lambda *given: {"loss": next(losses)})
    network, recipe = Network.init(PLAIN), Recipe(epochs=5, batch_size=5, keep="best")
    best = train(network, task, recipe, seed=0)
    assert float(best.state["a.weight"]["step"]) == 4 * TRAIN // 5


# ------------------------------------------------------------------ metrics
def test_the_curve_and_the_watch(task: Task) -> None:
    seen: list[tuple[Epoch, int]] = []
    network = Network.init(CONVOLUTIONAL)
    done = train(network, task, Recipe(epochs=3), seed=0, watch=lambda epoch, epochs: seen.append((epoch, epochs)))
    assert [point.epoch for point in done.curve] == [1, 2, 3]
    assert [epoch for epoch, _ in seen] == list(done.curve)
    assert {epochs for _, epochs in seen} == {3}
    assert set(done.curve[0].metrics) == {"train.running-loss", "val.loss", "val.error", "val.accuracy"}
    final = measure(done.network, task, "val")
    assert {f"val.{name}": value for name, value in final.items()} == {
        name: value for name, value in done.curve[-1].metrics.items() if name.startswith("val.")
    }
    assert (done.samples, done.evaluated) == (3 * TRAIN, 3 * VAL)


def test_the_running_loss_is_the_mean_of_what_was_trained_on(task: Task) -> None:
    recipe = Recipe(optimizer="sgd", lr=1e-30, epochs=1, batch_size=7)
    done = train(Network.init(PLAIN), task, recipe, seed=0)
    expected = measure(Network.init(PLAIN), task, "train")["loss"]
    assert done.curve[0].metrics["train.running-loss"] == pytest.approx(expected, rel=1e-6)


def test_measures_are_those_of_eval_mode(task: Task) -> None:
    network = Network.init(CONVOLUTIONAL, seed=3)
    module = network.to_torch().eval()
    for split in ("train", "val", "test"):
        x, y = task.splits[split].x, task.splits[split].y
        logits = module(x).detach()
        found = measure(network, task, split)
        assert found["loss"] == pytest.approx(float(F.cross_entropy(logits, y)), rel=1e-6)
        assert found["accuracy"] == pytest.approx(float((logits.argmax(1) == y).double().mean()), rel=1e-12)
        assert found["error"] == pytest.approx(1 - found["accuracy"], abs=1e-12)


def test_measures_do_not_depend_on_batches_and_leave_the_mode(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network.init(CONVOLUTIONAL)
    whole = measure(network, task, "train")
    monkeypatch.setattr(loop, "EVAL_BATCH", 6)
    parts = measure(network, task, "train")
    assert parts == pytest.approx(whole, rel=1e-6)
    module = network.to_torch()
    for mode in (True, False):
        module.train(mode)
        loop.predict(module, task.splits["val"], task)
        assert module.training is mode


# ------------------------------------------------------------------ types and shapes
def test_float64_networks_train_in_float64(task: Task) -> None:
    network = Network.init(CONVOLUTIONAL, dtype=torch.float64)
    done = train(network, task, Recipe(epochs=1), seed=0)
    assert done.network.dtype == torch.float64
    assert done.state["c.weight"]["exp_avg"].dtype == torch.float64
    assert done.network.weights["n.num_batches_tracked"].dtype == torch.int64


def test_a_regression_in_another_type_than_its_data() -> None:
    x = torch.linspace(-1, 1, 30, dtype=torch.float32).reshape(30, 1)
    task = Task.from_tensors("line", x, 2 * x, loss="mse")
    network = Network.init(Graph.parse("x = Input((1,))\ny = Linear(1)(x)\nreturn y"), dtype=torch.float64)
    done = train(network, task, Recipe(optimizer="sgd", lr=0.5, epochs=100), seed=0)
    assert float(done.network.weights["y.weight"]) == pytest.approx(2.0, abs=1e-3)


@pytest.mark.parametrize("size", [1, 2, 3, 8, 12, 24, 25, 100])
def test_batches_cover_every_sample_once_and_none_is_alone(size: int) -> None:
    parts = Samples(torch.zeros(25, 1), torch.zeros(25)).batches(torch.arange(25), size)
    assert torch.equal(torch.cat(parts), torch.arange(25))
    assert all(len(part) >= min(size, 2) for part in parts)
    assert all(len(part) in (size, size + 1) for part in parts[:-1])


def test_batches_are_indexed_and_nothing_is_loaded(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data loader, and no copy of data or of its indices to a device inside an epoch."""
    monkeypatch.setattr(torch.utils.data, "DataLoader", None)
    moved: list[tuple[int, ...]] = []
    to = Tensor.to
    monkeypatch.setattr(Tensor, "to", lambda self, *given, **more: moved.append(self.shape) or to(self, *given, **more))
    train(Network.init(PLAIN), task, Recipe(epochs=1, batch_size=5), seed=0)
    once = len([shape for shape in moved if shape and shape[0] in (5, TRAIN, VAL)])
    moved.clear()
    train(Network.init(PLAIN), task, Recipe(epochs=4, batch_size=5), seed=0)
    assert len([shape for shape in moved if shape and shape[0] in (5, TRAIN, VAL)]) == once + 3  # an order an epoch


# ------------------------------------------------------------------ divergence
def test_divergence_stops_the_training_with_its_reason(task: Task) -> None:
    seen: list[int] = []
    recipe = Recipe(optimizer="sgd", lr=1e30, epochs=20, batch_size=5)
    with pytest.raises(EvaluationFailed, match=r"training diverged: the loss is (nan|inf) in epoch \d"):
        train(Network.init(DEEP), task, recipe, seed=0, watch=lambda epoch, _: seen.append(epoch.epoch))
    assert len(seen) < 20
    assert torch.is_grad_enabled()


def test_divergence_names_a_smaller_rate(task: Task) -> None:
    with pytest.raises(EvaluationFailed) as caught:
        train(Network.init(DEEP), task, Recipe(optimizer="sgd", lr=1e30, epochs=20, batch_size=5), seed=0)
    assert caught.value.hint == "lr=1e+29"


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_result_without_a_finite_validation_loss_is_a_failure(
    task: Task, monkeypatch: pytest.MonkeyPatch, broken: float
) -> None:
    """The last steps may break a network though every training loss on the way was finite."""
    network, recipe = Network.init(PLAIN), Recipe(epochs=3, batch_size=5)
    for losses, keep, message in (
        ([1.0, 2.0, broken], "last", f"training diverged: the validation loss is {broken} after epoch 3"),
        ([broken] * 3, "best", f"training diverged: the validation loss is {broken} in every epoch"),
        ([broken, broken, 1.0], "last", ""),
        ([broken, 1.0, broken], "best", ""),
    ):
        given = iter(losses)
        monkeypatch.setattr(loop, "predict", lambda *_, given=given: {"loss": next(given)})
        if message:
            with pytest.raises(EvaluationFailed, match=message):
                train(network, task, recipe.but(keep=keep), seed=0)
        else:
            assert len(train(network, task, recipe.but(keep=keep), seed=0).curve) == 3
