"""Refusals in words: counted by reason, with the nearest of those that break a bound and the first of the others."""

from __future__ import annotations

from optimizers.proposing.admission import REPEATED, account
from optimizers.proposing.proposal import Proposal, Refused


def test_reasons_are_counted_whatever_differs_from_point_to_point() -> None:
    points = [Proposal({"width": width}) for width in range(7)]
    refused = [
        Refused(points[0], 0, "not built", detail="at width=0: no unit"),
        Refused(points[1], 1, "params<=9.0", 3.0),
        Refused(points[2], 2, "params<=9.0", 2.0),
        Refused(points[3], 3, "not built", detail="at width=3: odd"),
        Refused(points[4], 4, "not built", detail="at width=4: no"),
        Refused(points[5], 5, REPEATED),
    ]
    assert account(refused) == (
        "3 were not built (the first at width=0: no unit), 2 break params<=9.0 (the nearest by 2, at width=2), "
        "1 were trained before"
    )
