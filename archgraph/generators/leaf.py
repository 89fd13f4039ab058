"""The layers at the bottom of a generated network: ReLU, convolution, batch norm; or a pooling."""

from __future__ import annotations

from archgraph.errors import SettingError
from archgraph.generators.plan import Channels, Plan, Stream
from archgraph.ops import AvgPool2d, BatchNorm, Conv2d, ReLU

CONVOLUTIONS: dict[str, tuple[int, int]] = {
    "conv3x3": (3, 3),
    "conv5x5": (5, 5),
    "conv1x1": (1, 1),
    "conv3x1": (3, 1),
    "conv1x3": (1, 3),
}
"""Kernel height and width by kind."""

POOLINGS: dict[str, int] = {"avgpool3x3": 3, "avgpool5x5": 5}
"""Window by kind. They keep the channels."""

LEAVES = (*CONVOLUTIONS, *POOLINGS)
"""All kinds, in the order of arXiv 2004.01395."""


def check_kinds(what: str, kinds: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Check a choice of kinds.

    Raises:
        SettingError: when there is none, one is there twice, or one is not known.
    """
    if not kinds or len(set(kinds)) < len(kinds) or not set(kinds) <= set(known):
        raise SettingError(f"{what} must be some of the known kinds, each once", expected=", ".join(known), got=kinds)


def leaf(
    plan: Plan,
    kind: str,
    x: Stream,
    channels: Channels,
    *,
    name: str,
    separable: bool = False,
) -> Stream:
    """Add a leaf to a plan.

    The convolution keeps height and width and has no bias, for the norm behind it has one.

    Args:
        plan: where to.
        kind: one of :data:`LEAVES`.
        x: what it reads.
        channels: of a convolution's output; pooling keeps those of ``x``.
        name: start of the nodes' names.
        separable: whether a depthwise and a 1x1 convolution stand for the full one.
    """
    if kind in POOLINGS:
        window = POOLINGS[kind]
        pool = AvgPool2d(window, stride=1, padding=window // 2, count_include_pad=False)
        return plan(pool, x, name=f"{name}_pool")
    y = plan(ReLU(), x, share=True)
    return plan(BatchNorm(), convolution(plan, CONVOLUTIONS[kind], y, channels, f"{name}_conv", separable=separable))


def convolution(
    plan: Plan,
    kernel: tuple[int, int],
    x: Stream,
    channels: Channels,
    name: str | None = None,
    *,
    separable: bool = False,
    stride: int = 1,
) -> Stream:
    """Add a convolution without bias that keeps height and width but for its stride; arguments as :func:`leaf`."""
    padding = (kernel[0] // 2, kernel[1] // 2)
    if separable:  # two groups of any width stand for a depthwise one
        deep = Conv2d(2, kernel_size=kernel, stride=stride, padding=padding, groups=2, bias=False)
        x, kernel, stride, padding = plan(deep, x), (1, 1), 1, (0, 0)
    op = Conv2d(1, kernel_size=kernel, stride=stride, padding=padding, bias=False)
    return plan(op, x, channels=channels, name=name)
