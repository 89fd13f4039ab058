"""Blocks of curvature: each keeps the Fisher information of a few parameters and divides gradients by it.

All a block knows is in the optimizer's state of its first parameter, tensors by name, so that a state dictionary, a
checkpoint or an edit of the graph carries it. Factors are float32 or better, whatever the parameters are.

Letters: ``D`` inputs (a bias's 1 among them), ``U`` outputs, ``K`` rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.utils.weak import WeakTensorKeyDictionary

from archgraph.linalg.kronecker import compress, damped_inverse, row_core, solve_rows, split_damping
from optimizers.natural_gradient.entries import entries_of, few
from optimizers.natural_gradient.statistics import moment

State = dict[str, Any]
Settings = Mapping[str, Any]
"""Of a parameter group."""

WIDE = 1024
"""Inputs from which on a factor is kept as rows even where batches differ, without an average over them."""

MEMORY = 0.9
"""Least decay of the average of a diagonal, which one sample estimates badly."""

_CURVATURE = ("input_", "output_", "fisher_")
"""Beginnings of the names of what is known of curvature in a state."""

_GRAMS: MutableMapping[Tensor, tuple[int, Tensor]] = WeakTensorKeyDictionary()
"""Inner products of rows of wide input factors, with the version of the rows."""


@dataclass(frozen=True, eq=False)
class Block(ABC):
    """The curvature of some parameters.

    Args:
        parameters: whose state the first of them holds.
    """

    parameters: tuple[Parameter, ...]

    def join(self, state: State, parts: Sequence[Tensor]) -> Tensor:
        """Return tensors like the parameters as one, of the factors' type: what is multiplied and divided."""
        return parts[0].to(next(value.dtype for name, value in state.items() if name.startswith(_CURVATURE)))

    def apart(self, joined: Tensor) -> list[Tensor]:
        """Return what :meth:`join` made of them as tensors like the parameters."""
        return [joined]

    @abstractmethod
    def multiply(self, state: State, joined: Tensor) -> Tensor:
        """Multiply by the Fisher information, undamped."""

    @abstractmethod
    def solve(self, state: State, joined: Tensor, damping: float) -> Tensor:
        """Divide by the Fisher information, damped: the natural gradient."""

    @abstractmethod
    def trace(self, state: State) -> float:
        """Return the trace of the Fisher information."""

    def known(self, state: State) -> bool:
        """Whether there is curvature."""
        return any(name.startswith(_CURVATURE) for name in state)

    def strange(self, state: State) -> bool:
        """Whether all that is known is a diagonal, though this block has another form: its layer was never called."""
        return "fisher_diagonal" in state and "output_factor" not in state

    def finish(self, state: State, settings: Settings) -> None:  # noqa: B027
        """Invert what was averaged; where that is cheap it is done at each step instead."""


