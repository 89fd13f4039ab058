"""Losses against slow loops, their reductions, their metrics over batches, and what they refuse."""

from __future__ import annotations

import math
import pickle

import pytest
import torch
from torch import Tensor

from archgraph.errors import DataError, SettingError, UnknownName
from archgraph.tasks import Loss

CROSS_ENTROPY, MSE, BINARY = Loss("cross-entropy"), Loss("mse"), Loss("binary-cross-entropy")
NAMES = ("cross-entropy", "mse", "binary-cross-entropy")


def case(name: str, positions: tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    outputs = torch.randn(11, 3, *positions, dtype=torch.float64, generator=generator)
    if name == "mse":
        return outputs, torch.randn(outputs.shape, dtype=torch.float64, generator=generator)
    if name == "binary-cross-entropy":
        return outputs, torch.rand(outputs.shape, dtype=torch.float64, generator=generator)
    return outputs, torch.randint(3, (11, *positions), generator=generator)


def slow(name: str, outputs: Tensor, targets: Tensor) -> list[float]:
    """The loss of each sample in plain Python."""
    losses = []
    for said, true in zip(outputs, targets, strict=True):
        if name == "mse":
            pairs = list(zip(said.flatten().tolist(), true.flatten().tolist(), strict=True))
            losses.append(sum((a - b) ** 2 for a, b in pairs) / len(pairs))
        elif name == "binary-cross-entropy":
            pairs = list(zip(said.flatten().tolist(), true.flatten().tolist(), strict=True))
            sure = [(1.0 / (1.0 + math.exp(-a)), p) for a, p in pairs]
            losses.append(-sum(p * math.log(q) + (1.0 - p) * math.log(1.0 - q) for q, p in sure) / len(pairs))
        else:
            columns = said.reshape(3, -1).T.tolist()
            labels = true.flatten().tolist()
            terms = [math.log(sum(map(math.exp, c))) - c[k] for c, k in zip(columns, labels, strict=True)]
            losses.append(sum(terms) / len(terms))
    return losses


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("positions", [(), (2,), (2, 5)], ids=["plain", "sequence", "map"])
def test_matches_the_slow_loss(name: str, positions: tuple[int, ...]) -> None:
    outputs, targets = case(name, positions)
    expected, loss = slow(name, outputs, targets), Loss(name)
    assert loss(outputs, targets, "none").tolist() == pytest.approx(expected, abs=1e-13)
    assert loss(outputs, targets, "sum").item() == pytest.approx(sum(expected), abs=1e-12)
    assert loss(outputs, targets).item() == pytest.approx(sum(expected) / 11, abs=1e-13)


def test_mse_of_scalars_per_sample() -> None:
    said, true = torch.tensor([1.0, 4.0]), torch.tensor([0.0, 2.0])
    assert MSE(said, true, "none").tolist() == [1.0, 4.0]


@pytest.mark.parametrize("loss", [MSE, BINARY], ids=lambda loss: loss.name)
def test_one_number_a_sample_fits_values_with_one_column(loss: Loss) -> None:
    outputs, targets = (tensor[:, 0] for tensor in case(loss.name))
    assert torch.equal(loss(outputs, targets[:, None]), loss(outputs, targets))
    found = loss.evaluate([(outputs[:4], targets[:4, None]), (outputs[4:], targets[4:])])
    assert found == loss.evaluate([(outputs[:4], targets[:4]), (outputs[4:], targets[4:])])
    assert found["loss"] == pytest.approx(sum(slow(loss.name, outputs, targets)) / 11, abs=1e-13)
    with pytest.raises(DataError, match="do not fit"):
        loss(outputs, targets[:, None, None])


def test_binary_cross_entropy_of_sure_logits_is_finite() -> None:
    assert BINARY(torch.tensor([1e4, -1e4]), torch.tensor([0.0, 0.0]), "none").tolist() == [1e4, 0.0]
    with pytest.raises(DataError, match="floating-point probabilities"):
        BINARY(torch.zeros(3), torch.tensor([0, 1, 0]))


@pytest.mark.parametrize("name", NAMES)
def test_gradients_and_curvature_are_right(name: str) -> None:
    outputs, targets = case(name)
    outputs = outputs[:5].requires_grad_()
    assert torch.autograd.gradcheck(lambda said: Loss(name)(said, targets[:5]), outputs)
    assert torch.autograd.gradgradcheck(lambda said: Loss(name)(said, targets[:5]), outputs)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sizes", [(11,), (2, 9), (1, 0, 3, 7)], ids=str)
def test_metrics_over_batches_are_those_of_the_whole(name: str, sizes: tuple[int, ...]) -> None:
    outputs, targets = case(name)
    loss = Loss(name)
    found = loss.evaluate(zip(outputs.split(sizes), targets.split(sizes), strict=True))
    assert tuple(found) == loss.metrics
    assert found["loss"] == pytest.approx(sum(slow(name, outputs, targets)) / 11, abs=1e-13)
    if name == "mse":
        spread = (targets - targets.mean(0)).square().mean()
        assert found["relative-mse"] == pytest.approx(found["loss"] / spread.item(), rel=1e-12)
    elif name == "binary-cross-entropy":
        pairs = list(zip(outputs.flatten().tolist(), targets.flatten().tolist(), strict=True))
        assert found["accuracy"] == sum((a > 0) == (p > 0.5) for a, p in pairs) / len(pairs)
        assert found["error"] == pytest.approx(1.0 - found["accuracy"], abs=1e-15)
    else:
        right = sum(int(a.argmax()) == int(b) for a, b in zip(outputs, targets, strict=True))
        assert found["accuracy"] == right / 11
        assert found["error"] == (11 - right) / 11


def test_evaluation_of_a_model_builds_no_graph() -> None:
    outputs, targets = case("mse")
    weight = torch.ones(3, dtype=torch.float64, requires_grad=True)
    seen = []

    def batches():  # type: ignore[no-untyped-def]
        seen.append(outputs * weight)
        yield seen[-1], targets

    MSE.evaluate(batches())
    assert not seen[0].requires_grad


def test_is_a_value() -> None:
    assert Loss.named("mse") == MSE == pickle.loads(pickle.dumps(MSE))
    assert Loss.named(CROSS_ENTROPY) is CROSS_ENTROPY
    assert len({Loss("mse"), MSE, CROSS_ENTROPY}) == 2
    assert eval(repr(MSE)) == MSE
    assert CROSS_ENTROPY.metrics == ("loss", "error", "accuracy")
    assert MSE.metrics == ("loss", "relative-mse")
    assert [loss.classifies for loss in (CROSS_ENTROPY, MSE, BINARY)] == [True, False, False]
    assert [loss.probabilities for loss in (CROSS_ENTROPY, MSE, BINARY)] == [False, False, True]


@pytest.mark.parametrize(
    ("name", "outputs", "targets"),
    [
        ("mse", (5, 1), (5,)),
        ("binary-cross-entropy", (5, 1), (5,)),
        ("mse", (5, 2), (4, 2)),
        ("cross-entropy", (5, 3), (4,)),
        ("cross-entropy", (5, 3), (5, 1)),
        ("cross-entropy", (5,), (5,)),
    ],
    ids=["broadcast", "broadcast-logits", "lengths", "label-lengths", "label-column", "no-classes"],
)
def test_refuses_shapes(name: str, outputs: tuple[int, ...], targets: tuple[int, ...]) -> None:
    loss = Loss(name)
    true = torch.zeros(targets, dtype=torch.int64 if loss.classifies else torch.float32)
    with pytest.raises(DataError, match="expected"):
        loss(torch.zeros(outputs), true)


def test_refuses_unknown_names() -> None:
    with pytest.raises(UnknownName, match="did you mean 'cross-entropy'"):
        Loss.named("crossentropy")
    with pytest.raises(SettingError, match="mean, sum or none"):
        MSE(*case("mse"), reduction="max")  # type: ignore[arg-type]


@pytest.mark.parametrize("loss", [CROSS_ENTROPY, MSE], ids=["cross-entropy", "mse"])
def test_no_samples_have_no_metrics(loss: Loss) -> None:
    with pytest.raises(DataError, match="no samples"):
        loss.evaluate([])


def test_more_metrics_are_measured_besides() -> None:
    ranked = Loss("cross-entropy", ("roc-auc",))
    assert (
        ranked.metrics == ("loss", "error", "accuracy", "roc-auc")
        and Loss("cross-entropy", ("error",)).metrics[3:] == ()
    )
    outputs = torch.tensor([[0.0, 1.0], [0.0, 3.0], [0.0, 2.0]])
    found = ranked.evaluate([(outputs[:2], torch.tensor([0, 1])), (outputs[2:], torch.tensor([1]))])
    assert found["roc-auc"] == 1.0 and found["accuracy"] == pytest.approx(2 / 3)
    assert pickle.loads(pickle.dumps(ranked)) == ranked != CROSS_ENTROPY
    with pytest.raises(UnknownName, match="roc-auc"):
        Loss("cross-entropy", ("roc_auc",))
