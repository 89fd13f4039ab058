"""All that a sequence of tasks has learned, each row stored once; the network of every task is assembled from it.

Learning a task adds a chapter and changes none: a row that a task has made is never written again, so the network of an
old task is the same bits whatever came after it, and so are its outputs. (They would not be if the old network were run
inside a larger one, padded with zeros: matrix products of another shape round differently.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from archgraph.continual.assembly import assembled, private_rows, shared_rows
from archgraph.continual.chapter import Chapter
from archgraph.continual.homes import Homes
from archgraph.continual.plan import Plan, Use
from archgraph.continual.trunk import resized
from archgraph.errors import ArchGraphError, DataError, SettingError, StorageError
from archgraph.files import write
from archgraph.graph import Graph
from archgraph.net import Network

LIBRARY_FILE = "library.json"
ROWS_FILE = "rows.safetensors"


@dataclass(frozen=True, eq=False, repr=False)
class Library:
    """What was learned so far.

    Args:
        chapters: one for each task, in the order of learning.

    >>> from archgraph import ops
    >>> from archgraph.graph import chain
    >>> trunk = chain(ops.Input((3,)), ops.Linear(2), ops.ReLU(), ops.Linear(5))
    >>> first = Library().begin(trunk, seed=0)
    >>> library = Library().learned("one", *first)
    >>> library.network(0) == first[0], library.params
    (True, 23)
    >>> network, plan = library.begin(trunk, seed=1)
    >>> str(plan), library.frozen(network, plan)
    ('linear1 0-1@0', {'linear1': (0, 1)})
    """

    chapters: tuple[Chapter, ...] = ()

    # ------------------------------------------------------------------ reading
    def network(self, task: int) -> Network:
        """Return the dense network of a task, assembled from the versions that it uses.

        Raises:
            SettingError: when there is no such task.
        """
        if not 0 <= task < len(self):
            raise SettingError(f"the library has no task {task}", expected=f"0 to {len(self) - 1}")
        if task not in self._networks:
            self._networks[task] = assembled(self.chapters, self.chapters[task])
        return self._networks[task]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tasks."""
        return tuple(chapter.name for chapter in self.chapters)

    @property
    def params(self) -> int:
        """How many trained numbers all tasks have together, shared ones counted once."""
        return sum(chapter.params for chapter in self.chapters)

    def frozen(self, network: Network, plan: Plan) -> dict[str, tuple[int, ...]]:
        """Return the units of every node that earlier tasks have made: what ``Train(frozen=...)`` takes."""
        return Chapter("", len(self), network.graph, plan, {}).frozen()

    def slots(self, home: str) -> tuple[int, ...]:
        """Return all slots of a home, in order."""
        known = {slot for chapter in self.chapters if home in chapter.plan.uses for slot in chapter.plan.slots(home)}
        return tuple(sorted(known))

    def latest(self, home: str, slot: int) -> int:
        """Return which task has made the latest version in a slot."""
        plans = [chapter.plan.uses.get(home, ()) for chapter in self.chapters]
        return max(use.version for uses in plans for use in uses if use.slot == slot)

    # ------------------------------------------------------------------ learning
    def begin(self, trunk: Graph, *, seed: int, dtype: torch.dtype = torch.float32) -> tuple[Network, Plan]:
        """Return where a new task begins: all slots with their latest versions, and a head that knows nothing.

        Args:
            trunk: the graph of the first task, with the outputs of the new one.
            seed: of what is drawn.
            dtype: of the weights, for the first task.

        Raises:
            GraphError: when the tensors of a node cannot be shared unit by unit.
            DataError: when the trunk is not that of the tasks before.
        """
        homes = Homes(trunk)
        if not self.chapters:
            plan = Plan({home: tuple(Use(slot, 0) for slot in range(homes.counts[home])) for home in homes.shared})
            return Network.init(trunk, seed, dtype=dtype), plan
        self._check_trunk(homes)
        plan = Plan(
            {home: tuple(Use(slot, self.latest(home, slot)) for slot in self.slots(home)) for home in homes.shared}
        )
        graph = resized(trunk, {home: len(uses) for home, uses in plan.uses.items()})
        network = Network.init(graph, seed, dtype=self.network(0).dtype)
        draft = Chapter("", len(self), graph, plan, {})
        weights = dict(network.weights)
        for label, fresh in weights.items():
            if draft.axes(label) is not None:
                weights[label] = shared_rows(self.chapters, draft, label, fresh)
            else:
                weights[label] = private_rows(self.chapters, draft, label, fresh)
        return Network(graph, weights), plan

    def learned(self, name: str, network: Network, plan: Plan) -> Library:
        """Return the library with one more task.

        Args:
            name: of the task.
            network: as it was trained.
            plan: which versions it uses; those of this task are taken from the network.

        Raises:
            DataError: when the plan does not fit the graph, or the network does not have the rows of other tasks'
                versions as the library has them, to the bit.
        """
        library = Library((*self.chapters, Chapter.of(name, len(self), network, plan)))
        whole = assembled(library.chapters, library.chapters[-1])
        for label, tensor in network.weights.items():
            if not torch.equal(whole.weights[label], tensor.cpu()):
                raise DataError(
                    f"the network of task {name!r} has changed what other tasks have made",
                    got=f"other rows of {label!r} than the library's",
                    hint="train it with Train(..., frozen=library.frozen(network, plan))",
                )
        return library

    # ------------------------------------------------------------------ on disk
    def save(self, folder: str | Path) -> Path:
        """Write what every task has added, each row once, into a folder, made if need be; return the folder.

        Raises:
            StorageError: when it cannot be written.
        """
        from safetensors.torch import save

        place = Path(folder)
        record = [{"name": one.name, "graph": str(one.graph), "plan": str(one.plan)} for one in self.chapters]
        rows = {
            f"{one.number}/{label}": tensor.contiguous() for one in self.chapters for label, tensor in one.own.items()
        }
        try:
            place.mkdir(parents=True, exist_ok=True)
            write(place / ROWS_FILE, save(rows))
            write(place / LIBRARY_FILE, json.dumps(record, indent=1).encode())
        except OSError as error:
            raise StorageError(f"cannot write the library to {place}: {error.strerror or error}") from error
        return place

    @classmethod
    def load(cls, folder: str | Path) -> Library:
        """Read a library that :meth:`save` wrote; nothing in the files is executed.

        Raises:
            StorageError: when a file is missing or cannot be read.
            DataError: when one is cut short or malformed, or the two do not fit.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load

        place = Path(folder)
        try:
            text, data = (place / LIBRARY_FILE).read_bytes(), (place / ROWS_FILE).read_bytes()
        except OSError as error:
            raise StorageError(
                f"cannot read a library from {place}: {error}", hint="name a folder written by save()"
            ) from error
        chapters = []
        try:
            rows = load(data)
            for number, one in enumerate(json.loads(text)):
                start = f"{number}/"
                own = {label[len(start) :]: tensor for label, tensor in rows.items() if label.startswith(start)}
                chapters.append(Chapter(one["name"], number, Graph.parse(one["graph"]), Plan.parse(one["plan"]), own))
            library = cls(tuple(chapters))
            for task in range(len(library)):
                library.network(task)
        except (SafetensorError, ValueError, KeyError, TypeError, IndexError) as error:
            reason = error.what if isinstance(error, ArchGraphError) else error
            raise DataError(f"the library in {place} is damaged: {reason}") from error
        return library

    @cached_property
    def _networks(self) -> dict[int, Network]:
        return {}

    def _check_trunk(self, homes: Homes) -> None:
        """Raise unless a trunk has the nodes of the first task's graph, but for units and heads."""
        first = self.chapters[0].homes
        same = homes.shared == first.shared
        if same:
            alike = Homes(resized(homes.graph, {home: first.counts[home] for home in first.shared}))
            same = alike.body == first.body
        if not same:
            raise DataError(
                "the tasks of a library have one trunk, whatever its units",
                expected=f"the nodes of\n{first.graph}",
                got=f"\n{homes.graph}",
            )

    def __len__(self) -> int:
        return len(self.chapters)

    def __iter__(self) -> Iterator[Chapter]:
        return iter(self.chapters)

    def __repr__(self) -> str:
        return f"<Library of {len(self)} tasks, {self.params} params>"
