"""How the criterion ``"firefly"`` is carried out: its options, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from archgraph.checks import check_switch, check_whole
from archgraph.errors import SettingError
from archgraph.overgrown import KINDS, Descent


@dataclass(frozen=True)
class Overgrowth:
    """Options of the criterion ``"firefly"``.

    Args:
        kinds: families of candidates: ``"split"``, ``"new"``, ``"layer"``, ``"edge"``.
        new_units: fresh units a node; as many as it has by default, eight at least.
        layer_width: units of an inserted bottleneck; as many as the node behind which it stands by default.
        kernel_size: of inserted convolutions, odd, in pixels.
        steps: of the descent on gates and directions, a batch each.
        batch_size: samples of a batch.
        lr: of the descent.
        box: bound of the gates.
        split_box: bound of the gates of splits; the square root of ``box`` by default.
        radius: bound of the length of directions, in units of the weights.
        points: midpoints of the integrated gradient.
        mode: of the network: ``"eval"``, or ``"train"`` with the batch's statistics in batch norm.
        halves: find gates and directions on one half of the samples, and score them on the other.
        careful: descend from the downhill side of every gate, in a box that is trusted, with steps that shrink.
        seed: of the first directions, the halves and the order of samples.

    Raises:
        SettingError: when one has a value that it cannot have.
        UnknownName: when a kind is not known.
    """

    kinds: tuple[str, ...] = ("split", "new")
    new_units: int | None = None
    layer_width: int | None = None
    kernel_size: int = 3
    steps: int = 60
    batch_size: int = 128
    lr: float = 1e-2
    box: float = 0.1
    split_box: float | None = None
    radius: float = 1.0
    points: int = 3
    mode: str = "eval"
    halves: bool = False
    careful: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", (self.kinds,) if isinstance(self.kinds, str) else tuple(self.kinds))
        if not self.kinds or not set(self.kinds) <= set(KINDS):
            raise SettingError("kinds are families of candidates", expected=", ".join(KINDS), got=repr(self.kinds))
        for name, optional in (
            ("new_units", True),
            ("layer_width", True),
            ("kernel_size", False),
            ("batch_size", False),
            ("points", False),
        ):
            if not optional or getattr(self, name) is not None:
                check_whole(name, getattr(self, name), 1)
        if not self.kernel_size % 2:
            raise SettingError(
                "kernel_size must be odd, so that a layer keeps the size of images", got=self.kernel_size
            )
        if self.mode not in ("eval", "train"):
            raise SettingError("mode is none of those there are", expected="eval, train", got=repr(self.mode))
        for name in ("halves", "careful"):
            check_switch(name, getattr(self, name))
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise SettingError("seed must be a whole number", got=repr(self.seed))
        _ = self.descent  # checks the rest

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Overgrowth:
        """Return the settings that options spell.

        Raises:
            SettingError: when an option is not known, or has a value that it cannot have.
        """
        known = [one.name for one in fields(cls)]
        for name in options:
            if name not in known:
                raise SettingError(f"criterion 'firefly' has no option {name!r}", expected=", ".join(known))
        return cls(**options)

    @property
    def descent(self) -> Descent:
        """How gates and directions are trained.

        Raises:
            SettingError: when a value cannot be used.
        """
        return Descent(
            steps=self.steps,
            lr=self.lr,
            box=self.box,
            split_box=self.split_box,
            radius=self.radius,
            train=self.mode == "train",
            careful=self.careful,
        )
