"""What the drivers that search a space are: values that make a suggester."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import Recipe
from archgraph.graph import Graph
from archgraph.search import Driver, Session, Setting, default_settings, read_settings
from archgraph.search.spaces import SPACE, find_space, space_settings
from archgraph.spaces import Space
from optimizers.proposing.session import Proposing
from optimizers.proposing.source import Source
from optimizers.proposing.start_files import read_start

START = "start"
"""Setting of drivers that begin with points that a user names."""


@dataclass(frozen=True)
class Proposer(Driver):
    """A driver over a space: what its suggester proposes is trained and told to it.

    Constraints of the study on what is known of a graph before it is trained (params, MACs, units, depth) are kept:
    what breaks one is not trained and not counted as a candidate.

    Args:
        space: where to search.
        candidates: how many trainings at most; None for as many as the budget allows.
        lookahead: trainings that are open at once, whatever the number of workers, which would be idle beyond it. A
            suggestion knows the reports on all but the last ``lookahead - 1``; results depend on this number. None, for
            as many as there are workers, where no suggestion depends on a report.
        replicates: how often one point of the space may be trained.

    Raises:
        SettingError: when a number cannot be used.
    """

    space: Space
    candidates: int | None = None
    lookahead: int | None = 1
    replicates: int = 1

    usual: ClassVar[str] = "widths"
    """The space on the command line, where none is named."""

    def __post_init__(self) -> None:
        if not isinstance(self.space, Space):
            raise SettingError(f"{type(self).__name__} searches a space", expected="a Space", got=repr(self.space))
        check_count("candidates", self.candidates, 0, missing=True)
        check_count("lookahead", self.lookahead, missing=type(self).lookahead is None)
        check_count("replicates", self.replicates)

    def source(self, setting: Setting) -> Source:
        """Return a fresh suggester of one run."""
        raise NotImplementedError

    def begin(self, setting: Setting) -> Session:
        return Proposing(
            self.source(setting),
            self.space,
            setting,
            candidates=self.candidates,
            lookahead=self.lookahead,
            replicates=self.replicates,
            recipe=lambda values: self.recipe(values, setting),
        )

    def recipe(self, values: Mapping[str, Any], setting: Setting) -> Recipe:
        """Return how the candidate at a point is trained: as the study says, unless a driver knows better."""
        return setting.recipe

    @classmethod
    def settings(cls) -> dict[str, Any]:
        """Return the settings of the driver, ``space`` among them, and those of the usual space."""
        return {SPACE: cls.usual} | default_settings(cls) | space_settings(cls.usual)

    @classmethod
    def from_settings(cls, graph: Graph, settings: Mapping[str, str]) -> Self:
        """Build the driver on a space that is made for a seed graph.

        ``space`` names it; what is no setting of the driver goes to the space. Where the driver begins with given
        points, ``start`` names files with them.

        Raises:
            UnknownName: when there is no such space or setting.
            SettingError: when a value cannot be used.
            StorageError: when a file cannot be read.
        """
        own, space = default_settings(cls), settings.get(SPACE, cls.usual)
        known = {SPACE: space} | own | space_settings(space)
        for name in settings:
            if name not in known:
                raise UnknownName.among(f"setting of {cls.__name__} on {space!r}", name, known)
        mine = {name: text for name, text in settings.items() if name in own and name != START}
        theirs = {name: text for name, text in settings.items() if name not in own and name != SPACE}
        start: dict[str, Any] = {START: read_start(settings[START])} if START in own and START in settings else {}
        return cls(find_space(space, graph, theirs), **read_settings(cls, mine), **start)


def check_count(name: str, value: Any, least: int = 1, *, missing: bool = False) -> None:
    """Raise unless a setting is a whole number of at least ``least``, or None where it may be missing.

    Raises:
        SettingError: when it is none.
    """
    if value is None and missing:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        expected = f"a whole number of at least {least}" + (", or None" if missing else "")
        raise SettingError(f"{name} cannot be this", expected=expected, got=repr(value))
