from __future__ import annotations

import pytest
import torch

from archgraph import Network
from archgraph.errors import SettingError
from archgraph.graph import Graph, Shape, resize
from archgraph.ops import Embedding

TEXT = """\
words = Input((5,), dtype='int64')
vectors = Embedding(11, embedding_dim=3)(words)
mean = Mean(1)(vectors)
out = Linear(2)(mean)
return out
"""


def test_words_become_tokens() -> None:
    graph = Graph.parse(TEXT)
    assert str(graph) == TEXT
    assert graph.shape("vectors") == Shape((5, 3), unit_axis=1)
    network = Network.init(graph, dtype=torch.float64)
    words = torch.randint(11, (4, 5), generator=torch.Generator().manual_seed(0))
    weights = network.weights
    wanted = weights["vectors.weight"][words].mean(1) @ weights["out.weight"].T + weights["out.bias"]
    assert (network.to_torch()(words) - wanted).abs().max() < 1e-14


def test_its_units_may_be_duplicated_and_those_of_the_input_may_not() -> None:
    graph = Graph.parse(TEXT)
    network = Network.init(graph, dtype=torch.float64)
    edit = resize(graph, "vectors", {2: (0.25, 0.75), 0: (0.5, 0.5)})
    assert edit.after.op("vectors") == Embedding(11, embedding_dim=5)
    assert edit.after.shape("words") == Shape((5,))
    words = torch.randint(11, (4, 5), generator=torch.Generator().manual_seed(0))
    assert (network.after(edit).to_torch()(words) - network.to_torch()(words)).abs().max() < 1e-14


def test_the_padding_word_is_not_trained() -> None:
    layer = Embedding(7, embedding_dim=3, padding_idx=2).module(Shape((5,)))
    layer(torch.arange(5)[None]).sum().backward()
    assert layer.weight.grad[:, 0].tolist() == [1, 1, 0, 1, 1, 0, 0]


def test_settings_that_cannot_be_used() -> None:
    with pytest.raises(SettingError, match="padding_idx is no word"):
        Embedding(7, embedding_dim=3, padding_idx=7)
    with pytest.raises(SettingError, match="num_embeddings must be a positive integer"):
        Embedding(0, embedding_dim=3)