class Kronecker(Block):
    """``A x G`` of a layer's weight, and of its bias as one more column of it."""

    def absorb(
        self,
        state: State,
        inputs: Tensor | None,  # [K, D]  times the roots of the rows' weights, which sum to 1
        output: Tensor,  # [U, U]
        settings: Settings,
        *,
        fixed: bool,
    ) -> None:
        """Take what a batch says of the factors into their averages; what is not finite is left out.

        A wide input factor is kept as rows: always those of the latest batch where the rows are ``fixed``, the same
        nodes every time. What an average was begun of stays one. Without inputs the rows that are known stay.
        """
        if inputs is None:
            inputs = state["input_rows"]
        same = state.get("input_rows") is inputs
        if not torch.isfinite(output.sum() if same else output.sum() + inputs.sum()):
            return
        _average(state, "output_factor", output, settings["ema"])
        width = inputs.shape[1]
        if same:
            return  # and so is what is known of them
        if len(inputs) < width and ((fixed and "input_factor" not in state) or width > WIDE):
            rows, tail = compress(inputs, settings["rank"]) if settings["rank"] else (inputs, 0.0)
            if "input_few" not in state:  # once: a run that goes on elsewhere must compute in the same order
                state["input_few"] = torch.tensor(float(few(rows)))
            if "input_rows" in state and _equal(state["input_rows"], rows) and state["input_rows"] in _GRAMS:
                _GRAMS[rows] = rows._version, _gram(state)
            state["input_rows"] = rows
            state["input_tail"] = torch.tensor(tail, dtype=torch.float64)
            state.pop("input_factor", None)
        else:
            for name in ("input_rows", "input_tail", "input_few"):
                state.pop(name, None)
            _average(state, "input_factor", moment(inputs), settings["ema"])

    def finish(self, state: State, settings: Settings) -> None:
        if "output_factor" not in state:
            return
        a, b = self._split(state, settings["damping"])
        state["output_inverse"] = damped_inverse(state["output_factor"], b)
        if "input_rows" in state:
            a += float(state["input_tail"])
            state["input_inverse"] = row_core(_gram(state), a)
            state["input_damping"] = torch.tensor(a, dtype=torch.float64)
        else:
            state["input_inverse"] = damped_inverse(state["input_factor"], a)

    def join(self, state: State, parts: Sequence[Tensor]) -> Tensor:  # [U, D]
        flat = parts[0].flatten(1)
        joined = flat if len(parts) == 1 else torch.cat((flat, parts[1].unsqueeze(1)), dim=1)
        return joined.to(state["output_factor"].dtype)

    def apart(self, joined: Tensor) -> list[Tensor]:
        shape = self.parameters[0].shape
        if len(self.parameters) == 1:
            return [joined.reshape(shape)]
        return [joined[:, :-1].reshape(shape), joined[:, -1]]

    def solve(self, state: State, joined: Tensor, damping: float) -> Tensor:
        if "input_inverse" not in state or "output_inverse" not in state:  # the factors came through an edit
            self.finish(state, {"damping": damping})
        if "input_rows" in state:
            a, rows, core = float(state["input_damping"]), state["input_rows"], state["input_inverse"]
            right = entries_of(rows).solve(joined, core, a) if _few(state) else solve_rows(joined, rows, core, a)
        else:
            right = joined @ state["input_inverse"]
        return torch.mm(state["output_inverse"], right)

    def multiply(self, state: State, joined: Tensor) -> Tensor:
        if "input_rows" in state:
            rows = state["input_rows"]
            right = torch.addmm(joined, joined @ rows.mT, rows, beta=float(state["input_tail"]))
        else:
            right = joined @ state["input_factor"]
        return torch.mm(state["output_factor"], right)

    def trace(self, state: State) -> float:
        return float(self._input_trace(state)) * float(state["output_factor"].trace())

    def spectra(self, state: State) -> tuple[Tensor, Tensor]:  # [D] or [K], [U]
        """Return the eigenvalues of the factors, ascending; of a wide one those that its rows have."""
        rows = state.get("input_rows")
        inputs = state["input_factor"] if rows is None else rows @ rows.mT
        values = torch.linalg.eigvalsh(inputs.double())
        tail = 0.0 if rows is None else float(state["input_tail"])
        return values + tail, torch.linalg.eigvalsh(state["output_factor"].double())

    def _input_trace(self, state: State) -> Tensor:
        if "input_rows" in state:
            rows = state["input_rows"]
            return _gram(state).trace() + float(state["input_tail"]) * rows.shape[1]
        trace: Tensor = state["input_factor"].trace()
        return trace

    def _split(self, state: State, damping: float) -> tuple[float, float]:
        output = state["output_factor"]
        width = (state["input_rows"] if "input_rows" in state else state["input_factor"]).shape[1]
        return split_damping(damping, self._input_trace(state) / width, output.trace() / len(output))


class Shift(Block):
    """The full block of a bias that no weight's block takes in: the second moment of the gradients at the outputs."""

    def absorb(self, state: State, output: Tensor, settings: Settings) -> None:
        """Take what a batch says, ``[U, U]``, into the average."""
        if torch.isfinite(output).all():
            _average(state, "output_factor", output, settings["ema"])

    def finish(self, state: State, settings: Settings) -> None:
        if "output_factor" in state:
            state["output_inverse"] = damped_inverse(state["output_factor"], settings["damping"])

    def solve(self, state: State, joined: Tensor, damping: float) -> Tensor:
        if "output_inverse" not in state:
            self.finish(state, {"damping": damping})
        return torch.mv(state["output_inverse"], joined)

    def multiply(self, state: State, joined: Tensor) -> Tensor:
        return torch.mv(state["output_factor"], joined)

    def trace(self, state: State) -> float:
        return float(state["output_factor"].trace())


