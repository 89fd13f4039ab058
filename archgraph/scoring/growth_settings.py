"""How growth criteria are carried out: their options, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from archgraph.checks import check_switch, check_whole, is_number
from archgraph.errors import SettingError, UnknownName

_CHOICES = {"mode": ("eval", "train"), "scales": ("auto", "outgoing"), "curvature": ("measured", "unit")}


@dataclass(frozen=True)
class GrowthSettings:
    """Options of the criteria that propose new units.

    Args:
        units: the most that are proposed for a node; as many as it has by default.
        candidates: how many are drawn for every one proposed, by the criteria that choose among candidates.
        mode: of the network: ``"eval"``, where batch norm has statistics of new units estimated from the samples, or
            ``"train"`` with those of each batch.
        scales: what a step scales: ``"outgoing"`` weights only, or ``"auto"``: what the criterion's paper scales
            wherever what units say is known exactly, outgoing weights elsewhere.
        curvature: of the loss along proposed units: ``"measured"`` for each spot, so that layers can be compared, or
            ``"unit"``: 1 in the outputs of every layer, as the papers have it.
        compensate: let existing weights take back what they could do of a unit's work, where the criterion has that.
        damping: added to the eigenvalues of second moments.
        ratio: rise of the natural expansion score, as a share of it, below which a unit is not worth adding.
        seed: of random rows.
        memory: bytes of captured tensors that are kept between passes, and that a batch may take.

    Raises:
        SettingError: when one has a value that it cannot have.
    """

    units: int | None = None
    candidates: int = 8
    mode: str = "eval"
    scales: str = "auto"
    curvature: str = "measured"
    compensate: bool = True
    damping: float = 0.0
    ratio: float = 0.0
    seed: int = 0
    memory: int = 2**29

    def __post_init__(self) -> None:
        for name, least in (("units", 1), ("candidates", 1), ("memory", 1), ("seed", 0)):
            if name != "units" or self.units is not None:
                check_whole(name, getattr(self, name), least)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise SettingError(
                    f"{name} cannot be this", expected=" or ".join(choices), got=repr(getattr(self, name))
                )
        check_switch("compensate", self.compensate)
        for name in ("damping", "ratio"):
            value = getattr(self, name)
            if not (is_number(value) and 0.0 <= value < float("inf")):
                raise SettingError(f"{name} must be a number of at least 0", got=repr(value))

    @classmethod
    def of(cls, options: Mapping[str, Any], criterion: str) -> GrowthSettings:
        """Return the settings that options spell.

        Raises:
            UnknownName: when an option is not known.
            SettingError: when it has a value that it cannot have.
        """
        known = [one.name for one in fields(cls)]
        for name in options:
            if name not in known:
                raise UnknownName.among(f"option of criterion {criterion!r}", name, known)
        return cls(**options)
