"""How the splitting criteria are carried out: their options, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from archgraph.checks import check_switch, check_whole, is_number
from archgraph.errors import SettingError

Method = Literal["auto", "exact", "lanczos", "rayleigh"]
Curvature = Literal["auto", "closed", "tail"]
Mode = Literal["eval", "train"]

MEMORY = 2**30
"""Bytes of captured tensors that are kept between products by default."""

SMALL = 48
"""Row entries up to which matrices are built and decomposed, unless a method is asked for."""

CHEAP = 10**9
"""Multiply-accumulates up to which these are built: beyond, products are faster, though not exact."""

STEPS = 16
"""Products that Lanczos may take by default; it stops at fewer where the tolerance is met."""

TOLERANCE = 0.02
"""Residual of an eigenpair, relative to the unit's spectral range, that is small enough by default: most eigenvalues
err by less than its square, far below their noise. Now and then an end that the start barely contains is missed, by up
to a third of the range; a tolerance of 0 takes all products, and misses far less."""


@dataclass(frozen=True)
class Settings:
    """Options of the criterion ``"splitting"``.

    Args:
        include_bias: displace the layer's own bias too (the one in front of batch norm), where it has one.
        smoothing: sharpness of the softplus that stands in for the kink of an activation, in units of 1/z; where it is
            None, 10 over the spread of the pre-activations, by activation.
        keep_matrices: hand out the matrices beside their eigenpairs; they are built then, whatever their size.
        method: how directions are found: ``"exact"`` builds and decomposes the matrices, ``"lanczos"`` multiplies by
            them, ``"rayleigh"`` follows their Rayleigh quotient by the authors' stochastic iteration; ``"auto"`` is
            exact where rows are short or matrices are asked for, Lanczos elsewhere.
        curvature: what bends the units: ``"closed"`` takes a number a position and refuses nodes without a closed form,
            ``"tail"`` a Hessian-vector product of what lies between; ``"auto"`` the first where it exists.
        mode: of the network: ``"eval"``, or ``"train"`` with the batch's statistics in batch norm.
        halves: take directions from one half of the samples, and index and noise from the other.
        random: seed of random directions that are scored beside the others; none by default.
        steps: most products by Lanczos, or epochs of the stochastic iteration; by default 16, or 10.
        tolerance: residual, relative to a unit's spectral range, at which Lanczos stops; 0 takes all steps.
        memory: bytes of captured tensors kept between products; what is beyond is captured anew for every product.

    Raises:
        SettingError: when one has a value that it cannot have.
    """

    include_bias: bool = False
    smoothing: float | None = None
    keep_matrices: bool = False
    method: Method = "auto"
    curvature: Curvature = "auto"
    mode: Mode = "eval"
    halves: bool = False
    random: int | None = None
    steps: int | None = None
    tolerance: float = TOLERANCE
    memory: int = MEMORY

    def __post_init__(self) -> None:
        for name in ("include_bias", "keep_matrices", "halves"):
            check_switch(name, getattr(self, name))
        for name, choices in (("method", Method), ("curvature", Curvature), ("mode", Mode)):
            if getattr(self, name) not in get_args(choices):
                raise SettingError(
                    f"{name} is none of those there are",
                    expected=", ".join(get_args(choices)),
                    got=repr(getattr(self, name)),
                )
        if self.smoothing is not None and not (is_number(self.smoothing) and 0.0 < self.smoothing < float("inf")):
            raise SettingError("smoothing must be a positive number", got=repr(self.smoothing))
        if not (is_number(self.tolerance) and 0.0 <= self.tolerance < 1.0):
            raise SettingError("tolerance must be a number from 0 to below 1", got=repr(self.tolerance))
        for name, least in (("steps", 1), ("memory", 0), ("random", 0)):
            if name == "memory" or getattr(self, name) is not None:
                check_whole(name, getattr(self, name), least)
        if self.keep_matrices and self.method not in ("auto", "exact"):
            raise SettingError(f"method {self.method!r} builds no matrices that could be kept", expected="'exact'")

    @classmethod
    def of(cls, options: Mapping[str, Any], criterion: str = "splitting") -> Settings:
        """Return the settings that options spell.

        Raises:
            SettingError: when an option is not known, or has a value that it cannot have.
        """
        known = [one.name for one in fields(cls)]
        for name in options:
            if name not in known:
                raise SettingError(f"criterion {criterion!r} has no option {name!r}", expected=", ".join(known))
        return cls(**options)

    @property
    def most(self) -> int:
        """Products that Lanczos may take."""
        return STEPS if self.steps is None else self.steps

    def method_for(self, units: int, entries: int, rows: int) -> str:
        """Return how the directions of a layer are found: ``"exact"``, ``"lanczos"`` or ``"rayleigh"``.

        Args:
            units: of the layer.
            entries: of a unit's weight row.
            rows: samples, times positions of a convolution.
        """
        if self.method != "auto":
            return self.method
        cheap = entries <= SMALL and rows * units * entries**2 <= CHEAP
        return "exact" if self.keep_matrices or cheap else "lanczos"
