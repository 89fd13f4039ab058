"""The op contract: registration, text, defaults."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass
from typing import ClassVar

import pytest

from archgraph import Graph, Op, Shape, ops
from archgraph.errors import SettingError, ShapeError
from archgraph.graph import Invariant, SizeRule, TensorSpec, require
from archgraph.registry import OPS


@dataclass(frozen=True, repr=False)
class Doubler(Op):
    """What a plug-in author writes: an op of two numbers."""

    factor: float
    shift: float = 0.5
    arity: ClassVar[tuple[int, int | None]] = (1, 1)

    def infer(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def rule(self, *inputs: Shape) -> SizeRule:
        return Invariant()


def test_an_op_registers_itself_and_is_read_from_text() -> None:
    assert OPS.get("Doubler") is Doubler
    text = "x = Input((3,))\ny = Doubler(2.0, shift=1.0)(x)\nz = Doubler(2.0)(y)\nreturn z\n"
    assert str(Graph.parse(text)) == text
    assert Graph.parse(text).op("z") == Doubler(2.0)


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (Doubler(3.0), "Doubler(3.0)"),
        (Doubler(factor=3.0, shift=0.5), "Doubler(3.0)"),
        (Doubler(3.0, 0.25), "Doubler(3.0, shift=0.25)"),
        (ops.Conv2d(4, kernel_size=(3, 3), stride=(1, 2)), "Conv2d(4, kernel_size=3, stride=(1, 2))"),
        (ops.ReLU(), "ReLU()"),
    ],
    ids=str,
)
def test_repr_shows_what_differs_from_the_defaults(op: Op, text: str) -> None:
    assert repr(op) == text
    assert eval(text, vars(ops) | {"Doubler": Doubler}) == op


def test_an_op_is_a_value() -> None:
    assert Doubler(2.0) == Doubler(2.0) != Doubler(3.0)
    assert len({Doubler(2.0), Doubler(2.0, 0.5), Doubler(3.0)}) == 2
    with pytest.raises(FrozenInstanceError):
        Doubler(2.0).factor = 3.0


def test_defaults_are_those_of_a_stateless_layer() -> None:
    op, shape = Doubler(2.0), Shape((3,))
    assert op.tensors(shape) == {} and op.macs(shape) == 0 and op.resized(5, shape) is op and op.module(shape) is None
    for method in (Op.infer, Op.rule):
        with pytest.raises(NotImplementedError):
            method(op, shape)
    with pytest.raises(NotImplementedError):
        op.forward((), (shape,))


def test_another_class_of_the_same_name_is_refused() -> None:
    with pytest.raises(SettingError, match=r"op 'Linear' is already defined in archgraph\.ops\.linear"):
        type("Linear", (Op,), {"__module__": "elsewhere"})
    assert OPS.get("Linear") is ops.Linear


def test_tensor_spec() -> None:
    assert TensorSpec((2, 3, 5), ("out", "in", None)).size == 30
    assert TensorSpec((), ()).size == 1
    with pytest.raises(SettingError, match="one role an axis"):
        TensorSpec((2, 3), ("out",))


def test_require() -> None:
    require(True, "fine")
    with pytest.raises(ShapeError, match="expected: 3") as caught:
        require(False, "too long", expected=3, got=5)
    assert (caught.value.what, caught.value.got) == ("too long", 5)
