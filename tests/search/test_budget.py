"""Budgets: checks, text, what is spent and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from archgraph import Budget
from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import Ledger

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "zero": ({"evaluations": 0}, "evaluations must be a positive number"),
    "negative": ({"seconds": -1.0}, "seconds must be a positive number"),
    "NaN": ({"train_macs": math.nan}, "train_macs must be a positive number"),
    "text": ({"epochs": "3"}, "epochs must be a positive number"),
    "True": ({"evaluations": True}, "evaluations must be a positive number"),
    "half an evaluation": ({"evaluations": 1.5}, "evaluations must be a whole number"),
    "half a parameter": ({"max_params": 0.5}, "max_params must be a whole number"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_wrong_limits(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Budget(**given)


def test_parse() -> None:
    texts = {"evaluations": "8", "epochs": "2.5", "seconds": "1e3", "max_params": "1e4"}
    assert Budget.parse(texts) == Budget(evaluations=8, epochs=2.5, seconds=1000.0, max_params=10000)
    assert type(Budget.parse({"max_params": "1e4"}).max_params) is int
    assert Budget.parse({}) == Budget()


PARSE: dict[str, tuple[dict[str, str], type[Exception], str]] = {
    "unknown limit": ({"evaluation": "8"}, UnknownName, "did you mean 'evaluations'"),
    "no number": ({"seconds": "soon"}, SettingError, "seconds must be a positive number"),
    "negative": ({"seconds": "-3"}, SettingError, "seconds must be a positive number"),
    "not whole": ({"evaluations": "2.5"}, SettingError, "evaluations must be a whole number"),
    "NaN": ({"evaluations": "nan"}, SettingError, "evaluations must be a positive number"),
    "infinite": ({"evaluations": "inf"}, SettingError, "evaluations must be a"),
}


@pytest.mark.parametrize(("texts", "kind", "message"), PARSE.values(), ids=PARSE)
def test_parse_errors(texts: dict[str, str], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        Budget.parse(texts)


BILL = Ledger(epochs=6.0, train_macs=70, score_macs=20, eval_macs=10, wall_seconds=2.5)
SPENT: dict[str, tuple[Budget, str]] = {
    "nothing limited": (Budget(), ""),
    "all limits higher": (Budget(evaluations=5, epochs=7, train_macs=101, seconds=3.0), ""),
    "evaluations": (Budget(evaluations=4, epochs=7), "4 of 4 evaluations"),
    "epochs": (Budget(evaluations=5, epochs=6), "6 of 6 epochs"),
    "all multiplications count": (Budget(train_macs=100), "100 of 100 train_macs"),
    "seconds": (Budget(seconds=2.0), "2.5 of 2 seconds"),
    "the first that is reached is named": (Budget(evaluations=3, seconds=1.0), "4 of 3 evaluations"),
}


@pytest.mark.parametrize(("budget", "reason"), SPENT.values(), ids=SPENT)
def test_spent(budget: Budget, reason: str) -> None:
    found = budget.spent(4, BILL)
    assert found == (f"the budget is spent: {reason}" if reason else "")


def test_refuses() -> None:
    budget = Budget(max_params=100, max_macs=2000)
    assert budget.refuses(100, 2000) == ""
    assert budget.refuses(101, 3) == "max_params is 100 but the candidate has 101"
    assert budget.refuses(7, 2001) == "max_macs is 2000 but the candidate has 2001"
    assert Budget().refuses(10**9, 10**12) == ""
