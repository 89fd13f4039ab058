"""Tables of `gcn_natural_gradient.py`: what each method reaches, what a part of it is worth, which bars hold."""

from __future__ import annotations

import math
import platform
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from gcn_methods import choices, methods

MARKS: Mapping[str, tuple[float, ...]] = {
    "cora": (1.2, 1.0, 0.9, 0.8),
    "citeseer": (1.4, 1.25, 1.15, 1.1),
    "cora:split=full": (1.2, 0.9, 0.6, 0.5),
    "cora:split=complete": (1.2, 0.9, 0.6, 0.5),
    "amazon-photo": (1.2, 0.9, 0.6, 0.5),
    "actor": (1.6, 1.55, 1.52, 1.5),
}
"""Validation losses to be reached; the third is what speed is judged by."""
OTHER_MARKS = (1.4, 1.3, 1.2, 1.1)
GATE = 2
"""Place of the mark that speed is judged by."""
BASES: Mapping[str, str] = {"natural-": "natural", "swift-": "natural-swift"}
"""Beginnings of the names of methods with one part changed, and what it is changed in."""
Row = Mapping[str, Any]
Find = Callable[[str, str], Sequence[Row]]


def marks(task: str) -> tuple[float, ...]:
    """Return the validation losses to be reached on a task."""
    return MARKS.get(task, OTHER_MARKS)


def mean(values: Iterable[str], digits: int, scale: float = 1.0) -> str:
    """Return the mean over those that are there, with their number where some are missing."""
    held = list(values)
    there = [scale * float(one) for one in held if one]
    if not there:
        return "never"
    return f"{statistics.fmean(there):.{digits}f}" + (f" ({len(there)})" if len(there) < len(held) else "")


def line(name: str, rows: Sequence[Row]) -> str:
    """Return the line of a method."""
    tests = [100.0 * float(row["test_accuracy"]) for row in rows]
    spread = statistics.stdev(tests) if len(tests) > 1 else math.nan
    reach = "".join(f"{mean((row[f'reach_{place}'] for row in rows), 1):>11}" for place in range(4))
    cpu = "".join(f"{mean((row[f'cpu_{place}'] for row in rows), 2):>11}" for place in range(4))
    each = statistics.fmean(1e3 * float(row["cpu"]) / int(row["epochs"]) for row in rows)
    return (
        f"{name:<28}{len(rows):>3}{rows[0]['epochs']:>5}  {statistics.fmean(tests):6.2f} ±{spread:5.2f}"
        f"  {mean((row['val_loss'] for row in rows), 3)} @{mean((row['best_epoch'] for row in rows), 0):>4}"
        f"{reach}{cpu}{each:8.1f}"
    )


def table(rows: Sequence[Row], find: Find) -> str:
    """Return the tables of all tasks.

    Args:
        rows: all that there are.
        find: those of a task and a method.
    """
    lines = [f"torch {torch.__version__}, Python {platform.python_version()}, one thread; machine was loaded"]
    for task in dict.fromkeys(row["task"] for row in rows):
        heads = "".join(f"{f'ep<{mark}':>11}" for mark in marks(task))
        heads += "".join(f"{f'cpu s<{mark}':>11}" for mark in marks(task))
        lines += ["", f"{task}", f"{'method':<28}  n   ep   test acc, %    val loss, at {heads}   ms/ep"]
        known = dict.fromkeys(row["method"] for row in rows if row["task"] == task)
        order = [name for name in known if not name.startswith("tune:") and base_of(name, task) is None]
        lines += [line(name, find(task, name)) for name in sorted(order, key=_place(task))]
        lines += tuning(task, find) + ablation(task, known, find) + pairs(task, find) + verdicts(task, find)
    return "\n".join(lines)


def _place(task: str) -> Callable[[str], int]:
    order = list(methods(task))
    for name in choices():
        order.insert(order.index("adam") + 1, name)
    return order.index


MAINLY = ("natural-fast", "natural-swift", "natural-fast-expand", "natural-64", "natural-plain")
"""Methods of their own, though their names begin as those of methods with one part changed."""


def base_of(name: str, task: str) -> str | None:
    """Return the method in which one part was changed to have this one; None where it is one of its own."""
    if name in MAINLY or name not in methods(task):
        return None
    return next((base for start, base in BASES.items() if name.startswith(start)), None)


def tuning(task: str, find: Find) -> list[str]:
    """Return what was tried on other seeds: lowest validation loss, and epochs to the mark of speed."""
    tries = dict.fromkeys(one for choice in choices().values() for one in choice.tries)
    found = []
    for name in tries:
        if rows := find(task, name):
            loss, epochs = mean((row["val_loss"] for row in rows), 3), mean((row[f"reach_{GATE}"] for row in rows), 1)
            found.append(f"{name.removeprefix('tune:')} {loss} / {epochs}")
    head = f"rates, on seeds 0-4: validation loss / epochs to {marks(task)[GATE]}: "
    return [head + ", ".join(found)] if found else []


