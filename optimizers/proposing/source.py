"""Suggesters: what is different about the drivers that search a space."""

from __future__ import annotations

from abc import ABC, abstractmethod

from optimizers.proposing.history import History
from optimizers.proposing.proposal import Proposal


class Source(ABC):
    """A suggester of one run.

    It may keep what it has worked out, but what it proposes must follow from the histories it was shown: a search that
    carries on shows them to a fresh one again, in the same order.
    """

    reason: str = ""
    """Why it has nothing more to propose, as a sentence for people."""

    @abstractmethod
    def propose(self, history: History) -> Proposal | None:
        """Return a point to train, or None when there is nothing more to propose.

        With proposals pending None means that one of them must be told first. After a refusal it is asked again, with
        the next number and another seed.
        """

    def summary(self, history: History) -> str:
        """Return what was learnt besides the best candidate, for people: the session's ``findings``."""
        return ""
