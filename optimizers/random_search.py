"""Random search: the smallest driver, the one to read first.

A driver is a value that says how to search. It never trains: one that searches a space makes a suggester, which
proposes points of it, one after the other, until the budget is spent; the search trains them and tells what became of
them. This one does not listen.
"""

from __future__ import annotations

from dataclasses import dataclass

from archgraph.search import Setting
from archgraph.spaces import Space
from optimizers.proposing import History, Proposal, Proposer, Source


@dataclass(frozen=True)
class RandomSearch(Proposer):
    """Train independent samples of a space, each point once.

    Args:
        lookahead: None, as no candidate depends on another: workers need not wait.
    """

    lookahead: int | None = None

    def source(self, setting: Setting) -> Source:
        return Draws(self.space)


@dataclass(eq=False)
class Draws(Source):
    """Proposes draws from a space."""

    space: Space

    def propose(self, history: History) -> Proposal:
        return Proposal(self.space.draw(history.seed))
