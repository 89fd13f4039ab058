from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from archgraph.errors import SettingError
from archgraph.evaluation import Recipe
from archgraph.evaluation.self_training import SelfTraining

OUTPUTS = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELLED = torch.tensor([0, 4])
OTHERS = [1, 2, 3, 5, 6]


def test_pseudo_labels_are_the_likeliest_classes_of_the_others():
    rest = OUTPUTS[OTHERS]
    wanted = functional.cross_entropy(rest, rest.argmax(1))
    assert torch.allclose(SelfTraining()(OUTPUTS, LABELLED), wanted)


def test_entropy_is_that_of_the_others():
    p = OUTPUTS[OTHERS].softmax(1)
    assert torch.allclose(SelfTraining("entropy")(OUTPUTS, LABELLED), -(p * p.log()).sum(1).mean())


def test_only_what_is_sure_enough_counts():
    p = OUTPUTS[OTHERS].softmax(1).max(1).values
    limit = float(p.median())
    wanted = (-p.log())[p > limit].sum() / 5
    assert torch.allclose(SelfTraining("pseudo-label", 1.0, limit)(OUTPUTS, LABELLED), wanted)


def test_gradients_are_those_of_fixed_targets():
    outputs = OUTPUTS.clone().requires_grad_()
    SelfTraining()(outputs, LABELLED).backward()
    assert not outputs.grad[LABELLED].any()
    rest = OUTPUTS[OTHERS]
    wanted = (rest.softmax(1) - functional.one_hot(rest.argmax(1), 3)) / 5
    assert torch.allclose(outputs.grad[OTHERS], wanted)


def test_where_all_are_labelled_there_is_no_term():
    assert float(SelfTraining()(OUTPUTS, torch.arange(7))) == 0.0


def test_the_weight_grows_to_one():
    term = SelfTraining(power=3.0)
    assert term.weight(5, 10) == 0.125
    assert term.weight(10, 10) == 1.0
    assert SelfTraining(power=0.0).weight(1, 10) == 1.0


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("", None),
        ("pseudo-label", SelfTraining()),
        ("pseudo-label:2", SelfTraining("pseudo-label", 2.0)),
        ("entropy:0.5:0.8", SelfTraining("entropy", 0.5, 0.8)),
    ],
)
def test_a_recipe_says_it_as_text(text: str, term: SelfTraining | None):
    assert Recipe(self_training=text).own_targets == term


@pytest.mark.parametrize("text", ["labels", "pseudo-label:x", "pseudo-label:-1", "entropy:1:1", "entropy:1:0:0"])
def test_other_texts_are_refused_with_those_that_are_not(text: str):
    with pytest.raises(SettingError, match="self-training") as caught:
        Recipe(self_training=text)
    assert "pseudo-label:GAMMA or entropy:GAMMA" in str(caught.value)


@pytest.mark.parametrize("value", [None, 1.0, ("pseudo-label", 1)])
def test_a_recipe_without_text_is_refused(value: Any):
    with pytest.raises(SettingError, match="self_training") as caught:
        Recipe(self_training=value)
    assert "pseudo-label:GAMMA or entropy:GAMMA" in str(caught.value)
