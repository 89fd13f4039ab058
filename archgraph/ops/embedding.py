"""Vectors looked up by number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from archgraph.errors import SettingError
from archgraph.graph import Absorb, Op, Shape, SizeRule, TensorSpec
from archgraph.ops.linear import count


@dataclass(frozen=True, repr=False)
class Embedding(Op):
    """One learned vector a word: integers ``(T,)``, each below ``num_embeddings``, to tokens ``(T, D)``.

    It reads an ``Input`` of dtype ``"int64"``; positions of the input are positions of the result.

    Args:
        num_embeddings: number of different words.
        embedding_dim: ``D``, its own units.
        padding_idx: word whose vector is not trained; None for none.
    """

    num_embeddings: int
    embedding_dim: int
    padding_idx: int | None = None

    def __post_init__(self) -> None:
        count(self.num_embeddings, "num_embeddings")
        count(self.embedding_dim, "embedding_dim")
        if self.padding_idx is not None and not 0 <= self.padding_idx < self.num_embeddings:
            raise SettingError(
                "padding_idx is no word", expected=f"0 to {self.num_embeddings - 1}", got=self.padding_idx
            )

    def infer(self, *inputs: Shape) -> Shape:
        return Shape((*inputs[0].dims, self.embedding_dim), -1)

    def rule(self, *inputs: Shape) -> SizeRule:
        return Absorb()

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        return {"weight": TensorSpec((self.num_embeddings, self.embedding_dim), (None, "out"))}

    def resized(self, units: int, *inputs: Shape) -> Op:
        return self._with(embedding_dim=units)

    def module(self, *inputs: Shape) -> nn.Module:
        return nn.Embedding(self.num_embeddings, self.embedding_dim, padding_idx=self.padding_idx)
