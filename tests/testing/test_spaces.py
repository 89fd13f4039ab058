"""The conformance check finds spaces that say one thing and do another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from archgraph import Graph, chain, ops
from archgraph.errors import SpaceError
from archgraph.spaces import Choice, Domain, Int, Space, Value
from archgraph.testing import check_space

COUNTER = itertools.count(1)


@dataclass(frozen=True)
class Honest(Space):
    """Two parameters that always matter."""

    own: Mapping[str, Domain] = field(default_factory=lambda: {"width": Int(2, 9), "bias": Choice((False, True))})

    @property
    def domains(self) -> Mapping[str, Domain]:
        return self.own

    def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
        point = self.canonical(values)
        return chain(ops.Input((3,)), ops.Linear(int(point["width"]), bias=bool(point["bias"])))


class OtherDraws(Honest):
    def draw(self, seed: int) -> dict[str, Value]:
        return super().draw(next(COUNTER))


class NotCanonical(Honest):
    def merge(self, values: dict[str, Value]) -> dict[str, Value]:
        return values | {"width": min(int(values["width"]) + 1, 9)}


class Vague(Honest):
    def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
        return super().build(dict(values), seed) if next(COUNTER) % 2 else super().build({"width": 2, "bias": True})


class SecretlyRandom(Honest):
    def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
        graph = super().build(values, seed)
        return chain(*(node.op for node in graph), ops.Linear(1 + seed % 5))


class OffTheCube(Honest):
    def encode(self, values: Mapping[str, Any]) -> np.ndarray:
        return super().encode(values) + 0.01


class Lossy(Honest):
    def decode(self, vector: Any) -> dict[str, Value]:
        return super().decode(np.zeros_like(vector))


class Stubborn(Honest):
    def mutate(self, values: Mapping[str, Any], seed: int) -> dict[str, Value]:
        return self.canonical(values)


class OwnNeighbour(Honest):
    def neighbours(self, values: Mapping[str, Any]) -> Iterator[dict[str, Value]]:
        yield self.canonical(values)


class Careless(Honest):
    def canonical(self, values: Mapping[str, Any]) -> dict[str, Value]:
        known = {name: value for name, value in values.items() if name in self.domains}
        return super().canonical(known)


class Silent(Honest):
    def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
        try:
            return super().build(values, seed)
        except SpaceError:
            raise SpaceError("something is wrong") from None


def test_an_honest_space_passes() -> None:
    check_space(Honest())


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (OtherDraws, "draws the same point for the same seed"),
        (NotCanonical, "draws canonical points"),
        (Vague, "builds the same graph again|a sample is what is built"),
        (SecretlyRandom, "is not random, so the seed does not matter"),
        (OffTheCube, "encodes into the unit cube|takes its levels only"),
        (Lossy, "decodes what it encoded"),
        (Stubborn, "mutates where there are neighbours"),
        (OwnNeighbour, "a point is no neighbour of its own"),
        (Careless, "refuses these values for 'no_parameter_is_called_so'"),
        (Silent, "the error names 'width'"),
    ],
)
def test_what_breaks_the_contract_is_found(kind: Callable[[], Space], what: str) -> None:
    with pytest.raises(AssertionError, match=what):
        check_space(kind())
