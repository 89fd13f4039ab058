"""A training as Optuna keeps it, and its dashboard shows it: values, learning curve, constraints, attributes."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

from archgraph.evaluation import Report
from archgraph.search.facts import attributes, number_of
from archgraph.search.goal import Goal
from archgraph.search.objective import value_of
from archgraph.search.parameters import shown
from archgraph.spaces import Domain

GREATEST = sys.float_info.max
"""What stands for an infinite violation, which JSON does not have."""


def frozen(facts: Mapping[str, Any], report: Report, goal: Goal, domains: Mapping[str, Domain] | None = None) -> Any:
    """Return a finished trial of Optuna.

    It has failed there, too, when it has no number for an objective, for which there is no place, and is pruned when it
    got less than its recipe. The curve is that of the first objective that is known after every epoch; Optuna's own
    trials with several objectives have none, but take one and show it. Violations stand where Optuna and its dashboard
    look for them: not above zero is feasible.

    Args:
        facts: what is stored of it.
        report: the answer.
        goal: what the study is after.
        domains: of the parameters of the space that was searched; they become parameters there.
    """
    from optuna.trial import TrialState, create_trial

    values = [value_of(report.metrics, one.name) if report.ok else math.nan for one in goal.objectives]
    missing = any(math.isnan(value) for value in values)
    finished = TrialState.PRUNED if "fidelity" in facts else TrialState.COMPLETE
    names = [one.name for one in goal.objectives if any(one.name in point.metrics for point in report.curve)]
    curve = {point.epoch: point.metrics[name] for name in names[:1] for point in report.curve if name in point.metrics}
    broken = [min(number_of(by), GREATEST) for by in facts.get("violations", {}).values()]
    params, distributions = shown(dict(facts.get("values", ())), domains) if domains else ({}, {})
    return create_trial(
        params=params,
        distributions=distributions,
        state=TrialState.FAIL if missing else finished,
        values=None if missing else values,
        user_attrs=attributes(facts),
        system_attrs={"constraints": broken} if broken else {},
        intermediate_values=curve,
    )
