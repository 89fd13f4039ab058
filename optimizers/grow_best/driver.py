"""Search, then grow: the best networks of one driver's search are where another driver goes on.

Generators propose networks of every shape and train each of them from nothing; growth keeps what was learnt, but goes
where its seed graph leads it. In one search, and on one bill, the first finds the seeds for the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Self

from archgraph.checks import check_whole
from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import Recipe
from archgraph.graph import Graph
from archgraph.net import Network
from archgraph.registry import DRIVERS
from archgraph.search import Driver, Session, Setting, default_settings, read_settings
from archgraph.search.spaces import SPACE, space_settings
from optimizers.grow_best.session import SearchThenGrow

USUAL = {"search": "random-search", "growth": "firefly"}
"""The two drivers on the command line, where none is named."""


@dataclass(frozen=True)
class GrowBest(Driver):
    """Search with one driver, then grow the best networks that it found with another one, from their trained weights.

    The search ends by itself, or when it has spent its share of the budget (of the limit that it comes nearest to).
    What it trained is ranked as a study does: the highest fidelity first, then the constraints, then the objectives;
    of networks with the same graph the best counts. The first of them is given to the growth, for which the training
    that it begins with is done already; what is left of the budget is divided evenly when several are grown, and what
    one does not need the next one has.

    Args:
        search: finds networks: any driver that asks for trainings that can be compared.
        growth: grows one; its own ``graph`` is put aside for the network that was found.
        share: of the budget that the search may spend. It has no meaning where no budget is given: there the search
            must end by itself.
        best: how many networks are grown, one after the other.
        lookahead: requests that are open at once, whatever the number of workers, where the driver at work does not
            say. When the share is spent those still come to their end; results depend on this number.
        tune: recipe of the trainings of the growth; that driver's own by default.

    Raises:
        SettingError: when a value cannot be used.
    """

    search: Driver
    growth: Driver
    share: float = 0.5
    best: int = 1
    lookahead: int = 4
    tune: Recipe | None = None

    def __post_init__(self) -> None:
        for name in ("search", "growth"):
            if not isinstance(getattr(self, name), Driver):
                raise SettingError(f"{name} is a driver", expected=f"such as {USUAL[name]}", got=getattr(self, name))
        if not _grows(type(self.growth)):
            raise SettingError(
                f"{type(self.growth).__name__} does not grow a network",
                expected="a driver with a field graph, such as FireflyDescent or SplittingDescent",
            )
        share = self.share
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0.0 < share < 1.0:
            raise SettingError("the search gets a share of the budget", expected="0 < share < 1", got=repr(share))
        for name in ("best", "lookahead"):
            check_whole(name, getattr(self, name), 1)
        if self.tune is not None and not any(one.name == "tune" for one in fields(self.growth)):  # type: ignore[arg-type]
            raise SettingError(f"{type(self.growth).__name__} trains by one recipe alone", hint="leave tune out")

    def begin(self, setting: Setting) -> Session:
        return SearchThenGrow(
            self.search, self.grown, setting, share=self.share, best=self.best, lookahead=self.lookahead
        )

    def grown(self, network: Network) -> Driver:
        """Return the driver that grows a network."""
        more: dict[str, Any] = {} if self.tune is None else {"tune": self.tune}
        return replace(self.growth, graph=network, **more)  # type: ignore[type-var]

    @classmethod
    def settings(cls) -> dict[str, Any]:
        """Return the settings of the driver, ``search`` and ``growth`` among them, and those of the usual ones."""
        theirs = DRIVERS.get(USUAL["growth"]).settings() | DRIVERS.get(USUAL["search"]).settings()
        own = USUAL | default_settings(cls)
        return own | {name: value for name, value in theirs.items() if name not in own}

    @classmethod
    def from_settings(cls, graph: Graph, settings: Mapping[str, str]) -> Self:
        """Build the driver around the two that ``search`` and ``growth`` name.

        A setting that is not its own goes to that of the two that has it, or to both; ``search.cost=...`` and
        ``growth.growth=...`` go to one.

        Raises:
            UnknownName: when there is no such driver or setting.
            SettingError: when a value cannot be used.
        """
        own = {name: text for name, text in settings.items() if name in default_settings(cls)}
        kinds = {role: _kind(role, settings.get(role, usual)) for role, usual in USUAL.items()}
        if kinds["search"] is cls or kinds["growth"] is cls:
            raise SettingError(f"{cls.__name__} would wrap itself", expected=f"such as search={USUAL['search']}")
        theirs: dict[str, dict[str, str]] = {role: {} for role in USUAL}
        known = {role: _known(kind, settings) for role, kind in kinds.items()}
        for name, text in settings.items():
            if name in own or name in USUAL:
                continue
            role, dot, rest = name.partition(".")
            takers = [role] if dot and role in USUAL else [one for one in USUAL if name in known[one]]
            if not takers:
                names = {*default_settings(cls), *USUAL, *known["search"], *known["growth"]}
                raise UnknownName.among(f"setting of {cls.__name__} on {_said(kinds)}", name, names)
            for taker in takers:
                theirs[taker].setdefault(rest if dot else name, text)
                if dot:
                    theirs[taker][rest] = text
        found = {role: kinds[role].from_settings(graph, theirs[role]) for role in USUAL}
        return cls(found["search"], found["growth"], **read_settings(cls, own))


def _grows(kind: type) -> bool:
    return is_dataclass(kind) and any(one.name == "graph" and one.init for one in fields(kind))


def _kind(role: str, name: str) -> type[Driver]:
    """Return the driver that is registered under a name.

    Raises:
        UnknownName: when there is none.
        SettingError: when what is registered is none, or does not grow and should.
    """
    kind = DRIVERS.get(name)
    if not (isinstance(kind, type) and issubclass(kind, Driver)):
        raise SettingError(f"what is registered as driver {name!r} is none", expected="a subclass of Driver", got=kind)
    if role == "growth" and not _grows(kind):
        raise SettingError(f"driver {name!r} does not grow a network", expected=f"such as growth={USUAL['growth']}")
    return kind


def _known(kind: type[Driver], settings: Mapping[str, str]) -> set[str]:
    """Return the names of the settings that a driver takes, those of the space that it is to search among them."""
    known = kind.settings()
    if SPACE not in known:
        return set(known)
    usual = str(known[SPACE])
    named = settings.get(f"search.{SPACE}", settings.get(SPACE, usual))
    return {*(set(known) - set(space_settings(usual))), *default_settings(kind), *space_settings(named)}


def _said(kinds: Mapping[str, type[Driver]]) -> str:
    return " and ".join(kind.__name__ for kind in kinds.values())
