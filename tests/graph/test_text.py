"""The text form: it parses back; every error shows line and column; nothing in it is executed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgraph import Graph
from archgraph.errors import ArchGraphError, ParseError, UnknownName
from tests import strategies as some


@settings(max_examples=100)
@given(some.graphs())
def test_round_trip(graph: Graph) -> None:
    again = Graph.parse(str(graph))
    assert again == graph and str(again) == str(graph)


def test_what_a_person_may_write() -> None:
    text = "# a net\r\nx = Input([3])\r\n\r\ny = Linear(5,\r\n bias=False)(\r\n x)\r\nz = ReLU()(y); return (z, y)"
    assert str(Graph.parse(text)) == "x = Input((3,))\ny = Linear(5, bias=False)(x)\nz = ReLU()(y)\nreturn z, y\n"


X = "x = Input((3,))\n"
MALFORMED = [
    ("nothing", "", 1, 1, "the last line must be `return"),
    ("no return", X + "y = ReLU()(x)\n", 3, 1, "the last line must be `return"),
    ("bare return", X + "return", 2, 1, "expected the names of the outputs"),
    ("return of a number", X + "return x, 3", 2, 11, "expected the name of a node"),
    ("return of a call", X + "return x()", 2, 8, "expected the name of a node"),
    ("after return", X + "return x\ny = ReLU()(x)", 2, 1, "expected `name = Op(...)(inputs)`"),
    ("two returns", X + "return x\nreturn x", 2, 1, "expected `name = Op(...)(inputs)`"),
    ("syntax", X + "y = ReLU(()(x)\nreturn y", 2, 9, "'(' was never closed"),
    ("import", "import os\nreturn x", 1, 1, "expected `name = Op(...)(inputs)`"),
    ("expression", X + "ReLU()(x)\nreturn x", 2, 1, "expected `name = Op(...)(inputs)`"),
    ("two targets", X + "y = z = ReLU()(x)\nreturn y", 2, 1, "expected `name = Op(...)(inputs)`"),
    ("tuple target", X + "y, z = ReLU()(x)\nreturn y", 2, 1, "expected `name = Op(...)(inputs)`"),
    ("annotated", X + "y: int = ReLU()(x)\nreturn y", 2, 1, "expected `name = Op(...)(inputs)`"),
    ("no call", X + "y = x\nreturn y", 2, 5, "expected `Op(...)(inputs)`"),
    ("sum", X + "y = ReLU()(x) + ReLU()(x)\nreturn y", 2, 5, "expected `Op(...)(inputs)`"),
    ("lambda", X + "y = (lambda: 1)(x)\nreturn y", 2, 6, "expected the name of an op"),
    ("attribute", X + "y = ops.ReLU()(x)\nreturn y", 2, 5, "expected the name of an op"),
    ("three calls", X + "y = ReLU()()(x)\nreturn y", 2, 5, "expected the name of an op"),
    ("tie to a call", X + "y = Linear(2)(x) @ z()\nreturn y", 2, 20, "expected the name of the node whose weights"),
    ("input is a number", X + "y = ReLU()(3)\nreturn y", 2, 12, "expected the name of a node"),
    ("input is a keyword", X + "y = ReLU()(input=x)\nreturn y", 2, 18, "inputs are given by name alone"),
    ("input is starred", X + "y = Add()(*x)\nreturn y", 2, 11, "expected the name of a node"),
    ("option is a name", X + "y = Linear(x)(x)\nreturn y", 2, 12, "expected a number, a string"),
    ("option is a call", X + "y = Linear(__import__('os').system('true'))(x)\nreturn y", 2, 12, "expected a number"),
    ("option is starred", X + "y = Linear(*[2])(x)\nreturn y", 2, 12, "expected a number"),
    ("option is a product", X + "y = Linear(9 ** 9)(x)\nreturn y", 2, 12, "expected a number"),
    ("options unpacked", X + "y = Linear(2, **{'bias': 0})(x)\nreturn y", 2, 17, "`**` is not part"),
    ("option unknown", X + "y = Linear(2, width=3)(x)\nreturn y", 2, 5, "Linear: got an unexpected keyword"),
    ("option missing", X + "y = Linear()(x)\nreturn y", 2, 5, "Linear: missing 1 required positional argument"),
    ("option of a wrong type", X + "y = Linear('wide')(x)\nreturn y", 2, 5, "Linear: "),
    ("option is a list", X + "y = LeakyReLU([0.1])(x)\nreturn y", 2, 5, "LeakyReLU: "),
    ("option out of range", X + "y = Linear(0)(x)\nreturn y", 2, 5, "Linear: "),
    ("after a wide letter", X + "y = Linear('é', x)(x)\nreturn y", 2, 17, "expected a number"),
    ("formatted string", X + "y = Linear(f'{x}')(x)\nreturn y", 2, 12, "expected a number"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "column", "what"), [case[1:] for case in MALFORMED], ids=[c[0] for c in MALFORMED]
)
def test_errors_show_line_and_column(text: str, line: int, column: int, what: str) -> None:
    with pytest.raises(ParseError) as caught:
        Graph.parse(text)
    assert caught.value.what.startswith(f"line {line}, column {column}: {what}")
    shown, caret = str(caught.value.place).split("\n")
    assert shown == [*text.split("\n"), ""][line - 1]
    assert caret == " " * (column - 1) + "^"


def test_indentation() -> None:
    with pytest.raises(ParseError, match=r"line 2, column .: unexpected indent"):
        Graph.parse(X + "  y = ReLU()(x)\nreturn y")


def test_an_option_given_twice() -> None:
    with pytest.raises(ParseError, match=r"line 2, column .*(given twice|repeated)"):
        Graph.parse(X + "y = Linear(2, bias=True, bias=False)(x)\nreturn y")


@pytest.mark.parametrize(
    ("text", "line", "column", "hint"),
    [
        (X + "y = Relu()(x)\nreturn y", 2, 5, "did you mean 'ReLU'?"),
        (X + "y = Conv2D(3)(x)\nreturn y", 2, 5, "did you mean 'Conv2d'?"),
        (X + "yy = __import__('os')(x)\nreturn yy", 2, 6, None),
        (X + "y = eval('1')\nreturn y", 2, 5, None),
    ],
    ids=["ReLU", "Conv2d", "import", "eval"],
)
def test_unknown_ops(text: str, line: int, column: int, hint: str | None) -> None:
    with pytest.raises(UnknownName, match=f"line {line}, column {column}: unknown op") as caught:
        Graph.parse(text)
    assert caught.value.hint == hint and str(caught.value.place).endswith("^")


def test_an_impossible_shape_is_shown_in_the_text() -> None:
    with pytest.raises(ArchGraphError) as caught:
        Graph.parse("x = Input((1, 8, 8))\ny = Linear(10)(x)\nreturn y")
    assert str(caught.value).splitlines()[-3:] == [
        "  | x = Input((1, 8, 8))   # 1x8x8",
        "  | y = Linear(10)(x)",
        "  | ^",
    ]


HOSTILE = {
    "parentheses": X + "y = ReLU" + "(" * 5000 + ")" * 5000 + "\nreturn y",
    "calls": X + "y = ReLU" + "()" * 5000 + "\nreturn y",
    "minuses": X + "y = Linear(" + "-" * 5000 + "1)(x)\nreturn y",
    "brackets": X + "y = Linear(" + "[" * 150 + "]" * 150 + ")(x)\nreturn y",
    "long number": X + "y = Linear(" + "9" * 5000 + ")(x)\nreturn y",
    "null": X + "y = ReLU()(x)\0\nreturn y",
    "code": "x = Input((open('/etc/passwd').read(),))\nreturn x",
    "comprehension": "x = Input(tuple(1 for _ in iter(int, 1)))\nreturn x",
    "walrus": "x = Input((y := 3,))\nreturn x",
    "decorator": "@x\ndef y(): pass\nreturn y",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_a_plain_error(text: str) -> None:
    with pytest.raises(ArchGraphError):
        Graph.parse(text)


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_text_is_read_or_refused(data: st.DataObject) -> None:
    text = str(data.draw(some.graphs()))
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, min(begin + 3, len(text))))
    damaged = text[:begin] + data.draw(st.text("()[]=@,_*-.0129ReLUx'# \n\t\\é", max_size=3)) + text[end:]
    try:
        graph = Graph.parse(damaged)
    except ArchGraphError:
        return
    assert Graph.parse(str(graph)) == graph
