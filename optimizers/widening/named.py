"""Growth by each criterion, a driver of its name."""

from __future__ import annotations

from dataclasses import dataclass, field

from optimizers.growth import Growth
from optimizers.widening.criterion_growth import CriterionGrowth


@dataclass(frozen=True)
class Tiny(CriterionGrowth):
    """Grow where a layer cannot express what the loss asks for: the expressivity bottleneck, in closed form.

    Arguments are those of :class:`CriterionGrowth`.
    """

    criterion: str = field(default="tiny", init=False)


@dataclass(frozen=True)
class GradMax(CriterionGrowth):
    """Grow by the units of largest gradient. Arguments are those of :class:`CriterionGrowth`."""

    criterion: str = field(default="gradmax", init=False)


@dataclass(frozen=True)
class North(CriterionGrowth):
    """Grow by units orthogonal to existing ones. Arguments are those of :class:`CriterionGrowth`."""

    criterion: str = field(default="north", init=False)


@dataclass(frozen=True)
class NaturalExpansion(CriterionGrowth):
    """Grow by the units that add most to the natural gradient. Arguments are those of :class:`CriterionGrowth`."""

    criterion: str = field(default="natural-expansion", init=False)


@dataclass(frozen=True)
class ZeroFanOut(CriterionGrowth):
    """Grow by random units that nobody hears at first. Arguments are those of :class:`CriterionGrowth`."""

    criterion: str = field(default="zero-fan-out", init=False)


@dataclass(frozen=True)
class Net2Wider(Growth):
    """Grow by copies of units drawn at random, moved a little (Chen, Goodfellow and Shlens, 2016, arXiv 1511.05641).

    Copies keep the function and promise nothing, so nothing is predicted and nothing rejected. Arguments are those of
    :class:`optimizers.growth.Growth`, but for ``control``, which is settled.
    """

    control: str | None = field(default="net2wider", init=False)
