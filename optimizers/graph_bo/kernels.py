"""Kernels of graphs by name, as sums and products of parts.

A part has one Gram matrix or several, each with a diagonal of ones: Weisfeiler-Lehman colours one a level, numbers one
a length. ``"wl+descriptors*values"`` has those of ``wl`` and the products of all of ``descriptors`` with all of
``values``; how much each counts is fitted.

Letters: ``R`` and ``C`` graphs, ``F`` colours, ``D`` numbers of a graph.
"""

from __future__ import annotations

import torch
from torch import Tensor

from archgraph.errors import UnknownName

PARTS = {
    "wl": "dot product of the counts of Weisfeiler-Lehman colours",
    "wl-oa": "their histogram intersection (optimal assignment)",
    "descriptors": "distance of a few numbers that describe a graph",
    "values": "distance of the encoded values of the space",
}
"""What kernels are made of."""

LENGTHS = (0.5, 1.0, 2.0)
"""Of the squared-exponential kernels of numbers, in units of the root mean square distance of observed graphs."""


def read(text: str) -> tuple[tuple[str, ...], ...]:
    """Read the name of a kernel: terms, each of factors.

    Raises:
        UnknownName: when a part is unknown.

    >>> read("wl + descriptors*values")
    (('wl',), ('descriptors', 'values'))
    """
    terms = tuple(tuple(part.strip() for part in term.split("*")) for term in text.split("+"))
    for part in (part for term in terms for part in term):
        if part not in PARTS:
            raise UnknownName.among("part of a kernel", part, PARTS)
    return terms


def combined(terms: tuple[tuple[str, ...], ...], parts: dict[str, Tensor]) -> Tensor:
    """Return the Gram matrices of a kernel, ``[L, ...]``.

    Args:
        terms: of the kernel, see :func:`read`.
        parts: Gram matrices by the name of the part, ``[?, ...]`` each.
    """
    found = []
    for term in terms:
        grams = parts[term[0]]
        for part in term[1:]:
            grams = (grams[:, None] * parts[part][None]).flatten(0, 1)
        found.append(grams)
    return found[0] if len(found) == 1 else torch.cat(found)


def intersections(
    X: Tensor,  # [R, F]  counts, none negative
    Y: Tensor,  # [C, F]
) -> Tensor:  # [R, C]
    """Return the intersections of histograms, ``sum_f min(x_f, y_f)``."""
    return torch.stack([torch.minimum(X, y).sum(1) for y in Y], 1)


def radial(
    X: Tensor,  # [R, D]
    Y: Tensor,  # [C, D]
    spread: Tensor,  # [D]
) -> Tensor:  # [3, R, C]
    """Return ``exp(-d^2 / 2 l^2)`` for the :data:`LENGTHS`, ``d^2`` the mean over columns of squared differences.

    Args:
        X: numbers of graphs.
        Y: of others.
        spread: standard deviations of the columns; columns of 0 are left out.
    """
    used = spread > 0.0
    if not used.any():
        return X.new_ones(len(LENGTHS), len(X), len(Y))
    squares = torch.cdist(X[:, used] / spread[used], Y[:, used] / spread[used]).square() / (2.0 * int(used.sum()))
    return torch.stack([(-0.5 * squares / length**2).exp() for length in LENGTHS])