class Units(Block):
    """Weight and bias of a norm layer: one 2 x 2 block a unit (Osawa et al., arXiv 2002.06015, section 4.3)."""

    def absorb(self, state: State, scale: Tensor, shift: Tensor, settings: Settings) -> None:
        """Take gradients of weight and bias of every sample into the averages.

        Args:
            state: of the weight.
            scale: ``[K, *units]`` gradients of the weight.
            shift: likewise of the bias.
            settings: of the group.
        """
        if torch.isfinite(scale).all() and torch.isfinite(shift).all():
            for name, product in (("scale", scale * scale), ("shift", shift * shift), ("cross", scale * shift)):
                _average(state, f"fisher_{name}", product.sum(0), settings["ema"])

    def join(self, state: State, parts: Sequence[Tensor]) -> Tensor:  # [2, *units]
        return torch.stack(tuple(parts)).to(state["fisher_scale"].dtype)

    def apart(self, joined: Tensor) -> list[Tensor]:
        return [joined[0], joined[1]]

    def solve(self, state: State, joined: Tensor, damping: float) -> Tensor:
        a, d, b = state["fisher_scale"] + damping, state["fisher_shift"] + damping, state["fisher_cross"]
        x, y = joined
        determinant = a * d - b * b
        tiny = torch.finfo(a.dtype).eps * (a * d)
        safe = torch.where(determinant > tiny, determinant, torch.inf)  # a flat unit stays where it is
        return torch.stack(((d * x - b * y) / safe, (a * y - b * x) / safe))

    def multiply(self, state: State, joined: Tensor) -> Tensor:
        a, d, b = state["fisher_scale"], state["fisher_shift"], state["fisher_cross"]
        x, y = joined
        return torch.stack((a * x + b * y, b * x + d * y))

    def trace(self, state: State) -> float:
        return float(state["fisher_scale"].sum() + state["fisher_shift"].sum())


class Diagonal(Block):
    """The diagonal of any other parameter: squares of gradients for drawn targets, whose mean it is.

    One draw a batch is noisy, so the average is long and begins at the mean of the first.
    """

    def strange(self, state: State) -> bool:
        return False

    def absorb(self, state: State, squares: Tensor, settings: Settings) -> None:
        """Take what a batch says into the average."""
        if not torch.isfinite(squares).all():
            return
        if "fisher_diagonal" not in state:
            state["fisher_diagonal"] = squares.mean().expand_as(squares).clone()
        _average(state, "fisher_diagonal", squares, max(settings["ema"], MEMORY))

    def solve(self, state: State, joined: Tensor, damping: float) -> Tensor:
        diagonal = state["fisher_diagonal"] + damping
        return torch.where(diagonal > 0.0, joined / diagonal, 0.0)

    def multiply(self, state: State, joined: Tensor) -> Tensor:
        found: Tensor = state["fisher_diagonal"] * joined
        return found

    def trace(self, state: State) -> float:
        return float(state["fisher_diagonal"].sum())


def _gram(state: State) -> Tensor:  # [K, K]
    """Return the inner products of the rows of a wide input factor, kept as long as there are these rows."""
    rows: Tensor = state["input_rows"]
    known = _GRAMS.get(rows)
    if known is None or known[0] != rows._version:
        known = _GRAMS[rows] = rows._version, (entries_of(rows).rows if _few(state) else rows) @ rows.mT
    return known[1]


def _few(state: State) -> bool:
    """Whether rows of a wide input factor are multiplied by their entries."""
    return bool(state.get("input_few", 0.0) > 0.0)


def _equal(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one[:1], other[:1]) and torch.equal(one, other)  # rows of dropped features differ at once


def _average(state: State, name: str, new: Tensor, decay: float) -> None:
    """Move a running average; the first value is taken as it is, and so is one of another size."""
    old = state.get(name)
    state[name] = new if old is None or old.shape != new.shape else torch.lerp(new, old.to(new.dtype), decay)