def compared(rows: Sequence[Row], base: Sequence[Row]) -> tuple[list[float], list[float]]:
    """Return differences to another method, seed by seed: of epochs where both get there, and of accuracies in %."""
    others = {row["seed"]: row for row in base}
    both = [(row, others[row["seed"]]) for row in rows if row["seed"] in others]
    key = f"reach_{GATE}"
    epochs = [float(a[key]) - float(b[key]) for a, b in both if a[key] and b[key]]
    return epochs, [100.0 * (float(a["test_accuracy"]) - float(b["test_accuracy"])) for a, b in both]


def difference(values: Sequence[float], digits: int = 2) -> str:
    """Return mean and standard error, and whether they tell anything: a tie within two standard errors of 0."""
    if len(values) < 2:
        return "never" if not values else f"{values[0]:+.{digits}f}"
    middle, error = statistics.fmean(values), statistics.stdev(values) / len(values) ** 0.5
    return f"{middle:+.{digits}f} ± {error:.{digits}f}" + (" tie" if abs(middle) <= 2.0 * error else "")


def ablation(task: str, names: Iterable[str], find: Find) -> list[str]:
    """Return what one part is worth: methods with it changed, against the same seeds of the method without."""
    found = []
    for base in BASES.values():
        changed = [name for name in names if base_of(name, task) == base]
        if not changed:
            continue
        head = f"one part of {base} changed, paired differences ± standard error"
        gate = marks(task)[GATE]
        found += [f"{head:<78}{f'epochs to {gate} (seeds)':>28}{'test accuracy, %':>24}{'val loss':>12}{'ms/ep':>8}"]
        for name in changed:
            rows = find(task, name)
            epochs, accuracy = compared(rows, find(task, base))
            each = statistics.fmean(1e3 * float(row["cpu"]) / int(row["epochs"]) for row in rows)
            told = f"{difference(epochs, 1)} ({len(epochs)})"
            loss = mean((row["val_loss"] for row in rows), 3)
            found.append(f"  {name:<76}{told:>28}{difference(accuracy):>24}{loss:>12}{each:8.1f}")
    return found


PAIRS: Sequence[tuple[str, str]] = (
    *(("natural", "adam"), ("natural-fast", "adam"), ("natural-swift", "adam")),
    *(("natural-swift", "adam-tuned"), ("natural-swift", "adam-swift"), ("natural", "adam-tuned")),
    *(("natural-fast", "adam-tuned"), ("natural-fast", "adam-swift")),
    *(("natural", "natural-expand"), ("natural-fast", "natural-fast-expand")),
    *(("self-natural", "natural"), ("self-adam", "adam"), ("self-natural", "self-adam")),
    *(("self-natural", "self-natural-expand"), ("self-natural-64-plain", "self-adam-64-plain")),
    *(("self-ssp-adam", "self-adam"), ("ssp-adam", "adam"), ("exact", "natural-fast")),
    *(("sage-natural", "sage-adam"), ("sage-natural-fast", "sage-adam"), ("sage-natural-swift", "sage-adam")),
    *(("gat-natural", "gat-adam"), ("gat-natural-fast", "gat-adam"), ("gat-natural-steady", "gat-adam")),
    *(("gat-dropped-natural", "gat-dropped-adam"), ("gat-dropped-natural-steady", "gat-dropped-adam")),
)
"""Methods that are compared seed by seed."""


def pairs(task: str, find: Find) -> list[str]:
    """Return the comparisons of methods that there are."""
    found = []
    for one, other in PAIRS:
        rows, base = find(task, one), find(task, other)
        if rows and base:
            epochs, accuracy = compared(rows, base)
            ratio = _ratio(rows, base)
            found.append(
                f"{f'{one} - {other}':<44} test accuracy {difference(accuracy)}, "
                f"epochs to {marks(task)[GATE]}: {difference(epochs, 1)} ({len(epochs)} seeds){ratio}"
            )
    return ["paired, ± standard error", *(f"  {one}" for one in found)] if found else []


def _ratio(rows: Sequence[Row], base: Sequence[Row], place: int = GATE) -> str:
    value = ratio(rows, base, place)
    return "" if value is None else f", {value:.2f} times"


