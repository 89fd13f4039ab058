"""Reading activations, dropout and arithmetic."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor, fx, nn

from archgraph.reading.reader import Batch, Flow, Held, NotRead, Reader
from archgraph.reading.tables import function, layer, make
from archgraph.reading.tracing import VALUES
from archgraph.reading.twin import Evaluating


def flow_of(value: Any) -> Flow:
    """Return a value that must be a tensor of the batch.

    Raises:
        NotRead: when it is something else.
    """
    if not isinstance(value, Flow):
        raise NotRead("reads something else than a tensor of the batch where one is expected")
    return value


# ---------------------------------------------------------------------- activations
@function("relu")
def _relu(read: Reader, input: Any, inplace: bool = False) -> Flow:
    return read.add(make("ReLU"), flow_of(input))


@function("relu6")
def _relu6(read: Reader, input: Any, inplace: bool = False) -> Flow:
    return read.add(make("ReLU6"), flow_of(input))


@function("hardtanh", "clamp", "clip")
def _hardtanh(read: Reader, input: Any, min_val: Any = -1.0, max_val: Any = 1.0, inplace: bool = False,
             min: Any = None, max: Any = None) -> Flow:  # fmt: skip
    low, high = min_val if min is None else min, max_val if max is None else max
    if (low, high) != (0, 6):
        raise NotRead("clamps to another range than ReLU6's")
    return read.add(make("ReLU6"), flow_of(input))


@function("leaky_relu")
def _leaky_relu(read: Reader, input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Flow:
    return read.add(make("LeakyReLU", negative_slope=float(negative_slope)), flow_of(input))


@function("elu")
def _elu(read: Reader, input: Any, alpha: float = 1.0, inplace: bool = False) -> Flow:
    return read.add(make("ELU", alpha=float(alpha)), flow_of(input))


@function("gelu")
def _gelu(read: Reader, input: Any, approximate: str = "none") -> Flow:
    return read.add(make("GELU", approximate=approximate), flow_of(input))


@function("silu")
def _silu(read: Reader, input: Any, inplace: bool = False) -> Flow:
    return read.add(make("SiLU"), flow_of(input))


@function("mish")
def _mish(read: Reader, input: Any, inplace: bool = False) -> Flow:
    return read.add(make("Mish"), flow_of(input))


@function("hardswish")
def _hardswish(read: Reader, input: Any, inplace: bool = False) -> Flow:
    return read.add(make("Hardswish"), flow_of(input))


@function("hardsigmoid")
def _hardsigmoid(read: Reader, input: Any, inplace: bool = False) -> Flow:
    return read.add(make("Hardsigmoid"), flow_of(input))


@function("tanh")
def _tanh(read: Reader, input: Any) -> Flow:
    return read.add(make("Tanh"), flow_of(input))


@function("sigmoid", "expit")
def _sigmoid(read: Reader, input: Any) -> Flow:
    return read.add(make("Sigmoid"), flow_of(input))


@function("softplus")
def _softplus(read: Reader, input: Any, beta: float = 1.0, threshold: float = 20.0) -> Flow:
    if threshold != 20.0:
        raise NotRead(f"is linear above {threshold}, not above 20")
    return read.add(make("Softplus", beta=float(beta)), flow_of(input))


@function("softmax")
def _softmax(read: Reader, input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Flow:
    x = flow_of(input)
    if dim is None or dtype is not None:
        raise NotRead("has no explicit axis, or changes the type")
    return read.add(make("Softmax", read.dim(x, dim) + 1), x)


@function("log_softmax")
def _log_softmax(read: Reader, input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Flow:
    x = flow_of(input)
    if dim is None or dtype is not None:
        raise NotRead("has no explicit axis, or changes the type")
    return read.add(make("LogSoftmax", read.dim(x, dim) + 1), x)


@layer(nn.LogSoftmax)
def _(read: Reader, at: Any, x: Any) -> Flow:
    return _log_softmax(read, x, at.module.dim)


@function("glu")
def _glu(read: Reader, input: Any, dim: int = -1) -> Flow:
    x = flow_of(input)
    return read.add(make("GLU"), read.units_on(x, read.dim(x, dim)))


@layer(nn.GLU)
def _(read: Reader, at: Any, x: Any) -> Flow:
    return _glu(read, x, at.module.dim)


@layer(nn.ReLU)
def _(read: Reader, at: Any, x: Any) -> Flow:
    return _relu(read, x)


@layer(nn.ReLU6)
def _(read: Reader, at: Any, x: Any) -> Flow:
    return _relu6(read, x)


@layer(nn.Hardtanh)
def _(read: Reader, at: Any, x: Any) -> Flow:
    return _hardtanh(read, x, at.module.min_val, at.module.max_val)


@layer(nn.LeakyReLU)
def _(read: Reader, at: Any, x: Any) -> Flow:
    return _leaky_relu(read, x, at.module.negative_slope)


@layer(nn.ELU)
def _(read: Reader, at: Any, x: Any) -> Flow:
    return _elu(read, x, at.module.alpha)


@layer(nn.GELU)
def _(read: Reader, at: Any, x: Any) -> Flow:
    return _gelu(read, x, at.module.approximate)


@layer(nn.SiLU)
def _(read: Reader, at: Any, x: Any) -> Flow:
    return _silu(read, x)


@layer(nn.Mish)
def _(read: Reader, at: Any, x: Any) -> Flow:
    return _mish(read, x)


@layer(nn.Hardswish)
def _(read: Reader, at: Any, x: Any) -> Flow:
    return _hardswish(read, x)


@layer(nn.Hardsigmoid)
def _(read: Reader, at: Any, x: Any) -> Flow:
    return _hardsigmoid(read, x)


@layer(nn.Tanh)
def _(read: Reader, at: Any, x: Any) -> Flow:
    return _tanh(read, x)


@layer(nn.Sigmoid)
def _(read: Reader, at: Any, x: Any) -> Flow:
    return _sigmoid(read, x)


@layer(nn.Softplus)
def _(read: Reader, at: Any, x: Any) -> Flow:
    return _softplus(read, x, at.module.beta, at.module.threshold)


@layer(nn.Softmax)
def _(read: Reader, at: Any, x: Any) -> Flow:
    return _softmax(read, x, at.module.dim)


@layer(nn.PReLU)
def _(read: Reader, at: Any, x: Any) -> Flow:
    x = flow_of(x)
    per_unit = at.module.num_parameters > 1
    if per_unit and x.batch:
        raise NotRead("reads a tensor whose first axis is not that of the batch")
    return read.add(make("PReLU", per_unit=per_unit), read.units_on(x, 0) if per_unit else x, weights=at.held)


# ---------------------------------------------------------------------- what changes nothing, and dropout
@function("contiguous", "clone", "detach", "alias", "identity", "requires_grad_")
def _same(read: Reader, input: Any, *args: Any, memory_format: Any = None) -> Any:
    return input


@function("to", "type", "type_as", "float", "double", "cpu", "_to_copy")
def _to(read: Reader, input: Any, *args: Any, **kwargs: Any) -> Any:
    call = read.call
    before = call.args[0].meta[VALUES][0] if call is not None and isinstance(call.args[0], fx.Node) else None
    if isinstance(before, Tensor) and before.dtype == read.result[0].dtype:
        return input
    raise NotRead("changes the type")


@layer(nn.Identity)
def _(read: Reader, at: Any, x: Any) -> Any:
    return x


@function("dropout")
def _dropout(read: Reader, input: Any, p: float = 0.5, training: Any = True, inplace: bool = False) -> Flow:
    if not training and not isinstance(training, Evaluating):
        return flow_of(input)
    if not isinstance(training, Evaluating):
        raise NotRead("drops entries even when the model is not trained")
    return flow_of(input) if p == 0.0 else read.add(make("Dropout", p=float(p)), flow_of(input))


@layer(nn.Dropout)
def _(read: Reader, at: Any, x: Any) -> Flow:
    return flow_of(x) if at.module.p == 0.0 else read.add(make("Dropout", p=float(at.module.p)), flow_of(x))


# ---------------------------------------------------------------------- arithmetic
@function("add", "iadd")
def _add(read: Reader, input: Any, other: Any, *, alpha: Any = 1) -> Any:
    if alpha != 1:
        raise NotRead("adds a multiple")
    if isinstance(input, Flow) and isinstance(other, Flow):
        return _together(read, "Add", input, other)
    x, value = (input, other) if isinstance(input, Flow) else (other, input)
    if isinstance(value, Held):
        return _with_tensor(read, flow_of(x), value, plus=True)
    return _affine(read, flow_of(x), 1.0, _number(value))


@function("sub", "subtract", "isub")
def _sub(read: Reader, input: Any, other: Any, *, alpha: Any = 1) -> Any:
    if alpha != 1:
        raise NotRead("subtracts a multiple")
    if isinstance(input, Flow) and isinstance(other, Flow):
        return _together(read, "Subtract", input, other)
    if isinstance(input, Flow):
        return _affine(read, input, 1.0, -_number(other))
    return _affine(read, flow_of(other), -1.0, _number(input))


@function("rsub")
def _rsub(read: Reader, input: Any, other: Any, *, alpha: Any = 1) -> Any:
    return _sub(read, other, input, alpha=alpha)


@function("mul", "multiply", "imul")
def _mul(read: Reader, input: Any, other: Any) -> Any:
    if isinstance(input, Flow) and isinstance(other, Flow):
        return _together(read, "Multiply", input, other)
    x, value = (input, other) if isinstance(input, Flow) else (other, input)
    if isinstance(value, Held):
        return _with_tensor(read, flow_of(x), value, plus=False)
    return _affine(read, flow_of(x), _number(value), 0.0)


@function("truediv", "div", "divide", "true_divide", "itruediv")
def _div(read: Reader, input: Any, other: Any, *, rounding_mode: Any = None) -> Any:
    if rounding_mode is not None:
        raise NotRead("rounds")
    if isinstance(input, Flow) and isinstance(other, Flow):
        return _together(read, "Divide", input, other)
    if not isinstance(input, Flow) or not (number := _number(other)):
        raise NotRead("divides by a tensor of the batch, or by zero")
    return _affine(read, input, 1.0 / number, 0.0)


@function("pow", "square")
def _pow(read: Reader, input: Any, exponent: Any = 2) -> Any:
    if isinstance(exponent, bool) or exponent != 2:
        raise NotRead("takes another power than the second")
    return read.add(make("Multiply"), flow_of(input), flow_of(input))


@function("neg", "negative")
def _neg(read: Reader, input: Any) -> Any:
    return _affine(read, flow_of(input), -1.0, 0.0)


def _number(value: Any) -> float:
    if isinstance(value, Held) and value.value.numel() == 1 and not value.trainable:
        return float(value.value)
    if isinstance(value, bool | Batch) or not isinstance(value, int | float):
        raise NotRead(f"calculates with a {type(value).__name__.lower()}")
    return float(value)


def _affine(read: Reader, x: Flow, factor: float, shift: float) -> Flow:
    """``factor * x + shift`` with fixed numbers."""
    if factor == 1.0 and shift == 0.0:
        return x
    return read.add(make("Affine", factor, shift), x)


def _together(read: Reader, kind: str, one: Flow, other: Flow) -> Flow:
    first, second = read.shape(one), read.shape(other)
    if one.batch != other.batch:
        raise NotRead("brings tensors together whose batch axes differ")
    if len(first.dims) == len(second.dims) and first.unit_axis != second.unit_axis:
        try:
            other = read.units_on(other, first.unit_axis)
        except NotRead:
            one = read.units_on(one, second.unit_axis)
    return read.add(make(kind), one, other)


def _with_tensor(read: Reader, x: Flow, value: Held, *, plus: bool) -> Flow:
    """Add or multiply by a tensor of the model: positions, or a factor a unit."""
    if value.value.numel() == 1 and not value.trainable:
        number = float(value.value)
        return _affine(read, x, 1.0 if plus else number, number if plus else 0.0)
    if not value.trainable:
        raise NotRead("calculates with a tensor of the model that is not trained")
    shape, numbers = read.shape(x), value.value
    if x.batch:
        raise NotRead("calculates with a tensor of the model where the batch axis is not the first")
    sizes = (1,) * (len(shape.dims) + 1 - numbers.ndim) + tuple(numbers.shape)
    if len(sizes) != len(shape.dims) + 1 or sizes[0] != 1:
        raise NotRead("calculates with a tensor of the model that spreads the batch")
    if plus and sizes[1:] == shape.dims:
        return read.add(
            make("PositionalEmbedding"), x, weights={"weight": replace(value, value=numbers.reshape(shape.dims))}
        )
    axes = [axis for axis, size in enumerate(sizes[1:]) if size > 1]
    if not plus and len(axes) == 1 and sizes[axes[0] + 1] == shape.dims[axes[0]]:
        x = read.units_on(x, axes[0])
        return read.add(make("Scale"), x, weights={"weight": replace(value, value=numbers.reshape(-1))})
    raise NotRead("calculates with a tensor of the model that is neither positions nor a factor a unit")
