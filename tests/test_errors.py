"""Errors say what, expected, got, the way out and the place; they pickle, and derive from what a user would catch."""

from __future__ import annotations

import pickle

import pytest

from archgraph import errors


def test_message() -> None:
    error = errors.GraphError("it is wrong", expected=3, got=0, hint="mend it", place="line one\n^")
    assert str(error) == "it is wrong\n  expected: 3\n  got:      0\n  try:      mend it\n  | line one\n  | ^"
    assert str(errors.UnknownName("only what")) == "only what"


FAMILY = [
    (errors.GraphError, ValueError),
    (errors.ShapeError, errors.GraphError),
    (errors.ParseError, errors.GraphError),
    (errors.MoveRefused, ValueError),
    (errors.SettingError, ValueError),
    (errors.UnknownName, KeyError),
    (errors.DataError, ValueError),
    (errors.StorageError, OSError),
    (errors.EvaluationFailed, RuntimeError),
]


@pytest.mark.parametrize(("kind", "builtin"), FAMILY, ids=[kind.__name__ for kind, _ in FAMILY])
def test_family_and_pickle(kind: type[errors.ArchGraphError], builtin: type[Exception]) -> None:
    error = kind("what", expected="this", got="that", hint="so", place="here")
    assert issubclass(kind, builtin) and issubclass(kind, errors.ArchGraphError)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind and str(again) == str(error) and vars(again) == vars(error)


@pytest.mark.parametrize(
    ("name", "known", "hint", "expected"),
    [
        ("adma", ["sgd", "adam"], "did you mean 'adam'?", "one of adam, sgd"),
        ("zzz", ["sgd", "adam"], None, "one of adam, sgd"),
        ("a", [], None, "no optimizer is known"),
    ],
    ids=["near", "far", "none"],
)
def test_unknown_names(name: str, known: list[str], hint: str | None, expected: str) -> None:
    error = errors.UnknownName.among("optimizer", name, known)
    assert (error.what, error.hint, error.expected) == (f"unknown optimizer {name!r}", hint, expected)


def test_a_long_list_is_cut() -> None:
    assert str(errors.UnknownName.among("node", "x", [f"n{i:03}" for i in range(90)]).expected).endswith(
        "n029, ... (90 in all)"
    )
