"""The family of errors: each says what is wrong, what was expected, what was found, and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ArchGraphError(Exception):
    """Root of all errors raised on purpose; the command line turns it into exit code 2.

    Args:
        what: what is wrong, a full sentence without a final full stop.
        expected: what would have been right.
        got: what was found instead.
        hint: the way out.
        place: where it happened, for example lines of the graph text with a caret.
    """

    def __init__(
        self,
        what: str,
        *,
        expected: object = None,
        got: object = None,
        hint: str | None = None,
        place: str | None = None,
    ) -> None:
        self.what, self.expected, self.got, self.hint, self.place = what, expected, got, hint, place
        lines = [what]
        if expected is not None:
            lines.append(f"  expected: {expected}")
        if got is not None:
            lines.append(f"  got:      {got}")
        if hint is not None:
            lines.append(f"  try:      {hint}")
        if place is not None:
            lines.append("\n".join("  | " + line for line in place.splitlines()))
        super().__init__("\n".join(lines))

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the repr

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.expected, self.got, self.hint, self.place))


def _rebuild(
    kind: type[ArchGraphError],
    what: str,
    expected: object,
    got: object,
    hint: str | None,
    place: str | None,
) -> ArchGraphError:
    return kind(what, expected=expected, got=got, hint=hint, place=place)


class GraphError(ArchGraphError, ValueError):
    """A graph would not be valid: a cycle, a missing input, a wrong arity, a duplicate name."""


class ShapeError(GraphError):
    """An op cannot take the shapes that reach it."""


class ParseError(GraphError):
    """A graph text does not follow the grammar; the place names line and column."""


class MoveRefused(ArchGraphError, ValueError):
    """A move is not legal at this site; names the node in the way and why."""


class SettingError(ArchGraphError, ValueError):
    """An option, recipe, budget or argument has a value that cannot be used."""


class SpaceError(SettingError):
    """A search space cannot be used, or has no graph at some values of its parameters; the values are shown."""


class Unsatisfied(SpaceError):
    """Values of parameters break a requirement of their space: no point of it, though every value is in its domain."""


class UnknownName(ArchGraphError, KeyError):
    """A name is not registered or not part of the graph."""

    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str]) -> UnknownName:
        """Build the error for a ``name`` missing among ``known``, with the nearest names suggested.

        >>> print(UnknownName.among("task", "digit", ["digits", "toy-rbf"]))
        unknown task 'digit'
          expected: one of digits, toy-rbf
          try:      did you mean 'digits'?
        """
        names = sorted(known)
        spelled = {one.lower(): one for one in reversed(names)}
        near = [spelled[one] for one in difflib.get_close_matches(name.lower(), spelled, n=1, cutoff=0.6)]
        shown = ", ".join(names[:30]) + (f", ... ({len(names)} in all)" if len(names) > 30 else "")
        return cls(
            f"unknown {kind} {name!r}",
            expected=f"one of {shown}" if names else f"no {kind} is known",
            hint=f"did you mean {near[0]!r}?" if near else None,
        )


class DataError(ArchGraphError, ValueError):
    """Data are missing, malformed or do not fit the network."""


class StorageError(ArchGraphError, OSError):
    """A storage, artifact or output folder cannot be opened, read or written."""


class EvaluationFailed(ArchGraphError, RuntimeError):
    """One evaluation failed (divergence, out of memory, an exception); the search goes on."""


class ExportError(ArchGraphError, RuntimeError):
    """A network cannot be written in an export format, or what was written does not compute what the network does."""
