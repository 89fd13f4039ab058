"""Putting the network of a task together from the rows that it and earlier tasks have made."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from archgraph.continual.chapter import Chapter, by_rows, from_rows, read_columns
from archgraph.net import Network

Chapters = Sequence[Chapter]


def assembled(chapters: Chapters, chapter: Chapter) -> Network:
    """Return the dense network of a task, from the versions that it uses.

    Args:
        chapters: of all tasks that it may use.
        chapter: its own.
    """
    weights = {}
    for node in chapter.graph:
        for key in chapter.graph.tensors(node.name) if node.tie is None else ():
            label = f"{node.name}.{key}"
            alone = chapter.axes(label) is None
            weights[label] = chapter.own[label] if alone else shared_rows(chapters, chapter, label)
    return Network(chapter.graph, weights)


def shared_rows(chapters: Chapters, chapter: Chapter, label: str, fresh: Tensor | None = None) -> Tensor:
    """Return a tensor of a chapter from the rows that tasks have made.

    Args:
        chapters: of all tasks so far.
        chapter: the one; it may be none of them yet.
        label: the tensor, ``"node.tensor"``.
        fresh: has those rows that none of the tasks has made.
    """
    axes, node = chapter.axes(label), label.partition(".")[0]
    assert axes is not None
    columns, versions = chapter.columns(label), chapter.versions(node)
    pieces: list[Tensor] = []
    order: list[int] = []
    for version in sorted(set(versions)):
        wanted = chapter.rows(node, version)
        if version < len(chapters):
            maker = chapters[version]
            place = {address: row for row, (_, address) in enumerate(maker.rows(node))}
            rows = maker.own[label][[place[address] for _, address in wanted]]
            known = maker.columns(label)
            if columns is not None and known is not None and known != columns:
                rows = read_columns(rows, known, columns)
        else:
            assert fresh is not None
            rows = by_rows(fresh, axes)[[row for row, _ in wanted]]
        pieces.append(rows)
        order += [row for row, _ in wanted]
    joined = torch.cat(pieces)
    return from_rows(joined[torch.tensor(order).argsort()], axes)


def private_rows(chapters: Chapters, draft: Chapter, label: str, fresh: Tensor) -> Tensor:
    """Return where a tensor that tasks do not share begins: as the last task that knew a unit has left it.

    Args:
        chapters: of all tasks so far, one at least.
        draft: the chapter of the task that begins.
        label: the tensor, ``"node.tensor"``.
        fresh: what units begin with that no task knew, and heads.
    """
    node, _, key = label.partition(".")
    if draft.homes.is_head(node):
        return fresh
    spec = draft.graph.tensors(node)[key]
    if "out" not in spec.axes:
        return chapters[-1].own[label]
    axes = (spec.axes.index("out"), None)
    start = by_rows(fresh, axes).clone()
    left = {address: row for row, address in enumerate(draft.addresses(node))}
    for number in reversed(range(len(chapters))):
        known = by_rows(chapters[number].own[label], axes)
        for row, address in enumerate(chapters[number].addresses(node)):
            if address in left:
                start[left.pop(address)] = known[row]
    return from_rows(start, axes)
