"""A training in between two epochs, as a value: all that it needs to go on as if nothing had stopped it.

Its file is one safetensors file, written whole or not at all: the tensors, a record of everything else as JSON text
(the bytes of the tensor ``"record"``), and a SHA-256 digest over both. Nothing in it is executed when it is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archgraph.errors import ArchGraphError, DataError, SettingError, StorageError
from archgraph.evaluation.report import Epoch
from archgraph.files import make_folder, write
from archgraph.graph import Graph
from archgraph.net import Network, State
from archgraph.octets import octets

FORMAT = "archgraph checkpoint 1"
_RECORD, _DIGEST = "record", "sha256"


@dataclass(frozen=True, eq=False)
class Best:
    """The epoch with the lowest validation loss so far, with ``keep="best"``.

    Args:
        loss: its validation loss.
        network: the network after it.
        state: the optimizer's state after it.
    """

    loss: float
    network: Network
    state: State


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training after an epoch; all tensors are on the CPU.

    Args:
        epoch: how many epochs are done.
        network: with the weights and buffers in training.
        state: the optimizer's state, without an average of weights.
        recipe: of the training, as text.
        seed: of the training.
        average: with averaged weights, where the recipe asks for them.
        curve: the learning curve so far.
        groups: the optimizer's settings that are numbers, a mapping for each of its parameter groups.
        scale: state of the loss's scale, in float16.
        best: the best epoch, where the recipe keeps it.
    """

    epoch: int
    network: Network
    state: State
    recipe: str
    seed: int
    average: Network | None = None
    curve: tuple[Epoch, ...] = ()
    groups: tuple[Mapping[str, Any], ...] = ()
    scale: Mapping[str, float] = field(default_factory=dict)
    best: Best | None = None

    def check(self, graph: Graph, recipe: str, seed: int) -> None:
        """Raise unless the checkpoint is one of a training.

        Args:
            graph: of the network that is trained.
            recipe: of the training, as text.
            seed: of the training.

        Raises:
            SettingError: when it is one of another training, with what differs.
        """
        for what, mine, theirs in (
            ("graph", self.network.graph, graph),
            ("recipe", self.recipe, recipe),
            ("seed", self.seed, seed),
        ):
            if mine != theirs:
                raise SettingError(
                    f"the checkpoint is one of another training: its {what} differs",
                    expected=theirs if what != "graph" else None,
                    got=mine if what != "graph" else None,
                    hint="train(checkpoint.network, ..., state=checkpoint.state) begins a new training there",
                )

    def save(self, path: str | Path) -> Path:
        """Write the checkpoint into one file, whole or not at all; its folder is made if need be. Return the path.

        Raises:
            StorageError: when it cannot be written; what was there before is still there.
        """
        from safetensors.torch import save

        place = Path(path)
        tensors = {label: tensor.contiguous().clone() for label, tensor in self._tensors()}
        tensors[_RECORD] = _bytes(json.dumps(self._record()).encode())
        tensors[_DIGEST] = _bytes(_digest(tensors))
        try:
            make_folder(place.parent)
            write(place, save(tensors))
        except OSError as error:
            raise StorageError(f"cannot write the checkpoint {place}: {error.strerror or error}") from error
        return place

    @classmethod
    def load(cls, path: str | Path) -> Checkpoint:
        """Read a checkpoint that :meth:`save` wrote.

        Raises:
            StorageError: when it is missing or cannot be read.
            DataError: when it is cut short, changed, or no checkpoint.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise StorageError(f"cannot read the checkpoint {path}: {error.strerror or error}") from error
        try:
            tensors = load(content)
            digest, record = tensors.pop(_DIGEST), tensors.pop(_RECORD, None)
            if record is None or _text(digest) != _digest({**tensors, _RECORD: record}):
                raise DataError("its digest is another one")
            return cls._of(json.loads(_text(record)), tensors)
        except (SafetensorError, ArchGraphError, ValueError, KeyError, TypeError) as error:
            reason = error.what if isinstance(error, ArchGraphError) else f"{type(error).__name__}: {error}"
            raise DataError(
                f"{path} is cut short, changed or no checkpoint: {reason}", hint="remove it, and train from the start"
            ) from error

    # ------------------------------------------------------------------ the file
    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        best = None if self.best is None else self.best.network
        networks = {"network": self.network, "average": self.average, "best": best}
        for part, network in networks.items():
            for label, tensor in network.weights.items() if network is not None else ():
                yield f"{part}/{label}", tensor
        for part, state in {"state": self.state, "best-state": self.best.state if self.best else {}}.items():
            for label, entries in state.items():
                for entry, tensor in entries.items():
                    yield f"{part}/{label}/{entry}", tensor

    def _record(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "epoch": self.epoch,
            "graph": str(self.network.graph),
            "recipe": self.recipe,
            "seed": self.seed,
            "averaged": self.average is not None,
            "curve": [[point.epoch, dict(point.metrics)] for point in self.curve],
            "groups": [dict(group) for group in self.groups],
            "scale": dict(self.scale),
            "best": None if self.best is None else self.best.loss,
        }

    @classmethod
    def _of(cls, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Checkpoint:
        if record["format"] != FORMAT:
            raise DataError(f"its format is {record['format']!r}, not {FORMAT!r}")
        graph = Graph.parse(record["graph"])
        best = record["best"]
        return cls(
            epoch=record["epoch"],
            network=Network(graph, _part(tensors, "network")),
            state=_state(tensors, "state"),
            recipe=record["recipe"],
            seed=record["seed"],
            average=Network(graph, _part(tensors, "average")) if record["averaged"] else None,
            curve=tuple(Epoch(epoch, metrics) for epoch, metrics in record["curve"]),
            groups=tuple({key: _tupled(value) for key, value in group.items()} for group in record["groups"]),
            scale=record["scale"],
            best=None
            if best is None
            else Best(best, Network(graph, _part(tensors, "best")), _state(tensors, "best-state")),
        )


def _part(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    cut = len(part) + 1
    return {label[cut:]: tensor for label, tensor in tensors.items() if label.startswith(f"{part}/")}


def _state(tensors: Mapping[str, Tensor], part: str) -> dict[str, dict[str, Tensor]]:
    state: dict[str, dict[str, Tensor]] = {}
    for label, tensor in _part(tensors, part).items():
        name, _, entry = label.partition("/")
        state.setdefault(name, {})[entry] = tensor
    return state


def _tupled(value: Any) -> Any:
    """Give back the tuples that JSON wrote as lists, such as Adam's betas."""
    return tuple(map(_tupled, value)) if isinstance(value, list) else value


def _digest(tensors: Mapping[str, Tensor]) -> bytes:
    digest = hashlib.sha256()
    for label, tensor in sorted(tensors.items()):
        digest.update(f"{label} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(octets(tensor).numpy().data)
    return digest.digest()


def _bytes(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def _text(tensor: Tensor) -> bytes:
    return tensor.numpy().tobytes()