def ratio(rows: Sequence[Row], base: Sequence[Row], place: int) -> float | None:
    """Return mean epochs to a mark as a multiple of another method's; None unless all seeds of both get there."""
    reach = [[row[f"reach_{place}"] for row in held] for held in (rows, base)]
    if not all(map(all, reach)):
        return None
    ours, theirs = (statistics.fmean(map(float, held)) for held in reach)
    return ours / theirs


BARS: Sequence[tuple[str, str, int | None, str, float]] = (
    ("cora", "natural", 2, "<=", 30.0),
    ("cora", "natural-fast", 2, "<=", 18.0),
    ("cora", "natural-swift", 2, "<=", 18.0),
    ("cora", "natural-fast-expand", 2, "<=", 18.0),
    *(("cora", name, None, ">=", 81.3) for name in ("natural", "natural-fast", "natural-swift", "natural-fast-expand")),
    ("cora", "self-natural", None, ">=", 83.0),
    ("cora", "self-natural-expand", None, ">=", 83.0),
    ("citeseer", "natural", 2, "<=", 34.0),
    ("citeseer", "natural-fast", 2, "<=", 19.0),
    ("citeseer", "natural-swift", 2, "<=", 19.0),
    *(("citeseer", name, None, ">=", 70.2) for name in ("natural", "natural-fast", "natural-swift")),
    ("citeseer", "self-natural-64-plain", None, ">=", 74.3),
    ("citeseer", "self-natural-64-plain-expand", None, ">=", 74.3),
    *(("cora:split=full", name, None, ">=", 87.3) for name in ("natural", "natural-fast", "natural-swift")),
    *(("cora:split=complete", name, None, ">=", 89.4) for name in ("natural", "natural-fast", "natural-swift")),
)
"""Task, method, which of the marks shall be reached (None: test accuracy), and the bar."""

RATIOS: Sequence[tuple[str, str, str, int, float]] = (
    *(("cora", name, "adam", 2, 0.2) for name in ("natural", "natural-fast", "natural-swift")),
    *(("cora", name, "adam-tuned", 2, 0.65) for name in ("natural-fast", "natural-swift")),
    *(("cora", name, "adam-swift", 2, 0.65) for name in ("natural-fast", "natural-swift")),
    *(("cora", f"sage-{name}", "sage-adam", 0, 0.5) for name in ("natural", "natural-fast", "natural-swift")),
    *(("cora", f"gat-{name}", "gat-adam", 0, 0.8) for name in ("natural", "natural-fast", "natural-steady")),
    *(("cora", f"gat-dropped-{name}", "gat-dropped-adam", 0, 0.8) for name in ("natural", "natural-steady")),
)
"""Task, two methods, which of the marks shall be reached, and in how many times the epochs of the second at most."""

WITHIN: Sequence[tuple[str, str, float]] = (
    *((name, "adam", 0.6) for name in ("natural", "natural-fast", "natural-swift")),
    *((f"{kind}-{name}", f"{kind}-adam", 1.0) for kind in ("sage", "gat") for name in ("natural", "natural-fast")),
    *((f"{kind}-natural-steady", f"{kind}-adam", 1.0) for kind in ("gat", "gat-dropped")),
    *(("sage-natural-swift", "sage-adam", 1.0), ("gat-dropped-natural", "gat-dropped-adam", 1.0)),
)
"""Methods whose test accuracy shall be so many points below another's at most."""


def verdicts(task: str, find: Find) -> list[str]:
    """Return what holds of the bars of the specification."""
    found = []
    for own, name, mark, sign, bar in BARS:
        rows = find(task, name) if own == task else ()
        if not rows:
            continue
        if mark is None:
            value = statistics.fmean(100.0 * float(row["test_accuracy"]) for row in rows)
        else:
            value = statistics.fmean(float(row[f"reach_{mark}"] or math.inf) for row in rows)
        what = f"epochs to {marks(task)[mark]}" if mark is not None else "test accuracy"
        found.append(_bar(f"{name}, {what}", sign, bar, value))
    for own, name, other, mark, bar in RATIOS:
        rows, base = find(task, name), find(task, other)
        if own == task and rows and base:
            times = ratio(rows, base, mark)
            what = f"{name}, epochs to {marks(task)[mark]} in those of {other}"
            found.append(_bar(what, "<=", bar, math.nan if times is None else times))
    for name, other, bar in WITHIN:
        rows, base = find(task, name), find(task, other)
        if rows and base:
            gap = statistics.fmean(compared(rows, base)[1])
            found.append(_bar(f"{name}, test accuracy less that of {other}", ">=", -bar, gap))
    return found


def _bar(what: str, sign: str, bar: float, value: float) -> str:
    holds = value <= bar if sign == "<=" else value >= bar
    return f"bar: {what} {sign} {bar:g}: {value:.2f}, {'holds' if holds else 'DOES NOT HOLD'}"
