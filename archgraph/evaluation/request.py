"""What can be asked of the backend. Requests are values; equal ones have equal answers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from archgraph.errors import SettingError
from archgraph.evaluation.fidelity import FULL, Fidelity
from archgraph.evaluation.held import Frozen, frozen_units
from archgraph.evaluation.recipe import Recipe
from archgraph.graph import Edit, Graph
from archgraph.metrics import Conditions
from archgraph.net import Network, State, made_units

Subject = Graph | Network


@dataclass(frozen=True)
class Origin:
    """Where a candidate comes from; told to the study, with no influence on the evaluation.

    Args:
        parent: key of the network it was made from (:attr:`Network.key`), empty for a seed.
        moves: the moves that made it, as text, in order.
        stage: how many rounds of growth came before.
        predicted: change of the training loss that the driver's criterion predicted.
        measured: change of the training loss right after the moves, before training.
        note: anything else worth a column, as text.
        values: the named parameters of the space that it was drawn from.
    """

    parent: str = ""
    moves: tuple[str, ...] = ()
    stage: int = 0
    predicted: float | None = None
    measured: float | None = None
    note: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Train:
    """Train a network by a recipe and report how good it became.

    Args:
        subject: a network, or a graph whose weights are drawn from ``seed``.
        recipe: how to train; the search's own by default.
        seed: of initial weights, order of samples and dropout.
        state: optimizer state to start from, as :func:`archgraph.net.inherit_state` carries it.
        origin: lineage for the study.
        fidelity: how much of the recipe it gets; all by default. A training goes on from where another one of the same
            search, equal but for fewer epochs, has stopped; only the new epochs are paid for.
        frozen: units whose rows of every tensor stay the same bits, by node, as pairs or a mapping.
    """

    subject: Subject
    recipe: Recipe = field(default_factory=Recipe)
    seed: int = 0
    state: State | None = None
    origin: Origin = field(default_factory=Origin)
    fidelity: Fidelity = FULL
    frozen: Frozen | Mapping[str, Sequence[int]] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "frozen", frozen_units(self.frozen))

    @cached_property
    def key(self) -> str:
        """Hash of all that the answer depends on, but for the task."""
        given = self.fidelity.within(self.recipe.epochs)
        return _digest("train", *self._beginning, *(() if given.full else (given,)))

    @cached_property
    def course(self) -> str:
        """Hash of all that the training depends on, but for the task and the epoch after which it stops."""
        return _digest("course", *self._beginning, self.fidelity.data)

    @cached_property
    def _beginning(self) -> tuple[object, ...]:
        held = (self.frozen,) if self.frozen else ()
        return _subject(self.subject), self.recipe, self.seed, _state(self.state), *held


@dataclass(frozen=True, eq=False)
class Score:
    """Score sites of a network by a criterion.

    Args:
        network: the network, scored in eval mode.
        criterion: name of the criterion, ``"splitting"``.
        sites: nodes to score; all that can be by default.
        samples: how many training samples to use; all by default.
        seed: which samples, when not all.
        options: settings of the criterion.

    Raises:
        SettingError: when ``samples`` is no positive number.
    """

    network: Network
    criterion: str = "splitting"
    sites: tuple[str, ...] | None = None
    samples: int | None = None
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.sites is not None:
            object.__setattr__(self, "sites", (self.sites,) if isinstance(self.sites, str) else tuple(self.sites))
        count = self.samples
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise SettingError("samples must be a positive whole number, or None for all", got=repr(count))

    @cached_property
    def key(self) -> str:
        """Hash of all that the answer depends on, but for the task."""
        options = tuple(sorted(self.options.items()))
        return _digest("score", self.network.key, self.criterion, self.sites, self.samples, self.seed, options)


@dataclass(frozen=True, eq=False)
class Calibrate:
    """Estimate running statistics of batch norm from training samples; the report has the network with them.

    Args:
        network: the network; nothing else of it changes.
        units: of which units, by the batch norm that owns the statistics, as pairs or a mapping.
        samples: how many training samples to use; all by default.
        batch_size: samples in a batch.
        seed: which samples, when not all, and of dropout.

    Raises:
        SettingError: when ``samples`` or ``batch_size`` is less than two, which have no variance.
    """

    network: Network
    units: tuple[tuple[str, tuple[int, ...]], ...] | Mapping[str, Sequence[int]]
    samples: int | None = None
    batch_size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        pairs = sorted(dict(self.units).items())
        object.__setattr__(self, "units", tuple((name, tuple(chosen)) for name, chosen in pairs))
        for name in ("samples", "batch_size"):
            count = getattr(self, name)
            if (count is not None or name == "batch_size") and (
                isinstance(count, bool) or not isinstance(count, int) or count < 2
            ):
                raise SettingError(f"{name} must be a whole number of at least 2", got=repr(count))

    @classmethod
    def after(cls, network: Network, edits: Edit | Sequence[Edit], **settings: Any) -> Self:
        """Return the request for the units that edits made: fresh ones, and copies that moved.

        Args:
            network: after the edits.
            edits: what led to it, one rewrite or several in order; see :func:`archgraph.net.calibrate`.
            **settings: ``samples``, ``batch_size``, ``seed``.

        Raises:
            GraphError: when the edits do not follow one another.
        """
        return cls(network, made_units(edits), **settings)

    @cached_property
    def key(self) -> str:
        """Hash of all that the answer depends on, but for the task."""
        return _digest("calibrate", self.network.key, self.units, self.samples, self.batch_size, self.seed)


@dataclass(frozen=True, eq=False)
class Measure:
    """Measure a network without training it.

    Args:
        network: the network.
        split: the split on which its predictions are measured: ``"train"`` or ``"val"``; ``"test"`` is for final
            reports alone and refused to drivers.
        metrics: further metrics by name, of the graph or of the network on a device: ``"memory"``, ``"latency"``.
        conditions: under which these are found, but for the device, which is the evaluator's. Times are measured once:
            the answer to an equal request has the same ones.
    """

    network: Network
    split: str = "val"
    metrics: tuple[str, ...] = ()
    conditions: Conditions = field(default_factory=Conditions)

    def __post_init__(self) -> None:
        object.__setattr__(self, "metrics", (self.metrics,) if isinstance(self.metrics, str) else tuple(self.metrics))

    @cached_property
    def key(self) -> str:
        """Hash of all that the answer depends on, but for the task."""
        return _digest("measure", self.network.key, self.split, self.metrics, self.conditions)


Request = Train | Score | Calibrate | Measure


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _subject(subject: Subject) -> tuple[str, str]:
    return ("network", subject.key) if isinstance(subject, Network) else ("graph", str(subject))


def _state(state: State | None) -> str:
    if not state:
        return ""
    digest = hashlib.sha256()
    for label, entries in sorted(state.items()):
        for name, tensor in sorted(entries.items()):
            digest.update(f"{label} {name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).numpy().tobytes())
    return digest.hexdigest()
