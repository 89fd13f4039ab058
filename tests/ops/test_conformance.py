"""Every op against the contract, by one body."""

from __future__ import annotations

import pytest

from archgraph import ops
from archgraph.graph import Op, Shape
from archgraph.registry import OPS
from archgraph.testing import check_op

VECTOR, TOKENS, LINE, IMAGE = Shape((5,)), Shape((3, 7), unit_axis=1), Shape((4, 7)), Shape((4, 7, 9))

CASES: dict[str, tuple[Op, tuple[Shape, ...]]] = {
    "input": (ops.Input((3, 7)), ()),
    "input-tokens": (ops.Input((3, 7), unit_axis=-1), ()),
    "linear": (ops.Linear(7), (VECTOR,)),
    "linear-plain": (ops.Linear(3, bias=False), (VECTOR,)),
    "linear-tokens": (ops.Linear(4), (TOKENS,)),
    "linear-grid": (ops.Linear(4), (Shape((2, 3, 5), unit_axis=2),)),
    "conv": (ops.Conv2d(6, kernel_size=3), (IMAGE,)),
    "conv-plain": (ops.Conv2d(6, kernel_size=3, bias=False), (IMAGE,)),
    "conv-oblong": (ops.Conv2d(5, kernel_size=(2, 3), stride=(3, 2), padding=(2, 1), dilation=(1, 2)), (IMAGE,)),
    "conv-dilated": (ops.Conv2d(5, kernel_size=3, dilation=(3, 4)), (IMAGE,)),
    "conv-same": (ops.Conv2d(5, kernel_size=(3, 5), padding="same", dilation=(2, 1)), (IMAGE,)),
    "conv-same-even": (ops.Conv2d(5, kernel_size=(2, 4), padding="same", dilation=2), (IMAGE,)),
    "conv-wide-padding": (ops.Conv2d(3, kernel_size=2, padding=4, stride=5), (IMAGE,)),
    "conv-exact-fit": (ops.Conv2d(3, kernel_size=(7, 9)), (IMAGE,)),
    "depthwise": (ops.Conv2d(4, kernel_size=3, groups=4, padding=1), (IMAGE,)),
    "depthwise-multiplied": (ops.Conv2d(12, kernel_size=(3, 2), groups=4, stride=2), (IMAGE,)),
    "grouped": (ops.Conv2d(6, kernel_size=3, groups=2), (IMAGE,)),
    "batch-norm-vector": (ops.BatchNorm(), (VECTOR,)),
    "batch-norm-line": (ops.BatchNorm(momentum=0.3), (LINE,)),
    "batch-norm-image": (ops.BatchNorm(eps=1e-3), (IMAGE,)),
    "batch-norm-plain": (ops.BatchNorm(affine=False), (IMAGE,)),
    "layer-norm": (ops.LayerNorm(), (VECTOR,)),
    "layer-norm-tokens": (ops.LayerNorm(eps=1e-3), (TOKENS,)),
    "layer-norm-plain": (ops.LayerNorm(affine=False), (TOKENS,)),
    "relu": (ops.ReLU(), (IMAGE,)),
    "leaky-relu": (ops.LeakyReLU(negative_slope=0.3), (VECTOR,)),
    "gelu": (ops.GELU(), (TOKENS,)),
    "gelu-tanh": (ops.GELU(approximate="tanh"), (TOKENS,)),
    "silu": (ops.SiLU(), (IMAGE,)),
    "tanh": (ops.Tanh(), (VECTOR,)),
    "sigmoid": (ops.Sigmoid(), (VECTOR,)),
    "softplus": (ops.Softplus(beta=2.5), (VECTOR,)),
    "gaussian": (ops.Gaussian(), (IMAGE,)),
    "identity": (ops.Identity(), (IMAGE,)),
    "dropout": (ops.Dropout(0.3), (IMAGE,)),
    "max-pool": (ops.MaxPool2d(2), (IMAGE,)),
    "max-pool-oblong": (ops.MaxPool2d((3, 4), stride=(2, 3), padding=(1, 2)), (IMAGE,)),
    "avg-pool": (ops.AvgPool2d(3), (IMAGE,)),
    "avg-pool-oblong": (ops.AvgPool2d((2, 5), stride=(1, 2), padding=(1, 0)), (IMAGE,)),
    "global-avg-pool": (ops.GlobalAvgPool(), (IMAGE,)),
    "global-avg-pool-line": (ops.GlobalAvgPool(), (LINE,)),
    "global-max-pool": (ops.GlobalMaxPool(), (IMAGE,)),
    "flatten-vector": (ops.Flatten(), (VECTOR,)),
    "flatten-image": (ops.Flatten(), (IMAGE,)),
    "flatten-tokens": (ops.Flatten(), (TOKENS,)),
    "flatten-grid": (ops.Flatten(), (Shape((2, 3, 5), unit_axis=2),)),
    "flatten-middle": (ops.Flatten(), (Shape((2, 3, 5), unit_axis=1),)),
    "add": (ops.Add(), (IMAGE, IMAGE)),
    "add-three": (ops.Add(), (TOKENS, TOKENS, TOKENS)),
    "multiply": (ops.Multiply(), (VECTOR, VECTOR)),
    "multiply-three": (ops.Multiply(), (IMAGE, IMAGE, IMAGE)),
    "concat-one": (ops.Concat(), (VECTOR,)),
    "concat-images": (ops.Concat(), (IMAGE, IMAGE.resized(3), IMAGE.resized(2))),
    "concat-tokens": (ops.Concat(), (TOKENS, TOKENS.resized(2))),
}


@pytest.mark.parametrize(("op", "shapes"), CASES.values(), ids=CASES)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
def test_op_keeps_its_contract(op: Op, shapes: tuple[Shape, ...]) -> None:
    check_op(op, *shapes)


def test_every_op_has_a_case() -> None:
    shipped = {name for name in OPS if OPS.get(name).__module__.startswith("archgraph.ops")}
    assert {type(op).__name__ for op, _ in CASES.values()} == shipped
