"""A search over a space under way: proposals become trainings, reports become a history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from archgraph import rng
from archgraph.errors import SettingError, SpaceError, Unsatisfied
from archgraph.evaluation import Origin, Recipe, Report, Request, Train
from archgraph.graph import Graph
from archgraph.search import Session, Setting
from archgraph.spaces import Space
from optimizers.proposing.admission import REPEATED, Admission, account
from optimizers.proposing.history import History, told
from optimizers.proposing.proposal import Proposal, Refused, Told
from optimizers.proposing.source import Source

PATIENCE = 500
"""A search ends when that many proposals one after the other were refused."""


class Proposing(Session):
    """Turns the proposals of a suggester into trainings.

    A point is not trained when its graph cannot be built, when it breaks a constraint on what is known of a graph
    before training, or when it was trained ``replicates`` times: the suggester is asked again. The suggester sees only
    what was told, in the order of asking, with at most ``lookahead - 1`` proposals open: so results are the same with
    any number of workers.

    Args:
        source: proposes.
        space: where.
        setting: of the search.
        candidates: how many trainings at most; None for as many as the budget allows.
        lookahead: requests that are open at once, whatever the number of workers, which would be idle beyond it; None
            for as many as there are workers, where no proposal depends on a report.
        replicates: how often one point may be trained.
        recipe: gives how the candidate at a point is trained; as the setting says by default.
    """

    def __init__(
        self,
        source: Source,
        space: Space,
        setting: Setting,
        *,
        candidates: int | None = None,
        lookahead: int | None = 1,
        replicates: int = 1,
        recipe: Callable[[Mapping[str, Any]], Recipe] | None = None,
    ) -> None:
        self.source, self.space, self.setting = source, space, setting
        self.candidates, self.lookahead, self.replicates = candidates, lookahead, replicates
        self._recipe = recipe or (lambda values: setting.recipe)
        self.refused: list[Refused] = []
        self._admission = Admission(setting.goal, setting.describe)
        self._told: list[Told] = []
        self._heard: list[Told] = []
        self._open: list[tuple[Train, Proposal, int]] = []
        self._known: dict[str, tuple[Proposal, int]] = {}
        self._times: Counter[str] = Counter()
        self._number = self._asked = self._in_a_row = 0
        self._done = False

    @property
    def done(self) -> bool:
        return self._done

    @property
    def findings(self) -> str:
        return self.source.summary(self.history)

    @property
    def history(self) -> History:
        """What the suggester is shown next."""
        seed = rng.derive(self.setting.seed, "proposal", self._number)
        pending = tuple(proposal for _, proposal, _ in self._open)
        return History(tuple(self._told), pending, self._number, seed, tuple(self.refused), tuple(self._heard))

    def ask(self) -> Request | None:
        if self.candidates is not None and self._asked >= self.candidates:
            self._end(f"all {self._asked} candidates are trained")
        while not self._done:
            proposal = self.source.propose(self.history)
            if proposal is None:
                if not self._open:
                    self._end(self.source.reason or "there is nothing more to propose")
                return None
            request = self._admitted(proposal)
            if request is not None:
                return request
            if self._in_a_row >= PATIENCE:
                self._give_up()
        return None

    def tell(self, request: Request, report: Report) -> None:
        place = next((place for place, (one, *_) in enumerate(self._open) if one is request), None)
        if place is None:
            raise SettingError("this request was not asked, or was told before", hint="tell what ask() returned, once")
        train, proposal, number = self._open.pop(place)
        assert isinstance(train.subject, Graph)
        self._told.append(told(proposal, number, train.subject, report, self.setting.goal))

    def hear(self, request: Request, report: Report) -> None:
        assert isinstance(request, Train)
        assert isinstance(request.subject, Graph)
        proposal, number = self._known[request.key]
        self._heard.append(told(proposal, number, request.subject, report, self.setting.goal))

    def _admitted(self, proposal: Proposal) -> Train | None:
        """Return the training of a proposal, or None when it is refused."""
        number = self._number
        self._number += 1
        seed = rng.derive(self.setting.seed, "candidate", number) if proposal.seed is None else proposal.seed
        try:
            values = self.space.canonical(proposal.values)
        except Unsatisfied as error:
            self._refuse(Refused(proposal, number, error.what))
            return None
        proposal = replace(proposal, values=values, seed=seed)
        key = self.space.key(values)
        if self._times[key] >= self.replicates:
            self._refuse(Refused(proposal, number, REPEATED))
            return None
        try:
            graph = self.space.build(values, seed)
        except SpaceError as error:
            self._refuse(Refused(proposal, number, "not built", detail=error.what))
            return None
        constraint, broken = self._admission.broken(graph)
        if constraint:
            self._refuse(Refused(proposal, number, constraint, broken))
            return None
        train = Train(graph, self._recipe(values), seed=seed, origin=Origin(note=proposal.note, values=values))
        self._open.append((train, proposal, number))
        self._known[train.key] = proposal, number
        self._times[key] += 1
        self._asked, self._in_a_row = self._asked + 1, 0
        return train

    def _refuse(self, refused: Refused) -> None:
        self.refused.append(refused)
        self._in_a_row += 1

    def _give_up(self) -> None:
        """End the search after too many refusals.

        Raises:
            SpaceError: when nothing has been trained at all.
        """
        why = f"the last {self._in_a_row} proposals were refused: {account(self.refused[-self._in_a_row :])}"
        if not self._asked:
            raise SpaceError(
                "no point of the space was found that may be trained",
                expected=", ".join(map(str, self.setting.goal.constraints)) or None,
                got=why,
                hint="loosen a bound, or search another space",
            )
        self._end(why)

    def _end(self, reason: str) -> None:
        if not self._done:
            self._done, self.reason = True, reason
