"""A search with growth at its end, under way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from archgraph import rng
from archgraph.errors import ArchGraphError, SettingError
from archgraph.evaluation import Ledger, Origin, Report, Request, Train
from archgraph.net import Network
from archgraph.search import Driver, Session, Setting
from optimizers.grow_best.found import Found


class SearchThenGrow(Session):
    """A search, and the growths after it, as one session.

    Args:
        search: the driver that finds networks.
        grown: gives the driver that grows one.
        setting: of both.
        share: of the budget that the search may spend.
        best: how many networks are grown.
        lookahead: requests that are open at once, where the driver at work does not say.
    """

    def __init__(
        self,
        search: Driver,
        grown: Callable[[Network], Driver],
        setting: Setting,
        *,
        share: float,
        best: int,
        lookahead: int,
    ) -> None:
        self.grown, self.setting, self.share, self.best = grown, setting, share, best
        self.inner = self.search = search.begin(setting)
        self._usual = lookahead
        self.known: Found | None = None  # what the growth under way starts from
        self._found: list[Found] = []
        self._growing, self._number, self._done = False, 0, False
        self._open: list[tuple[Request, Request]] = []
        self._trainings, self._bill = 0, Ledger()
        self._reasons: list[str] = []

    @property
    def lookahead(self) -> int | None:  # type: ignore[override]
        return self._usual if self.inner.lookahead is None else self.inner.lookahead

    @property
    def done(self) -> bool:
        return self._done

    @property
    def findings(self) -> str:
        return self.search.findings

    def ask(self) -> Request | None:
        while not self._done:
            spent = self._spent()
            if spent or self.inner.done:
                if self._open:
                    return None  # they may be the best
                self._go_on(self.inner.reason or spent)
                continue
            request = self.inner.ask()
            if request is None:
                return None
            if self._answered(request):
                continue
            asked = self._from_found(request)
            self._trainings += isinstance(request, Train)
            self._open.append((asked, request))
            return asked
        return None

    def tell(self, request: Request, report: Report) -> None:
        place = next((place for place, (one, _) in enumerate(self._open) if one is request), None)
        if place is None:
            raise SettingError("this request was not asked, or was told before", hint="tell what ask() returned, once")
        inner = self._open.pop(place)[1]
        self._bill = self._bill + report.ledger
        if not self._growing and isinstance(request, Train):
            self._consider(request, report)
        self.inner.tell(inner, report)

    # ------------------------------------------------------------------ what to grow
    def _consider(self, request: Train, report: Report) -> None:
        """Keep a network that may be grown: of every graph the best, and the best graphs."""
        if not report.ok or report.network is None:
            return
        found = Found.of(request, report, self.setting.goal)
        if found is None:
            return
        graph = report.network.graph
        twin = next((one for one in self._found if one.network.graph == graph), None)
        kept = [one for one in self._found if one is not twin]
        kept.append(min(found, twin, key=lambda one: one.rank) if twin is not None else found)
        self._found = sorted(kept, key=lambda one: one.rank)[: self.best]  # stable: the first of equals

    # ------------------------------------------------------------------ from one phase to the next
    def _spent(self) -> str:
        """Return which limit the phase has reached, or an empty text; the search itself sees to the last one's."""
        share, count = self.share, max(1, len(self._found))
        if self._growing:
            share += (1.0 - share) * self._number / count
        if self._growing and self._number == count:
            return ""
        return self.setting.budget.part(share).spent(self._trainings, self._bill)

    def _go_on(self, reason: str) -> None:
        """Begin the next growth; where there is none, end."""
        self._reasons.append(f"{f'growth {self._number}' if self._growing else 'search'}: {reason}")
        if not self._growing and not self._found:
            self._reasons.append("nothing was trained that can be grown")
        self._growing = True
        while self._number < len(self._found):
            self.known, self._number = self._found[self._number], self._number + 1
            seed = rng.derive(self.setting.seed, "grown", self._number)
            try:
                self.inner = self.grown(self.known.network).begin(replace(self.setting, seed=seed))
                return
            except ArchGraphError as error:  # its ceiling is below what was found, say
                self._reasons.append(f"growth {self._number}: {error.what}")
        self._done, self.reason = True, "; ".join(self._reasons)

    # ------------------------------------------------------------------ the first training of a growth
    def _is_first(self, request: Request) -> bool:
        """Whether a growth asks to train what it was given, as it was given."""
        if not isinstance(request, Train) or self.known is None or request.origin.parent or request.state:
            return False
        return isinstance(request.subject, Network) and request.subject.key == self.known.network.key

    def _answered(self, request: Request) -> bool:
        """Tell a growth what is known already: its network is trained by all of the recipe that it asks for."""
        if not self._is_first(request) or self.known is None or not self.known.whole:
            return False
        assert isinstance(request, Train)
        if request.recipe != self.known.recipe or request.frozen or not request.fidelity.full:
            return False
        self.inner.tell(request, self.known.report)
        return True

    def _from_found(self, request: Request) -> Request:
        """Return a growth's first training with where its network comes from, where it is to be trained on."""
        if not self._is_first(request) or self.known is None:
            return request
        assert isinstance(request, Train)
        return replace(request, origin=Origin(self.known.network.key, note="the search's best, trained on"))
