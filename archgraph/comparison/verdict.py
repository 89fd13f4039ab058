"""The table of a comparison: how good each driver's final picks are, and whether that differs from the first one's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from archgraph.comparison.paired import Paired, holm, paired
from archgraph.report.text_file import write_csv
from archgraph.search.objective import Objective

LEVEL = 0.05
"""Chance of a false alarm, over all drivers together."""

NOTHING = "–"
NOTE = (
    "mean ± standard deviation over seeds; difference and 95 % interval: to the first driver, paired by seed;\n"
    "p: paired t-test, for all drivers together (Holm); tie: it does not tell them apart at 5 %\n"
    "of budget: a training that has begun is finished, so a run may spend more"
)


@dataclass(frozen=True)
class Line:
    """One driver of a comparison.

    Args:
        driver: its name.
        seeds: runs with a final pick.
        mean: of the final picks' metric; NaN when there are none.
        deviation: standard deviation over seeds; NaN for one.
        pairs: seeds that the first driver has too; 0 for the first itself.
        difference: mean over pairs of this driver's metric less the first one's.
        low: lower end of the difference's 95 % interval.
        high: its upper end.
        p: of the paired t-test.
        p_all: the same, counted for all drivers together (:func:`archgraph.comparison.paired.holm`).
        rank_p: of Wilcoxon's test; None for few pairs.
        verdict: ``"reference"``, ``"better"``, ``"worse"``, ``"tie"``, or ``"too few seeds"``.
        params: mean over final picks.
        trainings: of all runs.
        failed: those that came to nothing.
        macs: mean of what a run spent, in multiply-accumulates.
        epochs: mean of what a run spent.
        seconds: mean of what a run spent.
        of_budget: mean over runs of the part of the budget that was spent.
    """

    driver: str
    seeds: int
    mean: float
    deviation: float
    pairs: int
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    p_all: float | None
    rank_p: float | None
    verdict: str
    params: float
    trainings: int
    failed: int
    macs: float
    epochs: float
    seconds: float
    of_budget: float


@dataclass(frozen=True)
class Table:
    """Lines of a comparison, the reference first; printed as text.

    Args:
        metric: what is compared, such as ``"test.error"``.
        lines: one a driver.
    """

    metric: str
    lines: tuple[Line, ...]

    def __iter__(self) -> Iterator[Line]:
        return iter(self.lines)

    def __getitem__(self, driver: str) -> Line:
        return {line.driver: line for line in self.lines}[driver]

    def texts(self) -> list[dict[str, str]]:
        """Return what is printed: a text for every column of every line."""
        places = _places([line.mean for line in self.lines] + [line.deviation for line in self.lines])
        return [self._texts(line, places) for line in self.lines]

    def _texts(self, line: Line, places: int) -> dict[str, str]:
        reference = line.verdict == "reference"
        interval = NOTHING if line.low is None else f"{line.low:+.{places}f} to {line.high:+.{places}f}"
        row = {
            "driver": line.driver,
            "seeds": str(line.seeds),
            self.metric.replace(".", " "): f"{_number(line.mean, places)} ± {_number(line.deviation, places)}",
            "difference": NOTHING if line.difference is None else f"{line.difference:+.{places}f}",
            "95 % interval": interval,
            "p": NOTHING if line.p_all is None else f"{line.p_all:.2g}",
        }
        if any(one.rank_p is not None for one in self.lines):
            row["p (ranks)"] = NOTHING if line.rank_p is None else f"{line.rank_p:.2g}"
        return row | {
            "": "first" if reference else line.verdict,
            "params": short(line.params),
            "trainings": str(line.trainings) + (f" ({line.failed} failed)" if line.failed else ""),
            "MACs a run": short(line.macs),
            "of budget": f"{100 * line.of_budget:.0f} %",
        }

    def __str__(self) -> str:
        rows = self.texts()
        widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]}
        left = ("driver", "")
        lines = [{name: name for name in widths}, *rows]
        shown = [
            "  ".join(f"{row[name]:{'<' if name in left else '>'}{width}}" for name, width in widths.items()).rstrip()
            for row in lines
        ]
        rule = "─" * (sum(widths.values()) + 2 * (len(widths) - 1))
        return "\n".join([shown[0], rule, *shown[1:], NOTE])

    def to_csv(self, path: str | Path) -> Path:
        """Write the lines, one a driver, with all digits; return the file.

        Raises:
            StorageError: when it cannot be written.
        """
        columns = ["metric", *(field.name for field in fields(Line))]
        return write_csv(path, ({"metric": self.metric, **asdict(line)} for line in self.lines), columns)


def differences(
    metric: str, values: Mapping[str, Mapping[int, float]]
) -> dict[str, tuple[Paired | None, float | None, str]]:
    """Compare every driver with the first: the paired statistics, p for all drivers together, and the verdict.

    Args:
        metric: what the values are, which says whether more is better.
        values: of the final picks, by driver and seed.
    """
    first = next(iter(values))
    sign = Objective(metric).sign
    found: dict[str, Paired] = {}
    for driver, runs in values.items():
        seeds = [seed for seed in runs if seed in values[first]]
        if driver != first and seeds:
            found[driver] = paired([runs[seed] for seed in seeds], [values[first][seed] for seed in seeds])
    tested = {driver: one.p for driver, one in found.items() if one.p is not None}
    together = dict(zip(tested, holm(list(tested.values())), strict=True))
    return {
        driver: (
            found.get(driver),
            together.get(driver),
            "reference" if driver == first else _verdict(found.get(driver), together.get(driver), sign),
        )
        for driver in values
    }


def _verdict(found: Paired | None, p: float | None, sign: float) -> str:
    if found is None or p is None:
        return "too few seeds"
    if p >= LEVEL:
        return "tie"
    return "better" if sign * found.difference < 0 else "worse"


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and standard deviation, NaN where there is none.

    >>> spread([1.0, 3.0]), spread([2.0])
    ((2.0, 1.4142135623730951), (2.0, nan))
    """
    if not values:
        return math.nan, math.nan
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, math.nan
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def short(value: float) -> str:
    """Write a number with three digits and a letter for its size.

    >>> short(0.0), short(12), short(1234.0), short(2.0349e11), short(math.nan)
    ('0', '12', '1.23k', '203G', '–')
    """
    if not math.isfinite(value):
        return NOTHING
    for letter, size in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= 0.9995 * size:
            return f"{float(f'{value / size:.3g}'):g}{letter}"
    return f"{float(f'{value:.3g}'):g}"


def _number(value: float, places: int) -> str:
    return NOTHING if math.isnan(value) else f"{value:.{places}f}"


def _places(values: Sequence[float]) -> int:
    """Return decimals that give the largest four significant digits."""
    sizes = [abs(value) for value in values if math.isfinite(value) and value]
    return max(0, 3 - math.floor(math.log10(max(sizes)))) if sizes else 4
